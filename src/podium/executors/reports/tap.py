"""Reads TAP, the Test Anything Protocol, versions 12 to 14.

Source: https://testanything.org/tap-version-14-specification.html. Subtests are the blocks of lines indented more
than the test line that follows them: their tests count, and the test around them only if it failed on its own account.
What `prove -v` prints is read too: the TAP of one file after the other, each below a line with the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from podium.executors.reports.reading import ReportError, details_of, name_of, one_line, seconds, unique
from podium.test_results import BAD, TestOutcome, TestResult

_VERSION = re.compile(r"TAP version (\d{1,9})\s*$")
_PLAN = re.compile(r"1\.\.(\d{1,9})(?:\s*#\s*(.*))?\s*$")
_TEST = re.compile(r"(not )?ok\b(?:\s+(\d{1,9})\b)?\s*(?:- )?(.*)$")
_DIRECTIVE = re.compile(r"(?:^|(?<!\\)\s)#\s*(skip\w*|todo)\b:?\s*(.*)$", re.IGNORECASE)
_TIME = re.compile(r"\s# time=([\d.]{1,20})(ms|s)?\s*$")
_BAIL_OUT = re.compile(r"Bail out!\s*(.*)$")
_FILE = re.compile(r"(\S.*?) \.{2,}\s*(skipped:.*)?$")
_SCALAR = re.compile(r"(\w{1,40}): *(.*)$")
_LOCATION = re.compile(r"(.+?):(\d{1,9})(?::\d+)?$")
_FAILURE_TYPES: dict[str, TestOutcome] = {
    "testTimeoutFailure": "timed_out",
    "cancelledByParent": "errored",
    "hookFailed": "errored",
}
"""What the test runner of Node.js says of tests that did not simply fail."""
_MOST_MISSING = 1000


class _Test:
    """A test line, and what follows it."""

    def __init__(self, match: re.Match[str], number: int, line: int) -> None:
        self.ok = match[1] is None
        self.number = number
        self.line = line
        text, self.directive, self.reason, self.duration = match[3], "", "", 0.0
        if timed := _TIME.search(text):
            self.duration = seconds(timed[1], 0.001 if timed[2] == "ms" else 1.0)
            text = text[: timed.start()]
        if directive := _DIRECTIVE.search(text):
            self.directive, self.reason = directive[1].lower()[:4], directive[2]
            text = text[: directive.start()]
        self.name = name_of(re.sub(r"\\([\\#])", r"\1", text), f"test {number}")
        self.comments: list[str] = []
        self.diagnostics: list[str] = []

    @property
    def outcome(self) -> TestOutcome:
        """What it came to. A test that failed though it says it was skipped has failed."""
        if self.directive == "todo":
            return "xpassed" if self.ok else "xfailed"
        if not self.ok:
            return "failed"
        return "skipped" if self.directive == "skip" else "passed"

    def result(self) -> TestResult:
        """Return the test as a result."""
        about = _scalars(self.diagnostics)
        outcome = self.outcome
        if outcome == "failed":
            outcome = _FAILURE_TYPES.get(about.get("failureType", ""), outcome)
        file, line = _place(about)
        bad = outcome in BAD
        comments = "\n".join(self.comments)
        return TestResult(
            id=self.name,
            outcome=outcome,
            duration=seconds(about["duration_ms"], 0.001) if "duration_ms" in about else self.duration,
            message=self.reason
            or (one_line(about.get("error", ""), about.get("message", ""), comments) if bad else "")
            or ("not ok" if bad else ""),
            details=details_of("\n".join(self.diagnostics), comments) if bad else "",
            file=file,
            line=line,
        )


class _Block:
    """The tests at one indentation, until the test that contains them or the end."""

    def __init__(self) -> None:
        self.results: list[TestResult] = []
        self.last: _Test | None = None
        self.inside: list[TestResult] = []
        self.numbers: set[int] = set()
        self.planned: int | None = None
        self.reason = ""
        self.bailed_out = False

    def test(self, match: re.Match[str], line: int, inside: list[TestResult]) -> None:
        """Begin a test, which contains what came at deeper indentations before it."""
        self.settle()
        number = int(match[2]) if match[2] else len(self.numbers) + 1
        self.numbers.add(number)
        self.last, self.inside = _Test(match, number, line), inside

    def settle(self) -> None:
        """Make results of the last test and what it contains: nothing more is going to be said about it."""
        test, self.last = self.last, None
        if test is None:
            return
        result, inside = test.result(), self.inside
        if inside and test.directive:
            inside = [_under_directive(inner, result) for inner in inside]
        self.results += [msgspec.structs.replace(r, id=name_of(f"{result.id} > {r.id}", r.id)) for r in inside]
        if not inside or (result.outcome in BAD and not any(inner.outcome in BAD for inner in inside)):
            self.results.append(result)

    def finish(self, *, partial: bool, top: bool) -> list[TestResult]:
        """Return the results, with what the plan promised and did not come."""
        self.settle()
        if self.planned == 0 and not self.results and self.reason and top:
            return [TestResult("all tests", "skipped", message=one_line(self.reason))]
        if partial:
            return self.results
        if self.planned is None:
            if top and not self.bailed_out:
                message = "there is no plan: it ended before it was done"
                self.results.append(TestResult("plan", "errored", message=message))
            return self.results
        missing = [
            n for n in range(1, min(self.planned, _MOST_MISSING + len(self.numbers)) + 1) if n not in self.numbers
        ]
        message = f"it was planned, as one of {self.planned}, and is not in the report"
        self.results += [TestResult(f"test {number}", "errored", message=message) for number in missing[:_MOST_MISSING]]
        if len(missing) > _MOST_MISSING or self.planned > _MOST_MISSING + len(self.numbers):
            message = f"{self.planned} tests were planned, {len(self.numbers)} are in the report"
            self.results.append(TestResult("plan", "errored", message=message))
        if len(self.numbers) > self.planned:
            message = f"{self.planned} tests were planned, and there are {len(self.numbers)} in the report"
            self.results.append(TestResult("plan", "errored", message=message))
        return self.results


class _Reader:
    """Reads line by line; blocks are kept by their indentation."""

    def __init__(self, *, partial: bool) -> None:
        self._partial = partial
        self._done: list[TestResult] = []
        self._blocks: dict[int, _Block] = {}
        self._file = ""
        self._dubious = ""
        self._yaml: tuple[int, _Test] | None = None
        self._seen = False

    def line(self, text: str, number: int) -> None:
        """Take a line."""
        stripped = text.lstrip(" ")
        indent = len(text) - len(stripped)
        if self._yaml is not None:
            at, test = self._yaml
            if stripped == "..." and indent == at:
                self._yaml = None
                return
            if indent >= at or not stripped:
                test.diagnostics.append(text[at:])
                return
            self._yaml = None  # the block was cut off
        self._outside_yaml(stripped, indent, number)

    def finish(self) -> list[TestResult]:
        """Return all results.

        Raises:
            ReportError: There was no TAP.
        """
        self._end_of_file()
        if not self._seen:
            raise ReportError("this is no TAP: it has neither a plan nor a test")
        return unique(self._done)

    def _outside_yaml(self, text: str, indent: int, number: int) -> None:
        if match := _TEST.match(text):
            self._test(match, indent, number)
        elif match := _PLAN.match(text):
            self._plan(match, indent, number)
        elif match := _BAIL_OUT.match(text):
            self._bail_out(match[1], indent)
        elif text.startswith("#"):
            self._comment(text, indent)
        elif text.rstrip() == "---":
            owner = self._blocks.get(indent - 2)
            if owner is not None and owner.last is not None:
                self._yaml = indent, owner.last
        elif indent == 0:
            self._prove(text)

    def _comment(self, text: str, indent: int) -> None:
        last = self._blocks[indent].last if indent in self._blocks else None
        if last is not None and not last.ok and not text.startswith("# Subtest"):
            last.comments.append(text[1:].removeprefix(" "))

    def _prove(self, text: str) -> None:
        """Take a line that `prove` may have added."""
        if self._file and text.startswith("Dubious, test returned"):
            self._dubious = text
        elif match := _FILE.match(text):
            self._end_of_file()
            self._file = match[1]
            if match[2]:
                self._done.append(TestResult(name_of(self._file, "file"), "skipped", message=one_line(match[2][8:])))
                self._file, self._seen = "", True

    def _test(self, match: re.Match[str], indent: int, number: int) -> None:
        if self._file and indent == 0 and match[1] is None and not match[2] and not match[3]:  # what prove says of it
            self._end_of_file()
            return
        self._seen = True
        inside: list[TestResult] = []
        for deeper in sorted((at for at in self._blocks if at > indent), reverse=True):
            inside = [*self._blocks.pop(deeper).finish(partial=self._partial, top=False), *inside]
        self._blocks.setdefault(indent, _Block()).test(match, number, inside)

    def _plan(self, match: re.Match[str], indent: int, number: int) -> None:
        self._seen = True
        block = self._blocks.setdefault(indent, _Block())
        if block.planned is not None and indent == 0:
            raise ReportError("there is a second plan", number)
        block.planned = int(match[1])
        block.reason = match[2] or ""

    def _bail_out(self, reason: str, indent: int) -> None:
        self._seen = True
        block = self._blocks.setdefault(indent, _Block())
        block.settle()
        block.bailed_out = True
        block.results.append(TestResult("Bail out!", "errored", message=one_line(reason) or "the tests were given up"))

    def _end_of_file(self) -> None:
        """Close all blocks: what is indented and has no test around it counts as it stands."""
        results: list[TestResult] = []
        for indent in sorted(self._blocks):
            results += self._blocks[indent].finish(partial=self._partial, top=indent == 0)
        if self._dubious and not any(result.outcome in BAD for result in results):
            results.append(TestResult("exit code", "errored", message=one_line(self._dubious)))
        if self._file:
            results = in_file(self._file, results)
        self._done += results
        self._blocks.clear()
        self._file = self._dubious = ""
        self._yaml = None


def read_tap(data: bytes, *, partial: bool = False) -> list[TestResult]:
    """Return the results of a TAP stream.

    Args:
        data: The stream.
        partial: It may end too early; then tests that were planned and did not come are left out.

    Raises:
        ReportError: It is no TAP.
    """
    reader = _Reader(partial=partial)
    for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        if match := _VERSION.match(line):
            if int(match[1]) > 14:  # noqa: PLR2004
                raise ReportError(f"TAP version {match[1]} is not known; 12, 13 and 14 are", number)
            continue
        reader.line(line.rstrip(), number)
    return reader.finish()


def in_file(file: str, results: Iterable[TestResult]) -> list[TestResult]:
    """Return results with the name of the file before their ids: TAP names tests within one file only."""
    return [
        msgspec.structs.replace(result, id=name_of(f"{file} > {result.id}", file), file=result.file or file)
        for result in results
    ]


def _under_directive(inner: TestResult, outer: TestResult) -> TestResult:
    """Return a test of a subtest which as a whole is expected to fail, or was skipped."""
    if outer.outcome in {"xfailed", "xpassed"} and inner.outcome in BAD:
        return msgspec.structs.replace(inner, outcome="xfailed")
    return inner


def _scalars(lines: list[str]) -> dict[str, str]:
    """Return the values of the outermost keys of a YAML block as text; of a text block, its lines."""
    found: dict[str, str] = {}
    key = ""
    for line in lines:
        match = _SCALAR.match(line)
        if match:
            key = match[1]
            found[key] = "" if match[2][:1] in {"|", ">"} else _unquoted(match[2])
        elif key and line.startswith(" ") and len(found[key]) < 1 << 14:
            found[key] += f"{line.strip()}\n"
    return found


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    return text


def _place(about: dict[str, str]) -> tuple[str, int]:
    inner = _scalars(about.get("at", "").splitlines())  # `at:` with `file:` and `line:` below it
    match = _LOCATION.match(about.get("location", ""))
    if match:
        return match[1], int(match[2])
    line = about.get("line", "") or inner.get("line", "")
    number = int(line) if line.isascii() and line.isdigit() and len(line) < 10 else 0  # noqa: PLR2004
    return about.get("file", "") or inner.get("file", ""), number
