"""Workers: who takes which run, and how they share."""

import random

import pytest

from podium.errors import UsageError
from podium.server.workers import Workers


def assigned(workers, count, prefix="r"):
    return [workers.assign(f"{prefix}{n}") for n in range(count)]


def loads(workers):
    return {name: len(state.runs) for name, state in workers.states().items()}


def test_the_least_loaded_takes_the_next_run_and_ties_go_to_the_one_named_first():
    assert assigned(Workers({"a": 2, "b": 2}), 4) == ["a", "b", "a", "b"]


def test_load_is_measured_against_capacity():
    workers = Workers({"small": 1, "large": 3})
    assert assigned(workers, 4) == ["small", "large", "large", "large"]
    assert {name: state.load for name, state in workers.states().items()} == {"small": 1.0, "large": 1.0}


def test_nobody_takes_a_run_when_all_are_full():
    assert assigned(Workers({"a": 1, "b": 1}), 3) == ["a", "b", None]


def test_a_run_stays_where_it_is_however_often_it_is_assigned():
    workers = Workers({"a": 2, "b": 2})
    assert [workers.assign("r") for _ in range(3)] == ["a"] * 3
    assert loads(workers) == {"a": 1, "b": 0}


def test_a_run_that_ends_makes_room():
    workers = Workers({"a": 1})
    assert assigned(workers, 2) == ["a", None]
    workers.complete("r0")
    assert workers.assign("r1") == "a"


def test_to_complete_what_nobody_has_changes_nothing():
    workers = Workers({"a": 1, "b": 1})
    assigned(workers, 1)
    workers.complete("unknown")
    assert loads(workers) == {"a": 1, "b": 0}


def test_ends_on_one_side_let_runs_move_until_the_loads_are_as_close_as_they_get():
    workers = Workers({"a": 4, "b": 4})
    taken = assigned(workers, 8)
    for n, name in enumerate(taken):
        if name == "a":
            workers.complete(f"r{n}")
    assert loads(workers) == {"a": 2, "b": 2}
    assert workers.is_balanced()


def test_a_worker_that_leaves_gives_its_runs_to_those_with_room():
    workers = Workers({"a": 2, "b": 3})
    assigned(workers, 4)
    moved = workers.remove("a")
    assert len(moved) == 2
    assert loads(workers) == {"b": 3}
    (left,) = [run for run in moved if run not in workers.states()["b"].runs]
    assert workers.assign(left) is None, "the one without room waits"


def test_an_unhealthy_worker_keeps_its_runs_and_takes_no_more():
    workers = Workers({"a": 5, "b": 1})
    assigned(workers, 1)
    workers.set_health("a", healthy=False)
    assert assigned(workers, 3, "later") == ["b", None, None]
    assert loads(workers) == {"a": 1, "b": 1}
    workers.set_health("a", healthy=True)
    assert workers.assign("later1") == "a"


def test_balance_is_how_far_the_loads_are_from_their_mean():
    workers = Workers({"a": 10, "b": 10})
    assert workers.is_balanced(), "nothing to do is balanced"
    workers.assign("r0")
    assert not workers.is_balanced()
    workers.assign("r1")
    assert workers.is_balanced()
    assert Workers({}).is_balanced()


@pytest.mark.parametrize(
    "mistake",
    [
        lambda workers: workers.add("a", 1),
        lambda workers: workers.add("new", 0),
        lambda workers: workers.add("new", -1),
        lambda workers: workers.remove("unknown"),
        lambda workers: workers.set_health("unknown", healthy=True),
    ],
)
def test_a_mistake_is_refused_and_changes_nothing(mistake):
    workers = Workers({"a": 1})
    with pytest.raises(UsageError):
        mistake(workers)
    assert {name: state.capacity for name, state in workers.states().items()} == {"a": 1}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_no_worker_has_more_than_its_capacity_and_no_run_is_with_two(seed):
    draw = random.Random(seed)
    workers = Workers({f"w{n}": draw.randint(1, 4) for n in range(3)})
    for step in range(200):
        runs = [run for state in workers.states().values() for run in state.runs]
        assert len(runs) == len(set(runs))
        assert all(len(state.runs) <= state.capacity for state in workers.states().values())
        match draw.randrange(8):
            case 0:
                workers.add(f"x{step}", draw.randint(1, 4))
            case 1 if len(workers.states()) > 1:
                workers.remove(draw.choice(list(workers.states())))
            case 2:
                workers.set_health(draw.choice(list(workers.states())), healthy=draw.random() < 0.7)
            case 3 | 4 if runs:
                workers.complete(draw.choice(runs))
            case _:
                workers.assign(f"r{draw.randrange(30)}")
