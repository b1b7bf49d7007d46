"""Standard output and error that may be closed early, full or narrow: no traceback, and the verdict stays the same."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from podium.errors import EnvironmentProblemError, ExitCode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Raw(io.FileIO):
    """Writes to a descriptor; once that fails, to nowhere, so that a run goes on to its end."""

    failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write; once nothing can be written, report everything as written."""
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


class Streams:
    """Takes over standard output and error of this process, and opens those of the three that are closed."""

    def __init__(self) -> None:
        for descriptor in range(3):
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
        self._output = _Raw(1, "w", closefd=False)
        sys.stdout = _text(self._output, sys.stdout)
        sys.stderr = _text(_Raw(2, "w", closefd=False), sys.stderr)

    def finish(self, code: int) -> int:
        """Write what is held back and return the exit code: another one if standard output lost something.

        A reader that went away, as `head` does, wanted no more; that changes nothing.
        """
        sys.stdout.flush()
        failure = self._output.failure
        if failure is not None and failure.errno != errno.EPIPE:
            problem = EnvironmentProblemError(
                f"standard output cannot be written: {failure.strerror}",
                code="E502",
                hint="what a run did is in the store: `podium show` and `podium replay` show it",
            )
            sys.stderr.write(f"{problem.render()}\n")
            code = ExitCode.ENVIRONMENT
        sys.stderr.flush()
        return code


def _text(raw: _Raw, before: TextIO | None) -> io.TextIOWrapper:
    """Return a text stream that shows as escapes what its encoding lacks."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=raw.isatty() or raw.fileno() == 2,  # noqa: PLR2004 (standard error)
    )
