"""Slots that several runs of one process share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class SharedSlots:
    """Counts the slots of a machine; who gets none is woken, in the order of asking, when one is given back.

    Args:
        slots: How many there are, at least 1.
    """

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def free(self) -> int:
        """How many are not taken."""
        return self._free

    def take(self, slots: int, wake: Callable[[], None]) -> bool:
        """Take slots, or be woken when some are given back.

        Args:
            slots: How many.
            wake: Called when it is worth asking again.
        """
        if self._free >= slots:
            self._free -= slots
            return True
        if wake not in self._waiting:
            self._waiting.append(wake)
        return False

    def give(self, slots: int) -> None:
        """Give slots back."""
        self._free += slots
        for _ in range(len(self._waiting)):  # whoever wants none by now takes none
            self._waiting.popleft()()

    def leave(self, slots: int, wake: Callable[[], None]) -> None:
        """Give back what a run still has, which asks no more."""
        if wake in self._waiting:
            self._waiting.remove(wake)
        self.give(slots)
