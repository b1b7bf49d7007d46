"""Where a project keeps its Python tests, as its configuration and its folders say."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from glob import glob
from pathlib import PurePosixPath
from typing import Any, cast

from podium.plan.discovery_names import layer_of, names_kind, plain
from podium.plan.discovery_tree import Tree, below

_TEST_FILES = ("test_*.py", "*_test.py")
_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
"""Where pytest looks for its settings, in this order."""
_SECTIONS = {"tox.ini": "pytest", "setup.cfg": "tool:pytest", "pytest.ini": "pytest", ".pytest.ini": "pytest"}
_MAY_BE_EMPTY = frozenset({"pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"})
"""Files that settle the matter for pytest even if they say nothing."""
_ROOTS = ("tests", "test", "testing")
_MORE_TESTS = ("--doctest-modules", "--doctest-glob", "--doctest-plus", "--doctest-rst", "--nbval", "--mypy")
"""Options with which pytest finds tests in files that are not called tests."""
_FOR_ALL = re.compile(r"^pytestmark\b.*", re.MULTILINE)
_COPIES = frozenset({"build"})
"""Folders where builds leave copies of the tests; pytest does not look there either."""
_MARKED = re.compile(r"\bmark\.([A-Za-z_]\w*)")
_CHOOSES_MARKERS = re.compile(r"-[hlqsvx]*m.*", re.DOTALL)
"""The option `-m` among words, also behind others of one letter (`-qm`) and before its value (`-mslow`)."""
_DOCTESTS = "test*.txt"
"""Files of text that pytest reads for doctests without being told."""


class PythonTests:
    """The test files of a project, and what its configuration of pytest says about them.

    Args:
        tree: The project's files.
        everywhere: Look into folders, too, that the configuration tells pytest not to enter by itself.

    Attributes:
        configuration: File with the settings of pytest; empty if there is none.
        files: Files of tests.
        roots: Folders all of them are in, `.` for the project's own; `testpaths` if they are given.
        in_any_file: Files that are not called tests may hold some, too, such as doctests.
        chooses_markers: Its options choose tests by markers; other markers would take the place of these.
    """

    def __init__(self, tree: Tree, *, everywhere: bool = False) -> None:
        self._tree = tree
        self.configuration, settings = _settings(tree)
        options = [*_words(settings.get("addopts")), *_words(os.environ.get("PYTEST_ADDOPTS"))]
        self.in_any_file = any(word.startswith(_MORE_TESTS) for word in options)
        self.chooses_markers = any(_CHOOSES_MARKERS.fullmatch(word) for word in options)
        self._patterns = _words(settings.get("python_files")) or list(_TEST_FILES)
        self.registered = {
            name for line in _lines(settings.get("markers")) if (name := re.split(r"[:(\s]", line, maxsplit=1)[0])
        }
        self._avoided = [] if everywhere else _words(settings.get("norecursedirs"))
        candidates = [file for file in tree.which(self._is_test) if _COPIES.isdisjoint(file.split("/"))]
        self.given = _words(settings.get("testpaths")) if self.configuration in tree.files else []
        if not any(glob(path, root_dir=tree.project, recursive=True) for path in self.given):  # noqa: PTH207 (it may be absolute)
            self.given = []  # pytest does not rely on them either
        if self.given:
            self.roots = self._given_roots(candidates)
        else:
            candidates = [file for file in candidates if self._is_reached(file, ".")]
            self.roots = ["."] if self.in_any_file else _usual_roots(candidates)
        self.files = [file for file in candidates if any(self._is_reached(file, root) for root in self.roots)]
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

    def why_others(self) -> str:
        """Return why pytest may find tests though no file is called one, in a sentence; empty if nothing says so."""
        if self.configuration in self._tree.files:
            return f"no file is called a test, and pytest has settings in `{self.configuration}`"
        for file in self._tree.named("conftest.py"):
            return f"no file is called a test, and `{file}` may say which other files hold tests"
        for file in self._tree.named(_DOCTESTS):
            return f"`{file}` may hold doctests"
        return ""

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

    def _is_reached(self, file: str, root: str) -> bool:
        """Tell whether pytest comes upon a file from a root: all folders on the way are ones it enters."""
        if not below(file, root):
            return file == root
        folders = PurePosixPath(file).relative_to(root).parts[:-1]
        return not any(fnmatchcase(folder, pattern) for folder in folders for pattern in self._avoided)

    def _given_roots(self, candidates: list[str]) -> list[str]:
        roots: list[str] = []
        for path in self.given:
            root = PurePosixPath(path).as_posix()
            if any(sign in root for sign in "*?["):
                roots += _matching(root, self._tree.files if self.in_any_file else candidates)
            elif root == "." or self.in_any_file or any(file == root or below(file, root) for file in candidates):
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


def projects_within(tree: Tree) -> list[str]:
    """Return the outermost folders that have settings of pytest of their own: projects in a folder of projects.

    There are none if there are settings above them, or if what has them is a folder of tests.
    """
    if _settings(tree)[0]:
        return []
    found: list[str] = []
    for file in sorted(tree.named(*_FILES), key=lambda file: (file.count("/"), file)):
        folder, _, name = file.rpartition("/")
        known = not folder or any(folder == other or below(folder, other) for other in found)
        if not known and not set(folder.split("/")).intersection(_ROOTS) and _settings_in(tree, file, name) is not None:
            found.append(folder)
    return found


def _is_usual(parts: tuple[str, ...]) -> bool:
    return bool(parts) and parts[0] in _ROOTS


def _fits(name: str, patterns: tuple[str, ...] | list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _matching(pattern: str, files: list[str]) -> Iterator[str]:
    depth = len(PurePosixPath(pattern).parts)
    places = {PurePosixPath(*PurePosixPath(file).parts[:depth]) for file in files}
    return (place.as_posix() for place in places if place.match(pattern))


def _usual_roots(files: list[str]) -> list[str]:
    """Return the folders with a usual name that hold tests, the outermost ones; and those of tests beside the code.

    Files are not named themselves: pytest would take those, too, that its settings tell it to leave out.
    """
    roots: set[str] = set()
    for file in files:
        parts = PurePosixPath(file).parts
        if len(parts) == 1:
            return ["."]
        depth = next((index for index, part in enumerate(parts[:-1]) if part in _ROOTS), 0)
        roots.add("/".join(parts[: depth + 1]))
    return sorted(root for root in roots if not any(below(root, other) for other in roots))


def _settings(tree: Tree) -> tuple[str, Mapping[str, Any]]:
    """Return the file with the settings of pytest, and these: in the project's folder, or else the next above."""
    for folder in ("", *(f"{parent}/" for parent in tree.project.absolute().parents)):
        for name in _FILES:
            settings = _settings_in(tree, folder + name, name)
            if settings is not None:
                return folder + name, settings
    return "", {}


def _settings_in(tree: Tree, file: str, name: str) -> dict[str, Any] | None:
    """Return the settings of pytest in a file; none if it has none, or is not there."""
    text = tree.text(file)
    if not text and not (tree.project / file).is_file():
        return None
    settings = _toml(text, name) if name.endswith(".toml") else _ini(text, _SECTIONS[name])
    return {} if settings is None and name in _MAY_BE_EMPTY else settings


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
