"""The store in one SQLite file: the journal, its blobs, and the read models."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Self

import msgspec

from podium.errors import StoreError, UsageError
from podium.events import AnyEvent, AttemptFinished, Failure, StepFinished, decode, encode
from podium.history import RunRow, StepRow
from podium.messages import Cancel, Message, Signal
from podium.protocols import Circuit, KnownResult, Record
from podium.store.database import Durability, connect, roll_back, transaction
from podium.store.location import locate
from podium.store.projection import Projection

_RUN_COLUMNS = """id, work, name, parent, definition, steps, slots, seed, options, engine, started_us, finished_us,
    outcome, counts, duration, output"""
_STEP_COLUMNS = (
    """step.name, step.outcome, step.attempts, step.finished_us, step.reason, step.duration, journal.event"""
)
_STEPS = f"""
SELECT run.id, {_STEP_COLUMNS} FROM step
JOIN run ON run.key = step.run
LEFT JOIN journal ON journal.run = step.run AND journal.seq = step.result_seq
"""  # noqa: S608 (no value of a user's is in it)
_KNOWN_RESULT = f"""
{_STEPS}
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

    def runs(self, limit: int | None = None, *, work: str | None = None, name: str | None = None) -> list[RunRow]:
        """Return runs, newest first.

        Args:
            limit: How many at most.
            work: Only of this kind of work.
            name: Only with this name.
        """
        rows = self._connection.execute(
            f"SELECT {_RUN_COLUMNS} FROM run WHERE work = coalesce(?, work) AND name = coalesce(?, name) "  # noqa: S608
            "ORDER BY started_us DESC, id DESC LIMIT ?",
            (work, name, -1 if limit is None else limit),
        )
        return [_run_row(row) for row in rows]

    def run(self, name: str) -> RunRow:
        """Return the run with this id, this unique beginning or end of an id, or the `latest`.

        Raises:
            UsageError: Several runs fit (U410), or none does (U411).
        """
        if name == "latest":
            found = self.runs(1)
        else:
            rows = self._connection.execute(
                f"SELECT {_RUN_COLUMNS} FROM run WHERE ? IN (substr(id, 1, ?), substr(id, -?)) "  # noqa: S608
                "ORDER BY id LIMIT 9",
                (name.lower(), len(name), len(name)),
            )
            found = [_run_row(row) for row in rows] if name else []
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"there is no run `{name}`", code="U411", hint="`podium list` shows the runs there are")
        ids = ", ".join(row.id for row in found[:8])
        raise UsageError(f"several runs fit `{name}`: {ids}", code="U410", hint="give more of the id")

    def previous(self, row: RunRow) -> RunRow:
        """Return the newest run of the same name that began before a run.

        Raises:
            UsageError: There is none (U411).
        """
        found = self._connection.execute(
            f"SELECT {_RUN_COLUMNS} FROM run WHERE name = ? AND (started_us, id) < (?, ?) "  # noqa: S608
            "ORDER BY started_us DESC, id DESC LIMIT 1",
            (row.name, row.started_us, row.id),
        ).fetchone()
        if found is None:
            raise UsageError(
                f"there is no run of the name `{row.name}` before {row.id}",
                code="U411",
                hint="`podium list` shows the runs there are",
            )
        return _run_row(found)

    def unfinished(self) -> list[RunRow]:
        """Return runs without an end: running, or left by a crash."""
        rows = self._connection.execute(f"SELECT {_RUN_COLUMNS} FROM run WHERE outcome IS NULL")  # noqa: S608
        return [_run_row(row) for row in rows]

    def steps(self, run: str) -> list[StepRow]:
        """Return the steps of a run that have their outcome, in the order in which they got it."""
        rows = self._connection.execute(
            f"{_STEPS} WHERE run.id = ? AND step.outcome IS NOT NULL ORDER BY step.finished_us, step.name", (run,)
        )
        return [_step_row(row) for row in rows]

    def history(self, name: str, limit: int = 100) -> list[StepRow]:
        """Return what a step of this name came to in earlier runs, newest first."""
        rows = self._connection.execute(
            f"{_STEPS} WHERE step.name = ? AND step.outcome IS NOT NULL ORDER BY step.finished_us DESC LIMIT ?",
            (name, limit),
        )
        return [_step_row(row) for row in rows]

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

    def known_result(self, digest: str) -> KnownResult | None:
        """Return the newest result of a step that passed, had this digest, and was not undone."""
        row = self._connection.execute(_KNOWN_RESULT, (digest,)).fetchone()
        if row is None:
            return None
        step = _step_row(row)
        return KnownResult(step.run, step.name, step.output)

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
        except sqlite3.Error as error:
            raise self._cannot_write(error) from error

    def _delete(self, runs: Sequence[str]) -> None:
        for run in runs:
            key = self._key(run)
            del self._keys[run]
            self._connection.execute("DELETE FROM message WHERE run = ?", (run,))
            for table, column in (
                ("lookup", "run"),
                ("step", "run"),
                ("journal", "run"),
                ("run", "key"),
                ("run_key", "key"),
            ):
                self._connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (key,))  # noqa: S608
        if runs:
            self._drop_unused_blobs()

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


def _run_row(row: tuple[Any, ...]) -> RunRow:
    values = dict(zip(RunRow.__struct_fields__, row, strict=True))
    values["options"] = msgspec.json.decode(values["options"])
    values["counts"] = msgspec.json.decode(values["counts"])
    values["output"] = None if values["output"] is None else msgspec.json.decode(values["output"])
    return RunRow(**values)


def _step_row(row: tuple[Any, ...]) -> StepRow:
    run, name, outcome, attempts, finished_us, reason, duration, event = row
    output: Any = None
    failure: Failure | None = None
    artifacts: dict[str, str] = {}
    if event is not None:
        result = decode(event)
        assert isinstance(result, AttemptFinished | StepFinished)
        output = result.output
        if isinstance(result, AttemptFinished):
            failure, artifacts = result.failure, result.artifacts
    return StepRow(run, name, outcome, attempts, finished_us, reason, duration, output, failure, artifacts)
