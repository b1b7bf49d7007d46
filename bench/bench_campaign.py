"""Whole campaigns: discovery of a thousand files, 200 scenarios on two processes against one, and start-up.

Wall time, as a person waits for it. The scenarios are the documented cascade, shortened to 300 simulated seconds.

    python -m bench campaign
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.bench_scenario import CASCADE
from bench.common import Row, at_least, at_most, environment, interleaved

_HELP = [sys.executable, "-m", "podium", "--help"]


def measure(*, quick: bool = False) -> dict:
    files, cases, rounds = (100, 20, 1) if quick else (1000, 200, 3)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        text = CASCADE.read_text().replace("duration_s: 1200", "duration_s: 300").replace("s: 600", "s: 200")
        for number in range(files):
            path = folder / "many" / f"group_{number % 10}" / f"scenario_{number:04}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "one").mkdir()
        (folder / "one" / "cascade.yaml").write_text(text)
        wall = interleaved(
            {
                "planning": lambda: plan(folder / "many", files),
                "one process": lambda: run(folder, cases, parallel=1),
                "two processes": lambda: run(folder, cases, parallel=2),
                "podium --help": start_up,
            },
            rounds,
        )
    speedup = wall["one process"] / wall["two processes"]
    rows: list[Row] = [
        {"what": f"discover, check and plan {files} files", "wall s": wall["planning"]},
        {"what": f"{cases} scenarios of 300 s on one process", "wall s": wall["one process"]},
        {"what": f"{cases} scenarios of 300 s on two processes", "wall s": wall["two processes"]},
        {"what": "podium --help", "wall s": wall["podium --help"]},
    ]
    return {
        "name": "campaign",
        "rows": rows,
        "targets": [
            at_least("two processes against one", 1.5, speedup),
            at_most("podium --help [s]", 0.15, wall["podium --help"]),
        ],
    }


def plan(folder: Path, files: int) -> float:
    from podium.plan.campaign import CampaignOptions, plan_campaign

    started = time.perf_counter()
    campaign = plan_campaign([folder], CampaignOptions())
    spent = time.perf_counter() - started
    assert len(campaign.plan.steps) == files
    assert not campaign.invalid
    return spent


def run(folder: Path, cases: int, *, parallel: int) -> float:
    from podium.plan.campaign import CampaignOptions, plan_campaign
    from podium.session import Session

    plan = plan_campaign([folder / "one"], CampaignOptions(parallel=parallel, seeds=tuple(range(cases)))).plan
    with tempfile.TemporaryDirectory() as directory, Session.open(Path(directory) / "podium.db") as session:
        started = time.perf_counter()
        summary = session.run(plan)
        spent = time.perf_counter() - started
    assert summary.counts == {"passed": cases}, summary.counts
    return spent


def start_up() -> float:
    started = time.perf_counter()
    subprocess.run(_HELP, check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.perf_counter() - started
