"""Groups that share a budget, or fail together, on virtual time."""

import pytest

from podium.errors import PlanError
from podium.events import AttemptFinished, AttemptStopping, Failure, RunResumed, StepFinished
from podium.model.expressions import Cel
from podium.plan.graph import Need, Step
from podium.plan.policy import Group, Policy, Retry
from podium.protocols import Finished, Work
from podium.testing.conducted import Conducted
from podium.testing.executors import Act, failing, hanging, passing


def step(name, *needs, **more):
    return Step(name, Work("scripted"), tuple(map(Need, needs)), group="layer", **more)


def test_when_the_budget_of_a_group_is_used_up_its_steps_end_and_others_go_on():
    steps = [step("a"), step("b", "a"), step("c"), Step("other", Work("scripted"))]
    acts = {"a": [passing(4.0)], "b": [hanging()], "c": [passing(1.0)], "other": [passing(30.0)]}
    run = Conducted([*steps, step("d", "b")], acts, groups={"layer": Group(budget=10.0)}).run()
    assert run.outcomes == {"c": "passed", "a": "passed", "d": "skipped", "b": "timed_out", "other": "passed"}
    assert run.reasons["d"] == "the 10 s of `layer` are used up"
    (ended,) = [event for event in run.of(AttemptFinished) if event.step == "b"]
    assert ended.failure == Failure("Budget", "the 10 s of `layer` are used up")
    assert run.summary.duration == pytest.approx(30.0)


def test_the_budget_begins_with_the_first_step_of_the_group():
    steps = [Step("before", Work("scripted")), step("a", "before")]
    run = Conducted(steps, {"before": [passing(20.0)], "a": [passing(9.0)]}, groups={"layer": Group(budget=10.0)})
    assert run.run().summary.outcome == "passed"


def crashed(steps, acts, *, at, event, **more):
    """Return the journal of a run that was killed right after it wrote down the first event of a kind from `at` on."""
    run = Conducted(steps, acts, **more).run()
    length = next(
        number
        for number, entry in enumerate(run.events, 1)
        if isinstance(entry, event) and entry.at_us >= run.events[0].at_us + at * 1e6
    )
    return run.cut(length)


AFTER = 3_600_000_000
"""How much later a run is taken up again [us]."""


def taken_up(steps, acts, journal, *, later=AFTER, **more):
    """Go on with a run whose process died, `later` after the last thing that was written down [us]."""
    last = list(journal.read("run"))[-1].event.at_us
    return Conducted(steps, acts, journal=journal, epoch_us=last + later, **more).resume()


def test_a_resumed_group_has_what_is_left_of_its_budget_whenever_the_run_is_taken_up():
    groups = {"layer": Group(budget=10.0)}
    steps = [Step("before", Work("scripted")), step("a", "before"), step("b", "a"), Step("other", Work("scripted"))]
    acts = {"before": [passing(20.0)], "a": [passing(6.0)], "b": [hanging()], "other": [passing(40.0)]}
    journal = crashed(steps, acts, at=26.0, event=StepFinished, groups=groups)  # `a` ended, `b` had not begun
    again = taken_up(steps, {"b": [hanging()], "other": [passing(1.0)]}, journal, groups=groups)
    assert again.outcomes == {"before": "passed", "a": "passed", "b": "timed_out", "other": "passed"}
    (stopping,) = again.of(AttemptStopping)
    assert (stopping.step, stopping.reason) == ("b", "budget")
    assert (stopping.at_us - again.of(RunResumed)[0].at_us) / 1e6 == pytest.approx(4.0)


def test_what_was_used_adds_up_over_several_crashes():
    groups = {"layer": Group(budget=10.0)}
    steps = [step("a"), step("b", "a"), step("c", "b"), step("d", "c")]
    journal = crashed(steps, {"a": [passing(4.0)], "b": [hanging()]}, at=4.0, event=StepFinished, groups=groups)
    second = taken_up(steps, {"b": [passing(4.0)], "c": [hanging()]}, journal, groups=groups)
    cut = 1 + next(index for index, event in enumerate(second.events) if getattr(event, "step", "") == "c")
    third = taken_up(steps, {"c": [passing(1.5)], "d": [hanging()]}, second.cut(cut), groups=groups)
    assert third.outcomes == {"a": "passed", "b": "passed", "c": "passed", "d": "timed_out"}
    (stopping,) = third.of(AttemptStopping)
    assert (stopping.at_us - third.of(RunResumed)[1].at_us) / 1e6 == pytest.approx(2.0)


def test_a_group_whose_budget_was_used_up_before_the_crash_begins_nothing_more():
    groups = {"layer": Group(budget=10.0)}
    steps, acts = [step("a"), step("b", "a")], {"a": [hanging()]}
    journal = crashed(steps, acts, at=10.0, event=AttemptStopping, groups=groups)
    again = taken_up(steps, {}, journal, groups=groups)
    assert again.outcomes == {"a": "timed_out", "b": "skipped"}
    assert again.reasons == dict.fromkeys("ab", "the 10 s of `layer` are used up")
    assert again.started == []


def test_a_clock_that_was_set_back_gives_a_group_no_time():
    groups = {"layer": Group(budget=10.0)}
    steps = [step("a"), step("b", "a")]
    journal = crashed(steps, {"a": [passing(6.0)], "b": [hanging()]}, at=6.0, event=StepFinished, groups=groups)
    again = taken_up(steps, {"b": [passing(5.0)]}, journal, later=-AFTER, groups=groups)
    assert again.outcomes == {"a": "passed", "b": "timed_out"}


def test_a_group_that_had_not_begun_has_its_whole_budget_after_a_crash():
    groups = {"layer": Group(budget=10.0)}
    steps = [Step("before", Work("scripted")), step("a", "before")]
    journal = crashed(steps, {"before": [passing(20.0)]}, at=20.0, event=AttemptFinished, groups=groups)
    assert taken_up(steps, {"a": [passing(9.5)]}, journal, groups=groups).outcomes["a"] == "passed"


def test_what_waits_for_another_attempt_when_the_budget_is_used_up_is_timed_out():
    policy = Policy(retry=Retry(attempts=2, initial=60.0, jitter=0.0))
    run = Conducted([step("a", policy=policy)], {"a": [failing()]}, groups={"layer": Group(budget=10.0)}).run()
    assert run.outcomes == {"a": "timed_out"}
    assert run.summary.duration == pytest.approx(10.0)


def test_a_group_that_fails_fast_begins_nothing_more():
    steps = [step("a"), step("b"), step("c", "b")]
    acts = {"a": [failing(1.0)], "b": [passing(5.0)]}
    run = Conducted(steps, acts, groups={"layer": Group(fail_fast="pending")}).run()
    assert run.outcomes == {"a": "failed", "c": "skipped", "b": "passed"}
    assert run.reasons["c"] == "`a` failed"


def test_a_group_that_fails_at_once_also_ends_what_is_under_way_and_keeps_what_it_came_to():
    stopped = Act(5.0, stops_after=0.1)
    run = Conducted(
        [step("a"), step("b")], {"a": [failing(1.0)], "b": [stopped]}, groups={"layer": Group(fail_fast="running")}
    )
    run.run()
    assert run.outcomes == {"a": "failed", "b": "cancelled"}
    (stopping,) = run.of(AttemptStopping)
    assert (stopping.step, stopping.reason) == ("b", "fail_fast")
    assert run.summary.outcome == "failed"


def test_a_failure_may_end_all_groups_that_say_so_and_no_others():
    def layer(name, *needs):
        return Step(name, Work("scripted"), tuple(map(Need, needs)), group=f"of {name}")

    steps = [layer("a"), layer("b"), layer("c", "b"), layer("d")]
    groups = {f"of {name}": Group(fail_fast="run") for name in "abc"} | {"of d": Group(fail_fast="running")}
    acts = {"a": [failing(1.0)], "b": [Act(5.0, stops_after=0.1)], "d": [passing(5.0)]}
    run = Conducted(steps, acts, groups=groups).run()
    assert run.outcomes == {"a": "failed", "b": "cancelled", "c": "skipped", "d": "passed"}
    assert run.reasons["c"] == "`a` failed"
    assert run.summary.outcome == "failed"


def test_a_failure_that_is_tried_again_is_no_setback_yet():
    policy = Policy(retry=Retry(attempts=2, initial=0.0))
    acts = {"a": [failing(1.0), passing(1.0)], "b": [passing(5.0)]}
    run = Conducted([step("a", policy=policy), step("b")], acts, groups={"layer": Group(fail_fast="running")}).run()
    assert run.summary.outcome == "passed"


def test_a_failure_that_is_allowed_still_ends_the_others_of_its_group():
    steps = [step("a", allow_failure=True), step("b", "a")]
    run = Conducted(steps, {"a": [failing()]}, groups={"layer": Group(fail_fast="pending")}).run()
    assert run.outcomes == {"a": "failed", "b": "skipped"}


def test_only_failures_of_which_the_condition_holds_end_the_others_of_their_group():
    def outcomes(output):
        groups = {"layer": Group(fail_fast="running", fail_fast_if="result != null && has(result.critical)")}
        acts = {"a": [Act(1.0, Finished("failed", output))], "b": [Act(5.0, stops_after=0.1)]}
        return Conducted([step("a"), step("b")], acts, groups=groups, expressions=Cel()).run().outcomes

    assert outcomes({"critical": 1}) == {"a": "failed", "b": "cancelled"}
    assert outcomes({"other": 1}) == {"a": "failed", "b": "passed"}
    assert outcomes(None) == {"a": "failed", "b": "passed"}


def test_a_failure_of_which_a_condition_cannot_tell_anything_ends_the_others_of_its_group():
    groups = {"layer": Group(fail_fast="pending", fail_fast_if="result.critical > 0")}
    run = Conducted([step("a"), step("b", "a")], {"a": [failing()]}, groups=groups, expressions=Cel()).run()
    assert run.outcomes == {"a": "failed", "b": "skipped"}


def test_a_condition_of_a_group_needs_the_language_of_expressions():
    with pytest.raises(PlanError, match="no language for them"):
        Conducted([step("a")], groups={"layer": Group(fail_fast="pending", fail_fast_if="true")})


def test_why_the_others_end_is_said_in_words():
    steps = [step("a", policy=Policy(timeout=1.0)), step("b"), step("c", "b")]
    acts = {"a": [hanging()], "b": [passing(5.0)]}
    run = Conducted(steps, acts, groups={"layer": Group(fail_fast="pending")}).run()
    assert run.reasons["c"] == "`a` timed out"


def test_output_of_a_stopped_attempt_is_kept():
    said = Finished("failed", output={"counts": {"passed": 3}}, artifacts={"log": b"x"})
    slow = Act(0.5, said, stops_after=None)
    run = Conducted([step("a", policy=Policy(timeout=0.25, grace=5.0))], {"a": [slow]}, groups={"layer": Group()}).run()
    (ended,) = run.of(AttemptFinished)
    assert (ended.outcome, ended.output, list(ended.artifacts)) == ("timed_out", {"counts": {"passed": 3}}, ["log"])
