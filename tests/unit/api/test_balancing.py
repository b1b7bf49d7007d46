import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.api.balancing import LoadBalancer, NoWorkerError
from podium.errors import UsageError


def loaded(*loads):
    """Return a balancer whose three workers have these loads."""
    balancer = LoadBalancer()
    for n in range(3 * max(loads)):
        balancer.assign_workflow(f"w{n}")
    for index, load in enumerate(loads):
        for n in range(load, max(loads)):
            balancer.complete_workflow(f"w{3 * n + index}")
    assert list(balancer.get_load_distribution().values()) == list(loads)
    return balancer


def test_nine_workflows_are_spread_evenly_the_first_worker_first():
    balancer = LoadBalancer()
    workers = [balancer.assign_workflow(f"w{n}") for n in range(9)]
    assert workers == ["worker_1", "worker_2", "worker_3"] * 3
    assert balancer.get_load_distribution() == {"worker_1": 3, "worker_2": 3, "worker_3": 3}


def test_what_is_completed_makes_room_for_the_next():
    balancer = LoadBalancer()
    for n in range(9):
        balancer.assign_workflow(f"w{n}")
    for n in (0, 3, 6):
        balancer.complete_workflow(f"w{n}")
    assert balancer.get_worker_load("worker_1") == 0
    assert [balancer.assign_workflow(f"new{n}") for n in range(3)] == ["worker_1"] * 3


def test_the_same_workflow_has_the_same_worker_and_counts_once():
    balancer = LoadBalancer()
    assert balancer.assign_workflow("a") == balancer.assign_workflow("a") == "worker_1"
    balancer.complete_workflow("a")
    balancer.complete_workflow("a")
    balancer.complete_workflow("unknown")
    assert sum(balancer.get_load_distribution().values()) == 0


@pytest.mark.parametrize(("loads", "balanced"), [((10, 8, 12), True), ((10, 0, 0), False), ((13, 10, 7), True)])
def test_balance(loads, balanced):
    assert loaded(*loads).is_balanced(threshold=0.3) is balanced


def test_nothing_is_balanced():
    assert LoadBalancer().is_balanced() is True
    assert LoadBalancer([]).is_balanced() is True
    assert loaded(10, 8, 12).is_balanced(0.1) is False


def test_load_is_relative_to_capacity():
    balancer = LoadBalancer({"small": 2, "large": 6})
    for n in range(8):
        balancer.assign_workflow(f"w{n}")
    assert balancer.get_load_distribution() == {"small": 2, "large": 6}
    assert balancer.is_balanced()
    with pytest.raises(ValueError, match="no worker can take workflow `one_more`: small has 2 of 2, large has 6 of 6"):
        balancer.assign_workflow("one_more")


def test_unhealthy_workers_get_no_more():
    balancer = LoadBalancer(["a", "b"])
    balancer.assign_workflow("w0")
    balancer.mark_unhealthy("a")
    assert [balancer.assign_workflow(f"w{n}") for n in (1, 2)] == ["b", "b"]
    assert balancer.assign_workflow("w0") == "b"
    assert balancer.get_load_distribution() == {"a": 0, "b": 3}
    balancer.mark_healthy("a")
    assert balancer.assign_workflow("w3") == "a"
    balancer.mark_unhealthy("a")
    balancer.mark_unhealthy("b")
    with pytest.raises(ValueError, match="a is unhealthy, b is unhealthy"):
        balancer.assign_workflow("w4")
    assert balancer.get_load_distribution() == {"a": 1, "b": 3}


def test_workflows_of_a_removed_worker_move():
    balancer = loaded(2, 2, 2)
    assert balancer.remove_worker("worker_1") == {"w0": "worker_2", "w3": "worker_3"}
    assert balancer.get_load_distribution() == {"worker_2": 3, "worker_3": 3}
    balancer.add_worker("worker_4")
    assert balancer.assign_workflow("x") == "worker_4"


def test_a_worker_is_not_removed_if_the_others_have_no_room():
    balancer = LoadBalancer({"a": 2, "b": 1})
    for n in range(3):
        balancer.assign_workflow(f"w{n}")
    with pytest.raises(ValueError, match="`a` has 2 workflows, and the others have room for 0"):
        balancer.remove_worker("a")
    assert balancer.get_load_distribution() == {"a": 2, "b": 1}


def test_wrong_arguments():
    with pytest.raises(UsageError, match="no worker `x`"):
        LoadBalancer().get_worker_load("x")
    with pytest.raises(UsageError, match="already"):
        LoadBalancer(["a", "a"])
    with pytest.raises(UsageError, match="at least 1"):
        LoadBalancer({"a": 0})


@given(st.lists(st.tuples(st.sampled_from(["assign", "complete"]), st.integers(0, 12))))
def test_loads_always_are_the_number_of_workflows(changes):
    balancer, there = LoadBalancer(), {}
    for change, n in changes:
        if change == "assign":
            there[n] = balancer.assign_workflow(f"w{n}")
        else:
            balancer.complete_workflow(f"w{n}")
            there.pop(n, None)
    loads = balancer.get_load_distribution()
    assert {name: list(there.values()).count(name) for name in loads} == loads


def test_rebalancing_moves_as_little_as_makes_the_workers_even():
    balancer = LoadBalancer(["a", "b"])
    for number in range(6):
        balancer.assign_workflow(f"w{number}")
    for number in (0, 2, 4):
        balancer.complete_workflow(f"w{number}")
    assert balancer.get_load_distribution() == {"a": 0, "b": 3}
    moved = balancer.rebalance()
    assert moved == {"w5": "a"}
    assert balancer.get_load_distribution() == {"a": 1, "b": 2}
    assert balancer.assign_workflow("w5") == "a"
    assert balancer.rebalance() == {}


def test_rebalancing_goes_by_capacity_and_leaves_the_unhealthy_alone():
    balancer = LoadBalancer({"small": 2, "large": 8})
    balancer.mark_unhealthy("large")
    balancer.assign_workflow("x")
    balancer.assign_workflow("y")
    assert balancer.rebalance() == {}
    balancer.mark_healthy("large")
    assert balancer.rebalance() == {"y": "large", "x": "large"}
    assert balancer.get_load_distribution() == {"small": 0, "large": 2}


def test_a_worker_that_leaves_may_overfill_the_others():
    balancer = LoadBalancer({"a": 1, "b": 1})
    balancer.assign_workflow("x")
    balancer.assign_workflow("y")
    with pytest.raises(NoWorkerError):
        balancer.remove_worker("b")
    assert balancer.remove_worker("b", overfill=True) == {"y": "a"}
    assert balancer.describe() == {"a": {"capacity": 1, "healthy": True, "workflows": ["x", "y"]}}
    with pytest.raises(NoWorkerError):
        balancer.assign_workflow("z")
