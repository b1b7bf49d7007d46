"""What changed between two runs, and whether that is a regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from podium.errors import UsageError
from podium.events import Outcome
from podium.history import StepRow

SLOWER_RATIO = 1.5
SLOWER_S = 0.5
"""A step is slower only if it took this many times as long and this much longer [s], both."""

Change = Literal["added", "removed", "regression", "fixed", "broken", "moved", "unchanged"]
"""What became of a step. `regression`: it passed and does not now. `fixed`: the reverse. `broken`: it did not pass
either time. `moved`: it passed both times, but a criterion came out differently or it is notably slower. `unchanged`:
it passed both times, and nothing moved."""


class CriterionChange(msgspec.Struct, frozen=True):
    """A criterion that came out differently.

    Attributes:
        name: Name of the criterion.
        old_outcome: None if the baseline does not have it.
        new_outcome: None if it is gone.
        old_margin: Distance to the limit in the signal's unit.
        new_margin: Likewise.
        delta: New margin less old; negative is closer to the limit or further beyond it.
        regression: It passed, and does not now or is gone although the step came to a verdict.
    """

    name: str
    old_outcome: str | None
    new_outcome: str | None
    old_margin: float | None
    new_margin: float | None
    delta: float | None
    regression: bool


class DurationChange(msgspec.Struct, frozen=True):
    """How much longer a step took.

    Attributes:
        old_s: Duration in the baseline [s].
        new_s: Duration now [s].
        ratio: New by old; None if the old is 0.
        slower: Notably longer. Never a regression by itself.
    """

    old_s: float
    new_s: float
    ratio: float | None
    slower: bool


class StepChange(msgspec.Struct, frozen=True):
    """What became of one step.

    Attributes:
        name: Step name.
        change: What became of it.
        regression: The step or one of its criteria passed and does not now.
        old_outcome: None if it was added.
        new_outcome: None if it was removed.
        criteria: Criteria whose outcome or margin differs; empty for a step that was added or removed.
        duration: None unless both durations are known.
        same_fingerprint: Whether exactly the same happened; None unless both fingerprints are known.
    """

    name: str
    change: Change
    regression: bool
    old_outcome: Outcome | None
    new_outcome: Outcome | None
    criteria: tuple[CriterionChange, ...] = ()
    duration: DurationChange | None = None
    same_fingerprint: bool | None = None


class Comparison(msgspec.Struct, frozen=True):
    """What changed between two runs.

    Attributes:
        steps: All steps: those of the baseline in its order, then those added.
        has_regression: Whether any step regressed.
    """

    steps: tuple[StepChange, ...]
    has_regression: bool


def compare(baseline: Sequence[StepRow], current: Sequence[StepRow]) -> Comparison:
    """Return what changed from the baseline to the current run.

    Args:
        baseline: The steps of the run compared against.
        current: The steps of the run in question.

    Raises:
        UsageError: Two steps of one run have the same name.
    """
    old, new = _by_name(baseline), _by_name(current)
    names = dict.fromkeys([*old, *new])
    steps = tuple(_step_change(name, old.get(name), new.get(name)) for name in names)
    return Comparison(steps, has_regression=any(step.regression for step in steps))


class _Criterion(msgspec.Struct, frozen=True):
    name: str
    outcome: str
    margin: float | None = None


class _Result(msgspec.Struct, frozen=True):
    """The part of a scenario result that is compared."""

    criteria: tuple[_Criterion, ...] = ()
    fingerprint: str | None = None


def _by_name(steps: Sequence[StepRow]) -> dict[str, StepRow]:
    by_name: dict[str, StepRow] = {}
    for step in steps:
        if by_name.setdefault(step.name, step) is not step:
            raise UsageError(f"two steps of one run have the name `{step.name}`")
    return by_name


def _step_change(name: str, old: StepRow | None, new: StepRow | None) -> StepChange:
    if old is None or new is None:
        return StepChange(
            name,
            change="added" if old is None else "removed",
            regression=old is not None and old.outcome == "passed",
            old_outcome=None if old is None else old.outcome,
            new_outcome=None if new is None else new.outcome,
        )
    before, after = _result(old.output), _result(new.output)
    criteria = _criteria_changes(before, after, judged=new.outcome in ("passed", "failed"))
    duration = _duration_change(old.duration, new.duration)
    moved = bool(criteria) or (duration is not None and duration.slower)
    change = _change(old.outcome, new.outcome, moved=moved)
    known = before.fingerprint is not None and after.fingerprint is not None
    return StepChange(
        name,
        change=change,
        regression=change == "regression" or any(criterion.regression for criterion in criteria),
        old_outcome=old.outcome,
        new_outcome=new.outcome,
        criteria=criteria,
        duration=duration,
        same_fingerprint=before.fingerprint == after.fingerprint if known else None,
    )


def _change(old: Outcome, new: Outcome, *, moved: bool) -> Change:
    if old != "passed":
        return "fixed" if new == "passed" else "broken"
    if new != "passed":
        return "regression"
    return "moved" if moved else "unchanged"


def _result(output: Any) -> _Result:
    """Return what can be compared of an output; nothing if it is no scenario result."""
    try:
        return msgspec.convert(output, _Result)
    except msgspec.ValidationError:
        return _Result()


def _criteria_changes(before: _Result, after: _Result, *, judged: bool) -> tuple[CriterionChange, ...]:
    old = {criterion.name: criterion for criterion in before.criteria}
    new = {criterion.name: criterion for criterion in after.criteria}
    names = dict.fromkeys([*old, *new])
    return tuple(
        _criterion_change(name, old.get(name), new.get(name), judged=judged)
        for name in names
        if old.get(name) != new.get(name)
    )


def _criterion_change(name: str, old: _Criterion | None, new: _Criterion | None, *, judged: bool) -> CriterionChange:
    old_margin, new_margin = old and old.margin, new and new.margin
    passed = old is not None and old.outcome == "passed"
    return CriterionChange(
        name,
        old_outcome=old and old.outcome,
        new_outcome=new and new.outcome,
        old_margin=old_margin,
        new_margin=new_margin,
        delta=None if old_margin is None or new_margin is None else new_margin - old_margin,
        regression=passed and (judged if new is None else new.outcome != "passed"),
    )


def _duration_change(old: float | None, new: float | None) -> DurationChange | None:
    if old is None or new is None:
        return None
    slower = new > SLOWER_RATIO * old and new - old > SLOWER_S
    return DurationChange(old, new, new / old if old else None, slower)
