"""What the records of a run add up to, for showing; shared by the sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, cast

import msgspec

from podium.events import (
    AnyEvent,
    AttemptFinished,
    AttemptLost,
    AttemptProgressed,
    AttemptScheduled,
    AttemptStarted,
    CancelRequested,
    Event,
    Failure,
    Outcome,
    RunFinished,
    RunOutcome,
    RunResumed,
    RunStarted,
    StepFinished,
    TestsFinished,
)
from podium.model.scenario import Verdict
from podium.protocols import Record
from podium.sinks.test_tally import TestTally
from podium.test_results import TestCounts

FAILING: frozenset[Outcome] = frozenset(("failed", "errored", "timed_out"))
"""Outcomes of a step that a person has to look at."""


def short_id(run: str) -> str:
    """Return the part of a run id people type: its last eight hex digits; the first are the same for a whole day."""
    return run.replace("-", "")[-8:]


class StepTally:
    """Where one step stands.

    Attributes:
        name: Step name.
        state: `waiting` (also between attempts), `running` or `done`.
        outcome: How it ended; None unless done.
        attempts: How many attempts were started.
        duration: Of the last attempt that ended [s]; None if none did.
        done: Fraction done of the attempt under way, 0..1, if known.
        message: What the attempt under way said last.
        failure: Why the last attempt did not pass.
        reason: Why the step was skipped, cancelled or given up, in words.
        output: What the last attempt gave; None unless outputs are kept.
        tests: What its tests came to, if it ran any.
        notes: What a suite says besides its results.
    """

    __slots__ = (
        "_criteria", "_started_us", "_token", "attempts", "done", "duration", "failure", "message", "name", "notes",
        "outcome", "output", "reason", "state", "tests",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Literal["waiting", "running", "done"] = "waiting"
        self.outcome: Outcome | None = None
        self.attempts = 0
        self.duration: float | None = None
        self.done: float | None = None
        self.message = ""
        self.failure: Failure | None = None
        self.reason = ""
        self.output: Any = None
        self.tests: TestTally | None = None
        self.notes: tuple[str, ...] = ()
        self._criteria: Any = None
        self._started_us = 0
        self._token = 0

    @property
    def failing(self) -> bool:
        """Whether a person has to look at it."""
        return self.outcome in FAILING

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the criteria of the last attempt came to; empty if it was not a simulated case."""
        try:
            return msgspec.convert(self._criteria, tuple[Verdict, ...])
        except msgspec.ValidationError:
            return ()

    @property
    def failing_verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts that are not `passed`."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome != "passed")

    def started(self, event: AttemptStarted) -> None:
        """Take in that an attempt is about to begin; what an earlier one came to is forgotten."""
        self.state = "running"
        self.attempts = event.number
        self.duration = None
        self.failure = None
        self.output = self._criteria = None
        self._started_us = event.at_us
        self._token = event.token
        self._forget_progress()

    def progressed(self, event: AttemptProgressed) -> None:
        """Take in how far the attempt is, unless it was superseded."""
        if event.token == self._token and self.state == "running":
            self.done = None if event.done is None else min(1.0, max(0.0, event.done))
            self.message = event.message

    def tested(self, event: TestsFinished, *, keep_results: bool) -> None:
        """Take in what tests came to."""
        if self.tests is None:
            self.tests = TestTally(keep_all=keep_results)
        self.tests.take(event)
        if event.token == self._token and self.state == "running" and self.tests.planned:
            self.done = min(1.0, self.tests.counts.total / self.tests.planned)

    def ended(self, event: AttemptFinished, *, keep_output: bool) -> None:
        """Take in the result of an attempt."""
        output = event.output
        self.duration = event.duration
        self.failure = event.failure
        self.output = output if keep_output else None
        said: Mapping[str, Any] = cast("Mapping[str, Any]", output) if isinstance(output, Mapping) else {}
        self._criteria = said.get("criteria")
        self.notes = _texts(said.get("notes")) if "counts" in said else ()
        self._forget_progress()

    def lost(self, event: AttemptLost) -> None:
        """Take in that the attempt is lost."""
        self.wait()
        if event.by == "worker" and self._started_us:  # the moment an engine died is not known
            self.duration = max(0, event.at_us - self._started_us) / 1e6

    def wait(self) -> None:
        """Take in that nothing is under way, and nothing decided."""
        self.state = "waiting"
        self.outcome = None
        self.reason = ""
        self._forget_progress()

    def finished(self, event: StepFinished) -> None:
        """Take in the step's outcome."""
        self.state = "done"
        self.outcome = event.outcome
        self.attempts = event.attempts
        self.reason = event.reason
        if self.tests is not None and event.outcome != "cancelled":  # a step that was cancelled may go on
            self.tests.settle()
        self._forget_progress()

    def _forget_progress(self) -> None:
        self.done = None
        self.message = ""


class Tally:
    """Where the run stands: the sum of its records. The same records give the same tally.

    Args:
        keep_output: Keep what the steps gave, which may be much.
        keep_results: Keep the results of tests that passed, too.

    Attributes:
        run: Run id.
        name: What a person calls the run.
        work: Kind of work.
        slots: How many steps may run at once.
        steps: Step name to its tally, in order of first appearance.
        running: Those that are running, likewise in order of their start.
        counts: Outcome to number of steps; no zeros.
        started_us: When the run began, 0 if not known [us since the Unix epoch].
        finished_us: When it ended, None if it did not [us since the Unix epoch].
        outcome: How it ended.
        output: What the plan's outputs came to.
        resumed: How often it was resumed.
        cancel: The request to end it, if there was one since it began or was resumed.
    """

    def __init__(self, *, keep_output: bool = False, keep_results: bool = False) -> None:
        self.run = ""
        self.name = ""
        self.work = ""
        self.slots = 0
        self.steps: dict[str, StepTally] = {}
        self.running: dict[str, StepTally] = {}
        self.counts: dict[Outcome, int] = {}
        self.started_us = 0
        self.finished_us: int | None = None
        self.outcome: RunOutcome | None = None
        self.output: Any = None
        self.resumed = 0
        self.cancel: CancelRequested | None = None
        self._keep_output = keep_output
        self._keep_results = keep_results
        self._planned = 0
        self._part_started_us: int | None = None
        self._last_us = 0
        self._earlier = 0.0
        self._takers: dict[type[Event], Callable[[Any], None]] = {
            RunStarted: self._run_started,
            RunResumed: self._run_resumed,
            CancelRequested: self._cancel_requested,
            AttemptScheduled: self._attempt_scheduled,
            AttemptStarted: self._attempt_started,
            AttemptProgressed: self._attempt_progressed,
            TestsFinished: self._tests_finished,
            AttemptFinished: self._attempt_finished,
            AttemptLost: self._attempt_lost,
            StepFinished: self._step_finished,
            RunFinished: self._run_finished,
        }

    @property
    def total(self) -> int:
        """Number of steps in the plan, as far as it is known."""
        return max(self._planned, len(self.steps), self.done)

    @property
    def done(self) -> int:
        """Number of steps that are done."""
        return sum(self.counts.values())

    @property
    def duration(self) -> float:
        """How long the run took so far, without the time between its interruption and its resumption [s]."""
        if self._part_started_us is None:
            return self._earlier
        return self._earlier + max(0, self._last_us - self._part_started_us) / 1e6

    @property
    def tests(self) -> TestCounts:
        """What all tests of the run came to."""
        counts = TestCounts()
        for step in self.steps.values():
            if step.tests is not None:
                counts += step.tests.counts
        return counts

    @property
    def failing(self) -> list[StepTally]:
        """The steps a person has to look at, in order of first appearance."""
        return [step for step in self.steps.values() if step.failing]

    def take(self, run: str, records: Iterable[Record]) -> None:
        """Take in a batch of records."""
        for record in records:
            self.run = run
            self.apply(record.event)

    def apply(self, event: AnyEvent) -> None:
        """Take in one event."""
        taker = self._takers.get(type(event))
        if taker is not None:
            taker(event)
        if self._part_started_us is None and self.outcome is None:
            self._part_started_us = event.at_us
        self._last_us = event.at_us

    def _step(self, name: str) -> StepTally:
        step = self.steps.get(name)
        if step is None:
            step = self.steps[name] = StepTally(name)
        return step

    def _run_started(self, event: RunStarted) -> None:
        self.run = event.run
        self.name = event.name
        self.work = event.work
        self.slots = event.slots
        self.started_us = event.at_us
        self._planned = event.steps

    def _run_resumed(self, event: RunResumed) -> None:
        self._earlier = self.duration
        self._part_started_us = event.at_us
        self.resumed += 1
        self.outcome = None
        self.finished_us = None
        for step in self.running.values():
            step.wait()
        self.running.clear()
        if self.cancel is not None and event.reopens:
            self.cancel = None
            for step in self.steps.values():
                if step.outcome == "cancelled":
                    self._uncount("cancelled")
                    step.wait()

    def _cancel_requested(self, event: CancelRequested) -> None:
        self.cancel = event

    def _attempt_scheduled(self, event: AttemptScheduled) -> None:
        self._step(event.step).wait()
        self.running.pop(event.step, None)

    def _attempt_started(self, event: AttemptStarted) -> None:
        step = self.running[event.step] = self._step(event.step)
        step.started(event)

    def _attempt_progressed(self, event: AttemptProgressed) -> None:
        self._step(event.step).progressed(event)

    def _tests_finished(self, event: TestsFinished) -> None:
        self._step(event.step).tested(event, keep_results=self._keep_results)

    def _attempt_finished(self, event: AttemptFinished) -> None:
        self._step(event.step).ended(event, keep_output=self._keep_output)

    def _attempt_lost(self, event: AttemptLost) -> None:
        self._step(event.step).lost(event)
        self.running.pop(event.step, None)

    def _step_finished(self, event: StepFinished) -> None:
        step = self._step(event.step)
        if step.outcome is not None:
            self._uncount(step.outcome)
        step.finished(event)
        self.running.pop(event.step, None)
        self.counts[event.outcome] = self.counts.get(event.outcome, 0) + 1

    def _run_finished(self, event: RunFinished) -> None:
        self.outcome = event.outcome
        self.output = event.output
        self.finished_us = event.at_us
        self.counts = {cast("Outcome", outcome): count for outcome, count in event.counts.items() if count}
        self._earlier += event.duration
        self._part_started_us = None

    def _uncount(self, outcome: Outcome) -> None:
        left = self.counts.get(outcome, 0) - 1
        if left > 0:
            self.counts[outcome] = left
        else:
            self.counts.pop(outcome, None)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(text) for text in cast("list[Any]", value)) if isinstance(value, list | tuple) else ()
