"""A sink behind a thread of its own, so that a run does not wait for who reads its output."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from podium.protocols import Record, Sink


class Background:
    """Hands records to another sink in a thread. The engine goes on, and keeps its deadlines, while a pipe is full.

    Args:
        sink: Who takes the records; used in the thread only.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._records: queue.SimpleQueue[tuple[str, Sequence[Record]] | None] = queue.SimpleQueue()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._hand_on, name="sink", daemon=True)
        self._thread.start()
        self._closed = False

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Take a batch and return at once.

        Raises:
            Exception: What the sink raised since the last batch.
        """
        if self._failure is not None:
            raise self._failure
        self._records.put((run, records))

    def close(self) -> None:
        """Wait until everything is shown, then close the sink.

        Raises:
            Exception: What the sink raised, here or before.
        """
        if self._closed:
            return
        self._closed = True
        self._records.put(None)
        while self._thread.is_alive():
            self._thread.join(0.1)  # short, so that signals are heard
        if self._failure is not None:
            raise self._failure

    def _hand_on(self) -> None:
        try:
            while (batch := self._records.get()) is not None:
                self._sink.emit(*batch)
            self._sink.close()
        except Exception as error:  # noqa: BLE001 (raised again where the engine can take it)
            self._failure = error
