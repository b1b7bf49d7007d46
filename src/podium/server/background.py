"""The background queue: runs that begin when nobody needs the machine, and go on without a terminal.

A task is a run that is in the journal before it begins, so from `enqueue` on it is not lost; whoever is there takes it
up. What becomes of a task:

    queued      it is in the journal, and no process has begun it
    running     a process of its own conducts it
    interrupted that process is gone; the daemon takes it up where it was
    OUTCOME     it is over; if it did not pass and has retries left, a new run with the same plan is queued

One process per store, the daemon (`podium.server.background_daemon`), begins tasks: low priority numbers first, then
the oldest, so many at once. It ends when the queue is empty. It and all it starts have the lowest priority there is for
processors and disks; still, it begins nothing while a run in the foreground is under way, because memory, ports and
caches have no priorities. A task that was queued with `beside` begins nevertheless.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from podium.engine import Dispatcher
from podium.engine.announcing import definition_of, run_started
from podium.errors import EnvironmentProblemError, NothingSelectedError, StoreError, UsageError
from podium.executors.registry import ALL_KINDS
from podium.messages import Cancel
from podium.plan.graph import Plan
from podium.protocols import content_digest
from podium.runtime import ownership
from podium.server.background_environment import environment, forget, keep, kept
from podium.session import Session
from podium.store import Daemon, RunRow, Task, new_run_id, task_of
from podium.store.queue import OPTION

PRIORITY = 100
"""Of tasks for which none is given."""
AT_ONCE = 2
"""How many tasks are under way at most, if the caller does not say."""
_LATEST_SIGN = 60.0
"""A daemon in another container or on another machine that has not been heard of for so long is gone [s]."""


def enqueue(
    session: Session,
    plan: Plan,
    *,
    category: str = "",
    priority: int = PRIORITY,
    timeout: float | None = None,
    retries: int = 0,
    beside: bool = False,
    cwd: Path | None = None,
) -> str:
    """Queue a plan and return the id of its run; from here on it is not lost. `ensure_daemon` has it worked on.

    It will run with the environment that this process has now.

    Args:
        session: Its store keeps the queue.
        plan: What to run.
        category: What a person may select by.
        priority: Lower numbers begin first.
        timeout: Longest duration of the run [s]; of each part of it, should it be interrupted.
        retries: How often it is run again if it does not pass; each time is a run of its own.
        beside: It may begin while a run in the foreground is under way.
        cwd: Working directory; by default that of this process.

    Raises:
        EnvironmentProblemError: Its environment cannot be kept (E502).
        NothingSelectedError: The plan has no steps.
        PlanError: A step asks for something that another process cannot do (P206).
        StoreError: It cannot be written down.
        UsageError: The timeout is not above 0, or retries are below 0 (U440).
    """
    if not plan.steps:
        raise NothingSelectedError("the plan has no steps, so there is nothing to run")
    if timeout is not None and not timeout > 0:
        raise UsageError(f"a timeout must be above 0 s, not {timeout:g} s", code="U440", hint="leave it out for none")
    if retries < 0:
        raise UsageError(f"retries must be at least 0, not {retries}", code="U440")
    Dispatcher.check(plan, ALL_KINDS)
    folder = str((cwd or Path.cwd()).resolve())
    plan = session.with_expected_durations(plan)
    task = Task("", category, priority, timeout, retries, beside=beside, cwd=folder)
    return _announce(session, plan, task, environment())


def enqueue_again(session: Session, row: RunRow) -> str:
    """Queue a task again that did not pass, and return the id of the new run, whose parent is the old one."""
    task = task_of(row)
    assert task is not None, row.id
    again = msgspec.structs.replace(task, retried=task.retried + 1)
    variables = kept(session.store.path, row.id)
    return _announce(session, session.plan_of(row.id), again, variables, parent=row.id)


def _announce(session: Session, plan: Plan, task: Task, variables: Mapping[str, str], parent: str | None = None) -> str:
    run = new_run_id()
    task = msgspec.structs.replace(task, run=run)
    limits = [limit for limit in (plan.deadline, task.timeout) if limit is not None]
    options = {**plan.options, OPTION: msgspec.to_builtins(task)}
    plan = msgspec.structs.replace(plan, options=options, deadline=min(limits, default=None))
    definition = definition_of(plan)
    digest = content_digest(definition)
    started = run_started(run, plan, definition=digest, at_us=time.time_ns() // 1000, parent=parent)
    keep(session.store.path, run, variables)  # before anybody can begin it
    session.store.append(run, 1, [started], {digest: definition})
    return run


def ensure_daemon(session: Session, *, at_once: int = AT_ONCE) -> bool:
    """Have the queue worked on: start a daemon unless there is one or nothing to do. Return whether there is one now.

    However many call this at the same time, one daemon is started.

    Args:
        session: Its store keeps the queue.
        at_once: How many tasks are under way at most; one that is there already keeps its own number.

    Raises:
        EnvironmentProblemError: No process can be started (E500).
        StoreError: The store fails.
        UsageError: `at_once` is below 1 (U440).
    """
    if at_once < 1:
        raise UsageError(f"at least 1 task must be allowed at once, not {at_once}", code="U440")

    def started(current: Daemon) -> Daemon:
        if is_there(current):
            return current
        if not session.store.tasks() and not session.store.tasks_to_repeat():
            return Daemon()
        return Daemon(_start(session.store.path, at_once), now_us())

    try:
        return bool(session.store.change_daemon(started).engine)
    except OSError as error:
        raise EnvironmentProblemError(f"the background queue cannot be worked on: {error}") from error


def is_there(daemon: Daemon) -> bool:
    """Return whether a daemon is alive, as far as can be told."""
    host, _, identity = daemon.engine.partition(":")
    if host == socket.gethostname():
        return ownership.is_alive(identity)
    return bool(host) and now_us() - daemon.seen_us < _LATEST_SIGN * 1e6


def cancel(session: Session, row: RunRow, content: Cancel) -> bool:
    """Cancel a task that is not under way, and return whether that was so.

    One that has not begun ends at once; one that was interrupted is taken up by the daemon, to end in good order.

    Args:
        session: Its store keeps the queue.
        row: The task.
        content: Who cancels it, and why.

    Raises:
        StoreError: The store fails.
    """
    if task_of(row) is None:
        return False
    if session.is_running(row):
        ensure_daemon(session)  # should its process be about to end with an earlier one, somebody has to end the task
        return False
    session.store.send(row.id, content)
    if row.engine:
        ensure_daemon(session)
        return True
    try:
        session.resume(row.id, reopen=False)
    except UsageError:  # the daemon has begun it just now, or somebody else has cancelled it
        pass
    except StoreError as error:
        if error.diagnostics[0].code != "E511":  # the same, a moment later
            raise
    forget_done(session)
    return True


def forget_done(session: Session) -> None:
    """Delete what is kept of the environments of tasks that are over."""

    def is_over(run: str) -> bool | None:
        try:
            return session.store.run(run).outcome is not None
        except UsageError:
            return None

    forget(session.store.path, is_over)


def now_us() -> int:
    """Return the time of day [us since the Unix epoch]."""
    return time.time_ns() // 1000


def log_of(store: Path) -> Path:
    """Return where the daemon of a store writes what goes wrong."""
    return store.with_name(f"{store.name}.background.log")


def _start(store: Path, at_once: int) -> str:
    """Start a daemon and return its identity."""
    store = store.resolve()
    with log_of(store).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "podium.server.background_daemon", str(store), str(at_once)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
            cwd=store.anchor,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, name="podium-background", daemon=True).start()  # so that no zombie is left
    return f"{socket.gethostname()}:{ownership.identity_of(process.pid)}"
