"""Runs the suites of `tests.real_suites` with `podium test`, and says what every test came to by its store."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from tests.real_suites import Project, Ran, Workplace, environment

_BAD_LINE = re.compile(r"(failed|errored|timed out)\s+\S+: \S+::")


def podium_command(python: Path, store: Path, *args: str) -> list[str]:
    """Return the command that runs the tests of the working directory with two workers."""
    program = Path(sys.executable).with_name("podium")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "podium"]
    return [*command, "test", "--store", str(store), "--parallel", "2", "--python", str(python), *args]


def podium(place: Workplace, project: Project, folder: Path, store: Path, *args: str, limit: float = 900) -> Ran:
    """Run the suite of a copy with Podium."""
    ran = run(podium_command(place.python, store, *args), folder, environment(project, folder), store, limit)
    return replace(ran, outcomes=project.stopped(ran.outcomes))


def run(command: list[str], folder: Path, variables: dict[str, str], store: Path, limit: float = 900) -> Ran:
    """Run a command that tests into a store, and note when it first says that a test did not pass."""
    lines: list[str] = []
    first_bad = None
    started = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        timer = threading.Timer(limit, process.kill)
        timer.start()
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if first_bad is None and _BAD_LINE.match(line):
                first_bad = time.monotonic() - started
        code = process.wait()
        timer.cancel()
    wall = time.monotonic() - started
    outcomes = recorded(store) if code in (0, 1) else {}
    if not outcomes:
        raise RuntimeError(f"podium ended with {code} after {wall:.1f} s:\n{''.join(lines[-40:])}")
    return Ran(outcomes, wall, first_bad, code)


def recorded(store: Path) -> dict[str, str]:
    """Return what every test of the store's newest run came to, by id."""
    from podium.session import Session

    with Session.open(store) as session:
        found = [session.store.results_of(row.id) for row in session.store.runs(1)]
    return {name: result.outcome for results in found for (_, name), result in results.items()}


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Return in words what is different between two runs of the same tests: nothing, if they agree."""
    missing = [f"missing: {name} ({expected[name]})" for name in expected.keys() - found.keys()]
    extra = [f"extra: {name} ({found[name]})" for name in found.keys() - expected.keys()]
    other = [
        f"{name}: {found[name]} instead of {outcome}"
        for name, outcome in expected.items()
        if name in found and found[name] != outcome
    ]
    return sorted(missing) + sorted(extra) + sorted(other)
