"""What pytest collected, in the form in which it is told."""

from __future__ import annotations

import os
from typing import Any

import pytest

from .records import sendable


class Listing:
    """Describes collected tests: id, file, line, names of markers.

    Args:
        config: Configuration of the session.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._cwd = str(config.invocation_params.dir)
        self._root = str(config.rootpath)
        self._files: dict[str, int] = {}
        self._paths: dict[str, int] = {}
        self._lines: dict[tuple[int, str], tuple[int, int]] = {}
        self._inherited: dict[int, tuple[str, ...]] = {}

    def describe(self, items: list[Any]) -> dict[str, Any]:
        """Return files, and for every test its id, number of its file, line and markers."""
        tests = [self._one(item) for item in items]
        return {"files": list(self._files), "tests": tests}

    def _one(self, item: Any) -> list[Any]:
        file, line = self._place(item)
        return [sendable(item.nodeid), file, line, self._markers(item)]

    def _place(self, item: Any) -> tuple[int, int]:
        """Return number of file and line; tests that differ in their parameters alone stand at the same place."""
        key = (id(item.parent), getattr(item, "originalname", None) or item.name)
        known = self._lines.get(key)
        if known is None:
            path, line, _ = item.location
            known = self._lines[key] = (self._file(str(path)), (line or 0) + 1 if line is not None else 0)
        return known

    def _file(self, path: str) -> int:
        number = self._paths.get(path)
        if number is None:
            relative = sendable(os.path.relpath(os.path.join(self._root, path), self._cwd).replace(os.sep, "/"))
            number = self._paths[path] = self._files.setdefault(relative, len(self._files))
        return number

    def _markers(self, item: Any) -> list[str]:
        inherited = self._inherited.get(id(item.parent))
        if inherited is None:
            names = {mark.name for node in item.parent.listchain() for mark in getattr(node, "own_markers", ())}
            inherited = self._inherited[id(item.parent)] = tuple(sorted(names))
        own = item.own_markers
        if not own:
            return list(inherited)
        return sorted({*inherited, *[mark.name for mark in own]})
