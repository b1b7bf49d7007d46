"""Reads what `go test -json` prints: an event per line.

Source: https://pkg.go.dev/cmd/test2json. A test that has subtests counts only if it failed on its own account. A test
that was run several times, by `-count` or because `go test` was, is one test: bad if it was bad once.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

import msgspec

from podium.executors.repetitions import Repetitions
from podium.executors.reports.reading import (
    LONGEST_DETAILS,
    ReportError,
    details_of,
    name_of,
    one_line,
    seconds,
    unique,
)
from podium.test_results import BAD, TestOutcome, TestResult

_OUTCOMES: dict[str, TestOutcome] = {"pass": "passed", "bench": "passed", "fail": "failed", "skip": "skipped"}
_FRAME = ("=== ", "--- ", "FAIL", "PASS", "ok  ", "exit status")
"""How lines begin that the tool adds to what tests print."""
_TIMED_OUT = "panic: test timed out after"
_NOT_BUILT = re.compile(rb"FAIL\t(\S+) \[(?:build|setup) failed\]\s*")
"""The line that is all that the `go` of GCC 12 prints, where others have an event: a package cannot be built."""


class _Event(msgspec.Struct, rename="pascal"):
    action: str
    package: str = ""
    test: str = ""
    elapsed: float = 0.0
    output: str = ""
    import_path: str = ""
    failed_build: str = ""


class _Output:
    """What was printed: the end of it."""

    def __init__(self) -> None:
        self._parts: deque[str] = deque()
        self._size = 0

    def add(self, text: str) -> None:
        """Take more."""
        self._parts.append(text[-LONGEST_DETAILS:])
        self._size += len(self._parts[-1])
        while self._size > 2 * LONGEST_DETAILS:
            self._size -= len(self._parts.popleft())

    def text(self) -> str:
        """Return the end of it."""
        return "".join(self._parts)

    def said(self) -> str:
        """Return the first line that is not the tool's own: of a panic, that one."""
        lines = self.text().splitlines()
        panics = [line for line in lines if line.startswith("panic:")]
        return one_line(*panics[:1], *(line for line in lines if not line.strip().startswith(_FRAME)))


class _Test:
    """A test that is run once, or a package itself."""

    def __init__(self) -> None:
        self.output = _Output()
        self.outcome: TestOutcome | None = None
        self.elapsed = 0.0
        self.failed_build = ""

    def ended(self, event: _Event) -> None:
        """Take what it came to, unless it is known to be bad; of a test that passed, what it printed is forgotten."""
        if self.outcome in BAD:
            return
        self.outcome, self.elapsed, self.failed_build = _OUTCOMES[event.action], event.elapsed, event.failed_build
        if self.outcome == "passed":
            self.output = _Output()


class _Package:
    """One run of the tests of a package, each of which may be run several times in it."""

    def __init__(self) -> None:
        self.begun = False
        self.itself = _Test()
        self.tests: dict[str, list[_Test]] = {}

    def event(self, event: _Event) -> None:
        """Take an event of the package or of a test of it."""
        self.begun = self.begun or event.action != "output"
        test = self._test(event) if event.test else self.itself
        if event.action == "output":
            test.output.add(event.output)
        elif event.action in _OUTCOMES:
            test.ended(event)

    def _test(self, event: _Event) -> _Test:
        """Return the test that an event is about; it is run again if it begins after it has ended."""
        times = self.tests.setdefault(event.test, [])
        if not times or (event.action == "run" and times[-1].outcome is not None):
            times.append(_Test())
        return times[-1]

    def results(self, package: str, *, partial: bool) -> dict[str, TestResult]:
        """Return test to what it came to, without those that have subtests which say it all.

        Args:
            package: Its name.
            partial: It may have been ended too early.
        """
        found = {
            name: result
            for name, times in self.tests.items()
            if (result := _together(self._result(package, name, test, partial=partial) for test in times)) is not None
        }
        around = {name[:at] for name in self.tests for at in _slashes(name)}
        bad_inside = {name[:at] for name, result in found.items() if result.outcome in BAD for at in _slashes(name)}
        return {
            name: result
            for name, result in found.items()
            if name not in around or (result.outcome in BAD and name not in bad_inside)
        }

    def _result(self, package: str, name: str, test: _Test, *, partial: bool) -> TestResult | None:
        """Return what a test came to; one that did not end was under way when its package did."""
        outcome, message = test.outcome, ""
        if outcome is None and partial and self.itself.outcome is None:
            return None
        printed = test.output.text() + self.itself.output.text()
        if outcome in {None, "failed"} and _TIMED_OUT in printed:
            running = f"\t{name} (" in printed or outcome is None
            outcome = "timed_out" if running else outcome
        if outcome is None:
            said = self.itself.output.said() or "the report ends before it"
            outcome, message = "errored", f"it did not end: {said}"
        bad = outcome in BAD
        return TestResult(
            id=name_of(f"{package}::{name}", "test"),
            outcome=outcome,
            duration=seconds(test.elapsed),
            message=message or (test.output.said() if bad or outcome == "skipped" else ""),
            details=details_of(test.output.text()) if bad else "",
        )


class _Reader:
    def __init__(self) -> None:
        self.seen = False
        self._packages: dict[str, list[_Package]] = {}
        self._builds: dict[str, _Output] = {}

    def event(self, event: _Event) -> None:
        """Take an event."""
        self.seen = True
        if event.action.startswith("build-"):
            self._builds.setdefault(event.import_path, _Output()).add(event.output)
            return
        if not event.package:
            return
        runs = self._packages.setdefault(event.package, [])
        if not runs or runs[-1].itself.outcome is not None or (event.action == "start" and runs[-1].begun):
            runs.append(_Package())
        runs[-1].event(event)

    def results(self, *, partial: bool) -> list[TestResult]:
        """Return what tests came to, and packages that failed on their own account."""
        return [
            result for name, runs in self._packages.items() for result in self._of_all_runs(name, runs, partial=partial)
        ]

    def _of_all_runs(self, name: str, runs: list[_Package], *, partial: bool) -> list[TestResult]:
        """Return what a package came to in all its runs; one after which another began was not ended with the report.

        Args:
            name: Of the package.
            runs: All of them. A later one of which there is only output is none: it is printed after the end.
            partial: The report may end too early.
        """
        found: dict[str, list[TestResult]] = {}
        counted = [runs[0], *(run for run in runs[1:] if run.begun)]
        for run in counted:
            cut_short = partial and run is counted[-1]
            results = run.results(name, partial=cut_short)
            of_package = self._of_package(name, run.itself, results.values(), partial=cut_short)
            for test, result in (*results.items(), *((("", of_package),) if of_package else ())):
                found.setdefault(test, []).append(result)
        return [result for results in found.values() if (result := _together(results)) is not None]

    def _of_package(
        self, name: str, package: _Test, results: Iterable[TestResult], *, partial: bool
    ) -> TestResult | None:
        """Return a result for a package if it did not pass and none of its tests says why."""
        if package.outcome is None and not partial:
            return TestResult(name_of(name, "package"), "errored", message="the report ends before the package does")
        if package.outcome != "failed" or any(result.outcome in BAD for result in results):
            return None
        build = self._builds.get(package.failed_build or name) or self._build_of_test(name)
        printed = build.text() if build else package.output.text()
        lines = [line for line in printed.splitlines() if not line.startswith("# ")]
        said = one_line(*lines) if build else package.output.said()
        not_built = build or "[build failed]" in printed or "[setup failed]" in printed
        what = "it was not built" if not_built else "no test of it failed"
        message = f"the package failed, {what}: {said}" if said else f"the package failed, {what}"
        return TestResult(name_of(name, "package"), "errored", package.elapsed, message, details_of(printed))

    def _build_of_test(self, package: str) -> _Output | None:
        """Return what building the test binary printed: `example.com/a [example.com/a.test]`."""
        return next((out for path, out in self._builds.items() if path.partition(" ")[0] == package), None)


def read_go_json(data: bytes, *, partial: bool = False) -> list[TestResult]:
    """Return the results of `go test -json`.

    Args:
        data: Events, one per line. Lines that are none are passed over, as older versions print errors among them;
            except for the one that says that a package was not built.
        partial: It may end too early; then tests that did not end are left out.

    Raises:
        ReportError: There is no event in it.
    """
    reader = _Reader()
    decoder = msgspec.json.Decoder(_Event)
    for line in data.splitlines():
        if line.lstrip().startswith(b"{"):
            try:
                reader.event(decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        elif found := _NOT_BUILT.fullmatch(line):
            package = found[1].decode("utf-8", "replace")
            reader.event(_Event("output", package, output=line.decode("utf-8", "replace")))
            reader.event(_Event("fail", package))
    if not reader.seen:
        raise ReportError("this is no output of `go test -json`: there is no event in it")
    return unique(reader.results(partial=partial))


def _slashes(name: str) -> list[int]:
    return [at for at, character in enumerate(name[:1000]) if character == "/"]


def _together(times: Iterable[TestResult | None]) -> TestResult | None:
    """Return what a test came to that was run several times: bad if it was once, skipped if it always was."""
    known = [result for result in times if result is not None]
    told = [result for result in known if result.outcome != "skipped"] or known[-1:]
    if len(told) < 2:  # noqa: PLR2004
        return told[0] if told else None
    repetitions = Repetitions(told[0])
    for result in told[1:]:
        repetitions.add(result)
    return repetitions.result()
