"""Agents from Python: tried again, done without the agent, blocked; and many of them with all that helps."""

import json
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.spawning.tool_calls import QUICK, at_once, calls, quick, run

from podium.api.spawning import (
    CircuitBreaker,
    RetryPolicy,
    SpawnPolicy,
    SpawnTask,
    TimeoutPolicy,
    spawn_parallel_tracked,
    spawn_with_retry_and_fallback,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


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
