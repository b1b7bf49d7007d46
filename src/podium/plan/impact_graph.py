"""Which Python file of a project may run code of which other one, found without running anything."""

from __future__ import annotations

import re
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from podium.plan.impact_imports import Import, Mentions

CONFIGURATION = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg", "setup.py")
_ENTRY = re.compile(r"""^\s*["']?([\w.-]+)["']?\s*=\s*["']?([A-Za-z_][\w.]*):[\w.]+""", re.MULTILINE)
_PLUGIN = re.compile(r"""(?<![\w-])-p[\s"',=]*([A-Za-z_][\w.]*)""")
_RENAMED = re.compile(r"package[_-]dir|\bsources\b|\bfrom\s*=")
_PATHS = re.compile(r"\bpythonpath\b|PYTHONPATH")
_STANDARD = sys.stdlib_module_names
_Parts = tuple[str, ...]


class ImportGraph:
    """Edges from Python files to those they may execute.

    It errs on the side of too many edges. An import finds every file that could be meant: from any folder that is no
    package, from the folder of the importing file, and from any folder at all if the project changes where Python
    looks. Texts that are names of modules, programs or files count as imports; in the package of a program, its name
    counts only in files that may start programs, and so do names of packages that can be run. A file whose imports
    are computed is taken to import what is below its folder, what is below folders it names, and the modules nobody
    names in the same tree (`src`, `tests`, …). One it cannot read has no known edges, and counts as changed.

    Args:
        files: Every Python file, relative to the project, with what it names; also those that are gone.
        configuration: Name of a configuration file of the project to its text.
        moved: Files that came or went, so that a folder may have been a package, or no package, before.
    """

    def __init__(
        self, files: Mapping[str, Mentions], configuration: Mapping[str, str], moved: Iterable[str] = ()
    ) -> None:
        self._files = files
        self._found: dict[tuple[_Parts, _Parts, bool, bool], tuple[str, ...]] = {}
        moved = frozenset(moved)
        self._packages = {_folder(file) for file in files if _is_init(file) and file not in moved} - {()}
        self._by_last: dict[str, list[tuple[_Parts, str]]] = defaultdict(list)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._below: dict[_Parts, list[str]] = defaultdict(list)
        for file in files:
            parts = _module(file)
            self._by_last[parts[-1] if parts else ""].append((parts, file))
            self._by_name[file.rpartition("/")[2]].append(file)
            folder = _folder(file)
            for depth in range(len(folder) + 1):
                self._below[folder[:depth]].append(file)
        texts = list(configuration.values())
        self._anywhere = any(one.paths for one in files.values()) or any(_PATHS.search(text) for text in texts)
        self._renamed = any(_RENAMED.search(text) for text in texts)
        self._programs: dict[str, set[str]] = defaultdict(set)
        for text in texts:
            for name, module in _ENTRY.findall(text):
                self._programs[name] |= set(self._named(tuple(module.split(".")), ()))
        plugins = [name for text in texts for name in _PLUGIN.findall(text)]
        self._plugins = {file for name in plugins for file in self._named(tuple(name.split(".")), ())}
        self._plugins |= self._plugins_offered(configuration.get("pyproject.toml", ""))
        self.edges = self._edges()

    def affected(self, changed: Iterable[str]) -> dict[str, int]:
        """Return the files that are changed, or may execute one that is, each with its distance in imports.

        Those that cannot be read are among them, as if they had changed.
        """
        users: dict[str, list[str]] = defaultdict(list)
        for file, used in self.edges.items():
            for one in used:
                users[one].append(file)
        begun = [*changed, *(file for file, one in self._files.items() if not one.readable)]
        distances = dict.fromkeys(begun, 0)
        todo = deque(distances)
        while todo:
            file = todo.popleft()
            for user in users.get(file, ()):
                if user not in distances:
                    distances[user] = distances[file] + 1
                    todo.append(user)
        return distances

    def _edges(self) -> dict[str, set[str]]:
        stated = {file: set(self._stated(file, one)) for file, one in self._files.items()}
        named = {used for file, edges in stated.items() for used in edges if used != file}
        unnamed = [file for file in self._files if file not in named and not _found_by_pytest(file)]
        for file, one in self._files.items():
            edges = stated[file]
            folder = _folder(file)
            if one.computed:
                edges.update(*(self._below[place] for place in self._named_folders(one.words)), self._below[folder])
                edges.update(other for other in unnamed if _folder(other)[:1] == folder[:1])
            edges |= self._around(folder) | self._plugins
            edges.discard(file)
        return stated

    def _named_folders(self, words: frozenset[str]) -> list[_Parts]:
        return [place for place in self._below if place and place[-1] in words]

    def _around(self, folder: _Parts) -> set[str]:
        """Return what is executed because a file is in a folder: packages around it, `conftest.py` of pytest."""
        here = ("/".join((*folder[:depth], name)) for depth in range(len(folder) + 1) for name in _AROUND)
        return {file for file in here if file in self._files}

    def _stated(self, file: str, names: Mentions) -> Iterator[str]:
        folder = _folder(file)
        for one in names.imports:
            yield from self._imported(one, folder)
        counts = _found_by_pytest(file) or _starts_programs(names)
        for word in names.words:
            yield from self._meant(word, folder)
            programs = self._programs.get(word.rpartition("/")[2], ())
            yield from (program for program in programs if counts or not self._is_own(folder, program))
            if counts and word.isidentifier():
                yield from (file for base in self._folders((word,), ()) for file in self._at((*base, "__main__")))

    def _imported(self, one: Import, folder: _Parts) -> Iterator[str]:
        parts = tuple(one.module.split(".")) if one.module else ()
        if one.level:
            base = (*folder[: len(folder) - one.level + 1], *parts)
            yield from self._at(base)
            if "*" in one.names or one.below:
                yield from self._inside(base, deep=one.below)
            for name in one.names:
                yield from self._at((*base, name))
            return
        yield from self._named(parts, folder)
        for name in one.names:
            yield from self._named((*parts, name), folder, prefixes=False)
        if "*" in one.names or one.below:
            for base in self._folders(parts, folder):
                yield from self._inside(base, deep=one.below)

    def _meant(self, word: str, folder: _Parts) -> Iterator[str]:
        """Yield the files a word of a text may stand for, as a path or as a dotted name."""
        name = word.rpartition("/")[2]
        if name.endswith(".py"):
            ending = word.rpartition("../")[2].removeprefix("./").lstrip("/")
            for file in self._by_name.get(name, ()):
                if file == ending or file.endswith(f"/{ending}") or ending.endswith(f"/{file}"):
                    yield from (file,) if word not in _EVERYWHERE or _folder(file) == folder else ()
            return
        module, colon, _ = word.partition(":")
        parts = tuple(module.split("."))
        if not all(part.isidentifier() for part in parts):
            return
        if colon or (len(parts) > 1 and parts[-1] not in _SUFFIXES):
            yield from self._named(parts, folder, anywhere=bool(colon))

    def _is_own(self, folder: _Parts, program: str) -> bool:
        """Tell whether a folder is of the package of a program, which may use its name without running it."""
        its = _folder(program)
        top = next((its[:depth] for depth in range(1, len(its) + 1) if its[:depth] in self._packages), None)
        return top is not None and folder[: len(top)] == top and {"test", "tests"}.isdisjoint(folder)

    def _named(self, parts: _Parts, folder: _Parts, *, prefixes: bool = True, anywhere: bool = True) -> tuple[str, ...]:
        """Return the files an absolute name may mean, and those of the packages it is in."""
        key = (parts, folder, prefixes, anywhere)
        if key not in self._found:
            lengths = range(1, len(parts) + 1) if prefixes else [len(parts)]
            names = [parts[:length] for length in lengths]
            found = [file for name in names for file in self._candidates(name, folder, anywhere=anywhere)]
            if self._renamed:
                found += [file for name in names if len(name) > 1 for file in self._ending(name[1:])]
            self._found[key] = tuple(found)
        return self._found[key]

    def _candidates(self, name: _Parts, folder: _Parts, *, anywhere: bool) -> Iterator[str]:
        for parts, file in self._by_last.get(name[-1], ()):
            root = parts[: -len(name)]
            if parts[-len(name) :] == name and self._is_root(root, name[0], folder, anywhere=anywhere):
                yield file

    def _ending(self, name: _Parts) -> Iterator[str]:
        """Yield the files whose place ends with a name, wherever they are."""
        return (file for parts, file in self._by_last.get(name[-1], ()) if parts[-len(name) :] == name)

    def _is_root(self, root: _Parts, top: str, folder: _Parts, *, anywhere: bool = True) -> bool:
        """Tell whether Python may look in a folder for a module of this name."""
        if root not in self._packages:
            return True
        return top not in _STANDARD and ((anywhere and self._anywhere) or root == folder)

    def _at(self, parts: _Parts) -> Iterator[str]:
        """Yield the module or package at a place."""
        path = "/".join(parts)
        for file in (f"{path}.py", f"{path}/__init__.py" if path else "__init__.py"):
            if file in self._files:
                yield file

    def _folders(self, parts: _Parts, folder: _Parts) -> list[_Parts]:
        """Return the folders an absolute name may mean."""
        if not parts:
            return []
        return [
            place
            for place in self._below
            if place[-len(parts) :] == parts and self._is_root(place[: -len(parts)], parts[0], folder)
        ]

    def _inside(self, base: _Parts, *, deep: bool) -> Iterator[str]:
        depth = len(base)
        for file in self._below.get(base, ()):
            if deep or len(_module(file)) <= depth + 1:
                yield file

    def _plugins_offered(self, text: str) -> set[str]:
        """Return the files of the plugins of pytest which the project itself offers, as entry points."""
        _, _, after = text.partition("pytest11")
        section = after.partition("\n[")[0]
        return {file for name, _ in _ENTRY.findall(section) for file in self._programs.get(name, ())}


_SUFFIXES = frozenset(
    {
        "json",
        "yaml",
        "yml",
        "toml",
        "md",
        "rst",
        "txt",
        "html",
        "xml",
        "csv",
        "log",
        "db",
        "ini",
        "cfg",
        "sh",
        "js",
        "ts",
    }
)
"""What follows the dot in names of files, not of modules."""
_EVERYWHERE = frozenset({"__init__.py", "__main__.py", "conftest.py"})
"""Names that stand for no file in particular, unless with a folder."""
_AROUND = ("__init__.py", "conftest.py")


def _is_init(file: str) -> bool:
    return file.rpartition("/")[2] == "__init__.py"


def _folder(file: str) -> _Parts:
    return PurePosixPath(file).parts[:-1]


def _module(file: str) -> _Parts:
    """Return the place of a module: its path without suffix, or its folder if it is a package."""
    return _folder(file) if _is_init(file) else (*_folder(file), file.rpartition("/")[2].removesuffix(".py"))


def _starts_programs(names: Mentions) -> bool:
    return "-m" in names.words or any(one.module.partition(".")[0] in _STARTERS for one in names.imports)


_STARTERS = frozenset({"subprocess", "asyncio", "multiprocessing", "pexpect", "sh", "plumbum", "invoke"})


def _found_by_pytest(file: str) -> bool:
    name = file.rpartition("/")[2]
    return name.startswith("test_") or name.endswith("_test.py") or name in {"conftest.py", "setup.py", "__main__.py"}
