"""What the store keeps about single tests: their history over all runs, and which did not simply pass in each run.

`test` is learned from the journal and outlives it: deleting a run takes none of it back. `test_outcome` is a read model
of its run. While a run is under way only the places of its results are noted (`test_news`); they are learned from when
it is over, or when somebody asks, because tests come in any order and each batch would touch most of the table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from podium.events import AnyEvent, RunFinished, TestsFinished, decode
from podium.history import FLAKY_SIGN, RECENT, SIGNS, TestOfRun, TestRow
from podium.protocols import TestRecord
from podium.test_results import BAD, TestResult

_NEWEST_SHARE = 0.3
"""How much of the expected duration comes from the newest run; less runs than that make up are averaged."""
_UNMEASURED = ("skipped", "errored")
"""Outcomes whose duration does not say how long the test takes."""
_TESTS = '{"kind":"tests_finished"'
"""How events begin that have results of tests; `podium.events.encode` puts the kind first."""

_LEARN = f"""
INSERT INTO test VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (origin, id) DO UPDATE SET
    duration = CASE
        WHEN excluded.duration = 0 THEN duration
        WHEN duration = 0 THEN excluded.duration
        ELSE duration + (excluded.duration - duration) * max({_NEWEST_SHARE}, 1.0 / (runs + 1))
    END,
    outcome = excluded.outcome,
    runs = runs + excluded.runs,
    failures = failures + excluded.failures,
    flaky = flaky + excluded.flaky,
    last_us = max(last_us, excluded.last_us),
    last_bad_us = max(last_bad_us, excluded.last_bad_us),
    recent = substr(recent || excluded.recent, -{RECENT})
"""  # noqa: S608 (two constants)
_NOTE = "INSERT OR REPLACE INTO test_outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM test_outcome WHERE run = ? AND step = ? AND id = ?"
_NOTED = """
SELECT id, flaky OR outcome IN ('failed', 'errored', 'timed_out') FROM test_outcome WHERE run = ? AND step = ?
"""
_EVENTS = f"""
SELECT seq, event FROM journal JOIN run_key ON key = run
WHERE id = ? AND substr(event, 1, {len(_TESTS)}) = '{_TESTS}' ORDER BY seq
"""  # noqa: S608 (a constant)
_NEWS = "SELECT run, seq FROM test_news JOIN journal USING (run, seq) ORDER BY json_extract(event, '$.at_us'), run, seq"
_ALL_IS_NEWS = f"""
INSERT INTO test_news SELECT run, seq FROM journal WHERE substr(event, 1, {len(_TESTS)}) = '{_TESTS}'
"""  # noqa: S608 (a constant)
_AT_ONCE = 100_000
"""After how many results they are written, to bound memory."""
_PLACE = itemgetter(0, 1)
_COLUMNS = "duration, outcome, runs, failures, flaky, last_us, last_bad_us"


def take(connection: sqlite3.Connection, key: int, first_seq: int, events: Sequence[AnyEvent]) -> None:
    """Note which events of a run say something about tests, and learn from them when the run is over.

    Args:
        connection: Open transaction.
        key: The run's key.
        first_seq: Position of the first event.
        events: Events in order.
    """
    news = [(key, seq) for seq, event in enumerate(events, first_seq) if isinstance(event, TestsFinished)]
    if news:
        connection.executemany("INSERT INTO test_news VALUES (?, ?)", news)
    if any(isinstance(event, RunFinished) for event in events):
        learn(connection)


def learn(connection: sqlite3.Connection) -> None:
    """Learn from all that is new, in the order in which it happened, inside the caller's transaction."""
    notebook = _Notebook(connection)
    for key, seq in connection.execute(_NEWS).fetchall():
        row = connection.execute("SELECT event FROM journal WHERE run = ? AND seq = ?", (key, seq)).fetchone()
        event = decode(row[0])
        assert isinstance(event, TestsFinished)
        notebook.take(key, seq, event)
    notebook.flush()
    connection.execute("DELETE FROM test_news")


def has_news(connection: sqlite3.Connection) -> bool:
    """Return whether there is something to learn from."""
    return connection.execute("SELECT 1 FROM test_news LIMIT 1").fetchone() is not None


class _Notebook:
    """Collects what is to be written, because rows in the order of their keys are written several times faster."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._noted: dict[tuple[int, str], dict[str, bool]] = {}
        self._lessons: list[tuple[Any, ...]] = []
        self._notes: dict[tuple[int, str, str], tuple[Any, ...] | None] = {}

    def take(self, key: int, seq: int, event: TestsFinished) -> None:
        """Take in an event of the run with this key."""
        origin, at_us, step = event.origin, event.at_us, event.step
        noted = self._noted_of(key, step)
        for result in event.results:
            name = result.id
            if result.outcome == "passed" and not result.flaky and name not in noted:  # most are so
                lesson = (origin, name, result.duration, "passed", 1, 0, 0, result.finished_us or at_us, 0, ".")
                self._lessons.append(lesson)
                continue
            settled = _settled(result) if noted.get(name) else result
            self._lessons.append(_lesson(origin, settled, at_us))
            simply = settled.outcome == "passed" and not settled.flaky
            row = (key, step, name, origin, settled.outcome, settled.flaky, settled.duration, seq)
            self._notes[key, step, name] = None if simply else row
            noted[name] = _is_troubled(settled)
        if len(self._lessons) > _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what is collected."""
        self._lessons.sort(key=_PLACE)
        self._connection.executemany(_LEARN, self._lessons)
        self._connection.executemany(_FORGET, [place for place, row in self._notes.items() if row is None])
        self._connection.executemany(_NOTE, [row for row in self._notes.values() if row is not None])
        self._lessons = []
        self._notes = {}

    def _noted_of(self, key: int, step: str) -> dict[str, bool]:
        """Return which tests of a step did not simply pass so far, and whether they were bad or flaky."""
        if (key, step) not in self._noted:
            self._noted[key, step] = dict(self._connection.execute(_NOTED, (key, step)).fetchall())
        return self._noted[key, step]


def _is_troubled(result: TestResult) -> bool:
    return result.flaky or result.outcome in BAD


def _settled(result: TestResult) -> TestResult:
    """Return the result of a test that had not passed before in the same run: if it does now, it is flaky."""
    return msgspec.structs.replace(result, flaky=True) if result.outcome == "passed" else result


def _lesson(origin: str, result: TestResult, at_us: int) -> tuple[Any, ...]:
    bad = result.outcome in BAD
    done_us = result.finished_us or at_us
    return (
        origin,
        result.id,
        0.0 if result.outcome in _UNMEASURED else result.duration,
        result.outcome,
        int(result.outcome != "skipped"),
        int(bad),
        int(result.flaky),
        done_us,
        done_us if bad else 0,
        FLAKY_SIGN if result.flaky else SIGNS[result.outcome],
    )


def records(connection: sqlite3.Connection, origin: str) -> dict[str, TestRecord]:
    """Return what is known of the tests of an origin, by id."""
    rows = connection.execute(f"SELECT id, {_COLUMNS} FROM test WHERE origin = ?", (origin,))  # noqa: S608
    return {row[0]: TestRecord(*row[1:]) for row in rows}


def rows(connection: sqlite3.Connection, *, troubled: bool) -> list[TestRow]:
    """Return what is known of all tests, by origin and id.

    Args:
        connection: Open connection.
        troubled: Only tests that have failed, or passed only when they were tried again.
    """
    where = "WHERE failures OR flaky" if troubled else ""
    found = connection.execute(f"SELECT origin, id, {_COLUMNS}, recent FROM test {where} ORDER BY origin, id")  # noqa: S608
    return [TestRow(*row) for row in found]


def results_of(connection: sqlite3.Connection, run: str, step: str | None = None) -> dict[tuple[str, str], TestResult]:
    """Return what the tests of a run came to, by step and id, in the order in which they ended first.

    The latest result of a test counts; what passed in an earlier attempt of its step stands unless it was run again.

    Args:
        connection: Open connection.
        run: Run id.
        step: Only tests of this step.
    """
    found: dict[tuple[str, str], TestResult] = {}
    for _, event in _events(connection, run):
        if step is not None and event.step != step:
            continue
        for result in event.results:
            place = event.step, result.id
            earlier = found.get(place)
            found[place] = result if earlier is None or not _is_troubled(earlier) else _settled(result)
    return found


def not_passed(connection: sqlite3.Connection, run: str) -> list[TestOfRun]:
    """Return the tests of a run that did not simply pass, flaky ones included, by step and id."""
    noted = connection.execute(
        "SELECT step, test_outcome.id, origin, flaky, seq FROM test_outcome JOIN run_key ON key = run "
        "WHERE run_key.id = ? ORDER BY step, test_outcome.id",
        (run,),
    ).fetchall()
    wanted = {seq for *_, seq in noted}
    told: dict[tuple[int, str], TestResult] = {}
    for seq, event in _events(connection, run, wanted):
        told.update(((seq, result.id), result) for result in event.results)
    return [
        TestOfRun(step, origin, msgspec.structs.replace(told[seq, name], flaky=bool(flaky)))
        for step, name, origin, flaky, seq in noted
    ]


def rebuild(connection: sqlite3.Connection) -> None:
    """Learn everything anew from the journal, inside the caller's transaction.

    A test of which more was known than the journal tells keeps what was known: runs it was learned from are deleted.
    """
    connection.execute("DELETE FROM test_news")
    connection.execute("DELETE FROM test_outcome")
    connection.execute("CREATE TEMP TABLE known AS SELECT * FROM test")
    connection.execute("DELETE FROM test")
    connection.execute(_ALL_IS_NEWS)
    learn(connection)
    connection.execute(
        "INSERT OR REPLACE INTO test SELECT known.* FROM temp.known AS known LEFT JOIN test USING (origin, id) "
        "WHERE test.id IS NULL OR known.runs > test.runs"
    )
    connection.execute("DROP TABLE temp.known")


def _events(
    connection: sqlite3.Connection, run: str, only: set[int] | None = None
) -> Iterator[tuple[int, TestsFinished]]:
    """Yield events of a run that have results of tests, or only those at some positions."""
    for seq, text in connection.execute(_EVENTS, (run,)):
        if only is None or seq in only:
            event = decode(text)
            assert isinstance(event, TestsFinished)
            yield seq, event
