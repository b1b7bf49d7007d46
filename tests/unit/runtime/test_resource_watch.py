"""What processes use together, and what is done when it is too much."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from podium.events import Failure
from podium.plan.suites import Limits
from podium.runtime import resource_watch
from podium.runtime.process_usage import USAGE_VARIABLE, MarkedProcesses, ProcessUsage
from podium.runtime.resource_watch import ResourceWatch
from podium.runtime.throttle import Throttle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

MIB = 1 << 20


@contextlib.contextmanager
def child(code, *, mark="m", env=None):
    """Run Python code that prints a line when it is ready; yield the process."""
    env = {**os.environ, **({USAGE_VARIABLE: mark} if mark else {}), **(env or {})}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        process.stdout.readline()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


READY = "import os, sys, subprocess; print('ready', flush=True); sys.stdin.read()"
FORKED = """
import os, sys, signal
shared = bytearray(64 << 20)
for at in range(0, len(shared), 4096):
    shared[at] = 1
reader, writer = os.pipe()
for _ in range(4):
    if os.fork() == 0:
        os.write(writer, b"x")
        signal.pause()
        os._exit(0)
for _ in range(4):
    os.read(reader, 1)
print("ready", flush=True)
signal.pause()
"""


def starting(code, options=""):
    """Return code that starts a process of its own and waits."""
    return f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {code!r}], {options})\nsys.stdin.read()"


@pytest.fixture(params=[False, True], ids=["proc", "psutil"])
def portable(request):
    if not request.param and sys.platform != "linux":
        pytest.skip("there is no /proc")
    return request.param


def test_marked_processes_and_their_children_are_found_and_no_others(portable):
    with child(starting(READY)) as process, child(READY, mark="other"), child(READY, mark=None):
        found = MarkedProcesses("m", portable=portable).look()
        assert all(process.pid in {p.pid, p.parent} for p in found)
        assert len(found) == 2


def test_a_child_that_clears_its_environment_is_found_by_its_parent(portable):
    with child(starting(READY, "env={}")) as process:
        found = MarkedProcesses("m", portable=portable).look()
        (inside,) = psutil.Process(process.pid).children()
        assert {p.pid for p in found} == {process.pid, inside.pid}


def test_a_process_that_left_its_parent_stays_found(portable):
    processes = MarkedProcesses("m", portable=portable)
    with child(starting(READY, "env={}, start_new_session=True")) as process:
        (orphan,) = [p.pid for p in processes.look() if p.pid != process.pid]
        try:
            process.kill()
            process.wait()
            assert [p.pid for p in processes.look()] == [orphan]
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_pages_that_processes_share_are_counted_once():
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("the kernel does not tell what processes share")
    processes = MarkedProcesses("m")
    with child(FORKED):
        found = processes.look()
        assert len(found) == 5
        assert sum(p.resident for p in found) > 5 * 64 * MIB
        assert 64 * MIB < processes.memory(found, enough=0) < 2 * 64 * MIB


def test_what_processes_have_to_themselves_is_counted_where_there_is_no_proc():
    processes = MarkedProcesses("m", portable=True)
    with child(FORKED):
        assert 0 < processes.memory(processes.look(), enough=0) < 2 * 64 * MIB


def test_below_what_is_enough_no_more_is_asked_for(monkeypatch):
    monkeypatch.setattr("podium.runtime.process_usage._share_of_memory", None)
    usage = ProcessUsage(1, 1, 0, 0.0, 10)
    assert MarkedProcesses("m").memory([usage, usage], enough=20) == 20


def test_processor_time_of_children_that_ended_is_not_lost(portable):
    burn = "sum(i * i for i in range(3_000_000))"
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\n{READY}"
    with child(code) as process:
        (usage,) = MarkedProcesses("m", portable=portable).look()
        own = psutil.Process(process.pid).cpu_times()
        assert usage.cpu >= own.children_user > 0


def test_zombies_and_stopped_processes_are_told_apart(portable):
    fork = "import os\npid = os.fork()\nif pid == 0: os._exit(0)\nos.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n"
    with child(fork + READY) as process:
        os.kill(process.pid, signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        processes = MarkedProcesses("m", portable=portable)
        found = {p.pid == process.pid: p for p in processes.look()}
        assert found[True].stopped
        assert not found[True].ended
        assert found[False].ended
        assert not found[False].stopped


# slowing down


def average(share, processors, wants, seconds=60.0, step=0.1):
    """Return the share of the processors that processes get which want so many of them, on virtual time."""
    throttle = Throttle(share, processors)
    used = now = 0.0
    may_run = True
    while now < seconds:
        now += step
        used += wants * step if may_run else 0.0
        may_run = throttle.may_run(now, used)
    return used / processors / seconds


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("processors", [1, 2, 16])
def test_in_the_long_run_processes_get_their_share(share, processors):
    assert average(share, processors, wants=processors) == pytest.approx(share, rel=0.1)


def test_processes_that_want_less_than_their_share_get_all_of_it():
    assert average(0.5, 4, wants=1.5) == pytest.approx(1.5 / 4, rel=0.01)


def test_a_second_of_the_share_may_be_used_at_once():
    throttle = Throttle(0.5, 2)
    assert throttle.may_run(0.0, 100.0)
    assert throttle.may_run(0.1, 101.0)
    assert not throttle.may_run(0.2, 101.3)


def test_processor_time_that_was_lost_with_a_process_is_no_income():
    throttle = Throttle(0.5, 2)
    throttle.may_run(0.0, 100.0)
    assert throttle.may_run(0.1, 50.0)
    assert not throttle.may_run(0.2, 51.5)


# watching


def watched(limits, code, until, *, monkeypatch):
    """Watch a process until a condition on the failures told holds; return them."""
    monkeypatch.setattr(resource_watch, "_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(resource_watch, "_BETWEEN_LOOKS_AT_CPU", 0.02)

    async def main():
        told = []
        changed = asyncio.Event()

        def exceeded(failure):
            told.append(failure)
            changed.set()

        watch = ResourceWatch(limits, exceeded)
        with child(code, mark=None, env=watch.env) as process:
            watch.start()
            try:
                async with asyncio.timeout(20):
                    await until(changed, process, watch)
            finally:
                watch.stop()
        return told

    return asyncio.run(main())


async def told_once(changed, process, watch):
    await changed.wait()


def test_memory_beyond_the_limit_is_told_once_with_both_numbers(monkeypatch):
    (failure,) = watched(Limits(memory=100 * MIB), FORKED.replace("64", "150"), told_once, monkeypatch=monkeypatch)
    assert failure.type == "MemoryLimit"
    used, limit = failure.message.removeprefix("used ").split(" of memory, more than ")
    assert limit == "100 MiB"
    assert 150 < float(used.removesuffix(" MiB")) < 300


def test_processes_beyond_the_limit_are_told(monkeypatch):
    assert watched(Limits(processes=3), FORKED, told_once, monkeypatch=monkeypatch) == [
        Failure("ProcessLimit", "had 5 processes at once, more than 3")
    ]


def test_processes_that_share_memory_are_not_ended_for_what_they_share(monkeypatch):
    looks = threading.Semaphore(0)
    look = MarkedProcesses.look
    monkeypatch.setattr(MarkedProcesses, "look", lambda self: (looks.release(), look(self))[1])

    async def several_looks(changed, process, watch):
        for _ in range(3):
            await asyncio.to_thread(looks.acquire)

    assert watched(Limits(memory=200 * MIB), FORKED, several_looks, monkeypatch=monkeypatch) == []


SPIN = "print('ready', flush=True)\nwhile True: pass"


def stopped(process):
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


async def until(condition):
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.002)  # the kernel tells nobody


def test_processes_that_use_more_than_their_share_are_held_and_let_go_by_turns(monkeypatch):
    async def both(changed, process, watch):
        for _ in range(2):
            await until(lambda: stopped(process))
            await until(lambda: not stopped(process))

    assert watched(Limits(cpu=0.1 / os.cpu_count()), SPIN, both, monkeypatch=monkeypatch) == []


def test_when_it_is_released_nothing_is_held_any_more(monkeypatch):
    async def hold_and_release(changed, process, watch):
        await until(lambda: stopped(process))
        watch.release()
        await until(lambda: not stopped(process))
        process.terminate()
        assert await asyncio.to_thread(process.wait, 10) == -signal.SIGTERM

    watched(Limits(cpu=0.05 / os.cpu_count()), SPIN, hold_and_release, monkeypatch=monkeypatch)


def test_after_it_is_released_nothing_is_held():
    watch = ResourceWatch(Limits(cpu=0.5), lambda failure: None)
    with child(SPIN) as process:
        (usage,) = MarkedProcesses("m").look()
        watch._hold_or_let_go([usage], may_run=False)
        os.waitpid(process.pid, os.WUNTRACED)
        assert stopped(process)
        watch.release()
        watch._hold_or_let_go([usage], may_run=False)
        assert not stopped(process)


def test_a_watch_that_ends_lets_go():
    watch = ResourceWatch(Limits(cpu=0.5), lambda failure: None)
    with child(SPIN) as process:
        (usage,) = MarkedProcesses("m").look()
        watch._hold_or_let_go([usage], may_run=False)
        os.waitpid(process.pid, os.WUNTRACED)
        watch._over.set()
        watch._watch(lambda failure: None)
        assert not stopped(process)


def test_stopping_lets_go(monkeypatch):
    async def hold(changed, process, watch):
        await until(lambda: stopped(process))
        watch.stop()
        await until(lambda: not stopped(process))

    watched(Limits(cpu=0.05 / os.cpu_count()), SPIN, hold, monkeypatch=monkeypatch)


def test_without_limits_nothing_is_looked_at():
    watch = ResourceWatch(Limits(), lambda failure: None)
    assert watch.env == {}
    watch.start()
    watch.release()
    watch.stop()
    assert watch._thread is None


def test_two_watches_do_not_see_each_other():
    one, two = (ResourceWatch(Limits(processes=1), lambda failure: None) for _ in range(2))
    assert one.env != two.env


@pytest.mark.parametrize(
    ("used", "limit", "text"),
    [
        (210 * MIB, 128 * MIB, "used 210 MiB of memory, more than 128 MiB"),
        (128 * MIB + 200 * 1024, 128 * MIB, "used 128.2 MiB of memory, more than 128 MiB"),
        (128 * MIB + 1, 128 * MIB, "used 128.000001 MiB of memory, more than 128 MiB"),
    ],
)
def test_what_was_used_is_seen_to_be_more_than_the_limit(monkeypatch, used, limit, text):
    monkeypatch.setattr(MarkedProcesses, "memory", lambda self, processes, enough: used)
    watch = ResourceWatch(Limits(memory=limit), lambda failure: None)
    assert watch._exceeded([]).message == text
