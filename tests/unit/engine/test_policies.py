"""Limits, retry rules, groups, breakers and fallbacks, on virtual time."""

import pytest

from podium.errors import PlanError
from podium.events import (
    AttemptFinished,
    AttemptRefused,
    AttemptScheduled,
    AttemptStarted,
    AttemptStopping,
    CacheChecked,
    CircuitChanged,
    Failure,
    FallbackTaken,
    RunFinished,
)
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Breaker, Compensation, Fallback, Group, Policy, Retry, RetryRule
from podium.protocols import Circuit, Finished, KnownResult, Lost, Work
from podium.testing.circuits import MemoryCircuits
from podium.testing.conducted import Conducted
from podium.testing.executors import Act, hanging, passing


def step(name, *needs, kind="scripted", payload=None, **more):
    return Step(name=name, work=Work(kind, payload), needs=tuple(map(Need, needs)), **more)


def erring(text="as scripted", *, after=1.0, kind="Scripted", outcome="failed", **more):
    return Act(after, Finished(outcome, failure=Failure(kind, text, **more)))


# Limits


def test_an_attempt_that_lasts_too_long_is_stopped():
    run = Conducted([step("a", policy=Policy(timeout=5.0))], {"a": [hanging()]}).run()
    assert run.outcomes == {"a": "timed_out"}
    (ended,) = run.of(AttemptFinished)
    assert ended.failure == Failure("Timeout", "did not end within 5 s")
    assert run.summary.duration == pytest.approx(5.1)


def test_a_silent_attempt_does_not_outlive_its_first_limit_although_it_may_be_extended():
    policy = Policy(timeout=5.0, extend_to=20.0, active_within=2.0)
    run = Conducted([step("a", policy=policy)], {"a": [Act(6.0)]}).run()
    assert run.outcomes == {"a": "timed_out"}
    assert run.summary.duration == pytest.approx(5.1)


def test_the_start_of_an_attempt_is_no_sign_of_life():
    policy = Policy(timeout=5.0, extend_to=60.0, active_within=30.0)
    run = Conducted([step("a", policy=policy)], {"a": [Act(20.0)]}).run()
    assert run.summary.duration == pytest.approx(5.1)


def test_an_active_attempt_goes_on_beyond_its_first_limit():
    policy = Policy(timeout=5.0, extend_to=20.0, active_within=2.0)
    run = Conducted([step("a", policy=policy)], {"a": [Act(19.0, progress_every=1.5)]}).run()
    assert run.outcomes == {"a": "passed"}


def test_activity_extends_no_attempt_beyond_the_last_limit():
    policy = Policy(timeout=5.0, extend_to=20.0, active_within=2.0)
    run = Conducted([step("a", policy=policy)], {"a": [Act(None, progress_every=1.0)]}).run()
    (ended,) = run.of(AttemptFinished)
    assert ended.failure == Failure("Timeout", "did not end within 20 s")


def test_an_attempt_that_falls_silent_is_stopped():
    policy = Policy(silence_timeout=3.0)
    run = Conducted([step("a", policy=policy), step("b", policy=policy)],
                    {"a": [Act(10.0, progress_every=2.0)], "b": [Act(10.0)]}).run()  # fmt: skip
    assert run.outcomes == {"b": "timed_out", "a": "passed"}
    (stopping,) = run.of(AttemptStopping)
    assert (stopping.step, stopping.reason) == ("b", "silence")


def test_a_step_that_does_not_get_its_turn_in_time_is_timed_out_without_an_attempt():
    steps = [step("long"), step("short", policy=Policy(queue_timeout=4.0))]
    run = Conducted(steps, {"long": [passing(9.0)]}, slots=1).run()
    assert run.outcomes == {"short": "timed_out", "long": "passed"}
    assert run.reasons["short"] == "did not start within 4 s"
    assert [event.step for event in run.of(AttemptStarted)] == ["long"]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Policy(total_timeout=5.0, retry=Retry(attempts=9, initial=1.0, jitter=0.0)), ""),
        (Policy(total_timeout=5.0, retry=Retry(attempts=9, initial=8.0, jitter=0.0)), "was not done within 5 s"),
    ],
    ids=["during an attempt", "between attempts"],
)
def test_all_attempts_together_have_a_limit(policy, reason):
    run = Conducted([step("a", policy=policy)], {"a": [erring(), hanging()]}).run()
    assert run.outcomes == {"a": "timed_out"}
    assert run.reasons["a"] == reason
    assert run.summary.duration == pytest.approx(5.0, abs=0.2)


# Retry rules


def attempts(run):
    return [event.number for event in run.of(AttemptStarted)]


def test_each_rule_has_a_counter_of_its_own_and_all_share_a_total():
    rules = (RetryRule(attempts=2, exit_codes=(3,)), RetryRule(attempts=3, pattern="blue"))
    policy = Policy(retry=Retry(attempts=9, rules=rules, outcomes=()))
    three, blue = erring(exit_code=3), erring("very blue")
    mixed = Conducted([step("a", policy=policy)], {"a": [three, blue, blue, three, passing()]}).run()
    assert mixed.outcomes == {"a": "failed"}
    assert [event.rule for event in mixed.of(AttemptScheduled)] == [1, 2, 2]
    few = Policy(retry=Retry(attempts=3, rules=rules, outcomes=()))
    assert attempts(Conducted([step("a", policy=few)], {"a": [three, blue, blue, blue]}).run()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (RetryRule(errors=("transient",)), ["ECONNRESET", "503 Service Unavailable"]),
        (RetryRule(errors=("rate_limit",)), ["Error 429 too many requests", "Rate limit exceeded"]),
        (RetryRule(errors=("permanent",)), ["Authentication failed", "Invalid API key", "401", "Model not found"]),
        (RetryRule(errors=("timeout",)), ["the request timed out"]),
        (RetryRule(errors=("Scripted",), outcomes=("failed",)), ["anything"]),
        (RetryRule(pattern="(?i)any"), ["ANYTHING"]),
    ],
)
def test_a_rule_fits_by_class_type_outcome_and_pattern(rule, fits):
    policy = Policy(retry=Retry(attempts=2, rules=(rule,)))
    for text in fits:  # the rule allows one attempt; without it there would be two
        assert attempts(Conducted([step("a", policy=policy)], {"a": [erring(text)]}).run()) == [1], text
    other = Conducted([step("a", policy=policy)], {"a": [erring("green", kind="Other", outcome="errored")]}).run()
    assert attempts(other) == [1, 2]


def test_the_first_rule_that_fits_decides():
    rules = (RetryRule(attempts=1, errors=("permanent",)), RetryRule(attempts=5))
    policy = Policy(retry=Retry(attempts=9, rules=rules))
    assert attempts(Conducted([step("a", policy=policy)], {"a": [erring("forbidden")]}).run()) == [1]
    assert attempts(Conducted([step("a", policy=policy)], {"a": [erring("odd")]}).run()) == [1, 2, 3, 4, 5]


def test_a_hint_when_to_come_back_is_honoured_and_a_budget_ends_it():
    act = erring("too many requests", retry_after=30.0)
    policy = Policy(retry=Retry(attempts=9, initial=1.0, jitter=0.0, budget=70.0))
    run = Conducted([step("a", policy=policy)], {"a": [act]}).run()
    assert [event.delay for event in run.of(AttemptScheduled)] == [30.0, 30.0]
    assert run.outcomes == {"a": "failed"}


def test_delays_double_and_are_capped():
    policy = Policy(retry=Retry(attempts=6, initial=1.0, maximum=6.0, jitter=0.0))
    run = Conducted([step("a", policy=policy)], {"a": [erring()]}).run()
    assert [event.delay for event in run.of(AttemptScheduled)] == [1.0, 2.0, 4.0, 6.0, 6.0]


# Groups


def test_starts_are_staggered_and_no_slot_is_held_while_one_waits():
    steps = [step(name, group="g") for name in "abcd"]
    others = [step("x"), step("y")]
    run = Conducted([*steps, *others], slots=2, groups={"g": Group(stagger=1.0)}).run()
    assert [at for name, at in run.started if name in "abcd"] == pytest.approx([0.0, 1.0, 2.0, 3.0])
    assert dict(run.started)["x"] == 0.0
    assert run.summary.duration == pytest.approx(4.0)


def test_four_tasks_in_two_slots_with_a_stagger_of_one_second_take_no_longer_than_they_must():
    steps = [step(name, group="g") for name in "abcd"]
    run = Conducted(steps, {name: [passing(1.5)] for name in "abcd"}, slots=2, groups={"g": Group(stagger=1.0)}).run()
    assert [at for _, at in run.started] == pytest.approx([0.0, 1.0, 2.0, 3.0])
    assert run.summary.duration == pytest.approx(4.5)


def test_a_rate_lets_a_burst_through_and_then_waits():
    steps = [step(f"s{n}", group="g") for n in range(5)]
    run = Conducted(steps, slots=9, groups={"g": Group(starts=2, per=10.0)}).run()
    assert [at for _, at in run.started] == pytest.approx([0.0, 0.0, 10.0, 10.0, 20.0])


def test_an_unknown_group_is_refused():
    with pytest.raises(PlanError, match="unknown group `g`"):
        Plan.of("test", [step("a", group="g")])


def test_twenty_tasks_are_never_more_than_five_at_once_and_no_slot_is_an_error():
    run = Conducted([step(f"s{n}") for n in range(20)], slots=5).run()
    assert run.executor.peak == 5
    with pytest.raises(PlanError, match="slots must be at least 1"):
        Conducted([step("a")], slots=0)


# Breakers and fallbacks

SHOP = Breaker("shop", failures=2, window=300.0, reset=120.0)
OTHER = Fallback("other", Work("scripted", "other"))


def test_a_target_that_keeps_failing_is_left_alone_by_other_runs_too():
    circuits = MemoryCircuits()
    failing = {"a": [erring()], "b": [erring()]}
    first = Conducted([step("a", breaker=SHOP), step("b", "a", breaker=SHOP)], failing, circuits=circuits)
    first.run()
    assert first.outcomes == {"a": "failed", "b": "skipped"}
    second = Conducted([step("b", breaker=SHOP), step("c", breaker=SHOP)], failing, circuits=circuits, slots=1).run()
    assert second.outcomes == {"b": "failed", "c": "errored"}
    (refused,) = second.of(AttemptRefused)
    assert refused.retry_after == 120.0
    assert second.reasons["c"] == "the circuit of `shop` is open, to be probed in 120 s"
    assert [event.state for event in second.of(CircuitChanged)] == ["open"]


def test_after_the_reset_one_attempt_probes_and_a_success_closes():
    circuits = MemoryCircuits()
    circuits.circuits["shop"] = Circuit(failures_us=(1,), opened_us=1_700_000_000_000_000 - 120_000_000)
    run = Conducted([step("a", breaker=SHOP), step("b", breaker=SHOP)], circuits=circuits).run()
    assert run.outcomes == {"b": "errored", "a": "passed"}
    assert circuits.circuits["shop"] == Circuit()
    assert [event.state for event in run.of(CircuitChanged)] == ["half_open", "closed"]


def test_a_probe_that_fails_opens_the_circuit_again():
    circuits = MemoryCircuits()
    circuits.circuits["shop"] = Circuit(failures_us=(1,), opened_us=1)
    Conducted([step("a", breaker=SHOP)], {"a": [erring()]}, circuits=circuits).run()
    assert circuits.circuits["shop"].opened_us > 1_700_000_000_000_000
    assert circuits.circuits["shop"].probe_us == 0


def test_permanent_errors_open_at_once_and_rate_limits_never():
    circuits = MemoryCircuits()
    Conducted([step("a", breaker=SHOP)], {"a": [erring("forbidden")]}, circuits=circuits).run()
    assert circuits.circuits["shop"].opened_us
    circuits = MemoryCircuits()
    retry = Policy(retry=Retry(attempts=5))
    limited = {"a": [erring("Error 429 too many requests")]}
    Conducted([step("a", breaker=SHOP, policy=retry)], limited, circuits=circuits).run()
    assert circuits.circuits["shop"] == Circuit()


def test_failures_outside_the_window_do_not_count():
    slow = Policy(retry=Retry(attempts=2, initial=400.0, maximum=400.0, jitter=0.0))
    circuits = MemoryCircuits()
    Conducted([step("a", breaker=SHOP, policy=slow)], {"a": [erring()]}, circuits=circuits).run()
    assert not circuits.circuits["shop"].opened_us
    assert len(circuits.circuits["shop"].failures_us) == 1


def test_when_the_policy_has_given_up_the_fallback_is_tried_and_its_provenance_is_kept():
    policy = Policy(retry=Retry(attempts=2, initial=1.0, jitter=0.0))
    run = Conducted([step("a", policy=policy, fallbacks=(OTHER,))], {"a": [erring(), erring(), passing()]}).run()
    assert run.outcomes == {"a": "passed"}
    assert [attempt.work.payload for attempt in run.executor.started] == [None, None, "other"]
    assert [event.fallback for event in run.of(AttemptStarted)] == ["", "", "other"]
    (taken,) = run.of(FallbackTaken)
    assert (taken.index, taken.name, taken.reason) == (1, "other", "failed: as scripted")


def test_a_fallback_that_also_fails_ends():
    run = Conducted([step("a", fallbacks=(OTHER, OTHER))], {"a": [erring()]}).run()
    assert run.outcomes == {"a": "failed"}
    assert attempts(run) == [1, 2, 3]


def test_an_open_circuit_leads_to_the_fallback_at_once():
    circuits = MemoryCircuits()
    circuits.circuits["shop"] = Circuit(opened_us=1_700_000_000_000_000)
    run = Conducted([step("a", breaker=SHOP, fallbacks=(OTHER,))], circuits=circuits).run()
    assert run.outcomes == {"a": "passed"}
    assert [attempt.work.payload for attempt in run.executor.started] == ["other"]
    assert run.summary.duration == pytest.approx(1.0)


def test_a_rule_may_wait_for_the_circuit():
    circuits = MemoryCircuits()
    circuits.circuits["shop"] = Circuit(opened_us=1_700_000_000_000_000)
    policy = Policy(retry=Retry(attempts=2, rules=(RetryRule(attempts=2, errors=("circuit_open",)),)))
    run = Conducted([step("a", breaker=SHOP, policy=policy)], circuits=circuits).run()
    assert run.outcomes == {"a": "passed"}
    assert run.summary.duration == pytest.approx(121.0)


def test_a_run_with_retries_breaker_and_fallback_goes_on_from_every_place_in_its_journal():
    policy = Policy(retry=Retry(attempts=2, initial=1.0, jitter=0.0))
    steps = [step("a", policy=policy, breaker=SHOP, fallbacks=(OTHER,)), step("b", "a", breaker=SHOP)]
    script = {"a": [erring(), erring(), passing()]}
    whole = Conducted(steps, script).run()
    for length in range(1, len(whole.events)):
        again = Conducted(steps, script, journal=whole.cut(length)).resume()
        assert again.outcomes["a"] == "passed"
        assert isinstance(again.events[-1], RunFinished)
        assert sum(event.outcome == "passed" and event.step == "a" for event in again.of(AttemptFinished)) == 1


# Known results


class Known:
    """Knows one result, by whatever digest."""

    def __init__(self, result=None):
        self.result = result
        self.asked = []

    def known_result(self, digest):
        self.asked.append(digest)
        return self.result


CACHED = Policy(cache=True)


def test_the_result_of_an_identical_step_is_taken_without_an_attempt():
    known = Known(KnownResult("run0", "b", {"x": 1}))
    run = Conducted([step("a", policy=CACHED)], results=known).run()
    assert run.outcomes == {"a": "passed"}
    assert run.reasons == {"a": "as `b` of run run0"}
    assert run.executor.started == []
    assert [(event.hit, event.run, event.source) for event in run.of(CacheChecked)] == [(True, "run0", "b")]


def test_without_such_a_result_the_work_is_done_and_the_miss_recorded():
    run = Conducted([step("a", policy=CACHED), step("b")], results=Known()).run()
    assert run.outcomes == {"a": "passed", "b": "passed"}
    assert [(event.step, event.hit) for event in run.of(CacheChecked)] == [("a", False)]


def test_what_is_identical_has_the_same_digest():
    digests = []
    for payload in ({"x": 1, "y": [2]}, {"y": [2], "x": 1}, {"x": 1, "y": [3]}):
        known = Known()
        Conducted([step("a", policy=CACHED, payload=payload)], results=known).run()
        digests += known.asked
    assert digests[0] == digests[1] != digests[2]


# What a review found


def test_the_limit_of_all_attempts_holds_after_a_crash_too():
    policy = Policy(total_timeout=10.0, retry=Retry(attempts=99, initial=2.0, maximum=2.0, jitter=0.0))
    first = Conducted([step("a", policy=policy)], {"a": [erring()]}).run()
    again = Conducted([step("a", policy=policy)], {"a": [erring()]}, journal=first.until(AttemptScheduled)).resume()
    assert again.outcomes == {"a": "timed_out"}
    assert again.summary.duration == pytest.approx(10.0, abs=1.5)


def test_a_limit_that_passes_while_an_attempt_is_ended_is_not_forgotten():
    policy = Policy(timeout=9.0, grace=5.0, total_timeout=10.0, retry=Retry(attempts=9, initial=60.0, jitter=0.0))
    run = Conducted([step("a", policy=policy)], {"a": [hanging(ignores_stop=True)]}).run()
    assert run.outcomes == {"a": "timed_out"}
    assert attempts(run) == [1]
    assert run.summary.duration < 20


def test_texts_that_cannot_be_stored_are_escaped_and_a_hint_without_end_is_ignored():
    acts = [erring("\udc80", details="\udcff", retry_after=float("inf"))]
    run = Conducted([step("a", policy=Policy(retry=Retry(attempts=2)))], {"a": acts}).run()
    assert run.of(AttemptFinished)[0].failure == Failure("Scripted", "\\udc80", "\\udcff")
    lost = Conducted([step("a")], {"a": [Act(1.0, Lost("\udc80")), passing()]}).run()
    assert lost.outcomes == {"a": "passed"}


def test_a_result_that_was_taken_is_not_undone():
    undo = Compensation(Work("scripted"))
    steps = [step("a", policy=CACHED, compensation=undo), step("b", "a")]
    run = Conducted(steps, {"b": [erring()]}, results=Known(KnownResult("run0", "a", 1))).run()
    assert run.outcomes == {"a": "passed", "b": "failed"}
    assert run.summary.outcome == "failed"


def test_a_known_result_does_not_probe_a_target():
    circuits = MemoryCircuits()
    circuits.circuits["shop"] = Circuit(failures_us=(1,), opened_us=1)
    steps = [step("a", policy=CACHED, breaker=SHOP), step("b", "a", breaker=SHOP)]
    known = Known(KnownResult("run0", "a", 1))
    assert Conducted(steps, circuits=circuits, results=known).run().outcomes == {"a": "passed", "b": "passed"}


@pytest.mark.parametrize("name", ["a~undo", "a[0]"])
def test_names_of_steps_that_follow_from_others_are_refused(name):
    undo = Compensation(Work("scripted"))
    with pytest.raises(PlanError, match="the name of a step that follows"):
        Plan.of("test", [step("a", compensation=undo, for_each="inputs.x"), step(name)])
    assert Plan.of("test", [step("a"), step(name)])


def test_a_large_group_and_a_scarce_resource_are_worked_off_in_order():
    steps = [step(f"s{n}", group="g", resources={"rig": 1.0}, expected=1.0) for n in range(40)]
    more = {"groups": {"g": Group(stagger=0.5)}, "capacities": {"rig": 3.0}}
    run = Conducted(steps, {f"s{n}": [passing(1.0)] for n in range(40)}, slots=99, **more).run()
    assert [name for name, _ in run.started] == [f"s{n}" for n in range(40)]
    assert run.executor.peak <= 3
    assert run.summary.duration == pytest.approx(20.5)
