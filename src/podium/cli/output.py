"""What a run prints while it runs, and tables of what the store knows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from podium.errors import EnvironmentProblemError
from podium.protocols import Sink


def sinks_for(format_: str, *, junit: Path | None = None, verbose: bool = False) -> list[Sink]:
    """Return what shows a run: the board on a terminal, lines elsewhere, or data.

    Args:
        format_: `text`, `json`, `jsonl`, or what a terminal would get: `board`, `lines`, or `silent` until the end.
        junit: Also write JUnit XML to this file.
        verbose: Say everything about what did not pass.
    """
    from podium.sinks.background import Background  # noqa: PLC0415

    sinks: list[Sink] = []
    if format_ == "jsonl":
        from podium.sinks.jsonl import JsonLines  # noqa: PLC0415

        sinks.append(Background(JsonLines(sys.stdout)))
    elif format_ == "json":
        from podium.sinks.report import JsonReport  # noqa: PLC0415

        sinks.append(JsonReport(sys.stdout))
    elif format_ == "silent":
        from podium.sinks.lines import ClosingLines  # noqa: PLC0415

        sinks.append(ClosingLines(sys.stdout))
    elif format_ == "board" or (format_ == "text" and sys.stdout.isatty() and not verbose):
        from rich.console import Console  # noqa: PLC0415

        from podium.sinks.board import Board  # noqa: PLC0415

        sinks.append(Background(Board(Console())))
    else:
        from podium.sinks.lines import Lines  # noqa: PLC0415

        sinks.append(Background(Lines(sys.stdout, verbose=verbose)))
    if junit is not None:
        ensure_writable(junit)
        from podium.sinks.junit import JUnit  # noqa: PLC0415

        sinks.append(JUnit(junit))
    return sinks


def ensure_writable(path: Path, *, folder: bool = False) -> None:
    """Refuse a file, or a folder for files, that cannot be written, before a run rather than after it.

    Raises:
        EnvironmentProblemError: It cannot be written (E502).
    """
    place = path.absolute() if folder else path.absolute().parent
    while not os.path.lexists(place):
        place = place.parent
    if not folder and path.is_dir():
        why = "it is a folder"
    elif not place.is_dir():
        why = f"{place} is no folder"
    elif not os.access(place, os.W_OK | os.X_OK):
        why = f"there is no permission to write in {place}"
    else:
        return
    hint = f"name a {'folder' if folder else 'file in a folder'} you can write to"
    raise EnvironmentProblemError(f"{path} cannot be written: {why}", code="E502", hint=hint)


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in aligned columns; columns whose name ends in a space are right-aligned."""
    texts = [[_text(cell) for cell in row] for row in rows]
    heads = [column.strip() for column in columns]
    widths = [max(len(head), *(len(row[i]) for row in texts), 0) for i, head in enumerate(heads)]
    for row in (heads, *texts):
        cells = (
            cell.rjust(width) if column.endswith(" ") else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def say(text: str) -> None:
    """Print to stderr."""
    click.echo(text, err=True)


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return str(cell)
