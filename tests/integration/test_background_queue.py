"""The background queue with real processes: order, limits, cancelling, retries, and what happens when it is killed."""

import contextlib
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from podium.errors import EnvironmentProblemError, NothingSelectedError, PlanError, StoreError, UsageError
from podium.events import AttemptStarted, RunFinished, RunResumed
from podium.messages import Cancel
from podium.plan.graph import Need, Plan, Step
from podium.protocols import Work
from podium.server.background import cancel, enqueue, ensure_daemon, is_there, log_of
from podium.session import Session
from podium.store import Daemon, task_of

pytestmark = pytest.mark.once

PATIENCE = 40
BLOCK = "echo begun >> {name}.log; while [ ! -e {gate} ]; do sleep 0.02; done"


class Queue:
    """A store in a folder of its own, with a queue."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "runs.db"
        self.session = Session.open(self.path)
        self.store = self.session.store

    def plan(self, name, *shells, **more):
        steps = [
            Step(name=f"s{n}", work=Work("command", {"shell": shell}), needs=(Need(f"s{n - 1}"),) if n else ())
            for n, shell in enumerate(shells)
        ]
        return Plan.of(name, steps, options={"cwd": str(self.folder)}, **more)

    def add(self, name="task", *shells, **more):
        return enqueue(self.session, self.plan(name, *(shells or ("true",))), cwd=self.folder, **more)

    def blocked(self, name, gate="gate", **more):
        """Queue a task that lasts until a file is there."""
        return self.add(name, BLOCK.format(name=name, gate=gate), **more)

    def begin(self, **more):
        assert ensure_daemon(self.session, **more)

    def open(self, gate="gate"):
        (self.folder / gate).touch()

    def has_begun(self, name):
        return (self.folder / f"{name}.log").exists()

    def outcome(self, run):
        return self.store.run(run).outcome

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def wait_for_end(self):
        """Wait until everything is done and the daemon has ended."""
        self.wait(lambda: not self.store.tasks() and not is_there(self.store.daemon))

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            return log_of(self.path).read_text()
        return ""

    def events(self, run, kind):
        return [record.event for record in self.store.read(run) if isinstance(record.event, kind)]

    def order(self):
        """Return the names of the tasks in the order in which they began."""
        began = [(self.events(row.id, RunResumed)[0].at_us, row.name) for row in self.store.tasks_done()]
        return [name for _, name in sorted(began)]

    @property
    def daemon_pid(self):
        return int(self.store.daemon.engine.split(":")[1])

    def processes(self, *words):
        """Return living processes of this store whose command line has these words."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = process.cmdline()
                is_ours = str(self.path) in line and "podium.server.background_daemon" in line
                if is_ours and set(words) <= set(line) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def started_by_steps(self):
        """Return living processes that steps of tasks started: they work in the folder of the queue."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.cwd() == str(self.folder) and process.pid != os.getpid():
                    found.append(process)
        return found

    def kill_daemon(self):
        """Kill the daemon, and wait until it and the processes of its tasks are dead."""
        os.kill(self.daemon_pid, signal.SIGKILL)
        self.wait(lambda: not is_there(self.store.daemon) and not self.processes())
        self.wait(lambda: not any(self.session.is_running(row) for row in self.store.tasks()))

    def close(self):
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.wait(lambda: not self.processes() and not self.started_by_steps())
        self.session.close()


@pytest.fixture
def queue(tmp_path):
    with contextlib.closing(Queue(tmp_path.resolve())) as queue:
        yield queue


def test_what_is_queued_is_run_and_the_daemon_ends_when_nothing_is_left(queue):
    first, second = queue.add("first"), queue.add("second", "exit 3")
    assert [row.id for row in queue.store.tasks()] == [first, second]
    queue.begin()
    queue.wait_for_end()
    assert (queue.outcome(first), queue.outcome(second)) == ("passed", "failed")
    queue.wait(lambda: not queue.processes())
    assert queue.store.daemon == Daemon()
    assert queue.log() == ""


def test_no_daemon_is_started_for_an_empty_queue(queue):
    assert not ensure_daemon(queue.session)
    assert queue.processes() == []


def test_lower_priority_numbers_begin_first_then_the_oldest(queue):
    for name, priority in (("third", 5), ("first", 1), ("fourth", 5), ("second", 3)):
        queue.add(name, priority=priority)
    queue.begin(at_once=1)
    queue.wait_for_end()
    assert queue.order() == ["first", "second", "third", "fourth"]


@pytest.mark.parametrize("at_once", [1, 2])
def test_no_more_than_so_many_are_under_way_at_once(queue, at_once):
    runs = [queue.blocked(f"t{number}", gate=f"gate{number}") for number in range(4)]
    queue.begin(at_once=at_once)
    for number in range(4):
        queue.wait(lambda number=number: queue.has_begun(f"t{number}"))
        if number >= at_once - 1:
            queue.open(f"gate{number - at_once + 1}")
    for number in range(4):
        queue.open(f"gate{number}")
    queue.wait_for_end()
    changes = sorted(
        change
        for run in runs
        for change in (
            (queue.events(run, RunResumed)[0].at_us, 1),
            (queue.events(run, RunFinished)[0].at_us, -1),
        )
    )
    under_way = [sum(step for _, step in changes[: n + 1]) for n in range(len(changes))]
    assert max(under_way) == at_once


def test_a_task_runs_where_it_was_queued(queue):
    run = queue.add("where", "pwd > where.txt")
    queue.begin()
    queue.wait_for_end()
    assert queue.outcome(run) == "passed"
    assert (queue.folder / "where.txt").read_text().strip() == str(queue.folder)


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="no SCHED_IDLE here")
def test_tasks_and_all_they_start_give_way_to_everything_else(queue):
    ask = "import os, psutil; print(os.sched_getscheduler(0), os.getpriority(0, 0), int(psutil.Process().ionice()[0]))"
    run = queue.add("idle", f'{sys.executable} -c "{ask}"')
    queue.begin()
    queue.wait_for_end()
    (step,) = queue.store.steps(run)
    assert step.output == f"{os.SCHED_IDLE} 19 {int(psutil.IOPRIO_CLASS_IDLE)}"


def test_a_queued_task_is_cancelled_at_once_and_never_begins(queue):
    run = queue.add("never", "touch begun")
    assert cancel(queue.session, queue.store.run(run), Cancel("me", "not needed"))
    assert queue.outcome(run) == "cancelled"
    assert queue.events(run, AttemptStarted) == []
    assert not ensure_daemon(queue.session)


def test_a_process_that_comes_too_late_does_not_begin_a_cancelled_task(queue):
    run = queue.add("never", "touch begun")
    cancel(queue.session, queue.store.run(run), Cancel("me", "not needed"))
    with pytest.raises(UsageError) as caught:
        queue.session.resume(run, reopen=False)
    assert caught.value.diagnostics[0].code == "U413"
    assert not (queue.folder / "begun").exists()
    assert queue.session.resume(run).outcome == "passed"  # a person may still want it


def test_a_queued_task_is_cancelled_while_others_keep_the_daemon_busy(queue):
    busy, run = queue.blocked("busy"), queue.add("never", "touch begun")
    queue.begin(at_once=1)
    queue.wait(lambda: queue.has_begun("busy"))
    assert cancel(queue.session, queue.store.run(run), Cancel("me", "not needed"))
    assert queue.outcome(run) == "cancelled"
    queue.open()
    queue.wait_for_end()
    assert queue.outcome(busy) == "passed"
    assert not (queue.folder / "begun").exists()
    assert queue.log() == ""


def test_a_running_task_is_cancelled_and_nothing_of_it_is_left(queue):
    run = queue.blocked("endless", gate="never")
    queue.begin()
    queue.wait(lambda: queue.has_begun("endless"))
    assert not cancel(queue.session, queue.store.run(run), Cancel("me", "enough"))
    queue.store.send(run, Cancel("me", "enough", force=True))
    queue.wait_for_end()
    assert queue.outcome(run) == "cancelled"
    queue.wait(lambda: not queue.started_by_steps())


def test_a_task_that_takes_too_long_is_timed_out(queue):
    run = queue.blocked("endless", gate="never", timeout=0.5)
    queue.begin()
    queue.wait_for_end()
    assert queue.outcome(run) == "timed_out"
    queue.wait(lambda: not queue.started_by_steps())


def test_the_shorter_limit_of_plan_and_queue_counts(queue):
    plan = queue.plan("limited", "true", deadline=5.0)
    for timeout, deadline in ((9.0, 5.0), (2.0, 2.0), (None, 5.0)):
        run = enqueue(queue.session, plan, timeout=timeout)
        assert queue.session.plan_of(run).deadline == deadline


def test_a_task_knows_how_long_its_steps_take(queue):
    assert queue.session.run(queue.plan("before", "true")).outcome == "passed"
    (step,) = queue.session.plan_of(queue.add("after")).steps
    assert step.expected == queue.store.durations(["s0"])["s0"]


def test_a_task_that_does_not_pass_is_run_again_as_a_run_of_its_own(queue):
    run = queue.add("second time", "echo x >> tries; test $(wc -l < tries) -ge 2", retries=3)
    queue.begin()
    queue.wait_for_end()
    rows = sorted(queue.store.runs(), key=lambda row: row.id)
    assert [(row.outcome, row.parent) for row in rows] == [("failed", None), ("passed", run)]
    assert [task_of(row).retried for row in rows] == [0, 1]


def test_retries_come_to_an_end(queue):
    queue.add("hopeless", "exit 1", retries=2)
    queue.begin()
    queue.wait_for_end()
    assert [task_of(row).retried for row in sorted(queue.store.tasks_done(), key=lambda row: row.id)] == [0, 1, 2]


def test_a_cancelled_task_is_not_run_again(queue):
    run = queue.add("unwanted", retries=5)
    cancel(queue.session, queue.store.run(run), Cancel("me", "no"))
    assert queue.store.tasks_to_repeat() == []


def test_a_retry_that_was_due_when_the_daemon_died_is_made_up_for(queue):
    run = queue.add("once more", "test -e fixed", retries=1)
    queue.session.resume(run)  # as if the daemon had died right after the end of the run
    (queue.folder / "fixed").touch()
    assert queue.outcome(run) == "failed"
    queue.begin()
    queue.wait_for_end()
    assert sorted(row.outcome for row in queue.store.runs()) == ["failed", "passed"]


def test_a_killed_daemon_leaves_nothing_and_loses_nothing(queue):
    running = queue.add("running", "echo once >> first.txt", BLOCK.format(name="running", gate="gate"))
    waiting = queue.add("waiting")
    queue.begin(at_once=1)
    queue.wait(lambda: queue.has_begun("running"))
    queue.kill_daemon()
    queue.wait(lambda: not queue.started_by_steps())
    assert {row.id for row in queue.store.tasks()} == {running, waiting}
    assert not queue.session.is_running(queue.store.run(running))
    queue.open()
    queue.begin()
    queue.wait_for_end()
    assert (queue.outcome(running), queue.outcome(waiting)) == ("passed", "passed")
    assert (queue.folder / "first.txt").read_text() == "once\n"  # what had passed was not done again


def test_what_was_interrupted_goes_on_before_what_was_queued(queue):
    queue.blocked("interrupted", priority=9)
    queue.begin(at_once=1)
    queue.wait(lambda: queue.has_begun("interrupted"))
    queue.kill_daemon()
    queue.add("urgent", priority=1)
    resumed = queue.store.tasks()[0].id
    queue.open()
    queue.begin(at_once=1)
    queue.wait_for_end()
    (urgent,) = [row.id for row in queue.store.runs() if row.name == "urgent"]
    assert queue.events(resumed, RunResumed)[1].at_us < queue.events(urgent, RunResumed)[0].at_us


def test_a_task_that_was_interrupted_can_be_cancelled(queue):
    run = queue.blocked("interrupted", gate="never")
    queue.begin()
    queue.wait(lambda: queue.has_begun("interrupted"))
    queue.kill_daemon()
    assert cancel(queue.session, queue.store.run(run), Cancel("me", "enough"))
    queue.wait_for_end()
    assert queue.outcome(run) == "cancelled"


def test_a_killed_process_of_a_task_is_replaced(queue):
    run = queue.blocked("killed")
    queue.begin()
    queue.wait(lambda: queue.has_begun("killed"))
    (process,) = queue.processes("run", run)
    process.kill()
    queue.wait(lambda: (queue.folder / "killed.log").read_text() == "begun\nbegun\n")
    queue.open()
    queue.wait_for_end()
    assert queue.outcome(run) == "passed"
    assert len(queue.events(run, RunResumed)) == 2


def test_a_task_that_ends_every_process_is_given_up_and_the_others_go_on(queue):
    deadly, harmless = queue.add("deadly", "kill -9 $PPID; sleep 60"), queue.add("harmless")
    queue.begin(at_once=1)
    queue.wait_for_end()
    assert (queue.outcome(deadly), queue.outcome(harmless)) == ("errored", "passed")
    assert f"run {deadly} is given up" in queue.log()


def test_many_callers_start_one_daemon(queue):
    queue.blocked("busy")
    ready = threading.Barrier(8)
    engines = []

    def call():
        with Session.open(queue.path) as session:
            ready.wait()
            ensure_daemon(session)
            engines.append(session.store.daemon.engine)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.wait(lambda: queue.has_begun("busy"))
    assert len(set(engines)) == 1
    assert [process.pid for process in queue.processes("2")] == [queue.daemon_pid]
    queue.open()
    queue.wait_for_end()


def test_what_is_queued_while_the_daemon_leaves_is_not_forgotten(queue):
    for number in range(6):
        run = queue.add(f"t{number}")
        queue.begin()
        queue.wait(lambda run=run: queue.outcome(run) is not None)
    queue.wait_for_end()


def test_a_second_daemon_that_is_started_by_hand_leaves_at_once(queue):
    from podium.server.background_daemon import Worker

    queue.blocked("busy")
    queue.begin()
    before = queue.store.daemon.engine
    with Session.open(queue.path) as session:
        Worker(session, 2).work()
    assert queue.store.daemon.engine == before
    queue.open()
    queue.wait_for_end()


def test_a_daemon_elsewhere_counts_as_long_as_it_gives_signs_of_life(queue):
    now_us = time.time_ns() // 1000
    assert is_there(Daemon("elsewhere:1:2", now_us))
    assert not is_there(Daemon("elsewhere:1:2", now_us - 3_600_000_000))
    assert not is_there(Daemon())
    assert not is_there(Daemon(f"{socket.gethostname()}:1:2", now_us))


def test_nothing_begins_while_a_run_in_the_foreground_is_under_way_unless_asked(queue):
    foreground = []

    def run():
        with Session.open(queue.path) as session:
            foreground.append(session.run(queue.plan("foreground", BLOCK.format(name="foreground", gate="gate"))).run)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        queue.wait(lambda: queue.has_begun("foreground"))
        patient, beside = queue.add("patient", priority=1), queue.add("beside", priority=2, beside=True)
        queue.begin()
        queue.wait(lambda: queue.outcome(beside) == "passed")
        assert queue.store.run(patient).engine == ""
    finally:
        queue.open()
        thread.join()
    queue.wait_for_end()
    assert queue.outcome(patient) == "passed"
    assert queue.events(patient, RunResumed)[0].at_us >= queue.events(foreground[0], RunFinished)[0].at_us


def test_a_run_in_the_foreground_that_was_killed_holds_up_nothing(queue):
    from podium.engine.announcing import run_started

    dead = f"{socket.gethostname()}:1:2"
    started = run_started("dead", queue.plan("dead", "true"), definition="0", at_us=1, engine=dead)
    queue.store.append("dead", 1, [started])
    run = queue.add()
    queue.begin()
    queue.wait_for_end()
    assert queue.outcome(run) == "passed"


def test_the_daemon_ends_when_its_store_is_deleted(tmp_path):
    folder = tmp_path / "deleted"
    folder.mkdir()
    with contextlib.closing(Queue(folder)) as queue:
        queue.blocked("endless", gate="never")
        queue.begin()
        queue.wait(lambda: queue.has_begun("endless"))
        shutil.rmtree(folder)
        queue.wait(lambda: not queue.processes())


def test_a_rerun_by_a_person_is_no_task(queue):
    run = queue.add("failing", "exit 1")
    queue.begin()
    queue.wait_for_end()
    again = queue.session.rerun(run).run
    assert task_of(queue.store.run(again)) is None
    assert [row.id for row in queue.store.tasks_done()] == [run]


def test_results_come_newest_first_and_are_found_by_category_and_age(queue):
    for name, category in (("a", "e2e"), ("b", ""), ("c", "e2e")):
        cancel(queue.session, queue.store.run(queue.add(name, category=category)), Cancel("me", "no"))
    rows = queue.store.tasks_done()
    assert [row.name for row in rows] == ["c", "b", "a"]
    assert [row.name for row in queue.store.tasks_done(1)] == ["c"]
    assert [row.name for row in queue.store.tasks_done(category="e2e")] == ["c", "a"]
    assert [row.name for row in queue.store.tasks_done(since_us=rows[1].finished_us)] == ["c", "b"]
    assert queue.store.tasks_done(since_us=rows[0].finished_us + 1) == []


@pytest.mark.parametrize(("setting", "value"), [("timeout", 0.0), ("timeout", float("nan")), ("retries", -1)])
def test_settings_that_make_no_sense_are_refused(queue, setting, value):
    with pytest.raises(UsageError) as caught:
        queue.add(**{setting: value})
    assert caught.value.diagnostics[0].code == "U440"
    with pytest.raises(UsageError, match="not 0"):
        ensure_daemon(queue.session, at_once=0)
    assert queue.store.runs() == []


def test_what_another_process_cannot_do_is_refused(queue):
    with pytest.raises(PlanError) as caught:
        enqueue(queue.session, Plan.of("local", [Step(name="a", work=Work("local", {"function": "f"}))]))
    assert caught.value.diagnostics[0].code == "P206"
    with pytest.raises(NothingSelectedError):
        enqueue(queue.session, Plan("empty", ()))


def test_the_daemon_belongs_to_no_run_it_was_started_in(queue, monkeypatch):
    monkeypatch.setenv("PODIUM_OWNER", "1:gone/run")
    monkeypatch.setenv("PODIUM_GROUP", "group")
    queue.blocked("busy")
    queue.begin()
    queue.wait(lambda: queue.has_begun("busy"))
    variables = psutil.Process(queue.daemon_pid).environ()
    assert not {"PODIUM_OWNER", "PODIUM_GROUP"} & set(variables)
    queue.open()
    queue.wait_for_end()
    assert Path(f"{queue.path}.background.log").exists()


def test_a_task_that_waits_is_not_cleaned_away(queue):
    waiting, done = queue.add("waiting"), queue.add("done")
    cancel(queue.session, queue.store.run(done), Cancel("me", "no"))
    assert queue.session.clean(older_than_us=2**62).runs == (done,)
    queue.begin()
    queue.wait_for_end()
    assert queue.outcome(waiting) == "passed"


def test_a_store_that_fails_for_a_while_is_tried_again(queue, monkeypatch):
    worker, pauses = worker_with_failures(queue, monkeypatch, 5)
    worker.work()
    assert len(pauses) == 5
    assert pauses == sorted(pauses)
    assert queue.store.daemon == Daemon()


def test_a_store_that_keeps_failing_is_left_to_another_daemon(queue, monkeypatch):
    worker, _ = worker_with_failures(queue, monkeypatch, 1000)
    with pytest.raises(StoreError):
        worker.work()


def worker_with_failures(queue, monkeypatch, count):
    from podium.server import background_daemon

    failures, pauses, tasks = iter(range(count)), [], queue.store.tasks

    def failing():
        if next(failures, None) is not None:
            raise StoreError("the disk is full", code="E515")
        return tasks()

    monkeypatch.setattr(queue.store, "tasks", failing)
    monkeypatch.setattr(background_daemon.time, "sleep", pauses.append)
    return background_daemon.Worker(queue.session, 1), pauses


def test_a_process_that_cannot_be_started_is_a_problem_of_the_environment(queue, monkeypatch):
    queue.add()
    monkeypatch.setattr(sys, "executable", str(queue.folder / "missing"))
    with pytest.raises(EnvironmentProblemError, match="cannot be worked on"):
        ensure_daemon(queue.session)
    assert queue.store.daemon == Daemon()
