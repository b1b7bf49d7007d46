"""A clock that never waits: it jumps to the next moment at which something happens."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class VirtualClock:
    """Virtual time for the engine and the fakes beside it.

    Args:
        epoch_us: Time of day at virtual second 0 [us since the Unix epoch].
    """

    def __init__(self, epoch_us: int = 1_700_000_000_000_000) -> None:
        self._epoch_us = epoch_us
        self._now = 0.0
        self._woken = False
        self._count = 0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []

    def monotonic(self) -> float:
        """Return virtual seconds since the clock was made [s]."""
        return self._now

    def wall_us(self) -> int:
        """Return the virtual time of day [us since the Unix epoch]."""
        return self._epoch_us + round(self._now * 1e6)

    def call_later(self, delay: float, action: Callable[[], None]) -> None:
        """Run `action` when `delay` virtual seconds have passed [s]."""
        self._count += 1
        heappush(self._timers, (self._now + delay, self._count, action))

    async def wait(self, until: float | None) -> None:
        """Jump to `until`, or to the next action if that comes first, unless woken.

        Raises:
            RuntimeError: Nothing is due and nobody has a deadline: the run would wait forever.
        """
        if self._woken:
            self._woken = False
            return
        due = self._timers[0][0] if self._timers else None
        moments = [moment for moment in (until, due) if moment is not None]
        if not moments:
            raise RuntimeError(f"nothing will ever happen after {self._now:g} s of virtual time")
        self._now = max(self._now, min(moments))
        while self._timers and self._timers[0][0] <= self._now:
            heappop(self._timers)[2]()
        self._woken = False

    def wake(self) -> None:
        """End the current or the next `wait`."""
        self._woken = True
