"""Groups that share a budget, or fail together, on virtual time."""

import pytest

from podium.events import AttemptFinished, AttemptStopping, Failure
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


def test_a_failure_that_is_tried_again_is_no_setback_yet():
    policy = Policy(retry=Retry(attempts=2, initial=0.0))
    acts = {"a": [failing(1.0), passing(1.0)], "b": [passing(5.0)]}
    run = Conducted([step("a", policy=policy), step("b")], acts, groups={"layer": Group(fail_fast="running")}).run()
    assert run.summary.outcome == "passed"


def test_a_failure_that_is_allowed_still_ends_the_others_of_its_group():
    steps = [step("a", allow_failure=True), step("b", "a")]
    run = Conducted(steps, {"a": [failing()]}, groups={"layer": Group(fail_fast="pending")}).run()
    assert run.outcomes == {"a": "failed", "b": "skipped"}


def test_output_of_a_stopped_attempt_is_kept():
    said = Finished("failed", output={"counts": {"passed": 3}}, artifacts={"log": b"x"})
    slow = Act(0.5, said, stops_after=None)
    run = Conducted([step("a", policy=Policy(timeout=0.25, grace=5.0))], {"a": [slow]}, groups={"layer": Group()}).run()
    (ended,) = run.of(AttemptFinished)
    assert (ended.outcome, ended.output, list(ended.artifacts)) == ("timed_out", {"counts": {"passed": 3}}, ["log"])
