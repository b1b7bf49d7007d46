"""Lines of JSON to and from the executor."""

from __future__ import annotations

import json
import os
import select
from typing import Any

_CHUNK = 1 << 16


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
        """Write a message; in a process that was forked from the one that holds the channel, do nothing."""
        if os.getpid() != self._owner:
            return
        unsent = memoryview(json.dumps(message, separators=(",", ":"), default=repr).encode("ascii") + b"\n")
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
