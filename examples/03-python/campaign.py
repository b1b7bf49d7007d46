"""Run the documented scenarios from Python and look at what they came to.

python examples/03-python/campaign.py
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from podium.api.campaigns import ResultStorage, ScenarioOrchestrator, execute_campaign

SCENARIOS = Path(__file__).parents[1] / "02-documented-format"


async def single_campaign() -> None:
    """Two scenarios at once, as fast as possible."""
    results = await execute_campaign(sorted(SCENARIOS.glob("*.yaml")), parallel=2, speed=None)
    for name, result in results.items():
        hottest = max(packet["thermal"]["battery_temp"] for packet in result["final_telemetry"].values())
        print(f"{name}: {result['simulated_time_s']:g} s simulated, battery {hottest} degC at the end")


async def full_suite() -> None:
    """Everything in a folder, with a campaign file."""
    orchestrator = ScenarioOrchestrator(SCENARIOS)
    for path, scenario in await orchestrator.discover_scenarios():
        print(f"{scenario.name} ({len(scenario.nodes)} satellites, {scenario.duration_ns // 10**9} s, {path.name})")
    await orchestrator.run_all_scenarios(parallel=3, speed=None)


def history() -> None:
    """What all campaigns of this folder came to."""
    statistics = ResultStorage().get_result_statistics()
    print(f"{statistics['total_campaigns']} campaigns, average pass rate {statistics['avg_pass_rate']:.0%}")


if __name__ == "__main__":
    asyncio.run(single_campaign())
    asyncio.run(full_suite())
    history()
