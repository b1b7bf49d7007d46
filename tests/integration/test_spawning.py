"""Agents from Python: real processes as tools, a real store, real time (little of it)."""

import asyncio
import contextlib
import json
import runpy
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from podium.api.spawning import (
    CircuitBreaker,
    RetryPolicy,
    SpawnPolicy,
    SpawnTask,
    TimeoutPolicy,
    collect,
    spawn,
    spawn_parallel,
    spawn_parallel_tracked,
    spawn_sequential,
    spawn_with_retry_and_fallback,
)
from podium.executors.agent import TOOL_VARIABLE
from podium.session import Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

PROJECT = Path(__file__).parents[2]
TOOL = f"""#!{sys.executable} -IS
import json, os, signal, sys, time
began = time.time()
asked = sys.stdin.read()
agent = sys.argv[sys.argv.index("--agent") + 1] if "--agent" in sys.argv else None
here = os.path.dirname(os.path.abspath(__file__))
counter = os.path.join(here, "count-" + "".join(filter(str.isalnum, asked))[:60])
with open(counter, "a") as file:
    file.write("x")
    file.flush()
    call = file.tell()
code = 0
for line in asked.splitlines():
    word, _, rest = line.partition(" ")
    if word == "say":
        print(rest, flush=True)
    elif word == "sleep":
        time.sleep(float(rest))
    elif word == "fail" and call <= int(rest):
        print("boom", call, file=sys.stderr)
        code = 1
    elif word == "agents-fail" and agent:
        print(agent, rest or "is broken", file=sys.stderr)
        code = 3
    elif word == "die":
        print(rest, file=sys.stderr, flush=True)
        code = 4
    elif word == "limited" and call == 1:
        print("rate limit exceeded, retry after", rest, file=sys.stderr, flush=True)
        time.sleep(30)
    elif word == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif word == "child" and os.fork() == 0:
        with open(os.path.join(here, "child"), "w") as file:
            file.write(str(os.getpid()))
        os.rename(os.path.join(here, "child"), os.path.join(here, "child-pid"))
        time.sleep(60)
with open(os.path.join(here, "calls"), "a") as file:
    file.write(json.dumps([agent, asked, began, time.time(), sys.argv[1:]]) + chr(10))
sys.exit(code)
"""
QUICK = SpawnPolicy("quick", TimeoutPolicy("fixed", timeout=20), RetryPolicy(3, base_delay=0.01))


@pytest.fixture(autouse=True)
def tool(tmp_path, monkeypatch):
    """Work in a directory with a tool that does what its prompt says, line by line."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tool"
    path.write_text(TOOL)
    path.chmod(0o755)
    monkeypatch.setenv(TOOL_VARIABLE, str(path))
    return path


def run(awaitable):
    async def limited():
        async with asyncio.timeout(60):
            return await awaitable

    return asyncio.run(limited())


def calls():
    """Return `(agent, prompt, began, ended, arguments)` of every call that ended by itself, in the order of ends."""
    path = Path("calls")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def at_once():
    """Return how many calls overlapped at most."""
    edges = sorted([(began, 1) for _, _, began, _, _ in calls()] + [(ended, -1) for _, _, _, ended, _ in calls()])
    most = now = 0
    for _, edge in edges:
        now += edge
        most = max(most, now)
    return most


def quick(retries=2, **how):
    return SpawnPolicy("quick", QUICK.timeout_policy, RetryPolicy(retries + 1, base_delay=0.01, **how))


async def child_born():
    while not await asyncio.to_thread(Path("child-pid").exists):  # noqa: ASYNC110 (it is another process that tells)
        await asyncio.sleep(0.02)


def child_is_dead():
    """Return whether the tool's child is dead; nobody may have buried it."""
    try:
        return psutil.Process(int(Path("child-pid").read_text())).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# One task


def test_a_task_is_put_to_the_tool(tool):
    result = run(spawn(SpawnTask("say hello\nsay you", agent="writer"), model="big"))
    assert (result.success, result.output, result.error, result.exit_code) == (True, "hello\nyou", None, 0)
    assert 0 < result.execution_time < 5
    assert calls()[0][4] == ["-p", "--agent", "writer", "--model", "big"]


def test_a_run_is_in_the_store_of_the_working_directory_or_in_the_one_given(tmp_path):
    run(spawn(SpawnTask("say a")))
    run(spawn(SpawnTask("say b"), store=tmp_path / "other.db"))
    for path in (None, tmp_path / "other.db"):
        with Session.open(path) as session:
            (row,) = session.store.runs()
        assert (row.name, row.outcome, row.steps) == ("spawn", "passed", 1)


def test_a_tool_that_does_not_exist():
    with pytest.raises(ValueError, match="Tool 'no-such-tool' not found"):
        run(spawn(SpawnTask("x"), tool="no-such-tool"))
    results = run(spawn_parallel([SpawnTask("x")] * 2, tool="no-such-tool"))
    assert [(result.success, result.error) for result in results] == [(False, "Tool 'no-such-tool' not found")] * 2


def test_a_failure_has_what_was_written(tool):
    result = run(spawn(SpawnTask("say half\ndie it broke")))
    assert (result.success, result.output, result.error, result.exit_code) == (False, "half", "it broke", 4)
    assert result.termination_reason is None


def test_what_is_no_expression_stays_as_it_is():
    first, second = run(spawn_sequential([SpawnTask("say ${a}"), SpawnTask("say $${b} ${")]))
    assert (first.output, second.output) == ("${a}", "$${b} ${")


@pytest.mark.parametrize(
    ("prompt", "task", "policy", "reason"),
    [
        ("sleep 30", {"timeout": 0.3}, None, "Timed out: did not end within 0.3 s"),
        ("sleep 30", {"timeout": 0.3}, SpawnPolicy.from_name("patient"), "Timed out: did not end within 0.3 s"),
        (
            "sleep 30",
            {},
            SpawnPolicy(timeout_policy=TimeoutPolicy(no_activity_timeout=0.3)),
            "No activity: gave no sign of life for 0.3 s",
        ),
        ("die Error: Forbidden\nsleep 30", {}, None, "Error pattern: Error: Forbidden"),
        ("die API rate-limit hit\nsleep 30", {}, None, "Rate limit: API rate-limit hit"),
    ],
)
def test_a_task_that_gets_nowhere_is_ended(prompt, task, policy, reason):
    began = time.monotonic()
    result = run(spawn(SpawnTask("say begun\n" + prompt, **task), policy=policy))
    assert time.monotonic() - began < 15
    assert (result.success, result.termination_reason) == (False, reason)
    assert result.output.strip() == "begun"


def test_an_active_task_goes_on_beyond_its_timeout_and_a_silent_one_does_not():
    timeouts = TimeoutPolicy(initial_timeout=0.5, max_timeout=20, extension_threshold=0.4)
    policy = SpawnPolicy(timeout_policy=timeouts)
    active = run(spawn(SpawnTask("sleep 0.2\nsay a\n" * 4), policy=policy))
    assert (active.success, active.timeout_extended) == (True, True)
    silent = run(spawn(SpawnTask("sleep 2"), policy=policy))
    assert (silent.success, silent.timeout_extended) == (False, False)


# Many at once


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


# Cancelling


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


# One after another


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


# Retries and fallbacks


def retried(prompt, agent="coder", *, retries=2, **more):
    return run(spawn_with_retry_and_fallback(SpawnTask(prompt, agent), max_retries=retries, policy=QUICK, **more))


def test_the_third_attempt_succeeds():
    told = []
    result = retried("fail 2\nsay done", on_progress=lambda *about: told.append(about))
    assert (result.success, result.output.strip(), result.retry_count, result.fallback) == (True, "done", 2, False)
    assert [line[0] for line in calls()] == ["coder"] * 3
    assert [status for _, _, status in told if "Waiting" not in status] == ["Retrying", "Retrying"]
    assert {most for _, most, _ in told} == {4}


def test_when_the_agent_has_given_up_the_third_call_is_without_it():
    told = []
    result = retried("agents-fail\nsay done", retries=1, on_progress=lambda *about: told.append(about))
    assert [line[0] for line in calls()] == ["coder", "coder", None]
    assert (result.success, result.fallback, result.original_agent, result.retry_count) == (True, True, "coder", 2)
    assert told[-1] == (3, 3, "Fallback to LLM")


def test_four_attempts_and_then_one_without_the_agent():
    result = retried("agents-fail", retries=3)
    assert [line[0] for line in calls()] == ["coder"] * 4 + [None]
    assert (result.success, result.fallback, result.retry_count) == (True, True, 4)


def test_when_both_fail_it_ends_and_says_so():
    result = retried("die for all")
    assert (result.success, result.fallback, result.original_agent, result.retry_count) == (False, True, "coder", 3)
    assert (result.error, result.exit_code) == ("for all", 4)


def test_without_a_fallback_all_attempts_are_counted():
    result = retried("die no", fallback_to_llm=False)
    assert (result.success, result.fallback, result.original_agent, result.retry_count) == (False, False, None, 3)


def test_without_an_agent_there_is_nothing_to_fall_back_to():
    result = retried("die no", agent=None)
    assert (result.success, result.fallback, result.retry_count, len(calls())) == (False, False, 3, 3)


def test_what_trying_again_cannot_help_is_not_tried_again_and_blocks_the_agent():
    first = retried("agents-fail Authentication failed")
    assert (first.success, first.fallback, first.retry_count) == (True, True, 1)
    second = retried("say hello")
    assert (second.output, second.fallback, second.original_agent, second.retry_count) == ("hello", True, "coder", 0)
    third = retried("say hello", fallback_to_llm=False)
    assert (third.success, third.original_agent, third.retry_count) == (False, "coder", 0)
    assert third.error.startswith("Circuit open: 1 failures, retry in 1")
    assert retried("say hello", agent="other").fallback is False


def test_attempts_of_one_task_do_not_block_it_but_the_next_one():
    assert retried("agents-fail\nsay 1").retry_count == 3
    second = retried("agents-fail\nsay 2")
    assert (second.fallback, second.retry_count, second.output.strip()) == (True, 0, "2")


def test_rate_limits_are_waited_for_and_block_nobody():
    began = time.monotonic()
    for number in range(3):
        result = retried(f"limited 0.3 s\nsay {number}")
        assert (result.success, result.output.strip(), result.retry_count, result.fallback) == (
            True,
            str(number),
            1,
            False,
        )
    assert time.monotonic() - began > 0.9


def test_a_breaker_of_the_caller_is_told_and_asked():
    breaker = CircuitBreaker()
    retried("agents-fail\nsay 1", retries=1, circuit_breaker=breaker)
    assert breaker.get_health_status("coder")["failure_count"] == 2
    assert breaker.get_failure_types("coder") == ["error", "error"]
    assert breaker.is_open("coder")
    told = []
    other_store = Path("elsewhere.db")
    second = retried("say 2", circuit_breaker=breaker, store=other_store, on_progress=lambda *about: told.append(about))
    assert (second.fallback, second.original_agent, second.retry_count, second.output) == (True, "coder", 0, "2")
    assert told == [(1, 1, "Circuit open, fallback to LLM")]
    third = retried("say 3", circuit_breaker=breaker, store=other_store, fallback_to_llm=False)
    assert third.error.startswith("Circuit open: 2 failures, retry in 1")
    breaker.record_success("coder")
    assert retried("say 4", circuit_breaker=breaker, store=other_store).fallback is False
    assert breaker.get_health_status("coder")["state"] == "closed"


def test_a_timeout_that_is_not_to_be_tried_again():
    policy = SpawnPolicy("q", QUICK.timeout_policy, RetryPolicy(3, base_delay=0.01, retry_on_timeout=False))
    task = SpawnTask("sleep 30", "slow", timeout=0.3)
    result = run(spawn_with_retry_and_fallback(task, fallback_to_llm=False, policy=policy))
    assert (result.retry_count, result.termination_reason) == (1, "Timed out: did not end within 0.3 s")


def test_the_preset_of_a_task_says_how_often():
    result = run(spawn_with_retry_and_fallback(SpawnTask("die no", policy_name="test")))
    assert (result.retry_count, len(calls())) == (1, 1)


# Together, with all that helps


def test_five_tasks_three_at_once_staggered():
    """The live run: two tasks fail whoever does them, one only with its agent, one at first, one not at all."""
    prompts = ["say 1", "die 2", "agents-fail\nsay 3", "fail 1\nsay 4", "die 5"]
    tasks = [SpawnTask(f"sleep 0.3\n{prompt}", agent=f"agent-{n}") for n, prompt in enumerate(prompts, 1)]
    lines = []
    policy = quick(1)
    results, metadata = run(spawn_parallel_tracked(tasks, 3, 0.1, policy, lines.append, max_retries=1))
    assert [result.success for result in results] == [True, False, True, True, False]
    assert [result.fallback for result in results] == [False, True, True, False, True]
    assert [result.retry_count for result in results] == [0, 2, 2, 1, 2]
    assert 2 <= at_once() <= 3
    began = sorted(line[2] for line in calls())
    assert min(later - earlier for earlier, later in pairwise(began)) > 0.05
    assert lines[:4] == [f"  Task {n}/5 (agent-{n}) starting in {0.1 * (n - 1):g}s..." for n in range(2, 6)]
    assert "  Task 1/5 (agent-1) starting now" in lines
    assert sum("done)" in line for line in lines) == 5
    assert lines[-1].startswith("[Agent ")
    assert lines[-1].endswith("(5/5 done)")
    assert set(metadata) == {
        "total_tasks", "failed_tasks", "fallback_count", "early_terminations", "retried_tasks", "circuit_blocked",
        "heartbeat_metrics", "total_duration_ms",
    }  # fmt: skip
    assert (metadata["total_tasks"], metadata["failed_tasks"], metadata["fallback_count"]) == (5, 2, 3)
    assert metadata["retried_tasks"] == [
        {"agent_id": f"agent-{n}", "task_index": n - 1, "retries": retries}
        for n, retries in ((2, 2), (3, 2), (4, 1), (5, 2))
    ]
    assert [entry["task_index"] for entry in metadata["heartbeat_metrics"]] == [0, 1, 2, 3, 4]
    assert all(entry["elapsed_s"] > 0.3 and entry["event_count"] >= 2 for entry in metadata["heartbeat_metrics"])
    assert metadata["total_duration_ms"] > 500
    json.dumps([metadata, [result.to_dict() for result in results]], allow_nan=False)


def test_what_is_not_done_in_time_is_cancelled():
    tasks = [SpawnTask("say quick"), SpawnTask("sleep 30"), SpawnTask("say late")]
    policy = SpawnPolicy("p", TimeoutPolicy("fixed", timeout=20), RetryPolicy(1))
    tasks = [SpawnTask(task.prompt, timeout=0.4) for task in tasks[:1]] + [
        SpawnTask(task.prompt, timeout=0.5) for task in tasks[1:]
    ]
    results, metadata = run(spawn_parallel_tracked(tasks, 1, 0, policy, None, -1.2))
    assert (results[0].output, [result.error for result in results[1:]]) == (
        "quick",
        ["Task cancelled (global timeout)"] * 2,
    )
    assert (metadata["failed_tasks"], results[1].exit_code) == (2, -1)


def test_what_ended_early_and_what_was_blocked_is_told():
    tasks = [SpawnTask("agents-fail API error\nsay a", "x"), SpawnTask("sleep 0.6\nsay b", "x")]
    first, metadata = run(spawn_parallel_tracked(tasks[:1], 1, 0, QUICK))
    assert first[0].fallback is True
    assert [(entry["agent_id"], entry["task_index"], entry["reason"]) for entry in metadata["early_terminations"]] == [
        ("x", 0, "Error pattern: x API error")
    ] * 3
    assert all(0 < entry["detection_time_ms"] < 5000 for entry in metadata["early_terminations"])
    second, metadata = run(spawn_parallel_tracked([SpawnTask("say z"), *tasks[1:]], 2, 0, QUICK))
    assert [result.fallback for result in second] == [False, True]
    (blocked,) = metadata["circuit_blocked"]
    assert (blocked["agent_id"], blocked["task_index"]) == ("x", 1)
    assert blocked["reason"].startswith("Circuit open: 3 failures, retry in 1")
    assert metadata["fallback_count"] == 1


def test_presets_that_keep_no_circuit():
    for _ in range(2):
        task = SpawnTask("agents-fail", "y")
        (result,), metadata = run(spawn_parallel_tracked([task], 1, 0, "test", max_retries=3))
        assert (result.retry_count, result.fallback, metadata["circuit_blocked"]) == (4, True, [])


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"policy_name": "odd"}, "Unknown policy preset: 'odd'"),
        ({"stagger_delay": -1}, "stagger_delay must not be negative"),
        ({"max_retries": -1}, "max_retries must not be negative"),
    ],
)
def test_what_is_refused(how, text):
    with pytest.raises(ValueError, match=text):
        run(spawn_parallel_tracked([SpawnTask("x")], **how))


# Waves


def goals(*prompts, **needs):
    return [
        {"subgoal_index": n, "description": prompt, "depends_on": needs.get(f"g{n}", [])}
        for n, prompt in enumerate(prompts, 1)
    ]


def collected(subgoals, agents=None, **more):
    more = {"stagger_delay": 0, "policy_name": QUICK, "max_retries": 0} | more
    return run(collect(subgoals, agents, **more))


def prompts():
    return {line[1].splitlines()[0]: line[1] for line in calls()}


def test_a_diamond_hands_on_what_was_found():
    subgoals = goals("say first", "say second", "say third", "say fourth", g2=[1], g3=[1], g4=[2, 3])
    found = collected(subgoals, {1: "alpha", 2: "beta"})
    told = prompts()
    assert told["say first"] == "say first"
    context = "\n\nPrevious context (1/1 dependencies):\n✓ [sg-1]: first"
    assert (told["say second"], told["say third"]) == (f"say second{context}", f"say third{context}")
    assert told["say fourth"] == (
        "say fourth\n\nPrevious context (2/2 dependencies):\n✓ [sg-2]: second\n✓ [sg-3]: third"
    )
    assert [output.summary for output in found.agent_outputs] == ["first", "second", "third", "fourth"]
    assert [output.agent_id for output in found.agent_outputs] == ["alpha", "beta", "llm", "llm"]
    assert [output.confidence for output in found.agent_outputs] == [1.0] * 4
    metadata = found.execution_metadata
    assert (metadata["total_subgoals"], metadata["failed_subgoals"], metadata["waves"]) == (4, 0, 3)
    assert found.fallback_agents == []
    json.dumps(found.to_dict(), allow_nan=False)


def test_one_dependency_that_failed():
    subgoals = goals("say one", "sleep 30", "say three", g3=[1, 2])
    policy = SpawnPolicy("p", TimeoutPolicy("fixed", timeout=0.5), RetryPolicy(1))
    found = collected(subgoals, policy_name=policy)
    assert prompts()["say three"] == (
        "say three\n\nPrevious context (1/2 dependencies):\n✓ [sg-1]: one\n"
        "✗ [sg-2]: FAILED - did not end within 0.5 s\n\n"
        "WARNING: 1/2 dependencies failed. Proceed with available context."
    )
    third = found.agent_outputs[2]
    assert (third.success, third.confidence, third.execution_metadata["partial_context"]) == (True, 0.5, True)
    assert found.agent_outputs[0].execution_metadata["partial_context"] is False


def test_everything_failed_that_it_depends_on():
    found = collected(goals("die one", "die two", "say three", g3=[1, 2]))
    text = prompts()["say three"]
    assert text.count("✗") == 2
    assert "WARNING: 2/2 dependencies failed." in text
    assert [output.success for output in found.agent_outputs] == [False, False, True]


def test_a_failure_changes_nothing_elsewhere():
    found = collected(goals("die one", "say two", "say three", "say four", g3=[1], g4=[2]))
    assert found.agent_outputs[3].execution_metadata["partial_context"] is False
    assert prompts()["say four"].endswith("✓ [sg-2]: two")


def test_a_subgoal_waits_only_for_what_it_depends_on():
    collected(goals("sleep 1\nsay slow", "say quick", "say next", g3=[2]))
    assert [line[1].splitlines()[0] for line in calls()] == ["say quick", "say next", "sleep 1"]


def test_what_depends_on_something_starts_when_that_has_ended():
    collected(goals("sleep 0.2", "sleep 0.1", "say last", g3=[1, 2]))
    ends = {line[1].splitlines()[0]: line for line in calls()}
    assert ends["say last"][2] > max(ends["sleep 0.2"][3], ends["sleep 0.1"][3])


def test_an_agent_that_was_given_up_is_named():
    found = collected(goals("agents-fail\nsay one", "say two"), ["broken", None])
    assert found.fallback_agents == ["broken"]
    first = found.agent_outputs[0]
    assert (first.success, first.agent_id, first.execution_metadata["original_agent"]) == (True, "llm", "broken")


def test_wrong_subgoals_are_refused_before_anything_starts():
    with pytest.raises(ValueError, match=r"Subgoal 1 depends on non-existent subgoals: \[7\]"):
        collected(goals("say one", g1=[7]))
    with pytest.raises(ValueError, match="Circular dependency detected: 1 -> 2 -> 1"):
        collected(goals("say one", "say two", g1=[2], g2=[1]))
    with pytest.raises(ValueError, match="2 subgoals need as many agents, not 1"):
        collected(goals("say one", "say two"), ["x"])
    assert calls() == []


def test_no_subgoals():
    found = collected([])
    assert (found.agent_outputs, found.execution_metadata["total_subgoals"]) == ([], 0)


# What the documentation shows


def test_the_example_runs(capsys):
    runpy.run_path(str(PROJECT / "examples" / "05-agents" / "agents.py"), run_name="__main__")
    assert "3 of 3 passed" in capsys.readouterr().out


def test_the_code_on_the_page_runs(capsys):
    page = (PROJECT / "docs" / "reference" / "python.md").read_text()
    section = page.partition("\n## Agents\n")[2].partition("\n## ")[0]
    blocks = [block.partition("```")[0] for block in section.split("```python\n")[1:]]
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "python.md", "exec"), {})
    assert capsys.readouterr().out
