"""Services: steps that last while others need them, on virtual time."""

import pytest

from podium.engine.why import why
from podium.events import AttemptStopping, Failure, ServiceReady, TestsFinished
from podium.model.expressions import Cel
from podium.plan.graph import Need, Step
from podium.plan.policy import Compensation, Policy, Retry
from podium.protocols import Finished, Work
from podium.testing.conducted import Conducted
from podium.testing.executors import Act, failing, hanging, passing, serving


def step(name, *needs, payload=None, **more):
    return Step(name, Work("scripted", payload, template=payload is not None), tuple(map(Need, needs)), **more)


def service(name, *needs, **more):
    return step(name, *needs, role="service", slots=0, **more)


def test_what_needs_a_service_starts_when_it_is_up_and_the_service_ends_when_nothing_needs_it():
    run = Conducted(
        [service("db"), step("a", "db"), step("b", "a", "db"), step("c", "b")],
        {"db": [serving(2.0)]},
    ).run()
    assert run.started == [("db", 0.0), ("a", 2.0), ("b", 3.0), ("c", 4.0)]
    assert run.outcomes == {"a": "passed", "b": "passed", "db": "passed", "c": "passed"}
    (stopping,) = run.of(AttemptStopping)
    assert (stopping.step, stopping.reason) == ("db", "unneeded")
    assert run.summary.outcome == "passed"


def test_services_start_in_the_order_of_their_needs_and_end_in_the_opposite_one():
    run = Conducted(
        [service("db"), service("api", "db"), step("a", "api")], {"db": [serving()], "api": [serving()]}
    ).run()
    assert run.started == [("db", 0.0), ("api", 1.0), ("a", 2.0)]
    assert list(run.outcomes) == ["a", "api", "db"]


def test_expressions_see_what_a_service_that_is_up_has_to_say():
    steps = [service("db"), step("a", "db", payload="${steps.db.output.name}")]
    run = Conducted(steps, {"db": [serving()]}, expressions=Cel()).run()
    assert [attempt.work.payload for attempt in run.executor.started if attempt.step == "a"] == ["db"]
    assert [event.output for event in run.of(ServiceReady)] == [{"name": "db"}]


def test_a_service_that_nothing_needs_is_not_started():
    run = Conducted([service("db"), step("a")]).run()
    assert run.started == [("a", 0.0)]
    assert run.outcomes == {"db": "skipped", "a": "passed"}
    assert run.summary.outcome == "passed"


def test_a_service_whose_steps_are_left_out_before_it_begins_is_left_out():
    steps = [step("first"), service("db", "first"), step("a", "first", "db")]
    run = Conducted(steps, {"first": [failing()]}).run()
    assert run.outcomes == {"first": "failed", "db": "skipped", "a": "skipped"}


def test_a_service_that_is_not_up_in_time_is_stopped_and_what_needs_it_is_left_out():
    policy = Policy(timeout=3.0)
    run = Conducted([service("db", policy=policy), step("a", "db")], {"db": [hanging()]}).run()
    assert run.outcomes == {"db": "timed_out", "a": "skipped"}
    assert run.reasons["a"] == "`db` timed out"
    assert run.summary.outcome == "timed_out"


NEVER_UP = Act(None)
BROKEN = Act(0.2, Finished("errored", failure=Failure("ServiceNotUp", "exited with code 1")))


def stops(run):
    """Return which steps were asked to stop, why, and when [s]."""
    begun_us = run.events[0].at_us
    return [(event.step, event.reason, (event.at_us - begun_us) / 1e6) for event in run.of(AttemptStopping)]


def test_a_service_that_only_steps_need_which_cannot_run_any_more_is_stopped_at_once():
    slow = service("slow", policy=Policy(timeout=30.0))
    steps = [service("quick"), slow, step("a", "quick", "slow"), step("b", "quick", "slow"), step("c", "a", "slow")]
    run = Conducted(steps, {"quick": [BROKEN], "slow": [NEVER_UP]}).run()
    assert stops(run) == [("slow", "unneeded", pytest.approx(0.2))]
    assert run.outcomes == {"quick": "errored", "slow": "skipped", "a": "skipped", "b": "skipped", "c": "skipped"}
    assert (run.reasons["slow"], run.reasons["a"]) == ("nothing needs it any more", "`quick` errored")
    assert run.summary.duration < 1.0
    assert run.summary.outcome == "errored"


def test_a_service_that_a_step_may_still_use_goes_on_starting_when_another_step_cannot_run():
    steps = [service("quick"), service("slow"), step("a", "quick", "slow"), step("b", "slow")]
    run = Conducted(steps, {"quick": [BROKEN], "slow": [serving(5.0)]}).run()
    assert run.outcomes == {"quick": "errored", "a": "skipped", "b": "passed", "slow": "passed"}
    assert run.started == [("quick", 0.0), ("slow", 0.0), ("b", 5.0)]


def test_services_behind_services_that_nothing_can_use_are_not_started_or_stopped():
    steps = [service("quick"), service("net"), service("slow", "net"), step("a", "quick", "slow")]
    run = Conducted(steps, {"quick": [BROKEN], "net": [NEVER_UP]}).run()
    assert sorted(name for name, _ in run.started) == ["net", "quick"]
    assert run.outcomes == {"quick": "errored", "net": "skipped", "slow": "skipped", "a": "skipped"}
    assert run.summary.duration < 1.0


def test_a_step_is_left_out_if_a_service_far_behind_it_failed():
    steps = [service("quick"), service("slow", "quick", "net"), service("net"), step("a", "slow"), step("b", "net")]
    run = Conducted(steps, {"quick": [BROKEN], "net": [serving(2.0)]}).run()
    assert run.outcomes == {"quick": "errored", "slow": "skipped", "a": "skipped", "b": "passed", "net": "passed"}
    assert run.reasons["a"] == "`slow` skipped"


def test_a_service_is_stopped_when_a_step_far_behind_it_cannot_run_any_more():
    only = Step("b", Work("scripted"), (Need("a", "only_passed"), Need("db")))
    steps = [service("db"), step("first"), step("a", "first", allow_failure=True), only]
    run = Conducted(steps, {"db": [NEVER_UP], "first": [failing(2.0)]}).run()
    assert stops(run) == [("db", "unneeded", pytest.approx(2.0))]
    assert run.reasons == {"first": "", "db": "nothing needs it any more", "a": "`first` failed", "b": "`a` skipped"}


def test_a_step_that_runs_in_any_case_keeps_its_service():
    last = Step("last", Work("scripted"), (Need("a", "done"), Need("db", "done")))
    steps = [service("db"), step("a"), last, step("b", "a", "db")]
    run = Conducted(steps, {"db": [serving(3.0)], "a": [failing(1.0)]}).run()
    assert run.outcomes == {"a": "failed", "b": "skipped", "last": "passed", "db": "passed"}
    teardown = Conducted(
        [service("db"), step("a"), step("b", "a", "db"), step("down", "a", "db", role="teardown")],
        {"db": [serving(3.0)], "a": [failing(1.0)]},
    ).run()
    assert teardown.outcomes == {"a": "failed", "b": "skipped", "down": "passed", "db": "passed"}


def test_a_run_that_goes_on_starts_services_of_steps_that_can_run_again():
    steps = [service("db"), step("a"), step("b", "a", "db")]
    script = {"db": [serving(10.0)], "a": [hanging(), passing(11.0)]}
    first = Conducted(steps, script, at=[(2.0, lambda d: d.cancel(who="user", why="later"))]).run()
    assert (first.outcomes["a"], first.outcomes["db"]) == ("cancelled", "skipped")
    again = Conducted(steps, script, journal=first.cut(len(first.events))).resume()
    assert again.outcomes == {"a": "passed", "b": "passed", "db": "passed"}
    assert again.summary.outcome == "passed"


def test_a_run_taken_up_after_a_crash_stops_services_that_nothing_can_use():
    steps = [service("quick"), service("slow"), step("a", "quick", "slow")]
    first = Conducted(steps, {"quick": [BROKEN], "slow": [NEVER_UP]}).run()
    journal = first.cut(1 + next(i for i, e in enumerate(first.events) if getattr(e, "outcome", "") == "errored"))
    again = Conducted(steps, {"quick": [BROKEN], "slow": [NEVER_UP]}, journal=journal).resume()
    assert again.outcomes == {"quick": "errored", "slow": "skipped", "a": "skipped"}
    assert again.summary.duration < 1.0


def test_the_time_to_get_up_is_no_limit_for_being_up():
    run = Conducted(
        [service("db", policy=Policy(timeout=3.0)), step("a", "db")], {"db": [serving()], "a": [passing(60)]}
    )
    assert run.run().summary.outcome == "passed"


def test_a_service_that_ends_before_it_is_up_is_started_again_as_its_policy_says():
    policy = Policy(retry=Retry(attempts=2, initial=1.0, jitter=0.0))
    acts = [Act(0.5, Finished("errored", failure=Failure("ServiceNotUp", "exited with code 1"))), serving(1.0)]
    run = Conducted([service("db", policy=policy), step("a", "db")], {"db": acts}).run()
    assert run.started == [("db", 0.0), ("db", 1.5), ("a", 2.5)]
    assert run.summary.outcome == "passed"


def test_a_service_that_dies_is_named_by_all_that_relied_on_it():
    died = Act(3.0, Finished("errored", failure=Failure("ServiceDied", "service `db` died: exited with code 1")))
    died = Act(died.after, died.report, ready_after=1.0)
    steps = [service("db"), step("running", "db"), step("queued", "db"), step("later", "running", "db")]
    run = Conducted(steps, {"db": [died], "running": [hanging()], "queued": [passing()]}, expressions=Cel(), slots=1)
    run.run()
    assert run.outcomes == {"queued": "skipped", "db": "errored", "running": "errored", "later": "skipped"}
    assert run.reasons["queued"] == "service `db` died: exited with code 1"
    failures = [event.failure for event in run.events if getattr(event, "failure", None)]
    assert Failure("ServiceDied", "service `db` died: exited with code 1") in failures
    assert run.summary.outcome == "errored"


def test_a_step_that_failed_because_its_service_died_is_errored_not_failed():
    steps = [service("db"), step("a", "db")]
    dying = serving(1.0, dies_after=2.0)
    broken = Act(None, Finished("failed"), stops_after=None)
    run = Conducted(steps, {"db": [dying], "a": [broken]}).run()
    assert run.outcomes["a"] == "errored"


def test_a_step_that_needs_a_service_only_to_be_done_goes_on_when_it_dies():
    steps = [service("db"), Step("a", Work("scripted"), (Need("db", "done"),))]
    run = Conducted(steps, {"db": [serving(1.0, dies_after=2.0)], "a": [passing(5.0)]}).run()
    assert run.outcomes == {"db": "errored", "a": "passed"}


def test_a_service_outlives_a_cancel_until_what_needs_it_has_ended():
    steps = [service("db"), step("a", "db")]
    slow = Act(None, stops_after=2.0)
    at = [(3.0, lambda dispatcher: dispatcher.cancel(who="user", why="enough"))]
    run = Conducted(steps, {"db": [serving()], "a": [slow]}, at=at).run()
    assert run.executor.stopped == [("a", False), ("db", False)]
    assert run.outcomes == {"a": "cancelled", "db": "passed"}
    assert run.summary.outcome == "cancelled"
    assert run.summary.duration == pytest.approx(5.1)


def test_a_kill_ends_services_at_once():
    at = [(3.0, lambda dispatcher: dispatcher.cancel(who="user", why="now", force=True, compensate=False))]
    run = Conducted([service("db"), step("a", "db")], {"db": [serving()], "a": [hanging()]}, at=at).run()
    assert sorted(run.executor.stopped) == [("a", True), ("db", True)]
    assert run.summary.outcome == "cancelled"


def test_a_service_is_there_for_what_is_undone():
    undo = Compensation(Work("scripted"))
    steps = [service("db"), step("a", "db", compensation=undo), step("b", "a")]
    run = Conducted(steps, {"db": [serving()], "b": [failing()]}).run()
    assert list(run.outcomes) == ["a", "b", "a~undo", "db"]
    assert run.summary.outcome == "compensated"


def test_a_service_is_there_for_what_tears_down():
    steps = [service("db"), step("a", "db"), step("down", "a", "db", role="teardown")]
    run = Conducted(steps, {"db": [serving()]}).run()
    assert list(run.outcomes) == ["a", "down", "db"]


def test_after_a_crash_a_service_is_started_again_before_what_was_running():
    steps = [step("a", "db"), service("db"), step("b", "a", "db")]
    first = Conducted(steps, {"db": [serving()], "a": [hanging()]}, at=[(4.0, lambda d: d.cancel(who="x", why="x"))])
    journal = first.run().until(ServiceReady)
    journal.append("run", len(list(journal.read("run"))) + 1, [event for event in first.events if _starts(event, "a")])
    again = Conducted(steps, {"db": [serving()], "a": [passing()]}, journal=journal).resume()
    assert again.started == [("db", 0.0), ("a", 1.0), ("b", 2.0)]
    assert again.summary.outcome == "passed"


def _starts(event, name):
    return type(event).__name__ == "AttemptStarted" and event.step == name


def crashed_while(steps, script, name):
    """Return the journal of a run whose process died right after a step had begun."""
    run = Conducted(steps, script).run()
    return run.cut(1 + next(index for index, event in enumerate(run.events) if _starts(event, name)))


def test_a_step_whose_service_does_not_come_up_again_after_a_crash_is_errored():
    steps = [service("db", policy=Policy(timeout=3.0)), step("a", "db", policy=Policy(timeout=5.0)), step("b", "a")]
    journal = crashed_while(steps, {"db": [serving()], "a": [hanging()]}, "a")
    again = Conducted(steps, {"db": [NEVER_UP]}, journal=journal).resume()
    assert again.outcomes == {"db": "timed_out", "a": "errored", "b": "skipped"}
    assert again.reasons["a"] == "`db` timed out"


def test_a_step_goes_on_after_a_crash_if_it_needs_its_service_only_to_be_done():
    steps = [service("db"), step("a", "db"), Step("b", Work("scripted"), (Need("db", "done"),))]
    journal = crashed_while(steps, {"db": [serving()], "b": [passing(9.0)]}, "b")
    again = Conducted(steps, {"db": [BROKEN]}, journal=journal).resume()
    assert again.outcomes == {"db": "errored", "a": "errored", "b": "passed"}


def test_services_behind_one_that_does_not_come_up_again_end_too():
    steps = [service("net", policy=Policy(timeout=3.0)), service("db", "net"), step("a", "db")]
    journal = crashed_while(steps, {"net": [serving()], "db": [serving()], "a": [passing()]}, "a")
    again = Conducted(steps, {"net": [NEVER_UP]}, journal=journal).resume()
    assert again.outcomes == {"net": "timed_out", "db": "errored", "a": "errored"}


def test_a_cancelled_run_that_goes_on_starts_its_services_again():
    steps = [service("db"), service("api", "db"), step("a", "api"), step("b", "a", "api")]
    script = {"db": [serving()], "api": [serving()], "a": [passing()], "b": [hanging(), passing()]}
    first = Conducted(steps, script, at=[(5.0, lambda d: d.cancel(who="user", why="later"))]).run()
    assert first.outcomes == {"a": "passed", "b": "cancelled", "api": "passed", "db": "passed"}
    again = Conducted(steps, script, journal=first.cut(len(first.events))).resume()
    assert again.started == [("db", 0.0), ("api", 1.0), ("b", 2.0)]
    assert again.summary.outcome == "passed"


def test_a_suspended_run_does_not_wait_for_its_services():
    from podium.engine import Suspended

    steps = [service("db"), step("a", "db")]
    run = Conducted(steps, {"db": [serving()]}, at=[(1.5, lambda dispatcher: dispatcher.suspend())])
    with pytest.raises(Suspended):
        run.run()


def test_tests_that_passed_are_told_to_the_next_attempt():
    from podium.test_results import TestResult

    steps = [step("a", policy=Policy(retry=Retry(attempts=2, initial=0.0)))]
    run = Conducted(steps, {"a": [failing(2.0), passing()]})
    results = (TestResult("x", "passed"), TestResult("y", "failed", message="\udc80"))
    run.clock.call_later(1.0, lambda: run.executor.tell("a", results))
    run.run()
    assert [attempt.passed_tests for attempt in run.executor.started] == [frozenset(), frozenset({"x"})]
    (event,) = run.of(TestsFinished)
    assert [(result.id, result.message) for result in event.results] == [("x", ""), ("y", "\\udc80")]


def test_why_says_who_needs_a_service_and_what_waits_for_it():
    steps = [service("db"), step("a", "db"), step("b", "a", "db")]
    run = Conducted(steps, {"db": [serving()]}).run()
    records = list(run.until(ServiceReady).read("run"))
    plan = run.dispatcher._plan
    assert why(plan, records, "db", 0) == ["it is up, as long as `a`, `b` need it"]
    assert why(plan, records, "b", 0) == ["it needs `a`, which is not done"]
    assert why(plan, records[:-1], "a", 0) == ["it needs `db`, which is not done"]
