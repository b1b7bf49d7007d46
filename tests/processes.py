"""Whether processes are gone."""

import time

import psutil


def gone(pid):
    """Return whether a process is dead; nobody may have buried it."""
    try:
        return psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until_gone(*pids):
    """Wait a little for processes to die, and return of each whether it did."""
    deadline = time.monotonic() + 10
    while not all(gone(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [gone(pid) for pid in pids]
