"""A child process that leads its own group, and everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import psutil

from podium.runtime import ownership

GROUP_VARIABLE = "PODIUM_GROUP"

_PATIENCE = 5.0
"""How long `kill` looks for what is left [s]."""
_MOST_LOOKS = 6
"""How often in a row no process must be found while others come and go, for it to be believed that none is left."""


class ProcessGroup:
    """A process in a session of its own, labelled so that its descendants can be found even if they leave the group.

    Its standard output and error go to an unnamed temporary file, of which `tail` reads the end; or else to pipes.

    Args:
        argv: Program and arguments; no shell.
        env: Variables added to this process's own.
        cwd: Working directory.
        pass_fds: Descriptors the child keeps.
        owner: Label of the owner, see `podium.runtime.ownership`; by default this process.
        pipes: Standard output and error are the pipes `stdout` and `stderr`, which do not block.
        feed: Standard input is the pipe `stdin`, which does not block; otherwise it is empty.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        pass_fds: Sequence[int] = (),
        owner: str | None = None,
        pipes: bool = False,
        feed: bool = False,
    ) -> None:
        around = os.environ.get(GROUP_VARIABLE)
        self._label = f"{around}/{uuid.uuid4().hex}" if around else uuid.uuid4().hex
        self._dead = False
        self._output: IO[bytes] | None = None
        if not pipes:
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the group)
        try:
            self._process = subprocess.Popen(
                list(argv),
                bufsize=0,
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._output is None else self._output,
                stderr=subprocess.PIPE if self._output is None else subprocess.STDOUT,
                env={
                    **os.environ,
                    **(env or {}),
                    ownership.VARIABLE: owner or ownership.identity(),
                    GROUP_VARIABLE: self._label,
                },
                cwd=cwd,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except BaseException:
            if self._output is not None:
                self._output.close()
            raise
        self.stdin, self.stdout, self.stderr = self._process.stdin, self._process.stdout, self._process.stderr
        for pipe in self._pipes():
            os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """Process id of the leader, which is also the id of the group."""
        return self._process.pid

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the whole group to end, by SIGTERM or another signal."""
        self._signal(number)

    def strike(self) -> None:
        """Kill the whole group (SIGKILL) without waiting; `kill` finds out whether it is dead."""
        self._signal(signal.SIGKILL)

    def kill(self) -> bool:
        """Kill the whole group and every labelled descendant, and wait until they are dead.

        May be called from any thread, and again.

        Returns:
            Whether they are; False if some could not be killed within a few seconds.
        """
        if not self._dead:
            self.strike()
            self._process.wait()
            deadline = time.monotonic() + _PATIENCE
            self._dead = self._labelled_end(deadline) and self._members_end(deadline)
        return self._dead

    def poll(self) -> int | None:
        """Return the leader's exit code (negative: killed by that signal), or None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Return the leader's exit code when it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not ended within `timeout` [s], if one is given.
        """
        return self._process.wait(timeout)

    def tail(self, size: int = 4096) -> str:
        """Return the end of what the group wrote to standard output and error."""
        if self._output is None:
            return ""
        with contextlib.suppress(ValueError, OSError):
            end = os.fstat(self._output.fileno()).st_size
            return os.pread(self._output.fileno(), size, max(0, end - size)).decode("utf-8", "replace")
        return ""

    def forget_output(self) -> None:
        """Give back the space of what was captured so far."""
        if self._output is None:
            return
        with contextlib.suppress(ValueError, OSError):
            os.lseek(self._output.fileno(), 0, os.SEEK_SET)  # the position is the child's too
            os.ftruncate(self._output.fileno(), 0)

    def close(self) -> None:
        """Let go of the captured output and the pipes; the group must be dead."""
        if self._output is not None:
            self._output.close()
        for pipe in self._pipes():
            pipe.close()

    def _pipes(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self.stdin, self.stdout, self.stderr) if pipe is not None]

    def _signal(self, number: signal.Signals) -> None:
        if self._dead:  # the number may by now be another group's
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _labelled_end(self, deadline: float) -> bool:
        """Kill what carries the label until nothing does.

        A process that ended, or was replacing its program, while we looked says nothing about itself, and what it
        had started in the meantime may have been missed: then we look again.
        """
        silent_before: set[int] = set()
        clean = 0
        while time.monotonic() < deadline:
            found, silent = _look(self._label)
            for pid in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            clean = 0 if found else clean + 1
            if clean == _MOST_LOOKS or (clean and silent <= silent_before):
                return True
            silent_before = silent
            time.sleep(0.005 if found else 0.0005)
        return False

    def _members_end(self, deadline: float) -> bool:
        """Wait until the members of the group that cleared the label, which are killed already, are dead."""
        while _exists(self._process.pid) and _members(self._process.pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True


def _look(label: str) -> tuple[list[int], set[int]]:
    """Return the processes with this label, or one within it, and those without any environment (such as zombies)."""
    found: list[int] = []
    silent: set[int] = set()
    mark = f"{GROUP_VARIABLE}={label}".encode()
    for pid, environment in _environments():
        if mark in environment:
            found.append(pid)
        elif not environment:
            silent.add(pid)
    return found, silent


def _environments() -> Iterator[tuple[int, bytes]]:
    """Yield every process with its environment, if it can be read: what it began with, as one text."""
    if sys.platform != "linux":
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE:
                    value = process.environ().get(GROUP_VARIABLE, "")
                    yield process.pid, f"{GROUP_VARIABLE}={value}".encode()
        return
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                yield int(entry.name), _environment(entry.name)


def _environment(pid: str) -> bytes:
    """Return the environment of a process on Linux: nothing if it has ended or is just replacing its program."""
    parts: list[bytes] = []
    try:
        fd = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return b"?"
    except OSError:
        return b""
    try:
        while part := os.read(fd, 1 << 16):
            parts.append(part)
    except OSError:
        return b""
    finally:
        os.close(fd)
    return b"".join(parts)


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _members(group: int) -> bool:
    """Return whether a group has a member that is no zombie."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def describe_exit(code: int) -> str:
    """Return how a process ended in words, such as `killed by SIGSEGV`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
