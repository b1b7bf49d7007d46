"""Public test suites: Podium beside pytest alone and pytest-xdist, each test with the same outcome.

Every mode runs each suite once per round, as its project configures it, in the same copy of its released sources, on
two processes (pytest alone: one), from the start of the command to its end; imports are compiled beforehand.
`first run` is with an empty store, `with history` once more with the same one. That each run has the same tests with
the same outcomes as pytest alone is checked, and a difference fails the benchmark.

Time to the first failure: suites with one seeded defect each (suite_mutants.py), tested with the history of one run
from before the defect. Podium and pytest `-x` are measured until their first failing test is reported; pytest alone
runs to its end, which is what a person waits for who wants to know what fails.

    python -m bench suites
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.real_suites import PROJECTS, Project, Ran, Workplace, environment, pinned, plain_pytest, prepare
from tests.real_suites_podium import differences, podium, podium_command

from bench.common import Row, at_most, interleaved
from bench.suite_mutants import Mutant, kept_mutants

XDIST = {
    "xdist load": ("-n2", "--dist", "load"),
    "xdist worksteal": ("-n2", "--dist", "worksteal"),
    "xdist loadfile": ("-n2", "--dist", "loadfile"),
}
ROUNDS = {True: 3, False: 2}
"""How often each mode runs a small suite, and one that takes a minute."""
DEFECTS = {True: 4, False: 2}
"""How many defects of a small suite are tested, and of one that takes a minute."""
FAIL_FAST = ("--fast-fail",)
"""Arguments with which Podium ends at the first test that does not pass."""


def measure(*, quick: bool = False) -> dict:
    place = prepare()
    names = os.environ.get("PODIUM_BENCH_SUITES", "marshmallow,jinja2" if quick else "").split(",")
    projects = [project for project in PROJECTS if names == [""] or project.name in names]
    with tempfile.TemporaryDirectory() as directory:
        parent = Path(directory)
        suites = [
            suite_row(place, project, parent / "whole", 1 if quick else ROUNDS[project.small]) for project in projects
        ]
        defects = defect_rows(place, projects, parent / "defects", quick=quick)
        overhead = overhead_rows(place, parent / "overhead", rounds=1 if quick else 5)
    by_xdist = geometric_mean([row["podium / best xdist"] for row in suites])
    by_first = geometric_mean([row["first run"] / best_xdist(row) for row in suites])
    by_plain = geometric_mean([row["podium / pytest"] for row in suites])
    means: list[Row] = [
        {"geometric mean of ratios": "podium with history / best of xdist", "ratio": by_xdist},
        {"geometric mean of ratios": "podium, first run / best of xdist", "ratio": by_first},
        {"geometric mean of ratios": "podium with history / pytest alone", "ratio": by_plain},
    ]
    versions: list[Row] = [{"peer": name, "version": pinned(name)} for name in ("pytest", "pytest-xdist")]
    slowest = max(row["podium / pytest"] for row in suites)
    to_failure = geometric_mean([row["podium / pytest"] for row in defects])
    return {
        "name": "suites",
        "rows": [*versions, *suites, *means, *defects, *overhead],
        "targets": [
            at_most("wall of a first run against the best mode of xdist", 0.6, by_first),
            at_most("wall with history against the best mode of xdist", 0.6, by_xdist),
            at_most("wall with history against pytest alone, worst suite", 1.0, slowest),
            at_most("time to the first failure against pytest alone", 0.4, to_failure),
            at_most("one trivial test: seconds more than pytest alone", 0.5, overhead[-1]["wall s"]),
        ],
    }


def best_xdist(row: Row) -> float:
    return min(row[name] for name in XDIST)


def suite_row(place: Workplace, project: Project, parent: Path, rounds: int) -> Row:
    """Return the median wall times of a suite in every mode.

    Raises:
        RuntimeError: A mode found other tests, or other outcomes.
    """
    parent.mkdir(exist_ok=True)
    folder = place.copy(project, parent)
    expected = plain_pytest(place, project, folder).outcomes  # and compiles what pytest rewrites
    store = parent / f"{project.name}.db"

    def checked(name: str, run: Callable[[], Ran]) -> Callable[[], float]:
        def case() -> float:
            ran = run()
            found = differences(expected, ran.outcomes)
            for _ in range(5 if name in XDIST else 0):
                if found:  # its workers each collect, and give up if one finds other ids, such as the time of day
                    ran = run()
                    found = differences(expected, ran.outcomes)
            if found:
                shown = "\n  ".join(found[:10])
                raise RuntimeError(f"{project.name}, {name}: {len(found)} outcomes differ\n  {shown}")
            if ran.exit_code:
                raise RuntimeError(f"{project.name}, {name}: exit code {ran.exit_code}, though all is well")
            print(f"  {project.name}, {name}: {ran.wall:.2f} s", file=sys.stderr, flush=True)
            return ran.wall

        return case

    def first_run() -> Ran:
        remove_store(store)
        return podium(place, project, folder, store)

    modes: dict[str, Callable[[], Ran]] = {"pytest": lambda: plain_pytest(place, project, folder)}
    for name, args in XDIST.items():
        modes[name] = lambda args=args: plain_pytest(place, project, folder, *args)
    modes["first run"] = first_run
    modes["with history"] = lambda: podium(place, project, folder, store)
    wall = interleaved({name: checked(name, run) for name, run in modes.items()}, rounds)
    return {
        "wall s": project.folder.replace("_", "-"),
        "tests": len(expected),
        **wall,
        "podium / best xdist": wall["with history"] / best_xdist(wall),
        "podium / pytest": wall["with history"] / wall["pytest"],
    }


def defect_rows(place: Workplace, projects: list[Project], parent: Path, *, quick: bool) -> list[Row]:
    """Return the times to the first reported failure, one row per defect."""
    parent.mkdir(exist_ok=True)
    rows: list[Row] = []
    for project in projects:
        each = 1 if quick else DEFECTS[project.small]
        mutants = [mutant for mutant in kept_mutants() if mutant.project == project.name][:each]
        if mutants:
            folder = place.copy(project, parent)
            plain_pytest(place, project, folder)
            green = parent / f"{project.name}.green.db"
            podium(place, project, folder, green)
            rows += [defect_row(place, project, folder, green, mutant) for mutant in mutants]
    return rows


def defect_row(place: Workplace, project: Project, folder: Path, green: Path, mutant: Mutant) -> Row:
    store = green.with_name(f"{project.name}.defect.db")
    remove_store(store)
    shutil.copy(green, store)
    with mutant.applied(folder):
        whole = plain_pytest(place, project, folder)
        first = plain_pytest(place, project, folder, "-x")
        ran = podium(place, project, folder, store, *FAIL_FAST)
    wrong = [
        name for name, outcome in ran.outcomes.items() if outcome == "failed" and whole.outcomes.get(name) != outcome
    ]
    if ran.first_bad is None or wrong:
        raise RuntimeError(f"{project.name}, {mutant.file}:{mutant.line}: Podium did not report what fails: {wrong}")
    row = {
        "seconds to the first failure": f"{project.name} {mutant.file.rpartition('/')[2]}:{mutant.line}",
        "failing tests": sum(outcome in {"failed", "errored"} for outcome in whole.outcomes.values()),
        "pytest, whole": whole.wall,
        "pytest -x": first.first_bad,
        "podium": ran.first_bad,
        "podium / pytest": ran.first_bad / whole.wall,
    }
    print(f"  {row}", file=sys.stderr, flush=True)
    return row


def overhead_rows(place: Workplace, parent: Path, rounds: int) -> list[Row]:
    """Return what it takes to run a single test that does nothing."""
    folder = parent / "project"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_one.py").write_text("def test_one():\n    pass\n")
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    store = parent / "runs.db"
    variables = environment(PROJECTS[0], folder)

    def timed(*command: str) -> float:
        started = time.monotonic()
        subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True, timeout=120)
        return time.monotonic() - started

    alone = [str(place.python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    timed(*alone)
    wall = interleaved(
        {
            "pytest": lambda: timed(*alone),
            "podium": lambda: timed(*podium_command(place.python, store)),
        },
        rounds,
    )
    return [
        {"one trivial test": "pytest", "wall s": wall["pytest"]},
        {"one trivial test": "podium", "wall s": wall["podium"]},
        {"one trivial test": "what Podium adds", "wall s": wall["podium"] - wall["pytest"]},
    ]


def remove_store(store: Path) -> None:
    for path in store.parent.glob(f"{store.name}*"):
        path.unlink()


def geometric_mean(values: list[float]) -> float:
    return statistics.geometric_mean(values)
