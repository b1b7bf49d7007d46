"""Which tests waver, and how much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.analysis.flaky import flaky_tests
from podium.history import FLAKY_SIGN, SIGNS, TestRow


def row(recent, name="a", **more):
    values = {"origin": "", "duration": 1.0, "outcome": "passed", "runs": 9, "failures": 0, "flaky": 0}
    return TestRow(id=name, recent=recent, **{**values, "last_us": 9, "last_bad_us": 5, **more})


@pytest.mark.parametrize(
    ("recent", "flips"),
    [("~", 1), (".F.", 2), ("F.F", 2), (".FF.", 2), ("..~", 2), (".~.", 2), (".T.E", 3), ("~~", 3), (".sFs.", 2)],
)
def test_a_test_that_passes_and_fails_and_passes_is_flaky(recent, flips):
    (test,) = flaky_tests([row(recent)])
    assert test.flips == flips
    assert test.flip_rate == flips / len(recent.replace("s", ""))


@pytest.mark.parametrize("recent", ["", "s", ".", "F", "...", "FFF", "..FF", "FF..", "xx..", "sss", ".xX"])
def test_a_defect_a_repair_and_an_expected_failure_are_not_flaky(recent):
    assert flaky_tests([row(recent)]) == []


def test_what_is_said_of_a_flaky_test():
    (test,) = flaky_tests([row(".F~s", origin="backend", outcome="skipped", last_us=70, last_bad_us=60)])
    assert (test.origin, test.id, test.runs, test.retried, test.outcome) == ("backend", "a", 3, 1, "skipped")
    assert test.failure_rate == pytest.approx(2 / 3)
    assert (test.last_us, test.last_bad_us, test.recent) == (70, 60, ".F~s")


def test_the_least_reliable_comes_first():
    rows = [row("........F.", "rare"), row(".F.F.F", "often"), row("..~.", "retried")]
    assert [test.id for test in flaky_tests(rows)] == ["often", "retried", "rare"]


@given(st.text(alphabet=[*SIGNS.values(), FLAKY_SIGN], max_size=40))
def test_rates_are_within_their_limits_and_a_longer_history_never_takes_flips_away(recent):
    for test in flaky_tests([row(recent)]):
        assert 0 < test.failure_rate <= 1
        assert 0 < test.flips < 2 * test.runs
        (longer,) = flaky_tests([row(recent + ".")])
        assert longer.flips >= test.flips
