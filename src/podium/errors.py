"""Errors that reach a person, and the exit codes of the command line.

Every error has a code (`podium explain CODE` prints its paragraph), a message in lower case that shows the
value and the limit, and, where it helps, a hint and a place in a file. `Diagnostic` is one such finding;
`PodiumError` carries one or more of them, so that all errors of a file are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

_SHOWN_COLUMNS = 120
"""How much of a source line is shown."""
_COLUMNS_BEFORE = 40
"""How much of it in front of the place, where the line is longer."""
_CUT = "..."


class ExitCode(IntEnum):
    """What the process tells its caller."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    INTERNAL = 3
    NOTHING_SELECTED = 4
    ENVIRONMENT = 5
    OUTSTANDING = 6
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text file.

    Attributes:
        path: The file as the user named it.
        line: Line number, from 1.
        column: Column number in characters, from 1.
        text: The whole source line, without its newline.
        length: How many characters the caret underlines.
    """

    path: str
    line: int
    column: int
    text: str = ""
    length: int = 1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a document, a plan or a command.

    Attributes:
        code: Stable code such as `D104`.
        message: Lower case, no full stop, with the value and the limit.
        hint: What to do about it.
        span: Where it stands.
        severity: Errors stop the work; warnings are shown and the work goes on.
    """

    code: str
    message: str
    hint: str | None = None
    span: Span | None = None
    severity: Literal["error", "warning"] = "error"

    def render(self) -> str:
        """Return the finding as text: message, place, source line with caret, hint."""
        lines = [f"{self.severity}[{self.code}]: {self.message}"]
        if self.span is not None:
            lines.extend(_excerpt(self.span))
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def _excerpt(span: Span) -> list[str]:
    gutter = len(str(span.line)) + 2
    lines = [f"{' ' * (gutter - 1)}--> {span.path}:{span.line}:{span.column}"]
    if span.text:
        blank = " " * gutter + "|"
        text, before = _around(span.text.replace("\t", " "), span.column - 1)
        caret = "^" * max(1, min(span.length, len(text) - before))
        lines += [
            blank,
            f"{span.line:>{gutter}}| {text}",
            f"{blank} {' ' * before}{caret}",
        ]
    return lines


def _around(text: str, before: int) -> tuple[str, int]:
    """Return what is shown of a line, and how many characters of that stand in front of the place.

    Args:
        text: The line.
        before: How many characters of the line stand in front of the place.
    """
    if len(text) <= _SHOWN_COLUMNS:
        return text, before
    start = max(0, min(before - _COLUMNS_BEFORE, len(text) - _SHOWN_COLUMNS))
    end = start + _SHOWN_COLUMNS
    shown = text[start:end]
    if start:
        shown = _CUT + shown[len(_CUT) :]
    if end < len(text):
        shown = shown[: -len(_CUT)] + _CUT
    return shown, before - start


class PodiumError(Exception):
    """Base of every error with a code. Carries one or more diagnostics.

    Args:
        message: What is wrong, or the diagnostics themselves.
        code: Stable code; the default belongs to the class.
        hint: What to do about it.
        span: Where it stands.
    """

    code = "X900"
    exit_code = ExitCode.INTERNAL

    def __init__(
        self,
        message: str | Iterable[Diagnostic],
        *,
        code: str | None = None,
        hint: str | None = None,
        span: Span | None = None,
    ) -> None:
        if isinstance(message, str):
            self.diagnostics = (Diagnostic(code or self.code, message, hint, span),)
        else:
            self.diagnostics = tuple(message)
        super().__init__("; ".join(d.message for d in self.diagnostics))

    def render(self) -> str:
        """Return every diagnostic as text, separated by an empty line."""
        return "\n\n".join(d.render() for d in self.diagnostics)


class DocumentError(PodiumError):
    """A document cannot be read: syntax, schema, units, references, limits."""

    code = "D100"
    exit_code = ExitCode.USAGE


class PlanError(PodiumError):
    """Documents are fine on their own but make no plan: cycles, unknown names, impossible resources."""

    code = "P200"
    exit_code = ExitCode.USAGE


class UsageError(PodiumError):
    """A command or a call was given arguments that make no sense."""

    code = "U400"
    exit_code = ExitCode.USAGE


class NothingSelectedError(PodiumError):
    """The selection is empty: there is nothing to run, so nothing can have passed."""

    code = "U404"
    exit_code = ExitCode.NOTHING_SELECTED


class EnvironmentProblemError(PodiumError):
    """The machine lacks something: a directory that cannot be written, a program, a server."""

    code = "E500"
    exit_code = ExitCode.ENVIRONMENT


class StoreError(PodiumError):
    """The store cannot be opened, is of another version, or does not hold what was asked for."""

    code = "E510"
    exit_code = ExitCode.ENVIRONMENT


class SimulationError(PodiumError):
    """A simulated node or event went wrong; the message carries node, event and simulated time."""

    code = "S600"
    exit_code = ExitCode.INTERNAL
