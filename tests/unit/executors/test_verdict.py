"""What the categories of a layer come to together."""

import pytest

from podium.events import Failure
from podium.executors.verdict import judge_layer, numbers
from podium.test_results import TestCounts


def judged(*, criteria=None, own=None, flaky="passed", **categories):
    """Return what a layer with criteria came to; a category is its outcome and its counts."""
    return judge_layer(
        {
            "criteria": criteria or {},
            "own": own or {},
            "flaky": flaky,
            "outcomes": {name: outcome for name, (outcome, _) in categories.items()},
            "counts": {name: counts for name, (_, counts) in categories.items()},
        }
    )


def followed(own=None, *, flaky="passed", **categories):
    """Return what a layer without criteria came to; categories may have their own."""
    return judge_layer(
        {
            "criteria": None,
            "flaky": flaky,
            "outcomes": {name: outcome for name, (outcome, _) in categories.items()},
            "counts": {name: counts for name, (_, counts) in categories.items()},
            "own": own or {},
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


def test_what_a_failure_says_is_not_said_again_in_notes():
    finished = judged(unit=("passed", {"passed": 9}), api=("skipped", None), web=("errored", None))
    assert finished.failure.message == "api was not run; web errored"
    assert "notes" not in finished.output
    assert "notes" not in judged(unit=("failed", {"failed": 1}), api=("errored", None)).output


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


def test_a_category_that_failed_though_its_tests_meet_its_own_criteria_fails_the_layer():
    lenient = {"min_pass_rate": 0.0, "max_failures": 5}
    categories = {"unit": ("failed", {"passed": 3, "failed": 1})}
    finished = judged(criteria=lenient, own={"unit": lenient}, **categories)
    assert (finished.outcome, finished.failure.message) == ("failed", "unit failed by its own criteria")
    assert judged(criteria=lenient, own={"unit": {"max_failures": 0}}, **categories).outcome == "passed"


@pytest.mark.parametrize(
    ("counts", "outcome", "message"),
    [
        ({"passed": 9, "flaky": 1}, "passed", ""),
        ({"passed": 8, "failed": 1}, "passed", ""),
        ({"passed": 8, "failed": 1, "flaky": 1}, "failed", "1 failed, 1 flaky of 10; the most that may fail is 1"),
        ({"passed": 9, "failed": 1, "flaky": 5}, "failed", "1 failed, 5 flaky of 11; the most that may fail is 1"),
        ({"passed": 9, "flaky": 2}, "failed", "2 flaky of 10; the most that may fail is 1"),
    ],
)
def test_flaky_tests_that_count_as_failed_count_so_by_the_criteria_of_the_layer(counts, outcome, message):
    criteria = {"min_pass_rate": 0.0, "max_failures": 1}
    finished = judged(criteria=criteria, flaky="failed", unit=("failed", counts), api=("passed", {"passed": 1}))
    assert finished.outcome == outcome
    assert (finished.failure.message if finished.failure else "") == message


def test_flaky_tests_of_all_categories_count_together_if_they_count_as_failed():
    categories = {"unit": ("passed", {"passed": 9, "flaky": 1}), "api": ("passed", {"passed": 9, "flaky": 1})}
    criteria = {"min_pass_rate": 0.0, "max_failures": 1}
    assert judged(criteria=criteria, flaky="failed", **categories).outcome == "failed"
    assert judged(criteria=criteria, **categories).outcome == "passed"


def test_only_numbers_that_are_not_zero_are_kept():
    assert numbers(TestCounts()) == {}
    assert numbers(TestCounts(passed=2, left_out=1), 3) == {"passed": 2, "left_out": 1, "critical": 3}


@pytest.mark.parametrize("payload", [None, {}, {"criteria": {}, "outcomes": {}, "counts": {"a": {"passed": "x"}}}])
def test_a_payload_that_is_none_is_refused(payload):
    assert judge_layer(payload).failure.type == "BadPayload"


def test_a_category_of_which_nothing_was_meant_does_not_speak_against_its_layer():
    known, unknown = ("skipped", {"left_out": 4}), ("skipped", {})
    assert judged(unit=("passed", {"passed": 1}), api=known, web=unknown).outcome == "passed"
    finished = judged(api=known, web=unknown)
    assert (finished.outcome, finished.failure.message) == ("skipped", "none of 4 tests is selected")
    finished = judged(web=unknown)
    assert (finished.outcome, finished.failure.message) == ("skipped", "no test is selected")
    assert judged(web=unknown, api=("skipped", None)).outcome == "errored"
    assert judged(web=unknown, api=("errored", {})).outcome == "errored"


# A layer without criteria of its own


LENIENT = {"min_pass_rate": 0.0, "max_failures": 5}


def test_a_layer_without_criteria_passes_if_its_categories_did_whatever_they_allow():
    finished = followed({"unit": LENIENT}, unit=("passed", {"passed": 8, "failed": 2}), api=("passed", {"passed": 1}))
    assert (finished.outcome, finished.failure) == ("passed", None)
    assert finished.output == {"counts": {"passed": 9, "failed": 2}, "total": 11}
    assert judged(unit=("passed", {"passed": 8, "failed": 2})).outcome == "failed"


def test_a_layer_without_criteria_fails_if_a_category_did_and_says_which_and_why():
    finished = followed(
        {"unit": {"min_pass_rate": 0.0, "max_failures": 1}, "web": LENIENT},
        unit=("failed", {"passed": 8, "failed": 2}),
        api=("failed", {"passed": 1, "timed_out": 1}),
        web=("passed", {"failed": 5}),
    )
    assert (finished.outcome, finished.failure.type) == ("failed", "Criteria")
    assert finished.failure.message == "unit: 2 failed of 10; the most that may fail is 1; api: 1 timed out of 2"


def test_flaky_tests_that_count_as_failed_fail_a_layer_without_criteria_and_are_named():
    finished = followed(flaky="failed", unit=("failed", {"passed": 3, "flaky": 1}), api=("passed", {"passed": 1}))
    assert (finished.outcome, finished.failure.message) == ("failed", "unit: 1 flaky of 3")
    partial = {"api": {"max_failures": 0, "allow_partial": True}}
    counts = {"passed": 3, "flaky": 1}
    assert followed(partial, flaky="failed", api=("timed_out", counts)).outcome == "failed"
    assert followed(partial, flaky="passed", api=("timed_out", counts)).outcome == "passed"


def test_a_category_that_failed_over_flaky_or_critical_tests_fails_its_layer():
    flaky = followed(unit=("failed", {"passed": 3, "flaky": 1}), api=("passed", {"passed": 1}))
    assert (flaky.outcome, flaky.failure.message) == ("failed", "unit: failed by its own criteria")
    critical = followed({"unit": LENIENT}, unit=("failed", {"passed": 3, "failed": 1, "critical": 1}))
    assert (critical.outcome, critical.failure.message) == ("failed", "unit: critical tests did not pass: 1")


def test_a_category_that_was_not_run_leaves_a_layer_without_criteria_undecided():
    finished = followed(unit=("passed", {"passed": 9}), api=("skipped", None))
    assert (finished.outcome, finished.failure) == ("errored", Failure("Incomplete", "api was not run"))
    failed = followed(unit=("failed", {"failed": 1}), api=("skipped", None))
    assert (failed.outcome, failed.failure.message) == ("failed", "unit: 1 failed of 1; api was not run")


@pytest.mark.parametrize("outcome", ["errored", "timed_out", "cancelled"])
def test_a_category_that_ended_early_leaves_a_layer_without_criteria_undecided(outcome):
    word = outcome.replace("_", " ")
    finished = followed({"api": LENIENT}, unit=("passed", {"passed": 9}), api=(outcome, {"passed": 1, "failed": 2}))
    assert (finished.outcome, finished.failure) == ("errored", Failure("Incomplete", f"api {word}"))
    failed = followed(api=(outcome, {"passed": 1, "failed": 2}))
    assert (failed.outcome, failed.failure.message) == ("failed", f"api: 2 failed of 3; api {word}")


def test_a_category_that_may_count_by_what_it_came_to_does_so_though_it_was_ended_from_outside():
    partial = {"api": {**LENIENT, "allow_partial": True}}
    finished = followed(partial, unit=("passed", {"passed": 9}), api=("timed_out", {"passed": 1, "failed": 2}))
    assert (finished.outcome, finished.output["notes"]) == ("passed", ["api timed out"])
    assert followed(partial, api=("timed_out", {"passed": 1, "failed": 6})).outcome == "failed"
    assert followed(partial, api=("cancelled", None)).failure == Failure("Incomplete", "api cancelled")
    assert followed(partial, api=("errored", {"passed": 1})).failure == Failure("Incomplete", "api errored")


def test_tests_that_could_not_be_judged_leave_a_layer_without_criteria_undecided():
    finished = followed(unit=("errored", {"passed": 3, "errored": 1}))
    assert finished.failure == Failure("Incomplete", "unit errored: 1 errored of 4")


def test_without_tests_a_layer_without_criteria_has_not_passed():
    assert followed().failure == Failure("NoTests", "no tests were run")
    assert followed(unit=("passed", {})).failure == Failure("NoTests", "no tests were run")
    assert followed(unit=("errored", None)).failure == Failure("Incomplete", "unit errored")
    assert followed(unit=("skipped", {"left_out": 2})).outcome == "skipped"


# Words that make tests critical


def remarks(criteria, own, uncritical):
    counts = {name: {"passed": 1} for name in uncritical}
    verdict = {"criteria": criteria, "outcomes": dict.fromkeys(counts, "passed"), "counts": counts}
    finished = judge_layer({**verdict, "own": own, "uncritical": uncritical})
    assert finished.outcome == "passed"
    return finished.output.get("notes", [])


def test_a_word_of_a_layer_that_fits_no_test_of_any_category_is_told():
    layer = {"critical": ["login", "zork"]}
    assert remarks(layer, {}, {"a": ["zork"], "b": ["login", "zork"]}) == [
        "no test that was found fits `critical: zork`, so it demands nothing"
    ]
    assert remarks(layer, {}, {"a": ["zork"], "b": None}) == []


def test_a_word_of_a_category_that_fits_no_test_of_it_is_told_once_for_all_its_shards():
    own = {"a/1": {"critical": ["zork"]}, "a/2": {"critical": ["zork"]}, "b": {"critical": ["login"]}}
    assert remarks(None, own, {"a/1": ["zork"], "a/2": ["zork"], "b": None}) == [
        "no test of a that was found fits `critical: zork`, so it demands nothing"
    ]
    assert remarks(None, own, {"a/1": ["zork"], "a/2": None, "b": None}) == []
