"""The documented Python interface of workflows: what is stored, also by a program that ends or is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.integration.workflow_api.engine_runs import TARGETS, outcome_of, with_engine

from podium.api.workflows import PerformanceOptimizer
from podium.session import Session

PROJECT = Path(__file__).parents[3]


def test_executions_are_runs_and_are_found_by_another_engine(store):
    status = outcome_of(store, [{"name": "a", "output": 7}], {"x": 1})
    with Session.open(store) as session:
        (row,) = session.store.runs()
    assert (row.work, row.name, row.outcome, row.id) == ("workflow", "w", "passed", status["run"])
    assert with_engine(store, lambda engine: engine.get_execution_status("no-run")) is None
    found = with_engine(store, lambda engine: engine.get_execution_status(row.id))
    assert found["output_data"] == {"a": 7}
    assert found["input_data"] == {"x": 1}
    assert {key: found[key] for key in found if key != "id"} == {key: status[key] for key in status if key != "id"}


def test_without_persistence_nothing_is_left(store, tmp_path):
    async def body(engine):
        await engine.define_workflow("w", [{"name": "a"}])
        name = await engine.execute_workflow("w")
        before = await engine.get_execution_status(name)
        await engine.close()
        return before["status"], await engine.get_execution_status(name)

    assert with_engine(store, body, enable_workflow_persistence=False) == ("completed", None)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_opened_fails_the_execution(tmp_path):
    status = outcome_of(tmp_path, [{"name": "a"}])
    assert (status["status"], status["run"]) == ("failed", None)
    assert str(tmp_path) in status["error"]
    assert status["completed_at"] >= status["started_at"]


def test_functions_are_found_in_the_folder_of_the_program(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "helpers.py").write_text("def five():\n    return 5\n")
    (folder / "program.py").write_text(
        "import asyncio\n"
        "from podium.api.workflows import WorkflowEngine\n"
        "async def main():\n"
        "    async with WorkflowEngine() as engine:\n"
        "        await engine.define_workflow('w', [{'name': 'a', 'action': 'helpers:five'}])\n"
        "        status = await engine.wait_for(await engine.execute_workflow('w'))\n"
        "        print(status['output_data'], status['error'])\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, str(folder / "program.py")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "{'a': 5} None\n", "")


UNFINISHED = """
import asyncio, time
from pathlib import Path
from podium.api.workflows import WorkflowEngine

def step(context):
    time.sleep(1.0)
    print(context.step, flush=True)

async def main():
    engine = WorkflowEngine({"max_concurrent_workflows": 1}, store=Path("podium.db"))
    engine.register_action("step", step)
    await engine.define_workflow("w", [{"name": n, "action": "step"} for n in "ab"])
    for _ in range(2):
        await engine.execute_workflow("w", wait=0.3)

asyncio.run(main())
print("over", flush=True)
"""


def test_a_program_that_ends_waits_for_the_step_under_way_and_leaves_the_rest(tmp_path):
    command = [sys.executable, "-c", UNFINISHED]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout.split()) == (0, ["over", "a"])
    assert "Traceback" not in ended.stderr
    assert "exec_2 was not begun as the program ends" in ended.stderr
    with Session.open(tmp_path / "podium.db") as session:
        (row,) = session.store.runs()
        assert row.outcome is None
        assert not session.is_running(row)
        assert f"run {row.id} is left as the program ends" in ended.stderr
        assert [(step.name, step.outcome) for step in session.store.steps(row.id)] == [("a", "passed")]


PROGRAM = f"""
import asyncio, sys
from pathlib import Path
from podium.api.workflows import WorkflowEngine

async def main(log):
    engine = WorkflowEngine(store=Path("podium.db"))
    steps = [{{"name": n, "action": "{TARGETS}:note", "compensation": "{TARGETS}:undo"}} for n in ("a", "b", "c")]
    await engine.define_workflow("killed", steps)
    await engine.execute_workflow("killed", {{"log": log, "hold": "b"}}, wait=None)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_kill_nine_and_resume_finish_the_workflow(tmp_path, store):
    (tmp_path / "program.py").write_text(PROGRAM)
    log = tmp_path / "log"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "NO_COLOR": "1"}
    process = subprocess.Popen([sys.executable, "program.py", str(log)], cwd=tmp_path, env=environment)
    deadline = time.monotonic() + 20
    while (not log.exists() or "b" not in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Session.open(store) as session:
        (row,) = session.store.runs()
    broken = with_engine(store, lambda engine: engine.get_execution_status(row.id))
    assert (broken["status"], broken["steps_completed"]) == ("failed", 1)
    assert "podium resume" in broken["error"]
    assert log.read_text().split() == ["a", "b"]
    command = [sys.executable, "-m", "podium", "resume", row.id, "--store", str(store)]
    resumed = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, (output, errors)
    status = with_engine(store, lambda engine: engine.get_execution_status(row.id))
    assert (status["status"], status["steps_completed"]) == ("completed", 3)
    assert log.read_text().split() == ["a", "b", "b", "c"]


def test_an_analysis_of_an_execution(store):
    def quick():
        return 1

    def slow():
        time.sleep(0.2)

    async def body(engine):
        await engine.define_workflow("w", [{"name": "quick"}, {"name": "slow"}, {"name": "last", "action": "quick"}])
        for _ in range(2):
            await engine.execute_workflow("w", wait=None)

    with_engine(store, body, [quick, slow])
    found = PerformanceOptimizer(store).analyse("latest")
    assert found.critical_path == ("quick", "slow", "last")
    by_name = {step.times.name: step for step in found.steps}
    assert by_name["slow"].share > 0.5
    assert by_name["slow"].mean_s == pytest.approx(0.2, rel=9)
    assert any("`slow`" in text for text in found.suggestions)
