"""A journal in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from podium.errors import StoreError
from podium.events import AnyEvent, decode, encode
from podium.protocols import Record


class MemoryJournal:
    """Keeps events and blobs in memory; events encoded, so that only what a real journal can hold passes."""

    def __init__(self) -> None:
        self._runs: dict[str, list[bytes]] = {}
        self._blobs: dict[str, bytes] = {}

    def append(
        self, run: str, first_seq: int, events: Sequence[AnyEvent], blobs: Mapping[str, bytes] | None = None
    ) -> None:
        """Keep events and blobs.

        Raises:
            StoreError: The run does not end right before `first_seq` (E511).
        """
        kept = self._runs.get(run, [])
        if first_seq != len(kept) + 1:
            raise StoreError(f"run {run} ends at {len(kept)} and cannot go on at {first_seq}", code="E511")
        encoded = [encode(event) for event in events]
        self._runs.setdefault(run, []).extend(encoded)
        self._blobs.update(blobs or {})

    def read(self, run: str, after: int = 0) -> Iterator[Record]:
        """Yield the run's records."""
        for seq, event in enumerate(self._runs.get(run, [])[after:], after + 1):
            yield Record(seq, decode(event))

    def blob(self, digest: str) -> bytes:
        """Return stored bytes.

        Raises:
            StoreError: No blob has this digest (E512).
        """
        if digest not in self._blobs:
            raise StoreError(f"the journal holds no blob {digest}", code="E512")
        return self._blobs[digest]
