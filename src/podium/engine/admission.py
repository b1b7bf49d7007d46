"""Whether a step whose needs are all done starts, or is left out and why."""

from __future__ import annotations

import msgspec

from podium.engine.state import FAILED, RunState, StepState
from podium.events import outcome_word


class LeftOut(msgspec.Struct, frozen=True):
    """A step does not start.

    Attributes:
        reason: In words.
        omitted: By a condition of its own, so that needs on it count as met.
    """

    reason: str
    omitted: bool


def left_out(state: StepState, run: RunState) -> LeftOut | None:
    """Return why a step does not start although all its needs are done, or None if it starts."""
    trigger = state.step.trigger
    if trigger == "passed" and state.role != "teardown":
        unmet = [wanted for wanted in state.step.needs if not run.steps[wanted.step].meets(wanted.until)]
        if not unmet:
            return None
        decisive = next((wanted for wanted in unmet if wanted.until == "passed"), unmet[0])
        outcome = outcome_word(run.steps[decisive.step].outcome or "")
        return LeftOut(f"`{decisive.step}` {outcome}", omitted=decisive.until != "passed")
    needs = [run.steps[need.step] for need in state.step.needs]
    if state.role == "teardown":
        begun = not needs or any(need.was_begun for need in needs)
        return None if begun else LeftOut("nothing it needs was begun", omitted=True)
    failed = sum(need.outcome in FAILED for need in needs)
    holds = {
        "done": True,
        "one_passed": any(need.outcome == "passed" for need in needs),
        "one_failed": failed > 0,
        "all_failed": failed == len(needs),
        "none_failed": failed == 0,
    }[trigger]
    return None if holds else LeftOut(f"trigger `{trigger}` does not hold", omitted=True)
