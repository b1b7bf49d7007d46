"""What is undone, in which order, and what no cancel, crash or failure keeps from being undone."""

import pytest

from podium.events import (
    AttemptFinished,
    AttemptLost,
    AttemptStarted,
    CompensationStarted,
    Failure,
    RunFinished,
    StepFinished,
)
from podium.plan.graph import Need, Step
from podium.plan.policy import Compensation, Policy, Retry
from podium.protocols import Finished, Work
from podium.testing.conducted import Conducted
from podium.testing.executors import Act, failing, hanging, losing, passing

UNDO = Compensation(Work("scripted"))


def step(name, *needs, undo=UNDO, **more):
    return Step(name, Work("scripted"), tuple(map(Need, needs)), compensation=undo, **more)


def saga(**more):
    """Three steps, one after another, of which the last fails, and what undoes each."""
    return [step("reserve"), step("charge", "reserve"), step("ship", "charge", **more)]


def undone(run):
    return [attempt.step.removesuffix("~undo") for attempt in run.executor.started if attempt.step.endswith("~undo")]


def cancelling(at, **more):
    return at, lambda dispatcher: dispatcher.cancel(who="user", why="Ctrl-C", **more)


def test_what_was_done_is_undone_in_reverse_order():
    run = Conducted(saga(), {"ship": [failing()]}).run()
    assert undone(run) == ["charge", "reserve"]
    assert run.summary.outcome == "compensated"
    assert run.summary.counts == {"passed": 2, "failed": 1}
    (started,) = run.of(CompensationStarted)
    assert (started.steps, started.reason) == (("charge", "reserve"), "failed")


def test_nothing_is_undone_when_all_passed():
    run = Conducted(saga()).run()
    assert undone(run) == []
    assert run.summary.outcome == "passed"


def test_parallel_branches_are_undone_in_reverse_order_of_completion_one_after_another():
    steps = [step("a"), step("b"), step("c"), step("end", "a", "b", "c")]
    script = {"a": [passing(3.0)], "b": [passing(1.0)], "c": [passing(2.0)], "end": [failing()]}
    run = Conducted(steps, script).run()
    assert undone(run) == ["a", "c", "b"]
    assert [at for name, at in run.started if name.endswith("~undo")] == pytest.approx([4.0, 5.0, 6.0])


def test_a_branch_under_way_ends_before_anything_is_undone():
    steps = [step("bad"), step("good")]
    run = Conducted(steps, {"bad": [failing(1.0)], "good": [passing(9.0)]}).run()
    assert run.outcomes["good"] == "passed"
    assert undone(run) == ["good"]


def test_every_handler_is_tried_and_failures_are_reported():
    steps = [step("a"), step("b", "a"), step("c", "b"), step("d", "c")]
    run = Conducted(steps, {"d": [failing()], "b~undo": [failing()]}).run()
    assert undone(run) == ["c", "b", "a"]
    assert run.summary.outcome == "compensation_failed"
    assert run.outcomes["b~undo"] == "failed"
    assert run.outcomes["a~undo"] == "passed"


def test_a_handler_has_its_own_retries_and_limits():
    undo = Compensation(Work("scripted"), Policy(timeout=2.0, retry=Retry(attempts=3, initial=1.0, jitter=0.0)))
    script = {"ship": [failing()], "charge~undo": [hanging(), failing(), passing()]}
    run = Conducted([step("reserve"), step("charge", "reserve", undo=undo), step("ship", "charge")], script).run()
    assert undone(run) == ["charge", "charge", "charge", "reserve"]
    assert run.summary.outcome == "compensated"


@pytest.mark.parametrize(
    ("on", "expected"), [("passed", ["charge", "reserve"]), ("attempted", ["ship", "charge", "reserve"])]
)
def test_a_step_that_may_have_had_an_effect_is_undone_if_it_says_so(on, expected):
    run = Conducted(saga(undo=Compensation(Work("scripted"), on=on)), {"ship": [failing()]}).run()
    assert undone(run) == expected


def test_a_step_never_begun_is_not_undone():
    attempted = Compensation(Work("scripted"), on="attempted")
    steps = [step("a"), step("b", "a", undo=attempted), step("c", "b", undo=attempted)]
    assert undone(Conducted(steps, {"b": [failing()]}).run()) == ["b", "a"]


def test_a_cancelled_run_is_undone():
    run = Conducted(saga(), {"ship": [hanging()]}, at=[cancelling(5.0)]).run()
    assert undone(run) == ["charge", "reserve"]
    assert run.outcomes["ship"] == "cancelled"
    assert run.summary.outcome == "compensated"
    assert run.of(CompensationStarted)[0].reason == "cancelled"


def test_a_second_cancel_does_not_interrupt_what_is_being_undone():
    script = {"ship": [hanging(ignores_stop=True)], "charge~undo": [passing(9.0)]}
    run = Conducted(
        saga(), script, at=[cancelling(5.0), cancelling(6.0, force=True), cancelling(8.0, force=True)]
    ).run()
    assert run.summary.outcome == "compensated"
    assert run.executor.stopped == [("ship", False), ("ship", True)]


def test_without_compensation_a_cancelled_run_is_cancelled():
    run = Conducted(saga(), {"ship": [hanging()]}, at=[cancelling(5.0, compensate=False)]).run()
    assert undone(run) == []
    assert run.summary.outcome == "cancelled"


def test_killing_ends_even_what_is_being_undone():
    script = {"ship": [failing()], "charge~undo": [hanging(ignores_stop=True)]}
    run = Conducted(saga(), script, at=[cancelling(9.0, force=True, compensate=False)]).run()
    assert run.outcomes["charge~undo"] == "cancelled"
    assert run.outcomes["reserve~undo"] == "cancelled"
    assert run.summary.outcome == "compensation_failed"


def test_a_deadline_is_followed_by_compensation():
    run = Conducted(saga(), {"ship": [hanging()]}, deadline=5.0).run()
    assert undone(run) == ["charge", "reserve"]
    assert run.summary.outcome == "compensated"


def test_the_loss_of_a_worker_does_not_use_up_a_handlers_tries():
    run = Conducted(saga(), {"ship": [failing()], "charge~undo": [losing(), passing()]}).run()
    assert run.summary.outcome == "compensated"
    assert len(run.of(AttemptLost)) == 1


def test_a_step_that_may_fail_causes_nothing_to_be_undone():
    run = Conducted([step("a"), step("b", "a", allow_failure=True), step("c", "b")], {"b": [failing()]}).run()
    assert run.outcomes == {"a": "passed", "b": "failed", "c": "passed"}
    assert run.summary.outcome == "passed"


class Effects:
    """Counts what steps did, guarded by the idempotency key as a careful step guards it, and unguarded."""

    def __init__(self):
        self.guarded = {}
        self.times = {}

    def take(self, executor):
        for attempt in executor.started:
            self.guarded[attempt.idempotency_key] = 1
            self.times[attempt.step] = self.times.get(attempt.step, 0) + 1


def test_a_crash_at_every_event_leaves_everything_done_or_everything_undone():
    attempted = Compensation(Work("scripted"), Policy(retry=Retry(attempts=2, initial=1.0)), on="attempted")
    steps = [step("a"), step("b", "a"), step("c", "a", undo=attempted), step("d", "b", "c")]
    script = {"d": [failing()], "c": [passing(2.0)], "c~undo": [failing(), passing()]}
    whole = Conducted(steps, script).run()
    assert undone(whole) == ["c", "c", "b", "a"]
    for length in range(1, len(whole.events)):
        again = Conducted(steps, script, journal=whole.cut(length)).resume()
        assert again.summary.outcome == "compensated", length
        assert isinstance(again.events[-1], RunFinished)
        started = [event.step for event in again.of(AttemptStarted)]
        for name in ("a", "b", "c", "a~undo", "b~undo", "c~undo"):
            passed = [e for e in again.of(AttemptFinished) if e.step == name and e.outcome == "passed"]
            assert len(passed) == 1, (length, name)
        assert started.index("c~undo") < started.index("b~undo") < started.index("a~undo")
        assert started.index("d") < started.index("c~undo")


def test_a_crash_after_a_cancel_does_not_forget_the_cancel():
    whole = Conducted(saga(), {"ship": [hanging()]}, at=[cancelling(5.0)]).run()
    cancelled = [type(event).__name__ for event in whole.events].index("CancelRequested") + 1
    for length in range(cancelled, len(whole.events)):
        again = Conducted(saga(), journal=whole.cut(length)).resume()
        assert again.summary.outcome == "compensated", length
        assert again.outcomes["ship"] in ("cancelled", "passed")
        assert set(undone(again)) | {e.step for e in again.of(StepFinished)} >= {"reserve~undo", "charge~undo"}


# Teardown


def torn(name, *needs):
    return Step(name, Work("scripted"), tuple(Need(need, "done") for need in needs), trigger="done", role="teardown")


@pytest.mark.parametrize(
    ("script", "at", "outcome"),
    [
        ({}, [], "passed"),
        ({"ship": [failing()]}, [], "compensated"),
        ({"ship": [hanging()]}, [cancelling(5.0)], "compensated"),
        ({"ship": [hanging()]}, [cancelling(5.0, compensate=False)], "cancelled"),
    ],
    ids=["passed", "failed", "cancelled", "not undone"],
)
def test_teardown_runs_last_whatever_happened(script, at, outcome):
    steps = [step("up", undo=None), *saga(), torn("down", "up"), torn("gone", "down")]
    run = Conducted(steps, script, at=at).run()
    assert [attempt.step for attempt in run.executor.started][-2:] == ["down", "gone"]
    assert run.outcomes["gone"] == "passed"
    assert run.summary.outcome == outcome


def test_teardown_of_what_was_never_begun_is_left_out():
    run = Conducted([step("a"), step("up", "a"), torn("down", "up")], {"a": [failing()]}).run()
    assert run.outcomes == {"a": "failed", "up": "skipped", "down": "skipped"}
    assert run.reasons["down"] == "nothing it needs was begun"


def test_a_teardown_that_fails_is_a_failure_of_the_run():
    run = Conducted([step("a"), torn("down", "a")], {"down": [Act(1.0, Finished("failed", failure=Failure("X", "x")))]})
    assert run.run().summary.outcome == "failed"
    assert undone(run) == []


def test_teardown_happens_after_a_crash_at_every_event():
    steps = [step("up", undo=None), *saga(), torn("down", "up")]
    whole = Conducted(steps, {"ship": [failing()]}).run()
    for length in range(1, len(whole.events)):
        again = Conducted(steps, {"ship": [failing()]}, journal=whole.cut(length)).resume()
        assert again.outcomes["down"] == "passed"
        assert again.summary.outcome == "compensated"
