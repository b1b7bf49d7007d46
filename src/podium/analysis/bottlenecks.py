"""What a run spent its time on: critical path, slack, waiting against running, steps slower than they used to be.

Pure functions over a plan, the records of one run of it, and what its steps came to in earlier runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import msgspec

from podium.analysis.latency import percentile
from podium.events import AttemptFinished, AttemptLost, AttemptStarted, RunStarted, StepFinished
from podium.history import StepRow
from podium.plan.graph import Plan, dependents_of, topological
from podium.protocols import Record

PARALLEL = "Consider parallel execution of independent steps"
REVIEW = "Review step implementations for optimization"
CACHE = "Consider caching intermediate results"
_LONG_MS = 1000.0
_SLOW_MS = 500.0
_MANY = 10
_DOMINANT = 0.5
_SLOWER = 1.5
_EARLIER = 3
"""How many earlier durations make a history."""


class StepTimes(msgspec.Struct, frozen=True):
    """How one step of a run spent its time.

    Attributes:
        name: Its name.
        ready_s: When all it needs was done, from the start of the run [s].
        finished_s: When it had its outcome, likewise [s].
        running_s: Time in attempts [s].
        waiting_s: From being ready to its outcome, without the attempts: for a slot, a resource, the next attempt [s].
        attempts: How many attempts were started.
    """

    name: str
    ready_s: float
    finished_s: float
    running_s: float
    waiting_s: float
    attempts: int


class StepAnalysis(msgspec.Struct, frozen=True):
    """A step of a run beside its history.

    Attributes:
        times: How it spent its time.
        is_critical: Whether it is on the critical path.
        slack_s: How much later it could have been done without delaying the end [s].
        mean_s: Mean duration of the attempts that ended it in earlier runs [s]; None if there were none.
        p95_s: Duration at position `int(0.95 n)` of these, ascending [s].
        share: Part of the critical path's duration, 0..1; 0 if it is not on it.
    """

    times: StepTimes
    is_critical: bool
    slack_s: float
    mean_s: float | None
    p95_s: float | None
    share: float


class Bottlenecks(msgspec.Struct, frozen=True):
    """Where the time of a run went.

    Attributes:
        duration_s: From the start to the end of the last step [s].
        critical_path: The chain of steps that took longest, first to last.
        critical_s: How long these took together [s].
        steps: Every step that has an outcome and was not left out, in the order of the plan.
        suggestions: What could be done about it, in words.
    """

    duration_s: float
    critical_path: tuple[str, ...]
    critical_s: float
    steps: tuple[StepAnalysis, ...]
    suggestions: tuple[str, ...]


def bottlenecks(plan: Plan, records: Iterable[Record], history: Iterable[StepRow] = ()) -> Bottlenecks:
    """Return where the time of a run went.

    Args:
        plan: The plan of the run.
        records: Its journal.
        history: What steps of these names came to in earlier runs.
    """
    times = step_times(plan, records)
    durations = {name: one.finished_s - one.ready_s for name, one in times.items()}
    path = critical_path(plan, durations)
    total = sum(durations[name] for name in path)
    left = slack(plan, durations)
    earlier = _durations(history)
    steps = tuple(
        StepAnalysis(
            times=one,
            is_critical=name in path,
            slack_s=left[name],
            mean_s=fmean(earlier[name]) if name in earlier else None,
            p95_s=percentile(earlier[name], 0.95) if name in earlier else None,
            share=durations[name] / total if name in path and total else 0.0,
        )
        for name, one in times.items()
    )
    duration = max((one.finished_s for one in times.values()), default=0.0)
    suggestions = tuple(_suggestions(plan, steps, {name: len(values) for name, values in earlier.items()}))
    return Bottlenecks(duration, tuple(path), total, steps, suggestions)


def step_times(plan: Plan, records: Iterable[Record]) -> dict[str, StepTimes]:
    """Return how the steps of a plan spent their time that have an outcome and were not left out, as the plan orders.

    Pauses between a crash and going on count as waiting.

    Args:
        plan: The plan of the run.
        records: Its journal.
    """
    began = 0
    started: dict[str, int] = {}
    running: dict[str, float] = {}
    finished: dict[str, StepFinished] = {}
    for record in records:
        event = record.event
        if isinstance(event, RunStarted):
            began = event.at_us
        elif isinstance(event, AttemptStarted):
            started[event.step] = event.at_us
        elif isinstance(event, AttemptFinished):
            running[event.step] = running.get(event.step, 0.0) + event.duration
        elif isinstance(event, AttemptLost):
            lost = (event.at_us - started[event.step]) / 1e6
            running[event.step] = running.get(event.step, 0.0) + max(0.0, lost)
        elif isinstance(event, StepFinished):
            finished[event.step] = event
    found: dict[str, StepTimes] = {}
    for step in plan.steps:
        end = finished.get(step.name)
        if end is not None and end.outcome != "skipped":
            ready_us = max((finished[need.step].at_us for need in step.needs if need.step in finished), default=began)
            spent, busy = max(0.0, (end.at_us - ready_us) / 1e6), running.get(step.name, 0.0)
            found[step.name] = StepTimes(
                name=step.name,
                ready_s=(ready_us - began) / 1e6,
                finished_s=(ready_us - began) / 1e6 + spent,
                running_s=busy,
                waiting_s=max(0.0, spent - busy),
                attempts=end.attempts,
            )
    return found


def critical_path(plan: Plan, durations: Mapping[str, float]) -> list[str]:
    """Return the names of the chain of steps that takes longest, first to last.

    Args:
        plan: The plan.
        durations: Step name to duration; a step without one takes no time and is not named.

    Source: critical path method (J. E. Kelley and M. R. Walker, "Critical-Path Planning and Scheduling", 1959).
    """
    ends, before = _earliest(plan, durations)
    path: list[str] = []
    name = max(ends, key=lambda one: ends[one], default=None)
    while name is not None:
        path.append(name)
        name = before[name]
    return [name for name in reversed(path) if name in durations]


def slack(plan: Plan, durations: Mapping[str, float]) -> dict[str, float]:
    """Return by how much every step could have been later without delaying the end [s].

    Args:
        plan: The plan.
        durations: Step name to duration [s]; a step without one takes no time.
    """
    ends, _ = _earliest(plan, durations)
    end = max(ends.values(), default=0.0)
    dependents = dependents_of(plan.steps)
    latest: dict[str, float] = {}
    for step in reversed(topological(plan.steps)):
        after = dependents[step.name]
        latest[step.name] = min((latest[name] - durations.get(name, 0.0) for name in after), default=end)
    return {name: max(0.0, latest[name] - ends[name]) for name in ends}


def longest_step(step_times_ms: Mapping[str, float]) -> str | None:
    """Return the step that took longest, the first of several, or None if there is none.

    Args:
        step_times_ms: Step name to duration, in any unit.
    """
    return max(step_times_ms, key=lambda name: step_times_ms[name], default=None)


def general_suggestions(mean_ms: float, executions: int) -> list[str]:
    """Return what can be said about a workflow from its mean duration alone.

    Args:
        mean_ms: Mean duration of its executions [ms].
        executions: How many there were.
    """
    found: list[str] = []
    if mean_ms > _LONG_MS:
        found.append(PARALLEL)
    if mean_ms > _SLOW_MS:
        found.append(REVIEW)
    if executions > _MANY:
        found.append(CACHE)
    return found


def _earliest(plan: Plan, durations: Mapping[str, float]) -> tuple[dict[str, float], dict[str, str | None]]:
    """Return when every step ends at the earliest [s], and which step it has to wait for longest."""
    ends: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for step in topological(plan.steps):
        last = max((need.step for need in step.needs), key=lambda name: ends[name], default=None)
        before[step.name] = last
        ends[step.name] = (0.0 if last is None else ends[last]) + durations.get(step.name, 0.0)
    return ends, before


def _durations(history: Iterable[StepRow]) -> dict[str, list[float]]:
    """Return step name to its durations in earlier runs, ascending [s]."""
    found: dict[str, list[float]] = {}
    for row in history:
        if row.outcome == "passed" and row.duration is not None:
            found.setdefault(row.name, []).append(row.duration)
    return {name: sorted(values) for name, values in found.items()}


def _suggestions(plan: Plan, steps: Sequence[StepAnalysis], known: Mapping[str, int]) -> Iterable[str]:
    critical = [step for step in steps if step.is_critical]
    for step in critical:
        times = step.times
        if step.share > _DOMINANT and len(steps) > 1:
            yield f"step `{times.name}` takes {step.share:.0%} of the critical path: make it faster first"
    for step in steps:
        times = step.times
        if times.waiting_s > times.running_s and times.attempts > 1:
            text = f"step `{times.name}` waited {times.waiting_s:.3g} s in {times.attempts} attempts"
            yield f"{text} that took {times.running_s:.3g} s: look at why it failed, or shorten its waits"
        elif times.waiting_s > times.running_s > 0 and step.is_critical and len(steps) > 1:
            text = f"step `{times.name}` waited {times.waiting_s:.3g} s to run for {times.running_s:.3g} s"
            yield f"{text}: give the run more slots or resources"
        if step.p95_s and times.attempts and known.get(times.name, 0) >= _EARLIER:
            last = times.running_s / times.attempts
            if last > _SLOWER * step.p95_s:
                yield f"step `{times.name}` took {last:.3g} s, and 95 % of its earlier runs at most {step.p95_s:.3g} s"
    if len(critical) == len(plan.steps) > 2:  # noqa: PLR2004 (a chain of three or more)
        yield f"all {len(critical)} steps run one after another: {PARALLEL[0].lower()}{PARALLEL[1:]}"
