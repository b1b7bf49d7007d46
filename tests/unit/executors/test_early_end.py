"""When a suite ends before all its tests have run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.executors.early_end import EarlyEnding
from podium.plan.suites import EarlyEnd
from podium.test_results import TestResult


def results(signs):
    outcomes = {".": "passed", "F": "failed", "E": "errored", "T": "timed_out", "s": "skipped", "x": "xfailed"}
    return [TestResult(f"t{index}", outcomes[sign]) for index, sign in enumerate(signs)]


@pytest.mark.parametrize(
    ("rule", "most", "signs", "why"),
    [
        (EarlyEnd(), 0, "FFFFFFFFFF", None),
        (EarlyEnd(), 1, "..F", "1 test did not pass"),
        (EarlyEnd(), 2, "..F.E", "2 tests did not pass"),
        (EarlyEnd(consecutive=3), 0, "FF.FsF", None),
        (EarlyEnd(consecutive=3), 0, "FF.FsFF", "3 tests in a row did not pass"),
        (EarlyEnd(rate=0.3), 0, "FFFFFFFFF", None),
        (EarlyEnd(rate=0.3), 0, "FFFFFFFFFF", "10 of 10 tests did not pass, more than 30%"),
        (EarlyEnd(rate=0.3), 0, ".......FFF", None),
        (EarlyEnd(rate=0.3), 0, ".......FFFF", "4 of 11 tests did not pass, more than 30%"),
        (EarlyEnd(critical=("t2",)), 0, "FF.", None),
        (EarlyEnd(critical=("t2",)), 0, "..T", "the critical test `t2` timed out"),
    ],
)
def test_it_ends_where_its_rule_says(rule, most, signs, why):
    assert EarlyEnding(rule, most).take(results(signs)) == why


def test_markers_make_tests_critical():
    login = TestResult("t", "failed", markers=("login", "slow"))
    assert EarlyEnding(EarlyEnd(critical=("login",))).take([login])
    assert not EarlyEnding(EarlyEnd(critical=("payment",))).take([login])


def test_tests_in_quarantine_do_not_end_a_suite():
    assert EarlyEnding(EarlyEnd(), 1).take([TestResult("t", "failed", quarantined=True)]) is None


def test_tests_that_are_repeated_count_once():
    turns = [TestResult("a", "failed"), TestResult("b", "passed")] * 4 + [TestResult("b", "failed")]
    assert EarlyEnding(EarlyEnd(), 2).take(turns) == "2 tests did not pass"
    assert EarlyEnding(EarlyEnd(), 2).take(turns[:-1]) is None
    assert EarlyEnding(EarlyEnd(consecutive=2)).take([TestResult("a", "failed")] * 3) is None
    assert EarlyEnding(EarlyEnd(rate=0.6, sample=2)).take(turns) == "2 of 2 tests did not pass, more than 60%"
    assert EarlyEnding(EarlyEnd(rate=0.6, sample=3)).take(turns) is None


@given(st.text(alphabet=".FETsx", max_size=40), st.integers(1, 5), st.integers(1, 7))
def test_batches_do_not_change_where_it_ends(signs, most, size):
    whole = EarlyEnding(EarlyEnd(consecutive=3), most).take(results(signs))
    ending, found = EarlyEnding(EarlyEnd(consecutive=3), most), None
    for start in range(0, len(signs), size):
        found = found or ending.take(results(signs)[start : start + size])
    assert found == whole
