"""What several tries of a command say about its tests."""

from podium.executors.suite_tries import only_these, passed_before, tried_again, what_it_cannot
from podium.plan.suites import CommandSuite, Selection
from podium.test_results import TestResult


def again(first, then):
    (result,) = tried_again([TestResult("a", first, 1.0, first)], [TestResult("a", then, 2.0, then)])
    return result


def test_a_test_that_passed_in_any_try_has_passed_and_is_flaky():
    for first, then in (("failed", "passed"), ("passed", "failed"), ("timed_out", "passed"), ("passed", "errored")):
        result = again(first, then)
        assert (result.outcome, result.message, result.flaky) == ("passed", "passed", True)
        assert (result.attempts, result.duration) == (2, 3.0)


def test_a_test_that_came_to_the_same_twice_is_not_flaky():
    for outcome in ("passed", "failed", "skipped"):
        result = again(outcome, outcome)
        assert (result.outcome, result.flaky, result.attempts) == (outcome, False, 2)


def test_of_two_failures_the_last_is_told():
    assert again("failed", "errored").message == "errored"


def test_a_test_that_was_found_flaky_stays_so():
    flaky = tried_again([TestResult("a", "failed")], [TestResult("a", "passed")])
    (result,) = tried_again(flaky, [TestResult("a", "passed")])
    assert (result.flaky, result.attempts) == (True, 3)


def test_tests_that_are_in_one_try_only_are_kept():
    results = tried_again([TestResult("a", "failed")], [TestResult("b", "passed")])
    assert [(r.id, r.outcome, r.attempts) for r in results] == [("a", "failed", 1), ("b", "passed", 1)]


def test_what_passed_in_an_earlier_attempt_has_passed():
    results = [TestResult("a", "failed"), TestResult("b", "failed"), TestResult("c", "skipped")]
    found = passed_before(results, {"a", "c", "d"})
    assert [(r.outcome, r.flaky) for r in found] == [("passed", True), ("failed", False), ("skipped", False)]


def test_only_what_was_asked_for_counts():
    results = [TestResult("a", "passed"), TestResult("b", "passed")]
    assert only_these(results, ()) == (results, 0)
    assert only_these(results, ("b", "c")) == (results[1:], 1)


def test_what_was_not_asked_for_is_not_excused():
    assert list(what_it_cannot(CommandSuite(argv=("x",)))) == []
    assert len(list(what_it_cannot(CommandSuite(argv=("x",), selection=Selection(until_fail=True))))) == 1
