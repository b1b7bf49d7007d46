"""What a service writes, in a file that cannot grow without end."""

from __future__ import annotations

import os
import tempfile

LARGEST_LOG = 1 << 24
"""How much of what a service writes is kept [byte]: the first half of it from the beginning, the rest from the end."""


class Log:
    """Keeps the beginning and the end of a stream of bytes, in an unnamed file.

    The file holds the beginning, and behind it a ring with what came last.

    Args:
        largest: How much is kept, at least 2 [byte].
    """

    def __init__(self, largest: int = LARGEST_LOG) -> None:
        self._half = largest // 2
        self._size = 0
        self._lost_at: int | None = None
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the service)

    def write(self, data: bytes) -> None:
        """Take what came next."""
        if self._lost_at is not None:
            return
        try:
            while data:
                written = os.pwrite(self._file.fileno(), data[: self._room()], self._position(self._size))
                data = data[written:]
                self._size += written
        except OSError:  # no space left; the service goes on
            self._lost_at = self._size

    def content(self) -> bytes:
        """Return what was kept, with a mark where something is missing."""
        beginning = self._read(0, min(self._size, self._half))
        kept = max(0, min(self._size - self._half, self._half))
        missing = self._size - len(beginning) - kept
        mark = f"\n[podium: {missing} bytes are left out here]\n".encode() if missing else b""
        lost = b"\n[podium: there was no space for what came next]\n" if self._lost_at is not None else b""
        return beginning + mark + self._read(self._size - kept, kept) + lost

    def tail(self, size: int = 4096) -> str:
        """Return the end as text."""
        size = min(size, self._size, self._half)
        return self._read(self._size - size, size).decode("utf-8", "replace")

    def close(self) -> None:
        """Give back the space."""
        self._file.close()

    def _position(self, offset: int) -> int:
        """Return where in the file the byte at an offset of the stream stands, if it is kept."""
        if offset < self._half:
            return offset
        return self._half + (offset - self._half) % self._half

    def _room(self) -> int:
        """Return how much may be written at once before the position jumps."""
        return self._half - self._size % self._half

    def _read(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            part = os.pread(self._file.fileno(), min(size, self._half - offset % self._half), self._position(offset))
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)
