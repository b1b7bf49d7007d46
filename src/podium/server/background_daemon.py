"""The process that works on the background queue of a store, and the processes that conduct its tasks.

    python -m podium.server.background_daemon STORE N       begins tasks, at most N at once, until the queue is empty
    python -m podium.server.background_daemon STORE run ID  conducts one task; ends with the daemon

The second kind reads its standard input, whose other end the daemon holds. When that closes, because the daemon was
killed, it ends at once, and its guard ends all it had started. The task is then interrupted, and the next daemon takes
it up. Nothing is asked of signals: to be killed is the normal way to be stopped, when the machine goes down or
otherwise.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

import psutil

from podium.errors import PodiumError, UsageError
from podium.events import CancelRequested, RunFinished, RunResumed
from podium.messages import Cancel
from podium.runtime import ownership
from podium.runtime.interrupts import Interrupts
from podium.server.background import enqueue_again, forget_done, is_there, log_of, now_us
from podium.server.background_environment import kept
from podium.session import Session
from podium.store import Daemon, RunRow, Task, task_of

_INTERVAL = 0.25
"""How often the daemon looks what has changed [s]."""
_SIGN_INTERVAL = 10.0
"""How often it says that it is there [s]."""
_VAIN = 3
"""After so many processes that ended without an end of the run, the task is given up."""
_FAILURES = 20
"""How often in a row the store may fail; the pauses between grow."""
_LONGEST_LOG = 1 << 20
"""A log that is longer is begun anew [byte]."""
_TAKEN = ("U411", "U412", "U413", "E511")
"""Codes of what happens to a process whose task is cancelled, resumed or deleted by somebody else meanwhile."""
_LAST_PRIORITY = 19
_log = logging.getLogger("podium.background")


class Worker:
    """The daemon: begins tasks of the queue, each in a process of its own, and looks after them.

    Args:
        session: Its store keeps the queue.
        at_once: How many tasks are under way at most.
    """

    def __init__(self, session: Session, at_once: int) -> None:
        self._session = session
        self._store = session.store
        self._at_once = at_once
        self._engine = f"{socket.gethostname()}:{ownership.identity()}"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._vain: Counter[str] = Counter()
        self._may_repeat = True
        self._failures = 0
        self._seen = time.monotonic()
        self._file = _file_of(self._store.path)

    def work(self) -> None:
        """Work until the queue is empty, unless another daemon is there."""
        if self._store.change_daemon(self._claimed).engine != self._engine:
            return
        try:
            while self._turn():
                time.sleep(_INTERVAL * (1 + self._failures))
        finally:
            for process in self._children.values():
                _let_go(process)

    def _claimed(self, current: Daemon) -> Daemon:
        if current.engine != self._engine and is_there(current):
            return current
        return Daemon(self._engine, now_us())

    def _is_mine(self) -> bool:
        """Return whether the store is there, and this process still the one that works on its queue."""
        if _file_of(self._store.path) != self._file:
            return False
        if time.monotonic() - self._seen < _SIGN_INTERVAL:
            return True
        self._seen = time.monotonic()
        return self._store.change_daemon(self._signed).engine == self._engine

    def _signed(self, current: Daemon) -> Daemon:
        return Daemon(self._engine, now_us()) if current.engine == self._engine else current

    def _turn(self) -> bool:
        """Look once at everything, and return whether there is more to do.

        Raises:
            PodiumError: The store could not be used many times in a row; the queue is left to another daemon.
        """
        try:
            is_more = self._looked()
        except (sqlite3.Error, PodiumError):
            self._failures += 1
            if self._failures == _FAILURES:
                raise
            _log.warning("the store cannot be used for now; the queue waits", exc_info=True)
            return True
        self._failures = 0
        return is_more

    def _looked(self) -> bool:
        if not self._is_mine():
            return False
        self._collect()
        if self._may_repeat:
            for row in self._store.tasks_to_repeat():
                enqueue_again(self._session, row)
            self._may_repeat = False
            forget_done(self._session)
        waiting = self._waiting()
        self._begin(waiting)
        return bool(self._children or waiting or self._store.change_daemon(self._left).engine)

    def _left(self, current: Daemon) -> Daemon:
        """Leave, unless something was queued in this moment; whoever queues after this one starts another daemon."""
        if current.engine == self._engine and not self._unfinished():
            return Daemon()
        return current

    def _collect(self) -> None:
        """Take note of processes that have ended."""
        ended = [run for run, process in self._children.items() if process.poll() is not None]
        for run in ended:
            self._may_repeat = True
            _let_go(self._children.pop(run))
            row = self._row(run)
            if row is None or row.outcome is not None:
                self._vain.pop(run, None)
            elif not _is_alive(row):
                self._vain[run] += 1
                if self._vain[run] >= _VAIN:
                    self._give_up(row)

    def _row(self, run: str) -> RunRow | None:
        try:
            return self._store.run(run)
        except UsageError:  # it has been deleted
            return None

    def _give_up(self, row: RunRow) -> None:
        """End a task that no process can conduct, for example because it uses up all memory."""
        _log.error("run %s is given up after %d processes", row.id, _VAIN)
        last = max(record.seq for record in self._store.read(row.id))
        why = f"its process ended {_VAIN} times before the run did; see {log_of(self._store.path)}"
        at_us = now_us()
        events = (
            RunResumed(at_us=at_us, engine=self._engine, reopens=False),
            CancelRequested(at_us=at_us, who="background queue", why=why),
            RunFinished(at_us=at_us, outcome="errored", counts={}, duration=0.0),
        )
        self._store.append(row.id, last + 1, events)

    def _unfinished(self) -> list[tuple[RunRow, Task]]:
        """Return the tasks without an end."""
        found = [(row, task_of(row)) for row in self._store.tasks()]
        return [(row, task) for row, task in found if task is not None]

    def _waiting(self) -> list[tuple[RunRow, Task]]:
        """Return the tasks that no process conducts: first what was interrupted, then by priority and age."""
        found = [(row, task) for row, task in self._unfinished() if row.id not in self._children]
        return sorted(found, key=lambda one: (not one[0].engine, one[1].priority, one[0].started_us, one[0].id))

    def _begin(self, waiting: list[tuple[RunRow, Task]]) -> None:
        if not waiting:
            return
        has_company = self._is_foreground_busy()
        for row, task in waiting:
            if _is_alive(row):  # a person has resumed it, or a process of an earlier daemon is about to end
                continue
            may = len(self._children) < self._at_once and (task.beside or not has_company)
            if may or self._is_cancelled(row):
                self._children[row.id] = self._start(row, task)

    def _is_foreground_busy(self) -> bool:
        return any(task_of(row) is None and _is_alive(row) for row in self._store.unfinished())

    def _is_cancelled(self, row: RunRow) -> bool:
        return any(isinstance(message.content, Cancel) for message in self._store.messages(row.id))

    def _start(self, row: RunRow, task: Task) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "podium.server.background_daemon", str(self._store.path), "run", row.id],
            stdin=subprocess.PIPE,
            env=kept(self._store.path, row.id),
            cwd=task.cwd if Path(task.cwd).is_dir() else None,
        )


def _is_alive(row: RunRow) -> bool:
    """Return whether a process of this machine conducts a run.

    One on another machine cannot use this store: SQLite's log is in memory they would have to share. It is a name this
    machine had before.
    """
    host, _, identity = row.engine.partition(":")
    return host == socket.gethostname() and ownership.is_alive(identity)


def _file_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Let a process end, if it has not, and wait for it."""
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def give_way() -> None:
    """Let every other process have processors and disks first; what is started from here on does so, too."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, _LAST_PRIORITY)
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


class _Unheard(Interrupts):
    """Leaves signals as they are, so that they end this process and not the run."""

    def __enter__(self) -> Self:
        """Take over nothing."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Give back nothing."""


def _end_with_daemon() -> None:
    """End this process when the daemon is gone."""
    while os.read(0, 1):
        pass
    os._exit(1)


def conduct(store: Path, run: str) -> int:
    """Conduct a task from where it is to its end, and return the exit code."""
    threading.Thread(target=_end_with_daemon, daemon=True).start()
    with Session.open(store) as session:
        row = session.store.run(run)
        return session.resume(run, take_over=not _is_alive(row), reopen=False, interrupts=_Unheard()).exit_code


def main(arguments: list[str]) -> int:
    """Be one or the other kind of process."""
    store = Path(arguments[0])
    give_way()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(process)d %(name)s: %(message)s")
    try:
        if arguments[1] == "run":
            return conduct(store, arguments[2])
        with contextlib.suppress(OSError):
            if log_of(store).stat().st_size > _LONGEST_LOG:
                os.truncate(log_of(store), 0)
        with Session.open(store) as session:
            Worker(session, int(arguments[1])).work()
    except PodiumError as error:
        if error.diagnostics[0].code not in _TAKEN:
            _log.error("%s", error.render())
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
