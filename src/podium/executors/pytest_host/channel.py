"""Lines of JSON to and from the executor."""

from __future__ import annotations

import json
import os
import re
import select
from typing import Any

_CHUNK = 1 << 16
_ALONE = re.compile("[\ud800-\udfff]")
"""Surrogates, which in a text of Python stand for no character."""


class Channel:
    """A socket to the executor.

    Args:
        fd: Its descriptor.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._owner = os.getpid()
        self._rest = b""
        os.set_blocking(fd, True)

    def send(self, message: dict[str, Any]) -> None:
        """Write a message; in a process that was forked from the one that holds the channel, do nothing.

        Surrogates that stand alone are no characters, and are written out.
        """
        if os.getpid() != self._owner:
            return
        unsent = memoryview(_line(message))
        try:
            while unsent:
                unsent = unsent[os.write(self.fd, unsent) :]
        except OSError:  # nobody wants to know any more
            os._exit(1)

    def receive(self) -> dict[str, Any]:
        """Wait for a message and return it."""
        while b"\n" not in self._rest:
            data = os.read(self.fd, _CHUNK)
            if not data:
                os._exit(1)
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def waiting(self) -> dict[str, Any] | None:
        """Return a message if one is there."""
        if b"\n" in self._rest or select.select([self.fd], [], [], 0)[0]:
            return self.receive()
        return None


def _line(message: dict[str, Any]) -> bytes:
    text = json.dumps(message, separators=(",", ":"), default=repr, ensure_ascii=False) + "\n"
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _ALONE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text).encode("utf-8")
