"""Rates of a workflow over its runs."""

import pytest

from podium.analysis.workflows import workflow_statistics
from podium.history import RunRow, StepRow


def run(number, outcome, duration=1.0):
    return RunRow(
        id=f"r{number}", work="workflow", name="w", parent=None, definition="", steps=1, slots=1, seed=0, options={},
        engine="", started_us=number, finished_us=number, outcome=outcome, counts={}, duration=duration,
    )  # fmt: skip


def step(outcome="passed", attempts=1):
    return StepRow("r", "s", outcome, attempts, 0)


def test_nothing_is_counted_where_there_is_nothing():
    found = workflow_statistics("w", [], [])
    assert found.runs == 0
    assert {found.success_rate, found.mean_s, found.p95_s, found.retry_rate, found.compensation_rate} == {None}


def test_rates_are_of_runs_that_ended_and_steps_that_were_begun():
    runs = [run(1, "passed", 1.0), run(2, "passed", 3.0), run(3, "compensated", 50.0), run(4, "compensation_failed")]
    steps = [step(), step(attempts=3), step("skipped", 0), step("failed", 2)]
    found = workflow_statistics("w", [*runs, run(5, None)], steps)
    assert (found.runs, found.success_rate, found.compensation_rate) == (4, 0.5, 0.5)
    assert (found.mean_s, found.p95_s, found.compensation_failures) == (2.0, 3.0, 1)
    assert found.retry_rate == pytest.approx(2 / 3)
