"""What several tries of a command say about its tests."""

from hypothesis import given
from hypothesis import strategies as st

from podium.events import Failure
from podium.executors.reports.reading import Reading
from podium.executors.suite_reports import Evidence
from podium.executors.suite_tries import Turn, Turns, only_these, passed_before, tried_again, what_it_cannot
from podium.plan.suites import CommandSuite, Selection
from podium.protocols import Finished
from podium.test_results import TestCounts, TestResult


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
    assert len(list(what_it_cannot(CommandSuite(argv=("x",), selection=Selection(changed=True))))) == 1
    assert list(what_it_cannot(CommandSuite(argv=("x",), selection=Selection(repeat=3, until_fail=True)))) == []


def turn_of(outcome, exit_code=0, *, unnamed=0, note="same"):
    """Return a turn in which test `a` came to something, and tests without names failed."""
    reading = Reading((TestResult("a", outcome),), unnamed=TestCounts(failed=unnamed))
    finished = Finished("passed" if exit_code == 0 else "failed", {"exit_code": exit_code})
    return Turn(finished, Evidence(reading), outcome != "passed" or unnamed > 0, (note,))


def test_one_turn_is_what_it_is():
    turn = turn_of("failed", 1)
    assert Turns(turn).together() is turn


@given(turns=st.lists(st.sampled_from([("passed", 0), ("failed", 3), ("errored", 4)]), min_size=2, max_size=6))
def test_of_several_turns_the_first_bad_one_is_shown_and_its_test_is_bad(turns):
    together = Turns(turn_of(*turns[0]))
    for turn in turns[1:]:
        together.add(turn_of(*turn))
    told = together.together()
    (result,) = told.evidence.reading.results
    shown = next((turn for turn in turns if turn[0] != "passed"), turns[-1])
    assert (result.outcome, told.finished.output, told.failing) == (shown[0], {"exit_code": shown[1]}, shown[1] > 0)
    bad = sum(outcome != "passed" for outcome, _ in turns)
    assert result.message == (f"failed in {bad} of {len(turns)} repetitions" if bad else "")
    assert told.notes[-1] == f"it was run {len(turns)} times"


def test_a_turn_of_which_not_all_is_known_is_shown_before_one_that_failed():
    turns = Turns(turn_of("failed", 1))
    broken = Evidence(Reading(), Failure("Signal", "killed by SIGSEGV"))
    turns.add(Turn(Finished("errored"), broken))
    told = turns.together()
    assert told.evidence.problem == broken.problem
    assert [(r.id, r.outcome) for r in told.evidence.reading.results] == [("a", "failed")]


def test_a_test_that_is_missing_in_some_turns_is_told_of_all_turns():
    turns = Turns(turn_of("failed"))
    turns.add(Turn(Finished("passed"), Evidence()))
    (result,) = turns.together().evidence.reading.results
    assert result.message == "failed in 1 of 2 repetitions"


def test_how_often_a_test_passed_only_when_it_was_tried_again_is_told():
    flaky = Reading((TestResult("a", "passed", flaky=True, attempts=2),))
    turns = Turns(turn_of("passed"))
    turns.add(Turn(Finished("passed"), Evidence(flaky), failing=True))
    turns.add(turn_of("passed"))
    (result,) = turns.together().evidence.reading.results
    assert (result.outcome, result.flaky, result.attempts) == ("passed", True, 2)
    assert result.message == "passed only when it was tried again in 1 of 3 repetitions"


def test_numbers_without_names_are_those_of_the_turn_that_is_shown():
    turns = Turns(turn_of("passed"))
    turns.add(turn_of("passed", unnamed=2))
    turns.add(turn_of("passed"))
    assert turns.together().evidence.reading.unnamed.failed == 2


def test_tests_of_some_turns_only_are_kept():
    turns = Turns(turn_of("passed"))
    turns.add(Turn(Finished("passed"), Evidence(Reading((TestResult("b", "failed"),))), failing=True))
    assert [(r.id, r.outcome) for r in turns.together().evidence.reading.results] == [("a", "passed"), ("b", "failed")]
