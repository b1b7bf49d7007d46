"""Real worker processes: what they report, and that nothing of them is left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.executor_bench import with_workers
from tests.processes import gone, until_gone

from podium.protocols import Finished, Lost, Progressed
from podium.runtime import ownership

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

TARGETS = {
    name: f"tests.integration.targets:{name}"
    for name in (
        "echo", "process_id", "raises", "crashes", "exits", "hangs", "hangs_deaf", "eats_memory", "leaves_children",
        "environment",
    )
}  # fmt: skip


def with_pool(body, **options):
    return with_workers(body, TARGETS, import_from=[str(Path.cwd())], **options)


def test_a_task_reports_progress_output_and_artifacts():
    async def body(bench):
        bench.start(1, "echo", {"x": [1, 2.5, "three"]})
        end = await bench.end(1)
        assert bench.reports[1][0] == Progressed(0.5, "half way")
        assert end == Finished("passed", output={"x": [1, 2.5, "three"]}, artifacts={"log": b"bytes"})

    with_pool(body)


def test_a_worker_is_used_again_and_two_attempts_run_in_two_processes():
    async def body(bench):
        bench.start(1, "process_id")
        first = (await bench.end(1)).output
        bench.start(2, "process_id")
        bench.start(3, "process_id")
        second, third = (await bench.end(2)).output, (await bench.end(3)).output
        assert first in (second, third)
        assert second != third

    with_pool(body)


def test_the_idempotency_key_is_in_the_tasks_environment():
    async def body(bench):
        bench.start(1, "environment")
        assert (await bench.end(1)).output == "key:1"

    with_pool(body)


def test_an_exception_is_errored_with_its_traceback():
    async def body(bench):
        bench.start(1, "raises")
        end = await bench.end(1)
        assert (end.outcome, end.failure.type, end.failure.message) == ("errored", "ValueError", "what went wrong")
        assert "targets.py" in end.failure.details

    with_pool(body)


def test_a_crash_loses_only_that_worker_and_says_how_it_died():
    async def body(bench):
        bench.start(1, "crashes")
        bench.start(2, "echo", 5)
        lost = await bench.end(1)
        assert isinstance(lost, Lost)
        assert "SIGSEGV" in lost.reason
        assert (await bench.end(2)).output == 5
        bench.start(3, "echo", 6)
        assert (await bench.end(3)).output == 6

    with_pool(body)


def test_an_exit_in_mid_task_is_a_lost_worker_with_its_last_words():
    async def body(bench):
        bench.start(1, "exits")
        lost = await bench.end(1)
        assert "exited with code 7" in lost.reason
        assert "last words" in lost.reason

    with_pool(body)


def test_memory_beyond_the_limit_is_errored_and_the_worker_goes_on():
    async def body(bench):
        bench.start(1, "eats_memory", 4 << 30)
        end = await bench.end(1)
        assert (end.outcome, end.failure.type) == ("errored", "MemoryError")
        assert "1024 MiB" in end.failure.message
        bench.start(2, "echo", 1)
        assert (await bench.end(2)).outcome == "passed"

    with_pool(body, memory_bytes=1 << 30)


def test_asked_to_stop_a_task_ends_as_cancelled_and_its_worker_is_gone_before_it_is_reported():
    async def body(bench):
        bench.start(1, "hangs")
        pid = int(await bench.message(1))
        bench.executor.stop(1, force=False)
        assert (await bench.end(1)).outcome == "cancelled"
        assert gone(pid)

    with_pool(body)


def test_a_task_that_ignores_being_asked_is_killed():
    async def body(bench):
        bench.start(1, "hangs_deaf")
        pid = int(await bench.message(1))
        bench.executor.stop(1, force=False)
        bench.executor.stop(1, force=True)
        assert isinstance(await bench.end(1), Lost)
        assert gone(pid)

    with_pool(body)


def test_killing_an_attempt_kills_its_descendants_also_those_that_left_the_session():
    async def body(bench):
        bench.start(1, "leaves_children")
        pids = [int(pid) for pid in (await bench.message(1)).split()]
        bench.executor.stop(1, force=True)
        await bench.end(1)
        assert [gone(pid) for pid in pids] == [True, True, True]

    with_pool(body)


def test_closing_the_pool_leaves_no_process():
    pids = []

    async def body(bench):
        bench.start(1, "hangs")
        bench.start(2, "process_id")
        pids.append(int(await bench.message(1)))
        pids.append((await bench.end(2)).output)

    with_pool(body)
    assert [gone(pid) for pid in pids] == [True, True]


OWNER = """
import asyncio, os, sys
from podium.runtime import ownership
from podium.executors.workers import WorkerPool
from podium.protocols import Attempt, Work
from podium.runtime.guard import Guard
async def main():
    targets = {"leaves": "tests.integration.targets:leaves_children"}
    pool = WorkerPool(targets, owner=ownership.label("run"), import_from=[os.getcwd()])
    attempt = Attempt("run", "step", 1, 1, Work("leaves"), "key")
    pool.start(attempt, lambda token, report: print(guard.pid, report.message, flush=True))
    await asyncio.sleep(600)
class NoGuard:
    pid = 0
guard = Guard(ownership.label('run')) if sys.argv[1] == "guarded" else NoGuard()
asyncio.run(main())
"""


def killed_owner(mode):
    """Start an owner with a worker and two grandchildren, kill it, and return (guard, worker, same, other)."""
    with subprocess.Popen([sys.executable, "-c", OWNER, mode], stdout=subprocess.PIPE, text=True) as owner:
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        owner.send_signal(signal.SIGKILL)
    return pids


def test_when_the_owner_is_killed_its_guard_leaves_no_process():
    pids = killed_owner("guarded")
    assert until_gone(*pids) == [True, True, True, True]


def test_without_a_guard_the_group_dies_and_the_next_start_reaps_what_left_the_session():
    _, worker, same, other = killed_owner("alone")
    assert until_gone(worker, same) == [True, True]
    assert not gone(other), "it left the session, so only its label tells whose it is"
    assert other in ownership.reap_orphans()
    assert gone(other)


def test_processes_of_a_living_owner_are_not_reaped():
    async def body(bench):
        bench.start(1, "hangs")
        pid = int(await bench.message(1))
        assert pid not in ownership.reap_orphans()
        os.kill(pid, 0)

    with_pool(body)
