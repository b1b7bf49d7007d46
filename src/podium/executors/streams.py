"""What a program that was started writes, and when it ends: parts of executors that run programs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Generator
from typing import IO

from podium.events import Failure
from podium.protocols import Finished
from podium.runtime.process_group import ProcessGroup

LARGEST_STREAM = 1 << 26
"""How much of standard output and of standard error is kept, each [byte]; the rest is dropped."""
DETAILS = 1 << 12
"""How much of the end of standard error goes into a failure [byte]."""

_CHUNK = 1 << 16
_IN_MEMORY = 1 << 20
_LONGEST_LINE = 1 << 14
_LONGEST_MESSAGE = 200
_MOST_IN_A_PIPE = 1 << 22
_LINE_ENDS = re.compile(rb"[\r\n]+")
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Stream:
    """What came through standard output or standard error: the beginning on disk, the end in memory."""

    def __init__(self, pipe: IO[bytes], patterns: list[re.Pattern[str]]) -> None:
        self.pipe = pipe
        self.match: str | None = None
        self.tail = b""
        self.size = 0
        self.dropped = 0
        self._patterns = patterns
        self._line = b""
        self._kept = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (lives as long as the attempt)

    def read(self) -> bytes | None:
        """Take what is there; return it, nothing at the end, None if nothing is there yet."""
        try:
            data = os.read(self.pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return None
        self._keep(data)
        self._search(data)
        return data

    def read_rest(self) -> None:
        """Take what is left in the pipe when all who should write to it are dead."""
        with contextlib.suppress(OSError, ValueError):
            for _ in range(_MOST_IN_A_PIPE // _CHUNK):  # somebody else may still write to it
                if not self.read():
                    break
        self._search(b"\n")

    def content(self, size: int = LARGEST_STREAM) -> bytes:
        """Return the beginning of what was kept."""
        self._kept.seek(0)
        return self._kept.read(size)

    def artifact(self) -> bytes:
        """Return all that was kept, with a mark if that is not all there was."""
        mark = f"\n[podium: {self.dropped} more bytes were dropped]\n".encode() if self.dropped else b""
        return self.content() + mark

    def last_line(self) -> str:
        """Return the last line that says anything, for a person."""
        lines = _LINE_ENDS.split(self.tail.rstrip())
        return _CONTROL.sub("", text_of(lines[-1])).strip()[:_LONGEST_MESSAGE]

    def close(self) -> None:
        """Give back the space."""
        self._kept.close()

    def _keep(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-DETAILS:]
        kept = data[: LARGEST_STREAM - self.size] if not self.dropped else b""
        try:
            self._kept.write(kept)
        except OSError:  # no space left
            kept = b""
        self.size += len(kept)
        self.dropped += len(data) - len(kept)

    def _search(self, data: bytes) -> None:
        if not self._patterns or self.match is not None:
            return
        *lines, self._line = _LINE_ENDS.split(self._line + data)
        if len(self._line) > _LONGEST_LINE:
            lines.append(self._line)
            self._line = b""
        for line in map(text_of, lines):
            if any(pattern.search(line) for pattern in self._patterns):
                self.match = line.strip()[:_LONGEST_LINE]
                return


@contextlib.contextmanager
def noticing_exit(group: ProcessGroup, exited: asyncio.Event) -> Generator[None]:
    """Set `exited` when the program a group began with has ended."""
    loop = asyncio.get_running_loop()
    fd = _exit_fd(group.pid)
    if fd is None:
        args = (group, exited, loop)
        threading.Thread(target=_wait_in_thread, args=args, name="command exit", daemon=True).start()
        yield
        return
    loop.add_reader(fd, exited.set)
    try:
        yield
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def left_behind(finished: Finished) -> Finished:
    """Return the result of an attempt of which something could not be killed."""
    before = finished.failure
    details = f"{before.type}: {before.message}\n{before.details}" if before else ""
    failure = Failure("LeftBehind", "some of the processes it started could not be killed", details)
    return Finished("errored", finished.output, failure)


def text_of(data: bytes) -> str:
    """Return what a program wrote as text, whatever it is."""
    return data.decode("utf-8", "replace")


def _exit_fd(pid: int) -> int | None:
    """Return a descriptor that is readable when the process has ended, where there is such a thing."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return None


def _wait_in_thread(group: ProcessGroup, exited: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    group.wait()
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(exited.set)
