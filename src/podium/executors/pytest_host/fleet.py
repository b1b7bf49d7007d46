"""The parent of forked workers: starts them, replaces those that die, ends those that hang, gathers results."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from .board import Board, high
from .processes import Patience, how_it_ended, kill_tree, written_down
from .records import ERRORED, TIMED_OUT, Record, capped
from .worker import Task, Worker, save_coverage, settle, take_farewell

_TICK = 0.1
"""Longest time between two looks at the workers [s]."""
_GATHER = 0.01
"""How long results may gather before they are read [s]."""
_MOST_CRASHES = 50
"""So many workers in a row may die without any test having ended in between."""


class Terms(NamedTuple):
    """What is the same for all phases.

    Attributes:
        timeout: Longest duration of one test, None if there is no limit [s].
        memory: Limit of one worker, None if there is none [byte].
        every_report: Workers hand in the reports of tests that passed, too.
        wanted: Node ids whose reports are handed in anyway.
    """

    timeout: float | None
    memory: int | None
    every_report: bool
    wanted: frozenset[str]


class Phase(NamedTuple):
    """Tests that are run together.

    Attributes:
        positions: Position to index of the test.
        chunks: Ranges of positions, in the order in which they are handed out.
        workers: How many workers there are.
        final: No test that fails in it is run again.
    """

    positions: Sequence[int]
    chunks: Sequence[tuple[int, int]]
    workers: int
    final: bool = True


class Done(NamedTuple):
    """What one try at a test came to.

    Attributes:
        test: Index of the test.
        worker: Which place among the workers it ran in, from 1.
        record: What it came to.
        reports: Its reports, in a form that can be sent; those of tests that passed may be missing.
        alone: Tests of its module before it were run elsewhere.
    """

    test: int
    worker: int
    record: Record
    reports: list[Any]
    alone: bool


class _Child:
    """A worker as its parent sees it."""

    def __init__(self, slot: int, pid: int, fd: int, dump: Any, patience: Patience) -> None:
        self.slot = slot
        self.pid = pid
        self.fd = fd
        self.dump = dump
        self.patience = patience
        self.rest = b""
        self.handed_in = -1


class Fleet:
    """Runs phases.

    Args:
        session: The session that collected the tests.
        plugin: Its `worker` is set in workers.
        terms: What is the same for all phases.
        done: Called with every test that has come to an end.
        said: Called with everything else that workers hand in: a list that begins with a word.
        pause: Called between two looks at the workers; returns whether everything is to end.
    """

    def __init__(
        self,
        session: pytest.Session,
        plugin: Any,
        terms: Terms,
        *,
        done: Callable[[Done], None],
        said: Callable[[list[Any]], None],
        pause: Callable[[], bool],
    ) -> None:
        self._session = session
        self._plugin = plugin
        self._terms = terms
        self._done = done
        self._said = said
        self._pause = pause
        self._names = 0
        self._crashes = 0
        self._children: dict[int, _Child] = {}
        self._phase = Phase((), (), 0)
        self._firsts: list[int] = []
        self._board = Board((), 0)
        self.used = 0

    def run(self, phase: Phase) -> None:
        """Run a phase to its end."""
        self._board.close()
        self._phase, self._firsts = phase, self._first_positions(phase.positions)
        self._board = Board(phase.chunks, phase.workers)
        self.used = max(self.used, phase.workers)
        poll = select.poll()
        try:
            for slot in range(phase.workers):
                self._start(slot, poll)
            while self._children:
                self._look(poll)
        finally:
            for child in self._children.values():
                kill_tree(child.pid)
                os.waitpid(child.pid, 0)
                child.dump.close()
                os.close(child.fd)
            self._children.clear()

    def stop(self, *, interrupt: bool) -> None:
        """Let workers finish the tests they run, or break these off; nothing more is begun."""
        self._board.stop()
        if interrupt:
            for child in self._children.values():
                _signal_group(child.pid, signal.SIGTERM)

    def close(self) -> None:
        """Give back what phases share."""
        self._board.close()

    def _first_positions(self, positions: Sequence[int]) -> list[int]:
        """Return for every position that of the first test of its module in one piece."""
        firsts: list[int] = []
        module: Any = None
        for position, index in enumerate(positions):
            file = self._session.items[index].nodeid.partition("::")[0]
            firsts.append(firsts[-1] if firsts and file == module else position)
            module = file
        return firsts

    def _start(self, slot: int, poll: Any, left: tuple[int, int] = (0, 0)) -> None:
        """Fork a worker for a place."""
        self._board.assign(slot, *left)
        task = Task(slot, f"gw{self._names}", self._phase.positions, self._firsts)
        self._names += 1
        task.count, task.counts_failures = self._phase.workers, self._phase.final
        task.memory, task.every_report, task.wanted = self._terms.memory, self._terms.every_report, self._terms.wanted
        dump = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the worker)
        task.dump = dump
        reading, writing = os.pipe()
        reading, task.fd = high(reading), high(writing)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._be_worker(task, reading)
        os.close(task.fd)
        try:
            os.setpgid(pid, pid)
        except OSError:  # it did so itself
            pass
        os.set_blocking(reading, False)
        self._children[reading] = _Child(slot, pid, reading, dump, Patience(pid, self._terms.timeout))
        poll.register(reading, select.POLLIN)

    def _be_worker(self, task: Task, reading: int) -> None:
        """Run tests in the forked process, which never returns from here."""
        code = 1
        try:
            os.close(reading)
            for fd in self._children:
                os.close(fd)
            worker = Worker(self._session, self._board, task)
            self._plugin.worker = worker
            settle(self._session, task)
            worker.run()
            self._board.leave(task.slot)
            save_coverage()
            take_farewell(self._session.config)
            sys.stdout.flush()
            sys.stderr.flush()
            code = 0
        except BaseException as error:  # noqa: BLE001 (nothing may go on in this process)
            try:
                import traceback  # noqa: PLC0415

                traceback.print_exc(file=sys.__stderr__)
                task.dump.write(repr(error).encode("utf-8", "replace"))
            except BaseException:  # noqa: BLE001, S110
                pass
        finally:
            os._exit(code)

    def _look(self, poll: Any) -> None:
        """Read what workers handed in, and see after those that ended or hang."""
        for fd, _ in poll.poll(_TICK * 1000):
            self._read(self._children[fd])
        if self._pause():
            self._board.stop()
        for child in list(self._children.values()):
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._ended(child, poll)
            else:
                running = self._board.running(child.slot)
                if running is not None:
                    child.patience.look(*running)
        time.sleep(_GATHER)

    def _read(self, child: _Child) -> None:
        parts = [child.rest]
        while True:
            try:
                data = os.read(child.fd, 1 << 16)
            except BlockingIOError:
                break
            if not data:
                break
            parts.append(data)
        whole, newline, child.rest = b"".join(parts).rpartition(b"\n")
        if not newline:
            return
        for entry in json.loads(b"[" + whole.replace(b"\n", b",") + b"]"):
            self._take(child, entry)

    def _take(self, child: _Child, entry: list[Any]) -> None:
        if isinstance(entry[0], int):
            position, microseconds, ended_us = entry
            self._crashes, child.handed_in = 0, position
            record = Record(0, microseconds / 1e6, ended_us)
            self._done(Done(self._phase.positions[position], child.slot + 1, record, [], alone=False))
        elif entry[0] == "test":
            _, position, fields, reports, alone = entry
            self._crashes, child.handed_in = 0, position
            self._done(Done(self._phase.positions[position], child.slot + 1, Record(*fields), reports, alone))
        else:
            self._said(entry)

    def _ended(self, child: _Child, poll: Any) -> None:
        """Take leave of a worker, and put another in its place if it did not end well."""
        _, status = os.waitpid(child.pid, 0)
        self._read(child)
        poll.unregister(child.fd)
        os.close(child.fd)
        del self._children[child.fd]
        kill_group(child.pid)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0 and self._board.running(child.slot) is None:
            child.dump.close()
            return
        running = self._board.running(child.slot)
        if running is None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
            self._said(["note", "what tests registered with `atexit` took too long, and was broken off"])
        left = self._board.left_by(child.slot)
        self._crashes += 1
        if running is not None and running[0] != child.handed_in:
            self._put_down(child, running, status)
        child.dump.close()
        if self._board.stopped:
            return
        if self._crashes >= _MOST_CRASHES:
            self._said(["note", f"{self._crashes} workers in a row crashed; nothing more was run"])
            self.stop(interrupt=True)
        elif left[0] < left[1] or self._board.has_chunks():
            self._start(child.slot, poll, left)

    def _put_down(self, child: _Child, running: tuple[int, float], status: int) -> None:
        """Say what became of the test that a worker held when it died."""
        position, since = running
        now = time.monotonic()
        if child.patience.over:
            outcome, message = TIMED_OUT, f"it took longer than {self._terms.timeout:g} s"
        else:
            outcome, message = ERRORED, f"the worker crashed: {how_it_ended(status)}"
        record = Record(outcome, now - since, int(time.time() * 1e6), message, capped(written_down(child.dump)))
        self._done(Done(self._phase.positions[position], child.slot + 1, record, [], alone=False))


def kill_group(pid: int) -> None:
    """Kill what is left of a worker's process group."""
    _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
