"""Free ports of this machine."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable

from podium.errors import EnvironmentProblemError

_RECENT: deque[int] = deque(maxlen=512)
"""Ports given lately; a service that has not begun to listen yet must not find its port given to another."""
_MOST_TRIES = 1024


class HeldPorts:
    """Free ports, one for each name, that no other program can be given until they are released.

    Between `release` and the moment the service listens, another program may take a port; the service then ends, and
    says so. Podium does not give the same port again soon, which leaves programs that ask the system for a free port
    in that very moment.

    Args:
        names: What the ports are called.

    Attributes:
        numbers: Name to port, in the order of the names.

    Raises:
        EnvironmentProblemError: No port is free (E536).
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.numbers: dict[str, int] = {}
        self._held: list[socket.socket] = []
        try:
            for name in names:
                self.numbers[name] = self._take()
        except OSError as error:
            self.release()
            text = f"no free port for a service: {error.strerror}"
            raise EnvironmentProblemError(text, code="E536", hint="end programs that hold many ports") from error

    def release(self) -> None:
        """Let the ports go, for the service to take; may be called again."""
        for held in self._held:
            held.close()
        self._held.clear()

    def _take(self) -> int:
        """Hold a port that was not given lately; those refused stay held meanwhile, so as not to come up again."""
        refused: list[socket.socket] = []
        try:
            while True:
                held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                try:
                    held.bind(("", 0))  # free on every address; nothing listens
                except OSError:
                    held.close()
                    raise
                number: int = held.getsockname()[1]
                if number not in _RECENT or len(refused) == _MOST_TRIES:
                    self._held.append(held)
                    _RECENT.append(number)
                    return number
                refused.append(held)
        finally:
            for held in refused:
                held.close()
