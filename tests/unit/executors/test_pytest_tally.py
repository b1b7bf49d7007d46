from podium.executors.found import FoundTest
from podium.executors.pytest_tally import Tally, Try
from podium.plan.suites import Criteria, PytestSuite, Quarantined, Selection

PASSED, FAILED = 0, 1


def tally_of(suite=None, tests=3):
    tally = Tally(suite or PytestSuite(), "2030-01-01")
    tally.found = [FoundTest(f"t{number}", "t.py", number + 1, ("slow",)) for number in range(tests)]
    tally.chosen = tests
    return tally


def one(test, outcome=PASSED, *, attempt=1, turn=1, final=True, message="", duration=1.0):
    return Try(test, outcome, duration, 5, message, "", 1, attempt, turn, int(final))


def test_a_final_try_is_a_result_with_all_that_is_known_of_the_test():
    (result,) = tally_of().take([one(1)])
    assert (result.id, result.outcome, result.file, result.line, result.markers) == (
        "t1",
        "passed",
        "t.py",
        2,
        ("slow",),
    )


def test_a_try_that_is_not_final_is_held_until_the_next_or_the_end():
    tally = tally_of()
    assert tally.take([one(0, FAILED, final=False), one(1, FAILED, final=False)]) == []
    (flaky,) = tally.take([one(0, attempt=2)])
    assert (flaky.outcome, flaky.flaky, flaky.attempts) == ("passed", True, 2)
    (lost,) = tally.rest()
    assert (lost.id, lost.outcome) == ("t1", "failed")
    assert (tally.counts.passed, tally.counts.failed, tally.counts.flaky, tally.done) == (1, 1, 1, 2)
    assert [result.id for result in tally.bad] == ["t1"]
    assert tally.rest() == []


def test_repetitions_are_one_result():
    tally = tally_of(PytestSuite(selection=Selection(repeat=3)))
    for turn in (1, 2, 3):
        assert tally.take([one(0, turn=turn), one(1, FAILED if turn == 2 else PASSED, turn=turn, message="why")]) == []
    good, bad = tally.rest()
    assert (good.outcome, good.duration, good.message) == ("passed", 1.0, "")
    assert (bad.outcome, bad.message) == ("failed", "failed in 1 of 3 repetitions: why")
    assert tally.done == 2


def test_quarantined_tests_are_marked_only_if_they_are_bad():
    tally = tally_of(PytestSuite(quarantine=(Quarantined("t*", "2030-01-01"),)))
    first, second = tally.take([one(0), one(1, FAILED)])
    assert (first.quarantined, second.quarantined) == (False, True)
    assert tally.counts.bad == 0


def test_single_turns_of_repeated_tests_are_known_at_once():
    suite = PytestSuite(retries=1, quarantine=(Quarantined("t1", "2030-01-01"),), selection=Selection(repeat=3))
    tally = tally_of(suite)
    assert tally.take([one(0), one(1, FAILED, final=False)]) == []
    assert [(result.id, result.outcome) for result in tally.ended] == [("t0", "passed")]
    assert tally.take([one(1, FAILED, attempt=2), one(2, FAILED, turn=2)]) == []
    assert [(result.id, result.outcome, result.quarantined) for result in tally.ended] == [
        ("t1", "failed", True),
        ("t2", "failed", False),
    ]
    assert tally.take([]) == []
    assert tally.ended == []
    assert (tally.done, tally.counts.total) == (0, 0)


def test_results_that_are_certain_have_ended_too():
    tally = tally_of()
    assert tally.take([one(0), one(1, FAILED, final=False)]) == tally.ended
    assert [result.id for result in tally.ended] == ["t0"]


def test_tests_that_were_never_found_bring_their_own_description():
    (result,) = tally_of().take([one(("x::y", "x.py", 7, ("m",)))])
    assert (result.id, result.file, result.line, result.markers) == ("x::y", "x.py", 7, ("m",))


def test_words_that_fit_no_result_so_far_are_known():
    tally = tally_of(PytestSuite(criteria=Criteria(critical=("zork", "t1", "slow", "t2"))))
    assert tally.uncritical == ("zork", "t1", "slow", "t2")
    tally.take([])
    assert tally.uncritical == ("zork", "t1", "slow", "t2")
    tally.take([one(0), one(1, FAILED)])
    assert tally.uncritical == ("zork", "t2")
