"""What the dispatcher decides, on virtual time."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.engine.dispatcher import Dispatcher, RunSummary
from podium.errors import PlanError
from podium.events import (
    AttemptFinished,
    AttemptLost,
    AttemptScheduled,
    AttemptStarted,
    AttemptStopping,
    CancelRequested,
    LateResult,
    RunFinished,
    RunStarted,
    StepFinished,
    encode,
)
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Policy, Retry
from podium.protocols import Finished, Lost, Record, Work
from podium.testing.clock import VirtualClock
from podium.testing.executors import Act, ScriptedExecutor, failing, hanging, losing, passing
from podium.testing.journal import MemoryJournal

WORK = Work("scripted")


def step(name, *needs, **more):
    needs = tuple(need if isinstance(need, Need) else Need(need) for need in needs)
    return Step(name=name, work=WORK, needs=needs, **more)


class Conducted:
    """One run on virtual time, and everything that came of it."""

    def __init__(self, steps, script=None, *, journal=None, sinks=(), at=(), **plan):
        self.plan = Plan.of("test", steps, **{"slots": 4, **plan})
        self.clock = VirtualClock()
        self.executor = ScriptedExecutor(self.clock, script)
        self.journal = journal or MemoryJournal()
        self.dispatcher = Dispatcher(
            "run",
            self.plan,
            journal=self.journal,
            executors={"scripted": self.executor},
            clock=self.clock,
            sinks=sinks,
        )
        for when, action in at:
            self.clock.call_later(when, lambda action=action: action(self))

    def run(self) -> RunSummary:
        self.summary = asyncio.run(self.dispatcher.run())
        return self.summary

    def resume(self) -> RunSummary:
        self.summary = asyncio.run(self.dispatcher.resume(list(self.journal.read("run"))))
        return self.summary

    @property
    def events(self):
        return [record.event for record in self.journal.read("run")]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def outcomes(self):
        return {event.step: event.outcome for event in self.of(StepFinished)}

    def started_at(self, name):
        first = self.of(RunStarted)[0].at_us
        return [(event.at_us - first) / 1e6 for event in self.of(AttemptStarted) if event.step == name]


def conduct(steps, script=None, **more):
    conducted = Conducted(steps, script, **more)
    conducted.run()
    return conducted


def test_a_step_starts_as_soon_as_its_needs_passed_not_with_its_wave():
    run = conduct(
        [step("slow"), step("quick"), step("after_quick", "quick"), step("after_slow", "slow")],
        {"slow": [passing(10)], "quick": [passing(1)]},
    )
    assert run.started_at("after_quick") == [1.0]
    assert run.started_at("after_slow") == [10.0]
    assert run.summary.outcome == "passed"
    assert run.summary.counts == {"passed": 4}


def test_strict_waves_hold_a_step_until_the_wave_before_is_done():
    steps = [step("slow"), step("quick"), step("after_quick", "quick")]
    run = conduct(steps, {"slow": [passing(10)]}, strict_waves=True)
    assert run.started_at("after_quick") == [10.0]


def test_the_longest_remaining_path_starts_first():
    steps = [step("alone", expected=3), step("head", expected=1), step("tail", "head", expected=5)]
    run = conduct(steps, slots=1)
    assert [event.step for event in run.of(AttemptStarted)] == ["head", "tail", "alone"]


def test_never_more_attempts_than_slots():
    run = conduct([step(f"s{n}") for n in range(20)], slots=5)
    assert run.executor.peak == 5
    assert run.summary.duration == 4.0


def test_resources_are_never_exceeded_and_a_large_step_is_not_starved():
    small = [step(f"small{n}", resources={"rig": 1.0}, expected=1) for n in range(6)]
    large = step("large", resources={"rig": 2.0}, expected=0.5)
    run = conduct([*small, large, step("free", expected=0.1)], capacities={"rig": 2.0}, slots=10)
    assert run.started_at("free") == [0.0], "a step that does not want the rig passes by"
    assert run.started_at("large")[0] <= 3.0
    assert run.summary.outcome == "passed"


def test_a_step_whose_need_failed_is_skipped_with_the_reason_and_so_is_what_follows():
    run = conduct([step("a"), step("b", "a"), step("c", "b"), step("other")], {"a": [failing()]})
    assert run.outcomes == {"a": "failed", "b": "skipped", "c": "skipped", "other": "passed"}
    reasons = {event.step: event.reason for event in run.of(StepFinished)}
    assert reasons["b"] == "`a` failed"
    assert reasons["c"] == "`b` skipped"
    assert run.summary.outcome == "failed"


def test_a_need_until_done_lets_the_step_start_after_a_failure():
    run = conduct([step("a"), step("report", Need("a", until="done"))], {"a": [failing()]})
    assert run.outcomes == {"a": "failed", "report": "passed"}


def test_retry_stops_at_the_first_pass_and_its_delays_are_journalled_and_reproducible():
    steps = [step("a", policy=Policy(retry=Retry(attempts=4, initial=2.0, exponent=2.0, jitter=0.5)))]
    script = {"a": [failing(), failing(), passing()]}
    first, second = conduct(steps, script, seed=7), conduct(steps, script, seed=7)
    delays = [event.delay for event in first.of(AttemptScheduled)]
    assert len(delays) == 2
    assert 1.0 <= delays[0] <= 2.0
    assert 2.0 <= delays[1] <= 4.0
    assert delays == [event.delay for event in second.of(AttemptScheduled)]
    assert delays != [event.delay for event in conduct(steps, script, seed=8).of(AttemptScheduled)]
    assert first.started_at("a")[1] == pytest.approx(1.0 + delays[0], abs=1e-5)
    assert first.outcomes == {"a": "passed"}


def test_a_slot_is_free_while_a_step_waits_for_its_next_attempt():
    retry = Policy(retry=Retry(attempts=2, initial=50.0, jitter=0.0))
    run = conduct([step("a", policy=retry, expected=9), step("b")], {"a": [failing(), passing()]}, slots=1)
    assert run.started_at("b") == [1.0]
    assert run.started_at("a") == [0.0, 51.0]


def test_attempts_are_used_up():
    run = conduct([step("a", policy=Policy(retry=Retry(attempts=3, initial=1.0)))], {"a": [failing()]})
    assert run.outcomes == {"a": "failed"}
    assert run.of(StepFinished)[0].attempts == 3


def test_outcomes_not_named_in_the_policy_are_not_tried_again():
    policy = Policy(retry=Retry(attempts=3, outcomes=("errored",)))
    run = conduct([step("a", policy=policy)], {"a": [failing()]})
    assert run.of(StepFinished)[0].attempts == 1


def test_a_timeout_asks_the_attempt_to_stop_and_frees_the_slot_only_when_it_ended():
    steps = [step("stuck", policy=Policy(timeout=5.0, grace=2.0), expected=9), step("next")]
    run = conduct(steps, {"stuck": [hanging()]}, slots=1)
    assert run.outcomes["stuck"] == "timed_out"
    assert run.executor.stopped == [("stuck", False)]
    assert run.started_at("next") == [pytest.approx(5.1)]
    assert run.of(AttemptFinished)[0].failure.message == "did not end within 5 s"


def test_an_attempt_that_ignores_being_asked_is_killed_after_the_grace():
    steps = [step("stuck", policy=Policy(timeout=5.0, grace=2.0))]
    run = conduct(steps, {"stuck": [hanging(ignores_stop=True)]})
    assert run.executor.stopped == [("stuck", False), ("stuck", True)]
    assert [event.force for event in run.of(AttemptStopping)] == [False, True]
    assert run.summary.duration == pytest.approx(7.01)


def test_a_result_that_comes_after_the_timeout_was_called_does_not_make_it_a_pass():
    late = Act(5.05, Finished("passed"), stops_after=None)
    run = conduct([step("a", policy=Policy(timeout=5.0, grace=2.0))], {"a": [late]})
    assert run.outcomes == {"a": "timed_out"}


def test_a_lost_worker_does_not_use_up_the_steps_own_tries():
    run = conduct([step("a", policy=Policy(losses=3))], {"a": [losing(), losing(), passing()]})
    assert run.outcomes == {"a": "passed"}
    assert [event.reason for event in run.of(AttemptScheduled)] == ["lost", "lost"]
    assert run.of(StepFinished)[0].attempts == 3


def test_a_step_that_keeps_losing_its_worker_is_errored():
    run = conduct([step("a", policy=Policy(losses=2))], {"a": [losing()]})
    assert run.outcomes == {"a": "errored"}
    assert "lost its worker 2 times, last: killed by signal 9" in run.of(StepFinished)[0].reason


def test_a_late_result_of_a_superseded_attempt_is_recorded_and_not_applied():
    run = Conducted([step("a")], {"a": [losing(1.0), passing(5.0)]})
    run.clock.call_later(2.0, lambda: run.dispatcher._report(run.of(AttemptLost)[0].token, Finished("failed")))
    run.run()
    assert [event.outcome for event in run.of(LateResult)] == ["failed"]
    assert run.outcomes == {"a": "passed"}


def test_tokens_grow_and_are_the_place_of_the_start_in_the_journal():
    run = conduct([step("a"), step("b", "a")])
    for record in run.journal.read("run"):
        if isinstance(record.event, AttemptStarted):
            assert record.event.token == record.seq
    tokens = [event.token for event in run.of(AttemptStarted)]
    assert tokens == sorted(set(tokens))


def test_cancel_starts_nothing_new_and_asks_running_attempts_to_stop():
    run = conduct(
        [step("running"), step("pending", "running")],
        {"running": [hanging()]},
        at=[(3.0, lambda it: it.dispatcher.cancel(who="user", why="Ctrl-C"))],
    )
    assert run.outcomes == {"running": "cancelled", "pending": "cancelled"}
    assert run.summary.outcome == "cancelled"
    assert run.of(CancelRequested)[0].who == "user"


def test_a_second_cancel_kills():
    def cancel(force):
        return lambda it: it.dispatcher.cancel(who="user", why="Ctrl-C", force=force)

    steps = [step("a", policy=Policy(grace=60.0))]
    run = conduct(steps, {"a": [hanging(ignores_stop=True)]}, at=[(1.0, cancel(False)), (2.0, cancel(True))])
    assert run.executor.stopped == [("a", False), ("a", True)]
    assert run.summary.duration == pytest.approx(2.01)


def test_an_attempt_that_passed_although_asked_to_stop_counts_as_passed():
    act = Act(1.05, Finished("passed"), stops_after=None)
    run = conduct(
        [step("a"), step("b", "a")],
        {"a": [act]},
        at=[(1.0, lambda it: it.dispatcher.cancel(who="user", why="enough"))],
    )
    assert run.outcomes == {"a": "passed", "b": "cancelled"}


def test_the_deadline_of_the_run_ends_it_as_timed_out():
    run = conduct([step("a"), step("b", "a")], {"a": [hanging()]}, deadline=10.0)
    assert run.summary.outcome == "timed_out"
    assert run.of(CancelRequested)[0].why == "the run's deadline of 10 s passed"


def test_progress_is_written_down_at_most_twice_a_second():
    run = conduct([step("a")], {"a": [Act(5.0, progress_every=0.1)]})
    progressed = [event for event in run.events if type(event).__name__ == "AttemptProgressed"]
    assert 5 <= len(progressed) <= 10


def test_a_sink_that_raises_is_left_out_and_the_run_goes_on(caplog):
    class Broken:
        calls = 0

        def emit(self, run, records):
            self.calls += 1
            raise ValueError("no")

        def close(self):
            pass

    broken = Broken()
    run = conduct([step("a"), step("b", "a")], sinks=[broken])
    assert run.summary.outcome == "passed"
    assert broken.calls == 1
    assert "Broken raised" in caplog.text


def test_sinks_see_exactly_what_the_journal_holds():
    seen = []

    class Collect:
        def emit(self, run, records):
            seen.extend(records)

        def close(self):
            pass

    run = conduct([step("a"), step("b", "a")], sinks=[Collect()])
    assert seen == list(run.journal.read("run"))


def test_an_executor_that_cannot_start_an_attempt_makes_it_errored():
    run = Conducted([step("a")])
    run.executor.start = lambda attempt, report: (_ for _ in ()).throw(OSError("no processes left"))
    run.run()
    assert run.outcomes == {"a": "errored"}
    assert "no processes left" in run.of(AttemptFinished)[0].failure.message


def test_a_kind_of_work_nobody_can_do_is_an_error_before_the_run():
    plan = Plan.of("test", [Step("a", Work("magic"))])
    with pytest.raises(PlanError, match="`magic`"):
        Dispatcher("run", plan, journal=MemoryJournal(), executors={"scripted": None}, clock=VirtualClock())


def test_an_empty_plan_finishes_at_once():
    assert conduct([]).summary.outcome == "passed"


def test_output_and_artifacts_are_stored_with_the_result():
    act = Act(1.0, Finished("passed", output={"x": 1}, artifacts={"log": b"data"}))
    run = conduct([step("a")], {"a": [act]})
    finished = run.of(AttemptFinished)[0]
    assert finished.output == {"x": 1}
    assert run.journal.blob(finished.artifacts["log"]) == b"data"


def test_a_cancelled_run_can_be_resumed_and_does_the_rest():
    steps = [step("a"), step("b", "a"), step("c", "b")]
    run = conduct(steps, {"b": [hanging()]}, at=[(2.0, lambda it: it.dispatcher.cancel(who="user", why="Ctrl-C"))])
    assert run.outcomes == {"a": "passed", "b": "cancelled", "c": "cancelled"}
    again = Conducted(steps, journal=run.journal)
    again.resume()
    assert again.summary.outcome == "passed"
    assert again.summary.counts == {"passed": 3}
    assert [attempt.step for attempt in again.executor.started] == ["b", "c"]


def test_resuming_keeps_the_idempotency_key_and_numbers_attempts_on():
    run = conduct([step("a")])
    records = list(run.journal.read("run"))
    cut = MemoryJournal()
    cut.append("run", 1, [record.event for record in records[:2]])
    again = Conducted([step("a")], journal=cut)
    again.resume()
    (attempt,) = again.executor.started
    assert attempt.number == 2
    assert attempt.idempotency_key == run.executor.started[0].idempotency_key
    assert attempt.token > run.executor.started[0].token


@st.composite
def plans(draw):
    count = draw(st.integers(1, 7))
    steps, script = [], {}
    acts = st.sampled_from([passing(), passing(0.3), failing(0.5), losing(0.7)])
    for index in range(count):
        needs = draw(st.lists(st.integers(0, index - 1), unique=True, max_size=3)) if index else []
        until = draw(st.sampled_from(["passed", "done"]))
        retry = Retry(attempts=draw(st.integers(1, 3)), initial=0.5)
        steps.append(step(f"s{index}", *[Need(f"s{n}", until) for n in needs], policy=Policy(retry=retry, losses=9)))
        script[f"s{index}"] = [*draw(st.lists(acts, max_size=3)), draw(st.sampled_from([passing(), failing()]))]
    return steps, script, draw(st.integers(1, 4)), draw(st.booleans())


@settings(max_examples=60, deadline=None)
@given(plans())
def test_every_step_ends_once_needs_come_first_and_slots_hold(case):
    steps, script, slots, strict = case
    run = conduct(steps, script, slots=slots, strict_waves=strict)
    assert Counter(event.step for event in run.of(StepFinished)) == Counter(s.name for s in steps)
    assert run.executor.peak <= slots
    assert isinstance(run.events[-1], RunFinished)
    ended = set()
    for event in run.events:
        if isinstance(event, AttemptStarted):
            needs = next(s.needs for s in steps if s.name == event.step)
            assert {need.step for need in needs} <= ended
        if isinstance(event, StepFinished):
            ended.add(event.step)


@settings(max_examples=25, deadline=None)
@given(plans())
def test_resumed_from_every_prefix_nothing_passed_runs_again_and_nothing_is_lost(case):
    """The process is killed after any event; what is resumed ends as the whole run did."""
    steps, script, slots, strict = case
    whole = conduct(steps, script, slots=slots, strict_waves=strict)
    records = list(whole.journal.read("run"))
    for cut in range(1, len(records)):
        journal = MemoryJournal()
        journal.append("run", 1, [record.event for record in records[:cut]])
        again = Conducted(steps, script, journal=journal, slots=slots, strict_waves=strict)
        passed_before = {
            r.event.step for r in records[:cut] if isinstance(r.event, AttemptFinished) and r.event.outcome == "passed"
        }
        again.resume()
        assert not passed_before & {attempt.step for attempt in again.executor.started}
        assert Counter(e.step for e in again.of(StepFinished)) == Counter(s.name for s in steps)
        assert again.outcomes.keys() == whole.outcomes.keys()
        assert [record.seq for record in journal.read("run")] == list(range(1, len(again.events) + 1))
        for name in passed_before:
            assert again.outcomes[name] == "passed"
        last = {name: acts[-1].report.outcome for name, acts in script.items()}
        if all(outcome == "passed" for outcome in last.values()) and all(
            isinstance(act.report, Lost) or act.report.outcome == "passed" for acts in script.values() for act in acts
        ):
            assert again.summary.outcome == "passed"


def test_every_event_survives_the_way_through_the_journals_encoding():
    run = conduct([step("a"), step("b", "a")], {"a": [failing(), passing()]})
    from podium.events import decode

    assert [decode(encode(event)) for event in run.events] == run.events
    assert all(isinstance(record, Record) for record in run.journal.read("run"))
