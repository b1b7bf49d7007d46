"""Reads CTRF, the Common Test Report Format.

Source: https://ctrf.io/docs/specification. Reporters differ in what they leave out and in their spelling, so everything
but the list of tests, their names and their outcomes may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from podium.executors.reports.reading import ReportError, details_of, name_of, one_line, seconds, unique
from podium.test_results import BAD, TestOutcome, TestResult

_OUTCOMES: dict[str, TestOutcome] = {
    "passed": "passed",
    "failed": "failed",
    "skipped": "skipped",
    "pending": "skipped",
    "other": "errored",
}
_TIMED_OUT = frozenset({"timedout", "timed_out", "timeout", "timed out"})
_MOST_TRIES = 1000


def read_ctrf(data: bytes) -> list[TestResult]:
    """Return the results of a CTRF report.

    Raises:
        ReportError: It is no JSON, or no CTRF report.
    """
    report = _mapping(_decoded(data), "the report")
    results = _mapping(report.get("results"), "`results`")
    tests: Any = results.get("tests")
    if not isinstance(tests, list):
        raise ReportError("this is no CTRF report: `results.tests` is no list")
    found = [_result(_mapping(test, f"test {number}"), number) for number, test in enumerate(_list(tests), 1)]
    found += _unnamed(results.get("summary"), found)
    return unique(found, [f"{result.file} > {result.id}" if result.file else result.id for result in found])


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReportError(f"this is no JSON: {error}") from error


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ReportError(f"this is no CTRF report: {name} is no object")
    return cast("dict[str, Any]", value)


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(_text, _list(value)))
    return value if isinstance(value, str) else ""


def _number(value: Any, most: int) -> int:
    return min(value, most) if isinstance(value, int) and value > 0 else 0


def _result(test: Mapping[str, Any], number: int) -> TestResult:
    name, status = test.get("name"), test.get("status")
    if not isinstance(name, str):
        raise ReportError(f"this is no CTRF report: test {number} has no name")
    if not isinstance(status, str) or status not in _OUTCOMES:
        known = ", ".join(_OUTCOMES)
        raise ReportError(f"test {number}, {name[:200]!r}, has status {str(status)[:80]!r}; there are {known}")
    outcome = _OUTCOMES[status]
    if outcome == "failed" and _text(test.get("rawStatus")).lower() in _TIMED_OUT:
        outcome = "timed_out"
    message, trace = _text(test.get("message")), _text(test.get("trace"))
    output = [_text(test.get("stdout")), _text(test.get("stderr"))] if outcome in BAD else []
    retries = _number(test.get("retries"), _MOST_TRIES) or len(_list(test.get("retryAttempts")))
    return TestResult(
        id=_id(name, test.get("suite")),
        outcome=outcome,
        duration=seconds(test.get("duration", 0), 0.001),
        message=one_line(message, trace) if outcome != "passed" else "",
        details=details_of(message if message not in trace else "", trace, *output) if outcome in BAD else "",
        attempts=1 + retries,
        flaky=test.get("flaky") is True and outcome == "passed",
        file=_text(test.get("filePath"))[:1000],
        line=_number(test.get("line"), 1 << 31),
        markers=_markers(test),
        finished_us=_number(test.get("stop"), 1 << 52) * 1000,
    )


def _id(name: str, suite: Any) -> str:
    """Return a name with those of its suites, which are a list, or in older reports text."""
    around = [suite] if isinstance(suite, str) else [part for part in _list(suite) if isinstance(part, str)]
    return name_of(" > ".join([*around, name]), "(no name)")


def _markers(test: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for tag in _list(test.get("tags")) if isinstance(tag, str)))


def _unnamed(summary: Any, found: list[TestResult]) -> list[TestResult]:
    """Return a result for tests that the summary counts, that are not in the list, and that it does not call good.

    Failures beside others that are listed do not count unless tests are missing, as some count every attempt.
    """
    said = cast("dict[str, Any]", summary) if isinstance(summary, dict) else {}
    numbers = {name: _number(said.get(name), 1 << 31) for name in ("tests", *_OUTCOMES)}
    bad = numbers["failed"] + numbers["other"]
    listed_bad = sum(result.outcome in BAD for result in found)
    not_bad = max(len(found) - listed_bad, numbers["passed"] + numbers["skipped"] + numbers["pending"])
    if bad and not listed_bad:
        message = f"the report counts {bad} tests that did not pass, and names none"
    elif numbers["tests"] > len(found) and numbers["tests"] > listed_bad + not_bad:
        message = f"the report counts {numbers['tests']} tests, and says of {listed_bad + not_bad} what it came to"
    else:
        return []
    return [TestResult("summary", "errored", message=message)]
