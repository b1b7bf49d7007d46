"""Circuits, messages and known results, kept in one file by several processes."""

import asyncio
import sqlite3
import threading
from contextlib import closing

import msgspec

from podium.engine import Dispatcher, LoopClock
from podium.engine.breaker import record
from podium.events import CacheChecked, FallbackTaken, StepFinished
from podium.executors.inline import InlineExecutor
from podium.messages import Cancel, Signal
from podium.plan.graph import Plan, Step
from podium.plan.policy import Breaker, Policy
from podium.protocols import Circuit, Finished, Work
from podium.store import Store
from podium.store.database import migrations


def test_a_circuit_is_seen_by_others_and_after_closing(path, store):
    store.update("shop", lambda circuit: msgspec.structs.replace(circuit, opened_us=7))
    with closing(Store.open(path)) as other:
        assert other.circuits() == {"shop": Circuit(opened_us=7)}


def test_no_failure_is_lost_when_many_tell_of_failures_at_once(path):
    breaker = Breaker("shop", failures=100, window=1e6)

    def fail(first):
        with closing(Store.open(path)) as mine:
            for number in range(10):
                mine.update("shop", lambda circuit, at=first + number: record(circuit, breaker, at, error="unknown"))

    with closing(Store.open(path)):
        threads = [threading.Thread(target=fail, args=(1000 + 10 * number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with closing(Store.open(path)) as reader:
        assert len(reader.circuits()["shop"].failures_us) == 40


def test_messages_of_a_run_come_in_order_each_once(store):
    for run, content in (("r1", Signal("a", {"x": 1}, "me")), ("r2", Signal("b")), ("r1", Cancel("me", "enough"))):
        store.send(run, content)
    first, second = store.messages("r1")
    assert (first.content, second.content) == (Signal("a", {"x": 1}, "me"), Cancel("me", "enough"))
    assert store.messages("r1", first.id) == [second]
    assert store.messages("r1", second.id) == []


def ran(store, run, *, output="x", outcome="passed"):
    """Run a plan of one step whose result may be taken again, and return how that step ended."""
    calls = []

    def work(payload):
        calls.append(payload)
        return Finished(outcome, output=output)

    plan = Plan.of("p", [Step("a", Work("do", {"n": 1}), policy=Policy(cache=True))])
    executors = {"do": InlineExecutor({"do": work})}
    dispatcher = Dispatcher(run, plan, journal=store, executors=executors, clock=LoopClock(), results=store)
    asyncio.run(dispatcher.run())
    events = [record.event for record in store.read(run)]
    return len(calls), [event for event in events if isinstance(event, CacheChecked | StepFinished)]


def test_a_step_that_passed_is_not_done_again_and_its_output_is_there(store):
    assert ran(store, "r1", output=[1])[0] == 1
    calls, (checked, finished) = ran(store, "r2")
    assert calls == 0
    assert (checked.hit, checked.run, checked.source) == (True, "r1", "a")
    assert finished.output == [1]
    assert store.steps("r2")[0].output == [1]
    assert ran(store, "r3")[1][0].run == "r1", "a result that was taken is no result of its own"


def test_what_did_not_pass_is_done_again(store):
    assert ran(store, "r1", outcome="failed")[0] == 1
    assert ran(store, "r2")[0] == 1


def test_a_known_result_goes_with_its_run(store):
    ran(store, "r1")
    store.delete_runs(2**62, is_running=lambda _row: False)
    assert ran(store, "r2")[0] == 1


def test_a_store_of_the_first_version_is_taken_over(path):
    with closing(sqlite3.connect(path)) as old:
        old.executescript(migrations()[0])
        old.execute("PRAGMA user_version = 1")
    with closing(Store.open(path)) as store:
        ran(store, "r1")
        assert store.run("r1").outcome == "passed"


def test_the_result_of_what_was_undone_or_of_a_fallback_is_not_taken(store):
    run = "r1"
    at = 1_700_000_000_000_000
    ran(store, run)
    store.append(run, 1 + len(list(store.read(run))), [StepFinished(at_us=at, step="a~undo", outcome="passed")])
    assert ran(store, "r2")[0] == 1
    taken = FallbackTaken(at_us=at, step="a", index=1, name="poor", reason="")
    store.append("r2", 1 + len(list(store.read("r2"))), [taken])
    assert ran(store, "r3")[0] == 1


def test_what_any_run_was_told_comes_in_order(store):
    for run, content in (("r1", Signal("a")), ("r2", Cancel("me", "enough"))):
        store.send(run, content)
    told = store.told_since(0)
    assert [(run, message.content) for run, message in told] == [("r1", Signal("a")), ("r2", Cancel("me", "enough"))]
    assert store.told_since(told[0][1].id) == told[1:]
