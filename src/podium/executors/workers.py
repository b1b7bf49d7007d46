"""An executor that carries attempts out in worker processes, one attempt per process at a time.

A worker that crashes, hangs or eats memory harms no other: it is a process group of its own, replaced when needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

from podium.executors.wire import Frames, Reported, Task, frame
from podium.protocols import Attempt, Finished, Lost, Progressed, Report, ReportTo
from podium.runtime.process_group import ProcessGroup, describe_exit


class _Worker:
    """The parent's side of one worker process."""

    def __init__(self, owner: str | None, import_from: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            try:
                self.group = ProcessGroup(
                    [sys.executable, "-P", "-m", "podium.executors.worker", str(fd), *import_from],
                    env={"PYTHONFAULTHANDLER": "1"},
                    pass_fds=[fd],
                    owner=owner,
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        self.connection = ours
        self.frames = Frames(Reported)
        self.exit_fd = os.pidfd_open(self.group.pid) if hasattr(os, "pidfd_open") else None
        self.attempt: Attempt | None = None
        self.report: ReportTo | None = None
        self.stopping = False
        self.used = False
        self._unsent = bytearray()

    def send(self, data: bytes) -> None:
        """Send without ever waiting: what the socket does not take goes when it can."""
        self._unsent += data
        asyncio.get_running_loop().add_writer(self.connection.fileno(), self._flush)
        self._flush()

    def _flush(self) -> None:
        try:
            sent = self.connection.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:  # its end is noticed by the reader
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            asyncio.get_running_loop().remove_writer(self.connection.fileno())


class WorkerPool:
    """Runs tasks in worker processes that are kept for the next task.

    The engine limits how many attempts run at once, so the pool is as large as that. Workers start when first needed.

    Args:
        targets: Kind of work to the function that does it, as `module:name`.
        memory_bytes: Address space one task may use; None: no limit.
        owner: Label of the processes, see `podium.runtime.ownership`; by default this process.
        import_from: Directories the functions may be imported from, searched last.
    """

    def __init__(
        self,
        targets: Mapping[str, str],
        *,
        memory_bytes: int | None = None,
        owner: str | None = None,
        import_from: Sequence[str] = (),
    ) -> None:
        self._targets = dict(targets)
        self._memory_bytes = memory_bytes
        self._owner = owner
        self._import_from = tuple(import_from)
        self._idle: list[_Worker] = []
        self._busy: dict[int, _Worker] = {}

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Hand the attempt to an idle worker, or to a new one."""
        task = frame(
            Task(
                token=attempt.token,
                target=self._targets[attempt.work.kind],
                payload=attempt.work.payload,
                memory_bytes=self._memory_bytes,
                env={
                    "PODIUM_RUN": attempt.run,
                    "PODIUM_STEP": attempt.step,
                    "PODIUM_ATTEMPT": str(attempt.number),
                    "PODIUM_IDEMPOTENCY_KEY": attempt.idempotency_key,
                },
            )
        )
        worker = self._idle.pop() if self._idle else self._spawn()
        worker.attempt, worker.report = attempt, report
        self._busy[attempt.token] = worker
        worker.send(task)

    def stop(self, token: int, *, force: bool) -> None:
        """Ask the worker to end the attempt, or kill its process group; the worker is not used again."""
        worker = self._busy.get(token)
        if worker is None:
            return
        worker.stopping = True
        if force:
            worker.group.kill()
            self._gone(worker)
        else:
            worker.group.terminate()

    async def close(self) -> None:
        """Kill all workers and wait until they are dead."""
        for worker in (*self._idle, *self._busy.values()):
            self._release(worker)
        self._idle.clear()
        self._busy.clear()

    def _spawn(self) -> _Worker:
        worker = _Worker(self._owner, self._import_from)
        loop = asyncio.get_running_loop()
        loop.add_reader(worker.connection.fileno(), self._readable, worker)
        if worker.exit_fd is not None:
            loop.add_reader(worker.exit_fd, self._gone, worker)
        return worker

    def _readable(self, worker: _Worker) -> None:
        try:
            data = worker.connection.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or not self._feed(worker, data):
            self._gone(worker)

    def _feed(self, worker: _Worker, data: bytes) -> bool:
        """Take the messages in some bytes; return False if they make no sense, and kill the worker."""
        try:
            for message in worker.frames.feed(data):
                self._take(worker, message.token, message.report)
        except msgspec.MsgspecError:
            worker.group.kill()
            return False
        return True

    def _take(self, worker: _Worker, token: int, report: Report) -> None:
        attempt, report_to = worker.attempt, worker.report
        if attempt is None or report_to is None or attempt.token != token:
            return
        if isinstance(report, Progressed):
            report_to(token, report)
            return
        del self._busy[token]
        worker.attempt = worker.report = None
        worker.group.forget_output()
        out_of_memory, ended = _ran_out_of_memory(report), _was_ended(report)
        if worker.stopping or out_of_memory or ended:
            self._release(worker)
        else:
            self._idle.append(worker)
        if out_of_memory and worker.used:
            report = Lost("worker ran out of memory, some of which earlier tasks had left occupied")
        elif ended and not worker.stopping:
            report = Lost("worker was told to end, by none of us")
        worker.used = True
        report_to(token, report)

    def _gone(self, worker: _Worker) -> None:
        """The worker ended: take what it still said, then report its attempt as lost."""
        if worker.connection.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            while data := worker.connection.recv(1 << 18):
                if not self._feed(worker, data):
                    break
        if worker.connection.fileno() < 0:  # released while taking its last words
            return
        try:
            reason = describe_exit(worker.group.wait(1.0))
        except subprocess.TimeoutExpired:
            reason = "closed its connection"
        output = worker.group.tail().strip()
        attempt, report_to = worker.attempt, worker.report
        self._release(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        if attempt is not None and report_to is not None:
            self._busy.pop(attempt.token, None)
            report_to(attempt.token, Lost(f"worker {reason}" + (f"\n{output}" if output else "")))

    def _release(self, worker: _Worker) -> None:
        """Kill what is left of the worker and free what it held here."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(worker.connection.fileno())
        loop.remove_writer(worker.connection.fileno())
        if worker.exit_fd is not None:
            loop.remove_reader(worker.exit_fd)
            os.close(worker.exit_fd)
            worker.exit_fd = None
        worker.group.kill()
        worker.connection.close()
        worker.group.close()


def _ran_out_of_memory(report: Report) -> bool:
    """Return whether a process is of no further use: what it allocated is not given back."""
    return isinstance(report, Finished) and report.failure is not None and report.failure.type == "MemoryError"


def _was_ended(report: Report) -> bool:
    """Return whether a task ended because of SIGTERM, whoever sent it."""
    return isinstance(report, Finished) and report.outcome == "cancelled"
