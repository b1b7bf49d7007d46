"""What worker processes are told to do in tests, and should not do."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from podium.protocols import Finished

_kept = []


def _nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def _endless():
    value = []
    value.append(value)
    return value


RESULTS = {
    "good": lambda: Finished("passed", output="good", artifacts={"log": b"bytes"}),
    "nothing": lambda: None,
    "unknown outcome": lambda: Finished("splendid"),
    "key that is null": lambda: Finished("passed", output={None: 1}),
    "integer over 64 bits": lambda: Finished("passed", output=1 << 64),
    "large artifact": lambda: Finished("passed", artifacts={"log": b"x" * 2000}),
    "artifact of text": lambda: Finished("passed", artifacts={"log": "text"}),
    "text with a surrogate": lambda: Finished("passed", output="\udc80"),
    "list that holds itself": lambda: Finished("passed", output=_endless()),
    "nested deep": lambda: Finished("passed", output=_nested(100_000)),
    "object": lambda: Finished("passed", output=object()),
    "failure of numbers": lambda: Finished("failed", failure=(1, 2)),
}


def returns(payload, progress):
    if payload == "exception with a surrogate":
        raise ValueError("not \udc80 text")
    return RESULTS[payload]()


def process_id(payload, progress):
    return Finished("passed", output=os.getpid())


def size(payload, progress):
    return Finished("passed", output=len(payload))


def writes_to_the_socket(payload, progress):
    os.write(int(sys.argv[1]), payload)
    return Finished("passed")


def reports_from_threads(payload, progress):
    """Return a large result while threads report progress, which goes on after the end."""

    def report():
        with contextlib.suppress(OSError):
            while True:
                progress(0.5, "x" * 5000)

    for _ in range(4):
        threading.Thread(target=report, daemon=True).start()
    time.sleep(0.05)
    return Finished("passed", output="y" * 2_000_000)


def is_told_to_end_once(payload, progress):
    """Be sent SIGTERM by another process, unless the marker is there."""
    marker = Path(payload)
    if marker.exists():
        return Finished("passed", output="second time")
    marker.touch()
    subprocess.run(["kill", "-TERM", str(os.getpid())], check=True)
    time.sleep(60)
    raise AssertionError("not reached")


def reports_much(payload, progress):
    progress(0.0, "begun")
    while True:
        progress(0.5, "x" * 3_000_000)


def prints(payload, progress):
    print("z" * payload, flush=True)
    return Finished("passed")


def dies_with_last_words(payload, progress):
    print("last words", flush=True)
    os._exit(3)


def keeps(payload, progress):
    _kept.append(bytes(payload))
    return Finished("passed")


def needs_memory(payload, progress):
    return Finished("passed", output=len(bytes(payload)))


def nested(payload, progress):
    return Finished("passed", output=_nested(payload))
