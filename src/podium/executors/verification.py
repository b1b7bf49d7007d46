"""Runs a scenario twice in separate processes and finds the first event in which they differ.

The processes hash differently (PYTHONHASHSEED), so an order that depends on it is found. Run as
`python -m podium.executors.verification SCENARIO.json TRACE` this module is one of the two.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from podium.errors import SimulationError
from podium.model.scenario import Scenario
from podium.sim.pacing import Pacer
from podium.sim.simulation import Simulation
from podium.sim.trace import Difference, Trace, first_difference


class Verification(msgspec.Struct, frozen=True):
    """What two runs of one scenario came to.

    Attributes:
        fingerprints: Of the first and the second.
        entries: How many things happened in the first.
        difference: Where they part; None if they are the same.
    """

    fingerprints: tuple[str, str]
    entries: int
    difference: Difference | None


def verify(scenario: Scenario, *, pythons: tuple[str, str] = (sys.executable, sys.executable)) -> Verification:
    """Run a scenario twice and compare everything that happened.

    Args:
        scenario: What to run.
        pythons: The interpreters, both with Podium installed.

    Raises:
        SimulationError: A run failed (S603).
    """
    with tempfile.TemporaryDirectory(prefix="podium-verify-") as folder:
        definition = Path(folder) / "scenario.json"
        definition.write_bytes(msgspec.json.encode(scenario))
        traces = [Path(folder) / name for name in ("first", "second")]
        running = [
            subprocess.Popen(
                [python, "-P", "-m", __name__, str(definition), str(trace)],
                env={**os.environ, "PYTHONHASHSEED": str(number)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number, (python, trace) in enumerate(zip(pythons, traces, strict=True), 1)
        ]
        results = [process.communicate() for process in running]
        for process, (_, errors) in zip(running, results, strict=True):
            if process.returncode != 0:
                lines = errors.strip().splitlines() or [f"exit code {process.returncode}"]
                raise SimulationError(f"the run failed: {lines[-1]}", code="S603")
        with traces[0].open("rb") as first, traces[1].open("rb") as second:
            difference = first_difference(first, second)
        with traces[0].open("rb") as first:
            entries = sum(1 for _ in first)
    fingerprints = (results[0][0].strip(), results[1][0].strip())
    return Verification(fingerprints, entries, difference)


def _run(definition: Path, trace: Path) -> str:
    scenario = msgspec.json.decode(definition.read_bytes(), type=Scenario)
    with trace.open("wb") as stream:
        simulation = Simulation(scenario, Trace(keep=lambda line: stream.write(line + b"\n")))
        pacer = Pacer(None, monotonic=time.monotonic, sleep=time.sleep)
        result, _ = simulation.run(pacer)
    return result.fingerprint


if __name__ == "__main__":
    sys.stdout.write(_run(Path(sys.argv[1]), Path(sys.argv[2])) + "\n")
