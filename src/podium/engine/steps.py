"""What becomes of steps: which may start, what follows an attempt, what is undone, how they end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from podium.engine.admission import left_out
from podium.engine.outcomes import forward_outcome, worst
from podium.engine.recorder import Recorder
from podium.engine.retry import Failed, another_attempt
from podium.engine.scheduler import Scheduler
from podium.engine.scope import Scopes
from podium.engine.state import RunState, StepState, items_resource
from podium.engine.timers import Timers
from podium.events import (
    AttemptFinished,
    AttemptRefused,
    AttemptScheduled,
    CompensationStarted,
    Failure,
    FallbackTaken,
    ItemsFound,
    Outcome,
    StepFinished,
    outcome_word,
)
from podium.protocols import Clock, ExpressionError


class Steps:
    """Decides what becomes of the steps of a run.

    Args:
        state: Where the run stands.
        recorder: Where decisions are written down.
        scheduler: What orders steps that may start.
        timers: For what is to happen later.
        clock: Where time comes from.
        scopes: Evaluates expressions, if the plan has any.
    """

    def __init__(
        self,
        state: RunState,
        recorder: Recorder,
        *,
        scheduler: Scheduler,
        timers: Timers,
        clock: Clock,
        scopes: Scopes | None,
    ) -> None:
        self._state = state
        self._recorder = recorder
        self._scheduler = scheduler
        self._timers = timers
        self._clock = clock
        self._scopes = scopes
        self._teardown: list[StepState] = []
        self._torn_down = False

    # Which steps may start

    def admit_unblocked(self) -> None:
        """Let the steps start whose needs have just been done, or leave them out."""
        while self._state.unblocked:
            states, self._state.unblocked = self._state.unblocked, []
            for state in states:
                if state.phase != "ready":  # read from the journal, which says what became of it
                    continue
                if state.role == "teardown" and not self._torn_down:
                    self._teardown.append(state)
                else:
                    self._admit(state)

    def _admit(self, state: StepState) -> None:
        out = left_out(state, self._state)
        if out is not None:
            self.finish(state, "skipped", out.reason, omitted=out.omitted)
            return
        try:
            if state.step.when and not self.holds(state, state.step.when):
                self.finish(state, "skipped", f"`{state.step.when}` is false", omitted=True)
            elif state.step.for_each:
                self._open(state)
            else:
                self._offer(state)
        except ExpressionError as error:
            self.finish(state, "errored", str(error))

    def holds(self, state: StepState, text: str, known: dict[str, Any] | None = None) -> bool:
        """Return what a condition of a step comes to.

        Args:
            state: The step.
            text: The expression.
            known: More names it may use.

        Raises:
            ExpressionError: It has no value, or one that is neither true nor false.
        """
        assert self._scopes is not None
        value = self._scopes.value(state, text, known)
        if not isinstance(value, bool):
            raise ExpressionError(f"`{text}` is {value!r}, neither true nor false")
        return value

    def _offer(self, state: StepState) -> None:
        self._scheduler.offer(state.index)
        policy = state.step.policy
        if policy.queue_timeout is not None:
            text = f"did not start within {policy.queue_timeout:g} s"
            self._timers.after(policy.queue_timeout, lambda: self._end_waiting(state, text, only_ready=True))
        self.limit_total(state)

    def limit_total(self, state: StepState) -> None:
        """Set when the step has to be done; an attempt under way looks after that itself."""
        limit = state.step.policy.total_timeout
        if limit is not None:
            begun = (self._clock.wall_us() - state.begun_us) / 1e6 if state.begun_us else 0.0
            state.due_at = self._clock.monotonic() + max(0.0, limit - max(0.0, begun))
            text = f"was not done within {limit:g} s"
            self._timers.at(state.due_at, lambda: self._end_waiting(state, text, only_ready=False))

    def _end_waiting(self, state: StepState, why: str, *, only_ready: bool) -> None:
        if state.phase == "ready" or (state.phase == "waiting" and not only_ready):
            self._scheduler.withdraw(state.index)
            self.finish(state, "timed_out", why)

    def _open(self, state: StepState) -> None:
        """Find the items of a step; each is a step of its own from here on."""
        assert self._scopes is not None
        items = self._scopes.value(state, state.step.for_each)
        if not isinstance(items, list):
            raise ExpressionError(f"`{state.step.for_each}` is no list")
        found: list[Any] = items  # pyright: ignore[reportUnknownVariableType]
        self._recorder.emit(ItemsFound(at_us=self._clock.wall_us(), step=state.step.name, items=found))
        self.schedule_added(state.children or ())
        self.close(state)

    def close(self, state: StepState) -> None:
        """Finish a step that is done item by item, if all of them are done."""
        children = state.children or ()
        if state.phase != "open" or state.open_children:
            return
        outputs = [child.output for child in children]
        bad = next((child for child in children if not child.is_met), None)
        reason = "" if bad is None else f"`{bad.step.name}` {outcome_word(bad.outcome or '')}"
        self.finish(state, worst(children), reason, output=outputs)

    def schedule_added(self, states: Iterable[StepState]) -> None:
        """Tell the scheduler of steps that are not in the plan."""
        for state in states:
            parent = state.parent
            if state.role == "undo" or parent is None:
                self._scheduler.add(state.step)
            else:
                self._scheduler.add(state.step, like=parent.index)
                self._scheduler.declare(items_resource(parent.step), float(parent.step.at_once))

    # What happens when nothing is left to be done forwards

    @property
    def has_turned_back(self) -> bool:
        """Whether everything forwards is done, and undone if need be."""
        return self._torn_down

    def turn_back(self) -> None:
        """When nothing is left to be done forwards: undo what was done if need be, then tear down."""
        if not self._torn_down and self._state.compensation is None and self._is_to_compensate():
            undone = tuple(state.step.name for state in self._state.to_be_undone())
            outcome = forward_outcome(self._state)
            self._recorder.emit(CompensationStarted(at_us=self._clock.wall_us(), steps=undone, reason=outcome))
            self.schedule_added(state for state in self._state.ordered if state.role == "undo")
            self.admit_unblocked()
        if not self._state.left["undo"] and not self._torn_down:
            self._torn_down = True
            self._state.unblocked.extend(self._teardown)
            self.admit_unblocked()

    def _is_to_compensate(self) -> bool:
        state = self._state
        if not state.compensates or forward_outcome(state) == "passed" or state.teardown_has_begun:
            return False
        return bool(state.to_be_undone())

    # What follows an attempt

    def decide(self, state: StepState) -> None:
        """Decide what follows an attempt that ended: another one, a fallback, or the step's outcome."""
        ended, cancel = state.ended, self._state.cancel
        if isinstance(ended, AttemptFinished) and ended.outcome == "passed":
            self.finish(state, "passed")
        elif cancel is not None and (self._state.is_cancelled(state) or state.role == "service"):
            self.finish(state, "cancelled", cancel.why)
        elif isinstance(ended, AttemptFinished):
            self._decide_after_failure(state, ended.outcome, ended.failure)
        elif isinstance(ended, AttemptRefused):
            failure = Failure("CircuitOpen", ended.reason, retry_after=ended.retry_after)
            self._decide_after_failure(state, "errored", failure)
        elif ended is not None and ended.by == "worker" and state.losses >= state.step.policy.losses:
            reason = ended.reason
            self.finish(state, "errored", f"lost its worker {state.losses} times, last: {reason}")
        else:
            self._schedule_attempt(state, "lost")

    def _decide_after_failure(self, state: StepState, outcome: Outcome, failure: Failure | None) -> None:
        if state.due_at is not None and self._clock.monotonic() >= state.due_at:
            text = f"was not done within {state.step.policy.total_timeout:g} s"
            self.finish(state, "timed_out", "" if failure and failure.type == "TotalTimeout" else text)
            return
        name = state.step.name
        if outcome == "skipped":  # there was nothing to do
            self.finish(state, "skipped", failure.message if failure else "", omitted=True)
            return
        elapsed = (self._clock.wall_us() - state.begun_us) / 1e6 if state.begun_us else 0.0
        failed = Failed(name, outcome, failure, state.failures, state.rule_failures, elapsed)
        kind = "" if failure is None else failure.type
        try:
            again = another_attempt(
                state.retry,
                failed,
                seed=self._state.plan.seed,
                holds=lambda text, known: self.holds(state, text, known),
            )
        except ExpressionError as error:
            self.finish(state, "errored", str(error))
            return
        if again is not None:
            self._schedule_attempt(state, "retry", again.delay, again.rule)
        elif state.fallback < len(state.step.fallbacks):
            word = outcome_word(outcome)
            why = f"{word}: {failure.message}" if failure is not None else word
            index, at_us = state.fallback + 1, self._clock.wall_us()
            to = state.step.fallbacks[index - 1].name
            self._recorder.emit(FallbackTaken(at_us=at_us, step=name, index=index, name=to, reason=why))
            self._schedule_attempt(state, "fallback")
        else:
            self.finish(state, outcome, failure.message if failure and kind == "CircuitOpen" else "")

    def _schedule_attempt(
        self, state: StepState, reason: Literal["retry", "lost", "fallback"], delay: float = 0.0, rule: int = 0
    ) -> None:
        wall = self._clock.wall_us()
        self._recorder.emit(
            AttemptScheduled(
                at_us=wall,
                step=state.step.name,
                number=state.attempts + 1,
                not_before_us=wall + int(delay * 1e6),
                delay=delay,
                reason=reason,
                rule=rule,
            )
        )
        self.wait_for_attempt(state)

    def wait_for_attempt(self, state: StepState) -> None:
        """Let the next attempt start when its time has come, and the services it needs are up."""
        if state.missing:
            return
        left = min(state.delay, (state.not_before_us - self._clock.wall_us()) / 1e6)  # whatever the clock was set to
        if left <= 0:
            self._scheduler.offer(state.index)
        else:
            self._timers.after(left, lambda: self._wait_is_over(state))

    def _wait_is_over(self, state: StepState) -> None:
        if state.phase == "waiting":
            self._scheduler.offer(state.index)

    def finish(
        self, state: StepState, outcome: Outcome, reason: str = "", *, omitted: bool = False, output: Any = None
    ) -> None:
        """Write down how a step ended."""
        self._recorder.emit(
            StepFinished(
                at_us=self._clock.wall_us(),
                step=state.step.name,
                outcome=outcome,
                attempts=state.attempts,
                reason=reason,
                omitted=omitted,
                output=output,
            )
        )
        self._scheduler.done(state.index)
        if state.role != "undo" and state.parent is not None:
            self.close(state.parent)
