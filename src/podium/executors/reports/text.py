"""Reads what pytest, Jest and Vitest print for people, as far as it can be trusted.

Their summaries give numbers; names there are only of some tests. Tests without a name are counted and nothing more is
made of them: a made-up name would get a history of its own. Several summaries are added up, so that none can hide a
failure in another.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

import msgspec

from podium.executors.reports.reading import (
    Reading,
    ReportError,
    details_of,
    name_of,
    one_line,
    unique,
    without_colours,
)
from podium.test_results import TEST_OUTCOMES, TestCounts, TestOutcome, TestResult

_PYTEST_COUNT = re.compile(r"(\d{1,9}) (passed|failed|errors?|skipped|xfailed|xpassed|deselected|warnings?|rerun)\b")
_PYTEST_SUMMARY = re.compile(
    r"(?:=+ )?(\d{1,9} (?:passed|failed|errors?|skipped|xfailed|xpassed|deselected|warnings?|rerun)\b.*|no tests ran)"
    r" in \d[\d.]*s(?: \([\d:, a-z]+\))?(?: =+)?\s*$"
)
_PYTEST_NAMED = re.compile(r"(FAILED|ERROR|PASSED|XFAIL|XPASS) (\S+?\.py(?:::.+?)?)(?: - (.*))?$")
_PYTEST_VERBOSE = re.compile(
    r"(?:\[gw\d+\] \[ *\d+%\] )?(?P<before>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)? ?(?P<id>\S+?\.py::.+?)"
    r"(?: (?P<after>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?: \(.*\))?\s*(?:\[ *\d+%\])?)?$"
)
_PYTEST_WORDS: dict[str, TestOutcome] = {
    "PASSED": "passed",
    "FAILED": "failed",
    "ERROR": "errored",
    "SKIPPED": "skipped",
    "XFAIL": "xfailed",
    "XPASS": "xpassed",
}
_WORDS: dict[str, TestOutcome] = {
    "passed": "passed",
    "failed": "failed",
    "error": "errored",
    "errors": "errored",
    "skipped": "skipped",
    "todo": "skipped",
    "pending": "skipped",
    "xfailed": "xfailed",
    "xpassed": "xpassed",
    "expected fail": "xfailed",
}
_LONGEST_LINE = 4000
_JEST_SUMMARY = re.compile(
    r"\s*Tests:? {2,}(?:((?:\d{1,9} [a-z ]+(?:, |\| )?)+)(?:\d{1,9} total|\(\d{1,9}\))|0 total|no tests)\s*$"
)
_JEST_COUNT = re.compile(r"(\d{1,9}) (passed|failed|skipped|todo|pending|expected fail)")
_JEST_FILES = re.compile(r"\s*Test (?:Suites:|Files) +(\d{1,9}) failed\b")
_JEST_FILE = re.compile(r"\s*FAIL +(\S+)(?: \([\d.]+ m?s\))?\s*$")
_JEST_FAILED = re.compile(r"\s*● ((?!Console\b|Validation\b)\S.*)$")
_INDENTED = re.compile(r" {4}")
"""What Jest says of a test."""
_BEFORE_RULE = re.compile(r"[^⎯]")
"""What Vitest says of a test: everything up to a rule."""
_MOST_LINES = 200
_VITEST_FAILED = re.compile(r"\s*FAIL +(?:\|[^|]+\| +)?(\S+ > .+)$")


def read_pytest_text(data: bytes) -> Reading:
    """Return what pytest says at its end, and the tests it names.

    Raises:
        ReportError: There is no summary.
    """
    counts, summaries, reruns = TestCounts(), 0, 0
    named: dict[str, TestResult] = {}
    for line in _lines(data):
        if match := _PYTEST_SUMMARY.match(line):
            summaries += 1
            for number, word in _PYTEST_COUNT.findall(match[1]):
                if word in _WORDS:
                    _count(counts, _WORDS[word], int(number))
                counts.left_out += int(number) if word == "deselected" else 0
                reruns += int(number) if word == "rerun" else 0
        elif result := _pytest_test(line):
            known = named.get(result.id)
            if known is None or not known.message or result.message:
                named[result.id] = result
    if not summaries:
        raise ReportError("this is no output of pytest: it has no summary such as `12 passed in 0.34s`")
    notes = [f"{reruns} reruns are in the summary; which tests they were of is not"] if reruns else []
    return _reading(named.values(), counts, summaries, notes)


def read_jest_text(data: bytes) -> Reading:
    """Return what Jest or Vitest says at its end, and the tests that failed.

    Raises:
        ReportError: There is no summary.
    """
    summaries = _JestSummaries()
    for line in _lines(data):
        summaries.line(line)
    return summaries.reading()


class _JestSummaries:
    """What Jest and Vitest said so far."""

    def __init__(self) -> None:
        self._counts = TestCounts()
        self._summaries = 0
        self._files_failed = 0
        self._file = ""
        self._named: dict[str, TestResult] = {}
        self._broken: dict[str, TestResult] = {}
        self._about: re.Pattern[str] | None = None
        self._said: list[str] = []
        self._sections: list[tuple[dict[str, TestResult], str, list[str]]] = []

    def line(self, line: str) -> None:
        """Take a line."""
        if match := _JEST_SUMMARY.match(line):
            self._about = None
            self._summaries += 1
            for number, word in _JEST_COUNT.findall(match[1] or ""):
                _count(self._counts, _WORDS[word], int(number))
        elif match := _JEST_FILES.match(line):
            self._about = None
            self._files_failed += int(match[1])
        elif match := _JEST_FILE.match(line):
            self._about = None
            self._file = name_of(match[1].removeprefix("./"), "file")
        elif "● Test suite failed to run" in line:
            file = self._file
            self._broken[file] = TestResult(file or "file", "errored", message="the file could not be run", file=file)
            self._begin(self._broken, file, _INDENTED)
        elif match := _JEST_FAILED.match(line):
            name = name_of(match[1], "test")
            self._named[name] = TestResult(name, "failed", file=self._file)
            self._begin(self._named, name, _INDENTED)
        elif match := _VITEST_FAILED.match(line):
            name = name_of(match[1], "test")
            self._named[name] = TestResult(name, "failed")
            self._begin(self._named, name, _BEFORE_RULE)
        else:
            self._say(line)

    def _begin(self, results: dict[str, TestResult], key: str, belongs: re.Pattern[str]) -> None:
        """Take what follows as said of a test, as long as it looks like that."""
        self._said = []
        self._sections.append((results, key, self._said))
        self._about = belongs

    def _say(self, line: str) -> None:
        """Take a line that is about a test, if it is about any."""
        if self._about is None:
            return
        if line.strip() and not self._about.match(line):
            self._about = None
        elif len(self._said) < _MOST_LINES:
            self._said.append(line)

    def reading(self) -> Reading:
        """Return all of it.

        Raises:
            ReportError: There was no summary.
        """
        if not self._summaries:
            text = "this is no output of Jest or Vitest: it has no summary such as `Tests: 3 passed, 3 total`"
            raise ReportError(text)
        for results, key, said in self._sections:
            details = details_of(textwrap.dedent("\n".join(said)).strip("\n"))
            message = results[key].message or one_line(details)
            results[key] = msgspec.structs.replace(results[key], message=message, details=details)
        if self._files_failed and not self._counts.failed and not self._broken:
            text = f"{self._files_failed} files failed, and no test of them"
            self._broken["files"] = TestResult("files", "errored", message=text)
        self._counts.errored += len(self._broken)
        return _reading([*self._named.values(), *self._broken.values()], self._counts, self._summaries, [])


def _lines(data: bytes) -> Iterator[str]:
    for line in without_colours(data.decode("utf-8", "replace")).split("\n"):
        yield line[:_LONGEST_LINE]


def _pytest_test(line: str) -> TestResult | None:
    if match := _PYTEST_NAMED.match(line):
        return TestResult(name_of(match[2], "test"), _PYTEST_WORDS[match[1]], message=one_line(match[3] or ""))
    if (match := _PYTEST_VERBOSE.match(line)) and bool(match["before"]) != bool(match["after"]):
        return TestResult(name_of(match["id"], "test"), _PYTEST_WORDS[match["before"] or match["after"]])
    return None


def _count(counts: TestCounts, outcome: TestOutcome, number: int) -> None:
    setattr(counts, outcome, getattr(counts, outcome) + number)


def _reading(named: Iterable[TestResult], counts: TestCounts, summaries: int, notes: list[str]) -> Reading:
    """Return the tests that have names, and how many more the summaries count; the summaries are believed."""
    room = {outcome: getattr(counts, outcome) for outcome in TEST_OUTCOMES}
    kept: list[TestResult] = []
    for result in named:
        if room[result.outcome]:
            room[result.outcome] -= 1
            kept.append(result)
    unnamed = TestCounts(**room, left_out=counts.left_out)
    if summaries > 1:
        notes.append(f"{summaries} summaries were added up")
    if unnamed.total:
        notes.append(f"{unnamed.total} of {counts.total} tests are only counted: what was printed does not name them")
    return Reading(tuple(unique(kept)), unnamed, tuple(notes))
