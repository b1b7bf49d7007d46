"""The variables with which tasks of the background run, with real processes."""

import contextlib
import time

import pytest

from podium.messages import Cancel
from podium.plan.graph import Plan, Step
from podium.protocols import Work
from podium.server.background import cancel, enqueue, ensure_daemon, is_there, log_of
from podium.session import Session

pytestmark = pytest.mark.once

PATIENCE = 40


class Queue:
    """A store in a folder of its own, with a queue."""

    def __init__(self, folder):
        self.folder = folder
        self.session = Session.open(folder / "runs.db")
        self.store = self.session.store

    def add(self, name, shell, **more):
        plan = Plan.of(name, [Step("s", Work("command", {"shell": shell}))], options={"cwd": str(self.folder)})
        return enqueue(self.session, plan, cwd=self.folder, **more)

    def read(self, name):
        return (self.folder / name).read_text().split()

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, log_of(self.store.path).read_text()
            time.sleep(0.02)

    def close(self):
        (self.folder / "gate").touch()
        self.wait(lambda: not self.store.tasks() and not is_there(self.store.daemon))
        self.session.close()


@pytest.fixture
def queue(tmp_path):
    with contextlib.closing(Queue(tmp_path.resolve())) as queue:
        yield queue


def test_each_task_has_the_environment_of_who_queued_it(queue, monkeypatch):
    monkeypatch.setenv("WHOSE", "first")
    queue.add("first", "echo $WHOSE > first; while [ ! -e gate ]; do sleep 0.02; done")
    assert ensure_daemon(queue.session)
    queue.wait((queue.folder / "first").exists)
    monkeypatch.setenv("WHOSE", "second")
    queue.add("second", "echo $WHOSE > second")
    monkeypatch.setenv("WHOSE", "nobody")
    queue.wait(lambda: len(queue.store.tasks_done()) == 1)
    assert (queue.read("first"), queue.read("second")) == (["first"], ["second"])


def test_it_is_the_same_when_a_task_is_tried_again_and_gone_afterwards(queue, monkeypatch):
    monkeypatch.setenv("WHOSE", "mine")
    queue.add("task", "echo $WHOSE >> seen; exit 1", retries=1)
    monkeypatch.setenv("WHOSE", "nobody")
    assert ensure_daemon(queue.session)
    queue.wait(lambda: not queue.store.tasks() and not is_there(queue.store.daemon))
    assert queue.read("seen") == ["mine", "mine"]
    assert not (queue.folder / "runs.db.background").exists()


def test_nothing_is_kept_of_a_task_that_is_cancelled_before_it_begins(queue):
    run = queue.add("task", "true")
    assert (queue.folder / "runs.db.background" / run).exists()
    assert cancel(queue.session, queue.store.run(run), Cancel("me", "why"))
    assert not (queue.folder / "runs.db.background").exists()
