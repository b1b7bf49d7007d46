"""Read models are a function of the journal: rebuilt, they are as they were."""

import asyncio
import shutil
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.store.run_writing import SECOND, START, one_step, rows, started, write_run

from podium.engine.dispatcher import Dispatcher
from podium.events import Failure
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Policy, Retry
from podium.protocols import Finished, Work
from podium.store import Store
from podium.testing.clock import VirtualClock
from podium.testing.executors import Act, ScriptedExecutor, failing, hanging, losing, passing


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
