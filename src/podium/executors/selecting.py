"""Which of the tests that were found are run: named ones, those a change may affect, a shard, the best for the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from podium.executors.found import Chosen, FoundTest
from podium.executors.sharding import shard_of
from podium.plan.impact import Impact, place_in_project
from podium.plan.suites import PytestSuite, Suite
from podium.protocols import TestRecord
from podium.test_results import BAD

_ASSUMED = 1.0
"""Duration of a test when none is known of any [s]."""
_RECENT_US = 7 * 24 * 3_600_000_000
"""A failure this long before the newest known result still says something [us]."""
_FEW = 3
_Records = Mapping[str, TestRecord]


def select(
    found: Sequence[FoundTest],
    suite: Suite,
    records: _Records,
    *,
    project: Path,
    impact_since: Callable[[str], Impact | None],
) -> Chosen:
    """Choose the tests to be run, by `suite.selection`: `only`, then `changed`, then `shard`, then `budget`.

    The same arguments and the same files give the same choice, on every machine. Tests that failed or were skipped last
    time, and tests that were not run since the last full run began, are chosen whatever changed.

    Args:
        found: All tests of the suite.
        suite: Its selection, its working directory.
        records: What is known of its tests, by id.
        project: The project's folder.
        impact_since: Returns what may be affected by what changed since a revision, by default the last full run.

    Raises:
        UsageError: `since` is no revision (U450), or the project is in no repository of git (U451).
    """
    selection = suite.selection
    left = list(found)
    notes: list[str] = []
    if selection.only:
        left = _named(left, selection.only, notes)
    impact = None
    if selection.changed or selection.budget is not None:
        impact = impact_since(selection.since)
    place = _places(suite, project)
    if selection.changed:
        left = _changed(left, impact, records, place, notes)
    expected = _durations(left, records)
    number, count = selection.shard
    if count > 1:
        mine = shard_of(left, expected, number, count)
        notes.append(f"shard {number} of {count}: {len(mine):,} of {len(left):,} tests")
        left = mine
    if selection.budget is not None:
        left = _affordable(left, suite, records, lambda test: _is_touched(impact, place(test)), notes)
    return Chosen(tuple(test.id for test in left), len(found) - len(left), tuple(notes))


def _named(tests: Sequence[FoundTest], only: Sequence[str], notes: list[str]) -> list[FoundTest]:
    wanted = frozenset(only)
    there = {test.id for test in tests}
    gone = [name for name in dict.fromkeys(only) if name not in there]
    if gone:
        more = f" and {len(gone) - _FEW} more" if len(gone) > _FEW else ""
        what = "1 test is" if len(gone) == 1 else f"{len(gone):,} tests are"
        notes.append(f"{what} not found any more: {', '.join(gone[:_FEW])}{more}")
    return [test for test in tests if test.id in wanted]


def _places(suite: Suite, project: Path) -> Callable[[FoundTest], str]:
    """Return a function that gives the file of a test relative to the project; empty if it is not in it."""
    folder = suite.cwd
    if Path(folder).is_absolute():
        here, top = Path(folder).resolve(), project.resolve()
        if not here.is_relative_to(top):
            return lambda _: ""
        folder = here.relative_to(top).as_posix()
    known: dict[str, str] = {}

    def place(test: FoundTest) -> str:
        if test.file not in known:
            known[test.file] = place_in_project(folder, test.file)
        return known[test.file]

    return place


def _changed(
    tests: list[FoundTest],
    impact: Impact | None,
    records: _Records,
    place: Callable[[FoundTest], str],
    notes: list[str],
) -> list[FoundTest]:
    if impact is None:
        why = "no full run is remembered to compare with (the next run of all tests is)"
        notes.append(f"{why}: all tests are selected")
        return tests
    if impact.everything:
        notes.append(f"all tests are selected: {impact.everything}")
        return tests
    files = {place(test) for test in tests}
    spared = {file for file in files if file and not impact.touches(file)}
    what = f"be affected by: {impact.in_words}" if impact.changed else "come to anything else: no file changed"
    notes.append(f"{len(spared):,} of {len(files):,} test files cannot {what}")
    kept = [test for test in tests if place(test) not in spared or not impact.settled(records.get(test.id))]
    extra = sum(place(test) in spared for test in kept)
    if extra:
        why = "they failed or were skipped last time, or were not run since the last full run began"
        notes.append(f"{extra:,} of their tests are run all the same: {why}")
    return kept


def _durations(tests: Iterable[FoundTest], records: _Records) -> dict[str, float]:
    """Return how long each test is expected to take: as recorded, else the median of those recorded [s]."""
    ids = [test.id for test in tests]
    known = {name: records[name].duration for name in ids if name in records and records[name].duration > 0}
    typical = median(known.values()) if known else _ASSUMED
    return {name: known.get(name, typical) for name in ids}


def _affordable(
    tests: list[FoundTest],
    suite: Suite,
    records: _Records,
    is_touched: Callable[[FoundTest], bool],
    notes: list[str],
) -> list[FoundTest]:
    """Return the tests with the most evidence per second that fit in the budget."""
    selection = suite.selection
    workers = suite.workers if isinstance(suite, PytestSuite) else 1
    room = (selection.budget or 0.0) * max(1, workers)
    newest = max((record.last_us for record in records.values()), default=0)
    expected = _durations(tests, records)
    cost = {name: duration * max(1, selection.repeat) for name, duration in expected.items()}

    def rank(test: FoundTest) -> tuple[int, float, str]:
        record = records.get(test.id)
        if record is not None and _failed_recently(record, newest):
            group = 0
        else:
            group = 1 if is_touched(test) else 2 if record is None else 3
        return group, -_likelihood(record) / max(cost[test.id], 1e-6), test.id

    chosen: set[str] = set()
    for test in sorted(tests, key=rank):
        if cost[test.id] <= room:
            room -= cost[test.id]
            chosen.add(test.id)
    missing = [test for test in tests if test.id not in chosen]
    if tests and not any(test.id in records and records[test.id].duration > 0 for test in tests):
        notes.append(f"no durations are known yet: {_ASSUMED:g} s is assumed for each test")
    if missing:
        more = sum(cost[test.id] for test in missing) / max(1, workers)
        notes.append(f"left out {len(missing):,} of {len(tests):,} tests that need about {_about(more)} more")
    return [test for test in tests if test.id in chosen]


def _is_touched(impact: Impact | None, file: str) -> bool:
    """Tell whether a change is known to affect a file; what affects everything makes no difference between tests."""
    return impact is not None and bool(impact.changed) and not impact.everything and impact.touches(file)


def _failed_recently(record: TestRecord, newest_us: int) -> bool:
    return record.outcome in BAD or (record.last_bad_us > 0 and record.last_bad_us >= newest_us - _RECENT_US)


def _likelihood(record: TestRecord | None) -> float:
    """Return how likely a test is not to pass, by the rule of succession.

    Source: Laplace, Essai philosophique sur les probabilités (1814): (failures + 1) / (runs + 2).
    """
    return 0.5 if record is None else (record.failures + record.flaky + 1) / (record.runs + 2)


def _about(seconds: float) -> str:
    minute, hour = 60, 3600
    if seconds < minute:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / minute)} min" if seconds < hour else f"{seconds / hour:.1f} h"
