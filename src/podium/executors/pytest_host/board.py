"""Memory that workers share: which worker runs which test, and what is still to be run.

Positions are places in the order of tests. A worker takes a chunk (a range of positions), claims its positions one by
one, and when there are no more chunks takes the second half of what another worker has left. Every change is made
under a record lock, which the system releases when its holder dies.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
import time
from collections.abc import Sequence

_NEXT, _STOP, _HEAD = 0, 1, 8
_RUNNING, _CURSOR, _END, _CLAIMED, _STARTED, _CHUNK, _CHUNK_AT, _ACTIVE, _SLOT = 0, 1, 2, 3, 4, 5, 6, 7, 8
_WORTH_STEALING = 0.04
"""Shortest time that a range must be expected to take for another worker to take some of it [s]."""
_PAUSE = 0.005
_HIGH_FD = 500


def high(fd: int) -> int:
    """Move a descriptor out of the way of tests that close or count low ones."""
    try:
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)
    except OSError:  # the limit is lower
        return fd
    os.close(fd)
    return moved


class Board:
    """Shared state of the workers of one phase.

    Args:
        chunks: Ranges of positions, in the order in which they are handed out.
        slots: How many workers there are at once.
    """

    def __init__(self, chunks: Sequence[tuple[int, int]], slots: int) -> None:
        self.chunks = chunks
        self.slots = slots
        self._map = mmap.mmap(-1, (_HEAD + slots * _SLOT) * 8)
        self._whole = memoryview(self._map).cast("q")
        self._real = memoryview(self._map).cast("d")
        handle, path = tempfile.mkstemp()
        os.unlink(path)
        self._lock = high(handle)
        for slot in range(slots):
            self._whole[self._at(slot) + _RUNNING] = -1

    def close(self) -> None:
        """Give the memory back."""
        self._whole.release()
        self._real.release()
        self._map.close()
        os.close(self._lock)

    def stop(self) -> None:
        """Let workers finish what they run and take nothing more."""
        self._whole[_STOP] = 1

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be taken."""
        return bool(self._whole[_STOP])

    def assign(self, slot: int, start: int, end: int) -> None:
        """Give a range to a worker that is about to begin."""
        at = self._at(slot)
        whole = self._whole
        whole[at + _RUNNING], whole[at + _CURSOR], whole[at + _END], whole[at + _CLAIMED] = -1, start, end, 1
        whole[at + _ACTIVE] = 1
        self._real[at + _CHUNK_AT] = time.monotonic()
        whole[at + _CHUNK] = start

    def begin(self, slot: int, position: int) -> None:
        """Note that a worker begins a test."""
        at = self._at(slot)
        self._real[at + _STARTED] = time.monotonic()
        self._whole[at + _CLAIMED] = 0
        self._whole[at + _RUNNING] = position

    def finish(self, slot: int) -> None:
        """Note that a worker has ended a test and handed in its result."""
        self._whole[self._at(slot) + _RUNNING] = -1

    def leave(self, slot: int) -> None:
        """Note that a worker will not take anything more."""
        self._whole[self._at(slot) + _ACTIVE] = 0

    def first(self, slot: int) -> int | None:
        """Return the position a new worker begins with."""
        at = self._at(slot)
        if self._whole[at + _CLAIMED] and self._whole[at + _CURSOR] < self._whole[at + _END]:
            return self._whole[at + _CURSOR]
        return self.claim(slot)[0]

    def claim(self, slot: int) -> tuple[int | None, float]:
        """Return the position a worker runs next, None if there is nothing left for it, and how long that took [s].

        What others have left may turn out to take long: a worker that has nothing to do waits until it does not.
        """
        waited = 0.0
        while True:
            position = self._claim(slot)
            if position is not None or not self._others_have_some(slot):
                return position, waited
            before = time.monotonic()
            time.sleep(_PAUSE)
            pause = time.monotonic() - before
            waited += pause
            self._real[self._at(slot) + _STARTED] += pause  # the wait is not the test's

    def _claim(self, slot: int) -> int | None:
        at = self._at(slot)
        whole = self._whole
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            if whole[_STOP]:
                return self._nothing(at)
            following = whole[at + _CURSOR] + 1
            if whole[at + _ACTIVE] and following < whole[at + _END]:
                whole[at + _CURSOR] = following
            else:
                taken = self._chunk() or self._steal(slot)
                if taken is None:
                    return self._nothing(at)
                whole[at + _CURSOR], whole[at + _END] = taken
                whole[at + _CHUNK], self._real[at + _CHUNK_AT] = taken[0], time.monotonic()
                whole[at + _ACTIVE] = 1
            whole[at + _CLAIMED] = 1
            return whole[at + _CURSOR]
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def running(self, slot: int) -> tuple[int, float] | None:
        """Return the position a worker runs, and since when on the monotonic scale [s]."""
        at = self._at(slot)
        position = self._whole[at + _RUNNING]
        return None if position < 0 else (position, self._real[at + _STARTED])

    def left_by(self, slot: int) -> tuple[int, int]:
        """Return the range that a worker which died had before it, and take it from it."""
        at = self._at(slot)
        whole = self._whole
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            start = whole[at + _CURSOR] if whole[at + _CLAIMED] else whole[at + _CURSOR] + 1
            found = (start, whole[at + _END])
            self._nothing(at)
            return found
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def has_chunks(self) -> bool:
        """Return whether there are chunks nobody has taken."""
        return self._whole[_NEXT] < len(self.chunks)

    def _at(self, slot: int) -> int:
        return _HEAD + slot * _SLOT

    def _nothing(self, at: int) -> None:
        self._whole[at + _ACTIVE] = 0
        self._whole[at + _CURSOR] = self._whole[at + _END] = 0
        self._whole[at + _CLAIMED] = 1

    def _chunk(self) -> tuple[int, int] | None:
        number = self._whole[_NEXT]
        if number >= len(self.chunks):
            return None
        self._whole[_NEXT] = number + 1
        return self.chunks[number]

    def _others_have_some(self, slot: int) -> bool:
        if self._whole[_STOP]:
            return False
        places = [self._at(other) for other in range(self.slots) if other != slot]
        return any(
            self._whole[at + _ACTIVE] and self._whole[at + _END] - self._whole[at + _CURSOR] > 1 for at in places
        )

    def _steal(self, slot: int) -> tuple[int, int] | None:
        """Take the second half of the range that will take longest, if that is worth it."""
        now = time.monotonic()
        best, longest = None, _WORTH_STEALING
        for other in range(self.slots):
            at = self._at(other)
            if other == slot or not self._whole[at + _ACTIVE]:
                continue
            left = self._whole[at + _END] - self._whole[at + _CURSOR] - 1
            if left < 1:
                continue
            ended = self._whole[at + _CURSOR] - self._whole[at + _CHUNK]
            expected = left * (now - self._real[at + _CHUNK_AT]) / (ended + 0.5)
            if expected > longest:
                best, longest = at, expected
        if best is None:
            return None
        end = self._whole[best + _END]
        middle = end - (end - self._whole[best + _CURSOR]) // 2
        self._whole[best + _END] = middle
        return middle, end
