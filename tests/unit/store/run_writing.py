"""Writes runs into a store, event by event, and looks into its file."""

import sqlite3
from contextlib import closing

from podium.events import AttemptFinished, AttemptStarted, RunFinished, RunStarted, StepFinished
from podium.protocols import content_digest

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def started(run, at=0, **more):
    values = {"work": "plan", "name": "nightly", "definition": content_digest(b"plan"), "steps": 1, "slots": 2, **more}
    return RunStarted(at_us=START + at * SECOND, run=run, **values)


def finished(at=0, outcome="passed", duration=1.0, counts=None):
    return RunFinished(at_us=START + at * SECOND, outcome=outcome, counts=counts or {outcome: 1}, duration=duration)


def one_step(name="a", outcome="passed", *, token=2, at=0, duration=1.0, **result):
    at_us = START + at * SECOND
    return [
        AttemptStarted(at_us=at_us, step=name, number=1, token=token),
        AttemptFinished(at_us=at_us, step=name, token=token, outcome=outcome, duration=duration, **result),
        StepFinished(at_us=at_us, step=name, outcome=outcome),
    ]


def write_run(store, run, at=0, *, outcome="passed", blobs=None, name="nightly", work="plan", **step):
    events = [started(run, at, name=name, work=work), *one_step(outcome=outcome, at=at, **step), finished(at, outcome)]
    store.append(run, 1, events, {content_digest(b"plan"): b"plan", **(blobs or {})})


def code(caught):
    return caught.value.diagnostics[0].code


def rows(store):
    """Return the read models as they stand in the file."""
    return {
        table: store._connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in ("run", "step")
    }


def held(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
