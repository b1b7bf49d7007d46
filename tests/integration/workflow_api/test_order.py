"""The documented Python interface of workflows: conditions, branches, and steps side by side."""
# ruff: noqa: A002 (actions take `input`)

import threading

import pytest
from tests.integration.workflow_api.engine_runs import outcome_of


@pytest.mark.parametrize(
    ("word", "ran", "left_out"), [("success", "next_step", "error_handler"), ("bad", "error_handler", "next_step")]
)
def test_a_condition_decides_which_steps_run(store, word, ran, left_out):
    steps = [
        {"name": "first", "output": {"status": word}},
        {"name": "decide", "condition": "result.status == 'success'", "then": "next_step", "else": "error_handler"},
        {"name": "next_step", "output": 1},
        {"name": "error_handler", "output": 2},
        {"name": "last"},
    ]
    status = outcome_of(store, steps)
    assert (status["status"], status["skipped"]) == ("completed", [left_out])
    assert list(status["output_data"]) == ["first", "decide", ran, "last"]


@pytest.mark.parametrize("more", [{}, {"then": "last"}])
def test_a_condition_has_to_be_true_or_false(store, more):
    steps = [{"name": "first"}, {"name": "decide", "condition": "result", **more}, {"name": "last"}]
    status = outcome_of(store, steps, workflow_timeout=2)
    assert (status["status"], status["steps_completed"]) == ("failed", 1)
    assert status["error"].startswith("Step decide failed: ")
    assert "neither true nor false" in status["error"]


def test_a_condition_without_a_value_fails_the_workflow(store):
    steps = [{"name": "first"}, {"name": "if", "condition": "result.x.y == 1", "then": "c"}, {"name": "c"}]
    status = outcome_of(store, steps, workflow_timeout=2)
    assert status["error"].startswith("Step if failed: ")
    assert "has no value" in status["error"]


def test_steps_in_a_branch_and_the_result_after_it(store):
    def echo(input):
        return input

    steps = [
        {"name": "first", "output": 5},
        {
            "name": "decide",
            "condition": "result > input.limit",
            "then": [{"name": "big", "output": "big"}, {"name": "bigger", "output": "bigger"}],
            "else": {"name": "small", "output": "small"},
        },
        {"name": "echo", "input": "${result}"},
        {"name": "only_if", "condition": 'results["first"] == 6'},
        {"name": "tell", "action": "echo", "input": "${result} of result"},
    ]
    steps[3]["output"] = 1
    high = outcome_of(store, steps, {"limit": 9}, [echo])
    assert high["output_data"]["echo"] == "small"
    assert high["output_data"]["tell"] == "small of result"
    assert high["skipped"] == ["big", "bigger", "only_if"]
    low = outcome_of(store, steps, {"limit": 3}, [echo])
    assert low["output_data"]["echo"] == "bigger"
    assert low["skipped"] == ["small", "only_if"]


def test_parallel_steps_run_side_by_side_and_give_one_result(store):
    together = threading.Barrier(3)

    def meet(context):
        together.wait(10)
        return context.step[-1]

    def after(input):
        return input

    steps = [
        {"name": "all", "parallel": [{"name": f"task{n}", "action": "meet"} for n in (1, 2, 3)]},
        {"name": "after", "input": "${result.task2}"},
    ]
    status = outcome_of(store, steps, actions=[meet, after])
    assert status["output_data"]["all"] == {"task1": "1", "task2": "2", "task3": "3"}
    assert status["output_data"]["after"] == "2"
    assert (status["steps_completed"], status["total_steps"]) == (5, 5)
