"""A worker process: carries out one task after another, and never outlives the process that started it.

Run as `python -m podium.executors.worker FD`. The main thread runs tasks; a second thread reads the socket, and
kills the whole process group when the other end is gone. SIGTERM ends the task under way with `cancelled`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

from podium.errors import PodiumError
from podium.events import Failure
from podium.executors.wire import Frames, Reported, Task, frame
from podium.protocols import Finished, Progressed

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
        self._busy = False

    def run(self) -> None:
        """Carry out tasks until the process is ended."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        signal.signal(signal.SIGTERM, self._terminated)
        while True:
            task = self._tasks.get()
            self._send(task.token, self._carry_out(task))

    def _carry_out(self, task: Task) -> Finished:
        def progress(done: float | None, message: str) -> None:
            self._send(task.token, Progressed(done, message))

        try:
            with _environment(task.env), _address_space(task.memory_bytes):
                target = _load(task.target)
                self._busy = True
                try:
                    return target(task.payload, progress)
                finally:
                    self._busy = False
        except _Stopped:
            return Finished("cancelled", failure=Failure("Cancelled", "asked to stop"))
        except MemoryError:
            limit = "memory" if task.memory_bytes is None else f"its {task.memory_bytes / 2**20:.0f} MiB of memory"
            return Finished("errored", failure=Failure("MemoryError", f"needed more than {limit}"))
        except Exception as error:  # noqa: BLE001 (whatever a task raises is its result)
            text = _in_words(error)
            return Finished("errored", failure=Failure(type(error).__name__, text, traceback.format_exc()))

    def _read(self) -> None:
        frames = Frames(Task)
        with contextlib.suppress(OSError):
            while data := self._connection.recv(65536):
                for task in frames.feed(data):
                    self._tasks.put(task)
        os.killpg(0, signal.SIGKILL)

    def _send(self, token: int, report: Finished | Progressed) -> None:
        self._connection.sendall(frame(Reported(token, report)))

    def _terminated(self, _number: int, _frame: FrameType | None) -> None:
        if self._busy:
            self._busy = False
            raise _Stopped


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
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def main() -> None:
    """Start the worker on the socket whose descriptor is the first argument."""
    faulthandler.enable()
    Worker(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
