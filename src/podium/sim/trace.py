"""What happened, reduced to a fingerprint: two runs are the same exactly if their fingerprints are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import zip_longest
from typing import Any

import msgspec

_BLOCK = 1 << 16


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One thing that happened.

    Attributes:
        time_ns: When [ns].
        node: To whom; empty for the run as a whole.
        event: What, such as `fault`.
        values: The numbers and words that belong to it, exactly.
    """

    time_ns: int
    node: str
    event: str
    values: Any = ()


class Trace:
    """Takes everything that happens in a run.

    Args:
        keep: Also called with every entry, encoded as one JSON array; for `podium verify`.
    """

    def __init__(self, keep: Callable[[bytes], object] | None = None) -> None:
        self._hash = blake2b(digest_size=16)
        self._encode = msgspec.json.Encoder().encode
        self._pending: list[bytes] = []
        self._size = 0
        self._keep = keep

    def record(self, time_ns: int, node: str, event: str, values: Any = ()) -> None:
        """Take one thing that happened; floats count to the last bit.

        Args:
            time_ns: When [ns].
            node: To whom.
            event: What.
            values: JSON value.
        """
        line = self._encode((time_ns, node, event, values))
        self._pending.append(line)
        self._size += len(line)
        if self._size > _BLOCK:
            self._flush()
        if self._keep is not None:
            self._keep(line)

    def fingerprint(self) -> str:
        """Return the digest of everything taken so far: 32 hex digits."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        if self._pending:
            self._hash.update(b"\n".join(self._pending) + b"\n")
        self._pending.clear()
        self._size = 0


class Difference(msgspec.Struct, frozen=True):
    """Where two runs part.

    Attributes:
        index: Position of the first differing entry, from 0.
        first: The entry of the first run; None if it had ended.
        second: The entry of the second run; None if it had ended.
    """

    index: int
    first: Entry | None
    second: Entry | None


def first_difference(first: Iterable[bytes], second: Iterable[bytes]) -> Difference | None:
    """Return where two records of entries, as `Trace` keeps them, part; None if they are equal."""
    decode = msgspec.json.Decoder(Entry).decode
    for index, (one, other) in enumerate(zip_longest(first, second)):
        if one != other:
            return Difference(index, decode(one) if one else None, decode(other) if other else None)
    return None
