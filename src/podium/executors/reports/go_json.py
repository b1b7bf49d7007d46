"""Reads what `go test -json` prints: an event per line.

Source: https://pkg.go.dev/cmd/test2json. A test that has subtests counts only if it failed on its own account.
"""

from __future__ import annotations

import re
from collections import deque

import msgspec

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
    """A test, or a package itself."""

    def __init__(self) -> None:
        self.output = _Output()
        self.outcome: TestOutcome | None = None
        self.elapsed = 0.0
        self.failed_build = ""


class _Reader:
    def __init__(self) -> None:
        self.seen = False
        self._tests: dict[tuple[str, str], _Test] = {}
        self._builds: dict[str, _Output] = {}

    def event(self, event: _Event) -> None:
        """Take an event."""
        self.seen = True
        if event.action.startswith("build-"):
            self._builds.setdefault(event.import_path, _Output()).add(event.output)
            return
        if not event.package:
            return
        test = self._tests.setdefault((event.package, event.test), _Test())
        if event.action == "output":
            test.output.add(event.output)
        elif event.action in _OUTCOMES:
            test.outcome, test.elapsed = _OUTCOMES[event.action], event.elapsed
            test.failed_build = event.failed_build

    def results(self, *, partial: bool) -> list[TestResult]:
        """Return what tests came to, and packages that failed on their own account."""
        found = {key: self._result(key, test, partial=partial) for key, test in self._tests.items() if key[1]}
        by_package: dict[str, list[TestResult]] = {}
        around = {(package, name[:at]) for package, name in found for at in _slashes(name)}
        bad_inside = {
            (package, name[:at])
            for (package, name), result in found.items()
            if result is not None and result.outcome in BAD
            for at in _slashes(name)
        }
        for key, result in found.items():
            results = by_package.setdefault(key[0], [])
            explained = key in around and (result is None or result.outcome not in BAD or key in bad_inside)
            if result is not None and not explained:
                results.append(result)
        for (package, name), test in self._tests.items():
            if not name:
                results = by_package.setdefault(package, [])
                results += self._of_package(package, test, results, partial=partial)
        return [result for results in by_package.values() for result in results]

    def _result(self, key: tuple[str, str], test: _Test, *, partial: bool) -> TestResult | None:
        """Return what a test came to; one that did not end was under way when its package did."""
        outcome, message = test.outcome, ""
        package = self._tests.get((key[0], ""), _Test())
        if outcome is None and partial and package.outcome is None:
            return None
        printed = test.output.text() + package.output.text()
        if outcome in {None, "failed"} and _TIMED_OUT in printed:
            running = f"\t{key[1]} (" in printed or outcome is None
            outcome = "timed_out" if running else outcome
        if outcome is None:
            outcome, message = "errored", "it did not end: " + (package.output.said() or "the report ends before it")
        bad = outcome in BAD
        return TestResult(
            id=name_of(f"{key[0]}::{key[1]}", "test"),
            outcome=outcome,
            duration=seconds(test.elapsed),
            message=message or (test.output.said() if bad or outcome == "skipped" else ""),
            details=details_of(test.output.text()) if bad else "",
        )

    def _of_package(self, name: str, package: _Test, results: list[TestResult], *, partial: bool) -> list[TestResult]:
        """Return a result for a package if it did not pass and none of its tests says why."""
        if package.outcome is None and not partial:
            return [TestResult(name_of(name, "package"), "errored", message="the report ends before the package does")]
        if package.outcome != "failed" or any(result.outcome in BAD for result in results):
            return []
        build = self._builds.get(package.failed_build or name) or self._build_of_test(name)
        printed = build.text() if build else package.output.text()
        lines = [line for line in printed.splitlines() if not line.startswith("# ")]
        said = one_line(*lines) if build else package.output.said()
        not_built = build or "[build failed]" in printed or "[setup failed]" in printed
        what = "it was not built" if not_built else "no test of it failed"
        message = f"the package failed, {what}: {said}" if said else f"the package failed, {what}"
        return [TestResult(name_of(name, "package"), "errored", package.elapsed, message, details_of(printed))]

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
