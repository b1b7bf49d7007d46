"""Which interpreter runs the tests of a project."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path


def python_of(wanted: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Return the interpreter for a project.

    That of its virtual environment only counts if pytest is installed there.

    Args:
        wanted: What the suite says; a path with a separator is relative to the folder.
        folder: Where the tests are run.
        environment: Variables, of which `VIRTUAL_ENV` may name the active environment.
    """
    if wanted:
        if os.sep in wanted:
            return str(folder / wanted)
        return shutil.which(wanted, path=environment.get("PATH")) or wanted
    active = environment.get("VIRTUAL_ENV", "")
    candidates = [Path(active)] if active else []
    candidates += [place / name for place in (folder, *_above(folder)) for name in (".venv", "venv")]
    for candidate in candidates:
        python = candidate / "bin" / "python"
        if python.exists() and _has_pytest(candidate):
            return str(python)
    return sys.executable


def _above(folder: Path) -> list[Path]:
    """Return the folders above one up to the top of its repository; none if it is in no repository."""
    parents = [folder, *folder.parents]
    for number, parent in enumerate(parents):
        if (parent / ".git").exists():
            return parents[1 : number + 1]
    return []


def _has_pytest(environment: Path) -> bool:
    if any(environment.glob("lib*/python*/site-packages/pytest/__init__.py")):
        return True
    try:
        settings = (environment / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = {line.replace(" ", "").lower() for line in settings.splitlines()}
    return "include-system-site-packages=true" in lines
