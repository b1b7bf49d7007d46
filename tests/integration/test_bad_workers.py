"""Tasks and workers that misbehave harm their own step at most."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.executor_bench import with_workers

from podium.engine import Dispatcher, LoopClock
from podium.events import AttemptFinished, AttemptLost, RunFinished, StepFinished
from podium.executors.verification import verify
from podium.executors.workers import WorkerPool
from podium.model.loading import load_scenario
from podium.plan.campaign import CampaignOptions, plan_campaign
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Policy
from podium.protocols import Finished, Lost, Work
from podium.runtime import ownership
from podium.runtime.guard import Guard
from podium.session import Session
from podium.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

ROOT = Path(__file__).parents[2]
NOMINAL = ROOT / "examples" / "02-documented-format" / "nominal.yaml"
TARGETS = {
    name: f"tests.integration.bad_targets:{name}"
    for name in (
        "returns", "process_id", "size", "writes_to_the_socket", "reports_from_threads", "is_told_to_end_once",
        "reports_much", "prints", "dies_with_last_words", "keeps", "needs_memory",
        "nested",
    )
} | {"slow": "slow_to_import:run"}  # fmt: skip


def with_pool(body, *, import_from=(), **options):
    return with_workers(body, TARGETS, import_from=[str(ROOT), *import_from], **options)


class Run:
    """A run of steps in workers, and everything that came of it."""

    def __init__(self, folder, steps, **options):
        plan = Plan.of("test", steps, slots=2)

        async def main():
            pool = WorkerPool(TARGETS, import_from=[str(ROOT)], **options)
            executors = dict.fromkeys(TARGETS, pool)
            dispatcher = Dispatcher("run", plan, journal=store, executors=executors, clock=LoopClock())
            try:
                async with asyncio.timeout(25):
                    return await dispatcher.run()
            finally:
                await pool.close()

        with closing(Store.open(folder / "podium.db")) as store:
            self.summary = asyncio.run(main())
            self.events = [record.event for record in store.read("run")]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def outcomes(self):
        return {event.step: event.outcome for event in self.of(StepFinished)}


def step(name, kind, payload=None, **more):
    return Step(name, Work(kind, payload), **more)


FAILURES = {
    "nothing": "NoResult",
    "unknown outcome": "NoResult",
    "key that is null": "NoJson",
    "integer over 64 bits": "NoResult",
    "large artifact": "ArtifactTooLarge",
    "artifact of text": "NoResult",
    "text with a surrogate": "NoResult",
    "list that holds itself": "NoResult",
    "nested deep": "NoResult",
    "object": "NoResult",
    "failure of numbers": "NoResult",
    "exception with a surrogate": "ValueError",
}


def test_what_is_no_result_is_an_error_of_its_step_and_the_others_keep_theirs(tmp_path, monkeypatch):
    monkeypatch.setattr("podium.engine.attempts.LARGEST_BLOB", 1000)
    bad = [step(name, "returns", name) for name in FAILURES]
    run = Run(tmp_path, [step("first", "returns", "good"), *bad, step("last", "returns", "good")])
    assert run.outcomes == {"first": "passed", **dict.fromkeys(FAILURES, "errored"), "last": "passed"}
    finished = {event.step: event for event in run.of(AttemptFinished)}
    assert {name: finished[name].failure.type for name in FAILURES} == FAILURES
    assert finished["exception with a surrogate"].failure.message == "not \\udc80 text"
    assert finished["last"].output == "good"
    assert list(finished["last"].artifacts) == ["log"]
    assert run.of(AttemptLost) == [], "none of them costs a worker"
    assert isinstance(run.events[-1], RunFinished)


def test_an_output_nested_too_deep_does_not_end_the_run(tmp_path):
    depths = {"199": "passed", "201": "errored", "960": "errored", "996": "errored", "5000": "errored"}
    run = Run(tmp_path, [step(depth, "nested", int(depth), policy=Policy(losses=1)) for depth in depths])
    assert run.outcomes == depths


def message(body):
    return b"PODM" + len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "garbage",
    [
        b"printed to the wrong descriptor\n",
        b"\x7f\xff\xff\xff",
        b"x",
        message(b"\xc1"),
        message(b""),
        message(b"\x92\x01\x83\xa4type\xa8finished\xa7outcome\xa6passed\xa6output\xa2\xff\xfe"),
        message(b"\x92\x01\x83\xa4type\xa8finished\xa7outcome\xa6passed\xa6output" + b"\x91" * 50_000 + b"\x01"),
    ],
    ids=["text", "a length", "one byte", "no MessagePack", "nothing", "no UTF-8", "nested deep"],
)
def test_garbage_in_the_socket_loses_the_worker_and_no_other(garbage):
    async def body(bench):
        bench.start(1, "writes_to_the_socket", garbage)
        bench.start(2, "returns", "good")
        assert isinstance(await bench.end(1), Lost)
        assert (await bench.end(2)).output == "good"
        bench.start(3, "returns", "good")
        assert (await bench.end(3)).output == "good"

    with_pool(body)


def test_progress_from_threads_while_a_result_is_sent_tears_neither_apart():
    async def body(bench):
        bench.start(1, "reports_from_threads")
        end = await bench.end(1)
        assert isinstance(end, Finished)
        assert end.output == "y" * 2_000_000

    with_pool(body)


def test_a_worker_told_to_end_from_outside_is_lost_and_its_step_runs_again(tmp_path):
    run = Run(tmp_path, [step("a", "is_told_to_end_once", str(tmp_path / "marker"))])
    assert [event.reason for event in run.of(AttemptLost)] == ["worker was told to end, by none of us"]
    assert run.outcomes == {"a": "passed"}
    assert run.of(StepFinished)[0].attempts == 2


def until_there(path):
    deadline = time.monotonic() + 10
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


def test_asked_to_stop_while_its_function_is_imported_a_task_does_not_begin(tmp_path):
    (tmp_path / "slow_to_import.py").write_text(
        textwrap.dedent(f"""
            import pathlib, time
            pathlib.Path({str(tmp_path / "importing")!r}).touch()
            time.sleep(0.5)
            def run(payload, progress):
                pathlib.Path({str(tmp_path / "begun")!r}).touch()
                time.sleep(60)
        """)
    )

    async def body(bench):
        bench.start(1, "slow")
        await asyncio.to_thread(until_there, tmp_path / "importing")
        asked = time.monotonic()
        bench.executor.stop(1, force=False)
        assert (await bench.end(1)).outcome == "cancelled"
        assert time.monotonic() - asked < 5
        assert not (tmp_path / "begun").exists()

    with_pool(body, import_from=[str(tmp_path)])


def test_a_stop_in_the_middle_of_a_large_message_is_a_clean_end():
    async def body(bench):
        bench.start(1, "reports_much")
        await bench.until(lambda: len(bench.reports[1]) > 1)
        bench.executor.stop(1, force=False)
        end = await bench.end(1)
        assert isinstance(end, Finished), end
        assert end.outcome == "cancelled"

    with_pool(body)


def test_a_large_payload_for_a_worker_that_does_not_read_yet_does_not_hold_up_the_loop():
    async def body(bench):
        bench.start(1, "process_id")
        pid = (await bench.end(1)).output
        os.kill(pid, signal.SIGSTOP)
        going_on = threading.Timer(2.0, os.kill, (pid, signal.SIGCONT))
        going_on.start()
        begun = time.monotonic()
        bench.start(2, "size", "p" * 5_000_000)
        assert time.monotonic() - begun < 1.0
        await asyncio.sleep(0.05)
        assert time.monotonic() - begun < 1.5
        assert bench.reports[2] == []
        os.kill(pid, signal.SIGCONT)
        assert (await bench.end(2)).output == 5_000_000
        going_on.cancel()

    with_pool(body)


def test_the_space_of_what_a_task_printed_is_given_back_after_it():
    async def body(bench):
        bench.start(1, "prints", 3_000_000)
        await bench.end(1)
        (worker,) = bench.executor._idle
        assert os.fstat(worker.group._output.fileno()).st_size == 0
        bench.start(2, "prints", 10)
        await bench.end(2)
        bench.start(3, "dies_with_last_words")
        assert (await bench.end(3)).reason == "worker exited with code 3\nlast words"

    with_pool(body)


def test_out_of_memory_in_a_used_worker_is_tried_in_a_fresh_one_which_decides(tmp_path):
    steps = [
        step("keeps", "keeps", 600 << 20),
        step("fits", "needs_memory", 600 << 20, needs=(Need("keeps"),)),
        step("too large", "needs_memory", 4 << 30, needs=(Need("fits"),)),
    ]
    run = Run(tmp_path, steps, memory_bytes=1 << 30)
    assert run.outcomes == {"keeps": "passed", "fits": "passed", "too large": "errored"}
    assert {event.step for event in run.of(AttemptLost)} == {"fits", "too large"}
    assert all("ran out of memory" in event.reason for event in run.of(AttemptLost))
    assert run.of(AttemptFinished)[-1].failure.type == "MemoryError"


SHADOWED = ("queue", "subprocess", "socket", "struct", "msgspec", "psutil", "podium")


def test_modules_in_the_working_directory_do_not_shadow_those_of_workers_guard_and_verification(tmp_path, monkeypatch):
    for name in SHADOWED:
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name}.py of the working directory was imported')\n")
    monkeypatch.chdir(tmp_path)

    with Session.open(tmp_path / "podium.db") as session:
        summary = session.run(plan_campaign([NOMINAL], CampaignOptions()).plan)
    assert summary.counts == {"passed": 1}
    assert verify(load_scenario(NOMINAL).scenario).difference is None
    guard = Guard(ownership.label("shadowed"))
    guard.close()
    assert guard._process.returncode == 0


LIMITED = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from podium.executors.workers import WorkerPool
from podium.protocols import Attempt, Work

async def main():
    targets = {name: f"tests.integration.bad_targets:{name}" for name in ("returns", "needs_memory")}
    pool = WorkerPool(targets, memory_bytes=8 << 30, import_from=[sys.argv[1]])
    ended = asyncio.Queue()
    for token, work in enumerate((Work("returns", "good"), Work("needs_memory", 3 << 30), Work("returns", "good"))):
        pool.start(Attempt("run", "step", 1, token, work, "key"), lambda token, report: ended.put_nowait(report))
        report = await asyncio.wait_for(ended.get(), 10)
        print(getattr(report, "outcome", report), flush=True)
    await pool.close()
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited on Linux")
def test_a_hard_limit_of_memory_below_the_one_asked_for_holds_instead():
    command = [sys.executable, "-c", LIMITED, str(ROOT)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.stdout.splitlines()[0] == "passed", ended
    assert ended.stdout.splitlines()[1].startswith("Lost(reason='worker ran out of memory"), ended
    assert ended.stdout.splitlines()[2] == "passed", ended
