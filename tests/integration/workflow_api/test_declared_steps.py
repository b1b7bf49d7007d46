"""The documented Python interface of workflows: definitions, executions, settings, and what a status says."""

import pytest
from tests.integration.workflow_api.engine_runs import outcome_of, with_engine

from podium.api.workflows import WorkflowEngine
from podium.errors import UsageError

KEYS = {
    "id",
    "workflow_id",
    "status",
    "started_at",
    "steps_completed",
    "total_steps",
    "input_data",
    "output_data",
    "completed_at",
    "cancelled_at",
    "error",
}


def test_a_definition_has_id_steps_and_moment(store):
    steps = [{"name": f"step{n}", "action": "x"} for n in range(3)]
    made = with_engine(store, lambda engine: engine.define_workflow("three", steps))
    assert (made["id"], made["steps"]) == ("three", steps)
    assert made["created_at"].tzinfo is not None


def test_an_execution_is_completed_when_it_is_short(store):
    async def body(engine):
        await engine.define_workflow("w", [{"name": n} for n in "abc"])
        ids = [await engine.execute_workflow("w", {"user_id": 123}) for _ in range(2)]
        return ids, await engine.get_execution_status(ids[0]), engine.get_running_workflows()

    ids, status, running = with_engine(store, body)
    assert ids == ["exec_1", "exec_2"]
    assert set(status) >= KEYS
    assert (status["status"], status["steps_completed"], status["total_steps"]) == ("completed", 3, 3)
    assert status["input_data"] == {"user_id": 123}
    assert status["output_data"] == dict.fromkeys("abc", "success")
    assert status["completed_at"] >= status["started_at"]
    assert status["declared_only"] == ["a", "b", "c"]
    assert running == []


def test_a_step_that_is_declared_to_fail_ends_the_workflow(store):
    steps = [{"name": "step1", "output": {"n": 1}}, {"name": "step2", "fail": True}, {"name": "step3"}]
    status = outcome_of(store, steps)
    assert (status["status"], status["steps_completed"], status["error"]) == ("failed", 1, "Step step2 failed")
    assert status["output_data"] == {"step1": {"n": 1}}
    assert status["skipped"] == ["step3"]


def test_unknown_workflows_and_executions(store):
    async def body(engine):
        with pytest.raises(ValueError, match="Workflow nowhere not found"):
            await engine.execute_workflow("nowhere")
        with pytest.raises(ValueError, match="Execution exec_9 not found"):
            await engine.wait_for("exec_9")
        return await engine.get_execution_status("exec_9"), await engine.cancel_workflow("exec_9")

    assert with_engine(store, body) == (None, False)


def test_settings_are_checked(store):
    with pytest.raises(UsageError, match="max_concurent_workflows") as caught:
        WorkflowEngine({"max_concurent_workflows": 3}, store)
    assert "max_concurrent_workflows" in caught.value.render()
    for wrong in ({"retry_attempts": 0}, {"workflow_timeout": 0}, {"retry_delay": -1}, {"retry_delay": "5"}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            WorkflowEngine(wrong, store)
    defaults = WorkflowEngine(store=store).config
    assert (defaults.max_concurrent_workflows, defaults.workflow_timeout) == (100, 300.0)
    assert (defaults.retry_attempts, defaults.retry_delay) == (3, 5.0)
    assert defaults.enable_workflow_persistence
    assert defaults.enable_compensation


def test_input_that_is_no_json_is_refused(store):
    async def body(engine):
        await engine.define_workflow("w", [{"name": "a"}])
        with pytest.raises(UsageError, match="JSON"):
            await engine.execute_workflow("w", {"x": object()})

    with_engine(store, body)
