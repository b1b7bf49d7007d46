"""What was decided becomes durable, and only then is shown."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from podium.engine.state import RunState
from podium.events import AnyEvent
from podium.protocols import Journal, Record, Sink, content_digest

_log = logging.getLogger("podium.engine")


class Recorder:
    """Collects the events of a turn, writes them in one commit and shows them to the sinks.

    Args:
        run: Run id.
        state: What every event is applied to at once.
        journal: Where events become durable.
        sinks: Who is shown them. One that raises is dropped.
    """

    def __init__(self, run: str, state: RunState, journal: Journal, sinks: Sequence[Sink]) -> None:
        self._run = run
        self._state = state
        self._journal = journal
        self._sinks = list(sinks)
        self._next_seq = 1
        self._batch: list[AnyEvent] = []
        self._blobs: dict[str, bytes] = {}

    @property
    def position(self) -> int:
        """Place in the journal of the next event."""
        return self._next_seq + len(self._batch)

    def replay(self, records: Iterable[Record]) -> None:
        """Take in what is in the journal already."""
        for record in records:
            self._state.apply(record.event)
            self._next_seq = record.seq + 1

    def keep(self, data: bytes) -> str:
        """Store bytes with the next commit and return their name."""
        digest = content_digest(data)
        self._blobs[digest] = data
        return digest

    def emit(self, event: AnyEvent) -> None:
        """Note that something happened."""
        self._batch.append(event)
        self._state.apply(event)

    def commit(self) -> None:
        """Make what happened durable, then show it.

        Raises:
            StoreError: It cannot be written.
        """
        batch, first = self._batch, self._next_seq
        if not batch:
            return
        self._journal.append(self._run, first, batch, self._blobs or None)
        self._next_seq = first + len(batch)
        self._batch = []
        self._blobs = {}
        if self._sinks:
            self._show([Record(first + offset, event) for offset, event in enumerate(batch)])

    def _show(self, records: Sequence[Record]) -> None:
        for sink in tuple(self._sinks):
            try:
                sink.emit(self._run, records)
            except Exception:  # noqa: BLE001 (whatever a sink raises, the run goes on)
                _log.warning("%s raised and is left out from here on", type(sink).__name__, exc_info=True)
                self._sinks.remove(sink)
