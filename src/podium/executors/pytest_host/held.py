"""Which test a process holds, for the one that sees after it; and how far a plan has come."""

from __future__ import annotations

import mmap
import os
import time
from typing import Any

_HOLDS, _TEST, _ATTEMPT, _TURN, _SINCE = range(5)


class Held:
    """Memory that two processes share: the test that one of them runs.

    Whoever enters something first owns it; what it forks changes nothing.
    """

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 5 * 8)
        self._whole = memoryview(self._map).cast("q")
        self._real = memoryview(self._map).cast("d")
        self._owner = 0

    def begin(self, test: int, attempt: int, turn: int) -> None:
        """Note that a test begins.

        Args:
            test: Its index among those collected.
            attempt: Which try this is, from 1.
            turn: Which repetition this is, from 1.
        """
        self._owner = self._owner or os.getpid()
        if self._owner == os.getpid():
            self._whole[_TEST], self._whole[_ATTEMPT], self._whole[_TURN] = test, attempt, turn
            self._real[_SINCE] = time.monotonic()
            self._whole[_HOLDS] = 1

    def end(self) -> None:
        """Note that the test has ended, and its result is handed in."""
        if self._owner == os.getpid():
            self._whole[_HOLDS] = 0

    def clear(self) -> None:
        """Forget the test of a process that is gone."""
        self._whole[_HOLDS] = 0

    @property
    def test(self) -> tuple[int, int, int] | None:
        """Test, attempt and turn under way."""
        if not self._whole[_HOLDS]:
            return None
        return self._whole[_TEST], self._whole[_ATTEMPT], self._whole[_TURN]

    @property
    def since(self) -> float:
        """When it began, on the monotonic scale [s]."""
        return self._real[_SINCE]


def order_of(plan: dict[str, Any], count: int) -> list[int]:
    """Return the tests of a plan as one process runs them: as collected, whatever chunks they are in.

    Args:
        plan: From the executor.
        count: How many tests were collected.
    """
    order = plan["order"] if plan["order"] is not None else list(range(count))
    positions = [position for start, end in plan["chunks"] for position in range(start, end)]
    return [order[position] for position in sorted(positions)]


class Progress:
    """How far a plan has come.

    Args:
        plan: From the executor.
        count: How many tests were collected.
    """

    def __init__(self, plan: dict[str, Any], count: int) -> None:
        self.order = order_of(plan, count)
        self.attempts: int = plan["retries"] + 1
        self._repeat: int = plan["repeat"]
        self._until_fail = bool(plan["until_fail"])
        self._turn = 1
        self._done: dict[int, set[int]] = {}
        self._bad: dict[int, list[int]] = {}

    def take(self, test: int, attempt: int, turn: int, *, bad: bool) -> None:
        """Note that a try at a test has ended, and how."""
        if turn != self._turn:
            self._turn, self._done, self._bad = turn, {}, {}
        self._done.setdefault(attempt, set()).add(test)
        if bad:
            self._bad.setdefault(attempt, []).append(test)

    def has(self, test: int, attempt: int, turn: int) -> bool:
        """Return whether a try at a test has ended."""
        return turn == self._turn and test in self._done.get(attempt, ())

    def rest(self, attempt: int, turn: int) -> tuple[list[int], list[int]] | None:
        """Return what is left of the latest attempt and what went bad in it; None if nothing follows at all."""
        everything = self.order if attempt == 1 else self._bad.get(attempt - 1, [])
        done, bad = self._done.get(attempt, set()), list(self._bad.get(attempt, []))
        pending = [test for test in everything if test not in done]
        if pending or (bad and attempt < self.attempts):
            return pending, bad
        if turn == self._repeat or (self._until_fail and (bad or attempt > 1)):
            return None
        return pending, bad
