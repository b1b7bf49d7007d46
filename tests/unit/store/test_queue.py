"""The background queue in the store: what counts as a task, what is to be repeated, who works on it."""

import threading
from contextlib import closing

import pytest

from podium.errors import StoreError
from podium.events import RunFinished, RunResumed, RunStarted
from podium.store import Daemon, Store, task_of

AT_US = 1_700_000_000_000_000


def write(store, run, outcome=None, *, of=None, parent=None, engine="", at=0, **task):
    """Write a run that is queued, or over; `of` is the run its options are of."""
    options = {"background": {"run": of or run, "retries": 0, "retried": 0, **task}, "speed": 2}
    values = {"work": "plan", "name": run, "definition": "0", "steps": 1, "slots": 1, "parent": parent}
    events = [RunStarted(at_us=AT_US + at, run=run, options=options, engine=engine, **values)]
    if outcome is not None:
        events.append(RunFinished(at_us=AT_US + at, outcome=outcome, counts={}, duration=1.0))
    store.append(run, 1, events)


def names(rows):
    return [row.id for row in rows]


def test_tasks_are_runs_without_an_end_that_were_queued_oldest_first(store):
    write(store, "second", at=2)
    write(store, "first", at=1)
    write(store, "over", "passed")
    write(store, "rerun", of="over", engine="host:1:2")
    assert names(store.tasks()) == ["first", "second"]
    assert names(store.tasks_done()) == ["over"]
    store.append("second", 2, [RunResumed(at_us=AT_US, engine="host:1:2")])
    assert names(store.tasks()) == ["first", "second"]


def test_settings_come_back_as_they_were_given(store):
    write(store, "r1", category="e2e", priority=3, timeout=1.5, retries=2, beside=True, cwd="/srv")
    task = task_of(store.run("r1"))
    assert (task.category, task.priority, task.timeout, task.retries) == ("e2e", 3, 1.5, 2)
    assert (task.beside, task.cwd, task.retried, task.run) == (True, "/srv", 0, "r1")


@pytest.mark.parametrize("option", [None, True, 7, "text", [], {}, {"run": "other"}, {"run": "r1", "priority": "high"}])
def test_an_option_of_the_same_name_that_means_something_else_makes_no_task(store, option):
    values = {"work": "plan", "name": "n", "definition": "0", "steps": 1, "slots": 1}
    store.append("r1", 1, [RunStarted(at_us=AT_US, run="r1", options={"background": option}, **values)])
    assert task_of(store.run("r1")) is None
    assert store.tasks_to_repeat() == []


@pytest.mark.parametrize(
    ("outcome", "retried", "is_repeated"),
    [
        ("failed", 0, True),
        ("errored", 1, True),
        ("timed_out", 0, True),
        ("failed", 2, False),
        ("passed", 0, False),
        ("cancelled", 0, False),
        ("compensated", 0, False),
        (None, 0, False),
    ],
)
def test_what_did_not_pass_is_repeated_as_often_as_was_asked(store, outcome, retried, is_repeated):
    write(store, "r1", outcome, retries=2, retried=retried)
    assert bool(store.tasks_to_repeat()) == is_repeated


def test_what_is_repeated_already_is_not_repeated_again_but_for_a_rerun_by_a_person(store):
    write(store, "r1", "failed", retries=2)
    write(store, "by hand", "failed", of="r1", parent="r1", engine="host:1:2")
    assert names(store.tasks_to_repeat()) == ["r1"]
    write(store, "r2", parent="r1", retries=2, retried=1)
    assert store.tasks_to_repeat() == []


def test_who_works_on_the_queue_is_seen_by_others(store, path):
    assert store.daemon == Daemon()
    assert store.change_daemon(lambda _: Daemon("host:1:2", 7)) == Daemon("host:1:2", 7)
    with closing(Store.open(path)) as other:
        assert other.daemon == Daemon("host:1:2", 7)


def test_of_many_that_want_to_work_on_the_queue_one_does(store, path):
    winners = []

    def claim(number):
        with closing(Store.open(path)) as own:
            mine = Daemon(f"host:{number}:0", number)
            if own.change_daemon(lambda now: now if now.engine else mine) == mine:
                winners.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert store.daemon.seen_us == winners[0]


def test_a_change_that_fails_changes_nothing(store):
    def fail(_daemon):
        raise OSError("no process")

    with pytest.raises(OSError, match="no process"):
        store.change_daemon(fail)
    assert store.change_daemon(lambda now: now) == Daemon()
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError) as caught:
        store.change_daemon(lambda _: Daemon("host:1:2", 7))
    assert caught.value.diagnostics[0].code == "E515"
