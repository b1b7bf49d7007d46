"""Services of a run: when they are stopped, and what becomes of steps whose service has died."""

from __future__ import annotations

from podium.engine.scheduler import Scheduler
from podium.engine.state import RunState, StepState
from podium.engine.steps import Steps
from podium.engine.under_way import UnderWay
from podium.events import AttemptFinished, outcome_word

_UNNEEDED = "nothing needs it any more"


class Services:
    """Looks after the services of a run.

    Args:
        state: Where the run stands.
        steps: What becomes of steps.
        under_way: The attempts under way.
        scheduler: What orders steps that may start.
    """

    def __init__(self, state: RunState, steps: Steps, under_way: UnderWay, scheduler: Scheduler) -> None:
        self._state = state
        self._steps = steps
        self._under_way = under_way
        self._scheduler = scheduler

    def release(self) -> None:
        """Stop what nothing needs any more, and leave out what nothing is going to need."""
        while self._state.gone:
            self._is_gone(self._state.gone.pop())
        for state in reversed(self._state.services):  # most come after those they need
            if state.phase == "done" or state.barred or self.is_needed(state):
                continue  # what is barred is skipped when its needs are done: nothing that needs it may take it for met
            running = self._under_way.of(state)
            if running is not None:
                self._under_way.stop(running, "unneeded", force=self._state.killed)
            elif state.phase != "running":
                self._scheduler.withdraw(state.index)
                self._steps.finish(state, "skipped", _UNNEEDED, omitted=True)

    def is_needed(self, state: StepState) -> bool:
        """Return whether a step that needs a service may still use it, or may have to be undone."""
        if state.wanted:
            return True
        undoes = any(dependent.step.compensation and dependent.was_begun for dependent in self._state.dependents(state))
        return undoes and not self._steps.has_turned_back

    def is_up(self, state: StepState) -> None:
        """Let steps go on that were waiting for another attempt and for this service."""
        for dependent in self._state.dependents(state):
            if dependent.phase == "waiting" and not dependent.missing:
                self._steps.wait_for_attempt(dependent)

    def _is_gone(self, state: StepState) -> None:
        """Decide on steps that were begun before a crash and wait for a service that is not going to be up again."""
        for dependent in self._state.dependents(state):
            if dependent.phase != "waiting":
                continue
            if not state.is_met and dependent.step.trigger == "passed" and _relies(dependent, state):
                self._steps.finish(dependent, "errored", f"`{state.step.name}` {outcome_word(state.outcome or '')}")
            elif not dependent.missing:
                self._steps.wait_for_attempt(dependent)

    def decide(self, state: StepState) -> None:
        """Decide what becomes of a service whose attempt ended, or of a step that was stopped because its service died.

        Such a step is not tried again, for its service is not there.
        """
        if state.role != "service":
            passed = isinstance(state.ended, AttemptFinished) and state.ended.outcome == "passed"
            self._steps.finish(state, "passed" if passed else "errored")
        elif not self.is_needed(state):
            if state.is_up:
                self._steps.finish(state, "passed")
            else:
                self._steps.finish(state, "skipped", _UNNEEDED, omitted=True)
        elif state.is_up:
            self._died(state)
        else:
            self._steps.decide(state)

    def _died(self, state: StepState) -> None:
        what = state.failure.message if state.failure is not None else "it ended"
        why = what if state.step.name in what else f"`{state.step.name}`: {what}"
        for dependent in self._state.dependents(state):
            if not _relies(dependent, state):
                continue
            running = self._under_way.of(dependent)
            if running is not None:
                self._under_way.stop(running, "service", why)
            elif dependent.phase in ("ready", "waiting"):
                self._scheduler.withdraw(dependent.index)
                self._steps.finish(dependent, "errored" if dependent.was_begun else "skipped", why)
        self._steps.finish(state, "errored", what)


def _relies(dependent: StepState, service: StepState) -> bool:
    """Return whether a step cannot go on without a service; tearing down is tried in any case."""
    if dependent.role == "teardown":
        return False
    return any(need.step == service.step.name and need.until != "done" for need in dependent.step.needs)
