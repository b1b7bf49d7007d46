"""A plan: an immutable graph of steps, checked when it is made.

A plan says what is to be done, in what order, under which policy and with which resources. It does not know how:
that is the executor's part. It serialises to JSON and back without loss; a run stores its plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from podium.errors import Diagnostic, PlanError
from podium.plan.policy import Breaker, Compensation, Fallback, Group, Policy, Retry, Value
from podium.protocols import Work

Trigger = Literal["passed", "done", "one_passed", "one_failed", "all_failed", "none_failed"]
"""When a step starts, all its needs being done. `passed`: each came to what the need asks for. `done`: in any case.
The others count needs: `failed` means failed, errored or timed out."""


class Need(Value, frozen=True):
    """A step that has to come first.

    Attributes:
        step: Its name.
        until: `passed`: skip this step unless it passed, was left out by a condition, or may fail. `only_passed`: leave
            this step out, as by a condition of its own, unless it passed. `done`: whatever it came to.
    """

    step: str
    until: Literal["passed", "only_passed", "done"] = "passed"


class Step(Value, frozen=True):
    """One unit of work.

    Attributes:
        name: Unique in the plan.
        work: What to do.
        needs: Steps that come first.
        trigger: What they have to have come to.
        when: An expression; if it is false, the step is left out.
        policy: What to do about failures.
        breaker: Protects the target of the work.
        fallbacks: What to do, in order, when the policy has given up.
        compensation: What undoes the step if the run does not pass.
        resources: Name to amount taken while it runs.
        slots: How many slots it takes, 1, or 0 for a step that only waits.
        group: Group whose pace it keeps.
        role: `step`; `teardown`: runs after everything else, whatever happened, unless nothing it needs was begun; or
            `service`: its attempt lasts. Once it is ready, steps that need it may start; when they are all done, it is
            stopped. Its timeout is that of becoming ready.
        for_each: An expression that gives a list; the work is done once for each item, as a step of its own.
        at_once: How many items at most are worked on at once; 0: no limit.
        scope: Beginning of the names of the steps this step's expressions refer to, such as `pay/`; what it knows as
            `inputs` is then the output of the step `pay/inputs`.
        allow_failure: A failure is shown and changes nothing else.
        expected: Expected duration, for ordering [s].
        labels: What a person may select or group by.
    """

    name: str
    work: Work
    needs: tuple[Need, ...] = ()
    trigger: Trigger = "passed"
    when: str = ""
    policy: Policy = Policy()
    breaker: Breaker | None = None
    fallbacks: tuple[Fallback, ...] = ()
    compensation: Compensation | None = None
    resources: dict[str, float] = {}
    slots: int = 1
    group: str = ""
    role: Literal["step", "teardown", "service"] = "step"
    for_each: str = ""
    at_once: int = 0
    scope: str = ""
    allow_failure: bool = False
    expected: float = 1.0
    labels: dict[str, str] = {}

    @property
    def retries(self) -> list[Retry]:
        """When all of that is tried again."""
        compensation = [] if self.compensation is None else [self.compensation.policy.retry]
        return [self.policy.retry, *(fallback.retry for fallback in self.fallbacks), *compensation]

    @property
    def works(self) -> list[Work]:
        """All that may be done for it: its work, its fallbacks, what undoes it."""
        compensation = [] if self.compensation is None else [self.compensation.work]
        return [self.work, *(fallback.work for fallback in self.fallbacks), *compensation]


class Plan(Value, frozen=True):
    """An immutable directed acyclic graph of steps.

    Make one with `Plan.of`, which checks it.

    Attributes:
        name: What a person calls it.
        work: Kind of work: `campaign`, `layers`, `workflow` or `plan`.
        steps: In the order written.
        slots: How many steps may run at once, at least 1.
        capacities: Resource name to how much of it there is.
        deadline: Longest duration of the whole run [s].
        seed: Seed for retry jitter.
        strict_waves: Start a wave only when the one before is done.
        groups: Group name to its pace.
        inputs: What expressions know as `inputs`.
        outputs: Name to an expression, evaluated when the run is over.
        options: What the caller asked for, as given; shown, not interpreted.
    """

    name: str
    steps: tuple[Step, ...]
    work: str = "plan"
    slots: int = 1
    capacities: dict[str, float] = {}
    deadline: float | None = None
    seed: int = 0
    strict_waves: bool = False
    groups: dict[str, Group] = {}
    inputs: dict[str, Any] = {}
    outputs: dict[str, str] = {}
    options: dict[str, Any] = {}

    @classmethod
    def of(cls, name: str, steps: Iterable[Step], **more: Any) -> Plan:
        """Make a plan and check it.

        Args:
            name: What a person calls it.
            steps: In the order written.
            more: Any other attribute.

        Raises:
            PlanError: Duplicate names (P201, P224), unknown needs (P202), a cycle, shown (P203), no slot (P204), a step
                that asks for more of a resource than there is (P205) or for an unknown group (P207).
        """
        plan = cls(name, tuple(steps), **more)
        findings = [*_names(plan), *_limits(plan)] or _cycles(plan)
        if findings:
            raise PlanError(findings)
        return plan

    def waves(self) -> list[list[str]]:
        """Return the step names by topological depth, each wave in the order written."""
        depth: dict[str, int] = {}
        for step in topological(self.steps):
            depth[step.name] = 1 + max((depth[need.step] for need in step.needs), default=-1)
        waves: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
        for step in self.steps:
            waves[depth[step.name]].append(step.name)
        return waves


def topological(steps: tuple[Step, ...]) -> list[Step]:
    """Return the steps so that needs come first; steps on or behind a cycle are left out."""
    missing = {step.name: len(step.needs) for step in steps}
    by_name = {step.name: step for step in steps}
    dependents = dependents_of(steps)
    ordered = [step for step in steps if not step.needs]
    for step in ordered:
        for name in dependents[step.name]:
            missing[name] -= 1
            if not missing[name]:
                ordered.append(by_name[name])
    return ordered


def dependents_of(steps: tuple[Step, ...]) -> dict[str, list[str]]:
    """Return for every step the names of those that need it."""
    dependents: dict[str, list[str]] = {step.name: [] for step in steps}
    for step in steps:
        for need in step.needs:
            dependents[need.step].append(step.name)
    return dependents


def _names(plan: Plan) -> list[Diagnostic]:
    from difflib import get_close_matches  # noqa: PLC0415  (only on errors)

    seen: set[str] = set()
    findings: list[Diagnostic] = []
    for step in plan.steps:
        if step.name in seen:
            findings.append(
                Diagnostic("P201", f"two steps have the name `{step.name}`", "give one of them another name")
            )
        seen.add(step.name)
    followers = [(f"{step.name}~undo", step) for step in plan.steps if step.compensation]
    each = [step for step in plan.steps if step.for_each]
    followers += [(name, step) for step in each for name in seen if _is_item(name, step.name)]
    for name, step in followers:
        if name in seen:
            text = f"step `{name}` has the name of a step that follows from `{step.name}`"
            findings.append(Diagnostic("P224", text, "give one of them another name"))
    for step in plan.steps:
        for need in step.needs:
            if need.step not in seen:
                close = get_close_matches(need.step, seen, n=1)
                hint = f"did you mean `{close[0]}`?" if close else None
                findings.append(Diagnostic("P202", f"step `{step.name}` needs unknown step `{need.step}`", hint))
    return findings


def _is_item(name: str, step: str) -> bool:
    return name.startswith(f"{step}[") and name.endswith("]") and name[len(step) + 1 : -1].isdigit()


def _limits(plan: Plan) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    if plan.slots < 1:
        findings.append(Diagnostic("P204", f"slots must be at least 1, not {plan.slots}"))
    teardown = {step.name for step in plan.steps if step.role == "teardown"}
    for step in plan.steps:
        if step.group and step.group not in plan.groups:
            text = f"step `{step.name}` is of unknown group `{step.group}`"
            findings.append(Diagnostic("P207", text, f"groups: {', '.join(plan.groups) or 'none'}"))
        for need in step.needs:
            if step.role == "step" and need.step in teardown:
                text = f"step `{step.name}` needs `{need.step}`, which runs after everything else"
                findings.append(Diagnostic("P208", text, "remove the need, or make it a teardown step too"))
        for name, amount in step.resources.items():
            there = plan.capacities.get(name, 0.0)
            if amount > there:
                text = f"step `{step.name}` needs {amount:g} of `{name}`, but there is {there:g}"
                findings.append(Diagnostic("P205", text, f"declare a capacity for `{name}`"))
    return findings


def _cycles(plan: Plan) -> list[Diagnostic]:
    left = {step.name: step for step in plan.steps}
    for step in topological(plan.steps):
        del left[step.name]
    if not left:
        return []
    path: list[str] = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(next(need.step for need in left[path[-1]].needs if need.step in left))
    cycle = path[path.index(path[-1]) :]
    return [
        Diagnostic(
            "P203",
            f"the steps need each other in a circle: {' -> '.join(cycle)}",
            "remove one of these needs",
        )
    ]
