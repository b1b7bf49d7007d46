"""Whole scenarios: the documented cascade, two fleets, the pacing of a light one, and loading of a thousand files.

CPU time includes bringing the scenario to life, the run, criteria and fingerprint; pacing is wall time, through the
real clock and the real sleep.

    python -m bench scenario
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.common import ROOT, Row, at_least, at_most, cpu_seconds, interleaved

if TYPE_CHECKING:
    from podium.model.scenario import Scenario
    from podium.sim.pacing import Pace

CASCADE = ROOT / "examples" / "02-documented-format" / "cascade_fail.yaml"
NATIVE = ROOT / "examples" / "01-campaign"
SPEED = 100.0

SATELLITES = """
criteria:
  - always: "*.attitude.nadir_error < 2 deg"
  - always: "*.battery.soc > 10 %"
nodes:
"""
SENSORS = """
criteria:
  - always: GATEWAY.latency.max < 80 ms
network:
  default: {latency: 40 ms, jitter: 15 ms, loss: 1 %}
nodes:
  SENSOR: {type: sensor, count: 100, to: GATEWAY, period: 100 ms, size: 120 B}
  GATEWAY: {type: gateway}
"""


def satellites(count: int) -> str:
    """Return a formation in which each talks to the one before and the one behind."""
    lines = [
        f"  SAT{n}: {{type: satellite, position: [{1.2 * n:.1f} km, 0 km, 420 km], "
        f"neighbours: [SAT{(n - 1) % count}, SAT{(n + 1) % count}]}}\n"
        for n in range(count)
    ]
    return SATELLITES + "".join(lines)


def load(text: str, duration_s: int) -> Scenario:
    from podium.model.loading import load_scenario

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "scenario.yaml"
        path.write_text(f"kind: scenario\nname: bench\nduration: {duration_s} s\nseed: 1\n{text}")
        return load_scenario(path).scenario


class Case:
    """A scenario that is run several times, and must come to the same each time."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.simulated_s = scenario.duration_ns / 1e9
        self.fingerprint = ""
        self.events = 0
        self.pace: Pace | None = None

    def cpu_s(self) -> float:
        return cpu_seconds(self.run)[0]

    def run(self, speed: float | None = None) -> None:
        from podium.sim.pacing import Pacer
        from podium.sim.simulation import Simulation

        pacer = Pacer(speed, monotonic=time.monotonic, sleep=time.sleep)
        result, self.pace = Simulation(self.scenario).run(pacer)
        if self.fingerprint not in {"", result.fingerprint}:
            raise AssertionError("two runs of one scenario differ")
        self.fingerprint, self.events = result.fingerprint, result.events


def simulate(*, quick: bool) -> tuple[list[Row], list[Row]]:
    from podium.model.loading import load_scenario

    duration = 30 if quick else 900
    cases = {
        "cascade, 3 satellites": Case(load_scenario(CASCADE).scenario),
        "100 satellites": Case(load(satellites(100), duration)),
        "100 sensors and a gateway": Case(load(SENSORS, duration)),
    }
    spent = interleaved({name: case.cpu_s for name, case in cases.items()}, 1 if quick else 5)
    ratio = {name: case.simulated_s / spent[name] for name, case in cases.items()}
    rows = [
        {
            "scenario": name,
            "simulated s": case.simulated_s,
            "CPU s": spent[name],
            "times real time": ratio[name],
            "events": case.events,
            "events per CPU s": case.events / spent[name],
        }
        for name, case in cases.items()
    ]
    cascade, *fleets = cases
    targets = [
        at_most(f"{cascade}: CPU seconds", 0.25, spent[cascade]),
        *(at_least(f"{name}: times real time", 300, ratio[name]) for name in fleets),
    ]
    return rows, targets


def pace(*, quick: bool) -> tuple[list[Row], list[Row]]:
    from podium.model.loading import load_scenario

    case = Case(load_scenario(NATIVE / "nominal_formation.yaml", {"duration": "30 s" if quick else "300 s"}).scenario)
    found: list[Pace] = []
    for _ in range(1 if quick else 3):
        case.run(SPEED)
        found.append(case.pace)
    found.sort(key=lambda one: one.speed)
    middle = found[len(found) // 2]
    lateness = sorted(one.lateness_p99_ms for one in found)[len(found) // 2]
    rows = [
        {
            "pacing": f"2 satellites, {case.simulated_s:.0f} s",
            "speed asked": SPEED,
            "speed": middle.speed,
            "p99 late ms": lateness,
            "latest ms": max(one.lateness_max_ms for one in found),
        }
    ]
    targets = [
        at_least("paced: simulated seconds per second", 99.9, middle.speed),
        at_most("paced: p99 lateness [ms]", 5, lateness),
    ]
    return rows, targets


def loading(*, quick: bool) -> list[Row]:
    """Read, validate and resolve files that all differ, of both formats."""
    from podium.model.loading import load_scenario

    count, rounds = (50, 1) if quick else (1000, 3)
    templates = {
        "documented format": (CASCADE, "severity: 0.7", "severity: 0.{}"),
        "native format": (NATIVE / "nominal_formation.yaml", "seed: 1", "seed: {}"),
    }
    with tempfile.TemporaryDirectory() as directory:
        paths: dict[str, list[Path]] = {}
        for name, (template, old, new) in templates.items():
            text = template.read_text()
            assert old in text
            paths[name] = [Path(directory) / f"{name.partition(' ')[0]}{n}.yaml" for n in range(count)]
            for n, path in enumerate(paths[name]):
                path.write_text(text.replace(old, new.format(1000 + n)))
        spent = interleaved(
            {
                name: lambda files=files: cpu_seconds(lambda: [load_scenario(path) for path in files])[0]
                for name, files in paths.items()
            },
            rounds,
        )
        size = {name: files[0].stat().st_size for name, files in paths.items()}
    return [
        {"loading": name, "files": count, "bytes each": size[name], "files per CPU s": count / spent[name]}
        for name in templates
    ]


def measure(*, quick: bool = False) -> dict:
    rows, targets = simulate(quick=quick)
    paced, more = pace(quick=quick)
    return {"name": "scenario", "rows": [*rows, *paced, *loading(quick=quick)], "targets": [*targets, *more]}
