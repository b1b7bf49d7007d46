"""Sees after a process that runs all tests itself: when one hangs or crashes, another process runs the rest.

The process that the executor has started forks before anything of the project is loaded, when that is safe on every
platform and whatever the project does. The child collects and runs, as if it were alone; the parent passes on what
child and executor say to each other, and knows which test the child holds.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
from typing import Any

import pytest

from .board import high
from .channel import Channel
from .held import Held, Progress
from .outbox import Outbox
from .processes import BROKEN_PIPE, Patience, how_it_ended, write_down, written_down
from .records import BAD, ERRORED, TIMED_OUT, Record, capped

_TICK = 0.1
"""Longest time between two looks at the child [s]."""
_GATHER = 0.01
"""How long results may gather before they are read [s]."""
_MOST_CRASHES = 50
"""So many processes in a row may die without any test having ended in between."""
ASKED_FOR = "it was asked for"
"""Why workers are not forked, if there is no other reason."""


class Seat(Channel):
    """A child's end of the socket to its parent, and what else it has from it.

    Args:
        fd: Its descriptor.
        held: Where it notes which test it runs.
        dump: File for tracebacks.
    """

    def __init__(self, fd: int, held: Held, dump: Any) -> None:
        super().__init__(fd)
        self.held = held
        self._dump = dump

    def begin(self) -> None:
        """Have it written down where the tests hang or crash; until now, pytest did so in its own way."""
        write_down(self._dump)


class Handover(Outbox):
    """Hands results to the parent one by one: what waits here would be lost with this process.

    Args:
        channel: To the parent.
    """

    def put(self, test: Any, record: Record, *, worker: int, attempt: int, turn: int, final: bool) -> None:
        """Hand over what one try at a test came to; see `Outbox.put`."""
        self._channel.send({"test": [test, list(record), worker, attempt, turn, final]})

    def flush_in_time(self) -> None:
        """Do nothing: all was handed over."""

    def flush(self) -> None:
        """Do nothing: all was handed over."""


class _Child:
    def __init__(self, pid: int, ours: socket.socket, dump: Any, timeout: float) -> None:
        self.pid = pid
        self.socket = ours
        self.dump = dump
        self.patience = Patience(pid, timeout)
        self.has_plan = False
        self.has_ended = self.has_nothing = False
        self._rest = b""

    def read(self) -> list[dict[str, Any]]:
        """Return what it has said since."""
        parts = [self._rest]
        while True:
            try:
                data = self.socket.recv(1 << 16, socket.MSG_DONTWAIT)
            except (BlockingIOError, ConnectionError):
                break
            if not data:
                break
            parts.append(data)
        whole, newline, self._rest = b"".join(parts).rpartition(b"\n")
        return [json.loads(line) for line in whole.split(b"\n")] if newline else []

    def tell(self, message: dict[str, Any]) -> None:
        """Say something to it, if it is still there."""
        try:
            self.socket.sendall(json.dumps(message).encode("ascii") + b"\n")
        except OSError:
            pass


class Overseer:
    """Starts processes that run tests, one after the other, until nothing is left to run.

    Args:
        channel: To the executor.
        job: What it asked for, with a limit for each test.
    """

    def __init__(self, channel: Channel, job: dict[str, Any]) -> None:
        self._channel = channel
        self._job = job
        self._outbox = Outbox(channel)
        self._held = Held()
        self._names: list[str] = []
        self._numbers: list[int] = []
        self._plan: dict[str, Any] | None = None
        self._progress: Progress | None = None
        self._at = (1, 1)
        self._stopped = False
        self._replaced = self._crashes = 0
        self._began = time.monotonic()

    def run(self) -> Seat:
        """Return in every process that is to run tests; the one that was called never does."""
        signal.signal(signal.SIGTERM, self._asked_to_end)
        while True:
            ours, theirs = socket.socketpair()
            dump = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the child)
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                ours.close()
                os.close(self._channel.fd)
                return Seat(high(theirs.detach()), self._held, dump)
            theirs.close()
            child = _Child(pid, ours, dump, self._job["timeout"])
            self._ended(child, self._attend(child))
            ours.close()
            dump.close()

    def _attend(self, child: _Child) -> int:
        """Stay with a child until it is dead, and return how it ended, as `os.waitpid` does."""
        poll = select.poll()
        poll.register(child.socket, select.POLLIN)
        poll.register(self._channel.fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(_TICK * 1000)}
            dead, status = os.waitpid(child.pid, os.WNOHANG)
            if self._channel.fd in ready:
                self._instruct(child, self._channel.receive())
            for message in child.read():
                self._hear(child, message)
            if dead:
                return status
            self._outbox.flush_in_time()
            test = self._held.test
            if test is not None:
                child.patience.look(test, self._held.since)
            time.sleep(_GATHER)

    def _instruct(self, child: _Child, message: dict[str, Any]) -> None:
        """Pass on what the executor says: first the plan, then perhaps that it is enough."""
        if "run" in message:
            child.has_plan = True
            if message["run"] is not None:
                self._plan, self._progress = message["run"], Progress(message["run"], len(self._names))
                self._began = time.monotonic()
            child.tell(message)
        else:
            self._stopped = True
            if child.has_plan:
                child.tell(message)

    def _hear(self, child: _Child, message: dict[str, Any]) -> None:
        """Take what a child says, or pass it on."""
        if "test" in message:
            self._take(message["test"])
        elif "found" in message:
            self._found(child, message)
        else:
            child.has_ended = True
            if "end" in message and self._replaced:
                message["end"]["notes"] += self._notes()
                message["end"]["seconds"]["run"] = time.monotonic() - self._began
                message["end"]["broken_off"] = message["end"]["broken_off"] or child.has_nothing
            self._outbox.flush()
            self._channel.send(message)

    def _found(self, child: _Child, message: dict[str, Any]) -> None:
        """Let the executor choose among the tests; a further child is told what is left of its choice."""
        names = [test[0] for test in message["found"]["tests"]]
        if not self._names:
            self._names, self._numbers = names, list(range(len(names)))
            self._channel.send(message)
            return
        known: dict[str, list[int]] = {}
        for number in range(len(self._names) - 1, -1, -1):
            known.setdefault(self._names[number], []).append(number)
        self._numbers = [known[name].pop() if known.get(name) else -1 for name in names]
        child.has_plan = True
        left = self._what_is_left()
        child.has_nothing = left is None
        child.tell({"run": left})

    def _what_is_left(self) -> dict[str, Any] | None:
        """Return the plan for a further child, in its own numbers."""
        assert self._progress is not None
        assert self._plan is not None
        rest = None if self._stopped else self._progress.rest(*self._at)
        if rest is None:
            return None
        theirs = {number: index for index, number in enumerate(self._numbers) if number >= 0}
        order, pending, bad = (
            [theirs[test] for test in tests if test in theirs] for tests in (self._progress.order, *rest)
        )
        attempt, turn = self._at
        return {**self._plan, "order": order, "chunks": [[0, len(order)]], "rest": [turn, attempt, pending, bad]}

    def _take(self, entry: list[Any]) -> None:
        """Take what a child handed over, and pass it on with the number that the executor knows the test by."""
        test, fields, worker, attempt, turn, final = entry
        record = Record(*fields)
        if isinstance(test, int):
            test = self._numbers[test]
            self._crashes = 0
            if self._progress is not None:
                self._progress.take(test, attempt, turn, bad=record.outcome in BAD)
        self._outbox.put(test, record, worker=worker, attempt=attempt, turn=turn, final=final)

    def _ended(self, child: _Child, status: int) -> None:
        """End as a child did, unless it died over a test and there are more."""
        held = self._held.test
        self._held.clear()
        if child.has_ended or held is None or self._progress is None:
            self._leave(status, written_down(child.dump))
            return
        index, attempt, turn = held
        self._at = attempt, turn
        self._replaced += 1
        self._crashes += 1
        test = self._numbers[index]
        if not self._progress.has(test, attempt, turn):
            self._put_down(child, status, test)
        self._outbox.flush()
        if self._crashes >= _MOST_CRASHES:
            self._finish([f"{self._crashes} processes in a row crashed; nothing more was run"])
        if self._stopped or self._progress.rest(attempt, turn) is None:
            self._finish([])

    def _put_down(self, child: _Child, status: int, test: int) -> None:
        """Say what became of the test that a child held when it died."""
        assert self._progress is not None
        attempt, turn = self._at
        if child.patience.over:
            outcome, message = TIMED_OUT, f"it took longer than {self._job['timeout']:g} s"
        else:
            outcome, message = ERRORED, f"the process crashed: {how_it_ended(status)}"
        duration, now_us = time.monotonic() - self._held.since, int(time.time() * 1e6)
        record = Record(outcome, duration, now_us, message, capped(written_down(child.dump)))
        self._progress.take(test, attempt, turn, bad=True)
        final = attempt == self._progress.attempts
        self._outbox.put(test, record, worker=1, attempt=attempt, turn=turn, final=final)

    def _is_broken_off(self) -> bool:
        """Return whether something is left to run."""
        return self._progress is not None and self._progress.rest(*self._at) is not None

    def _notes(self) -> list[str]:
        if not self._replaced:
            return []
        tests = f"{self._replaced} test{'' if self._replaced == 1 else 's'}"
        return [f"the process was replaced after {tests} that hung or crashed; pytest's own summary begins anew there"]

    def _finish(self, notes: list[str]) -> None:
        """Say in place of a child that this is the end, and end."""
        reason = self._job["reason"] or ASKED_FOR
        code = int(pytest.ExitCode.TESTS_FAILED)
        end = {
            "code": code,
            "notes": [f"workers were not forked: {reason}", *notes, *self._notes()],
            "errors": [],
            "runner": f"pytest {pytest.__version__}, one process",
            "seconds": {"run": time.monotonic() - self._began},
            "broken_off": self._is_broken_off(),
        }
        self._channel.send({"end": end})
        os._exit(code)

    def _leave(self, status: int, said: str) -> None:
        """End as the child did."""
        self._outbox.flush()
        sys.stderr.write(said)
        sys.stderr.flush()
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else BROKEN_PIPE)

    def _asked_to_end(self, _number: int, _frame: Any) -> None:
        """Begin nothing more; the child was asked, too."""
        self._stopped = True
