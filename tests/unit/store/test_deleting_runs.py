"""What goes with a deleted run, what stays, and which runs are never deleted."""

import uuid
from contextlib import closing

import pytest
from tests.unit.store.run_writing import SECOND, START, code, held, one_step, started, write_run

from podium.errors import StoreError
from podium.events import RunResumed
from podium.protocols import content_digest
from podium.store import Store, new_run_id


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
