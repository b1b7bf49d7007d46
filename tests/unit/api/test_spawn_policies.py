"""Policies, kinds of errors, summaries and waves: what needs no process."""

import pytest

from podium.api.spawning import (
    ErrorClassifier,
    RecoverySummary,
    RetryPolicy,
    SpawnPolicy,
    SpawnResult,
    SpawnTask,
    TimeoutPolicy,
    topological_sort,
)
from podium.plan.presets import PRESETS


def delays(count, **policy):
    return [RetryPolicy(jitter=False, **policy).delay(n) for n in range(count)]


def test_tasks_and_results_have_the_documented_shape():
    assert SpawnTask("p").to_dict() == {
        "prompt": "p",
        "agent": None,
        "timeout": 300,
        "policy_name": None,
        "display_name": None,
    }
    assert SpawnResult(True, "o", None, 0).to_dict() == {
        "success": True,
        "output": "o",
        "error": None,
        "exit_code": 0,
        "fallback": False,
        "original_agent": None,
        "retry_count": 0,
        "termination_reason": None,
        "timeout_extended": False,
        "execution_time": 0.0,
    }


def test_delays():
    assert delays(4) == [1, 2, 4, 8]
    assert delays(4, base_delay=10, max_delay=30) == [10, 20, 30, 30]
    assert delays(3, strategy="linear", base_delay=5, max_delay=100) == [5, 15, 25]
    assert delays(3, strategy="fixed", base_delay=5) == [5, 5, 5]
    assert delays(3, strategy="immediate", base_delay=5) == [0, 0, 0]
    assert RetryPolicy(jitter=False).delay(10_000) == 60


def test_delays_vary_by_a_tenth():
    policy = RetryPolicy(base_delay=10)
    found = {policy.delay(0) for _ in range(50)}
    assert len(found) > 10
    assert all(9 <= delay <= 11 for delay in found)
    assert max(RetryPolicy(base_delay=60).delay(3) for _ in range(50)) <= 60


def test_whether_there_is_another_attempt():
    policy = RetryPolicy(max_attempts=3, retry_on_timeout=False)
    assert policy.should_retry(2) == (True, "")
    assert policy.should_retry(3) == (False, "Max attempts (3) reached")
    assert policy.should_retry(0, "timeout") == (False, "Retry on timeout disabled")
    assert RetryPolicy().should_retry(0, "timeout") == (True, "")
    assert policy.should_retry(0, "rate_limit") == (True, "")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_those_of_the_engine(name):
    made, preset = SpawnPolicy.from_name(name).limits(SpawnTask("p")), PRESETS[name]
    assert (made.timeout, made.extend_to, made.silence_timeout, made.active_within, made.retry.attempts) == (
        preset.timeout,
        preset.extend_to,
        preset.silence_timeout,
        preset.active_within,
        preset.retry.attempts,
    )


@pytest.mark.parametrize(
    ("name", "protected", "on_timeout", "strategy"),
    [
        ("default", True, True, "exponential"),
        ("fast_fail", True, False, "immediate"),
        ("development", False, True, "immediate"),
        ("test", False, True, "immediate"),
    ],
)
def test_what_else_presets_say(name, protected, on_timeout, strategy):
    retry = SpawnPolicy.from_name(name).retry_policy
    assert (retry.circuit_breaker_enabled, retry.retry_on_timeout, retry.strategy) == (protected, on_timeout, strategy)
    assert bool(SpawnPolicy.from_name(name).stop_on) is (name != "development")


def test_an_unknown_preset():
    with pytest.raises(ValueError, match="Unknown policy preset: 'x'"):
        SpawnPolicy.from_name("x")


@pytest.mark.parametrize(
    ("preset", "timeout", "limits"),
    [
        ("patient", 300, (120, 600)),
        ("patient", 900, (120, 900)),
        ("patient", 30, (30, 30)),
        ("fast_fail", 90, (90, None)),
        ("development", 300, (1800, None)),
    ],
)
def test_the_timeout_of_a_task_is_honoured(preset, timeout, limits):
    made = SpawnPolicy.from_name(preset).limits(SpawnTask("p", timeout=timeout))
    assert (made.timeout, made.extend_to) == limits


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_has_to_be_above_zero(timeout):
    with pytest.raises(ValueError, match="timeout must be above 0 s"):
        SpawnPolicy.from_name("test").limits(SpawnTask("p", timeout=timeout))


def test_retries_of_the_caller_count_before_those_of_the_policy():
    policy = SpawnPolicy(retry_policy=RetryPolicy(max_attempts=5, retry_on_timeout=False))
    assert policy.limits(SpawnTask("p")).retry.attempts == 5
    assert policy.limits(SpawnTask("p"), 1).retry.attempts == 2
    assert policy.limits(SpawnTask("p"), 1).retry.outcomes == ("failed", "errored")


def test_a_run_cannot_wait_linearly():
    with pytest.raises(ValueError, match="not `linear`"):
        SpawnPolicy(retry_policy=RetryPolicy(strategy="linear")).limits(SpawnTask("p"))


def test_the_longest_duration():
    assert TimeoutPolicy("fixed", timeout=5).longest == 5
    assert TimeoutPolicy("progressive", max_timeout=7).longest == 7


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Rate limit exceeded", "transient"),
        ("Error 429 too many requests", "transient"),
        ("ECONNRESET", "transient"),
        ("503 Service Unavailable", "transient"),
        ("Connection refused", "transient"),
        ("Authentication failed", "permanent"),
        ("Invalid API key", "permanent"),
        ("401", "permanent"),
        ("HTTP 403", "permanent"),
        ("Model not found", "permanent"),
        ("Operation timed out", "timeout"),
        ("Out of memory", "resource"),
        ("something else", "unknown"),
        ("", "unknown"),
        (MemoryError(), "resource"),
        (TimeoutError(), "timeout"),
        (SpawnResult(False, "", "no", 1, termination_reason="Rate limit: slow down"), "transient"),
    ],
)
def test_kinds_of_errors(text, category):
    assert ErrorClassifier().classify(text) == category
    assert ErrorClassifier().is_retryable(text) is (category != "permanent")


def result(success, retries=0, fallback=False):
    return SpawnResult(success, "", None, 0, fallback=fallback, retry_count=retries)


def test_summary_of_nothing():
    summary = RecoverySummary.from_results([])
    assert (summary.success_rate, summary.recovery_rate) == (0.0, 100.0)


def test_summary_without_trouble_and_with_failures():
    assert RecoverySummary.from_results([result(True)] * 8 + [result(False)] * 2).success_rate == 80.0
    assert RecoverySummary.from_results([result(True)] * 3).recovery_rate == 100.0


def test_summary_of_a_recovery():
    found = [result(True), result(True, 2), result(True, 3, fallback=True), result(False, 3)]
    assert RecoverySummary.from_results(iter(found)).to_dict() == {
        "total_tasks": 4,
        "succeeded": 3,
        "failed": 1,
        "recovered": 2,
        "fallback_used": 1,
        "total_retries": 8,
        "success_rate": 75.0,
        "recovery_rate": pytest.approx(200 / 3),
    }


def goals(**needs):
    return [{"subgoal_index": int(name[1:]), "description": name, "depends_on": ids} for name, ids in needs.items()]


@pytest.mark.parametrize(
    ("needs", "waves"),
    [
        ({}, []),
        ({"g1": [], "g2": [], "g3": []}, [[1, 2, 3]]),
        ({"g1": [], "g2": [1], "g3": [2]}, [[1], [2], [3]]),
        ({"g1": [], "g2": [1], "g3": [1], "g4": [2, 3]}, [[1], [2, 3], [4]]),
        ({"g1": [], "g2": [1], "g3": [], "g4": [3]}, [[1, 3], [2, 4]]),
        ({"g2": [1], "g1": []}, [[1], [2]]),
        ({"g1": [], "g2": [1, 1]}, [[1], [2]]),
    ],
)
def test_waves(needs, waves):
    subgoals = goals(**needs)
    assert [[goal["subgoal_index"] for goal in wave] for wave in topological_sort(subgoals)] == waves
    ids = [goal["subgoal_index"] for goal in subgoals]
    depends = {goal["subgoal_index"]: goal["depends_on"] for goal in subgoals}
    assert topological_sort(ids, depends) == waves


def test_waves_of_names_and_without_dependencies_said():
    assert topological_sort(["a", "b", "c"], {"c": ["a"]}) == [["a", "b"], ["c"]]
    assert topological_sort([{"subgoal_index": 0, "description": ""}]) == [[{"subgoal_index": 0, "description": ""}]]


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        ({"g1": [2, 9], "g2": []}, r"Subgoal 1 depends on non-existent subgoals: \[9\]"),
        ({"g1": [3], "g2": [], "g3": [1]}, "Circular dependency detected: 1 -> 3 -> 1"),
        ({"g1": [1]}, "Circular dependency detected: 1 -> 1"),
    ],
)
def test_no_subgoal_is_dropped(needs, text):
    with pytest.raises(ValueError, match=text):
        topological_sort(goals(**needs))


def test_two_subgoals_of_one_index():
    with pytest.raises(ValueError, match="Two subgoals have the index 1"):
        topological_sort([1, 2, 1])


def test_many_subgoals_are_sorted_quickly():
    waves = topological_sort(list(range(2000)), {n: [n - 1] for n in range(1, 2000)})
    assert waves == [[n] for n in range(2000)]
