"""The documented Python interface of workflows: many executions at once, cancelled and closed."""
# ruff: noqa: A002 (actions take `input`)

import asyncio
import threading
import time

import pytest
from tests.integration.workflow_api.engine_runs import with_engine

from podium.api.workflows import WorkflowEngine
from podium.errors import UsageError


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


def test_a_closed_engine_executes_nothing_more(store):
    async def body(engine):
        await engine.define_workflow("w", [{"name": "a"}])
        await engine.close()
        with pytest.raises(UsageError, match="closed"):
            await engine.execute_workflow("w")

    with_engine(store, body)
