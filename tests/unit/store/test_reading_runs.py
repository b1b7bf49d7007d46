"""What the store answers about runs and their steps."""

import pytest
from tests.unit.store.run_writing import SECOND, START, code, finished, one_step, started, write_run

from podium.errors import UsageError
from podium.events import AttemptFinished, AttemptStarted, CancelRequested, Failure, RunResumed, StepFinished
from podium.protocols import content_digest


def test_runs_are_listed_newest_first_with_limit_kind_and_name(store):
    write_run(store, "r1", at=10, name="nightly", work="campaign")
    write_run(store, "r2", at=30, name="smoke", work="campaign")
    write_run(store, "r3", at=20, name="nightly", work="workflow")
    assert [row.id for row in store.runs()] == ["r2", "r3", "r1"]
    assert [row.id for row in store.runs(2)] == ["r2", "r3"]
    assert store.runs(0) == []
    assert [row.id for row in store.runs(work="campaign")] == ["r2", "r1"]
    assert [row.id for row in store.runs(name="nightly")] == ["r3", "r1"]
    assert [row.id for row in store.runs(work="campaign", name="nightly")] == ["r1"]
    assert store.runs(work="layers") == []


def test_a_run_row_holds_what_the_run_began_with_and_came_to(store):
    options = {"speed": 2.0, "paths": ["a"]}
    beginning = started("r1", 5, steps=3, slots=4, seed=7, parent="r0", options=options, engine="host:1:2")
    store.append("r1", 1, [beginning])
    row = store.run("r1")
    assert (row.id, row.work, row.name, row.parent) == ("r1", "plan", "nightly", "r0")
    assert (row.steps, row.slots, row.seed, row.options) == (3, 4, 7, options)
    assert (row.definition, row.engine, row.started_us) == (content_digest(b"plan"), "host:1:2", START + 5 * SECOND)
    assert (row.finished_us, row.outcome, row.counts, row.duration) == (None, None, {}, None)
    store.append("r1", 2, [finished(9, "failed", 4.0, {"failed": 1, "passed": 2})])
    row = store.run("r1")
    assert (row.finished_us, row.outcome, row.duration) == (START + 9 * SECOND, "failed", 4.0)
    assert row.counts == {"failed": 1, "passed": 2}


def test_a_resumed_run_is_unfinished_again_has_a_new_owner_and_its_durations_add_up(store):
    store.append("r1", 1, [started("r1", engine="old"), finished(3, "cancelled", 3.0)])
    assert store.unfinished() == []
    store.append("r1", 3, [RunResumed(at_us=START + 60 * SECOND, engine="new")])
    (row,) = store.unfinished()
    assert (row.id, row.engine, row.outcome, row.finished_us) == ("r1", "new", None, None)
    store.append("r1", 4, [finished(62, "passed", 2.0)])
    assert store.unfinished() == []
    row = store.run("r1")
    assert (row.outcome, row.counts, row.duration) == ("passed", {"passed": 1}, 5.0)


def test_a_part_that_ended_in_a_crash_counts_until_its_last_event(store):
    store.append("r1", 1, [started("r1", 2, engine="old"), CancelRequested(at_us=START + 7 * SECOND, who="me", why="")])
    store.append("r1", 3, [RunResumed(at_us=START + 60 * SECOND, engine="new")])
    store.append("r1", 4, [CancelRequested(at_us=START + 61 * SECOND, who="me", why="")])
    store.append("r1", 5, [RunResumed(at_us=START + 80 * SECOND, engine="newer")])
    store.append("r1", 6, [finished(82, "passed", 2.0)])
    assert store.run("r1").duration == 5.0 + 1.0 + 2.0


def test_a_run_is_found_by_id_by_unique_beginning_and_as_latest(store):
    write_run(store, "0190aa11", at=1)
    write_run(store, "0190ab22", at=3)
    write_run(store, "0191cc33", at=2)
    assert store.run("0190aa11").id == "0190aa11"
    assert store.run("0190ab").id == "0190ab22"
    assert store.run("0191").id == "0191cc33"
    assert store.run("0191CC").id == "0191cc33"
    assert store.run("latest").id == "0190ab22"


def test_an_ambiguous_beginning_of_an_id_names_the_runs(store):
    write_run(store, "0190aa11", at=1)
    write_run(store, "0190ab22", at=3)
    with pytest.raises(UsageError, match="0190aa11, 0190ab22") as caught:
        store.run("0190a")
    assert code(caught) == "U410"


@pytest.mark.parametrize("name", ["0191", "", "%", "0190aa1_", "0190aa111", "190"])
def test_an_unknown_run_is_a_usage_error(store, name):
    write_run(store, "0190aa11")
    with pytest.raises(UsageError) as caught:
        store.run(name)
    assert code(caught) == "U411"


def test_the_previous_run_is_the_newest_of_the_same_name_before_it(store):
    for run, name, at in (("r1", "a", 1), ("r2", "b", 2), ("r3", "a", 3), ("r4", "a", 3), ("r5", "b", 5)):
        store.append(run, 1, [started(run, name=name, at=at)])
    before = {run: store.previous(store.run(run)).id for run in ("r3", "r4", "r5")}
    assert before == {"r3": "r1", "r4": "r3", "r5": "r2"}
    for run in ("r1", "r2"):
        with pytest.raises(UsageError, match=f"before {run}") as caught:
            store.previous(store.run(run))
        assert code(caught) == "U411"


def test_latest_of_an_empty_store_is_unknown(store):
    with pytest.raises(UsageError) as caught:
        store.run("latest")
    assert code(caught) == "U411"


def test_steps_are_those_with_an_outcome_in_the_order_of_their_ends(store):
    failure = Failure("Criteria", "too few", "more")
    second = one_step(
        "b", "failed", token=5, at=2, duration=0.5, output={"x": [1]}, failure=failure, artifacts={"log": "d"}
    )
    first = one_step("z", at=1, duration=0.25)
    skipped = StepFinished(at_us=START + 3 * SECOND, step="c", outcome="skipped", attempts=0, reason="`b` failed")
    under_way = AttemptStarted(at_us=START, step="d", number=1, token=9)
    store.append("r1", 1, [started("r1"), *first, *second, skipped, under_way])
    write_run(store, "r2")
    z, b, c = store.steps("r1")
    assert (z.run, z.name, z.outcome, z.attempts, z.duration, z.failure) == ("r1", "z", "passed", 1, 0.25, None)
    assert (b.name, b.outcome, b.finished_us, b.duration) == ("b", "failed", START + 2 * SECOND, 0.5)
    assert (b.output, b.failure, b.artifacts) == ({"x": [1]}, failure, {"log": "d"})
    assert (c.name, c.outcome, c.attempts, c.reason, c.duration, c.output) == (
        "c",
        "skipped",
        0,
        "`b` failed",
        None,
        None,
    )
    assert store.steps("unknown") == []


@pytest.mark.parametrize("size", [1, 2, 99])
def test_a_step_shows_its_last_attempt_however_its_events_were_batched(store, size):
    def attempt(number, token, outcome, output):
        return [
            AttemptStarted(at_us=START, step="a", number=number, token=token),
            AttemptFinished(at_us=START, step="a", token=token, outcome=outcome, duration=float(number), output=output),
        ]

    end = StepFinished(at_us=START, step="a", outcome="passed", attempts=2)
    events = [started("r1"), *attempt(1, 2, "failed", "first"), *attempt(2, 4, "passed", "second"), end]
    for first in range(0, len(events), size):
        store.append("r1", first + 1, events[first : first + size])
        if first + size < len(events):
            assert store.steps("r1") == []
    (row,) = store.steps("r1")
    assert (row.outcome, row.attempts, row.duration, row.output) == ("passed", 2, 2.0, "second")


def test_only_cancelled_steps_are_pending_again_when_a_run_is_resumed(store):
    cancelled = StepFinished(at_us=START, step="b", outcome="cancelled", attempts=0, reason="Ctrl-C")
    store.append("r1", 1, [started("r1"), *one_step("a"), cancelled, finished(1, "cancelled")])
    assert [row.name for row in store.steps("r1")] == ["a", "b"]
    store.append("r1", 7, [RunResumed(at_us=START + SECOND, engine="new")])
    assert [row.name for row in store.steps("r1")] == ["a"]
    assert [row.name for row in store.history("b")] == []
    store.append("r1", 8, one_step("b", token=8, at=2))
    assert [(row.name, row.outcome, row.reason) for row in store.steps("r1")] == [
        ("a", "passed", ""),
        ("b", "passed", ""),
    ]


def test_history_is_what_a_step_came_to_newest_first(store):
    write_run(store, "r1", at=1, outcome="failed", output=1)
    write_run(store, "r2", at=3, output=3)
    write_run(store, "r3", at=2, output=2)
    store.append("r4", 1, [started("r4", 9), *one_step("a", at=9)[:2]])
    store.append("r5", 1, [started("r5", 8), *one_step("aa", at=8)])
    assert [(row.run, row.outcome, row.output) for row in store.history("a")] == [
        ("r2", "passed", 3),
        ("r3", "passed", 2),
        ("r1", "failed", 1),
    ]
    assert [row.run for row in store.history("a", limit=1)] == ["r2"]
    assert store.history("unknown") == []


def test_durations_are_medians_of_the_last_five_passes(store):
    assert store.durations(["a"]) == {}
    for at, duration in enumerate([1000.0, 900.0, 4.0, 1.0, 5.0, 2.0, 3.0]):
        write_run(store, f"r{at}", at=at, duration=duration)
    write_run(store, "failed", at=50, outcome="failed", duration=700.0)
    store.append("open", 1, [started("open", 60), *one_step("a", at=60, duration=800.0)[:2]])
    assert store.durations(["a", "unknown"]) == {"a": 3.0}
