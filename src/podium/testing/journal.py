"""A journal in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from podium.errors import StoreError
from podium.events import AnyEvent
from podium.protocols import Record


class MemoryJournal:
    """Keeps events and blobs in memory."""

    def __init__(self) -> None:
        self._runs: dict[str, list[AnyEvent]] = {}
        self._blobs: dict[str, bytes] = {}

    def append(
        self, run: str, first_seq: int, events: Sequence[AnyEvent], blobs: Mapping[str, bytes] | None = None
    ) -> None:
        """Keep events and blobs."""
        kept = self._runs.setdefault(run, [])
        if first_seq != len(kept) + 1:
            raise StoreError(f"position {first_seq} of run {run} is taken", code="E511")
        kept.extend(events)
        self._blobs.update(blobs or {})

    def read(self, run: str, after: int = 0) -> Iterator[Record]:
        """Yield the run's records."""
        for seq, event in enumerate(tuple(self._runs.get(run, ()))[after:], after + 1):
            yield Record(seq, event)

    def blob(self, digest: str) -> bytes:
        """Return stored bytes."""
        return self._blobs[digest]
