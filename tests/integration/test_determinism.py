"""The same scenario has the same fingerprint in every process, under every hash seed and interpreter.

`PODIUM_PYTHONS` lists interpreters in which podium is installed, separated as in PATH; without it only the running one
is used. With `PODIUM_REQUIRE_ALL` set the list must be there.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PYTHONS = [python for python in os.environ.get("PODIUM_PYTHONS", "").split(os.pathsep) if python] or [sys.executable]
HASH_SEEDS = ("0", "1", "random")

PROGRAM = """
import json, sys
from pathlib import Path
from podium.model.loading import load_scenario
from podium.sim.pacing import Pacer
from podium.sim.simulation import Simulation

found = {}
for path in sorted(Path(sys.argv[1]).glob("0[12]-*/*.yaml")):
    simulation = Simulation(load_scenario(path).scenario)
    result, _ = simulation.run(Pacer(None, monotonic=lambda: 0.0, sleep=lambda _: None))
    found[path.name] = result.fingerprint
print(json.dumps({"hash": hash("podium"), "fingerprints": found}))
"""


def run(python, hash_seed):
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [python, "-c", PROGRAM, str(EXAMPLES)], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@cache
def runs():
    """Run every interpreter under each hash seed, all at the same time."""
    cases = [(python, seed) for python in PYTHONS for seed in HASH_SEEDS]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return dict(zip(cases, pool.map(lambda case: run(*case), cases), strict=True))


def printed(python, hash_seed):
    done = runs()[python, hash_seed]
    assert done.returncode == 0, f"{python}: {done.stderr}"
    return json.loads(done.stdout)


def test_the_interpreters_that_must_be_tried_are_named():
    if os.environ.get("PODIUM_REQUIRE_ALL"):
        assert os.environ.get("PODIUM_PYTHONS"), "PODIUM_REQUIRE_ALL is set, but PODIUM_PYTHONS names no interpreter"


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
@pytest.mark.parametrize("python", PYTHONS)
def test_fingerprints_depend_on_neither_interpreter_nor_hash_seed(python, hash_seed):
    reference = printed(PYTHONS[0], "0")["fingerprints"]
    found = printed(python, hash_seed)["fingerprints"]
    assert found == reference
    assert set(found) == {path.name for path in EXAMPLES.glob("0[12]-*/*.yaml")}


def test_the_hash_seed_did_reach_the_processes():
    assert len({printed(PYTHONS[0], seed)["hash"] for seed in ("0", "1")}) == 2


def test_examples_have_different_fingerprints():
    fingerprints = list(printed(PYTHONS[0], "0")["fingerprints"].values())
    assert len(set(fingerprints)) == len(fingerprints)
