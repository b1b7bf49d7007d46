"""Which steps cannot start any more, before all their needs are done; so nobody has to wait for their services."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from podium.engine.state import StepState

Until = Literal["passed", "only_passed", "done"]
Bar = Literal["", "omitted", "skipped"]


class Barring:
    """Notes in `StepState.barred` which steps cannot start any more.

    Only steps that have not begun are barred: those that have are stopped, or end by themselves, and use what they need
    until then.

    Args:
        states: The steps of the plan.
        count: Told how many more, or fewer, steps may make use of what a step needs.
    """

    def __init__(self, states: Iterable[StepState], count: Callable[[StepState, int], None]) -> None:
        self._count = count
        self._states = tuple(states)
        self._exacting: dict[str, list[tuple[StepState, Until]]] = {}
        for state in self._states:
            if state.step.trigger == "passed" and state.role != "teardown":
                for need in state.step.needs:
                    if need.until != "done":
                        self._exacting.setdefault(need.step, []).append((state, need.until))

    def finished(self, state: StepState) -> None:
        """Take in that a step is done: bar those that cannot start any more, and those that need these."""
        if state.barred:
            state.barred = ""
        else:
            self._count(state, -1)
        self._bar_those_that_need(state)

    def lift(self) -> None:
        """Bar no step, since some are about to be done again."""
        for state in self._states:
            if state.barred:
                state.barred = ""
                self._count(state, 1)

    def find(self) -> None:
        """Bar what cannot start any more by all that is done."""
        for state in self._states:
            if state.phase == "done":
                self._bar_those_that_need(state)

    def _bar_those_that_need(self, state: StepState) -> None:
        causes = [state]
        while causes:
            cause = causes.pop()
            for dependent, until in self._exacting.get(cause.step.name, ()):
                bar = _bar(cause, until)
                if not bar or dependent.phase != "pending" or dependent.barred in ("skipped", bar):
                    continue
                if not dependent.barred:
                    self._count(dependent, -1)
                dependent.barred = bar
                causes.append(dependent)


def _bar(cause: StepState, until: Until) -> Bar:
    """Return whether a step with a need on another is sure not to start: that one did not pass, or cannot start."""
    if cause.phase == "done":
        fits = cause.meets(until)
    else:  # what is omitted has met a need that does not ask for more
        fits = not cause.barred or (cause.barred == "omitted" and until == "passed")
    if fits:
        return ""
    return "skipped" if until == "passed" else "omitted"
