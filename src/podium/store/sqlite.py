"""The store in one SQLite file: the journal, its blobs, and the read models."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Self

import msgspec

from podium.errors import StoreError, UsageError
from podium.events import AnyEvent, AttemptFinished, decode, encode
from podium.history import RunRow, StepRow, TestOfRun, TestRow
from podium.messages import Cancel, Message, Signal
from podium.protocols import Circuit, KnownResult, Record, TestRecord
from podium.store import queue, test_records
from podium.store.database import Durability, connect, roll_back, transaction
from podium.store.location import locate
from podium.store.projection import Projection
from podium.store.queue import Daemon
from podium.store.rows import RUN_COLUMNS, STEPS, run_row, step_row
from podium.store.surrounding import IS_WITHIN, OPTION, surrounding_of
from podium.test_results import TestResult

_KNOWN_RESULT = f"""
{STEPS}
JOIN lookup ON lookup.run = step.run AND lookup.step = step.name
WHERE lookup.digest = ? AND NOT lookup.hit AND step.outcome = 'passed'
    AND NOT EXISTS (SELECT 1 FROM step AS undo WHERE undo.run = step.run AND undo.name = step.name || '~undo')
ORDER BY step.finished_us DESC LIMIT 1
"""  # noqa: S608 (likewise)
_IS_TAKEN = "SELECT 1 FROM journal WHERE run = ? AND seq = ?"
_BATCH = 1000
_message: msgspec.json.Decoder[Cancel | Signal] = msgspec.json.Decoder(Cancel | Signal)


class Deleted(msgspec.Struct, frozen=True):
    """What `Store.delete_runs` removed.

    Attributes:
        runs: Ids of the runs.
        freed_bytes: By how much the file shrank [byte].
    """

    runs: tuple[str, ...]
    freed_bytes: int


class Store:
    """A `podium.protocols.Journal` with the questions people ask of it. Belongs to the thread that opened it.

    Make one with `Store.open`.

    Args:
        path: The file.
        connection: Open connection to it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._thread = threading.get_ident()
        self._connection = connection
        self._keys: dict[str, int] = {}

    @classmethod
    def open(cls, path: Path, *, durability: Durability = "normal") -> Self:
        """Open the store, creating it if need be.

        Raises:
            EnvironmentProblemError: It cannot be created or written (E501).
            StoreError: It was written by a later version (E513), or is no store (E514).
        """
        return cls(path, connect(path, durability=durability))

    @staticmethod
    def locate(start: Path | None = None) -> Path:
        """Return where the store of a directory is; see `podium.store.location`."""
        return locate(start)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def append(
        self, run: str, first_seq: int, events: Sequence[AnyEvent], blobs: Mapping[str, bytes] | None = None
    ) -> None:
        """Write events, blobs and read models, all or nothing; durable on return.

        Raises:
            StoreError: Another process has written at one of these positions, or has deleted the run so that there is
                nothing before them (E511), or the store fails (E515).
        """
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            try:
                key = self._keys.get(run) or self._key(run)
                if first_seq > 1:
                    self._check_is_there(run, key, first_seq - 1)
                rows = [(key, seq, encode(event).decode()) for seq, event in enumerate(events, first_seq)]
                self._connection.executemany("INSERT INTO journal VALUES (?, ?, ?)", rows)
                if blobs:
                    packed = [(digest, len(data), zlib.compress(data, 1)) for digest, data in blobs.items()]
                    self._connection.executemany("INSERT OR IGNORE INTO blob VALUES (?, ?, ?)", packed)
                Projection(self._connection, key).take(first_seq, events)
                test_records.take(self._connection, key, first_seq, events)
                execute("COMMIT")
            except BaseException:
                self._keys.pop(run, None)
                roll_back(self._connection)
                raise
        except sqlite3.IntegrityError as error:
            raise StoreError(
                f"position {first_seq} of run {run} is taken: another process continues this run", code="E511"
            ) from error
        except sqlite3.Error as error:
            raise self._cannot_write(error) from error

    def read(self, run: str, after: int = 0) -> Iterator[Record]:
        """Yield the run's records with `seq > after`, in order."""
        while True:
            rows = self._connection.execute(
                "SELECT seq, event FROM journal JOIN run_key ON key = run "
                "WHERE id = ? AND seq > ? ORDER BY seq LIMIT ?",
                (run, after, _BATCH),
            ).fetchall()
            for seq, event in rows:
                yield Record(seq, decode(event))
            if len(rows) < _BATCH:
                return
            after = rows[-1][0]

    def blob(self, digest: str) -> bytes:
        """Return stored bytes.

        Raises:
            StoreError: No blob has this digest (E512).
        """
        row = self._connection.execute("SELECT data FROM blob WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise StoreError(f"the store holds no blob {digest}", code="E512")
        return zlib.decompress(row[0])

    def runs(
        self, limit: int | None = None, *, work: str | None = None, name: str | None = None, inner: bool = True
    ) -> list[RunRow]:
        """Return runs, newest first.

        Args:
            limit: How many at most.
            work: Only of this kind of work.
            name: Only with this name.
            inner: Also those that a step of another run started.
        """
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM run WHERE work = coalesce(?, work) AND name = coalesce(?, name) "  # noqa: S608
            f"AND (? OR NOT {IS_WITHIN}) ORDER BY started_us DESC, id DESC LIMIT ?",
            (work, name, inner, -1 if limit is None else limit),
        )
        return [run_row(row) for row in rows]

    def runs_within(self, run: str, step: str) -> list[RunRow]:
        """Return the runs that a step of a run started, in the order in which they began."""
        rows = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM run WHERE json_extract(options, '$.{OPTION}.run') = ? "  # noqa: S608
            f"AND json_extract(options, '$.{OPTION}.step') = ? ORDER BY started_us, id",
            (run, step),
        )
        return [run_row(row) for row in rows]

    def has(self, run: str) -> bool:
        """Return whether there is a run with exactly this id."""
        return self._connection.execute("SELECT 1 FROM run WHERE id = ?", (run,)).fetchone() is not None

    def run(self, name: str) -> RunRow:
        """Return the run with this id, this unique beginning or end of an id, or the `latest`.

        A run that a step of another run started is never the latest.

        Raises:
            UsageError: Several runs fit (U410), or none does (U411).
        """
        if name == "latest":
            found = self.runs(1, inner=False)
        else:
            rows = self._connection.execute(
                f"SELECT {RUN_COLUMNS} FROM run WHERE ? IN (substr(id, 1, ?), substr(id, -?)) "  # noqa: S608
                "ORDER BY id LIMIT 9",
                (name.lower(), len(name), len(name)),
            )
            found = [run_row(row) for row in rows] if name else []
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"there is no run `{name}`", code="U411", hint="`podium list` shows the runs there are")
        ids = ", ".join(row.id for row in found[:8])
        raise UsageError(f"several runs fit `{name}`: {ids}", code="U410", hint="give more of the id")

    def previous(self, row: RunRow) -> RunRow:
        """Return the newest run of the same name that began before a run.

        Runs that a step of another run started only count if this one is such a run, too.

        Raises:
            UsageError: There is none (U411).
        """
        found = self._connection.execute(
            f"SELECT {RUN_COLUMNS} FROM run WHERE name = ? AND (started_us, id) < (?, ?) "  # noqa: S608
            f"AND (? OR NOT {IS_WITHIN}) ORDER BY started_us DESC, id DESC LIMIT 1",
            (row.name, row.started_us, row.id, surrounding_of(row) is not None),
        ).fetchone()
        if found is None:
            raise UsageError(
                f"there is no run of the name `{row.name}` before {row.id}",
                code="U411",
                hint="`podium list` shows the runs there are",
            )
        return run_row(found)

    def unfinished(self) -> list[RunRow]:
        """Return runs without an end: running, or left by a crash."""
        rows = self._connection.execute(f"SELECT {RUN_COLUMNS} FROM run WHERE outcome IS NULL")  # noqa: S608
        return [run_row(row) for row in rows]

    def steps(self, run: str) -> list[StepRow]:
        """Return the steps of a run that have their outcome, in the order in which they got it."""
        rows = self._connection.execute(
            f"{STEPS} WHERE run.id = ? AND step.outcome IS NOT NULL ORDER BY step.finished_us, step.name", (run,)
        )
        return [step_row(row) for row in rows]

    def history(self, name: str, limit: int = 100) -> list[StepRow]:
        """Return what a step of this name came to in earlier runs, newest first."""
        rows = self._connection.execute(
            f"{STEPS} WHERE step.name = ? AND step.outcome IS NOT NULL ORDER BY step.finished_us DESC LIMIT ?",
            (name, limit),
        )
        return [step_row(row) for row in rows]

    def durations(self, names: Sequence[str]) -> dict[str, float]:
        """Return for each step that has passed before the median duration of the last five passes [s]."""
        if self._connection.execute("SELECT 1 FROM step LIMIT 1").fetchone() is None:
            return {}
        found: dict[str, float] = {}
        for name in names:
            rows = self._connection.execute(
                "SELECT duration FROM step WHERE name = ? AND outcome = 'passed' AND duration IS NOT NULL "
                "ORDER BY finished_us DESC LIMIT 5",
                (name,),
            ).fetchall()
            if rows:
                found[name] = median(row[0] for row in rows)
        return found

    def update(self, target: str, change: Callable[[Circuit], Circuit]) -> None:
        """Replace the circuit of a target by what `change` makes of it, as one step even among processes.

        Raises:
            StoreError: The store fails (E515).
        """
        try:
            with transaction(self._connection):
                row = self._connection.execute("SELECT circuit FROM circuit WHERE target = ?", (target,)).fetchone()
                circuit = Circuit() if row is None else msgspec.json.decode(row[0], type=Circuit)
                changed = change(circuit)
                if changed != circuit:
                    text = msgspec.json.encode(changed).decode()
                    self._connection.execute("INSERT OR REPLACE INTO circuit VALUES (?, ?)", (target, text))
        except sqlite3.Error as error:
            raise self._cannot_write(error) from error

    def circuits(self) -> dict[str, Circuit]:
        """Return the circuits of all targets."""
        rows = self._connection.execute("SELECT target, circuit FROM circuit ORDER BY target")
        return {target: msgspec.json.decode(text, type=Circuit) for target, text in rows}

    def tests(self, origin: str) -> dict[str, TestRecord]:
        """Return what is known of the tests of one origin, by id. May be called from any thread."""
        if threading.get_ident() != self._thread:
            with contextlib.closing(Store.open(self.path)) as own:
                return own.tests(origin)
        self._learn()
        return test_records.records(self._connection, origin)

    def test_rows(self, *, troubled: bool = False) -> list[TestRow]:
        """Return what is known of all tests, by origin and id.

        Args:
            troubled: Only tests that have failed, or passed only when they were tried again.
        """
        self._learn()
        return test_records.rows(self._connection, troubled=troubled)

    def results_of(self, run: str, step: str | None = None) -> dict[tuple[str, str], TestResult]:
        """Return what the tests of a run came to, by step and id; see `podium.store.test_records`.

        Args:
            run: Run id.
            step: Only tests of this step.
        """
        return test_records.results_of(self._connection, run, step)

    def not_passed(self, run: str) -> list[TestOfRun]:
        """Return the tests of a run that did not simply pass, flaky ones included, by step and id."""
        self._learn()
        return test_records.not_passed(self._connection, run)

    def known_result(self, digest: str) -> KnownResult | None:
        """Return the newest result of a step that passed, had this digest, and was not undone."""
        row = self._connection.execute(_KNOWN_RESULT, (digest,)).fetchone()
        if row is None:
            return None
        step = step_row(row)
        return KnownResult(step.run, step.name, step.output)

    def tasks(self) -> list[RunRow]:
        """Return the runs of the background queue without an end, oldest first."""
        return queue.unfinished(self._connection)

    def tasks_done(self, limit: int | None = None, *, category: str | None = None, since_us: int = 0) -> list[RunRow]:
        """Return the runs of the background queue that are over, those that ended last first.

        Args:
            limit: How many at most.
            category: Only of this category.
            since_us: Only those that ended from this moment on [us since the Unix epoch].
        """
        most = -1 if limit is None else limit
        return queue.finished(self._connection, most, category=category, since_us=since_us)

    def tasks_to_repeat(self) -> list[RunRow]:
        """Return the runs of the background queue that did not pass and are to be run again, oldest first."""
        return queue.to_repeat(self._connection)

    @property
    def daemon(self) -> Daemon:
        """Who works on the background queue."""
        return queue.daemon(self._connection)

    def change_daemon(self, change: Callable[[Daemon], Daemon]) -> Daemon:
        """Replace who works on the background queue by what `change` makes of it, and return it.

        That is one step even among processes: nothing is written by others while `change` runs.

        Raises:
            StoreError: The store fails (E515).
        """
        try:
            return queue.change_daemon(self._connection, change)
        except sqlite3.Error as error:
            raise self._cannot_write(error) from error

    def send(self, run: str, content: Cancel | Signal) -> None:
        """Tell a run something; it takes it in when it runs.

        Raises:
            StoreError: The store fails (E515).
        """
        text = msgspec.json.encode(content).decode()
        try:
            self._connection.execute("INSERT INTO message (run, message) VALUES (?, ?)", (run, text))
        except sqlite3.Error as error:
            raise self._cannot_write(error) from error

    def messages(self, run: str, after: int = 0) -> list[Message]:
        """Return what a run was told, in order.

        Args:
            run: Run id.
            after: Only messages with a larger number.
        """
        rows = self._connection.execute(
            "SELECT id, message FROM message WHERE run = ? AND id > ? ORDER BY id", (run, after)
        )
        return [Message(number, _message.decode(text)) for number, text in rows]

    def told_since(self, after: int) -> list[tuple[str, Message]]:
        """Return what any run was told, with its id, in order; only messages with a larger number."""
        rows = self._connection.execute("SELECT run, id, message FROM message WHERE id > ? ORDER BY id", (after,))
        return [(run, Message(number, _message.decode(text))) for run, number, text in rows]

    def delete_runs(self, older_than_us: int, *, is_running: Callable[[RunRow], bool]) -> Deleted:
        """Delete runs that began before a moment, with all that belongs only to them.

        Args:
            older_than_us: The moment [us since the Unix epoch].
            is_running: Whether an unfinished run is under way; such a run stays.

        Raises:
            StoreError: The store fails (E515).
        """
        before = self._size()
        try:
            with transaction(self._connection):
                old = [row for row in self.runs() if row.started_us < older_than_us]
                test_records.learn(self._connection)
                ids = tuple(row.id for row in old if row.outcome is not None or not is_running(row))
                self._delete(ids)
            if ids:
                self._connection.execute("VACUUM")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise self._cannot_write(error) from error
        return Deleted(ids, max(0, before - self._size()))

    def check(self) -> None:
        """Let SQLite check the file.

        Raises:
            StoreError: It is damaged (E516).
        """
        (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise StoreError(f"the store {self.path} is damaged: {found}", code="E516", hint="restore it from a backup")

    def rebuild(self) -> None:
        """Make the read models anew from the journal.

        Raises:
            StoreError: The store fails (E515).
        """
        try:
            with transaction(self._connection):
                self._connection.execute("DELETE FROM lookup")
                self._connection.execute("DELETE FROM step")
                self._connection.execute("DELETE FROM run")
                keys = self._connection.execute("SELECT key, id FROM run_key ORDER BY key").fetchall()
                for key, run in keys:
                    Projection(self._connection, key).take(1, [record.event for record in self.read(run)])
                test_records.rebuild(self._connection)
        except sqlite3.Error as error:
            raise self._cannot_write(error) from error

    def _delete(self, runs: Sequence[str]) -> None:
        for run in runs:
            key = self._key(run)
            del self._keys[run]
            self._connection.execute("DELETE FROM message WHERE run = ?", (run,))
            for table, column in (
                ("lookup", "run"),
                ("test_news", "run"),
                ("test_outcome", "run"),
                ("step", "run"),
                ("journal", "run"),
                ("run", "key"),
                ("run_key", "key"),
            ):
                self._connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (key,))  # noqa: S608
        if runs:
            self._drop_unused_blobs()

    def _learn(self) -> None:
        """Learn what tests came to from runs that are under way, or were left by a crash."""
        if test_records.has_news(self._connection):
            try:
                with transaction(self._connection):
                    test_records.learn(self._connection)
            except sqlite3.Error as error:
                raise self._cannot_write(error) from error

    def _cannot_write(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"the store {self.path} cannot be written: {error}", code="E515")

    def _check_is_there(self, run: str, key: int, seq: int) -> None:
        if self._connection.execute(_IS_TAKEN, (key, seq)).fetchone() is None:
            raise StoreError(
                f"run {run} has no position {seq} to go on from: another process has deleted it", code="E511"
            )

    def _key(self, run: str) -> int:
        self._connection.execute("INSERT OR IGNORE INTO run_key (id) VALUES (?)", (run,))
        key = int(self._connection.execute("SELECT key FROM run_key WHERE id = ?", (run,)).fetchone()[0])
        self._keys[run] = key
        return key

    def _drop_unused_blobs(self) -> None:
        used: set[str] = {row[0] for row in self._connection.execute("SELECT definition FROM run")}
        rows = self._connection.execute(
            "SELECT event FROM journal WHERE json_extract(event, '$.kind') = 'attempt_finished' "
            "AND json_extract(event, '$.artifacts') IS NOT NULL"
        )
        for (event,) in rows:
            finished = decode(event)
            assert isinstance(finished, AttemptFinished)
            used.update(finished.artifacts.values())
        unused = [row for row in self._connection.execute("SELECT digest FROM blob").fetchall() if row[0] not in used]
        self._connection.executemany("DELETE FROM blob WHERE digest = ?", unused)

    def _size(self) -> int:
        pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
        size = self._connection.execute("PRAGMA page_size").fetchone()[0]
        return int(pages) * int(size)
