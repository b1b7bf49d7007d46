"""Finds out which format a report has, and reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from podium.executors.reports.ctrf import read_ctrf
from podium.executors.reports.go_json import read_go_json
from podium.executors.reports.junit import read_junit
from podium.executors.reports.reading import Reading, ReportError, without_colours
from podium.executors.reports.tap import in_file, read_tap
from podium.executors.reports.text import read_jest_text, read_pytest_text
from podium.plan.suites import ReportFormat

_LOOKED_AT = 1 << 16
_GO_EVENT = re.compile(rb'^\{.*"Action":"(start|run|pass|fail|output|skip|build-output|build-fail)"', re.MULTILINE)
_TAP_VERSION = re.compile(rb"^TAP version \d+\s*$", re.MULTILINE)
_TAP_PLAN = re.compile(rb"^1\.\.\d+(\s*#.*)?\s*$", re.MULTILINE)
_TAP_TEST = re.compile(rb"^(not )?ok\b", re.MULTILINE)
_JEST = re.compile(r"^\s*Tests:? {2,}(\d+ |no tests)", re.MULTILINE)
_PYTEST = re.compile(r"^(=+ )?(\d+ [a-z]+\b.*|no tests ran) in \d[\d.]*s\b", re.MULTILINE)
_ENDINGS: dict[str, ReportFormat] = {"xml": "junit", "tap": "tap"}

_Reader = Callable[[bytes, bool], Reading]
_READERS: dict[str, _Reader] = {
    "junit": lambda data, partial: Reading(tuple(read_junit(data, partial=partial))),
    "tap": lambda data, partial: Reading(tuple(read_tap(data, partial=partial))),
    "ctrf": lambda data, _: Reading(tuple(read_ctrf(data))),
    "go": lambda data, partial: Reading(tuple(read_go_json(data, partial=partial))),
    "pytest": lambda data, _: read_pytest_text(data),
    "jest": lambda data, _: read_jest_text(data),
}


def read_report(
    data: bytes, report: ReportFormat = "auto", *, name: str = "", one_of_many: bool = False, partial: bool = False
) -> Reading:
    """Return what a report says.

    Args:
        data: The report.
        report: Its format; `auto`: what it looks like.
        name: Name of its file; empty: it was printed.
        one_of_many: There may be others, in which tests have the same names.
        partial: It may end too early.

    Raises:
        ReportError: It is not of this format, or of none that is known.
    """
    found = detect(data, name) if report == "auto" else report
    if found not in _READERS:
        raise ReportError("the report is of no known format" if data.strip() else "the report is empty")
    reading = msgspec.structs.replace(_READERS[found](data, partial), format=found)
    if one_of_many and found == "tap":
        return msgspec.structs.replace(reading, results=tuple(in_file(name, reading.results)))
    return reading


def detect(data: bytes, name: str = "") -> ReportFormat:
    """Return the format of a report by what is in it, and then by the name of its file; `auto` if that says nothing."""
    found = next(_by_content(data), None)
    if found is not None:
        return found
    return _ENDINGS.get(name.lower().rpartition(".")[2], "auto")


def _by_content(data: bytes) -> Iterator[ReportFormat]:
    start = data[:_LOOKED_AT].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start.startswith(b"<"):
        if re.search(rb"<(\w+:)?(testsuites?|testrun)\b", start):
            yield "junit"
        return
    if _GO_EVENT.search(start):
        yield "go"
    if start.startswith(b"{"):
        if re.search(rb'"results"\s*:', data) and re.search(rb'"tests"\s*:', data):
            yield "ctrf"
        return
    if _TAP_VERSION.search(data) or (_TAP_PLAN.search(data) and _TAP_TEST.search(data)):
        yield "tap"
    text = without_colours(data[-_LOOKED_AT:].decode("utf-8", "replace"))
    if _JEST.search(text):
        yield "jest"
    if _PYTEST.search(text):
        yield "pytest"
    if _TAP_PLAN.search(data):
        yield "tap"
