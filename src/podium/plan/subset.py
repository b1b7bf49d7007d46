"""Part of a plan, for running again what did not pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from podium.plan.graph import Plan, Step
from podium.protocols import Work

_replace = msgspec.structs.replace


def subset(plan: Plan, names: Collection[str]) -> Plan:
    """Return a plan with some steps only; needs on the others are dropped."""
    steps = tuple(
        _replace(step, needs=tuple(need for need in step.needs if need.step in names))
        for step in plan.steps
        if step.name in names
    )
    return _replace(plan, steps=steps)


def remainder(plan: Plan, names: Collection[str], outputs: Mapping[str, Any]) -> Plan:
    """Return a plan in which steps that passed before are not done again but give what they gave then.

    So the expressions of the others find what they refer to. A plan with teardown steps is done anew, for what its
    first steps set up is gone.

    Args:
        plan: The whole plan.
        names: The steps that are done again.
        outputs: What each of the others gave.
    """
    if any(step.role == "teardown" for step in plan.steps):
        return plan
    return _replace(plan, steps=tuple(step if step.name in names else _given(step, outputs) for step in plan.steps))


def _given(step: Step, outputs: Mapping[str, Any]) -> Step:
    work = Work("value", {"value": outputs.get(step.name)})
    return Step(step.name, work, step.needs, scope=step.scope, expected=0.0, labels=step.labels)
