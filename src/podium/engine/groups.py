"""Groups of a run: the pace of their steps, the time they have together, and whether one's failure ends the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from podium.engine.pace import Pace
from podium.engine.scheduler import Scheduler
from podium.engine.state import RunState, StepState
from podium.engine.steps import Steps
from podium.engine.timers import Timers
from podium.engine.under_way import UnderWay
from podium.events import AttemptStarted, Outcome, RunResumed, outcome_word
from podium.protocols import ExpressionError, Record


class Groups:
    """Looks after the groups of a run.

    Args:
        state: Where the run stands.
        steps: What becomes of steps.
        under_way: The attempts under way.
        scheduler: What orders steps that may start.
        timers: For what is to happen later.
    """

    def __init__(
        self, state: RunState, steps: Steps, under_way: UnderWay, scheduler: Scheduler, timers: Timers
    ) -> None:
        self._state = state
        self._steps = steps
        self._under_way = under_way
        self._scheduler = scheduler
        self._timers = timers
        self._paces = {name: Pace(group) for name, group in state.plan.groups.items()}
        self._begun: set[str] = set()
        self._used: dict[str, float] = {}

    def reading(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the journal of a run that is taken up again, and note how much of its time each group has used.

        Only the time counts in which a process worked on the run: up to the last thing each of them wrote down.

        Args:
            records: The whole journal; each record is to be applied to the state before the next one is asked for.
        """
        lived_us, last_us = 0, None
        begun_at: dict[str, int] = {}
        for record in records:
            yield record
            event = record.event
            if last_us is not None and not isinstance(event, RunResumed):
                lived_us += max(0, event.at_us - last_us)  # whatever the clock was set to
            last_us = event.at_us
            if isinstance(event, AttemptStarted):
                begun_at.setdefault(self._state.steps[event.step].step.group, lived_us)
        self._used = {group: (lived_us - moment) / 1e6 for group, moment in begun_at.items() if group}

    def resumed(self, now: float) -> None:
        """Let groups that had begun go on with the rest of their time [s on the monotonic scale]."""
        for group, used in self._used.items():
            self._watch_budget(group, now, used)

    def started(self, group: str, now: float) -> None:
        """Take in that a step of a group starts [s on the monotonic scale]."""
        allowed = self._paces[group].started(now)
        if allowed is not None:
            self._scheduler.pause(group)
            self._timers.at(allowed, lambda: self._scheduler.resume(group))
        if group not in self._begun:
            self._watch_budget(group, now)

    def take_setbacks(self) -> None:
        """End the other steps of groups in which one did not pass, as their group says."""
        while self._state.setbacks:
            setbacks, self._state.setbacks = self._state.setbacks, []
            for setback in setbacks:
                self._fail_fast(setback)

    def _fail_fast(self, setback: StepState) -> None:
        group = self._state.plan.groups[setback.step.group]
        mode = group.fail_fast
        if not mode or not self._concerns(setback, group.fail_fast_if):
            return
        why = f"`{setback.step.name}` {outcome_word(setback.outcome or '')}"
        ended = {setback.step.group}
        if mode == "run":
            ended = {name for name, other in self._state.plan.groups.items() if other.fail_fast == "run"}
        for name in sorted(ended):
            self._leave_out(name, "failed", why)
        if mode != "pending":
            for running in self._under_way:
                if running.state.step.group in ended:
                    self._under_way.stop(running, "fail_fast", why)

    def _concerns(self, setback: StepState, condition: str) -> bool:
        """Return whether a step that did not pass ends others; if that cannot be told, it does."""
        try:
            return not condition or self._steps.holds(setback, condition, {"result": setback.output})
        except ExpressionError:
            return True

    def _watch_budget(self, group: str, now: float, used: float = 0.0) -> None:
        self._begun.add(group)
        budget = self._state.plan.groups[group].budget
        if budget is not None:
            self._timers.at(now + max(0.0, budget - used), lambda: self._budget_is_used_up(group, budget))

    def _budget_is_used_up(self, group: str, budget: float) -> None:
        why = f"the {budget:g} s of `{group}` are used up"
        self._leave_out(group, "timed_out", why)
        for running in self._under_way:
            if running.state.step.group == group:
                self._under_way.stop(running, "budget", why)

    def _leave_out(self, group: str, outcome: Outcome, why: str) -> None:
        """Let no step of a group begin any more; those that wait for another attempt end with an outcome."""
        for state in tuple(self._state.ordered):
            if state.step.group != group or state.role != "step":
                continue
            if state.phase in ("pending", "ready") and not state.was_begun:
                self._scheduler.withdraw(state.index)
                self._steps.finish(state, "skipped", why)
            elif state.phase == "waiting":
                self._scheduler.withdraw(state.index)
                self._steps.finish(state, outcome, why)
