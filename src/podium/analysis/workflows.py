"""What a history of one workflow says: success, duration, retries, compensation."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from podium.analysis.latency import percentile
from podium.history import RunRow, StepRow

_UNDONE = ("compensated", "compensation_failed")


class WorkflowStatistics(msgspec.Struct, frozen=True):
    """The history of one workflow. Rates are 0..1, and None where there is nothing to count.

    Attributes:
        name: Its name.
        runs: How many of its runs have ended.
        success_rate: Runs that passed.
        mean_s: Mean duration of those that passed [s].
        p95_s: Duration at position `int(0.95 n)` of these, ascending [s].
        retry_rate: Steps that took more than one attempt, of those that were begun.
        compensation_rate: Runs that were undone.
        compensation_failures: Runs of which something could not be undone.
    """

    name: str
    runs: int
    success_rate: float | None
    mean_s: float | None
    p95_s: float | None
    retry_rate: float | None
    compensation_rate: float | None
    compensation_failures: int


def workflow_statistics(name: str, runs: Sequence[RunRow], steps: Sequence[StepRow]) -> WorkflowStatistics:
    """Return the statistics of a workflow.

    Args:
        name: Its name.
        runs: Its runs; those that have not ended do not count.
        steps: The steps of these runs.
    """
    ended = [run for run in runs if run.outcome is not None]
    passed = [run for run in ended if run.outcome == "passed"]
    durations = sorted(run.duration for run in passed if run.duration is not None)
    begun = [step for step in steps if step.attempts]
    return WorkflowStatistics(
        name=name,
        runs=len(ended),
        success_rate=_rate(len(passed), len(ended)),
        mean_s=sum(durations) / len(durations) if durations else None,
        p95_s=percentile(durations, 0.95) if durations else None,
        retry_rate=_rate(sum(step.attempts > 1 for step in begun), len(begun)),
        compensation_rate=_rate(sum(run.outcome in _UNDONE for run in ended), len(ended)),
        compensation_failures=sum(run.outcome == "compensation_failed" for run in ended),
    )


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None
