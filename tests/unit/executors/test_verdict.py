"""What the categories of a layer come to together."""

import pytest

from podium.executors.verdict import judge_layer, numbers
from podium.test_results import TestCounts


def judged(*, criteria=None, **categories):
    """Return what a layer came to; a category is its outcome and its counts."""
    return judge_layer(
        {
            "criteria": criteria or {},
            "outcomes": {name: outcome for name, (outcome, _) in categories.items()},
            "counts": {name: counts for name, (_, counts) in categories.items()},
        }
    )


def test_a_layer_passes_if_all_its_tests_did():
    finished = judged(unit=("passed", {"passed": 3, "flaky": 1}), api=("passed", {"passed": 1, "skipped": 2}))
    assert (finished.outcome, finished.failure) == ("passed", None)
    assert finished.output == {"counts": {"passed": 4, "skipped": 2, "flaky": 1}, "total": 6}


def test_tests_that_failed_in_any_category_count_by_the_criteria_of_the_layer():
    categories = {"unit": ("failed", {"passed": 9, "failed": 1}), "api": ("passed", {"passed": 10})}
    assert judged(**categories).outcome == "failed"
    assert judged(**categories, criteria={"min_pass_rate": 0.95, "max_failures": 1}).outcome == "passed"
    assert judged(**categories, criteria={"min_pass_rate": 0.96, "max_failures": 1}).outcome == "failed"
    assert judged(**categories, criteria={"min_pass_rate": 0.9, "max_failures": 0}).outcome == "failed"


def test_quarantined_tests_do_not_count():
    assert judged(unit=("passed", {"passed": 1, "failed": 1, "quarantined": 1})).outcome == "passed"


@pytest.mark.parametrize("outcome", ["errored", "timed_out", "cancelled"])
def test_a_category_that_ended_early_leaves_the_layer_undecided(outcome):
    categories = {"unit": ("passed", {"passed": 9}), "api": (outcome, {"passed": 1})}
    finished = judged(**categories)
    assert (finished.outcome, finished.failure.type) == ("errored", "Incomplete")
    assert finished.failure.message == f"api {outcome.replace('_', ' ')}"
    partial = judged(**categories, criteria={"allow_partial": True})
    assert (partial.outcome, partial.output["notes"]) == ("passed", [f"api {outcome.replace('_', ' ')}"])


def test_a_layer_says_how_many_tests_of_a_category_that_ended_early_were_not_run():
    died = ("errored", {"passed": 1, "left_out": 9, "not_run": 6})
    finished = judged(unit=("passed", {"passed": 2}), api=died, web=("timed_out", {"left_out": 2, "not_run": 2}))
    assert finished.failure.message == "api errored, 6 of its tests not run; web timed out, 2 of its tests not run"
    assert finished.output["counts"] == {"passed": 3, "left_out": 11, "not_run": 8}


def test_a_category_that_was_not_run_leaves_the_layer_undecided():
    finished = judged(unit=("passed", {"passed": 9}), api=("skipped", None))
    assert (finished.outcome, finished.failure.message) == ("errored", "api was not run")


def test_a_category_without_counts_leaves_the_layer_undecided():
    finished = judged(unit=("passed", {"passed": 9}), api=("passed", None))
    assert (finished.outcome, finished.failure.message) == ("errored", "api passed and says nothing of its tests")


def test_tests_that_failed_weigh_more_than_what_is_not_known():
    finished = judged(unit=("failed", {"failed": 1}), api=("errored", None))
    assert (finished.outcome, finished.failure.type) == ("failed", "Criteria")
    assert finished.failure.message == "1 failed of 1; api errored"
    assert finished.output["notes"] == ["api errored"]


def test_tests_that_could_not_be_judged_leave_the_layer_undecided():
    finished = judged(unit=("errored", {"passed": 3, "errored": 1}))
    assert (finished.outcome, finished.failure.message) == ("errored", "1 errored of 4; unit errored")


@pytest.mark.parametrize("partial", [False, True])
def test_without_tests_nothing_has_passed(partial):
    criteria = {"allow_partial": partial}
    assert judged(criteria=criteria).failure.type == "NoTests"
    assert judged(unit=("passed", {}), criteria=criteria).outcome == "errored"
    nothing = judged(unit=("timed_out", None), criteria=criteria)
    assert (nothing.outcome, nothing.failure.message) == ("errored", "unit timed out")


def test_a_critical_test_that_failed_fails_the_layer_whatever_its_other_criteria():
    lenient = {"min_pass_rate": 0.0, "max_failures": 100}
    counts = numbers(TestCounts(passed=99, failed=1), 1)
    finished = judged(unit=("failed", counts), criteria=lenient)
    assert (finished.outcome, finished.failure.message) == ("failed", "critical tests did not pass: 1 in unit")
    assert judged(unit=("failed", {"passed": 99, "failed": 1}), criteria=lenient).outcome == "passed"


def test_a_category_that_failed_for_another_reason_fails_the_layer():
    finished = judged(unit=("failed", {"passed": 3, "flaky": 1}), api=("passed", {"passed": 1}))
    assert (finished.outcome, finished.failure.message) == ("failed", "unit failed by its own criteria")


def test_only_numbers_that_are_not_zero_are_kept():
    assert numbers(TestCounts()) == {}
    assert numbers(TestCounts(passed=2, left_out=1), 3) == {"passed": 2, "left_out": 1, "critical": 3}


@pytest.mark.parametrize("payload", [None, {}, {"criteria": {}, "outcomes": {}, "counts": {"a": {"passed": "x"}}}])
def test_a_payload_that_is_none_is_refused(payload):
    assert judge_layer(payload).failure.type == "BadPayload"
