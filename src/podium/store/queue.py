"""The background queue in the store: runs that are written down before they begin, and who works on them.

A task of the queue is a run like any other; what the queue has to know of it stands in the run's options, under
`OPTION`, with the run's own id, so that a run made from its plan by a person is no task.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import msgspec

from podium.history import RunRow
from podium.store.database import transaction
from podium.store.rows import RUN_COLUMNS, run_row

OPTION = "background"
"""Option of runs that belong to the queue."""

_IS_TASK = f"json_extract(options, '$.{OPTION}.run') = id"
_FAILING = "('failed', 'errored', 'timed_out')"
_TO_REPEAT = f"""
SELECT {RUN_COLUMNS} FROM run
WHERE {_IS_TASK} AND outcome IN {_FAILING}
    AND json_extract(options, '$.{OPTION}.retried') < json_extract(options, '$.{OPTION}.retries')
    AND NOT EXISTS (
        SELECT 1 FROM run AS again WHERE again.parent = run.id AND json_extract(again.options, '$.{OPTION}.run') = again.id
    )
ORDER BY started_us, id
"""  # noqa: S608, E501 (constants)


class Task(msgspec.Struct, frozen=True):
    """What the queue knows of a run.

    Attributes:
        run: Its id.
        category: What a person may select by.
        priority: Lower numbers begin first.
        timeout: Longest duration of the run [s].
        retries: How often it is run again if it does not pass.
        retried: How often it has been run before.
        beside: Whether it may begin while a run in the foreground is under way.
        cwd: Working directory.
    """

    run: str
    category: str = ""
    priority: int = 0
    timeout: float | None = None
    retries: int = 0
    retried: int = 0
    beside: bool = False
    cwd: str = ""


class Daemon(msgspec.Struct, frozen=True):
    """The process that works on the queue.

    Attributes:
        engine: Its identity, `host:pid:start`; empty: there is none.
        seen_us: When it last said that it is there [us since the Unix epoch].
    """

    engine: str = ""
    seen_us: int = 0


def task_of(row: RunRow) -> Task | None:
    """Return what the queue knows of a run, or None if it is no task."""
    try:
        task = msgspec.convert(row.options.get(OPTION), Task)
    except msgspec.ValidationError:
        return None
    return task if task.run == row.id else None


def unfinished(connection: sqlite3.Connection) -> list[RunRow]:
    """Return the tasks without an end, oldest first."""
    return _rows(connection, f"outcome IS NULL AND {_IS_TASK} ORDER BY started_us, id", ())


def finished(connection: sqlite3.Connection, limit: int, *, category: str | None, since_us: int) -> list[RunRow]:
    """Return the tasks that are over, those that ended last first.

    Args:
        connection: Open connection.
        limit: How many at most.
        category: Only of this category.
        since_us: Only those that ended from this moment on [us since the Unix epoch].
    """
    where = (
        f"outcome IS NOT NULL AND finished_us >= ? AND {_IS_TASK} "
        f"AND coalesce(json_extract(options, '$.{OPTION}.category'), '') = coalesce(?, "
        f"json_extract(options, '$.{OPTION}.category'), '') "
        "ORDER BY finished_us DESC, id DESC LIMIT ?"
    )
    return _rows(connection, where, (since_us, category, limit))


def to_repeat(connection: sqlite3.Connection) -> list[RunRow]:
    """Return the tasks that did not pass and are to be run again, oldest first."""
    return [run_row(row) for row in connection.execute(_TO_REPEAT)]


def change_daemon(connection: sqlite3.Connection, change: Callable[[Daemon], Daemon]) -> Daemon:
    """Replace who works on the queue by what `change` makes of it, as one step even among processes; return the result.

    Nothing is written by others while `change` runs.
    """
    with transaction(connection):
        engine, seen_us = connection.execute("SELECT engine, seen_us FROM background").fetchone()
        before = Daemon(engine, seen_us)
        after = change(before)
        if after != before:
            connection.execute("UPDATE background SET engine = ?, seen_us = ?", (after.engine, after.seen_us))
    return after


def daemon(connection: sqlite3.Connection) -> Daemon:
    """Return who works on the queue."""
    return Daemon(*connection.execute("SELECT engine, seen_us FROM background").fetchone())


def _rows(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[RunRow]:
    return [run_row(row) for row in connection.execute(f"SELECT {RUN_COLUMNS} FROM run WHERE {where}", values)]  # noqa: S608
