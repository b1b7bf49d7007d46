"""What is done again, and what gives what it gave before."""

from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Compensation
from podium.plan.subset import remainder, subset
from podium.protocols import Work


def step(name, *needs, **more):
    return Step(name, Work("do"), tuple(map(Need, needs)), **more)


def kinds(plan):
    return {step.name: step.work.kind for step in plan.steps}


def test_a_subset_has_only_its_own_needs():
    plan = subset(Plan.of("p", [step("a"), step("b", "a"), step("c", "a", "b")]), {"b", "c"})
    assert {one.name: [need.step for need in one.needs] for one in plan.steps} == {"b": [], "c": ["b"]}


def test_what_passed_gives_what_it_gave_and_can_still_be_undone():
    undo = Compensation(Work("undo"))
    plan = Plan.of("p", [step("a", compensation=undo), step("b", "a")])
    again = remainder(plan, {"b"}, {"a": [1, "${x}"]})
    assert kinds(again) == {"a": "value", "b": "do"}
    assert again.steps[0].work == Work("value", {"value": [1, "${x}"]})
    assert again.steps[0].compensation == undo
    assert Plan.of("p", again.steps).waves() == [["a"], ["b"]]


def test_with_a_step_is_done_again_what_needs_it_and_what_those_lack():
    steps = [step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"), step("e", "a")]
    again = remainder(Plan.of("p", steps), {"b"}, {"a": 1, "e": 2})
    assert kinds(again) == {"a": "value", "b": "do", "c": "do", "d": "do", "e": "value"}


def test_what_did_not_pass_and_is_not_chosen_is_left_out_and_never_counts_as_passed():
    steps = [step("a"), step("b", "a"), step("c", "a"), step("d", "c")]
    assert kinds(remainder(Plan.of("p", steps), {"b"}, {"a": 1})) == {"a": "value", "b": "do"}


def test_a_handler_of_a_failure_handles_it_again():
    handler = Step("h", Work("do"), (Need("a"),), trigger="one_failed")
    again = remainder(Plan.of("p", [step("a"), handler, step("z", "h")]), {"a"}, {"h": 1, "z": 1})
    assert kinds(again) == {"a": "do", "h": "do", "z": "do"}
    assert again.steps[1].trigger == "one_failed"


def test_what_was_torn_down_is_done_anew():
    plan = Plan.of("p", [step("a"), step("b", "a"), step("t", "a", role="teardown")])
    assert remainder(plan, {"b"}, {"a": 1}) == plan
