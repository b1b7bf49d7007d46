"""Time on an asyncio loop."""

from __future__ import annotations

import asyncio
import time


class LoopClock:
    """The real clock. `wake` may be called from the loop's thread only."""

    def __init__(self) -> None:
        self._woken = False
        self._waiter: asyncio.Future[None] | None = None

    def monotonic(self) -> float:
        """Return seconds that never go back [s]."""
        return time.monotonic()

    def wall_us(self) -> int:
        """Return the time of day [us since the Unix epoch]."""
        return time.time_ns() // 1000

    async def wait(self, until: float | None) -> None:
        """Return at `until` [s], or when `wake` is called, whichever is first; lets other tasks run in any case."""
        if self._woken or _is_past(until):
            self._woken = False
            await asyncio.sleep(0)
        else:
            await self._sleep(until)
        if _is_past(until):  # what came in meanwhile is read only now, and counts before a timer does
            await asyncio.sleep(0)

    async def _sleep(self, until: float | None) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = None if until is None else loop.call_later(until - time.monotonic(), self._release)
        try:
            await waiter
        finally:
            self._waiter = None
            self._woken = False
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """End the current or the next `wait`."""
        self._woken = True
        self._release()

    def _release(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _is_past(moment: float | None) -> bool:
    return moment is not None and moment <= time.monotonic()
