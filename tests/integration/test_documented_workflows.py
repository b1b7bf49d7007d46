"""Every Python block of the documentation of the interface that workflows follow, run as it stands."""

import ast
import asyncio
import inspect
from datetime import datetime

import pytest

from podium.api.workflows import ErrorRecovery, LoadBalancer, PerformanceOptimizer, WorkflowEngine

DOCUMENTED = {
    "configuration": """
{
    "max_concurrent_workflows": 100,
    "workflow_timeout": 300.0,
    "retry_attempts": 3,
    "retry_delay": 5.0,
    "enable_workflow_persistence": True,
    "enable_compensation": True
}
""",
    "define": """
steps = [
    {"name": "validate_input", "action": "validate"},
    {"name": "process_data", "action": "process"},
    {"name": "store_result", "action": "store"}
]

workflow = await workflow_engine.define_workflow("user_workflow", steps)
""",
    "execute": """
# Execute with input data
input_data = {"user_id": 123, "action": "transcribe"}
execution_id = await workflow_engine.execute_workflow("user_workflow", input_data)

# Check status
status = await workflow_engine.get_execution_status(execution_id)
""",
    "status": """
{
    "id": "exec_123",
    "workflow_id": "user_workflow",
    "status": "running",  # or "completed", "failed", "cancelled"
    "started_at": datetime,
    "steps_completed": 2,
    "total_steps": 3,
    "input_data": {...},
    "output_data": {...}
}
""",
    "step": """
{
    "name": "process_data",
    "action": "llm_completion",
    "timeout": 30.0,
    "retry": True,
    "compensation": "undo_process"
}
""",
    "cancel": """
# Cancel running workflow
success = await workflow_engine.cancel_workflow(execution_id)
""",
    "compensate": """
# Register compensation handlers
async def undo_database_write():
    await database.delete(record_id)

async def undo_api_call():
    await api.cancel_request(request_id)

error_recovery.register_compensation("database_write", undo_database_write)
error_recovery.register_compensation("api_call", undo_api_call)

# Execute compensation on failure
completed_steps = ["database_write", "api_call"]
await error_recovery.compensate("failed_step", completed_steps)
""",
    "retry": """
# Retry failed step
can_retry = await error_recovery.retry_step("api_call", max_attempts=3)

# Backoff delays: 1s, 2s, 4s, 8s, ...
""",
    "reset": """
# Reset retry counter after successful execution
error_recovery.reset_attempts("api_call")
""",
    "assign": """
# Assign workflow to least loaded worker
worker = load_balancer.assign_workflow("workflow_123")

# Complete workflow to reduce load
load_balancer.complete_workflow("workflow_123")
""",
    "distribution": """
distribution = load_balancer.get_load_distribution()
# {
#     "worker_1": 10,
#     "worker_2": 8,
#     "worker_3": 12
# }
""",
    "balance": """
# Check if load is balanced (within 30% threshold)
is_balanced = load_balancer.is_balanced(threshold=0.3)
""",
    "record": """
performance_optimizer.record_execution("workflow_id", duration_ms=150.0)
""",
    "bottleneck": """
step_times = {
    "validate": 10.0,
    "llm_call": 500.0,  # Bottleneck
    "store": 15.0
}

bottleneck = performance_optimizer.identify_bottleneck("workflow_id", step_times)
# "llm_call"
""",
    "suggestions": """
avg_time = performance_optimizer.get_avg_execution_time("workflow_id")
suggestions = performance_optimizer.suggest_optimization("workflow_id", avg_time)

# [
#     "Consider parallel execution of independent steps",
#     "Review step implementations for optimization",
#     "Consider caching intermediate results"
# ]
""",
    "sequential": """
steps = [
    {"name": "step1"},
    {"name": "step2"},
    {"name": "step3"}
]
# Executes: step1 → step2 → step3
""",
    "conditional": """
{
    "name": "conditional_step",
    "condition": "result.status == 'success'",
    "then": "next_step",
    "else": "error_handler"
}
""",
    "parallel": """
{
    "name": "parallel_processing",
    "parallel": [
        {"name": "task1"},
        {"name": "task2"},
        {"name": "task3"}
    ]
}
""",
    "saga": """
# Transaction workflow
steps = [
    {"name": "reserve_inventory", "compensation": "release_inventory"},
    {"name": "charge_payment", "compensation": "refund_payment"},
    {"name": "ship_order", "compensation": "cancel_shipment"}
]

# If any step fails, compensation runs in reverse
""",
    "voice transcription": """
steps = [
    {"name": "validate_audio", "timeout": 5.0},
    {"name": "transcribe_stt", "timeout": 60.0, "retry": True},
    {"name": "process_llm", "timeout": 30.0, "retry": True},
    {"name": "synthesize_tts", "timeout": 30.0, "retry": True},
    {"name": "store_result", "timeout": 10.0, "compensation": "delete_result"}
]
""",
    "user registration": """
steps = [
    {"name": "validate_input", "timeout": 2.0},
    {"name": "create_user", "compensation": "delete_user"},
    {"name": "send_email", "retry": True},
    {"name": "create_session", "compensation": "destroy_session"}
]
""",
    "data pipeline": """
steps = [
    {"name": "extract_data", "timeout": 60.0},
    {"name": "transform_data", "timeout": 120.0},
    {"name": "validate_data", "timeout": 30.0},
    {"name": "load_data", "compensation": "rollback_load"}
]
""",
}


class Service:
    """What the documentation calls `database` and `api`."""

    def __init__(self):
        self.undone = []

    async def delete(self, what):
        self.undone.append(what)

    cancel_request = delete


@pytest.fixture
def names(tmp_path):
    service = Service()
    return {
        "workflow_engine": WorkflowEngine({"retry_delay": 0.01}, tmp_path / "podium.db"),
        "error_recovery": ErrorRecovery(base_delay=0.001),
        "load_balancer": LoadBalancer(),
        "performance_optimizer": PerformanceOptimizer(),
        "database": service,
        "api": service,
        "record_id": "record",
        "request_id": "request",
        "datetime": datetime,
    }


def run(names, *blocks, assign="value"):
    """Run blocks one after another; the value of one that is an expression is called `value` then."""

    async def main():
        for block in blocks:
            code = DOCUMENTED.get(block, block)
            tree = ast.parse(code)
            if isinstance(tree.body[-1], ast.Expr) and block in DOCUMENTED:
                tree.body[-1] = ast.Assign([ast.Name(assign, ast.Store())], tree.body[-1].value)
                ast.fix_missing_locations(tree)
            outcome = eval(compile(tree, block, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            if inspect.isawaitable(outcome):
                await outcome

    asyncio.run(main())
    return names


EXECUTE = """
execution_id = await workflow_engine.execute_workflow("documented", {"status": "success"}, wait=None)
status = await workflow_engine.get_execution_status(execution_id)
"""
DEFINE = "await workflow_engine.define_workflow('documented', steps)"


def test_the_configuration_is_the_default(names, tmp_path):
    run(names, "configuration")
    explicit, default = WorkflowEngine(names["value"], tmp_path / "a.db"), WorkflowEngine(store=tmp_path / "a.db")
    assert explicit.config == default.config


def test_defining_executing_status_and_cancelling(names):
    run(names, "define", "execute", "status")
    assert names["workflow"]["steps"] == names["steps"]
    assert set(names["value"]) <= set(names["status"])
    assert (names["status"]["status"], names["status"]["steps_completed"]) == ("completed", 3)
    run(names, "cancel")
    assert names["success"] is False


def test_a_step_with_all_its_keys(names):
    run(names, "step", "steps = [value]", DEFINE, EXECUTE)
    assert names["status"]["output_data"] == {"process_data": "success"}


def test_compensation_and_retries(names):
    run(names, "compensate")
    assert names["value"] is True
    assert names["database"].undone == ["request", "record"]
    run(names, "retry", "retry", "retry")
    assert names["can_retry"] is True
    run(names, "retry")
    assert names["can_retry"] is False
    run(names, "reset", "retry")
    assert names["can_retry"] is True


def test_load_balancing(names):
    run(names, "assign")
    assert names["worker"] == "worker_1"
    run(names, "distribution", "balance")
    assert names["distribution"] == {"worker_1": 0, "worker_2": 0, "worker_3": 0}
    assert names["is_balanced"] is True


def test_performance(names):
    run(names, "record", "bottleneck", "suggestions")
    assert names["bottleneck"] == "llm_call"
    assert names["suggestions"] == []
    run(names, "\n".join(["performance_optimizer.record_execution('workflow_id', 2000)"] * 11), "suggestions")
    assert len(names["suggestions"]) == 3


@pytest.mark.parametrize(
    ("block", "steps"),
    [
        ("sequential", 3),
        ("saga", 3),
        ("voice transcription", 5),
        ("user registration", 4),
        ("data pipeline", 4),
    ],
)
def test_patterns_and_scenarios(names, block, steps):
    run(names, block, DEFINE, EXECUTE)
    status = names["status"]
    assert (status["status"], status["steps_completed"], status["total_steps"]) == ("completed", steps, steps)
    assert list(status["output_data"]) == [step["name"] for step in names["steps"]]


def test_the_parallel_pattern(names):
    run(names, "parallel", "steps = [value]", DEFINE, EXECUTE)
    assert names["status"]["output_data"]["parallel_processing"] == dict.fromkeys(
        ("task1", "task2", "task3"), "success"
    )


@pytest.mark.parametrize("output", ["success", {"status": "success"}, "bad", {"status": "bad"}])
def test_the_conditional_pattern(names, output):
    names["output"] = output
    others = "{'name': 'next_step'}, {'name': 'error_handler'}]"
    run(names, "conditional", f"steps = [{{'name': 'first', 'output': output}}, value, {others}", DEFINE, EXECUTE)
    left_out = "next_step" if output == {"status": "bad"} else "error_handler"
    assert (names["status"]["status"], names["status"]["skipped"]) == ("completed", [left_out])


def test_the_saga_is_undone_in_reverse_with_real_functions(names):
    log = []
    engine = names["workflow_engine"]

    def ship_order():
        raise RuntimeError("no van")

    engine.register_action("ship_order", ship_order)
    for name in ("reserve_inventory", "charge_payment", "release_inventory", "refund_payment", "cancel_shipment"):
        engine.register_action(name, lambda name=name: log.append(name))
    run(names, "saga", DEFINE, EXECUTE)
    assert names["status"]["compensation"] == "compensated"
    assert log == ["reserve_inventory", "charge_payment", "refund_payment", "release_inventory"]
