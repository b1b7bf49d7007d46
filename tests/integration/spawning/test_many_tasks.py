"""Agents from Python: many tasks at once, one after another, and cancelled."""

import asyncio
import contextlib
import sys
import time

import pytest
from tests.integration.spawning.tool_calls import at_once, calls, child_born, child_is_dead, run

from podium.api.spawning import SpawnTask, collect, spawn, spawn_parallel, spawn_parallel_tracked, spawn_sequential
from podium.session import Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


def test_never_more_than_asked_for_at_once_and_the_order_is_kept():
    tasks = [SpawnTask(f"sleep {0.05 * (n % 3)}\nsay {n}") for n in range(20)]
    results = run(spawn_parallel(tasks, max_concurrent=5))
    assert [result.output for result in results] == [str(n) for n in range(20)]
    assert [line[1] for line in calls()] != [task.prompt for task in tasks]
    assert 2 <= at_once() <= 5


def test_as_many_at_once_as_asked_for():
    run(spawn_parallel([SpawnTask(f"sleep 0.5\nsay {n}") for n in range(3)], max_concurrent=3))
    assert at_once() == 3


def test_a_failure_leaves_the_others_alone():
    results = run(spawn_parallel([SpawnTask("say a"), SpawnTask("die no"), SpawnTask("say c")]))
    assert [result.success for result in results] == [True, False, True]


def test_a_task_that_is_wrong_has_a_failed_result():
    tasks = [
        SpawnTask("say a"),
        SpawnTask("say b", policy_name="odd"),
        SpawnTask("say c", timeout=-1),
        SpawnTask("say \udc80"),
        SpawnTask("say e"),
    ]
    results = run(spawn_parallel(tasks))
    assert [result.output for result in results] == ["a", "", "", "", "e"]
    assert results[1].error.startswith("Unknown policy preset: 'odd'")
    assert "timeout must be above 0 s" in results[2].error
    assert "surrogates not allowed" in results[3].error


def test_nothing_is_nothing():
    assert run(spawn_parallel([])) == []
    assert run(spawn_sequential([])) == []
    results, metadata = run(spawn_parallel_tracked([]))
    assert (results, metadata["total_tasks"], metadata["heartbeat_metrics"]) == ([], 0, [])


@pytest.mark.parametrize("function", [spawn_parallel, spawn_parallel_tracked, collect])
def test_at_least_one_at_once(function):
    with pytest.raises(ValueError, match="max_concurrent must be at least 1, not 0"):
        run(function([], max_concurrent=0))


def test_progress_is_told_in_the_loop_and_a_callback_that_raises_does_no_harm():
    told = []

    def tell(*about):
        assert asyncio.get_running_loop()
        told.append(about)
        raise RuntimeError("not my day")

    results = run(spawn_parallel([SpawnTask("say a", agent="x"), SpawnTask("die b")], 1, tell))
    assert [result.success for result in results] == [True, False]
    assert told == [
        (1, 2, "x", "Starting"),
        (1, 2, "x", "Completed"),
        (2, 2, "llm", "Starting"),
        (2, 2, "llm", "Failed"),
    ]


def test_a_store_that_cannot_be_opened_is_a_failed_result(tmp_path):
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 100)
    results = run(spawn_parallel([SpawnTask("say a")], store=tmp_path / "broken.db"))
    assert (results[0].success, results[0].exit_code) == (False, -1)
    assert "broken.db" in results[0].error


def test_the_loop_of_the_caller_goes_on():
    async def main():
        ticks = 0
        task = asyncio.create_task(spawn(SpawnTask("sleep 0.5")))
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert run(main()) > 20


def test_calls_of_one_loop_run_together():
    async def main():
        return await asyncio.gather(*(spawn(SpawnTask(f"sleep 0.4\nsay {n}")) for n in range(3)))

    assert [result.output for result in run(main())] == ["0", "1", "2"]
    assert at_once() == 3


def test_cancelled_everything_is_dead_before_the_caller_goes_on():
    async def main():
        task = asyncio.create_task(spawn_parallel([SpawnTask("child\nsleep 60"), SpawnTask("sleep 60")]))
        await child_born()
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        assert child_is_dead()

    run(main())
    with Session.open() as session:
        assert session.store.run("latest").outcome == "cancelled"


def test_cancelled_twice_what_does_not_listen_is_killed():
    async def main():
        task = asyncio.create_task(spawn(SpawnTask("stubborn\nchild\nsleep 60")))
        await child_born()
        began = time.monotonic()
        task.cancel()
        await asyncio.sleep(0.1)
        assert not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert time.monotonic() - began < 15
        assert child_is_dead()

    run(main())


def test_a_timeout_of_the_caller_ends_the_run():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await spawn(SpawnTask("sleep 60"))

    run(main())


def test_each_is_told_what_those_before_wrote():
    tasks = [SpawnTask("say one"), SpawnTask("die two"), SpawnTask("sleep 0"), SpawnTask("say four")]
    results = run(spawn_sequential(tasks))
    assert [result.success for result in results] == [True, False, True, True]
    assert [line[1] for line in calls()] == [
        "say one",
        "die two\n\nPrevious context:\none",
        "sleep 0\n\nPrevious context:\none",
        "say four\n\nPrevious context:\none",
    ]


def test_without_context_and_after_a_failure():
    tasks = [SpawnTask("say one"), SpawnTask("die two"), SpawnTask("say three")]
    results = run(spawn_sequential(tasks, pass_context=False, stop_on_failure=True))
    assert [result.success for result in results] == [True, False]
    assert [line[1] for line in calls()] == ["say one", "die two"]


def test_one_after_another_is_never_two_at_once():
    run(spawn_sequential([SpawnTask("sleep 0.1")] * 3, pass_context=False))
    assert (at_once(), len(calls())) == (1, 3)
