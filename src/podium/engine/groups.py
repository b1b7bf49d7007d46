"""Groups of a run: the pace of their steps, the time they have together, and whether one's failure ends the others."""

from __future__ import annotations

from podium.engine.pace import Pace
from podium.engine.scheduler import Scheduler
from podium.engine.state import RunState, StepState
from podium.engine.steps import Steps
from podium.engine.timers import Timers
from podium.engine.under_way import UnderWay
from podium.events import Outcome


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

    def started(self, group: str, now: float) -> None:
        """Take in that a step of a group starts [s on the monotonic scale]."""
        allowed = self._paces[group].started(now)
        if allowed is not None:
            self._scheduler.pause(group)
            self._timers.at(allowed, lambda: self._scheduler.resume(group))
        budget = self._state.plan.groups[group].budget
        if budget is not None and group not in self._begun:
            self._timers.at(now + budget, lambda: self._budget_is_used_up(group, budget))
        self._begun.add(group)

    def take_setbacks(self) -> None:
        """End the other steps of groups in which one did not pass, as their group says."""
        while self._state.setbacks:
            setbacks, self._state.setbacks = self._state.setbacks, []
            for setback in setbacks:
                self._fail_fast(setback)

    def _fail_fast(self, setback: StepState) -> None:
        mode = self._state.plan.groups[setback.step.group].fail_fast
        if not mode:
            return
        why = f"`{setback.step.name}` {setback.outcome}"
        self._leave_out(setback.step.group, "failed", why)
        if mode == "running":
            for running in self._under_way:
                if running.state.step.group == setback.step.group:
                    self._under_way.stop(running, "fail_fast", why)

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
