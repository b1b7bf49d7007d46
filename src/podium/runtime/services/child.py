"""A process group under the care of the event loop: what it writes is kept, and its end is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import IO, Any, Self, TypeVar

from podium.runtime.process_group import ProcessGroup
from podium.runtime.services.log import Log

T = TypeVar("T")

_CHUNK = 1 << 16
_MOST_IN_A_PIPE = 1 << 22
_LONGEST_LINE = 1 << 14


class _Lines:
    """Hands whole lines on, so that those of standard output and standard error do not cut each other."""

    def __init__(self, pipe: IO[bytes], log: Log) -> None:
        self.pipe = pipe
        self._log = log
        self._line = b""

    def read(self) -> bytes | None:
        """Take what is there; return it, nothing at the end, None if nothing is there yet."""
        try:
            data = os.read(self.pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return None
        whole, newline, self._line = (self._line + data).rpartition(b"\n")
        self._log.write(whole + newline)
        if len(self._line) > _LONGEST_LINE or not data:
            self._log.write(self._line)
            self._line = b""
        return data

    def read_rest(self) -> None:
        """Take what is left in the pipe when all who should write to it are dead."""
        with contextlib.suppress(OSError, ValueError):
            for _ in range(_MOST_IN_A_PIPE // _CHUNK):  # somebody else may still write to it
                if not self.read():
                    break
        self._log.write(self._line)
        self._line = b""


class Child:
    """A program that runs beside the event loop; an asynchronous context manager that leaves nothing of it.

    Args:
        argv: Program and arguments; no shell.
        log: Takes what it writes.
        env: Variables added to this process's own.
        cwd: Working directory.
        owner: Label of the owner, see `podium.runtime.ownership`.
        mark: A descriptor it inherits.

    Raises:
        OSError: It cannot be started.
        ValueError: An argument is not possible, such as one with a null byte.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Log,
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        owner: str | None = None,
        mark: int | None = None,
    ) -> None:
        self.log = log
        self.ended = asyncio.Event()
        pass_fds = () if mark is None else (mark,)
        self._group = ProcessGroup(argv, env=env, cwd=cwd, owner=owner, pipes=True, pass_fds=pass_fds)
        self._loop = asyncio.get_running_loop()
        self._streams = [_Lines(pipe, log) for pipe in (self._group.stdout, self._group.stderr) if pipe is not None]
        for stream in self._streams:
            self._loop.add_reader(stream.pipe.fileno(), self._readable, stream)
        self._exit_fd: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._exit_fd = os.pidfd_open(self.pid)
        if self._exit_fd is not None:
            self._loop.add_reader(self._exit_fd, self.ended.set)
        else:
            threading.Thread(target=self._wait_in_thread, name="service exit", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id of the program."""
        return self._group.pid

    @property
    def code(self) -> int:
        """Exit code of the program that has ended; negative: killed by that signal."""
        return self._group.poll() or 0

    def ask(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal to the whole group."""
        if not self.ended.is_set():
            self._group.terminate(number)

    def catch_up(self) -> None:
        """Take what the program wrote before it ended."""
        for stream in self._streams:
            stream.read_rest()

    async def close(self) -> bool:
        """Kill what is left of the group, even if the caller is cancelled meanwhile; return whether it is dead."""
        return await to_the_end(self._close())

    async def __aenter__(self) -> Self:
        """Return the child."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Leave nothing of it."""
        await self.close()

    async def _close(self) -> bool:
        for stream in self._streams:
            self._loop.remove_reader(stream.pipe.fileno())
        if self._exit_fd is not None:
            self._loop.remove_reader(self._exit_fd)
            os.close(self._exit_fd)
        dead = await asyncio.to_thread(self._group.kill)
        self.ended.set()
        self.catch_up()
        self._group.close()
        return dead

    def _readable(self, stream: _Lines) -> None:
        if stream.read() == b"":
            self._loop.remove_reader(stream.pipe.fileno())

    def _wait_in_thread(self) -> None:
        self._group.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self.ended.set)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine comes to; a caller who is cancelled meanwhile waits for it all the same."""
    task = asyncio.get_running_loop().create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()


class Answer:
    """What a program came to that was run for its answer.

    Attributes:
        code: Exit code; negative: killed by that signal.
        output: The end of what it wrote.
    """

    def __init__(self, code: int, output: str) -> None:
        self.code = code
        self.output = output

    @property
    def last_line(self) -> str:
        """The last line that says anything."""
        return next((line.strip() for line in reversed(self.output.splitlines()) if line.strip()), "")


async def answer(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    owner: str | None = None,
    whole: bool = False,
) -> Answer:
    """Run a program and return what it came to; it is killed if the caller is cancelled.

    Args:
        argv: Program and arguments.
        env: Variables added to this process's own.
        cwd: Working directory.
        owner: Label of the owner.
        whole: It must not be killed: a caller who is cancelled waits for its end.

    Raises:
        OSError: It cannot be started.
        ValueError: An argument is not possible.
    """
    log = Log(1 << 21)
    try:
        async with Child(argv, log, env=env, cwd=cwd, owner=owner) as child:
            if whole:
                await to_the_end(child.ended.wait())
            else:
                await child.ended.wait()
        return Answer(child.code, log.tail(1 << 20))
    finally:
        log.close()
