"""A run as a JUnit XML file, which CI systems read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from podium.errors import EnvironmentProblemError
from podium.protocols import Record
from podium.sinks.lines import case_lines, how_many, verdict_line
from podium.sinks.tally import StepTally, Tally
from podium.sinks.writing import outcome_word
from podium.test_results import TestResult

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENTS = {
    "failed": "failure",
    "errored": "error",
    "timed_out": "error",
    "skipped": "skipped",
    "cancelled": "skipped",
}


class JUnit:
    """Writes a JUnit XML file at the end: one test case per step, or per test of a step that ran tests.

    A run that did not finish has an error for each step that began and for those that did not, so nobody takes what is
    missing for passed. The file has neither times of day nor host names: the same run gives the same file.

    Args:
        path: The file; it appears complete or not at all, and replaces an earlier one. Its directory is made if need
            be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tally = Tally(keep_results=True)
        self._closed = False

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Take in a batch."""
        self._tally.take(run, records)

    def close(self) -> None:
        """Write the file.

        Raises:
            EnvironmentProblemError: It cannot be written (E502).
        """
        if self._closed:
            return
        self._closed = True
        root = _document(self._tally)
        ET.indent(root)
        data = ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"
        try:
            _replace(self._path, data)
        except OSError as error:
            raise EnvironmentProblemError(
                f"the JUnit file {self._path} cannot be written: {error}",
                code="E502",
                hint="name a file in a directory you can write to",
            ) from error


def _replace(path: Path, data: bytes) -> None:
    path = path.resolve()  # through a link, to the file it names
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():  # a device or a pipe is written to, never replaced
        path.write_bytes(data)
        return
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _document(tally: Tally) -> ET.Element:
    suite = ET.Element("testsuite", name=_clean(tally.name))
    for step in tally.steps.values():
        if step.tests is not None and step.tests.results:
            suite.extend(_test(step.name, result) for result in step.tests.results.values())
        if step.tests is None or (step.failing and not step.tests.bad):
            suite.append(_case(tally, step))
    missing = tally.total - len(tally.steps)
    if missing and tally.outcome is None:
        suite.append(_outstanding(tally, missing))
    counts = {
        "tests": len(suite),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    attributes = {key: str(count) for key, count in counts.items()} | {"time": _time(tally.duration)}
    suite.attrib.update(attributes)
    root = ET.Element("testsuites", {"name": _clean(tally.name), **attributes})
    root.append(suite)
    return root


def _case(tally: Tally, step: StepTally) -> ET.Element:
    case = ET.Element("testcase", classname=_clean(tally.name), name=_clean(step.name), time=_time(step.duration))
    if step.outcome is None:
        ET.SubElement(case, "error", message="did not finish", type="Unfinished")
    elif step.outcome in ("skipped", "cancelled"):
        words = f"{outcome_word(step.outcome)}: {step.reason}" if step.reason else outcome_word(step.outcome)
        ET.SubElement(case, _ELEMENTS[step.outcome], message=_clean(words))
    elif step.failing:
        _add_failure(case, step)
    if step.outcome is not None and step.verdicts:
        lines = [f"{verdict.outcome:<7}  {verdict_line(verdict)}" for verdict in step.verdicts]
        ET.SubElement(case, "system-out").text = _clean("\n".join(lines))
    return case


def _test(step: str, result: TestResult) -> ET.Element:
    """Return the case of one test."""
    case = ET.Element("testcase", classname=_clean(step), name=_clean(result.id), time=_time(result.duration))
    if result.file:
        case.set("file", _clean(result.file))
    if result.outcome in ("skipped", "xfailed") or result.quarantined:
        ET.SubElement(case, "skipped", message=_clean(result.message or result.outcome))
    elif result.outcome in _ELEMENTS:
        element = ET.SubElement(case, _ELEMENTS[result.outcome], message=_clean(result.message), type=result.outcome)
        element.text = _clean(result.details)
    return case


def _add_failure(case: ET.Element, step: StepTally) -> None:
    failure = step.failure
    message = failure.message if failure is not None else step.reason
    kind = failure.type if failure is not None else step.outcome
    words = outcome_word(step.outcome) if step.outcome else ""
    element = ET.SubElement(case, _ELEMENTS[step.outcome or "errored"], message=_clean(message or words))
    element.set("type", _clean(kind or ""))
    element.text = _clean("\n".join(line.removeprefix("  ") for line in case_lines(step, verbose=True)[1:]))


def _outstanding(tally: Tally, missing: int) -> ET.Element:
    name = f"{how_many(tally, missing)} not started"
    case = ET.Element("testcase", classname=_clean(tally.name), name=name, time=_time(None))
    ET.SubElement(case, "error", message="the run did not finish", type="Unfinished")
    return case


def _time(seconds: float | None) -> str:
    return f"{seconds or 0.0:.3f}"


def _clean(text: str) -> str:
    r"""Return text with the characters XML 1.0 does not allow as escapes, such as `\x1b`."""
    return _NOT_IN_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
