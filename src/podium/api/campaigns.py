"""Campaigns from Python, asynchronously: discover scenarios, run them in parallel, look at what they came to.

    results = asyncio.run(execute_campaign(["a.yaml", "b.yaml"], parallel=3, speed=100.0))

Everything runs through `podium.session`, so each campaign is also a run in the store: `podium list` shows it.
`speed` is simulated seconds per wall second; None is as fast as possible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podium.analysis.accuracy import AccuracyCollector
from podium.analysis.campaign_json import campaign_document, write_campaign
from podium.analysis.latency import LatencyCollector
from podium.api.results import scenario_result
from podium.api.storage import MetricsStorage, ResultStorage
from podium.errors import PodiumError
from podium.model.loading import load_scenario
from podium.model.scenario import Scenario
from podium.plan.campaign import CampaignOptions, discover, plan_campaign
from podium.runtime.interrupts import Interrupts
from podium.session import Session
from podium.store import RunRow, StepRow

__all__ = [
    "AccuracyCollector",
    "LatencyCollector",
    "MetricsStorage",
    "ResultStorage",
    "ScenarioOrchestrator",
    "execute_all_scenarios",
    "execute_campaign",
]

SCENARIOS = Path("scenarios")
RESULTS = Path(".podium") / "campaigns"


class ScenarioOrchestrator:
    """Discovers scenarios and runs campaigns of them.

    Args:
        scenario_dir: Folder of the scenarios.
        results_dir: Folder for campaign files.
        store: File of the store; by default the one of the working directory.
    """

    def __init__(
        self, scenario_dir: str | Path = SCENARIOS, *, results_dir: str | Path = RESULTS, store: Path | None = None
    ) -> None:
        self.scenario_dir = Path(scenario_dir)
        self._store = store
        self._results = ResultStorage(results_dir)

    async def discover_scenarios(self) -> list[tuple[Path, Scenario]]:
        """Return the valid scenarios of the folder with their files, by name; invalid ones are named on stdout."""
        if not self.scenario_dir.is_dir():
            return []
        found: list[tuple[Path, Scenario]] = []
        for path in discover([self.scenario_dir]):
            try:
                found.append((path, load_scenario(path).scenario))
            except PodiumError as error:
                print(f"[WARN] Invalid scenario {path.name}: {error}")  # noqa: T201 (documented)
        return found

    async def run_campaign(
        self,
        scenario_paths: Sequence[str | Path],
        parallel: int = 3,
        speed: float | None = 10.0,
        *,
        verbose: bool = True,
    ) -> dict[str, dict[str, Any]]:
        """Run scenarios and return file name to result.

        Files of one name are kept apart by their path below the folder they share. A file that is missing or invalid
        has a result with `success` false and `error`.

        Args:
            scenario_paths: The files.
            parallel: How many at once.
            speed: Simulated seconds per wall second; None: as fast as possible.
            verbose: Whether to print what happens.
        """
        results, _ = await self._run(scenario_paths, parallel, speed, verbose=verbose)
        return results

    async def run_all_scenarios(
        self, parallel: int = 3, speed: float | None = 20.0, *, verbose: bool = True
    ) -> dict[str, Any]:
        """Run every scenario of the folder, write the campaign file, and return its content.

        Args:
            parallel: How many at once.
            speed: Simulated seconds per wall second; None: as fast as possible.
            verbose: Whether to print what happens.
        """
        found = await self.discover_scenarios()
        if not found:
            return {"total_scenarios": 0, "results": {}}
        results, run = await self._run([path for path, _ in found], parallel, speed, verbose=verbose)
        assert run is not None
        row, steps = run
        document = campaign_document(row, steps) | {"results": results}
        path = write_campaign(self._results.results_dir, document)
        if verbose:
            rate, passed, total = document["pass_rate"], document["passed"], document["total_scenarios"]
            print(f"[RESULTS] Pass rate: {rate:.0%} ({passed}/{total})")  # noqa: T201
            print(f"[SAVED] Campaign: {path}")  # noqa: T201
        return document

    def get_recent_campaigns(self, limit: int = 10) -> list[dict[str, Any]]:
        """Return campaigns of this results folder, newest first."""
        return self._results.get_recent_campaigns(limit)

    def get_campaign_summary(self, campaign_id: str) -> dict[str, Any] | None:
        """Return one campaign, None if there is none of this id."""
        return self._results.get_campaign_summary(campaign_id)

    async def _run(
        self, paths: Sequence[str | Path], parallel: int, speed: float | None, *, verbose: bool
    ) -> tuple[dict[str, dict[str, Any]], tuple[RunRow, list[StepRow]] | None]:
        there, missing = _sorted_out(paths)
        if not paths and verbose:
            print("[WARN] No scenarios to execute")  # noqa: T201
        elif verbose:
            print(f"[CAMPAIGN] Running {len(paths)} scenarios (max {parallel} parallel)")  # noqa: T201
        results = {path.name: _missing(path) for path in missing}
        run = None
        if there:
            options = CampaignOptions(parallel=parallel, speed=speed)
            found, row, steps = await _in_thread(there, options, self._store)
            results |= found
            run = (row, steps)
        if verbose:
            for name, result in sorted(results.items()):
                print(f"[{'OK' if result['success'] else 'FAIL'}] {name}")  # noqa: T201
        return results, run


async def execute_campaign(
    scenario_paths: Sequence[str | Path], parallel: int = 3, speed: float | None = 10.0
) -> dict[str, dict[str, Any]]:
    """Run scenarios and return file name to result; see `ScenarioOrchestrator.run_campaign`."""
    return await ScenarioOrchestrator().run_campaign(scenario_paths, parallel, speed)


async def execute_all_scenarios(parallel: int = 3, speed: float | None = 20.0) -> dict[str, Any]:
    """Run every scenario in `scenarios/` and return the campaign; see `ScenarioOrchestrator.run_all_scenarios`."""
    return await ScenarioOrchestrator().run_all_scenarios(parallel, speed)


async def _in_thread(
    paths: Sequence[str | Path], options: CampaignOptions, store: Path | None
) -> tuple[dict[str, dict[str, Any]], RunRow, list[StepRow]]:
    """Run in a thread, as the session has a loop of its own; a cancellation ends the run before it goes on."""
    interrupts = Interrupts()
    running = asyncio.ensure_future(asyncio.to_thread(_execute, paths, options, store, interrupts))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        interrupts.request("a cancellation")
        await asyncio.wait([running])
        raise


def _execute(
    paths: Sequence[str | Path], options: CampaignOptions, store: Path | None, interrupts: Interrupts
) -> tuple[dict[str, dict[str, Any]], RunRow, list[StepRow]]:
    campaign = plan_campaign(paths, options)
    files = {step.name: step.labels["file"] for step in campaign.plan.steps}
    with Session.open(store) as session:
        summary = session.run(campaign.plan, interrupts=interrupts)
        steps = session.store.steps(summary.run)
        results = {step.name: scenario_result(session.store, step, files[step.name]) for step in steps}
        return results, session.store.run(summary.run), steps


def _sorted_out(paths: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """Return the files that are there, and those that are not."""
    given = [Path(path) for path in paths]
    return [path for path in given if path.is_file()], [path for path in given if not path.is_file()]


def _missing(path: Path) -> dict[str, Any]:
    error = f"Scenario file not found: {path}"
    return {"success": False, "error": error, "scenario_name": path.name, "scenario_path": str(path)}
