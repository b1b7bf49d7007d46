"""What a step is waiting for, or why it came to what it came to; read from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from podium.engine.state import RunState, StepState
from podium.engine.waiting import Wait
from podium.events import AttemptFinished, AttemptLost, AttemptRefused, AttemptStarted, FallbackTaken, outcome_word
from podium.plan.graph import Plan
from podium.protocols import Record, Work


def why(plan: Plan, records: Iterable[Record], name: str, now_us: int) -> list[str]:
    """Return the reasons in words, the one that decides first.

    Args:
        plan: The plan of the run.
        records: Its journal.
        name: Name of the step.
        now_us: Wall time [us since the Unix epoch].

    Raises:
        KeyError: The run has no such step.
    """
    state = RunState(plan)
    tried: list[str] = []
    starts: dict[str, int] = {}
    for record in records:
        event = record.event
        state.apply(event)
        if isinstance(event, AttemptStarted):
            group = state.steps[event.step].step.group
            if group:
                starts[group] = event.at_us
        if getattr(event, "step", None) == name:
            tried.extend(_tried(event))
    step = state.steps[name]
    return [*_reasons(state, step, starts, now_us), *tried]


def _tried(event: object) -> Iterator[str]:
    if isinstance(event, AttemptFinished) and event.outcome != "passed":
        what = f": {event.failure.type}: {event.failure.message}" if event.failure else ""
        yield f"an attempt {outcome_word(event.outcome)}{what}"
    elif isinstance(event, AttemptLost):
        yield f"an attempt was lost: {event.reason.splitlines()[0] if event.reason else event.by}"
    elif isinstance(event, AttemptRefused):
        yield f"no attempt began: {event.reason}"
    elif isinstance(event, FallbackTaken):
        yield f"fallback `{event.name}` was taken, as the work before came to {event.reason}"


def _reasons(state: RunState, step: StepState, starts: dict[str, int], now_us: int) -> Iterator[str]:
    if step.phase == "done":
        yield f"it {outcome_word(step.outcome or '')}" + (f": {step.reason}" if step.reason else "")
    elif step.phase == "pending":
        needs = [state.steps[need.step] for need in step.step.needs]
        open_ = [need.step.name for need in needs if need.phase != "done" and not need.is_up]
        yield f"it needs {_listed(open_)}, which {'is' if len(open_) == 1 else 'are'} not done"
    elif step.phase == "running" and step.is_up:
        wanting = [other.step.name for other in state.dependents(step) if other.is_awaited]
        yield f"it is up, as long as {_listed(wanting)} {'needs' if len(wanting) == 1 else 'need'} it"
    elif step.phase == "running":
        yield from _running(step)
    elif step.phase == "waiting" and step.missing:
        yield "it waits for a service to be started again"
    elif step.phase == "waiting":
        left = (step.not_before_us - now_us) / 1e6
        yield f"attempt {step.attempts + 1} begins in {left:.3g} s" if left > 0 else "it waits for its next attempt"
    elif step.phase == "open":
        children = step.children or []
        left = [child.step.name for child in children if child.phase != "done"]
        yield f"{len(left)} of its {len(children)} items are not done: {_listed(left[:5])}"
    else:
        yield from _ready(state, step, starts, now_us)


def _running(step: StepState) -> Iterator[str]:
    work = step.work
    if work.kind == "wait":
        wait = _wait(work)
        if wait.approval is not None:
            yield f"it waits for an approval: {wait.approval} (podium approve RUN {step.step.name})"
        elif wait.signal is not None:
            yield f"it waits for the signal `{wait.signal}` (podium signal RUN {wait.signal})"
        else:
            yield f"it waits for {wait.seconds:g} s"
    else:
        yield f"attempt {step.attempts} is under way"


def _wait(work: Work) -> Wait:
    try:
        return msgspec.convert(work.payload, Wait)
    except msgspec.ValidationError:  # an expression where a number will be
        return Wait(signal=str(work.payload))


def _ready(state: RunState, step: StepState, starts: dict[str, int], now_us: int) -> Iterator[str]:
    if step.role == "teardown" and state.left["step"]:
        yield "it runs when everything else is done"
        return
    running = [other for other in state.ordered if other.phase == "running" and other.token]
    group = state.plan.groups.get(step.step.group)
    if group is not None and step.step.group in starts:
        left = group.stagger - (now_us - starts[step.step.group]) / 1e6
        if left > 0:
            yield f"its group `{step.step.group}` lets the next step start in {left:.3g} s"
    for name, amount in step.step.resources.items():
        holders = [other.step.name for other in running if name in other.step.resources]
        there = state.plan.capacities.get(name) or float(step.parent.step.at_once if step.parent else 0)
        used = sum(other.step.resources[name] for other in running if name in other.step.resources)
        if used + amount > there:
            yield f"it needs {amount:g} of `{name}`, of which {_listed(holders)} hold {used:g} of {there:g}"
    if sum(other.step.slots for other in running) >= state.plan.slots:
        yield f"all {state.plan.slots} slots are taken, by {_listed([other.step.name for other in running])}"
    yield "it is ready to start"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
