"""What the outcomes of steps add up to."""

from __future__ import annotations

from collections.abc import Container, Iterable

from podium.engine.state import RunState, StepState
from podium.events import Outcome, RunOutcome

DEADLINE = "deadline"
"""Who ends a run that takes too long."""

_WORST_FIRST: tuple[Outcome, ...] = ("failed", "errored", "timed_out", "cancelled", "skipped")


def forward_outcome(state: RunState) -> Outcome:
    """Return what the run came to before anything was undone."""
    unmet = {**state.unmet["service"], **state.unmet["step"]}
    if state.cancel is not None and unmet.get("cancelled"):
        return "timed_out" if state.cancel.who == DEADLINE else "cancelled"
    return _worst(unmet)


def run_outcome(state: RunState) -> RunOutcome:
    """Return what the run came to, with what was undone."""
    if state.compensation is None:
        forward = forward_outcome(state)
        return _worst(state.unmet["teardown"]) if forward == "passed" else forward
    undone = all(step.outcome == "passed" for step in state.ordered if step.role == "undo")
    return "compensated" if undone else "compensation_failed"


def worst(steps: Iterable[StepState]) -> Outcome:
    """Return what the steps of the items of a list came to together."""
    return _worst({step.outcome for step in steps if not step.is_met})


def _worst(found: Container[str | None]) -> Outcome:
    outcomes: list[Outcome] = [outcome for outcome in _WORST_FIRST if outcome in found]
    return outcomes[0] if outcomes else "passed"
