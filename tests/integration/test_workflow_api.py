"""The documented Python interface of workflows: real threads, real processes, a real store."""
# ruff: noqa: A002 (actions take `input`)

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from podium.api.workflows import PerformanceOptimizer, WorkflowEngine
from podium.errors import PlanError, UsageError
from podium.session import Session

PROJECT = Path(__file__).parents[2]
TARGETS = "tests.integration.workflow_targets"
KEYS = {
    "id",
    "workflow_id",
    "status",
    "started_at",
    "steps_completed",
    "total_steps",
    "input_data",
    "output_data",
    "completed_at",
    "cancelled_at",
    "error",
}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "podium.db"


def with_engine(store, body, actions=(), **config):
    async def main():
        async with WorkflowEngine(config, store) as engine:
            for action in actions:
                engine.register_action(action.__name__, action)
            return await body(engine)

    return asyncio.run(main())


def outcome_of(store, steps, input_data=None, actions=(), **config):
    """Define and execute a workflow, and return its status when it is over."""

    async def body(engine):
        await engine.define_workflow("w", steps)
        return await engine.wait_for(await engine.execute_workflow("w", input_data))

    return with_engine(store, body, actions, **config)


# Declared steps


def test_a_definition_has_id_steps_and_moment(store):
    steps = [{"name": f"step{n}", "action": "x"} for n in range(3)]
    made = with_engine(store, lambda engine: engine.define_workflow("three", steps))
    assert (made["id"], made["steps"]) == ("three", steps)
    assert made["created_at"].tzinfo is not None


def test_an_execution_is_completed_when_it_is_short(store):
    async def body(engine):
        await engine.define_workflow("w", [{"name": n} for n in "abc"])
        ids = [await engine.execute_workflow("w", {"user_id": 123}) for _ in range(2)]
        return ids, await engine.get_execution_status(ids[0]), engine.get_running_workflows()

    ids, status, running = with_engine(store, body)
    assert ids == ["exec_1", "exec_2"]
    assert set(status) >= KEYS
    assert (status["status"], status["steps_completed"], status["total_steps"]) == ("completed", 3, 3)
    assert status["input_data"] == {"user_id": 123}
    assert status["output_data"] == dict.fromkeys("abc", "success")
    assert status["completed_at"] >= status["started_at"]
    assert status["declared_only"] == ["a", "b", "c"]
    assert running == []


def test_a_step_that_is_declared_to_fail_ends_the_workflow(store):
    steps = [{"name": "step1", "output": {"n": 1}}, {"name": "step2", "fail": True}, {"name": "step3"}]
    status = outcome_of(store, steps)
    assert (status["status"], status["steps_completed"], status["error"]) == ("failed", 1, "Step step2 failed")
    assert status["output_data"] == {"step1": {"n": 1}}
    assert status["skipped"] == ["step3"]


def test_unknown_workflows_and_executions(store):
    async def body(engine):
        with pytest.raises(ValueError, match="Workflow nowhere not found"):
            await engine.execute_workflow("nowhere")
        with pytest.raises(ValueError, match="Execution exec_9 not found"):
            await engine.wait_for("exec_9")
        return await engine.get_execution_status("exec_9"), await engine.cancel_workflow("exec_9")

    assert with_engine(store, body) == (None, False)


def test_settings_are_checked(store):
    with pytest.raises(UsageError, match="max_concurent_workflows") as caught:
        WorkflowEngine({"max_concurent_workflows": 3}, store)
    assert "max_concurrent_workflows" in caught.value.render()
    for wrong in ({"retry_attempts": 0}, {"workflow_timeout": 0}, {"retry_delay": -1}, {"retry_delay": "5"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            WorkflowEngine(wrong, store)
    defaults = WorkflowEngine(store=store).config
    assert (defaults.max_concurrent_workflows, defaults.workflow_timeout) == (100, 300.0)
    assert (defaults.retry_attempts, defaults.retry_delay) == (3, 5.0)
    assert defaults.enable_workflow_persistence
    assert defaults.enable_compensation


def test_input_that_is_no_json_is_refused(store):
    async def body(engine):
        await engine.define_workflow("w", [{"name": "a"}])
        with pytest.raises(UsageError, match="JSON"):
            await engine.execute_workflow("w", {"x": object()})

    with_engine(store, body)


# Actions


def test_actions_are_called_with_what_they_take(store):
    threads = set()

    def first(input):
        threads.add(threading.current_thread())
        return {"status": "success", "n": input["n"] + 1}

    async def second(results, context, progress):
        threads.add(threading.current_thread())
        progress(0.5, "half")
        return [results["first"]["n"], context.step, context.attempt]

    def third(**given):
        return sorted(given)

    def fourth():
        return None

    steps = [{"name": n, "action": n} for n in ("first", "second", "third")] + [{"name": "fourth"}]
    status = outcome_of(store, steps, {"n": 1}, [first, second, third, fourth])
    assert status["output_data"] == {
        "first": {"status": "success", "n": 2},
        "second": [2, "second", 1],
        "third": ["input", "results"],
        "fourth": None,
    }
    assert status["declared_only"] == []
    assert threading.main_thread() not in threads


def test_an_action_that_raises_fails_the_workflow_with_the_reason(store):
    def bad():
        raise ValueError("no card")

    status = outcome_of(store, [{"name": "charge", "action": "bad"}], actions=[bad])
    assert (status["status"], status["error"]) == ("failed", "Step charge failed: ValueError: no card")


def test_as_soon_as_one_action_is_registered_unknown_ones_are_errors(store):
    def charge():
        return 1

    async def body(engine):
        for steps, said in (
            ([{"name": "a", "action": "chrge"}], "did you mean `charge`"),
            ([{"name": "a"}], "none is registered under its name"),
            ([{"name": "charge", "compensation": "refund"}], "unknown compensation `refund`"),
            ([{"name": "a", "action": "nowhere_at_all:f"}], "cannot be imported"),
            ([{"name": "a", "action": f"{TARGETS}:nothing"}], "has no nothing"),
        ):
            with pytest.raises(PlanError) as caught:
                await engine.define_workflow("w", steps)
            assert said in caught.value.render()
        await engine.define_workflow("w", [{"name": "charge"}, {"name": "declared", "output": 3}])
        return await engine.wait_for(await engine.execute_workflow("w"))

    status = with_engine(store, body, [charge])
    assert status["output_data"] == {"charge": 1, "declared": 3}
    assert status["declared_only"] == ["declared"]


def test_a_function_that_cannot_be_called_as_an_action_is_refused(store):
    engine = WorkflowEngine(store=store)
    with pytest.raises(UsageError, match="needs `order`"):
        engine.register_action("a", lambda order: order)
    with pytest.raises(UsageError, match="cannot be called"):
        engine.register_action("a", "text")
    engine.register_action("a", lambda order=3: order)


def test_retry_timeout_and_input(store):
    seen = []

    def flaky(input):
        seen.append(input)
        if len(seen) < 3:
            raise ConnectionError("again")
        return input

    async def slow():
        await asyncio.sleep(30)

    steps = [
        {"name": "make", "output": {"id": "A7"}},
        {"name": "flaky", "retry": True, "input": {"order": "${result.id}", "of": "${input.user}"}},
        {"name": "slow", "timeout": 0.05},
    ]
    status = outcome_of(store, steps, {"user": "eva"}, [flaky, slow], retry_delay=0.01)
    assert seen == [{"order": "A7", "of": "eva"}] * 3
    assert status["steps_completed"] == 2
    assert status["error"] == "Step slow failed: Timeout: did not end within 0.05 s"


def test_attempts_are_limited(store):
    calls = []

    def bad():
        calls.append(1)
        raise OSError("no")

    for retry, attempts in ((True, 4), (2, 2), (False, 1)):
        calls.clear()
        steps = [{"name": "bad", "retry": retry}]
        assert outcome_of(store, steps, actions=[bad], retry_delay=0.0, retry_attempts=4)["status"] == "failed"
        assert len(calls) == attempts


def test_a_workflow_may_not_take_longer_than_its_timeout(store):
    async def slow():
        await asyncio.sleep(30)

    status = outcome_of(store, [{"name": "slow"}], actions=[slow], workflow_timeout=0.1)
    assert (status["status"], status["error"]) == ("failed", "Workflow w timed out after 0.1 s")


# Order


@pytest.mark.parametrize(
    ("word", "ran", "left_out"), [("success", "next_step", "error_handler"), ("bad", "error_handler", "next_step")]
)
def test_a_condition_decides_which_steps_run(store, word, ran, left_out):
    steps = [
        {"name": "first", "output": {"status": word}},
        {"name": "decide", "condition": "result.status == 'success'", "then": "next_step", "else": "error_handler"},
        {"name": "next_step", "output": 1},
        {"name": "error_handler", "output": 2},
        {"name": "last"},
    ]
    status = outcome_of(store, steps)
    assert (status["status"], status["skipped"]) == ("completed", [left_out])
    assert list(status["output_data"]) == ["first", "decide", ran, "last"]


@pytest.mark.parametrize("more", [{}, {"then": "last"}])
def test_a_condition_has_to_be_true_or_false(store, more):
    steps = [{"name": "first"}, {"name": "decide", "condition": "result", **more}, {"name": "last"}]
    status = outcome_of(store, steps, workflow_timeout=2)
    assert (status["status"], status["steps_completed"]) == ("failed", 1)
    assert status["error"].startswith("Step decide failed: ")
    assert "neither true nor false" in status["error"]


def test_a_condition_without_a_value_fails_the_workflow(store):
    steps = [{"name": "first"}, {"name": "if", "condition": "result.x.y == 1", "then": "c"}, {"name": "c"}]
    status = outcome_of(store, steps, workflow_timeout=2)
    assert status["error"].startswith("Step if failed: ")
    assert "has no value" in status["error"]


def test_steps_in_a_branch_and_the_result_after_it(store):
    def echo(input):
        return input

    steps = [
        {"name": "first", "output": 5},
        {
            "name": "decide",
            "condition": "result > input.limit",
            "then": [{"name": "big", "output": "big"}, {"name": "bigger", "output": "bigger"}],
            "else": {"name": "small", "output": "small"},
        },
        {"name": "echo", "input": "${result}"},
        {"name": "only_if", "condition": 'results["first"] == 6'},
        {"name": "tell", "action": "echo", "input": "${result} of result"},
    ]
    steps[3]["output"] = 1
    high = outcome_of(store, steps, {"limit": 9}, [echo])
    assert high["output_data"]["echo"] == "small"
    assert high["output_data"]["tell"] == "small of result"
    assert high["skipped"] == ["big", "bigger", "only_if"]
    low = outcome_of(store, steps, {"limit": 3}, [echo])
    assert low["output_data"]["echo"] == "bigger"
    assert low["skipped"] == ["small", "only_if"]


def test_parallel_steps_run_side_by_side_and_give_one_result(store):
    together = threading.Barrier(3)

    def meet(context):
        together.wait(10)
        return context.step[-1]

    def after(input):
        return input

    steps = [
        {"name": "all", "parallel": [{"name": f"task{n}", "action": "meet"} for n in (1, 2, 3)]},
        {"name": "after", "input": "${result.task2}"},
    ]
    status = outcome_of(store, steps, actions=[meet, after])
    assert status["output_data"]["all"] == {"task1": "1", "task2": "2", "task3": "3"}
    assert status["output_data"]["after"] == "2"
    assert (status["steps_completed"], status["total_steps"]) == (5, 5)


# Undoing


def order_actions(log, *, ship_fails=True, release_fails=False):
    def reserve_inventory():
        log.append("reserve")
        return {"reserved": 2}

    def charge_payment():
        log.append("charge")
        return {"charged": 20}

    def ship_order():
        log.append("ship")
        if ship_fails:
            raise RuntimeError("no van")

    async def refund_payment(results, input):
        log.append(("refund", results, input))
        if release_fails:
            raise OSError("bank is closed")

    def release_inventory(results):
        log.append(("release", results))

    def cancel_shipment():
        log.append("cancel")

    return [reserve_inventory, charge_payment, ship_order, refund_payment, release_inventory, cancel_shipment]


SAGA = [
    {"name": "reserve_inventory", "compensation": "release_inventory"},
    {"name": "charge_payment", "compensation": "refund_payment"},
    {"name": "ship_order", "compensation": "cancel_shipment"},
]


def test_a_saga_is_undone_in_reverse_order(store):
    log = []
    status = outcome_of(store, SAGA, {"sku": "A1"}, order_actions(log))
    assert (status["status"], status["compensation"]) == ("failed", "compensated")
    assert status["error"] == "Step ship_order failed: RuntimeError: no van"
    reserved, charged = {"reserve_inventory": {"reserved": 2}}, {"charge_payment": {"charged": 20}}
    undone = [("refund", reserved | charged, {"sku": "A1"}), ("release", reserved)]
    assert log == ["reserve", "charge", "ship", *undone]


def test_all_is_undone_even_if_something_cannot_be(store):
    log = []
    status = outcome_of(store, SAGA, {}, order_actions(log, release_fails=True))
    assert (status["status"], status["compensation"]) == ("failed", "compensation_failed")
    assert [entry[0] for entry in log[3:]] == ["refund", "release"]


def test_nothing_is_undone_if_all_passes_or_it_is_not_wanted(store):
    log = []
    status = outcome_of(store, SAGA, {}, order_actions(log, ship_fails=False))
    assert (status["status"], status["compensation"], len(log)) == ("completed", None, 3)
    log.clear()
    status = outcome_of(store, SAGA, {}, order_actions(log), enable_compensation=False)
    assert (status["status"], status["compensation"], len(log)) == ("failed", None, 3)


# Cancelling, and many at once


def test_a_running_step_is_cancelled_what_was_done_is_undone_and_it_stays_cancelled(store):
    log, begun = [], threading.Event()

    def first():
        log.append("first")

    async def second():
        begun.set()
        await asyncio.sleep(30)

    def undo():
        log.append("undo")

    async def body(engine):
        await engine.define_workflow("w", [{"name": "first", "compensation": "undo"}, {"name": "second"}])
        name = await engine.execute_workflow("w", wait=0)
        assert await asyncio.to_thread(begun.wait, 10)
        assert engine.get_running_workflows() == [name]
        assert (await engine.get_execution_status(name))["status"] == "running"
        assert await engine.cancel_workflow(name) is True
        assert (await engine.get_execution_status(name))["status"] == "cancelled"
        assert await engine.cancel_workflow(name) is False
        status = await engine.wait_for(name)
        return status, await engine.get_execution_status(status["run"]), await engine.cancel_workflow(name)

    status, stored, again = with_engine(store, body, [first, second, undo])
    assert (status["status"], stored["status"], again) == ("cancelled", "cancelled", False)
    assert stored["compensation"] == status["compensation"] == "compensated"
    assert status["cancelled_at"] >= status["started_at"]
    assert log == ["first", "undo"]


def test_a_finished_execution_cannot_be_cancelled(store):
    async def body(engine):
        await engine.define_workflow("w", [{"name": "a"}])
        name = await engine.execute_workflow("w")
        return await engine.cancel_workflow(name), (await engine.get_execution_status(name))["status"]

    assert with_engine(store, body) == (False, "completed")


def test_two_running_ones_are_listed(store):
    go = threading.Event()

    def hold():
        go.wait(10)

    async def body(engine):
        await engine.define_workflow("w", [{"name": "hold"}])
        names = [await engine.execute_workflow("w", wait=0) for _ in range(2)]
        running = engine.get_running_workflows()
        go.set()
        for name in names:
            await engine.wait_for(name)
        return names, running, engine.get_running_workflows()

    names, running, after = with_engine(store, body, [hold])
    assert (running, after) == (names, [])


def test_never_more_than_so_many_run_at_once_and_the_others_follow_in_order(store):
    lock, counts, order = threading.Lock(), [0, 0], []

    def work(input):
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
            order.append(input["n"])
        time.sleep(0.1)
        with lock:
            counts[0] -= 1

    async def body(engine):
        await engine.define_workflow("w", [{"name": "work"}, {"name": "again", "action": "work"}])
        names = [await engine.execute_workflow("w", {"n": n}, wait=0) for n in range(5)]
        queued = [(await engine.get_execution_status(name))["queued"] for name in names]
        cancelled = await engine.cancel_workflow(names[4])
        return queued, cancelled, [(await engine.wait_for(name))["status"] for name in names]

    queued, cancelled, states = with_engine(store, body, [work], max_concurrent_workflows=2)
    assert queued == [False, False, True, True, True]
    assert cancelled is True
    assert states == ["completed"] * 4 + ["cancelled"]
    assert counts == [0, 2]
    assert (set(order[:2]), set(order)) == ({0, 1}, {0, 1, 2, 3})


def test_many_at_once(store):
    def work(input):
        return input["n"] * 2

    async def body(engine):
        steps = [{"name": "work"}, {"name": "more", "condition": "result > 10", "action": "work"}]
        await engine.define_workflow("w", steps)
        names = [await engine.execute_workflow("w", {"n": n}, wait=0) for n in range(30)]
        return [(await engine.wait_for(name))["output_data"] for name in names]

    found = with_engine(store, body, [work])
    assert [one["work"] for one in found] == [2 * n for n in range(30)]
    assert ["more" in one for one in found] == [n > 5 for n in range(30)]


def test_closing_cancels_what_runs(store):
    async def slow():
        await asyncio.sleep(30)

    async def body(engine):
        await engine.define_workflow("w", [{"name": "slow"}])
        await engine.execute_workflow("w", wait=0)
        await engine.execute_workflow("w", wait=0)
        await engine.close()
        return [(await engine.get_execution_status(f"exec_{n}"))["status"] for n in (1, 2)]

    began = time.monotonic()
    assert with_engine(store, body, [slow], max_concurrent_workflows=1) == ["cancelled", "cancelled"]
    assert time.monotonic() - began < 10


def test_cancelling_the_task_cancels_the_execution(store):
    async def slow():
        await asyncio.sleep(30)

    async def body(engine):
        await engine.define_workflow("w", [{"name": "slow"}])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.execute_workflow("w", wait=None), 0.3)
        return (await engine.wait_for("exec_1"))["status"]

    assert with_engine(store, body, [slow]) == "cancelled"


def test_one_event_loop_after_another(store):
    engine = WorkflowEngine(store=store)
    asyncio.run(engine.define_workflow("w", [{"name": "a"}]))
    name = asyncio.run(engine.execute_workflow("w", wait=0))
    assert asyncio.run(engine.wait_for(name))["status"] == "completed"
    asyncio.run(engine.close())


# Persistence


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


def test_a_closed_engine_executes_nothing_more(store):
    async def body(engine):
        await engine.define_workflow("w", [{"name": "a"}])
        await engine.close()
        with pytest.raises(UsageError, match="closed"):
            await engine.execute_workflow("w")

    with_engine(store, body)


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


def test_functions_of_other_processes_are_undone_too(store, tmp_path):
    log = tmp_path / "log"
    steps = [
        {"name": "a", "action": f"{TARGETS}:note", "compensation": f"{TARGETS}:undo"},
        {"name": "b", "action": f"{TARGETS}:fail"},
    ]
    status = outcome_of(store, steps, {"log": str(log)})
    assert status["compensation"] == "compensated"
    assert status["error"] == "Step b failed: RuntimeError: after ['a']"
    assert log.read_text() == "a\nundo ['a']\n"


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
