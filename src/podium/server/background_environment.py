"""The variables with which tasks of the background queue run: those of the process that queued them.

The daemon may have been started by another process, or long after. So each task has a file beside the store that only
its owner can read, from when it is queued until it is over. It is no part of the journal, which outlives the task and
is shown to others.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from podium.errors import EnvironmentProblemError
from podium.runtime import ownership
from podium.runtime.process_group import GROUP_VARIABLE

_ANNOUNCED_WITHIN = 60.0
"""So long after its environment was kept, a task is in the store, or never will be [s]."""


def environment() -> dict[str, str]:
    """Return the environment without the labels by which a process belongs to a run that ends before it does."""
    return {name: value for name, value in os.environ.items() if name not in (ownership.VARIABLE, GROUP_VARIABLE)}


def keep(store: Path, run: str, variables: Mapping[str, str]) -> None:
    """Write down the environment of a task.

    Args:
        store: File of the store.
        run: The task.
        variables: Its environment.

    Raises:
        EnvironmentProblemError: It cannot be written (E502).
    """
    file = _folder(store) / run
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(b"\0".join(os.fsencode(f"{name}={value}") for name, value in variables.items()))
    except OSError as error:
        raise EnvironmentProblemError(f"{file} cannot be written: {error.strerror}", code="E502") from error


def kept(store: Path, run: str) -> dict[str, str]:
    """Return the environment of a task; if nothing is kept of it, that of this process."""
    try:
        lines = (_folder(store) / run).read_bytes().split(b"\0")
    except OSError:
        return environment()
    return dict(os.fsdecode(line).split("=", 1) for line in lines if b"=" in line)


def forget(store: Path, is_over: Callable[[str], bool | None]) -> None:
    """Delete what is kept of tasks that are over.

    Args:
        store: File of the store.
        is_over: Says of a run whether it is; None: there is no such run, or not yet.
    """
    folder = _folder(store)
    with contextlib.suppress(OSError):
        for file in list(folder.iterdir()):
            over = is_over(file.name)
            if over or (over is None and time.time() - file.stat().st_mtime > _ANNOUNCED_WITHIN):
                file.unlink(missing_ok=True)
        folder.rmdir()  # unless there are more


def _folder(store: Path) -> Path:
    return store.with_name(f"{store.name}.background")
