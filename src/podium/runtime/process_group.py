"""A child process that leads its own group, and everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import IO

import psutil

from podium.runtime import ownership

GROUP_VARIABLE = "PODIUM_GROUP"


class ProcessGroup:
    """A process in a session of its own, labelled so that its descendants can be found even if they leave the group.

    Its standard output and error go to an unnamed temporary file, of which `tail` reads the end.

    Args:
        argv: Program and arguments; no shell.
        env: Variables added to this process's own.
        cwd: Working directory.
        pass_fds: Descriptors the child keeps.
        owner: Label of the owner, see `podium.runtime.ownership`; by default this process.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        pass_fds: Sequence[int] = (),
        owner: str | None = None,
    ) -> None:
        self._label = uuid.uuid4().hex
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the group)
        self._process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
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

    @property
    def pid(self) -> int:
        """Process id of the leader, which is also the id of the group."""
        return self._process.pid

    def terminate(self) -> None:
        """Ask the whole group to end (SIGTERM)."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole group and every labelled descendant, and wait until they are dead."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + 5.0
        while (left := self._survivors()) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.005)

    def poll(self) -> int | None:
        """Return the leader's exit code (negative: killed by that signal), or None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float) -> int:
        """Return the leader's exit code when it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not ended within `timeout` [s].
        """
        return self._process.wait(timeout)

    def tail(self, size: int = 4096) -> str:
        """Return the end of what the group wrote to standard output and error."""
        with contextlib.suppress(ValueError, OSError):
            end = os.fstat(self._output.fileno()).st_size
            return os.pread(self._output.fileno(), size, max(0, end - size)).decode("utf-8", "replace")
        return ""

    def forget_output(self) -> None:
        """Give back the space of what was captured so far."""
        with contextlib.suppress(ValueError, OSError):
            os.lseek(self._output.fileno(), 0, os.SEEK_SET)  # the position is the child's too
            os.ftruncate(self._output.fileno(), 0)

    def close(self) -> None:
        """Let go of the captured output; the group must be dead."""
        self._output.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _survivors(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in ownership.labelled(GROUP_VARIABLE, self._label):
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def describe_exit(code: int) -> str:
    """Return how a process ended in words, such as `killed by SIGSEGV`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
