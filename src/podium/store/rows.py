"""Rows of `run` and `step` as they are selected, and what is made of them."""

from __future__ import annotations

from typing import Any

import msgspec

from podium.events import AttemptFinished, Failure, StepFinished, decode
from podium.history import RunRow, StepRow

RUN_COLUMNS = """id, work, name, parent, definition, steps, slots, seed, options, engine, started_us, finished_us,
    outcome, counts, duration, output"""
_STEP_COLUMNS = (
    """step.name, step.outcome, step.attempts, step.finished_us, step.reason, step.duration, journal.event"""
)
STEPS = f"""
SELECT run.id, {_STEP_COLUMNS} FROM step
JOIN run ON run.key = step.run
LEFT JOIN journal ON journal.run = step.run AND journal.seq = step.result_seq
"""  # noqa: S608 (no value of a user's is in it)


def run_row(row: tuple[Any, ...]) -> RunRow:
    """Return a row of `RUN_COLUMNS`."""
    values = dict(zip(RunRow.__struct_fields__, row, strict=True))
    values["options"] = msgspec.json.decode(values["options"])
    values["counts"] = msgspec.json.decode(values["counts"])
    values["output"] = None if values["output"] is None else msgspec.json.decode(values["output"])
    return RunRow(**values)


def step_row(row: tuple[Any, ...]) -> StepRow:
    """Return a row of `STEPS`."""
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
