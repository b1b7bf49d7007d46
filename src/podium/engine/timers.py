"""What is to happen later."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from podium.protocols import Clock


class Timers:
    """Actions by the moment at which they are due.

    Args:
        clock: Where time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def due(self) -> float | None:
        """When the next action is due on the monotonic scale, None if there is none [s]."""
        return self._heap[0][0] if self._heap else None

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do something at a moment on the monotonic scale [s]."""
        self._count += 1
        heappush(self._heap, (moment, self._count, action))

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after a while [s]."""
        self.at(self._clock.monotonic() + delay, action)

    def fire(self) -> None:
        """Do what is due."""
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            heappop(self._heap)[2]()
