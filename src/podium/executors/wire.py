"""Messages between the engine's process and its workers: MessagePack over a socket, after a mark and its length."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from podium.protocols import Finished, Lost, Progressed

_HEAD = struct.Struct("!4sI")
_MARK = b"PODM"
"""Begins every message, so that what a task writes to the socket is not taken for the length of one."""


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
    return _HEAD.pack(_MARK, len(body)) + body


def check(data: bytes) -> None:
    """Find out whether the other side will be able to read what `frame` returned for a report.

    Raises:
        msgspec.MsgspecError: A value is of the wrong type.
        RecursionError: It is nested too deep.
    """
    msgspec.msgpack.decode(memoryview(data)[_HEAD.size :], type=Reported)


class Frames:
    """Cuts a stream of bytes into messages.

    Args:
        kind: Class of the messages.
    """

    def __init__(self, kind: type[Task | Reported]) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Take bytes as they came and return the messages that are complete.

        Raises:
            msgspec.MsgspecError: They are no messages.
        """
        self._buffer += data
        messages: list[Any] = []
        while len(self._buffer) >= _HEAD.size:
            mark, length = _HEAD.unpack_from(self._buffer)
            if mark != _MARK:
                raise msgspec.DecodeError("no message begins here")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                break
            try:
                messages.append(self._decoder.decode(bytes(self._buffer[_HEAD.size : end])))
            except (UnicodeDecodeError, RecursionError) as error:
                raise msgspec.DecodeError(str(error)) from error
            del self._buffer[:end]
        return messages
