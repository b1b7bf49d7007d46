"""A run as a JUnit XML file, which CI systems read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from podium.errors import EnvironmentProblemError
from podium.events import outcome_word
from podium.protocols import Record
from podium.sinks.lines import case_lines, how_many, verdict_line
from podium.sinks.tally import StepTally, Tally
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

    In a run of layers, services, pauses and the verdicts of layers are cases only if they did not pass, a layer only if
    no case of its suites shows that it did not; otherwise `system-err` says why.

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
    bad: list[str] = []
    told: list[str] = []
    for step in tally.steps.values():
        if tally.work == "layers" and step.outcome is not None and not step.failing and _is_beside_suites(tally, step):
            continue
        if step.failing and _is_layer(tally, step) and any(name.startswith(f"{step.name}/") for name in bad):
            told.append(f"{step.name}: {_why(step)}")
            continue
        cases = _cases(tally, step)
        if any(case.find(element) is not None for case in cases for element in ("failure", "error")):
            bad.append(step.name)
        suite.extend(cases)
    missing = tally.total - len(tally.steps)
    if missing and tally.outcome is None:
        suite.append(_outstanding(tally, missing))
    counts = {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    attributes = {key: str(count) for key, count in counts.items()} | {"time": _time(tally.duration)}
    suite.attrib.update(attributes)
    if told:
        ET.SubElement(suite, "system-err").text = _clean("\n".join(told))
    root = ET.Element("testsuites", {"name": _clean(tally.name), **attributes})
    root.append(suite)
    return root


def _cases(tally: Tally, step: StepTally) -> list[ET.Element]:
    """Return the cases of a step: its tests, and itself if it has none or they do not show that it did not pass."""
    if step.tests is None:
        return [_case(tally, step)]
    cases = [_test(step.name, result) for result in step.tests.results.values()]
    if step.failing and not any(result.counts_as_bad for result in step.tests.bad.values()):
        cases.append(_case(tally, step))
    return cases


def _is_layer(tally: Tally, step: StepTally) -> bool:
    """Return whether a step is the verdict of a layer: its suites have names that begin with its own."""
    return tally.work == "layers" and any(name.startswith(f"{step.name}/") for name in tally.steps)


def _is_beside_suites(tally: Tally, step: StepTally) -> bool:
    return step.tests is None and (step.name.startswith(("service/", "delay/")) or _is_layer(tally, step))


def _why(step: StepTally) -> str:
    """Return why a step did not pass."""
    words = outcome_word(step.outcome) if step.outcome else ""
    return (step.failure.message if step.failure is not None else step.reason) or words


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
    kind = step.failure.type if step.failure is not None else step.outcome
    element = ET.SubElement(case, _ELEMENTS[step.outcome or "errored"], message=_clean(_why(step)))
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
