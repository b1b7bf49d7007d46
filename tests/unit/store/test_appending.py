"""An append is written as a whole or not at all, also when the file refuses it or several write at once."""

import threading
import uuid
from contextlib import closing

import pytest
from tests.unit.store.run_writing import SECOND, START, code, finished, held, one_step, rows, started, write_run

from podium.errors import StoreError
from podium.events import RunResumed
from podium.protocols import content_digest
from podium.store import Store


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
