"""Where a project keeps its Python tests, as its configuration and its folders say."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, cast

from podium.plan.discovery_names import layer_of, names_kind, plain
from podium.plan.discovery_tree import Tree, below

_TEST_FILES = ("test_*.py", "*_test.py")
_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""Where pytest looks for its settings, in this order."""
_SECTIONS = {"tox.ini": "pytest", "setup.cfg": "tool:pytest", "pytest.ini": "pytest", ".pytest.ini": "pytest"}
_ROOTS = ("tests", "test", "testing")
_FOR_ALL = re.compile(r"^pytestmark\b.*", re.MULTILINE)
_COPIES = frozenset({"build"})
"""Folders where builds leave copies of the tests; pytest does not look there either."""
_MARKED = re.compile(r"\bmark\.([A-Za-z_]\w*)")


class PythonTests:
    """The test files of a project, and what its configuration of pytest says about them.

    Args:
        tree: The project's files.

    Attributes:
        configuration: File with the settings of pytest; empty if there is none.
        files: Files of tests.
        roots: Folders, or files, all of them are in; `testpaths` if they are given.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.configuration, settings = _settings(tree)
        self._patterns = _words(settings.get("python_files")) or list(_TEST_FILES)
        self.registered = {
            name for line in _lines(settings.get("markers")) if (name := re.split(r"[:(\s]", line, maxsplit=1)[0])
        }
        candidates = [file for file in tree.which(self._is_test) if _COPIES.isdisjoint(file.split("/"))]
        self.given = _words(settings.get("testpaths"))
        self.roots = self._given_roots(candidates) if self.given else _usual_roots(candidates)
        self.files = [file for file in candidates if any(file == root or below(file, root) for root in self.roots)]
        self._marked: dict[str, set[str]] | None = None

    def folders_named(self, name: str) -> list[str]:
        """Return the folders of tests with a name, the outermost ones."""
        return self._outermost(lambda part: plain(part) == plain(name))

    def known_folders(self) -> dict[str, list[str]]:
        """Return the folders whose names are usual ones of categories, the outermost ones, by name."""
        found: dict[str, list[str]] = {}
        for folder in self._outermost(lambda part: bool(layer_of(part))):
            found.setdefault(plain(PurePosixPath(folder).name), []).append(folder)
        return found

    def marked(self, name: str) -> list[str]:
        """Return the test files that use a marker."""
        if self._marked is None:
            self._marked = {file: set(_MARKED.findall(self._tree.text(file))) for file in self.files}
        return [file for file, markers in self._marked.items() if name in markers]

    def known_markers(self) -> list[str]:
        """Return the registered markers that are usual names of categories and are in use."""
        return [name for name in sorted(self.registered) if layer_of(name) and self.marked(name)]

    def all_marked(self, names: Iterable[str]) -> bool:
        """Tell whether every test file gives one of these markers to all that is in it."""
        wanted = set(names)
        return all(
            any(wanted.intersection(_MARKED.findall(line)) for line in _FOR_ALL.findall(self._tree.text(file)))
            for file in self.files
        )

    def known_files(self) -> dict[str, list[str]]:
        """Return the test files whose names say what kind of tests they hold, by kind."""
        found: dict[str, list[str]] = {}
        for file in self.files:
            words = PurePosixPath(file).stem.lower().removeprefix("test_").removesuffix("_test").split("_")
            kind = next((word for word in (words[0], words[-1]) if names_kind(word)), None)
            if kind:
                found.setdefault(kind, []).append(file)
        return found

    def files_named(self, name: str) -> list[str]:
        """Return the test files that are named after something."""
        wanted = plain(name)
        patterns = (f"test_{wanted}.py", f"test_{wanted}_*.py", f"{wanted}_test.py", f"*_{wanted}_test.py")
        patterns = (*patterns, f"test_*_{wanted}.py")
        return [file for file in self.files if _fits(plain(PurePosixPath(file).name), patterns)]

    def _is_test(self, name: str) -> bool:
        return name.endswith(".py") and _fits(name, self._patterns)

    def _given_roots(self, candidates: list[str]) -> list[str]:
        roots: list[str] = []
        for path in self.given:
            root = PurePosixPath(path).as_posix()
            if any(sign in root for sign in "*?["):
                roots += _matching(root, candidates)
            elif root == "." or any(file == root or below(file, root) for file in candidates):
                roots.append(root)
        return sorted(set(roots))

    def _outermost(self, fits: Callable[[str], bool]) -> list[str]:
        found: set[str] = set()
        for file in self.files:
            parts = PurePosixPath(file).parts[:-1]
            root = max((len(PurePosixPath(one).parts) for one in self.roots if below(file, one)), default=0)
            start = max(0, root - 1) if root and not _is_usual(parts[root - 1 : root]) else root
            for depth in range(start, len(parts)):
                if fits(parts[depth]):
                    found.add("/".join(parts[: depth + 1]))
                    break
        return sorted(one for one in found if not any(below(one, other) for other in found))


def _is_usual(parts: tuple[str, ...]) -> bool:
    return bool(parts) and parts[0] in _ROOTS


def _fits(name: str, patterns: tuple[str, ...] | list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _matching(pattern: str, files: list[str]) -> Iterator[str]:
    depth = len(PurePosixPath(pattern).parts)
    places = {PurePosixPath(*PurePosixPath(file).parts[:depth]) for file in files}
    return (place.as_posix() for place in places if place.match(pattern))


def _usual_roots(files: list[str]) -> list[str]:
    """Return the folders with a usual name that hold tests, the outermost ones, and tests beside the project's code."""
    roots: set[str] = set()
    for file in files:
        parts = PurePosixPath(file).parts
        depth = next((index for index, part in enumerate(parts[:-1]) if part in _ROOTS), None)
        roots.add(file if depth is None else "/".join(parts[: depth + 1]))
    return sorted(roots)


def _settings(tree: Tree) -> tuple[str, Mapping[str, Any]]:
    """Return the file with the settings of pytest, and these."""
    there = {file for file in tree.files if "/" not in file}
    for name in _FILES:
        if name not in there:
            continue
        text = tree.text(name)
        settings = _toml(text, name) if name.endswith(".toml") else _ini(text, _SECTIONS[name])
        if settings is not None:
            return name, settings
    return "", {}


def _toml(text: str, name: str) -> dict[str, Any] | None:
    try:
        value: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    keys = ("pytest",) if name.endswith("pytest.toml") else ("tool", "pytest")
    for key in keys:
        value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        return None
    found = cast("dict[str, Any]", value)
    inner: Any = found.get("ini_options", found)
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else None


def _ini(text: str, section: str) -> dict[str, Any] | None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return dict(parser[section]) if parser.has_section(section) else None


def _lines(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(line).strip() for line in cast("list[object]", value)]
    return [line.strip() for line in value.splitlines() if line.strip()] if isinstance(value, str) else []


def _words(value: object) -> list[str]:
    if isinstance(value, list):
        return [str(word) for word in cast("list[object]", value)]
    if not isinstance(value, str):
        return []
    try:
        return shlex.split(value, comments=True)
    except ValueError:
        return value.split()
