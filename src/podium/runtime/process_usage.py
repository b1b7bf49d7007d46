"""Which processes belong together by a mark in their environment, and what they use."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable

import msgspec
import psutil

USAGE_VARIABLE = "PODIUM_USAGE"
"""Carries the mark."""


class ProcessUsage(msgspec.Struct, frozen=True, gc=False):
    """What is known of a process.

    Attributes:
        pid: Process id.
        started: When it began, on a scale of the system's own; with the pid it is unique.
        parent: Process id of its parent.
        cpu: Processor time of it and of those of its children it has waited for [s].
        resident: Memory in use, pages shared with others included [byte].
        ended: Nothing but its exit code is left (a zombie).
        stopped: It is halted by a signal.
    """

    pid: int
    started: float
    parent: int
    cpu: float
    resident: int
    ended: bool = False
    stopped: bool = False


class MarkedProcesses:
    """The processes that carry a mark, their descendants, and what was seen to belong to them before.

    The environment of a process is read once: the first of the marked ones has to have been started before the first
    look. A process that clears its environment is found by its parent, unless that ended before anybody looked.

    Args:
        mark: Value of `USAGE_VARIABLE`.
        portable: Ask `psutil`, which is slower, even where `/proc` can be read.
    """

    def __init__(self, mark: str, *, portable: bool = sys.platform != "linux") -> None:
        self._mark = mark
        self._portable = portable
        self._members: set[tuple[int, float]] = set()
        self._others: set[tuple[int, float]] = set()

    def look(self) -> list[ProcessUsage]:
        """Return the processes there are, those that have ended and were not waited for included."""
        everyone = list(_all_portably() if self._portable else _all_on_linux())
        keys = {(process.pid, process.started) for process in everyone}
        self._members &= keys
        self._others &= keys
        for process in everyone:
            self._classify(process)
        self._add_children(everyone)
        return [process for process in everyone if (process.pid, process.started) in self._members]

    def memory(self, processes: Iterable[ProcessUsage], enough: int) -> int:
        """Return what processes use together [byte], pages they share counted once.

        Args:
            processes: From `look`.
            enough: Below this an upper bound will do, which costs nothing more to find [byte].
        """
        living = [process for process in processes if not process.ended]
        bound = sum(process.resident for process in living)
        if bound <= enough:
            return bound
        return sum(_share_of_memory(process, portable=self._portable) for process in living)

    def _classify(self, process: ProcessUsage) -> None:
        key = (process.pid, process.started)
        if key in self._members or key in self._others or process.ended:
            return
        environment = _environment_portably(process.pid) if self._portable else _environment_on_linux(process.pid)
        if environment is None:  # it is just replacing its program: ask again
            return
        (self._members if f"{USAGE_VARIABLE}={self._mark}".encode() in environment else self._others).add(key)

    def _add_children(self, everyone: list[ProcessUsage]) -> None:
        pids = {pid for pid, _ in self._members}
        missing = [process for process in everyone if process.pid not in pids]
        while found := [process for process in missing if process.parent in pids]:
            missing = [process for process in missing if process.parent not in pids]
            pids |= {process.pid for process in found}
            self._members |= {(process.pid, process.started) for process in found}


def _all_on_linux() -> Iterable[ProcessUsage]:
    """Yield every process. Source: proc(5), `/proc/PID/stat`."""
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    with os.scandir("/proc") as entries:
        names = [entry.name for entry in entries if entry.name.isdigit()]
    for name in names:
        content = _read(f"/proc/{name}/stat")
        if not content:
            continue
        state, parent, *fields = content.rpartition(b")")[2].split()
        yield ProcessUsage(
            pid=int(name),
            started=int(fields[17]),
            parent=int(parent),
            cpu=sum(map(int, fields[9:13])) / tick,
            resident=int(fields[19]) * page,
            ended=state in {b"Z", b"X"},
            stopped=state == b"T",
        )


def _environment_on_linux(pid: int) -> bytes | None:
    return _read(f"/proc/{pid}/environ", refused=b"?") or None


def _all_portably() -> Iterable[ProcessUsage]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError), process.oneshot():
            status = process.status()
            ended = status == psutil.STATUS_ZOMBIE
            cpu = (0.0,) if ended else process.cpu_times()[:4]
            resident = 0 if ended else process.memory_info().rss
            yield ProcessUsage(
                process.pid,
                process.create_time(),
                process.ppid() or 0,
                sum(cpu),
                resident,
                ended,
                status == psutil.STATUS_STOPPED,
            )


def _environment_portably(pid: int) -> bytes | None:
    try:
        variables = psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return b"?"
    return f"{USAGE_VARIABLE}={variables.get(USAGE_VARIABLE, '')}".encode()


def _share_of_memory(process: ProcessUsage, *, portable: bool) -> int:
    """Return the memory of a process, each page divided by how many processes share it [byte].

    Source: proc(5), `/proc/PID/smaps_rollup`. Where there is no such thing, what it shares with nobody.
    """
    if portable:
        with contextlib.suppress(psutil.Error, OSError):
            return int(psutil.Process(process.pid).memory_full_info().uss)
        return process.resident
    for line in (_read(f"/proc/{process.pid}/smaps_rollup", refused=b"") or b"").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) << 10
    shared = (_read(f"/proc/{process.pid}/statm") or b"0 0 0").split()
    return (int(shared[1]) - int(shared[2])) * os.sysconf("SC_PAGE_SIZE")


def _read(path: str, refused: bytes = b"") -> bytes:
    """Return what a file of `/proc` says; nothing if the process has ended."""
    parts: list[bytes] = []
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return refused
    except OSError:
        return b""
    try:
        while part := os.read(fd, 1 << 16):
            parts.append(part)
    except PermissionError:
        return refused
    except OSError:
        return b""
    finally:
        os.close(fd)
    return b"".join(parts)
