"""Conditions, triggers, references, items and waiting, on virtual time with the real language."""

import pytest

from podium.engine.why import why
from podium.events import AttemptStarted, ItemsFound, SignalReceived, StepFinished
from podium.messages import Cancel, Message, Signal
from podium.model.expressions import Cel
from podium.plan.graph import Need, Step
from podium.plan.policy import Compensation, Fallback, Policy, Retry, RetryRule
from podium.protocols import Finished, Work
from podium.testing.conducted import Conducted
from podium.testing.executors import Act, failing, hanging, passing


def step(name, *needs, payload=None, **more):
    return Step(name, Work("scripted", payload, template=payload is not None), tuple(map(Need, needs)), **more)


def value(name, content, *needs, **more):
    return Step(name, Work("value", {"value": content}, template=True), tuple(map(Need, needs)), **more)


def conduct(steps, script=None, **more):
    return Conducted(steps, script, expressions=Cel(), **more)


def giving(output, after=1.0):
    return Act(after, Finished("passed", output=output))


# Conditions and references


def test_a_payload_gets_inputs_and_the_outputs_of_steps_before():
    steps = [step("a"), step("b", "a", payload=["${inputs.who}", "id ${steps.a.output.id}!", "${steps.a.output}"])]
    run = conduct(steps, {"a": [giving({"id": 7})]}, inputs={"who": "me"}).run()
    assert run.executor.started[-1].work.payload == ["me", "id 7!", {"id": 7}]


def test_a_condition_that_does_not_hold_leaves_its_step_out_and_nothing_else():
    steps = [step("a"), step("b", "a", when="inputs.amount > 0"), step("c", "b")]
    run = conduct(steps, inputs={"amount": 0}).run()
    assert run.outcomes == {"a": "passed", "b": "skipped", "c": "passed"}
    assert run.reasons["b"] == "`inputs.amount > 0` is false"
    assert run.summary.outcome == "passed"


@pytest.mark.parametrize(
    "condition", ["inputs.nothing > 0", "inputs.amount + 'a' == 'b'", "inputs.amount", "steps.a.output.x == 1"]
)
def test_a_condition_that_cannot_be_evaluated_is_an_error_and_never_false(condition):
    run = conduct([step("a"), step("b", "a", when=condition)], inputs={"amount": 3}).run()
    assert run.outcomes["b"] == "errored"
    assert condition in run.reasons["b"]
    assert run.summary.outcome == "errored"


def test_a_payload_without_a_value_is_an_error_without_an_attempt():
    steps = [step("a", payload="${inputs.nothing}", policy=Policy(retry=Retry(attempts=3)))]
    run = conduct(steps, inputs={}).run()
    assert run.outcomes == {"a": "errored"}
    assert run.of(AttemptStarted) == []


def test_what_comes_after_a_step_that_ended_without_an_attempt_is_decided_at_once():
    steps = [step("a", payload="${inputs.nothing}"), step("b", "a"), step("c", "a", trigger="one_failed")]
    run = conduct(steps, inputs={}).run()
    assert run.outcomes == {"a": "errored", "b": "skipped", "c": "passed"}


def test_a_last_step_that_ends_without_an_attempt_is_followed_by_compensation_and_teardown():
    undo = Compensation(Work("scripted"))
    down = Step("down", Work("scripted"), (Need("a", "done"),), trigger="done", role="teardown")
    steps = [step("a", compensation=undo), step("b", "a", payload="${inputs.nothing}"), down]
    run = conduct(steps, inputs={}).run()
    assert run.outcomes == {"a": "passed", "b": "errored", "a~undo": "passed", "down": "passed"}
    assert run.summary.outcome == "compensated"


@pytest.mark.parametrize(
    ("trigger", "outcomes", "starts"),
    [
        ("passed", ("passed", "failed"), False),
        ("done", ("failed", "failed"), True),
        ("one_passed", ("passed", "failed"), True),
        ("one_passed", ("failed", "failed"), False),
        ("one_failed", ("passed", "failed"), True),
        ("one_failed", ("passed", "passed"), False),
        ("all_failed", ("failed", "failed"), True),
        ("all_failed", ("passed", "failed"), False),
        ("none_failed", ("passed", "passed"), True),
        ("none_failed", ("passed", "failed"), False),
    ],
)
def test_triggers(trigger, outcomes, starts):
    script = {
        name: [passing() if outcome == "passed" else failing()] for name, outcome in zip("ab", outcomes, strict=True)
    }
    run = conduct([step("a"), step("b"), step("c", "a", "b", trigger=trigger)], script).run()
    assert run.outcomes["c"] == ("passed" if starts else "skipped")
    assert run.of(StepFinished)[-1].omitted is (not starts and trigger != "passed")


def test_a_handler_that_was_not_needed_spoils_nothing():
    run = conduct([step("a"), step("help", "a", trigger="one_failed")]).run()
    assert run.summary.outcome == "passed"


def test_a_step_knows_how_the_steps_before_it_failed():
    steps = [step("a"), step("b", trigger="done", payload="${steps.a.outcome}: ${steps.a.error.message}")]
    steps[1] = Step("b", steps[1].work, (Need("a", "done"),))
    run = conduct(steps, {"a": [failing(message="no paper")]}).run()
    assert run.executor.started[-1].work.payload == "failed: no paper"


def test_a_retry_rule_may_be_an_expression():
    rule = RetryRule(attempts=3, when='error.message.contains("paper")')
    policy = Policy(retry=Retry(attempts=9, initial=0.0, rules=(rule,), outcomes=()))
    run = conduct([step("a", policy=policy)], {"a": [failing(message="no paper")]}).run()
    assert run.of(StepFinished)[-1].attempts == 3
    other = conduct([step("a", policy=policy)], {"a": [failing(message="no ink")]}).run()
    assert other.of(StepFinished)[-1].attempts == 1


def test_outputs_of_the_run_and_what_has_none_is_null():
    run = conduct([value("a", "${1 + 2}")], outputs={"sum": "steps.a.output", "none": "steps.a.output.x"}).run()
    assert run.summary.output == {"sum": 3, "none": None}


def test_fallbacks_and_what_undoes_a_step_have_references_too():
    undo = Compensation(Work("scripted", "${steps.a.output.id}", template=True))
    other = Fallback("other", Work("scripted", "${inputs.x}", template=True))
    steps = [step("a", compensation=undo), step("b", "a", fallbacks=(other,))]
    run = conduct(steps, {"a": [giving({"id": 7})], "b": [failing()]}, inputs={"x": 5}).run()
    payloads = {attempt.step: attempt.work.payload for attempt in run.executor.started}
    assert payloads == {"a": None, "b": 5, "a~undo": 7}


def test_steps_of_a_scope_know_their_own_inputs_and_neighbours():
    steps = [
        value("pay/inputs", {"amount": "${inputs.sum}"}),
        step("pay/a", "pay/inputs", payload="${inputs.amount}", scope="pay/"),
        step("pay/b", "pay/a", payload="${steps.a.output}", scope="pay/"),
    ]
    run = conduct(steps, {"pay/a": [giving("done")]}, inputs={"sum": 12}).run()
    assert [attempt.work.payload for attempt in run.executor.started] == [12, "done"]


# Items


EACH = "inputs.list"


def test_a_step_is_done_once_for_each_item():
    steps = [step("a", for_each=EACH, payload="${index}: ${item}"), step("b", "a", payload="${steps.a.output}")]
    script = {f"a[{n}]": [giving(n * n)] for n in range(3)}
    run = conduct(steps, script, inputs={"list": ["x", "y", "z"]}).run()
    assert [attempt.work.payload for attempt in run.executor.started] == ["0: x", "1: y", "2: z", [0, 1, 4]]
    assert run.outcomes == {"a[0]": "passed", "a[1]": "passed", "a[2]": "passed", "a": "passed", "b": "passed"}
    assert run.summary.counts == {"passed": 2}


def test_no_items_are_done_at_once():
    run = conduct([step("a", for_each=EACH), step("b", "a")], inputs={"list": []}).run()
    assert run.outcomes == {"a": "passed", "b": "passed"}
    assert run.of(StepFinished)[0].output == []


def test_only_so_many_items_at_once():
    run = conduct([step("a", for_each=EACH, at_once=2)], inputs={"list": list(range(7))}, slots=9).run()
    assert run.executor.peak == 2
    assert run.summary.duration == pytest.approx(4.0)


def test_one_item_that_fails_fails_the_step_and_the_others_are_done():
    run = conduct([step("a", for_each=EACH), step("b", "a")], {"a[1]": [failing()]}, inputs={"list": [1, 2, 3]}).run()
    assert run.outcomes["a[2]"] == "passed"
    assert (run.outcomes["a"], run.reasons["a"]) == ("failed", "`a[1]` failed")
    assert run.outcomes["b"] == "skipped"


def test_what_is_no_list_is_an_error():
    run = conduct([step("a", for_each=EACH)], inputs={"list": 3}).run()
    assert (run.outcomes["a"], run.reasons["a"]) == ("errored", "`inputs.list` is no list")


def test_items_are_undone_each_for_itself():
    undo = Compensation(Work("scripted", "${item}", template=True))
    steps = [step("a", for_each=EACH, compensation=undo, at_once=1), step("b", "a")]
    run = conduct(steps, {"b": [failing()]}, inputs={"list": ["x", "y"]}).run()
    assert [attempt.work.payload for attempt in run.executor.started][-2:] == ["y", "x"]
    assert run.summary.outcome == "compensated"


def test_items_are_found_once_whatever_crashes():
    undo = Compensation(Work("scripted", "${item}", template=True))
    steps = [step("l"), step("a", "l", for_each="steps.l.output", compensation=undo, at_once=2), step("b", "a")]
    script = {"l": [giving([1, 2, 3])], "b": [failing()]}
    whole = conduct(steps, script).run()
    for length in range(1, len(whole.events)):
        again = conduct(steps, script, journal=whole.cut(length)).resume()
        assert len(again.of(ItemsFound)) == 1
        assert again.summary.outcome == "compensated", length
        for name in ("a[0]", "a[1]", "a[2]", "a[0]~undo", "a[1]~undo", "a[2]~undo"):
            assert again.outcomes[name] == "passed", (length, name)
        assert again.executor.peak <= 2


def test_a_cancelled_list_is_cancelled_and_goes_on_where_it_was():
    steps = [step("a", for_each=EACH, at_once=1)]
    at = [(2.5, lambda dispatcher: dispatcher.cancel(who="user", why="Ctrl-C"))]
    first = conduct(steps, inputs={"list": [1, 2, 3, 4]}, at=at).run()
    assert first.outcomes == {
        "a[0]": "passed",
        "a[1]": "passed",
        "a[2]": "cancelled",
        "a[3]": "cancelled",
        "a": "cancelled",
    }
    again = conduct(steps, inputs={"list": [1, 2, 3, 4]}, journal=first.journal).resume()
    assert [attempt.step for attempt in again.executor.started] == ["a[2]", "a[3]"]
    assert again.summary.outcome == "passed"


# Waiting


def wait(name, *needs, **payload):
    return Step(name, Work("wait", payload), tuple(map(Need, needs)), slots=0)


def telling(at, message, content):
    return at, lambda dispatcher: dispatcher.deliver(Message(message, content))


def test_waiting_takes_no_slot():
    run = conduct([wait("w", seconds=5.0), step("a"), step("b")], slots=1).run()
    assert [at for _, at in run.started] == [0.0, 1.0]
    assert run.summary.duration == pytest.approx(5.0)


def test_a_signal_lets_a_step_go_on_with_its_payload():
    run = conduct(
        [wait("w", signal="go"), step("a", "w", payload="${steps.w.output}")], at=[telling(3.0, 1, Signal("go", 7))]
    )
    run.run()
    assert run.started == [("a", 3.0)]
    assert run.executor.started[0].work.payload == 7


def test_a_signal_that_came_before_anybody_waited_counts():
    run = conduct([step("a"), wait("w", "a", signal="go")], at=[telling(0.5, 1, Signal("go"))]).run()
    assert run.summary.outcome == "passed"
    assert run.summary.duration == pytest.approx(1.0)


@pytest.mark.parametrize(("approved", "outcome"), [(True, "passed"), (False, "failed")])
def test_an_approval_is_given_or_not_and_by_whom_is_recorded(approved, outcome):
    answer = Signal("approve:w", {"approved": approved, "comment": "too dear"}, "ann@host")
    run = conduct([wait("w", approval="Ship it?")], at=[telling(2.0, 4, answer)]).run()
    assert run.outcomes == {"w": outcome}
    assert run.of(SignalReceived)[0].who == "ann@host"


def test_a_message_is_taken_in_once_although_it_is_delivered_again():
    at = [telling(1.0, 3, Signal("x")), telling(2.0, 3, Signal("x")), telling(3.0, 4, Signal("go"))]
    run = conduct([wait("w", signal="go")], at=at).run()
    assert [event.message for event in run.of(SignalReceived)] == [3, 4]
    again = conduct([wait("w", signal="go")], journal=run.until(SignalReceived), at=at).resume()
    assert [event.message for event in again.of(SignalReceived)] == [3, 4]


def test_a_cancel_that_was_sent_says_who_and_why():
    run = conduct([step("a")], {"a": [hanging()]}, at=[telling(1.0, 1, Cancel("ann@host", "wrong file"))]).run()
    assert run.summary.outcome == "cancelled"
    assert run.reasons["a"] == "wrong file"


def test_waiting_for_a_while_goes_on_after_a_crash_where_it_was():
    steps = [wait("w", seconds=10.0)]
    first = conduct(steps).run()
    journal = first.until(AttemptStarted)
    again = conduct(steps, journal=journal, epoch_us=1_700_000_000_000_000 + 6_000_000).resume()
    assert again.summary.duration == pytest.approx(4.0)


# Why


def reasons(run, name, length=None):
    plan = run.dispatcher._plan
    records = list(run.journal.read("run"))[:length]
    return why(plan, records, name, records[-1].event.at_us)


def test_why_tells_what_a_step_waits_for():
    ending = telling(9.0, 1, Signal("approve:w"))
    steps = [step("a"), step("b"), step("c", "a"), wait("w", approval="Ship?"), step("r", resources={"rig": 1.0})]
    run = conduct([*steps, step("s", resources={"rig": 1.0})], slots=3, capacities={"rig": 1.0}, at=[ending])
    run.run()
    started = next(n for n, event in enumerate(run.events) if isinstance(event, AttemptStarted)) + 4
    assert reasons(run, "c", started) == ["it needs `a`, which is not done"]
    assert reasons(run, "a", started) == ["attempt 1 is under way"]
    assert reasons(run, "w", started) == ["it waits for an approval: Ship? (podium approve RUN w)"]
    assert reasons(run, "s", started)[0].startswith(("it needs 1 of `rig`", "all 3 slots"))


def test_why_tells_what_a_step_came_to():
    policy = Policy(retry=Retry(attempts=2, initial=0.0))
    run = conduct([step("a", policy=policy), step("b", "a")], {"a": [failing(message="no paper")]}).run()
    assert reasons(run, "a") == ["it failed", *["an attempt failed: Scripted: no paper"] * 2]
    assert reasons(run, "b") == ["it skipped: `a` failed"]
