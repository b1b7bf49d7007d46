"""Agents from Python: subgoals that depend on one another."""

import json
import sys

import pytest
from tests.integration.spawning.tool_calls import QUICK, calls, run

from podium.api.spawning import RetryPolicy, SpawnPolicy, TimeoutPolicy, collect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


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
