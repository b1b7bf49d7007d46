"""Every event as one line of JSON, as it stands in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from io import TextIOBase
from typing import BinaryIO, TextIO, cast

from podium.events import encode
from podium.protocols import Record


class JsonLines:
    """Writes one line per event, in UTF-8, flushed after each batch.

    Args:
        stream: Where to; it belongs to the caller. Of a text stream its bytes are used if it has them underneath, so
            that its encoding does not matter.
    """

    def __init__(self, stream: BinaryIO | TextIO) -> None:
        self._stream = stream

    def emit(self, run: str, records: Sequence[Record]) -> None:  # noqa: ARG002 (the run stands in its first event)
        """Write a batch."""
        data = b"".join(encode(record.event) + b"\n" for record in records)
        stream = self._stream
        stream.flush()
        below = cast("BinaryIO | None", getattr(stream, "buffer", None) if isinstance(stream, TextIOBase) else stream)
        if below is None:
            cast("TextIO", stream).write(data.decode())
            stream.flush()
            return
        while data:
            data = data[below.write(data) :]  # an unbuffered stream may take less than all
        below.flush()

    def close(self) -> None:
        """Nothing is held back."""
