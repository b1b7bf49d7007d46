"""An interpreter that is started before anybody knows which tests to run in it.

Podium takes a quarter of a second to load and to plan, and pytest a tenth. On two processors they do so side by side.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from podium.executors.pytest_python import python_of
from podium.runtime import ownership
from podium.runtime.process_group import ProcessGroup

_HOST = Path(__file__).with_name("pytest_host")


def start_host(
    python: str, cwd: str, *, owner: str | None = None, env: Mapping[str, str] | None = None
) -> tuple[ProcessGroup, socket.socket]:
    """Start the host of pytest, which loads pytest and waits for a job.

    Args:
        python: Interpreter.
        cwd: Working directory.
        owner: Label of its processes, see `podium.runtime.ownership`.
        env: Variables added to the environment.

    Returns:
        The process, and this end of the socket on which it takes the job.

    Raises:
        OSError: It cannot be started.
    """
    ours, theirs = socket.socketpair()
    try:
        argv = (python, str(_HOST), str(theirs.fileno()))
        group = ProcessGroup(argv, env=env, cwd=cwd, pass_fds=(theirs.fileno(),), owner=owner, pipes=True)
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return group, ours


class Ahead:
    """A host of pytest that waits for a suite; a context manager that ends it if none takes it.

    If this process dies, it ends by itself: its socket closes.

    Args:
        python: What the project's interpreter is called, see `python_of`; empty: it is looked for.
    """

    def __init__(self, python: str) -> None:
        self.owner = ownership.label(f"ahead-{uuid.uuid4().hex}")
        self._cwd = Path.cwd()
        self._python = python_of(python, self._cwd, os.environ)
        self._started: tuple[ProcessGroup, socket.socket] | None = None
        with contextlib.suppress(OSError, ValueError):  # whoever starts it later can say what is wrong
            self._started = start_host(self._python, str(self._cwd), owner=self.owner)

    def take(
        self, python: str, cwd: Path, owner: str | None, env: Mapping[str, str]
    ) -> tuple[ProcessGroup, socket.socket] | None:
        """Hand over the host if it was started just as a suite needs it, else nothing."""
        as_needed = (python, cwd.resolve(), owner) == (self._python, self._cwd.resolve(), self.owner) and not env
        if self._started is None or not as_needed or self._started[0].poll() is not None:
            return None
        started, self._started = self._started, None
        return started

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """End the host if it still waits."""
        if self._started is not None:
            group, ours = self._started
            ours.close()
            group.kill()
            group.close()
