"""What the reports of pytest say about one test, in the words of test results."""

from __future__ import annotations

import re
import time
from typing import Any, NamedTuple

OUTCOMES = ("passed", "failed", "errored", "timed_out", "skipped", "xfailed", "xpassed")
PASSED, FAILED, ERRORED, TIMED_OUT, SKIPPED, XFAILED, XPASSED = range(7)
BAD = frozenset({FAILED, ERRORED, TIMED_OUT})
MOST_DETAILS = 1 << 15
"""How much text about one test is kept [characters]: the beginning and the end."""

_MOST_MESSAGE = 300
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Record(NamedTuple):
    """What one try at a test came to.

    Attributes:
        outcome: Index into `OUTCOMES`.
        duration: [s].
        ended_us: [us since the Unix epoch].
        message: One line.
        details: More lines.
        tries: How often a plugin ran it.
    """

    outcome: int
    duration: float
    ended_us: int
    message: str = ""
    details: str = ""
    tries: int = 1


def record_of(reports: list[Any]) -> Record:
    """Return what the reports of one test come to."""
    ended_us = int(time.time() * 1e6)
    duration = sum(report.duration for report in reports if not is_part(report))
    tries = _tries(reports)
    failed = [report for report in reports if report.outcome == "failed"]
    if failed:
        outcome = FAILED if any(report.when == "call" for report in failed) else ERRORED
        message = next((text for text in map(message_of, failed) if text), "")
        return Record(outcome, duration, ended_us, message, capped("\n\n".join(map(details_of, failed))), tries)
    whole = [report for report in reports if not is_part(report)]
    for report in whole:
        if hasattr(report, "wasxfail"):
            outcome = XFAILED if report.outcome == "skipped" else XPASSED
            return Record(outcome, duration, ended_us, _line(str(report.wasxfail)), "", tries)
        if report.outcome == "skipped":
            return Record(SKIPPED, duration, ended_us, why_skipped(report), "", tries)
    if not any(report.when == "call" and report.outcome == "passed" for report in whole):
        if not whole or any(report.outcome != "passed" for report in whole):
            return Record(ERRORED, duration, ended_us, "it ended without a result", "", tries)
        return Record(SKIPPED, duration, ended_us, "only its set-up was run", "", tries)
    return Record(PASSED, duration, ended_us, "", "", tries)


def _tries(reports: list[Any]) -> int:
    """Return how often a plugin ran a test: some of them keep reports of tries back, but number those they give."""
    told = sum(report.outcome == "rerun" and report.when == "call" for report in reports)
    numbers = [number for number in (getattr(report, "rerun", 0) for report in reports) if isinstance(number, int)]
    return 1 + max([told, *numbers])


def message_of(report: Any) -> str:
    """Return in one line why something did not pass."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else _telling(text_of(report))
    where = {"setup": "in set-up: ", "teardown": "in tear-down: "}.get(report.when or "", "")
    line = _line(_COLOURS.sub("", str(text)))
    return where + line if line else ""


def details_of(report: Any) -> str:
    """Return what pytest prints about something that did not pass."""
    parts = [text_of(report)]
    context = getattr(report, "context", None)
    if context is not None:
        parts.insert(0, f"subtest {getattr(context, 'msg', None) or ''} {dict(getattr(context, 'kwargs', {}) or {})}")
    parts += [f"{f' {name} ':-^80}\n{content}" for name, content in report.sections]
    return "\n".join(part for part in parts if part)


def text_of(report: Any) -> str:
    """Return the traceback of a report, or whatever it has instead."""
    try:
        return _COLOURS.sub("", _first_line_indent(report.longrepr, report.longreprtext))
    except Exception as error:  # noqa: BLE001 (representations are code of the project)
        return f"<its report cannot be shown: {error!r}>"


def _first_line_indent(longrepr: Any, text: str) -> str:
    """Return a traceback whose first line stands below the next ones: pytest strips it."""
    try:
        line = longrepr.chain[0][0].reprentries[0].lines[0]
    except (AttributeError, IndexError, TypeError):
        return text
    rest = line.lstrip(" ")
    return line[: len(line) - len(rest)] + text if text.startswith(rest) else text


def capped(text: str, most: int = MOST_DETAILS) -> str:
    """Return the beginning and the end of a text that is too long, as it can be sent."""
    text = sendable(text)
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[podium: {len(text) - 2 * half} characters left out]\n{text[-half:]}"


def is_part(report: Any) -> bool:
    """Return whether a report is about a subtest, of which a test may have many."""
    return type(report).__name__.lower() == "subtestreport"


def sendable(text: str) -> str:
    """Return a text that can be sent: surrogates that stand alone, which are no characters, are written out."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text


def why_skipped(report: Any) -> str:
    """Return in one line why a test, or a file, was skipped."""
    try:
        _, _, text = report.longrepr
    except (TypeError, ValueError):
        text = text_of(report)
    return _line(str(text)).replace("Skipped: ", "", 1)


def _line(text: str) -> str:
    lines = sendable(text).strip().splitlines()
    return lines[0].strip()[:_MOST_MESSAGE] if lines else ""


def _telling(text: str) -> str:
    """Return what says most in a text that pytest has in place of a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line[3:].strip() for line in lines if line.startswith("E  ")]
    if marked:
        return marked[-1]
    hints = [place for place, line in enumerate(lines) if line.startswith("HINT: ")]
    if hints and hints[0]:  # what is wrong stands before it
        return " ".join(lines[: hints[0]])
    return lines[-1] if lines else ""
