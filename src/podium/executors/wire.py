"""Messages between the engine's process and its workers: length-prefixed MessagePack over a socket."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from podium.protocols import Finished, Lost, Progressed

_LENGTH = struct.Struct("!I")


class Task(msgspec.Struct, frozen=True, array_like=True):
    """What a worker is to do.

    Attributes:
        token: Fencing token of the attempt.
        target: The function, as `module:name`.
        payload: Its argument.
        memory_bytes: Address space it may use; None: no limit.
        env: Variables set while it runs, such as the idempotency key.
    """

    token: int
    target: str
    payload: Any
    memory_bytes: int | None = None
    env: dict[str, str] = {}


class Reported(msgspec.Struct, frozen=True, array_like=True):
    """What a worker says about an attempt.

    Attributes:
        token: Fencing token of the attempt.
        report: What it reports.
    """

    token: int
    report: Finished | Progressed | Lost


def frame(message: Task | Reported) -> bytes:
    """Return the bytes that carry a message."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Cuts a stream of bytes into messages.

    Args:
        kind: Class of the messages.
    """

    def __init__(self, kind: type[Task | Reported]) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Take bytes as they came and return the messages that are complete."""
        self._buffer += data
        messages: list[Any] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages.append(self._decoder.decode(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return messages
