"""The interpreter that is started before anybody knows which tests to run in it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from podium.executors.pytest_ahead import Ahead
from podium.runtime.process_group import ProcessGroup

HOLDER = """
import sys
from podium.executors.pytest_ahead import Ahead
with Ahead(sys.executable) as ahead:
    print(ahead._started[0].pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(ahead: Ahead) -> ProcessGroup:
    assert ahead._started is not None
    return ahead._started[0]


def test_the_first_suite_that_needs_just_this_takes_it_and_no_other(folder: Path) -> None:
    with Ahead(sys.executable) as ahead:
        process = started(ahead)
        taken = ahead.take(sys.executable, folder, ahead.owner, {})
        assert taken is not None
        assert taken[0] is process
        assert ahead.take(sys.executable, folder, ahead.owner, {}) is None
    group, ours = taken
    assert group.poll() is None  # it is the suite's now
    ours.close()
    group.wait(30)
    assert group.kill()
    group.close()


@pytest.mark.parametrize("other", ["python", "folder", "owner", "environment"])
def test_a_suite_that_needs_something_else_does_not_get_it(folder: Path, other: str) -> None:
    with Ahead(sys.executable) as ahead:
        python = "/other/python" if other == "python" else sys.executable
        place = folder / "other" if other == "folder" else folder
        owner = "other" if other == "owner" else ahead.owner
        environment = {"PYTHONPATH": "."} if other == "environment" else {}
        assert ahead.take(python, place, owner, environment) is None
        process = started(ahead)
    assert process.poll() is not None


def test_one_that_has_died_is_not_handed_over(folder: Path) -> None:
    with Ahead(sys.executable) as ahead:
        started(ahead).strike()
        started(ahead).wait(30)
        assert ahead.take(sys.executable, folder, ahead.owner, {}) is None


@pytest.mark.usefixtures("folder")
def test_an_interpreter_that_cannot_be_started_is_for_the_suite_to_complain_about() -> None:
    with Ahead("/nowhere/python") as ahead:
        assert ahead._started is None


@pytest.mark.usefixtures("folder")
def test_it_ends_by_itself_when_its_owner_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        waiting = psutil.Process(int(holder.stdout.readline()))
        holder.kill()
    assert holder.returncode == -signal.SIGKILL
    waiting.wait(30)  # raises if it lives on


def test_the_tests_of_a_run_are_run_in_it(folder: Path) -> None:
    (folder / "test_here.py").write_text(
        "import os\n"
        "def test_here():\n"
        "    told = [os.environ[name] for name in ('PODIUM_OWNER', 'TEST_ENVIRONMENT', 'PODIUM_STEP')]\n"
        "    with open('told', 'w') as file:\n"
        "        file.write(' '.join(told))\n"
    )
    command = [sys.executable, "-m", "podium", "test", "--store", "s.db", "--python", sys.executable]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    owner, environment, step = (folder / "told").read_text().split()
    assert "/ahead-" in owner
    assert (environment, step) == ("test", "fast_feedback/tests")


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--config", "missing.yaml"], 2), (["--layers", "fats"], 2), (["--dry-run"], 0)]
)
def test_nothing_stays_when_nothing_is_run(folder: Path, arguments: list[str], code: int) -> None:
    (folder / "test_here.py").write_text("def test_here():\n    assert True\n")
    name, value = "MARK_OF_THIS_TEST", str(folder)
    command = [sys.executable, "-m", "podium", "test", "--store", "s.db", *arguments]
    done = subprocess.run(command, env={**os.environ, name: value}, capture_output=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            assert process.environ().get(name) != value, process
