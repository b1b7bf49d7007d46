"""What is known of runs afterwards: rows made from the journal, which the store gives and `analysis` reads."""

from __future__ import annotations

from typing import Any

import msgspec

from podium.events import Failure, Outcome, RunOutcome
from podium.test_results import TestOutcome, TestResult

RECENT = 40
"""Of how many runs of a test the outcome is kept one by one."""
SIGNS: dict[TestOutcome, str] = {
    "passed": ".",
    "failed": "F",
    "errored": "E",
    "timed_out": "T",
    "skipped": "s",
    "xfailed": "x",
    "xpassed": "X",
}
"""Outcome of a test to its character in `TestRow.recent`."""
FLAKY_SIGN = "~"
"""Stands there for a test that passed only when it was tried again."""


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


class TestRow(msgspec.Struct, frozen=True, gc=False):
    """What is known of a test from all runs, deleted ones included.

    Attributes:
        origin: Where its suite lives: a working directory relative to the project.
        id: Name of the test, unique in its origin.
        duration: How long it takes, recent runs counting most [s].
        outcome: What it came to last.
        runs: How often it was run.
        failures: How often it did not pass.
        flaky: How often it passed only when it was tried again.
        last_us: When it was run last [us since the Unix epoch].
        last_bad_us: When it last did not pass, 0 if it always has [us since the Unix epoch].
        recent: What it came to in its last runs, one of `SIGNS` or `FLAKY_SIGN` for each, the newest last.
    """

    __test__ = False

    origin: str
    id: str
    duration: float
    outcome: TestOutcome
    runs: int
    failures: int
    flaky: int
    last_us: int
    last_bad_us: int
    recent: str


class TestOfRun(msgspec.Struct, frozen=True, gc=False):
    """What a test came to in a run.

    Attributes:
        step: Step that ran it.
        origin: Where its suite lives.
        result: What it came to.
    """

    __test__ = False

    step: str
    origin: str
    result: TestResult
