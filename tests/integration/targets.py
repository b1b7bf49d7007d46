"""What worker processes are told to do in tests."""

import ctypes
import os
import subprocess
import sys
import time

from podium.protocols import Finished


def echo(payload, progress):
    progress(0.5, "half way")
    return Finished("passed", output=payload, artifacts={"log": b"bytes"})


def process_id(payload, progress):
    return Finished("passed", output=os.getpid())


def raises(payload, progress):
    raise ValueError("what went wrong")


def crashes(payload, progress):
    ctypes.string_at(0)


def exits(payload, progress):
    print("last words", flush=True)
    os._exit(7)


def hangs(payload, progress):
    progress(0.0, str(os.getpid()))
    while True:
        time.sleep(0.05)


def hangs_deaf(payload, progress):
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hangs(payload, progress)


def eats_memory(payload, progress):
    return Finished("passed", output=len(bytearray(payload)))


def leaves_children(payload, progress):
    """Start a grandchild in the same group and one that leaves the session, say who they are, and hang."""
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    same = subprocess.Popen(sleeper)
    other = subprocess.Popen(sleeper, start_new_session=True)
    progress(0.0, f"{os.getpid()} {same.pid} {other.pid}")
    while True:
        time.sleep(0.05)


def environment(payload, progress):
    return Finished("passed", output=os.environ.get("PODIUM_IDEMPOTENCY_KEY"))
