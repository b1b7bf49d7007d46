import pytest

from podium.executors.judging import is_critical, is_quarantined, judge, uncritical, with_quarantine
from podium.plan.suites import Criteria, Quarantined
from podium.test_results import TestCounts, TestResult


@pytest.mark.parametrize(
    ("counts", "criteria", "outcome"),
    [
        ({}, Criteria(), "errored"),
        ({}, Criteria(min_pass_rate=0.0, max_failures=9), "errored"),
        ({"passed": 1}, Criteria(), "passed"),
        ({"skipped": 1}, Criteria(), "passed"),
        ({"passed": 99, "failed": 1}, Criteria(), "failed"),
        ({"passed": 99, "errored": 1}, Criteria(), "errored"),
        ({"passed": 98, "errored": 1, "failed": 1}, Criteria(), "failed"),
        ({"passed": 99, "timed_out": 1}, Criteria(), "failed"),
        ({"passed": 99, "failed": 1, "quarantined": 1}, Criteria(), "passed"),
        ({"passed": 95, "failed": 5}, Criteria(0.95, 5), "passed"),
        ({"passed": 94, "failed": 6}, Criteria(0.90, 5), "failed"),
        ({"passed": 9, "failed": 1}, Criteria(0.95, 5), "failed"),
        ({"passed": 1, "failed": 9}, Criteria(0.0, 9), "passed"),
    ],
)
def test_counts_are_judged_by_rate_and_number(counts, criteria, outcome):
    found, reason = judge(TestCounts(**counts), [], criteria)
    assert found == outcome
    assert bool(reason) == (outcome != "passed")


def test_flaky_tests_count_as_failed_if_the_suite_says_so():
    counts = TestCounts(passed=9, flaky=2)
    assert judge(counts, [], Criteria())[0] == "passed"
    outcome, reason = judge(counts, [], Criteria(), flaky_is_bad=True)
    assert outcome == "failed"
    assert "2 flaky" in reason


def test_critical_tests_have_to_pass_whatever_else_is_allowed():
    outcome, reason = judge(TestCounts(passed=1, failed=4), ["a", "b", "c", "d"], Criteria(0.0, 9))
    assert outcome == "failed"
    assert reason == "critical tests did not pass: a, b, c and 1 more"


def test_the_reason_says_what_was_found_and_what_is_demanded():
    assert judge(TestCounts(passed=7, failed=2, errored=1), [], Criteria())[1] == "2 failed, 1 errored of 10"
    assert judge(TestCounts(passed=4, failed=6), [], Criteria(0.5, 5))[1] == (
        "6 failed of 10; 40.0% passed, the least is 50.0%; the most that may fail is 5"
    )


def test_critical_is_what_has_the_marker_or_the_text_in_its_id():
    result = TestResult("tests/test_pay.py::test_all", "failed", markers=("slow",))
    assert is_critical(result, ["slow"])
    assert is_critical(result, ["test_pay"])
    assert not is_critical(result, ["fast"])
    assert not is_critical(result, [])


def test_words_that_fit_no_test_are_known_once_any_test_is():
    tests = [TestResult("a.py::test_pay", "passed", markers=("slow",)), TestResult("a.py::test_b", "skipped")]
    assert uncritical(["slow", "pay", "zork", "test_c"], tests) == ("zork", "test_c")
    assert uncritical(["zork"], []) == ()
    assert uncritical([], tests) == ()


def test_that_some_tests_are_critical_adds_no_other_demand_to_the_reason():
    assert judge(TestCounts(passed=1, failed=1), [], Criteria(critical=("zork",)))[1] == "1 failed of 2"


@pytest.mark.parametrize("pattern", ["a.py::t[x]", "a.py::*", "*[[]x]", "a.py::t[*]"])
def test_quarantine_is_by_pattern_until_the_end_of_the_day(pattern):
    quarantine = [Quarantined(pattern, "2030-05-01")]
    assert is_quarantined("a.py::t[x]", quarantine, "2030-05-01")
    assert not is_quarantined("a.py::t[x]", quarantine, "2030-05-02")
    assert not is_quarantined("b.py::t", quarantine, "2030-05-01")


def test_only_bad_results_are_marked():
    quarantine = [Quarantined("*", "2030-05-01")]
    assert with_quarantine(TestResult("t", "failed"), quarantine, "2030-01-01").quarantined
    assert not with_quarantine(TestResult("t", "passed"), quarantine, "2030-01-01").quarantined
    assert not with_quarantine(TestResult("t", "failed"), [], "2030-01-01").quarantined
