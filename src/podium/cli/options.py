"""Options and argument types that several commands share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from podium.errors import StoreError
from podium.model.units import UnitError, parse_duration_ns, parse_quantity


def duration(text: str) -> float:
    """Read a duration with its unit, such as `30s` or `20 min` [s]."""
    try:
        return parse_duration_ns(text) / 1e9
    except UnitError as error:
        raise _refused(error) from error


def limit(text: str) -> float:
    """Read a duration with its unit, such as `30s`, longer than nothing [s]."""
    value = 0.0 if _ZERO.fullmatch(text.strip()) else duration(text)
    if not value:
        raise click.BadParameter(f"`{text}` leaves no time\nhint: leave the option out for no limit")
    return value


_ZERO = re.compile(r"[-+]?(0+\.?0*|\.0+)")
"""Nothing, without a unit."""


def speed(text: str) -> float:
    """Read simulated seconds per wall second, such as `100` or `100x`; `max` is infinite."""
    if text == "max":
        return math.inf
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not 0.0 < value < math.inf:
        raise click.BadParameter(f"`{text}` is no speed\nhint: write simulated seconds per second, such as 100, or max")
    return value


def size(text: str) -> int:
    """Read an amount of memory with its unit, such as `512 MiB` [byte]."""
    try:
        return round(parse_quantity(text, "data size"))
    except UnitError as error:
        raise _refused(error) from error


def number(text: str) -> int:
    """Read how many at once: a number from 1, or `auto` for one per processor."""
    if text == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise click.BadParameter(f"`{text}` is no number from 1\nhint: write a number, or auto")
    return int(text)


def _refused(error: UnitError) -> click.BadParameter:
    return click.BadParameter(f"{error}\nhint: {error.hint}" if error.hint else str(error))


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _there(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise StoreError(f"there is no store {path}", code="E517", hint="`podium run --store` makes one")
    return path


existing_path = click.Path(exists=True, path_type=Path)
"""A file or folder that is there."""

_STORE_HELP = "File of the store; by default .podium/podium.db of the project."
store_option: Decorator = click.option("--store", type=click.Path(path_type=Path), help=_STORE_HELP)
known_store_option: Decorator = click.option(
    "--store", type=click.Path(path_type=Path), callback=_there, help=_STORE_HELP
)
"""For commands that only read: a path that does not exist is a mistake."""
run_argument: Decorator = click.argument("run", default="latest")


def format_option(*formats: str) -> Decorator:
    """Return the option `--format` for some formats, the first being the default."""
    return click.option("--format", "format_", type=click.Choice(formats), default=formats[0], help="What stdout gets.")
