"""Who started a process, written where a later start can read it.

Every process Podium starts carries `PODIUM_OWNER=<pid>:<start time>` in its environment, and so do its descendants
unless they clear it. When the owner is gone (killed, crashed), the next start finds and ends them.
"""

from __future__ import annotations

import os

import psutil

VARIABLE = "PODIUM_OWNER"


def identity() -> str:
    """Return this process as `pid:start`, unique on the machine."""
    return f"{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_alive(owner: str) -> bool:
    """Return whether the process with this identity still runs."""
    pid, _, start = owner.partition(":")
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" == start and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False


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


def reap_orphans() -> list[int]:
    """Kill every process whose owner is gone, and return their process ids."""
    orphans = [process for process in labelled(VARIABLE) if not is_alive(_owner_of(process))]
    for process in orphans:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(orphans, timeout=5)
    return [process.pid for process in orphans]


def _owner_of(process: psutil.Process) -> str:
    try:
        return process.environ().get(VARIABLE, "")
    except (psutil.Error, OSError):
        return ""
