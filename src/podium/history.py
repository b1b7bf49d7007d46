"""What is known of runs afterwards: rows made from the journal, which the store gives and `analysis` reads."""

from __future__ import annotations

from typing import Any

import msgspec

from podium.events import Failure, Outcome, RunOutcome


class RunRow(msgspec.Struct, frozen=True):
    """One run.

    Attributes:
        id: Run id.
        work: Kind of work.
        name: What a person calls it.
        parent: The run it reran.
        definition: Digest of its plan.
        steps: Number of steps in the plan.
        slots: How many steps could run at once.
        seed: Seed of retry jitter.
        options: What the caller had asked for.
        engine: Process that owns or owned it, `host:pid:start`.
        started_us: When it began [us since the Unix epoch].
        finished_us: When it ended, None while it runs or after a crash [us since the Unix epoch].
        outcome: How it ended, None likewise.
        counts: Outcome to number of steps.
        duration: How long it took, without pauses between crash and resume [s].
        output: What the plan's outputs came to.
    """

    id: str
    work: str
    name: str
    parent: str | None
    definition: str
    steps: int
    slots: int
    seed: int
    options: dict[str, Any]
    engine: str
    started_us: int
    finished_us: int | None
    outcome: RunOutcome | None
    counts: dict[str, int]
    duration: float | None
    output: Any = None


class StepRow(msgspec.Struct, frozen=True):
    """One step of a run that has its outcome.

    Attributes:
        run: Run id.
        name: Step name.
        outcome: How it ended.
        attempts: How many attempts were started.
        finished_us: When [us since the Unix epoch].
        reason: Why it was skipped or cancelled.
        duration: Of the last attempt [s]; None if there was none.
        output: JSON value of the last attempt.
        failure: Why the last attempt did not pass.
        artifacts: Name to digest of stored bytes.
    """

    run: str
    name: str
    outcome: Outcome
    attempts: int
    finished_us: int
    reason: str = ""
    duration: float | None = None
    output: Any = None
    failure: Failure | None = None
    artifacts: dict[str, str] = {}
