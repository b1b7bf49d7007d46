"""The state of a run: what its events add up to.

`RunState.apply` is the only way the state changes, whether the event was just decided or is read from the journal
after a crash; so a resumed run continues from exactly what was written down.

A step goes through these states:

    pending   waits for its needs
    ready     could start now
    running   an attempt is under way, or has just ended and what follows is not decided yet
    waiting   the next attempt is scheduled
    done      has its outcome
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from podium.events import (
    AnyEvent,
    AttemptFinished,
    AttemptLost,
    AttemptScheduled,
    AttemptStarted,
    CancelRequested,
    Event,
    Outcome,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
)
from podium.plan.graph import Plan, Step

Phase = Literal["pending", "ready", "running", "waiting", "done"]


class StepState:
    """Where one step stands.

    Attributes:
        step: What the plan says.
        index: Its place in the plan.
        phase: One of the five states.
        missing: How many needs are not done.
        attempts: How many attempts were started.
        failures: How many of them used up the step's own tries.
        losses: How many were lost with their worker.
        token: Fencing token of the attempt under way, 0 if none is.
        ended: How the last attempt ended, until what follows is decided.
        not_before_us: While waiting: when the next attempt may start [us since the Unix epoch].
        delay: While waiting: for how long [s].
        outcome: How the step ended.
    """

    __slots__ = (
        "attempts", "delay", "ended", "failures", "index", "losses", "missing", "not_before_us", "outcome", "phase",
        "step", "token",
    )  # fmt: skip

    def __init__(self, step: Step, index: int) -> None:
        self.step = step
        self.index = index
        self.phase: Phase = "pending"
        self.missing = len(step.needs)
        self.attempts = 0
        self.failures = 0
        self.losses = 0
        self.token = 0
        self.ended: AttemptFinished | AttemptLost | None = None
        self.not_before_us = 0
        self.delay = 0.0
        self.outcome: Outcome | None = None


class RunState:
    """What has happened so far in one run of a plan.

    Attributes:
        plan: The plan.
        steps: Step name to its state, in the plan's order.
        unblocked: Steps whose needs have just all been done; the dispatcher takes them from here.
        superseded: Fencing tokens of lost attempts to their step.
        unfinished: How many steps are not done.
        counts: Outcome to number of steps.
        cancel: The request to end the run, if there was one.
        finished: The run's end, if it came.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps = {step.name: StepState(step, index) for index, step in enumerate(plan.steps)}
        self.unblocked: list[StepState] = []
        self.superseded: dict[int, str] = {}
        self.unfinished = len(self.steps)
        self.counts: dict[str, int] = {}
        self.cancel: CancelRequested | None = None
        self.finished: RunFinished | None = None
        self._dependents: dict[str, list[StepState]] = {}
        for state in self.steps.values():
            for need in state.step.needs:
                self._dependents.setdefault(need.step, []).append(state)
        self._appliers: dict[type[Event], Callable[[Any], None]] = {
            RunStarted: self._run_started,
            RunResumed: self._run_resumed,
            CancelRequested: self._cancel_requested,
            AttemptScheduled: self._attempt_scheduled,
            AttemptStarted: self._attempt_started,
            AttemptFinished: self._attempt_finished,
            AttemptLost: self._attempt_lost,
            StepFinished: self._step_finished,
            RunFinished: self._run_finished,
        }

    def apply(self, event: AnyEvent) -> None:
        """Take one event into account; events that only inform change nothing."""
        applier = self._appliers.get(type(event))
        if applier is not None:
            applier(event)

    def unmet(self, state: StepState) -> str | None:
        """Return the first need that was to pass and did not, all needs being done."""
        for need in state.step.needs:
            if need.until == "passed" and self.steps[need.step].outcome != "passed":
                return need.step
        return None

    def _run_started(self, _event: RunStarted) -> None:
        self._unblock(self.steps.values())

    def _run_resumed(self, _event: RunResumed) -> None:
        self.finished = None
        if self.cancel is None:
            return
        self.cancel = None
        cancelled = [state for state in self.steps.values() if state.outcome == "cancelled"]
        for state in cancelled:
            state.outcome = None
            state.phase = "pending"
            state.failures = 0
            self.unfinished += 1
            self.counts["cancelled"] -= 1
            for dependent in self._dependents.get(state.step.name, ()):
                dependent.missing += 1
        self._unblock(cancelled)

    def _cancel_requested(self, event: CancelRequested) -> None:
        self.cancel = self.cancel or event  # the first says why

    def _attempt_scheduled(self, event: AttemptScheduled) -> None:
        state = self.steps[event.step]
        state.phase = "waiting"
        state.ended = None
        state.not_before_us = event.not_before_us
        state.delay = event.delay

    def _attempt_started(self, event: AttemptStarted) -> None:
        state = self.steps[event.step]
        state.phase = "running"
        state.attempts = event.number
        state.token = event.token

    def _attempt_finished(self, event: AttemptFinished) -> None:
        state = self.steps[event.step]
        state.token = 0
        state.ended = event
        if event.outcome != "passed":
            state.failures += 1

    def _attempt_lost(self, event: AttemptLost) -> None:
        state = self.steps[event.step]
        state.token = 0
        state.ended = event
        self.superseded[event.token] = event.step
        if event.by == "worker":
            state.losses += 1

    def _step_finished(self, event: StepFinished) -> None:
        state = self.steps[event.step]
        state.phase = "done"
        state.ended = None
        state.outcome = event.outcome
        self.unfinished -= 1
        self.counts[event.outcome] = self.counts.get(event.outcome, 0) + 1
        dependents = self._dependents.get(event.step)
        if dependents:
            for dependent in dependents:
                dependent.missing -= 1
            self._unblock(dependents)

    def _run_finished(self, event: RunFinished) -> None:
        self.finished = event

    def _unblock(self, states: Iterable[StepState]) -> None:
        for state in states:
            if not state.missing and state.phase == "pending":
                state.phase = "ready"
                self.unblocked.append(state)
