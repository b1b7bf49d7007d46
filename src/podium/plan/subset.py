"""Part of a plan, for running again what did not pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from podium.plan.graph import Plan, Step, topological
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


def remainder(plan: Plan, names: Collection[str], passed: Mapping[str, Any]) -> Plan:
    """Return a plan in which some steps are done again, and what passed before gives what it gave then.

    So the expressions of the others find what they refer to. With a step are done again those that need it, and what
    did not pass of those that it needs; what else did not pass is left out. A plan with teardown steps is done anew,
    for what its first steps set up is gone.

    Args:
        plan: The whole plan.
        names: The steps that are to be done again.
        passed: Name of each step that passed to what it gave.
    """
    if any(step.role == "teardown" for step in plan.steps):
        return plan
    again = _with_what_belongs_to_it(plan, names, passed)
    steps = tuple(
        step if step.name in again else _given(step, passed[step.name])
        for step in plan.steps
        if step.name in again or step.name in passed
    )
    return _replace(plan, steps=steps)


def remaining_tests(
    plan: Plan, names: Collection[str], passed: Mapping[str, Any], tests: Mapping[str, Sequence[str]]
) -> Plan:
    """Return a plan of suites in which some are run again, with the services they need.

    Args:
        plan: The whole plan.
        names: The steps that are to be done again.
        passed: Name of each step that passed to what it gave.
        tests: Step to the ids of its tests that are run again; suites that are not in it are run as a whole.
    """
    services = {step.name for step in plan.steps if step.role == "service"}
    lasting = {name: output for name, output in passed.items() if name not in services}
    again = remainder(plan, set(names) - services, lasting)
    return _replace(again, steps=tuple(_only(step, tests.get(step.name, ())) for step in again.steps))


def _only(step: Step, ids: Sequence[str]) -> Step:
    payload = step.work.payload
    if not ids or step.work.kind != "pytest":
        return step
    literal = [test.replace("${", "$${") for test in ids] if step.work.template else list(ids)
    selection = {**payload.get("selection", {}), "only": literal}
    return _replace(step, work=_replace(step.work, payload={**payload, "selection": selection}))


def _with_what_belongs_to_it(plan: Plan, names: Collection[str], passed: Collection[str]) -> set[str]:
    again: set[str] = set(names)
    before = -1
    while len(again) != before:
        before = len(again)
        for step in topological(plan.steps):
            needs = {need.step for need in step.needs}
            if again & needs:
                again.add(step.name)
            if step.name in again:
                again |= needs - set(passed)
    return again


def _given(step: Step, output: Any) -> Step:
    """Return a step that gives an output; it can still be undone."""
    return Step(
        step.name,
        Work("value", {"value": output}),
        compensation=step.compensation,
        scope=step.scope,
        expected=0.0,
        labels=step.labels,
    )
