"""Carries out one case of a campaign: a simulated scenario, at a speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from podium.events import Failure
from podium.model.scenario import Scenario, ScenarioResult, Verdict
from podium.protocols import Finished
from podium.sim.pacing import Pacer
from podium.sim.simulation import Simulation

LOG = "log.jsonl"
"""Name of the artifact with one line per simulated second."""


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of a step of kind `simulation`.

    Attributes:
        scenario: What to simulate, resolved.
        path: The document it came from.
        speed: Simulated seconds per wall second; None: as fast as possible.
    """

    scenario: Scenario
    path: str = ""
    speed: float | None = None


def run_case(payload: Any, progress: Callable[[float | None, str], None]) -> Finished:
    """Simulate a scenario.

    Args:
        payload: A `Case` as plain values.
        progress: Told how far the simulation is.

    Returns:
        The outcome with a `ScenarioResult` and `pace` as output, and the log as artifact.
    """
    case = msgspec.convert(payload, Case)
    duration = case.scenario.duration_ns

    def report(now: int) -> None:
        progress(now / duration, f"T+{now // 1_000_000_000} s")

    simulation = Simulation(case.scenario)
    pacer = Pacer(case.speed, monotonic=time.monotonic, sleep=time.sleep)
    result, pace = simulation.run(pacer, report)
    output = msgspec.to_builtins(result) | {"pace": msgspec.to_builtins(pace)}
    return Finished(
        outcome=result.outcome,
        output=output,
        failure=_failure(result),
        artifacts={LOG: b"\n".join(simulation.log) + b"\n"},
    )


def _failure(result: ScenarioResult) -> Failure | None:
    if result.outcome == "passed":
        return None
    if not result.criteria:
        return Failure("NoCriteria", "the scenario has no criteria, so nothing was checked")
    broken = [verdict for verdict in result.criteria if verdict.outcome != "passed"]
    first = f"{len(broken)} of {len(result.criteria)} criteria did not pass: {broken[0].name}"
    return Failure("Criteria", first, "\n".join(describe(verdict) for verdict in broken))


def describe(verdict: Verdict) -> str:
    """Return what a criterion came to as one line for people."""
    if verdict.worst is None:
        return f"{verdict.name}: never evaluated"
    worst = verdict.worst if isinstance(verdict.worst, str) else f"{verdict.worst:.4g}"
    text = f"{verdict.name}: {verdict.outcome}, worst {worst}"
    if verdict.worst_at_s is not None:
        text += f" at {verdict.worst_at_s:g} s"
    if verdict.first_violation_s is not None:
        text += f", first violated at {verdict.first_violation_s:g} s"
    return text
