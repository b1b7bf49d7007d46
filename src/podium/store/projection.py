"""Events to read models: the rows of `run` and `step`, in batches."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from podium.events import (
    AnyEvent,
    AttemptFinished,
    CacheChecked,
    Event,
    FallbackTaken,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
)

_INSERT_RUN = """
INSERT INTO run (key, id, work, name, parent, definition, steps, slots, seed, options, engine, started_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_RESUME_RUN = "UPDATE run SET engine = ?, outcome = NULL, finished_us = NULL WHERE key = ?"
_LAST_PART = """
WITH entry AS (
    SELECT seq, json_extract(event, '$.at_us') AS at_us, json_extract(event, '$.kind') AS kind
    FROM journal WHERE run = :run AND seq < :seq
), start AS (SELECT seq, at_us FROM entry WHERE kind IN ('run_started', 'run_resumed') ORDER BY seq DESC LIMIT 1)
SELECT max(entry.at_us) - start.at_us, max(entry.kind = 'run_finished') FROM entry, start WHERE entry.seq >= start.seq
"""
_ADD_PART = "UPDATE run SET duration = coalesce(duration, 0) + ? WHERE key = ?"
_REOPEN_STEPS = "UPDATE step SET outcome = NULL WHERE run = ? AND outcome = 'cancelled'"
_FINISH_RUN = """
UPDATE run SET outcome = ?, finished_us = ?, counts = ?, duration = coalesce(duration, 0) + ?, output = ? WHERE key = ?
"""
_UPSERT_STEP = """
INSERT INTO step (run, name, outcome, attempts, finished_us, reason, duration, result_seq)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, name) DO UPDATE SET
    outcome = excluded.outcome,
    attempts = excluded.attempts,
    finished_us = excluded.finished_us,
    reason = excluded.reason,
    duration = coalesce(excluded.duration, duration),
    result_seq = coalesce(excluded.result_seq, result_seq)
"""


_LOOK_UP = "INSERT OR REPLACE INTO lookup (run, step, digest, hit) VALUES (?, ?, ?, ?)"


_FORGET_LOOKUP = "DELETE FROM lookup WHERE run = ? AND step = ?"


class Projection:
    """Writes the read models of one run's events inside the caller's transaction.

    Args:
        connection: Open transaction.
        key: The run's key.
    """

    def __init__(self, connection: sqlite3.Connection, key: int) -> None:
        self._connection = connection
        self._key = key
        self._results: dict[str, tuple[float, int, int]] = {}
        self._rows: dict[str, tuple[Any, ...]] = {}
        self._seq = 0
        self._takers: dict[type[Event], Callable[[Any], None]] = {
            RunStarted: self._run_started,
            RunResumed: self._run_resumed,
            RunFinished: self._run_finished,
            AttemptFinished: self._attempt_finished,
            CacheChecked: self._cache_checked,
            FallbackTaken: self._fallback_taken,
            StepFinished: self._step_finished,
        }

    def take(self, first_seq: int, events: Sequence[AnyEvent]) -> None:
        """Write what these events change."""
        takers = self._takers
        for self._seq, event in enumerate(events, first_seq):
            taker = takers.get(type(event))
            if taker is not None:
                taker(event)
        self._flush()

    def _flush(self) -> None:
        for name, (duration, seq, at_us) in self._results.items():
            self._rows[name] = (self._key, name, None, 0, at_us, "", duration, seq)
        if self._rows:
            self._connection.executemany(_UPSERT_STEP, self._rows.values())
        self._results = {}
        self._rows = {}

    def _run_started(self, event: RunStarted) -> None:
        row = (
            self._key,
            event.run,
            event.work,
            event.name,
            event.parent,
            event.definition,
            event.steps,
            event.slots,
            event.seed,
            msgspec.json.encode(event.options).decode(),
            event.engine,
            event.at_us,
        )
        self._connection.execute(_INSERT_RUN, row)

    def _run_resumed(self, event: RunResumed) -> None:
        self._flush()
        part = {"run": self._key, "seq": self._seq}
        duration_us, finished = self._connection.execute(_LAST_PART, part).fetchone()
        if duration_us is not None and not finished:  # a part that ended in a crash has not told its duration
            self._connection.execute(_ADD_PART, (duration_us / 1e6, self._key))
        self._connection.execute(_RESUME_RUN, (event.engine, self._key))
        if event.reopens:
            self._connection.execute(_REOPEN_STEPS, (self._key,))

    def _run_finished(self, event: RunFinished) -> None:
        counts = msgspec.json.encode(event.counts).decode()
        output = None if event.output is None else msgspec.json.encode(event.output).decode()
        self._connection.execute(_FINISH_RUN, (event.outcome, event.at_us, counts, event.duration, output, self._key))

    def _attempt_finished(self, event: AttemptFinished) -> None:
        self._results[event.step] = (event.duration, self._seq, event.at_us)

    def _cache_checked(self, event: CacheChecked) -> None:
        self._connection.execute(_LOOK_UP, (self._key, event.step, event.digest, event.hit))

    def _fallback_taken(self, event: FallbackTaken) -> None:
        self._connection.execute(_FORGET_LOOKUP, (self._key, event.step))  # it will not be the work's own result

    def _step_finished(self, event: StepFinished) -> None:
        own = self._seq if event.output is not None else None
        duration, seq, _ = self._results.pop(event.step, (None, own, 0))
        self._rows[event.step] = (
            self._key,
            event.step,
            event.outcome,
            event.attempts,
            event.at_us,
            event.reason,
            duration,
            seq,
        )
