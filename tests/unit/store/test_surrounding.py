"""Runs that a step of another run started."""

import pytest
from tests.unit.store.run_writing import START, code, started, write_run

from podium.errors import UsageError
from podium.events import AttemptStarted
from podium.store.surrounding import Surrounding, placed, surrounding_in, surrounding_of

WITHIN = {"options": {"within": {"run": "r1", "step": "fast/model"}}}


def begin(store, run, at, **more):
    store.append(run, 1, [started(run, at, **more), AttemptStarted(at_us=START, step="a", number=1, token=2)])


def test_a_run_that_a_step_started_is_not_the_latest_and_belongs_to_that_step(store):
    write_run(store, "r1", at=1)
    begin(store, "r2", 2, **WITHIN)
    begin(store, "r3", 3, **WITHIN)
    assert store.run("latest").id == "r1"
    assert [row.id for row in store.runs(inner=False)] == ["r1"]
    assert [row.id for row in store.runs()] == ["r3", "r2", "r1"]
    assert [row.id for row in store.runs_within("r1", "fast/model")] == ["r2", "r3"]
    assert store.runs_within("r1", "fast") == store.runs_within("r2", "fast/model") == []
    assert store.run("r2").id == "r2"


def test_with_inner_runs_alone_there_is_no_latest(store):
    begin(store, "r2", 2, **WITHIN)
    with pytest.raises(UsageError) as caught:
        store.run("latest")
    assert code(caught) == "U411"


def test_an_outer_run_is_compared_with_the_outer_one_before_and_an_inner_one_with_any(store):
    write_run(store, "r1", at=1)
    begin(store, "r2", 2, **WITHIN)
    write_run(store, "r3", at=3)
    begin(store, "r4", 4, **WITHIN)
    assert store.previous(store.run("r3")).id == "r1"
    assert store.previous(store.run("r4")).id == "r3"


def test_it_is_known_after_the_read_models_are_made_anew(store):
    write_run(store, "r1", at=1)
    begin(store, "r2", 2, **WITHIN)
    store.rebuild()
    assert store.run("latest").id == "r1"
    assert surrounding_of(store.run("r2")) == Surrounding("r1", "fast/model")
    assert surrounding_of(store.run("r1")) is None


def test_only_runs_that_are_there_by_their_whole_id_are_known(store):
    write_run(store, "0190aa11")
    assert store.has("0190aa11")
    assert not store.has("0190aa")
    assert not store.has("latest")


def test_a_process_knows_the_step_it_was_started_for():
    assert surrounding_in({"PODIUM_RUN": "r1", "PODIUM_STEP": "a"}) == Surrounding("r1", "a")
    assert surrounding_in({"PODIUM_STEP": "a"}) is None
    assert surrounding_in({"PODIUM_RUN": ""}) is None


def test_a_plan_that_is_run_again_forgets_where_it_was_run_before():
    options = placed({"speed": 1}, Surrounding("r1", "a"))
    assert options == {"speed": 1, "within": {"run": "r1", "step": "a"}}
    assert placed(options, None) == {"speed": 1}
