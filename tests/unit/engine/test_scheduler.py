from podium.engine.scheduler import Scheduler
from podium.plan.graph import Need, Plan, Step
from podium.protocols import Work

WORK = Work("x")


def scheduler(*steps, **more):
    plan = Plan.of("p", [Step(name, WORK, **fields) for name, fields in steps], **more)
    made = Scheduler(plan)
    return made, {step.name: index for index, step in enumerate(plan.steps)}


def test_ties_go_to_the_step_written_first():
    made, at = scheduler(("b", {}), ("a", {}), slots=2)
    made.offer(at["a"])
    made.offer(at["b"])
    assert list(made.picks()) == [at["b"], at["a"]]


def test_a_withdrawn_step_is_not_picked():
    made, at = scheduler(("a", {}), ("b", {}), slots=2)
    made.offer(at["a"])
    made.offer(at["b"])
    made.withdraw(at["a"])
    assert list(made.picks()) == [at["b"]]


def test_a_step_offered_twice_is_picked_once():
    made, at = scheduler(("a", {}), slots=5)
    made.offer(at["a"])
    made.offer(at["a"])
    assert list(made.picks()) == [at["a"]]


def test_slots_come_back_when_released():
    made, at = scheduler(("a", {}), ("b", {}), slots=1)
    made.offer(at["a"])
    made.offer(at["b"])
    assert list(made.picks()) == [at["a"]]
    assert list(made.picks()) == []
    made.release(at["a"])
    assert list(made.picks()) == [at["b"]]


def test_a_step_waiting_for_a_resource_keeps_later_ones_from_taking_it():
    made, at = scheduler(
        ("first", {"resources": {"rig": 1.0}, "expected": 9}),
        ("large", {"resources": {"rig": 2.0}, "expected": 5}),
        ("small", {"resources": {"rig": 1.0}, "expected": 1}),
        capacities={"rig": 2.0},
        slots=9,
    )
    for name in at:
        made.offer(at[name])
    assert list(made.picks()) == [at["first"]]
    made.release(at["first"])
    assert list(made.picks()) == [at["large"]]
    made.release(at["large"])
    assert list(made.picks()) == [at["small"]]


def test_steps_that_want_two_resources_take_both_or_none():
    made, at = scheduler(
        ("holder", {"resources": {"gpu": 1.0}, "expected": 9}),
        ("both", {"resources": {"cpu": 1.0, "gpu": 1.0}, "expected": 5}),
        ("cpu", {"resources": {"cpu": 1.0}, "expected": 1}),
        capacities={"cpu": 1.0, "gpu": 1.0},
        slots=9,
    )
    for name in at:
        made.offer(at[name])
    assert list(made.picks()) == [at["holder"], at["cpu"]], "cpu is free, as `both` waits for the gpu"
    made.release(at["cpu"])
    made.release(at["holder"])
    assert list(made.picks()) == [at["both"]]


def test_with_strict_waves_a_step_of_a_later_wave_waits():
    made, at = scheduler(("a", {}), ("b", {}), ("c", {"needs": (Need("a"),)}), slots=9, strict_waves=True)
    made.offer(at["a"])
    made.offer(at["b"])
    assert list(made.picks()) == [at["a"], at["b"]]
    made.done(at["a"])
    made.offer(at["c"])
    assert list(made.picks()) == []
    made.done(at["b"])
    assert list(made.picks()) == [at["c"]]
