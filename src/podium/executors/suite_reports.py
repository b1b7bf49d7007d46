"""Finds the reports a command has written, and reads them together."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from podium.events import Failure
from podium.executors.reports.detect import read_report
from podium.executors.reports.reading import Reading, ReportError, unique
from podium.plan.suites import CommandSuite
from podium.test_results import TestCounts, TestResult

LARGEST_REPORT = 1 << 28
"""Largest file that is read [byte]."""

_FOR_PEOPLE = frozenset({"auto", "pytest", "jest"})
_WAYS_OUT = "say report: {path: FILE} if it writes a file, and report: {format: exit_code} if it has no report"

Seen = Mapping[str, tuple[int, ...]]
"""Path of a file, as its pattern has found it, to what changes when it is written."""


class Evidence(msgspec.Struct, frozen=True):
    """What a command has left to tell how its tests went.

    Attributes:
        reading: What the reports say.
        problem: Why that is not all, or nothing.
    """

    reading: Reading = Reading()
    problem: Failure | None = None


def files_now(folder: Path, pattern: str) -> Seen:
    """Return the files that fit a pattern, with what tells whether they are written again.

    Only regular files count: reading a pipe may never end.
    """
    found: dict[str, tuple[int, ...]] = {}
    for name in sorted(glob.glob(pattern, root_dir=folder, recursive=True)) if pattern else ():  # noqa: PTH207
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found[name] = status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
    return found


def read_files(suite: CommandSuite, folder: Path, before: Seen, *, partial: bool) -> Evidence:
    """Read the files that were written since `before`; what cannot be read is told, and does not hide the rest."""
    now = files_now(folder, suite.report_path)
    fresh = [name for name, status in now.items() if before.get(name) != status]
    if not fresh:
        stale = f"; {len(now)} from before it began do not count" if now else ""
        return Evidence(problem=Failure("NoReport", f"the command wrote no report {suite.report_path!r}{stale}"))
    readings: list[Reading] = []
    problems: list[str] = []
    one_of_many = glob.has_magic(suite.report_path)
    for name in fresh:
        try:
            data = _content(folder / name)
            readings.append(read_report(data, suite.report, name=name, one_of_many=one_of_many, partial=partial))
        except (ReportError, OSError) as error:
            problems.append(f"{name}: {error}")
    problem = Failure("BadReport", problems[0], "\n".join(problems[1:])) if problems else None
    return Evidence(_together(readings, folder), problem)


def read_printed(suite: CommandSuite, folder: Path, streams: Mapping[str, bytes], *, partial: bool) -> Evidence:
    """Read what the command printed.

    Args:
        suite: What was asked for.
        folder: Its working directory.
        streams: `stdout` and `stderr`; the second is looked at for what is meant for people, as Jest prints it there.
        partial: The report may end too early.
    """
    names = ("stdout", "stderr") if suite.report in _FOR_PEOPLE else ("stdout",)
    errors: list[str] = []
    for name in names:
        try:
            return Evidence(_together([read_report(streams.get(name, b""), suite.report, partial=partial)], folder))
        except ReportError as error:
            errors.append(str(error))
    hint = _WAYS_OUT if suite.report == "auto" else ""
    if not any(streams.get(name, b"").strip() for name in names):
        return Evidence(problem=Failure("NoReport", "the command printed nothing", hint))
    return Evidence(problem=Failure("BadReport", f"standard output: {errors[0]}", hint))


def _content(path: Path) -> bytes:
    size = path.stat().st_size
    if size > LARGEST_REPORT:
        raise ReportError(f"it has {size} bytes, more than {LARGEST_REPORT}")
    return path.read_bytes()


def _together(readings: list[Reading], folder: Path) -> Reading:
    results = unique(_relative(result, folder) for reading in readings for result in reading.results)
    unnamed = TestCounts()
    for reading in readings:
        for field in unnamed.__struct_fields__:
            setattr(unnamed, field, getattr(unnamed, field) + getattr(reading.unnamed, field))
    notes = tuple(dict.fromkeys(note for reading in readings for note in reading.notes))
    formats = dict.fromkeys(reading.format for reading in readings)
    return Reading(tuple(results), unnamed, notes, ", ".join(formats))


def _relative(result: TestResult, folder: Path) -> TestResult:
    """Return a result whose file, if it is in the working directory, is named from there."""
    if not os.path.isabs(result.file):  # noqa: PTH117 (called for every test)
        return result
    for beginning in dict.fromkeys((str(folder), os.path.realpath(folder))):
        if result.file.startswith(beginning.rstrip(os.sep) + os.sep):
            return msgspec.structs.replace(result, file=os.path.relpath(result.file, beginning))
    return result
