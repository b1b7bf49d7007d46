"""Who started a process, written where a later start can read it.

Every process Podium starts carries `PODIUM_OWNER=<pid>:<start>/<scope>` in its environment, and so do its descendants
unless they clear it. When the owner is gone (killed, crashed), its guard finds and ends them, or else the next start.
The scope is the run, so that two runs of one process do not end each other's workers.
"""

from __future__ import annotations

import contextlib
import os
import time
from functools import cache
from pathlib import Path

import psutil

VARIABLE = "PODIUM_OWNER"


def identity() -> str:
    """Return this process as `pid:start`, unique on the machine; the same for its whole life."""
    return _identity(os.getpid())


def identity_of(pid: int) -> str:
    """Return the identity of another process of this machine.

    Raises:
        psutil.Error: There is no such process.
    """
    return f"{pid}:{_start(pid)}"


def label(scope: str) -> str:
    """Return what processes started by this process for a scope carry."""
    return f"{identity()}/{scope}"


def is_alive(owner: str) -> bool:
    """Return whether the process with this identity, or the one that gave this label, still runs."""
    identified, _, _ = owner.partition("/")
    pid, _, start = identified.partition(":")
    try:
        process = psutil.Process(int(pid))
        return _start(process.pid) == start and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError, ValueError):
        return False


@cache
def _identity(pid: int) -> str:
    return f"{pid}:{_start(pid)}"


def _start(pid: int) -> str:
    """Return when a process started, in a form that a correction of the clock does not change.

    On Linux: the boot, and clock ticks from there (proc(5), field 22 of `stat`). Elsewhere the time of day.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return f"{boot}-{fields[19].decode()}"
    except FileNotFoundError:
        return f"{psutil.Process(pid).create_time():.2f}"


def labelled(variable: str, value: str | None = None) -> list[psutil.Process]:
    """Return the processes that carry an environment variable, with this value if one is given, except this one."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            has = process.environ().get(variable)
        except (psutil.Error, OSError):
            continue
        if has is not None and process.pid != os.getpid() and (value is None or has == value):
            found.append(process)
    return found


def kill_labelled(owner: str) -> list[int]:
    """Kill every living process with this label, wait until they are dead, and return their process ids."""
    return _kill([process for process in labelled(VARIABLE, owner) if _runs(process)])


def reap_orphans() -> list[int]:
    """Kill every process whose owner is gone, and return their process ids."""
    return _kill([process for process in labelled(VARIABLE) if _runs(process) and not is_alive(_owner_of(process))])


def _kill(processes: list[psutil.Process]) -> list[int]:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 2.0
    while any(_runs(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.005)
    return [process.pid for process in processes]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _owner_of(process: psutil.Process) -> str:
    try:
        return process.environ().get(VARIABLE, "")
    except (psutil.Error, OSError):
        return ""
