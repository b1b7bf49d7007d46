"""A worker process: carries out one task after another, and never outlives the process that started it.

Run as `python -P -m podium.executors.worker FD [IMPORT_FROM…]`. The main thread runs tasks; a second thread reads the
socket, and kills the whole process group when the other end is gone. SIGTERM ends the task under way with `cancelled`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import queue
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import msgspec

from podium.errors import PodiumError
from podium.events import OUTCOMES, Failure
from podium.executors.wire import Frames, Reported, Task, check, frame
from podium.protocols import Finished, Progressed
from podium.storable import DEEPEST, encodable, is_too_deep

Progress = Callable[[float | None, str], None]
Target = Callable[[Any, Progress], Finished]
"""What a worker runs: called with the payload and a function that reports progress."""


class _Stopped(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that a task that catches those does not swallow it."""


class Worker:
    """The child's side of the socket.

    Args:
        connection: Socket to the engine's process.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._interruptible = False
        self._stop_wanted = False

    def run(self) -> None:
        """Carry out tasks until the process is ended."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        signal.signal(signal.SIGTERM, self._terminated)
        while True:
            task = self._tasks.get()
            result = self._carry_out(task)
            self._send(_framed(task.token, result))

    def _carry_out(self, task: Task) -> Finished:
        def progress(done: float | None, message: str) -> None:
            data = frame(Reported(task.token, Progressed(done, encodable(message))))
            if threading.current_thread() is not threading.main_thread():
                self._send(data)
                return
            self._interruptible = False  # a stop must not tear a message apart
            self._send(data)
            self._become_interruptible()

        try:
            with _environment(task.env), _address_space(task.memory_bytes):
                target = _load(task.target)
                try:
                    self._become_interruptible()
                    return target(task.payload, progress)
                finally:
                    self._interruptible = False
        except _Stopped:
            return Finished("cancelled", failure=Failure("Cancelled", "asked to stop"))
        except MemoryError:
            limit = "memory" if task.memory_bytes is None else f"its {task.memory_bytes / 2**20:.0f} MiB of memory"
            return Finished("errored", failure=Failure("MemoryError", f"needed more than {limit}"))
        except Exception as error:  # noqa: BLE001 (whatever a task raises is its result)
            details = encodable(traceback.format_exc())
            return Finished("errored", failure=Failure(type(error).__name__, encodable(_in_words(error)), details))

    def _read(self) -> None:
        frames = Frames(Task)
        with contextlib.suppress(OSError):
            while data := self._connection.recv(65536):
                for task in frames.feed(data):
                    self._tasks.put(task)
        os.killpg(0, signal.SIGKILL)

    def _send(self, data: bytes) -> None:
        with self._sending:  # a task may report progress from a thread of its own
            self._connection.sendall(data)

    def _become_interruptible(self) -> None:
        self._interruptible = True
        if self._stop_wanted:
            raise _Stopped

    def _terminated(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_wanted = True
        if self._interruptible:
            self._interruptible = False
            raise _Stopped


def _framed(token: int, result: Any) -> bytes:
    """Return the message that carries a result; what cannot be sent is an error of the task."""
    if not isinstance(result, Finished) or result.outcome not in OUTCOMES:
        result = _no_result(repr(result)[:200])
    try:
        data = frame(Reported(token, result))
        check(data)  # what the other side could not read would cost it this worker
        if is_too_deep(result.output):
            return frame(Reported(token, _no_result(f"lists and mappings are nested deeper than {DEEPEST}")))
    except (TypeError, ValueError, OverflowError, RecursionError, struct.error, msgspec.MsgspecError) as error:
        return frame(Reported(token, _no_result(_in_words(error))))
    return data


def _no_result(why: str) -> Finished:
    return Finished("errored", failure=Failure("NoResult", encodable(f"returned what is no result: {why}")))


def _in_words(error: Exception) -> str:
    if isinstance(error, PodiumError):
        return error.diagnostics[0].render()
    return str(error) or type(error).__name__


def _load(target: str) -> Target:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _address_space(limit: int | None) -> Generator[None]:
    if limit is None:
        yield
        return
    import resource  # noqa: PLC0415  (absent on Windows, where no limit is set)

    before = resource.getrlimit(resource.RLIMIT_AS)
    allowed = limit if before[1] == resource.RLIM_INFINITY else min(limit, before[1])
    resource.setrlimit(resource.RLIMIT_AS, (allowed, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def main() -> None:
    """Start the worker on the socket whose descriptor is the first argument; the others are import directories."""
    faulthandler.enable()
    sys.path.extend(sys.argv[2:])
    Worker(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
