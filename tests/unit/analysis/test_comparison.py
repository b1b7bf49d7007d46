import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.analysis.comparison import Comparison, compare
from podium.errors import UsageError
from podium.events import OUTCOMES
from podium.history import StepRow
from podium.model.scenario import ScenarioResult, Verdict


def step(name="case", outcome="passed", *, duration=1.0, output=None):
    return StepRow(run="r", name=name, outcome=outcome, attempts=1, finished_us=0, duration=duration, output=output)


def scenario(fingerprint="f", **criteria):
    """Return the output of a scenario whose criteria have the given outcome and margin."""
    result = ScenarioResult(
        scenario="case",
        outcome="passed",
        seed=0,
        simulated_s=60.0,
        fingerprint=fingerprint,
        events=1,
        criteria=tuple(
            Verdict(name=name, kind="always", condition="", outcome=outcome, margin=margin)
            for name, (outcome, margin) in criteria.items()
        ),
    )
    return msgspec.json.decode(msgspec.json.encode(result))


def only(baseline, current):
    (change,) = compare([baseline], [current]).steps
    return change


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("passed", "passed", "unchanged"),
        ("passed", "failed", "regression"),
        ("passed", "skipped", "regression"),
        ("passed", "cancelled", "regression"),
        ("failed", "passed", "fixed"),
        ("errored", "passed", "fixed"),
        ("failed", "failed", "broken"),
        ("failed", "timed_out", "broken"),
    ],
)
def test_a_step_that_passed_and_does_not_now_is_a_regression_and_nothing_else_is(old, new, change):
    comparison = compare([step(outcome=old)], [step(outcome=new)])
    assert comparison.steps[0].change == change
    assert (comparison.steps[0].old_outcome, comparison.steps[0].new_outcome) == (old, new)
    assert comparison.has_regression == (change == "regression")


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_added_step_is_listed_and_no_regression(outcome):
    comparison = compare([], [step("new", outcome)])
    (change,) = comparison.steps
    assert (change.name, change.change, change.old_outcome, change.new_outcome) == ("new", "added", None, outcome)
    assert not comparison.has_regression


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_removed_step_is_a_regression_only_if_it_had_passed(outcome):
    comparison = compare([step("gone", outcome)], [])
    (change,) = comparison.steps
    assert (change.name, change.change, change.old_outcome, change.new_outcome) == ("gone", "removed", outcome, None)
    assert comparison.has_regression == change.regression == (outcome == "passed")


def test_steps_are_in_the_order_of_the_baseline_then_those_added():
    comparison = compare([step("b"), step("a")], [step("c"), step("a"), step("b")])
    assert [change.name for change in comparison.steps] == ["b", "a", "c"]


def test_a_margin_that_shrank_is_shown_and_no_regression():
    change = only(
        step(output=scenario(cold=("passed", 20.0), hot=("passed", 3.0))),
        step(output=scenario(cold=("passed", 20.0), hot=("passed", 0.5))),
    )
    (criterion,) = change.criteria
    assert (criterion.name, criterion.old_margin, criterion.new_margin, criterion.delta) == ("hot", 3.0, 0.5, -2.5)
    assert not change.regression


@pytest.mark.parametrize(
    ("new", "change"),
    [
        (step(output=scenario(hot=("passed", 3.0)), duration=1.2), "unchanged"),
        (step(output=scenario(hot=("passed", 3.5))), "moved"),
        (step(output=scenario(hot=("passed", None))), "moved"),
        (step(output=scenario(hot=("passed", 3.0), new=("passed", 1.0))), "moved"),
        (step(output=scenario(hot=("passed", 3.0)), duration=9.0), "moved"),
        (step(output=scenario("other fingerprint", hot=("passed", 3.0)), duration=None), "unchanged"),
        (step(outcome="failed", output=scenario(hot=("passed", 3.5)), duration=9.0), "regression"),
    ],
)
def test_a_step_that_passed_twice_has_moved_if_a_criterion_differs_or_it_is_slower(new, change):
    assert only(step(output=scenario(hot=("passed", 3.0))), new).change == change


def test_only_a_step_that_passed_both_times_has_moved():
    slow = step(outcome="failed", output=scenario(hot=("failed", -2.0)), duration=9.0)
    assert only(step(outcome="failed", output=scenario(hot=("failed", -1.0))), slow).change == "broken"


def test_a_criterion_that_passed_and_failed_now_is_a_regression_even_if_the_step_was_broken_before():
    change = only(
        step(outcome="failed", output=scenario(hot=("passed", 3.0), loss=("failed", -1.0))),
        step(outcome="failed", output=scenario(hot=("failed", -2.0), loss=("failed", -1.0))),
    )
    assert change.change == "broken"
    assert change.regression
    assert [(c.name, c.old_outcome, c.new_outcome, c.delta) for c in change.criteria] == [
        ("hot", "passed", "failed", -5.0)
    ]


def test_a_criterion_that_was_fixed_is_shown_and_no_regression():
    change = only(step(output=scenario(hot=("failed", -1.0))), step(output=scenario(hot=("passed", 1.0))))
    assert [(c.new_outcome, c.delta, c.regression) for c in change.criteria] == [("passed", 2.0, False)]
    assert not change.regression


@pytest.mark.parametrize(("outcome", "regression"), [("passed", True), ("failed", False)])
def test_a_criterion_that_is_gone_is_a_regression_if_it_had_passed(outcome, regression):
    change = only(
        step(output=scenario(hot=("passed", 3.0), loss=(outcome, 1.0))), step(output=scenario(hot=("passed", 3.0)))
    )
    assert [(c.name, c.new_outcome, c.delta) for c in change.criteria] == [("loss", None, None)]
    assert change.regression is regression


def test_criteria_of_a_broken_step_that_came_to_no_verdict_are_no_regression():
    change = only(
        step(outcome="failed", output=scenario(hot=("passed", 3.0), loss=("failed", -1.0))), step(outcome="timed_out")
    )
    assert [c.name for c in change.criteria] == ["hot", "loss"]
    assert not change.regression


def test_a_new_criterion_that_fails_is_shown_and_no_regression_by_itself():
    change = only(step(outcome="failed"), step(outcome="failed", output=scenario(hot=("failed", -1.0))))
    assert [(c.name, c.old_outcome, c.new_outcome, c.regression) for c in change.criteria] == [
        ("hot", None, "failed", False)
    ]


@pytest.mark.parametrize(
    ("old", "new", "slower"),
    [(1.0, 1.6, True), (1.0, 1.5, False), (2.0, 3.0, False), (0.1, 0.5, False), (10.0, 11.0, False), (1.0, 0.1, False)],
)
def test_a_step_is_slower_only_if_ratio_and_difference_are_both_large(old, new, slower):
    comparison = compare([step(duration=old)], [step(duration=new)])
    duration = comparison.steps[0].duration
    assert (duration.old_s, duration.new_s, duration.slower) == (old, new, slower)
    assert duration.ratio == pytest.approx(new / old)
    assert not comparison.has_regression


def test_a_step_that_took_no_time_has_no_ratio():
    duration = only(step(duration=0.0), step(duration=2.0)).duration
    assert (duration.ratio, duration.slower) == (None, True)


def test_durations_that_are_not_known_are_not_compared():
    assert only(step(duration=None), step()).duration is None
    assert only(step(), step(duration=None)).duration is None


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (scenario("a"), scenario("a"), True),
        (scenario("a"), scenario("b"), False),
        (scenario("a"), None, None),
        (None, None, None),
        ({"fingerprint": 7}, scenario("a"), None),
    ],
)
def test_fingerprints_are_compared_only_if_both_are_known(old, new, same):
    assert only(step(output=old), step(output=new)).same_fingerprint is same


@pytest.mark.parametrize("output", [[1], "text", {"criteria": "none"}, {"criteria": [{"title": "x"}]}, 3])
def test_an_output_that_is_no_scenario_result_has_no_criteria(output):
    assert only(step(output=output), step(output=output)).criteria == ()


def test_two_steps_of_one_name_are_refused():
    with pytest.raises(UsageError, match="`twice`"):
        compare([], [step("twice"), step("twice", "failed")])


def test_a_comparison_survives_json():
    comparison = compare(
        [step(output=scenario(hot=("passed", 3.0))), step("gone")],
        [step(output=scenario(hot=("failed", None)), duration=9.0), step("new", "skipped")],
    )
    assert msgspec.json.decode(msgspec.json.encode(comparison), type=Comparison) == comparison


steps = st.lists(
    st.builds(
        step,
        name=st.sampled_from("abcde"),
        outcome=st.sampled_from(OUTCOMES),
        duration=st.none() | st.floats(0, 100),
        output=st.sampled_from([None, scenario("x", hot=("passed", 1.0)), scenario("y", hot=("failed", -1.0))]),
    ),
    unique_by=lambda one: one.name,
)


@given(steps)
def test_a_run_compared_with_itself_has_no_regression_and_no_difference(steps):
    comparison = compare(steps, steps)
    assert not comparison.has_regression
    assert {change.change for change in comparison.steps} <= {"unchanged", "broken"}
    assert not any(change.criteria for change in comparison.steps)


@given(steps, steps)
def test_every_step_that_passed_and_does_not_pass_now_makes_a_regression(old, new):
    lost = {one.name for one in old if one.outcome == "passed"} - {one.name for one in new if one.outcome == "passed"}
    comparison = compare(old, new)
    assert lost <= {change.name for change in comparison.steps if change.regression}
    for change in comparison.steps:
        slower = change.duration is not None and change.duration.slower
        assert change.change != "unchanged" or not (change.criteria or slower)
        assert change.change != "moved" or change.criteria or slower
    assert comparison.has_regression >= bool(lost)
    assert {change.name for change in comparison.steps} == {one.name for one in [*old, *new]}
