"""A small process that outlives its owner just long enough to clean up after it.

The owner holds the other end of the guard's standard input. When that end closes, because the owner closed it or was
killed, the guard kills every process that carries its label, until none is left, removes what services of this owner
left (processes that cleared their label, containers, temporary folders), and ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Self

from podium.runtime import ownership
from podium.runtime.services import leftovers

_PATIENCE = 10.0
"""How long the guard looks for processes that appear while it kills others [s]."""


class Guard:
    """Starts a guard for what carries a label; a context manager that lets it go.

    Args:
        label: Of the processes it ends.
    """

    def __init__(self, label: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name != ownership.VARIABLE}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "podium.runtime.guard", label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id of the guard."""
        return self._process.pid

    def close(self) -> None:
        """Let the guard clean up what is left, and wait until it has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Self:
        """Return the guard."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Let it go."""
        self.close()


def main() -> None:
    """Wait for the end of standard input, then kill what the owner left."""
    label = sys.argv[1]
    sys.stdin.buffer.read()
    deadline = time.monotonic() + _PATIENCE
    while ownership.kill_labelled(label) and time.monotonic() < deadline:
        pass
    leftovers.remove_owned(label)


if __name__ == "__main__":
    main()
