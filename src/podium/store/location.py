"""Where the store of a working directory is."""

from __future__ import annotations

import os
from pathlib import Path

FILE = Path(".podium") / "podium.db"
_PROJECT_MARKS = ("pyproject.toml", ".git")


def locate(start: Path | None = None) -> Path:
    """Return the path of the store that belongs to a directory; it may not exist yet.

    In this order: the file named by `PODIUM_STORE`; `.podium/podium.db` in the nearest directory upwards that has one;
    the same beside the nearest `pyproject.toml` or `.git`; the same in the directory itself; and if none of these can
    be written, `podium/podium.db` in the user's data directory.

    Args:
        start: The directory, by default the working directory.
    """
    named = os.environ.get("PODIUM_STORE")
    if named:
        return Path(named).expanduser().absolute()
    here = (start or Path.cwd()).resolve()
    upwards = _below_home(here)
    for directory in upwards:
        if (directory / FILE).is_file():
            return directory / FILE
    marked = [directory for directory in upwards if any((directory / mark).exists() for mark in _PROJECT_MARKS)]
    for directory in (*marked[:1], here):
        if os.access(directory, os.W_OK):
            return directory / FILE
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "podium" / "podium.db"


def _below_home(here: Path) -> list[Path]:
    """Return the directory and those above it, up to but without the home directory and the root."""
    end = (Path.home(), Path(here.anchor))
    upwards = [here]
    for directory in here.parents:
        if directory in end:
            break
        upwards.append(directory)
    return upwards
