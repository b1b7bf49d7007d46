"""Results on their way to the executor, a few at a time."""

from __future__ import annotations

import time
from typing import Any

from .channel import Channel
from .records import Record

_BETWEEN = 0.15
"""Time between two batches [s]."""
_MOST = 2000


class Outbox:
    """Gathers results and sends them.

    Args:
        channel: To the executor.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._batch: list[Any] = []
        self._sent = 0.0

    def put(self, test: Any, record: Record, *, worker: int, attempt: int, turn: int, final: bool) -> None:
        """Take what one try at a test came to.

        Args:
            test: Its index among those collected; or its id, file and line.
            record: What it came to.
            worker: Which worker ran it, from 1.
            attempt: Which try this was, from 1.
            turn: Which repetition this was, from 1.
            final: It is not tried again in this repetition.
        """
        self._batch.append([test, *record[:5], worker, attempt + record.tries - 1, turn, int(final)])
        if len(self._batch) >= _MOST:
            self.flush()

    def flush_in_time(self) -> None:
        """Send what there is, if the last time was long enough ago."""
        if self._batch and time.monotonic() - self._sent >= _BETWEEN:
            self.flush()

    def flush(self) -> None:
        """Send what there is."""
        if self._batch:
            self._channel.send({"tests": self._batch})
            self._batch = []
        self._sent = time.monotonic()
