"""The documented Python interface of workflows: functions as steps, tried again and limited in time."""
# ruff: noqa: A002 (actions take `input`)

import asyncio
import threading

import pytest
from tests.integration.workflow_api.engine_runs import TARGETS, outcome_of, with_engine

from podium.api.workflows import WorkflowEngine
from podium.errors import PlanError, UsageError


def test_actions_are_called_with_what_they_take(store):
    threads = set()

    def first(input):
        threads.add(threading.current_thread())
        return {"status": "success", "n": input["n"] + 1}

    async def second(results, context, progress):
        threads.add(threading.current_thread())
        progress(0.5, "half")
        return [results["first"]["n"], context.step, context.attempt]

    def third(**given):
        return sorted(given)

    def fourth():
        return None

    steps = [{"name": n, "action": n} for n in ("first", "second", "third")] + [{"name": "fourth"}]
    status = outcome_of(store, steps, {"n": 1}, [first, second, third, fourth])
    assert status["output_data"] == {
        "first": {"status": "success", "n": 2},
        "second": [2, "second", 1],
        "third": ["input", "results"],
        "fourth": None,
    }
    assert status["declared_only"] == []
    assert threading.main_thread() not in threads


def test_an_action_that_raises_fails_the_workflow_with_the_reason(store):
    def bad():
        raise ValueError("no card")

    status = outcome_of(store, [{"name": "charge", "action": "bad"}], actions=[bad])
    assert (status["status"], status["error"]) == ("failed", "Step charge failed: ValueError: no card")


def test_as_soon_as_one_action_is_registered_unknown_ones_are_errors(store):
    def charge():
        return 1

    async def body(engine):
        for steps, said in (
            ([{"name": "a", "action": "chrge"}], "did you mean `charge`"),
            ([{"name": "a"}], "none is registered under its name"),
            ([{"name": "charge", "compensation": "refund"}], "unknown compensation `refund`"),
            ([{"name": "a", "action": "nowhere_at_all:f"}], "cannot be imported"),
            ([{"name": "a", "action": f"{TARGETS}:nothing"}], "has no nothing"),
        ):
            with pytest.raises(PlanError) as caught:
                await engine.define_workflow("w", steps)
            assert said in caught.value.render()
        await engine.define_workflow("w", [{"name": "charge"}, {"name": "declared", "output": 3}])
        return await engine.wait_for(await engine.execute_workflow("w"))

    status = with_engine(store, body, [charge])
    assert status["output_data"] == {"charge": 1, "declared": 3}
    assert status["declared_only"] == ["declared"]


def test_a_function_that_cannot_be_called_as_an_action_is_refused(store):
    engine = WorkflowEngine(store=store)
    with pytest.raises(UsageError, match="needs `order`"):
        engine.register_action("a", lambda order: order)
    with pytest.raises(UsageError, match="cannot be called"):
        engine.register_action("a", "text")
    engine.register_action("a", lambda order=3: order)


def test_retry_timeout_and_input(store):
    seen = []

    def flaky(input):
        seen.append(input)
        if len(seen) < 3:
            raise ConnectionError("again")
        return input

    async def slow():
        await asyncio.sleep(30)

    steps = [
        {"name": "make", "output": {"id": "A7"}},
        {"name": "flaky", "retry": True, "input": {"order": "${result.id}", "of": "${input.user}"}},
        {"name": "slow", "timeout": 0.05},
    ]
    status = outcome_of(store, steps, {"user": "eva"}, [flaky, slow], retry_delay=0.01)
    assert seen == [{"order": "A7", "of": "eva"}] * 3
    assert status["steps_completed"] == 2
    assert status["error"] == "Step slow failed: Timeout: did not end within 0.05 s"


def test_attempts_are_limited(store):
    calls = []

    def bad():
        calls.append(1)
        raise OSError("no")

    for retry, attempts in ((True, 4), (2, 2), (False, 1)):
        calls.clear()
        steps = [{"name": "bad", "retry": retry}]
        assert outcome_of(store, steps, actions=[bad], retry_delay=0.0, retry_attempts=4)["status"] == "failed"
        assert len(calls) == attempts


def test_a_workflow_may_not_take_longer_than_its_timeout(store):
    async def slow():
        await asyncio.sleep(30)

    status = outcome_of(store, [{"name": "slow"}], actions=[slow], workflow_timeout=0.1)
    assert (status["status"], status["error"]) == ("failed", "Workflow w timed out after 0.1 s")
