"""What the store answers, keeps, deletes and refuses."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.engine.dispatcher import Dispatcher
from podium.errors import EnvironmentProblemError, StoreError, UsageError
from podium.events import (
    AttemptFinished,
    AttemptStarted,
    CancelRequested,
    Failure,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
)
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Policy, Retry
from podium.protocols import Finished, Work, content_digest
from podium.store import Store, new_run_id
from podium.store.database import connect, migrations
from podium.store.run_ids import RunIds
from podium.testing.clock import VirtualClock
from podium.testing.executors import Act, ScriptedExecutor, failing, hanging, losing, passing

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


@pytest.fixture
def path(tmp_path):
    return tmp_path / "podium.db"


@pytest.fixture
def store(path):
    with closing(Store.open(path)) as store:
        yield store


def started(run, at=0, **more):
    values = {"work": "plan", "name": "nightly", "definition": content_digest(b"plan"), "steps": 1, "slots": 2, **more}
    return RunStarted(at_us=START + at * SECOND, run=run, **values)


def finished(at=0, outcome="passed", duration=1.0, counts=None):
    return RunFinished(at_us=START + at * SECOND, outcome=outcome, counts=counts or {outcome: 1}, duration=duration)


def one_step(name="a", outcome="passed", *, token=2, at=0, duration=1.0, **result):
    at_us = START + at * SECOND
    return [
        AttemptStarted(at_us=at_us, step=name, number=1, token=token),
        AttemptFinished(at_us=at_us, step=name, token=token, outcome=outcome, duration=duration, **result),
        StepFinished(at_us=at_us, step=name, outcome=outcome),
    ]


def write_run(store, run, at=0, *, outcome="passed", blobs=None, name="nightly", work="plan", **step):
    events = [started(run, at, name=name, work=work), *one_step(outcome=outcome, at=at, **step), finished(at, outcome)]
    store.append(run, 1, events, {content_digest(b"plan"): b"plan", **(blobs or {})})


def code(caught):
    return caught.value.diagnostics[0].code


def rows(store):
    """Return the read models as they stand in the file."""
    return {
        table: store._connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in ("run", "step")
    }


def held(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


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


def test_deleting_runs_frees_the_blobs_only_they_used(store, path):
    def blobs(*contents):
        return {content_digest(data): data for data in contents}

    def artifacts(*contents):
        return {f"file{n}": content_digest(data) for n, data in enumerate(contents)}

    big = bytes(range(256)) * 400 + new_run_id().encode()
    write_run(store, "old", at=1, blobs=blobs(b"own", b"shared", big), artifacts=artifacts(b"own", b"shared", big))
    write_run(store, "new", at=9, blobs=blobs(b"shared", b"new"), artifacts=artifacts(b"shared", b"new"))
    store.append("solo", 1, [started("solo", 2, definition=content_digest(b"other plan"))], blobs(b"other plan"))
    kept_before = (list(store.read("new")), store.run("new"), store.steps("new"))
    deleted = store.delete_runs(START + 5 * SECOND, is_running=lambda _: False)
    assert set(deleted.runs) == {"old", "solo"}
    for data in (b"own", big, b"other plan"):
        with pytest.raises(StoreError) as caught:
            store.blob(content_digest(data))
        assert code(caught) == "E512"
    for data in (b"shared", b"new", b"plan"):
        assert store.blob(content_digest(data)) == data
    assert (list(store.read("new")), store.run("new"), store.steps("new")) == kept_before
    assert list(store.read("old")) == []
    assert store.steps("old") == []
    assert [row.run for row in store.history("a")] == ["new"]
    assert [held(path, table) for table in ("run_key", "run", "step", "blob")] == [1, 1, 1, 3]


def test_deleting_runs_shrinks_the_file_by_what_it_says(store, path):
    data = b"".join(uuid.uuid4().bytes for _ in range(20_000))
    write_run(store, "old", at=1, blobs={content_digest(data): data}, artifacts={"log": content_digest(data)})
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    deleted = store.delete_runs(START + 5 * SECOND, is_running=lambda _: False)
    assert deleted.freed_bytes == before - path.stat().st_size
    assert deleted.freed_bytes > 200_000


def test_only_runs_that_began_before_the_moment_are_deleted(store):
    for at in (1, 2, 3):
        write_run(store, f"r{at}", at=at)
    assert store.delete_runs(START, is_running=lambda _: False).runs == ()
    assert store.delete_runs(START + 2 * SECOND, is_running=lambda _: False).runs == ("r1",)
    assert [row.id for row in store.runs()] == ["r3", "r2"]


def test_a_running_run_is_never_deleted_but_a_crashed_one_is(store):
    data = b"of the running one"
    running = [started("running", 1), *one_step("a", artifacts={"log": content_digest(data)})[:2]]
    store.append("running", 1, running, {content_digest(data): data})
    store.append("crashed", 1, [started("crashed", 2)])
    write_run(store, "done", at=3)
    asked = []

    def is_running(row):
        asked.append(row.id)
        return row.id == "running"

    deleted = store.delete_runs(START + 100 * SECOND, is_running=is_running)
    assert set(deleted.runs) == {"crashed", "done"}
    assert set(asked) == {"running", "crashed"}, "a finished run is not asked about"
    assert [record.event for record in store.read("running")] == running
    assert store.blob(content_digest(data)) == data
    store.append("running", 4, [one_step("a")[2]])
    assert [row.name for row in store.steps("running")] == ["a"]


def test_a_deleted_run_can_be_written_anew(store):
    write_run(store, "r1", at=1)
    store.delete_runs(START + 5 * SECOND, is_running=lambda _: False)
    write_run(store, "r2", at=2)
    write_run(store, "r1", at=3)
    assert len(list(store.read("r1"))) == len(list(store.read("r2"))) == 5
    assert [row.id for row in store.runs()] == ["r1", "r2"]


def test_a_run_deleted_by_another_process_does_not_go_on_as_a_rest_of_itself(path):
    with (
        closing(Store.open(path)) as writer,
        closing(Store.open(path)) as cleaner,
        closing(Store.open(path)) as resumer,
    ):
        write_run(writer, "r1", at=1)
        assert cleaner.delete_runs(START + 5 * SECOND, is_running=lambda _: False).runs == ("r1",)
        for store in (writer, resumer, cleaner):
            with pytest.raises(StoreError, match="deleted") as caught:
                store.append("r1", 6, [RunResumed(at_us=START, engine="new")], {content_digest(b"x"): b"x"})
            assert code(caught) == "E511"
        write_run(writer, "r2", at=9)
        write_run(cleaner, "r1", at=8)
        for store in (writer, resumer, cleaner):
            assert [(row.id, row.outcome) for row in store.runs()] == [("r2", "passed"), ("r1", "passed")]
            assert len(list(store.read("r1"))) == len(list(store.read("r2"))) == 5


def test_nobody_resumes_a_run_between_its_choice_and_its_deletion(path):
    with closing(Store.open(path)) as cleaner, closing(Store.open(path)) as resumer:
        write_run(cleaner, "finished", at=1)
        cleaner.append("crashed", 1, [started("crashed", 2)])
        resumer._connection.execute("PRAGMA busy_timeout = 0")
        refused = []

        def is_running(row):
            with pytest.raises(StoreError) as caught:
                resumer.append("finished", 6, [RunResumed(at_us=START, engine="new")])
            refused.append(code(caught))
            return row.id == "crashed"

        assert cleaner.delete_runs(START + 5 * SECOND, is_running=is_running).runs == ("finished",)
        assert refused == ["E515"]
        assert [row.id for row in resumer.runs()] == ["crashed"]


class Killed(Exception):  # noqa: N818 (it is no error)
    pass


class Dying:
    """A journal of a process that is killed right after some append."""

    def __init__(self, store, appends):
        self.store = store
        self.left = appends

    def append(self, run, first_seq, events, blobs=None):
        self.store.append(run, first_seq, events, blobs)
        self.left -= 1
        if self.left == 0:
            raise Killed


def dispatch(store, run, plan, script, *, appends=0, cancel_at=None, epoch_us=START):
    """Run or resume a plan in the store, up to a number of appends; return whether it came to its end."""
    clock = VirtualClock(epoch_us)
    journal = Dying(store, appends)
    executors = {"scripted": ScriptedExecutor(clock, script)}
    dispatcher = Dispatcher(run, plan, journal=journal, executors=executors, clock=clock, engine=f"host:{epoch_us}:1")
    if cancel_at is not None:
        clock.call_later(cancel_at, lambda: dispatcher.cancel(who="user", why="enough"))
    records = list(store.read(run))
    try:
        asyncio.run(dispatcher.resume(records) if records else dispatcher.run())
    except Killed:
        return False
    return True


ACTS = st.sampled_from(
    [
        passing(),
        passing(0.3),
        Act(0.4, Finished("passed", output={"x": 1}, artifacts={"log": b"log"})),
        Act(0.2, Finished("errored", output=[None], failure=Failure("Scripted", "no", "details"))),
        failing(0.5),
        losing(0.7),
        hanging(),
        hanging(ignores_stop=True),
        Act(3.0, progress_every=0.6),
    ]
)


@st.composite
def plans(draw):
    count = draw(st.integers(1, 6))
    steps, script = [], {}
    for index in range(count):
        needs = draw(st.lists(st.integers(0, index - 1), unique=True, max_size=3)) if index else []
        until = draw(st.sampled_from(["passed", "done"]))
        retry = Retry(attempts=draw(st.integers(1, 3)), initial=0.5)
        policy = Policy(timeout=2.0, grace=1.0, retry=retry, losses=draw(st.integers(1, 4)))
        needs = tuple(Need(f"s{n}", until) for n in needs)
        steps.append(Step(name=f"s{index}", work=Work("scripted"), needs=needs, policy=policy))
        script[f"s{index}"] = draw(st.lists(ACTS, min_size=1, max_size=4))
    deadline = draw(st.none() | st.floats(0.5, 8.0))
    return Plan.of("random", steps, slots=draw(st.integers(1, 4)), deadline=deadline), script


lives = st.lists(st.tuples(st.integers(1, 25), st.none() | st.floats(0.1, 4.0)), max_size=3)
"""Of each process that works on a run: after how many appends it is killed, when it is asked to cancel."""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(plans(), lives, st.booleans()), min_size=1, max_size=3))
def test_rebuilt_read_models_are_as_they_were_whatever_happened_and_however_it_was_batched(cases):
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, folder)
        store = stack.enter_context(closing(Store.open(folder / "podium.db")))
        single = stack.enter_context(closing(Store.open(folder / "single.db")))
        names = [f"run{n}" for n in range(len(cases))]
        for name, ((plan, script), processes, to_the_end) in zip(names, cases, strict=True):
            epoch = START
            for appends, cancel_at in processes:
                dispatch(store, name, plan, script, appends=appends, cancel_at=cancel_at, epoch_us=epoch)
                epoch += 3600 * SECOND
            if to_the_end or not processes:
                assert dispatch(store, name, plan, script, epoch_us=epoch)
        for name in names:
            for record in store.read(name):
                single.append(name, record.seq, [record.event])
        written = rows(store)
        assert len(written["run"]) == len(cases)
        assert rows(single) == written
        store.rebuild()
        assert rows(store) == written


def test_rebuild_restores_read_models_that_were_damaged(store):
    write_run(store, "r1", at=1)
    write_run(store, "r2", at=2, outcome="failed")
    store.append("open", 1, [started("open", 3), *one_step("a")[:2]])
    written = rows(store)
    store._connection.execute("UPDATE run SET outcome = 'passed', name = 'x'")
    store._connection.execute("DELETE FROM step WHERE run = 1")
    store._connection.execute("INSERT INTO step (run, name, finished_us) VALUES (2, 'never', 0)")
    assert rows(store) != written
    store.rebuild()
    assert rows(store) == written


def test_a_new_store_is_made_with_its_directories_and_at_the_latest_version(tmp_path):
    path = tmp_path / "deep" / ".podium" / "podium.db"
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
    assert (path.parent / ".gitignore").read_text() == "*\n"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(migrations())
    with closing(Store.open(path)) as store:
        assert [row.id for row in store.runs()] == ["r1"]


def test_an_empty_file_becomes_a_store(path):
    path.touch()
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
        assert store.run("r1").outcome == "passed"


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_durability_is_what_was_asked_for(path, durability):
    with closing(connect(path, durability=durability)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == ({"normal": 1, "full": 2}[durability],)


def test_a_store_of_a_later_version_is_refused_and_left_as_it_is(path):
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
    later = len(migrations()) + 1
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {later}")
    with pytest.raises(StoreError, match=f"schema version {later}") as caught:
        Store.open(path)
    assert code(caught) == "E513"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == later
    assert held(path, "journal") == 5


def test_a_migration_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
    scripts = [*migrations(), "CREATE TABLE extra (x);\nALTER TABLE missing ADD COLUMN y;\n"]
    monkeypatch.setattr("podium.store.database.migrations", lambda: scripts)
    with pytest.raises(EnvironmentProblemError):
        Store.open(path)
    monkeypatch.undo()
    with closing(Store.open(path)) as store:
        assert [row.id for row in store.runs()] == ["r1"]
        tables = {row[0] for row in store._connection.execute("SELECT name FROM sqlite_master")}
    assert "extra" not in tables


def test_a_store_of_an_earlier_version_is_brought_up_to_date(path, monkeypatch):
    with closing(Store.open(path)) as store:
        write_run(store, "r1")
    scripts = [*migrations(), "ALTER TABLE run ADD COLUMN note TEXT;\n", "CREATE TABLE extra (x);\n"]
    monkeypatch.setattr("podium.store.database.migrations", lambda: scripts)
    for _ in range(2):
        with closing(Store.open(path)) as store:
            assert store._connection.execute("SELECT note FROM run").fetchall() == [(None,)]
            assert store._connection.execute("PRAGMA user_version").fetchone()[0] == len(scripts)


@pytest.mark.parametrize("text", ["hello", "kind: scenario\n" * 1000])
def test_a_text_file_is_no_store_and_is_left_as_it_is(path, text):
    path.write_text(text)
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert code(caught) == "E514"
    assert path.read_text() == text


@pytest.mark.parametrize("version", [0, len(migrations())])
def test_a_database_of_another_program_is_no_store_and_gets_no_tables(path, version):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE run (x)")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
    with pytest.raises(StoreError, match="another program") as caught:
        Store.open(path)
    assert code(caught) == "E514"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("run",)]


def test_a_place_that_cannot_be_written_is_a_problem_of_the_environment(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for place in (file / "podium.db", file / "deeper" / "podium.db", tmp_path):
        with pytest.raises(EnvironmentProblemError, match="cannot be written") as caught:
            Store.open(place)
        assert code(caught) == "E501"


def test_an_append_the_file_refuses_is_a_store_error_and_writes_nothing(store):
    write_run(store, "r1")
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="readonly") as caught:
        store.append("r1", 6, [RunResumed(at_us=START, engine="new")])
    assert code(caught) == "E515"
    store._connection.execute("PRAGMA query_only = OFF")
    store.append("r1", 6, [RunResumed(at_us=START, engine="new")])
    assert len(list(store.read("r1"))) == 6


def test_deleting_and_rebuilding_in_a_file_that_refuses_are_store_errors_and_change_nothing(store):
    write_run(store, "r1")
    written = rows(store)
    store._connection.execute("PRAGMA query_only = ON")
    for action in (store.rebuild, lambda: store.delete_runs(START + SECOND, is_running=lambda _: False)):
        with pytest.raises(StoreError, match="readonly") as caught:
            action()
        assert code(caught) == "E515"
    store._connection.execute("PRAGMA query_only = OFF")
    assert rows(store) == written
    assert len(list(store.read("r1"))) == 5


def test_a_full_disk_is_told_as_such_writes_nothing_and_the_run_goes_on_when_there_is_room(store, path):
    store.append("r1", 1, [started("r1")])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    data = b"".join(uuid.uuid4().bytes for _ in range(5_000))
    blobs = {content_digest(data): data}
    store._connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    for run, first in (("r1", 2), ("r2", 1)):
        events = one_step() if first == 2 else [started("r2")]
        with pytest.raises(StoreError, match="database or disk is full") as caught:
            store.append(run, first, events, blobs)
        assert code(caught) == "E515"
    assert [held(path, table) for table in ("run_key", "journal", "run", "step", "blob")] == [1, 1, 1, 0, 0]
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.append("r1", 2, one_step(), blobs)
    store.append("r2", 1, [started("r2")])
    assert store.blob(content_digest(data)) == data
    assert [held(path, table) for table in ("run_key", "journal", "run", "step", "blob")] == [2, 5, 2, 1, 1]


def test_a_batch_that_fails_late_is_undone_from_its_beginning(store, path):
    store.append("r1", 1, [started("r1")])
    with pytest.raises(TypeError):
        store.append("r1", 2, one_step(), {content_digest(b"x"): b"x", "no bytes": "text"})
    with pytest.raises(StoreError):
        store.append("r1", 2, [*one_step(), started("r1")], {content_digest(b"x"): b"x"})
    assert [held(path, table) for table in ("journal", "run", "step", "blob")] == [1, 1, 0, 0]


def test_an_event_that_cannot_be_encoded_writes_nothing(store):
    store.append("r1", 1, [started("r1")])
    with pytest.raises(TypeError):
        store.append("r1", 2, one_step("a", output=object()), {content_digest(b"x"): b"x"})
    assert len(list(store.read("r1"))) == 1
    with pytest.raises(StoreError):
        store.blob(content_digest(b"x"))
    with pytest.raises(TypeError):
        store.append("r2", 1, [started("r2", options={"x": object()})])
    write_run(store, "r2")
    assert len(list(store.read("r2"))) == 5


def test_two_stores_on_one_file_write_different_runs_in_turns(path):
    with closing(Store.open(path)) as one, closing(Store.open(path)) as two:
        events = {name: [started(name), *one_step(), finished()] for name in ("r1", "r2")}
        for seq in range(1, 6):
            one.append("r1", seq, [events["r1"][seq - 1]])
            two.append("r2", seq, [events["r2"][seq - 1]])
        for store in (one, two):
            assert {row.id: row.outcome for row in store.runs()} == {"r1": "passed", "r2": "passed"}
            for name, expected in events.items():
                assert [record.event for record in store.read(name)] == expected


def test_of_two_stores_that_continue_one_run_the_second_is_refused(path):
    with closing(Store.open(path)) as one, closing(Store.open(path)) as two:
        one.append("r1", 1, [started("r1")])
        two.append("r1", 2, [RunResumed(at_us=START, engine="two")], {content_digest(b"two"): b"two"})
        with pytest.raises(StoreError, match="another process continues this run") as caught:
            one.append("r1", 2, [RunResumed(at_us=START, engine="one")], {content_digest(b"one"): b"one"})
        assert code(caught) == "E511"
        assert one.run("r1").engine == "two"
        with pytest.raises(StoreError):
            one.blob(content_digest(b"one"))


def test_threads_with_their_own_stores_write_at_the_same_time(path):
    barrier = threading.Barrier(4, timeout=20)
    problems = []

    def write(number):
        try:
            with closing(Store.open(path)) as store:
                barrier.wait()
                for n in range(25):
                    write_run(store, f"run-{number}-{n}", blobs={content_digest(b"all"): b"all"})
                    for seq in range(6, 9):
                        store.append(f"run-{number}-{n}", seq, [RunResumed(at_us=START, engine=f"host:{seq}:1")])
        except Exception as problem:  # noqa: BLE001 (told below)
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with closing(Store.open(path)) as store:
        assert len(store.runs()) == 100
        assert {len(list(store.read(row.id))) for row in store.runs()} == {8}


def test_a_new_file_can_be_opened_by_many_at_the_same_moment(tmp_path):
    problems = []

    def open_one(path, barrier):
        barrier.wait()
        try:
            Store.open(path).close()
        except Exception as problem:  # noqa: BLE001 (told below)
            problems.append(problem)

    for n in range(25):
        barrier = threading.Barrier(6, timeout=20)
        arguments = (tmp_path / f"new{n}" / "podium.db", barrier)
        threads = [threading.Thread(target=open_one, args=arguments) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []


def test_run_ids_are_uuids_of_version_7_ordered_and_unique():
    ids = [new_run_id() for _ in range(20_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    for text in ids[::1000]:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, text)


def test_a_run_id_says_when_it_was_made_and_is_random_for_the_rest():
    moment = 0x0190_1234_5678
    made = uuid.UUID(RunIds(lambda: moment, lambda count: b"\xff" * count).new())
    assert made.int >> 80 == moment
    assert made.int & ((1 << 62) - 1) == (1 << 62) - 1
    assert RunIds(lambda: moment).new() != RunIds(lambda: moment).new()


def test_run_ids_grow_when_the_clock_stands_still_or_goes_back():
    moments = iter([*[1000] * 9000, *[500] * 9000, *[1001] * 10, 2000])
    ids = RunIds(lambda: next(moments), lambda count: b"\x00" * count)
    made = [ids.new() for _ in range(18_011)]
    assert made == sorted(set(made))
    assert {uuid.UUID(text).version for text in made} == {7}
    assert uuid.UUID(made[-1]).int >> 80 == 2000


def test_run_ids_differ_although_threads_ask_at_the_same_moment():
    class Slow(int):
        """Gives other threads a chance while it is compared."""

        def __le__(self, other):
            result = int(self) <= int(other)
            time.sleep(0.001)
            return result

    ids = RunIds(lambda: Slow(1000), lambda count: b"\x00" * count)
    made = []
    threads = [threading.Thread(target=lambda: made.extend(ids.new() for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 40


def test_run_ids_made_by_threads_and_processes_are_unique():
    made = []

    def make():
        made.extend(new_run_id() for _ in range(2000))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    program = "from podium.store import new_run_id\nfor _ in range(2000): print(new_run_id())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for thread in threads:
        thread.join()
    made += other.stdout.split()
    assert len(set(made)) == 10_000
