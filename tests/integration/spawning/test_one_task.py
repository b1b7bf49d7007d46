"""Agents from Python: one task, real processes as tools, a real store, real time (little of it)."""

import sys
import time

import pytest
from tests.integration.spawning.tool_calls import calls, run

from podium.api.spawning import SpawnPolicy, SpawnTask, TimeoutPolicy, spawn, spawn_parallel, spawn_sequential
from podium.session import Session

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


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
