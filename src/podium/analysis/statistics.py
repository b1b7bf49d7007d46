"""What a history of runs says: pass rates, durations, flaky cases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import msgspec

from podium.analysis.latency import percentile
from podium.events import Outcome
from podium.history import RunRow, StepRow

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)")

UNFINISHED = "unfinished"
"""Stands for the outcome of a run that has none."""


class CaseStatistics(msgspec.Struct, frozen=True):
    """The history of one case.

    Attributes:
        name: Name of the case.
        runs: How often it has an outcome.
        passed: How often it passed.
        pass_rate: Passed by runs, 0..1.
        median_s: Median duration [s]; None if it never ran.
        p95_s: Duration at position `int(0.95 n)` of the ascending durations [s]; None if it never ran.
        last_outcome: Outcome of the one that finished last.
        worst_margins: Criterion to its smallest margin, in the unit of its signal.
        flaky: It both passed and did not in runs of the same definition; skipped and cancelled say nothing.
    """

    name: str
    runs: int
    passed: int
    pass_rate: float
    median_s: float | None
    p95_s: float | None
    last_outcome: Outcome
    worst_margins: dict[str, float]
    flaky: bool


class Statistics(msgspec.Struct, frozen=True):
    """The history of many runs.

    Attributes:
        runs: Outcome to number of runs; `unfinished` for those without.
        cases: Outcome to number of cases.
        pass_rate: Cases that passed by all cases, 0..1; 0 if there is none.
        by_case: One entry per case name, in natural order: `seed=2` before `seed=10`.
        longest: Names of the cases with the longest median duration, longest first.
        flaky: Names of the flaky cases, in the same order.
    """

    runs: dict[str, int]
    cases: dict[str, int]
    pass_rate: float
    by_case: tuple[CaseStatistics, ...]
    longest: tuple[str, ...]
    flaky: tuple[str, ...]


def summarise(runs: Iterable[RunRow], steps: Iterable[StepRow], *, longest: int = 10) -> Statistics:
    """Return the statistics of runs and their steps.

    Args:
        runs: The runs.
        steps: Their steps; one whose run is not among `runs` counts, but cannot show that a case is flaky.
        longest: How many of the longest cases to name.
    """
    runs, steps = list(runs), list(steps)
    definitions = {run.id: run.definition for run in runs}
    histories: dict[str, list[StepRow]] = {}
    for step in steps:
        histories.setdefault(step.name, []).append(step)
    by_case = tuple(_case(name, histories[name], definitions) for name in sorted(histories, key=_natural))
    ran = [(case.median_s, case.name) for case in by_case if case.median_s is not None]
    return Statistics(
        runs=dict(Counter(run.outcome or UNFINISHED for run in runs)),
        cases=dict(Counter(step.outcome for step in steps)),
        pass_rate=_passed(steps) / len(steps) if steps else 0.0,
        by_case=by_case,
        longest=tuple(name for _, name in sorted(ran, key=lambda one: (-one[0], _natural(one[1])))[:longest]),
        flaky=tuple(case.name for case in by_case if case.flaky),
    )


class _Criterion(msgspec.Struct, frozen=True):
    name: str
    margin: float | None = None


class _Result(msgspec.Struct, frozen=True):
    """The part of a scenario result that has margins."""

    criteria: tuple[_Criterion, ...] = ()


def _case(name: str, history: Sequence[StepRow], definitions: Mapping[str, str]) -> CaseStatistics:
    durations = sorted(step.duration for step in history if step.duration is not None)
    return CaseStatistics(
        name=name,
        runs=len(history),
        passed=_passed(history),
        pass_rate=_passed(history) / len(history),
        median_s=median(durations) if durations else None,
        p95_s=percentile(durations, 0.95) if durations else None,
        last_outcome=max(history, key=lambda step: step.finished_us).outcome,
        worst_margins=_worst_margins(history),
        flaky=_flaky(history, definitions),
    )


def _natural(name: str) -> tuple[list[str | tuple[int, str, str]], str]:
    """Return a key that puts numbers in a name in order; words and numbers alternate in it."""
    return [_magnitude(part) if odd % 2 else part for odd, part in enumerate(_NUMBER.split(name))], name


def _magnitude(number: str) -> tuple[int, str, str]:
    whole, _, fraction = number.partition(".")
    whole = whole.lstrip("0")
    return len(whole), whole, fraction


def _passed(steps: Iterable[StepRow]) -> int:
    return sum(step.outcome == "passed" for step in steps)


def _flaky(history: Iterable[StepRow], definitions: Mapping[str, str]) -> bool:
    seen: dict[str, set[bool]] = {}
    for step in history:
        if step.run in definitions and step.outcome not in ("skipped", "cancelled"):
            seen.setdefault(definitions[step.run], set()).add(step.outcome == "passed")
    return any(len(outcomes) > 1 for outcomes in seen.values())


def _worst_margins(history: Iterable[StepRow]) -> dict[str, float]:
    found: dict[str, float] = {}
    for step in history:
        for criterion in _criteria(step.output):
            if criterion.margin is not None:
                found[criterion.name] = min(criterion.margin, found.get(criterion.name, criterion.margin))
    return found


def _criteria(output: Any) -> tuple[_Criterion, ...]:
    """Return the criteria of a scenario result; none if the output is something else."""
    try:
        return msgspec.convert(output, _Result).criteria
    except msgspec.ValidationError:
        return ()
