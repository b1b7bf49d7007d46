"""`podium status`, and cancelling what is in the background, in processes of their own."""

import contextlib
import time

import pytest

from podium.plan.graph import Plan, Step
from podium.protocols import Work
from podium.server.background import enqueue, ensure_daemon, is_there
from podium.session import Session

pytestmark = pytest.mark.once

BLOCK = "touch begun; while [ ! -e gate ]; do sleep 0.02; done"


class Background:
    """The queue of the folder in which the command runs."""

    def __init__(self, podium):
        self.podium = podium
        self.session = Session.open(podium.folder / ".podium" / "podium.db")

    def add(self, name, shell="true", **more):
        options = {"cwd": str(self.podium.folder)}
        plan = Plan.of(name, [Step(name="s", work=Work("command", {"shell": shell}))], options=options)
        return enqueue(self.session, plan, cwd=self.podium.folder, **more)

    def begin(self):
        assert ensure_daemon(self.session)

    def wait(self, condition):
        deadline = time.monotonic() + 40
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def status(self, *options):
        return self.podium("status", "--format", "json", *options).json

    def close(self):
        (self.podium.folder / "gate").touch()
        self.wait(lambda: not is_there(self.session.store.daemon))
        self.session.close()


@pytest.fixture
def background(podium):
    with contextlib.closing(Background(podium)) as background:
        yield background


def names(runs):
    return [run["name"] for run in runs]


def test_an_empty_store_has_nothing_to_show(podium):
    assert podium("status").output == "nothing is under way\n\nthe background queue is empty\n"
    assert podium("status", "--format", "json").json == {
        "foreground": [],
        "background": [],
        "worked_on": False,
        "results": [],
    }


def test_queued_runs_are_shown_in_the_order_in_which_they_begin(podium, background):
    background.add("late", priority=7, category="nightly")
    background.add("soon", priority=2)
    status = background.status()
    assert names(status["background"]) == ["soon", "late"]
    assert [run["state"] for run in status["background"]] == ["queued", "queued"]
    assert not status["worked_on"]
    lines = podium("status").output.splitlines()
    assert lines[2] == "background queue"
    assert [line.split()[1] for line in lines[4:6]] == ["soon", "late"]
    assert "podium status --start" in lines[6]
    assert names(background.status("--category", "nightly")["background"]) == ["late"]
    for run in background.session.store.tasks():
        podium("cancel", run.id)


def test_running_and_done_tasks_are_shown_as_what_they_are(podium, background):
    done = background.add("done", priority=1, category="unit")
    background.add("failing", "exit 1", priority=2)
    background.add("busy", BLOCK, priority=3)
    podium("status", "--start")
    background.wait((podium.folder / "begun").exists)
    background.wait(lambda: len(background.session.store.tasks_done()) == 2)
    status = background.status()
    assert status["worked_on"]
    assert [(run["name"], run["state"]) for run in status["background"]] == [("busy", "running")]
    assert {(run["name"], run["outcome"]) for run in status["results"]} == {("done", "passed"), ("failing", "failed")}
    assert names(background.status("--category", "unit")["results"]) == ["done"]
    assert len(background.status("-n", "1")["results"]) == 1
    assert background.status("--since", "0s")["results"] == []
    assert len(background.status("--since", "2h")["results"]) == 2
    assert done[-8:] in podium("status").output


@pytest.mark.parametrize("verb", ["kill", "cancel"])
def test_a_queued_run_is_taken_out_of_the_queue(podium, background, verb):
    run = background.add("never", "touch never")
    podium(verb, run[-8:])
    status = background.status()
    assert status["background"] == []
    assert [(one["run"], one["state"]) for one in status["results"]] == [(run, "cancelled")]
    podium.refused(verb, run, error="U415")
    assert not (podium.folder / "never").exists()


@pytest.mark.parametrize("verb", ["kill", "cancel"])
def test_a_run_that_is_under_way_in_the_background_is_ended(podium, background, verb):
    run = background.add("busy", BLOCK)
    background.begin()
    background.wait((podium.folder / "begun").exists)
    podium(verb, run)
    background.wait(lambda: background.session.store.run(run).outcome is not None)
    assert background.session.store.run(run).outcome == "cancelled"


def test_a_run_in_the_foreground_is_shown_and_is_no_task(podium, background):
    podium.write("slow.yaml", duration="1h")
    process = podium.start("run", "slow.yaml", "--speed", "1")
    try:
        background.wait(lambda: any(run["state"] == "running" for run in background.status()["foreground"]))
        assert "under way" in podium("status").output
        podium("kill", "latest")
    finally:
        process.communicate(timeout=40)
    assert background.status()["foreground"] == []
    assert background.status()["results"] == []


def test_an_option_that_makes_no_sense_is_refused(podium):
    podium("status")
    assert "--since" in podium.refused("status", "--since", "soon", error="U400")
