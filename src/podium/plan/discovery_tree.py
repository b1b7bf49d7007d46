"""The files of a project, as far as tests may be among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from copy import copy
from fnmatch import fnmatchcase
from pathlib import Path

_PRUNED = frozenset(
    {"node_modules", "__pycache__", "site-packages", "_darcs", "CVS", "venv", "dist", "vendor", "target"}
)
_MOST = 200_000
"""Files that are looked at; a project with more has to say where its tests are."""


class Tree:
    """Paths of a project's files and folders, relative to it, sorted; hidden folders and environments are left out.

    Args:
        project: The project's folder.
    """

    def __init__(self, project: Path) -> None:
        self.project = project
        self.files: list[str] = []
        for folder, folders, files in os.walk(project):
            inside = Path(folder).relative_to(project)
            if inside.parts and "pyvenv.cfg" in files:
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if _is_entered(name))
            self.files += [(inside / name).as_posix() for name in sorted(files)]
            if len(self.files) > _MOST:
                break

    def named(self, *patterns: str) -> list[str]:
        """Return the files whose name fits one of the patterns."""
        return self.which(lambda name: any(fnmatchcase(name, pattern) for pattern in patterns))

    def which(self, fits: Callable[[str], bool]) -> list[str]:
        """Return the files whose name fits."""
        return [file for file in self.files if fits(file.rpartition("/")[2])]

    def without(self, folders: Iterable[str]) -> Tree:
        """Return the tree as if it ended at some folders."""
        left_out = tuple(folders)
        rest = copy(self)
        rest.files = [file for file in self.files if not any(below(file, folder) for folder in left_out)]
        return rest

    def text(self, file: str) -> str:
        """Return what a file says; nothing if it cannot be read."""
        try:
            return (self.project / file).read_text("utf-8", "replace")
        except OSError:
            return ""


def below(file: str, folder: str) -> bool:
    """Tell whether a file is in a folder, at any depth; `` and `.` are the project itself."""
    return folder in {"", "."} or file.startswith(f"{folder}/")


def _is_entered(name: str) -> bool:
    return not name.startswith(".") and name not in _PRUNED and not name.endswith((".egg", ".egg-info"))
