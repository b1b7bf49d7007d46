"""Processes that run tests, and those that tests started."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from typing import Any

DUMP_SIGNAL = getattr(signal, "SIGRTMAX", None) or getattr(signal, "SIGUSR2", 0)
"""Makes a process that runs tests write down where it is."""
BROKEN_PIPE = 97
"""Exit code of a process that cannot hand in results any more."""
_FRAME = "  File "
_RUNNER = f"{os.sep}_pytest{os.sep}runner.py"
_MACHINERY = tuple(f"{os.sep}{name}{os.sep}" for name in ("_pytest", "pluggy", "pytest_host"))
"""Parts of the paths of what lies between the start of the process and the project's code."""
_DUMPING = 0.4
"""How long a process that hangs may take to write down where it is [s]."""


class Patience:
    """Ends a process whose test takes too long, after it has written down where it is.

    Args:
        pid: The process.
        timeout: Longest duration of one test, None if there is no limit [s].

    Attributes:
        over: The process was killed.
    """

    def __init__(self, pid: int, timeout: float | None) -> None:
        self.over = False
        self._pid = pid
        self._timeout = timeout
        self._overdue: Any = None
        self._asked = 0.0

    def look(self, test: Any, since: float) -> None:
        """Look at the test that is under way; it may still end while the process writes down where it is.

        Args:
            test: What tells it from others.
            since: When it began, on the monotonic scale [s].
        """
        now = time.monotonic()
        if self._timeout is None or now - since <= self._timeout or self.over:
            return
        if self._overdue != (test, since):
            self._overdue, self._asked = (test, since), now
            if DUMP_SIGNAL:
                os.kill(self._pid, DUMP_SIGNAL)
        elif now - self._asked > _DUMPING:
            self.over = True
            kill_tree(self._pid)


def write_down(file: Any) -> None:
    """Write to a file where this process is when it crashes, or gets the signal for it."""
    faulthandler.enable(file=file)
    if DUMP_SIGNAL:
        faulthandler.register(DUMP_SIGNAL, file=file, all_threads=True, chain=False)


def written_down(file: Any) -> str:
    """Return what a process wrote down, without the frames of pytest below those of a test."""
    file.seek(0)
    return without_machinery(file.read().decode("utf-8", "replace"))


def without_machinery(dump: str) -> str:
    """Return a dump of `faulthandler` in which stacks end at the frame of pytest that called the project's code.

    Args:
        dump: Its stacks, each with the latest call first.
    """
    lines: list[str] = []
    stack: list[str] = []
    for line in [*dump.splitlines(), ""]:
        if line.startswith(_FRAME):
            stack.append(line)
            continue
        lines += _cut(stack)
        stack = []
        lines.append(line)
    return "\n".join(lines[:-1]) + ("\n" if dump.endswith("\n") else "")


def _cut(stack: list[str]) -> list[str]:
    """Return the frames of a stack up to the outermost one of the project, and the one that called it."""
    runner = next((place for place in range(len(stack) - 1, -1, -1) if _RUNNER in stack[place]), -1)
    for place in range(runner, -1, -1):
        if not any(part in stack[place] for part in _MACHINERY):
            return stack[: place + 2]
    return stack


def how_it_ended(status: int) -> str:
    """Return in words how a process ended, from what `os.waitpid` says."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:
            return f"killed by signal {number}"
    code = os.WEXITSTATUS(status)
    if code == BROKEN_PIPE:
        return "its pipe for results was closed"
    return f"exited with code {code}"


def kill_tree(pid: int) -> None:
    """Kill a process with everything it started, as far as that can be found."""
    doomed = [pid, *_descendants(pid)]
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    for each in doomed:
        try:
            os.kill(each, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def _descendants(pid: int) -> list[int]:
    """Return all children and their children; none where the system does not tell."""
    children: dict[int, list[int]] = {}
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for name in names:
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                parent = int(stat.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(int(name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found[1:]
