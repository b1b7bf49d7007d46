"""Run ids: UUIDs of version 7, which sort by the time they were made."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable


class RunIds:
    """Makes run ids that grow within this process, however fast they are made.

    Args:
        now_ms: Time of day [ms since the Unix epoch].
        random_bytes: Source of random bytes.

    Source: RFC 9562, section 5.7, with the monotonic counter of section 6.2, method 1.
    """

    def __init__(
        self,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._last: tuple[int, int] = (0, 0)

    def new(self) -> str:
        """Return a new id."""
        with self._lock:
            moment, counter = self._now_ms(), 0
            if moment <= self._last[0]:
                moment, counter = self._last[0], self._last[1] + 1
                if counter == 1 << 12:
                    moment, counter = moment + 1, 0
            self._last = (moment, counter)
        tail = int.from_bytes(self._random_bytes(8), "big") & ((1 << 62) - 1)
        return str(uuid.UUID(int=(moment << 80) | (7 << 76) | (counter << 64) | (2 << 62) | tail))


_ids = RunIds()


def new_run_id() -> str:
    """Return a new run id of this process."""
    return _ids.new()
