"""Ctrl-C, SIGTERM and SIGHUP as requests to end a run, heard even while its loop is blocked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

Cancel = Callable[[str, int], object]
"""Called in the loop with why, and how many interrupts that makes."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_UNHEARD = 2
_INTERRUPTED = 130
_LAST_WORDS = b"podium: ended at once; `podium resume` goes on from what is recorded\n"


class Interrupts:
    """Hands interrupts to the loop of a run. A context manager around all of the run.

    The first asks the run to end, the second kills what is running. When the loop does not hear (it waits for a reader
    of its output, or for the store), the third ends the process at once; the guard then cleans up.

    Attributes:
        names: What arrived, such as `SIGINT`.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._heard = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancel: Cancel | None = None
        self._suspend: Callable[[], object] | None = None
        self._leaving = False
        self._before: dict[signal.Signals, Any] = {}

    def request(self, name: str) -> None:
        """Interrupt the run; may be called from any thread."""
        self.names.append(name)
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._deliver)

    def leave(self) -> None:
        """Let the run be left, to be resumed by another process; may be called from any thread."""
        self._leaving = True
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._deliver)

    def bind(self, cancel: Cancel, suspend: Callable[[], object]) -> None:
        """Deliver to these functions from here on, in the running loop, and at once what has arrived."""
        self._loop, self._cancel, self._suspend = asyncio.get_running_loop(), cancel, suspend
        self._deliver()

    def unbind(self) -> None:
        """The run is over; what arrives now has nothing to end."""
        self._loop = self._cancel = self._suspend = None

    def __enter__(self) -> Self:
        """Take over the signals, in the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
                self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_exc: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        if len(self.names) - self._heard >= _UNHEARD:
            with contextlib.suppress(OSError):
                os.write(2, _LAST_WORDS)
            os._exit(_INTERRUPTED)
        self.request(signal.Signals(number).name)

    def _deliver(self) -> None:
        if self._leaving and self._suspend is not None:
            self._suspend()
        while self._cancel is not None and self._heard < len(self.names):
            name = self.names[self._heard]
            self._heard += 1
            self._cancel(f"interrupted by {name}", self._heard)
