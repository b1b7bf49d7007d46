"""What became of each test between two runs."""

import pytest

from podium.analysis.test_changes import compare_tests
from podium.test_results import TestResult


def suite(step="unit", **outcomes):
    return {
        (step, name): one if isinstance(one, TestResult) else TestResult(name, one) for name, one in outcomes.items()
    }


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("passed", "failed", "newly_failing"),
        ("xfailed", "errored", "newly_failing"),
        ("skipped", "timed_out", "newly_failing"),
        (None, "failed", "newly_failing"),
        ("failed", "timed_out", "still_failing"),
        ("errored", "passed", "fixed"),
        ("failed", "xfailed", "fixed"),
        (None, "passed", "new"),
        ("skipped", "passed", "new"),
        ("passed", None, "gone"),
        ("failed", None, "gone"),
        ("passed", "skipped", "gone"),
        ("failed", "skipped", "gone"),
        ("passed", "passed", None),
        ("passed", "xpassed", None),
        ("skipped", "skipped", None),
        ("skipped", None, None),
        (None, "skipped", None),
    ],
)
def test_every_pair_of_outcomes_is_named(old, new, change):
    found = compare_tests(suite(a=old) if old else {}, suite(a=new) if new else {})
    assert [(one.change, one.old_outcome, one.new_outcome) for one in found.changes] == (
        [] if change is None else [(change, old, new)]
    )
    assert found.counts == ({} if change is None else {change: 1})
    assert found.has_regression == (change == "newly_failing")


def test_a_test_in_quarantine_is_never_bad():
    quarantined = TestResult("a", "failed", quarantined=True)
    assert compare_tests(suite(a="passed"), suite(a=quarantined)).changes == ()
    assert compare_tests(suite(a=quarantined), suite(a="failed")).has_regression


def test_the_same_id_in_two_steps_is_two_tests():
    old = suite("unit", a="passed") | suite("slow", a="failed")
    new = suite("unit", a="failed") | suite("slow", a="passed")
    found = {(one.step, one.change) for one in compare_tests(old, new).changes}
    assert found == {("unit", "newly_failing"), ("slow", "fixed")}


def test_changes_say_why_a_test_fails_and_what_is_gone_comes_last():
    new = suite(b=TestResult("b", "failed", message="1 != 2"), c="passed")
    found = compare_tests(suite(a="passed", b="passed"), new).changes
    assert [(one.id, one.message) for one in found] == [("b", "1 != 2"), ("c", ""), ("a", "")]
