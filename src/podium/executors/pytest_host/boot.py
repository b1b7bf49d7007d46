"""From the start of the interpreter to its end: the job, pytest, what remains to be told."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import signal
import sys
import threading
import traceback
from typing import Any

from .channel import Channel


def main(fd: int) -> None:
    """Run the tests the executor asks for, and never return."""
    channel = Channel(fd)
    os.set_inheritable(fd, False)
    try:
        import pytest  # noqa: PLC0415 (it may not be there, which has to be said)

        from .plugin import HostPlugin  # noqa: PLC0415
    except ImportError as error:
        channel.receive()
        channel.send({"broken": "NoPytest", "message": str(error), "python": sys.executable})
        _leave(4)
        return
    job = channel.receive()
    os.environ.update(job["variables"])
    if job["timeout"] is not None and not job["fork"]:
        from .overseer import Overseer  # noqa: PLC0415 (it needs pytest)

        channel = Overseer(channel, job).run()
    signal.signal(signal.SIGTERM, _interrupted)
    # What is made now lives until the end: looking for garbage in it again and again would only take time.
    gc.disable()
    plugin = HostPlugin(channel, job, sys.argv[0], fd)
    try:
        code = int(pytest.main([*job["args"], *_further(job)], plugins=[plugin]))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 3
    except BaseException as error:  # noqa: BLE001 (whatever a plugin throws has to be told)
        traceback.print_exc()
        channel.send({"broken": "InternalError", "message": f"{type(error).__name__}: {error}"})
        code = 3
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel.send(plugin.end(code))
    _leave(code)


def _further(job: Any) -> list[str]:
    """Return arguments: no coverage if none is wanted, pytest-xdist if workers must not be forked."""
    arguments = [] if job["coverage"] or importlib.util.find_spec("pytest_cov") is None else ["--no-cov"]
    if job["fork"] or job["workers"] < 2 or "no:xdist" in job["args"]:  # noqa: PLR2004 (one worker needs no other)
        return arguments
    if not job["xdist"] or importlib.util.find_spec("xdist") is None:
        return arguments
    return [*arguments, "-n", str(job["workers"])]


def _interrupted(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _leave(code: int) -> None:
    """End the process without taking it apart, which takes long after many tests."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
