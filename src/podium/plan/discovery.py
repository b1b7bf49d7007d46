"""Find the tests of a project that says nothing about layers, and the category behind a name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import structs

from podium.plan.discovery_commands import FoundCommand, commands
from podium.plan.discovery_names import LAYERS, as_name, layer_of
from podium.plan.discovery_pytest import PythonTests, projects_within
from podium.plan.discovery_tree import Tree, below
from podium.plan.suites import CommandSuite, PytestSuite

Kind = Literal["pytest", "suite"]


class FoundRunner(msgspec.Struct, frozen=True):
    """How the tests of a category are run.

    Attributes:
        kind: Kind of the step.
        suite: Its payload.
        why: How it was found, in a sentence.
    """

    kind: Kind
    suite: PytestSuite | CommandSuite
    why: str


class DerivedCategory(msgspec.Struct, frozen=True):
    """A category nobody wrote down.

    Attributes:
        name: Unique in the project.
        layer: Where it belongs, one of `LAYERS`.
        kind: Kind of the step.
        suite: Its payload.
        why: How it was found, in a sentence.
    """

    name: str
    layer: str
    kind: Kind
    suite: PytestSuite | CommandSuite
    why: str


def derive(project: Path) -> list[DerivedCategory]:
    """Return the categories of a project's tests, by layer; no test is in two of them. None if there are no tests.

    Folders of tests with usual names (`unit`, `integration`, `e2e`, …) are categories. Without any, markers with such
    names are, if they are registered and in use; without these, files with such names. What is left is `tests`. Suites
    of other languages are categories of their own. So is each project in a folder of projects, as far as pytest goes:
    it has settings of its own, and is run in its own folder.

    Markers are no categories if the options of pytest choose tests by markers. Where nothing is found, but pytest has
    settings, a `conftest.py` or files of doctests, there is one category, for which pytest itself looks.

    Args:
        project: The project's folder.
    """
    tree = Tree(project)
    inner = [(place, _of_python(PythonTests(Tree(project / place)))) for place in projects_within(tree)]
    inner = [(place, categories) for place, categories in inner if categories]
    places = [place for place, _ in inner]
    found = [_leaving_out(places, category) for category in _of_python(PythonTests(tree.without(places)))]
    found += [_placed(category, place) for place, categories in inner for category in categories]
    taken = {category.name for category in found}
    for command in commands(tree):
        name = command.name if command.name not in taken else f"{command.name}_{command.suite.argv[0]}"
        taken.add(name)
        found.append(DerivedCategory(name, command.layer, "suite", command.suite, command.why))
    why = "" if found else PythonTests(tree).why_others()
    if why:
        return [_category("tests", LAYERS[0], PytestSuite(), why)]
    return sorted(found, key=lambda category: LAYERS.index(category.layer))


def find_category(name: str, project: Path) -> FoundRunner | None:
    """Return how the tests of a category are run, of which only the name is known.

    Tried in this order: a folder of tests with this name; a marker that is in use; test files named after it; a command
    of another language, by its name (`cypress`, `jest`) or its folder (`frontend`).

    Args:
        name: Of the category.
        project: The project's folder.
    """
    tree = Tree(project)
    python = PythonTests(tree, everywhere=True)
    folders = python.folders_named(name)
    if folders:
        files = [file for file in python.files if any(below(file, folder) for folder in folders)]
        return FoundRunner("pytest", PytestSuite(paths=tuple(folders)), _has(folders, len(files)))
    marked = python.marked(name) if name.isidentifier() else []
    if marked:
        suite = PytestSuite(paths=tuple(python.roots), markers=name)
        return FoundRunner("pytest", suite, _uses(name, len(marked)))
    files = python.files_named(name)
    if files:
        return FoundRunner("pytest", PytestSuite(paths=tuple(files)), _named_so(name, files))
    found = next((one for one in commands(tree) if name in {one.name, one.suite.cwd}), None)
    return _runner(found) if found else None


def _runner(found: FoundCommand) -> FoundRunner:
    return FoundRunner("suite", found.suite, found.why)


def _leaving_out(places: Sequence[str], category: DerivedCategory) -> DerivedCategory:
    """Return a category of pytest without the projects that are in its folders."""
    suite = category.suite
    assert isinstance(suite, PytestSuite)
    inside = [f"{place}/*" for place in places if any(below(place, path) for path in suite.paths)]
    return structs.replace(category, suite=structs.replace(suite, exclude=(*suite.exclude, *inside)))


def _placed(category: DerivedCategory, place: str) -> DerivedCategory:
    """Return a category of a project in a folder of projects as one of the whole."""
    name = as_name(place) if category.name == "tests" else f"{as_name(place)}_{category.name}"
    suite = structs.replace(category.suite, cwd=place, origin=place)
    return structs.replace(category, name=name, suite=suite, why=f"in `{place}`: {category.why}")


def _of_python(python: PythonTests) -> list[DerivedCategory]:
    if not python.files and not python.in_any_file:
        return []
    folders = python.known_folders()
    if folders:
        return _by_folder(python, folders)
    markers = [] if python.chooses_markers else python.known_markers()
    if markers:
        return _by_marker(python, markers)
    return _by_file(python, python.known_files())


def _by_folder(python: PythonTests, folders: dict[str, list[str]]) -> list[DerivedCategory]:
    found: list[DerivedCategory] = []
    inside: set[str] = set()
    for name, places in folders.items():
        files = [file for file in python.files if any(below(file, place) for place in places)]
        inside.update(files)
        found.append(_category(name, layer_of(name), PytestSuite(paths=tuple(places)), _has(places, len(files))))
    rest = [file for file in python.files if file not in inside]
    if rest or python.in_any_file:
        places = [place for one in folders.values() for place in one]
        roots = _roots_of(rest, python)
        left_out = sorted(place for place in places if any(below(place, root) for root in roots))
        suite = PytestSuite(paths=tuple(roots), exclude=tuple(f"{place}/*" for place in left_out))
        why = _and_others(f"{_files(len(rest))} of tests in no folder of another category", python)
        found.append(_category("tests", _layer_of_rest(found), suite, why))
    return found


def _by_marker(python: PythonTests, markers: Sequence[str]) -> list[DerivedCategory]:
    ordered = sorted(markers, key=lambda name: (LAYERS.index(layer_of(name)), name))
    found: list[DerivedCategory] = []
    for place, name in enumerate(ordered):
        earlier = " or ".join(ordered[:place])
        expression = f"{name} and not ({earlier})" if earlier else name
        suite = PytestSuite(paths=tuple(python.roots), markers=expression)
        found.append(_category(name, layer_of(name), suite, _uses(name, len(python.marked(name)))))
    if python.all_marked(ordered) and not python.in_any_file:
        return found
    suite = PytestSuite(paths=tuple(python.roots), markers=f"not ({' or '.join(ordered)})")
    why = f"tests in {_list(python.roots)} without any of these markers: {', '.join(ordered)}"
    return [*found, _category("tests", _layer_of_rest(found), suite, why)]


def _by_file(python: PythonTests, kinds: dict[str, list[str]]) -> list[DerivedCategory]:
    found = [
        _category(kind, layer_of(kind), PytestSuite(paths=tuple(files)), _named_so(kind, files))
        for kind, files in kinds.items()
    ]
    named = {file for files in kinds.values() for file in files}
    rest = [file for file in python.files if file not in named]
    if rest or python.in_any_file:
        roots = _roots_of(rest, python)
        left_out = tuple(sorted(file for file in named if any(below(file, root) for root in roots)))
        where = f"`testpaths` of {python.configuration}" if python.given else _list(roots)
        why = _and_others(f"{_files(len(rest))} of tests in {where}", python)
        suite = PytestSuite(paths=tuple(roots), exclude=left_out)
        found.append(_category("tests", _layer_of_rest(found), suite, why))
    return found


def _roots_of(files: Sequence[str], python: PythonTests) -> list[str]:
    """Return the roots that have some of these files; all if any file may hold tests."""
    if python.in_any_file:
        return python.roots
    return [root for root in python.roots if any(file == root or below(file, root) for file in files)]


def _and_others(why: str, python: PythonTests) -> str:
    return f"{why}, and what its options find in others" if python.in_any_file else why


def _category(name: str, layer: str, suite: PytestSuite, why: str) -> DerivedCategory:
    return DerivedCategory(name, layer, "pytest", suite, why)


def _layer_of_rest(others: Sequence[DerivedCategory]) -> str:
    """Return the layer of tests whose kind nobody knows: the first, unless others are known to be quick."""
    return LAYERS[1] if any(category.layer == LAYERS[0] for category in others) else LAYERS[0]


def _has(folders: Sequence[str], count: int) -> str:
    verb = "has" if len(folders) == 1 else "have"
    return f"{_list(folders)} {verb} {_files(count)} of tests"


def _uses(marker: str, count: int) -> str:
    return f"the marker `{marker}` is used in {_files(count)} of tests"


def _named_so(name: str, files: Sequence[str]) -> str:
    verb = "is" if len(files) == 1 else "are"
    return f"{_files(len(files))} {verb} named after `{name}`: {_list(files)}"


_FEW = 3


def _list(names: Sequence[str]) -> str:
    if list(names) == ["."]:
        return "the project"
    shown = [f"`{name}`" for name in names[:_FEW]]
    more = [f"{len(names) - _FEW} more"] if len(names) > _FEW else []
    return ", ".join([*shown, *more])


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
