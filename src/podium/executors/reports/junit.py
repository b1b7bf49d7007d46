"""Reads JUnit XML in the dialects there are.

There is no standard. What is read: `testcase` elements anywhere below a root `testsuites`, `testsuite` or `testrun`,
with `failure`, `error`, `skipped` in them, and the elements by which Surefire and nextest tell that a test was tried
again. A document type declaration is refused, and with it entities of its own.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from podium.executors.reports.reading import ReportError, details_of, name_of, one_line, seconds, unique
from podium.test_results import BAD, TestOutcome, TestResult

_ROOTS = frozenset({"testsuites", "testsuite", "testrun"})
_TRIED_AGAIN = ("flakyFailure", "flakyError", "rerunFailure", "rerunError")
_MARKERS = frozenset({"tag", "tags", "marker", "markers", "label", "labels", "category", "cmake_labels"})
_WORDS: dict[TestOutcome, set[str]] = {
    "timed_out": {"timeout", "timedout", "timed_out"},
    "failed": {"fail", "failed", "failure"},
    "errored": {
        "error",
        "errored",
        "aborted",
        "broken",
        "cancelled",
        "canceled",
        "crashed",
        "incomplete",
        "inconclusive",
        "interrupted",
    },
    "skipped": {"notrun", "disabled", "skipped", "suppressed", "ignored"},
}
"""What a test came to that has no element to say so, by its attributes `status` and `result`; the first that fits."""
_NO_CLASS = frozenset({"", "test"})
"""Class names that say nothing; `test` is what the test runner of Node.js writes for every test."""
_TIMED_OUT = re.compile(r"test timeout|timeout|testTimeoutFailure|(.*\.)?TestTimedOutException", re.IGNORECASE)
_RAN_OUT = re.compile(r"Test timed out in \d+ms|Test timeout of \d+ms|Timeout of \d+ms exceeded\. For async tests")
"""How messages begin by which Vitest, Playwright and Mocha say so."""
_WHY_SKIPPED = frozenset({"skip", "fixme"})
"""Properties in which Playwright gives the reason."""
_CHUNK = 1 << 16


class _Suite:
    """A `testsuite` that is open."""

    def __init__(self, element: ET.Element, around: str) -> None:
        name = name_of(element.get("name", ""), "")
        self.name = name_of(f"{around}::{name}" if around and name else name or around, "")
        self.file = element.get("file") or element.get("filepath") or ""
        self.says_bad = _count(element.get("failures")) + _count(element.get("errors"))
        self.bad = 0


class _Root:
    """The root, if it is no suite.

    Args:
        element: It, with the attributes by which it counts.

    Attributes:
        in_cases: How many failures and errors test cases and suites have, or which are bad without an element.
        in_suites: How many all suites count; those of a suite in another one may be in both.
    """

    def __init__(self, element: ET.Element) -> None:
        self.name = name_of(element.get("name", ""), "report")
        self.says_bad = _count(element.get("failures")) + _count(element.get("errors"))
        self.in_cases = 0
        self.in_suites = 0

    def unnamed(self) -> TestResult | None:
        """Return a result for tests that it counts as bad and that nothing in it accounts for."""
        known = max(self.in_cases, self.in_suites)
        if self.says_bad <= known:
            return None
        named = f"accounts for {known}" if known else "names none"
        message = f"the report counts {self.says_bad} tests that did not pass, and {named}"
        return TestResult(self.name, "errored", message=message)


class _Cases(ET.TreeBuilder):
    """Takes test cases out of the document as they end, and forgets them."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[TestResult] = []
        self.longer_ids: list[str] = []
        self._open: list[str] = []
        self._suites: list[_Suite] = []
        self._root: _Root | None = None

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse a document type declaration."""
        del name, pubid, system
        _refuse_doctype()

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        tag = tag.rpartition("}")[2]
        if not self._open and tag not in _ROOTS:
            raise ReportError(f"this is no JUnit report: its root element is `{tag[:80]}`")
        self._open.append(tag)
        element = super().start(tag, attrs)
        if tag == "testsuite":
            around = self._suites[-1] if self._suites else None
            suite = _Suite(element, around.name if around else "")
            suite.file = suite.file or (around.file if around else "")
            self._suites.append(suite)
        elif len(self._open) == 1:
            self._root = _Root(element)
        return element

    def end(self, tag: str, /) -> ET.Element:
        element = super().end(tag.rpartition("}")[2])
        tag = self._open.pop()
        if tag == "testcase" and "testcase" not in self._open:
            self._take_case(element)
        elif tag == "testsuite":
            self._take_suite(element)
        elif self._root is not None and not self._open:
            self._take_root(self._root)
        if "testcase" not in self._open and tag in {"testcase", "testsuite", "system-out", "system-err"}:
            element.clear()
        return element

    def _take_case(self, case: ET.Element) -> None:
        suite = self._suites[-1] if self._suites else None
        around = suite.name if suite else ""
        result = _result(case, suite.file if suite else "", around)
        self._add(result, _longer_id(case, around))
        if self._root is not None:
            problems = sum(part.tag in {"failure", "error"} for part in case.iter())
            self._root.in_cases += max(problems, result.outcome in BAD)

    def _take_suite(self, element: ET.Element) -> None:
        """Make an error of the suite itself a result, and of tests it counts and does not name."""
        suite = self._suites.pop()
        problems = [child for child in element if child.tag in {"error", "failure"}]
        name = suite.name or "suite"
        if problems:
            texts = [text for problem in problems for text in (problem.get("message", ""), problem.text or "")]
            self._add(
                TestResult(name, "errored", 0, one_line(*texts), details_of(*texts), file=suite.file), name, suite
            )
        elif suite.says_bad and not suite.bad:
            message = f"the report counts {suite.says_bad} tests that did not pass, and names none"
            self._add(TestResult(name, "errored", message=message, file=suite.file), name, suite)
        if self._suites:
            self._suites[-1].bad += suite.bad
        if self._root is not None:
            self._root.in_cases += len(problems)
            self._root.in_suites += suite.says_bad

    def _take_root(self, root: _Root) -> None:
        """Make a result of tests that only the root counts."""
        if (unnamed := root.unnamed()) is not None:
            self._add(unnamed, unnamed.id)

    def _add(self, result: TestResult, longer_id: str, suite: _Suite | None = None) -> None:
        self.results.append(result)
        self.longer_ids.append(longer_id)
        suite = suite or (self._suites[-1] if self._suites else None)
        if suite is not None:
            suite.bad += result.outcome in BAD


def read_junit(data: bytes, *, partial: bool = False) -> list[TestResult]:
    """Return the results of a JUnit report.

    Args:
        data: The report.
        partial: It may end too early; then what came before the end is returned.

    Raises:
        ReportError: It is no XML, or no JUnit report, or has a document type declaration.
    """
    if _has_doctype(data):
        _refuse_doctype()
    cases = _Cases()
    parser = ET.XMLParser(target=cases)  # noqa: S314 (a document type declaration, and so any entity, is refused)
    try:
        for begin in range(0, len(data), _CHUNK):
            parser.feed(data[begin : begin + _CHUNK])
        parser.close()
    except ET.ParseError as error:
        if not partial:
            raise ReportError(f"this is no XML: {_reason(error)}", error.position[0]) from error
    except (LookupError, ValueError) as error:
        if isinstance(error, ReportError):
            raise
        raise ReportError(f"this is no XML: {error}") from error
    return unique(cases.results, cases.longer_ids)


def _reason(error: ET.ParseError) -> str:
    return str(error).partition(": line")[0]


def _has_doctype(data: bytes) -> bool:
    """Return whether there is a document type declaration before the first element, in any encoding that XML knows."""
    text = data.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
    at = 0
    while True:
        while text[at : at + 1].isspace():
            at += 1
        for opening, closing in ((b"<?", b"?>"), (b"<!--", b"-->")):
            if text.startswith(opening, at):
                end = text.find(closing, at)
                if end < 0:
                    return False
                at = end + len(closing)
                break
        else:
            return text.startswith(b"<!", at)


def _refuse_doctype() -> None:
    raise ReportError("the report has a document type declaration, which is refused")


def _count(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004


def _result(case: ET.Element, file: str, around: str) -> TestResult:
    parts = list(case.iter())
    tries = [part for part in parts if part.tag in _TRIED_AGAIN]
    outcome, problems = _outcome(case, parts)
    texts = [text for part in problems for text in (part.get("message", ""), _text(part))]
    message = one_line(*texts)
    if outcome == "skipped" and not message:
        message = one_line(*(part.get("value", "") for part in parts if part.get("name") in _WHY_SKIPPED))
    details = ""
    if outcome in BAD:
        output = [part.text or "" for part in case if part.tag in {"system-out", "system-err"}]
        details = details_of("\n".join(text for text in _without_repetition(texts) if text), *output)
        message = message or one_line(case.get("failure", ""), *reversed("\n".join(output).splitlines()))
    return TestResult(
        id=_id(case, around),
        outcome=outcome,
        duration=seconds(case.get("time", "0")),
        message=message,
        details=details,
        attempts=1 + len(tries),
        flaky=outcome == "passed" and bool(tries),
        file=case.get("file") or case.get("filepath") or file,
        line=_count(case.get("line") or case.get("lineno")),
        markers=_markers(parts),
    )


def _outcome(case: ET.Element, parts: list[ET.Element]) -> tuple[TestOutcome, list[ET.Element]]:
    """Return what a test came to, and the elements that say why."""
    problems = [part for part in parts if part.tag in {"failure", "error"}]
    skipped = [part for part in parts if part.tag in {"skipped", "disabled", "ignored"}]
    if skipped and skipped[0].get("type", "").lower() == "todo":
        return ("xfailed" if problems else "xpassed"), problems
    if problems:
        if any(map(_ran_out_of_time, problems)):
            return "timed_out", problems
        return ("failed" if any(part.tag == "failure" for part in problems) else "errored"), problems
    if skipped:
        return _outcome_of_skipped(skipped[0]), skipped
    says = {case.get("status", "").lower(), case.get("result", "").lower()}
    said: list[TestOutcome] = [outcome for outcome, words in _WORDS.items() if says & words]
    return (said[0] if said else "passed"), []


def _ran_out_of_time(problem: ET.Element) -> bool:
    message = problem.get("message", "")
    if _TIMED_OUT.fullmatch(problem.get("type", "") or message):
        return True
    return _RAN_OUT.match(one_line(message, problem.text or "")) is not None


def _outcome_of_skipped(skipped: ET.Element) -> TestOutcome:
    if skipped.get("type") == "pytest.xfail":
        return "xfailed"
    if skipped.get("message", "").startswith("Unable to find executable"):  # CTest
        return "errored"
    return "skipped"


def _id(case: ET.Element, around: str) -> str:
    name = name_of(case.get("name", ""), "(no name)")
    class_name = name_of(case.get("classname", ""), "")
    if class_name in _NO_CLASS:
        class_name = around
    return name if class_name in {"", name} else f"{class_name}::{name}"


def _longer_id(case: ET.Element, around: str) -> str:
    id_ = _id(case, around)
    file = case.get("file", "")
    begin = around if around and not id_.startswith(around) else file
    return f"{begin}::{id_}" if begin else id_


def _text(element: ET.Element) -> str:
    """Return the text of an element and of what is in it (Surefire puts the stack trace into an element of its own)."""
    return "\n".join(part.text for part in element.iter() if part.text)


def _without_repetition(texts: Iterable[str]) -> list[str]:
    """Leave out texts with which the next one begins, as messages usually are."""
    kept: list[str] = []
    for text in texts:
        if kept and text.strip().startswith(kept[-1].strip()):
            kept.pop()
        kept.append(text)
    return kept


def _markers(parts: list[ET.Element]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for part in parts:
        if part.tag == "property" and part.get("name", "").lower() in _MARKERS:
            values = part.get("value", "") or part.text or ""
            found |= dict.fromkeys(word for word in re.split(r"[\s,;]+", values) if word)
    return tuple(found)
