"""What a Python file names: the modules it imports, and text that may stand for a module, a program or a file."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Any

import msgspec

from podium.protocols import content_digest

_BY_NAME = frozenset({"import_module", "__import__", "importorskip", "run_module", "find_spec", "resolve_name"})
"""Functions that import what their first argument names."""
_BY_SEARCH = frozenset({"iter_modules", "walk_packages", "spec_from_file_location", "run_path", "entry_points"})
"""Functions that import, or help to import, what is known at run time only."""
_PATHS_CHANGED = re.compile(rb"sys\s*\.\s*path|\bsyspath|\baddsitedir|\bsys\s+import\s+[^\n]*\bpath\b")
_SHORT = 300
"""Text longer than this names no module [characters]."""
_WORD = re.compile(r"[\w.*/:-]+")
_DOTTED = re.compile(r"\.*[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\.?")


class Import(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One import.

    Attributes:
        module: Dotted name, empty for `from . import x`.
        names: What is taken from it; `*` for all.
        level: Number of leading dots.
        below: Everything below the module may be imported, too.
    """

    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    below: bool = False


class Mentions(msgspec.Struct, frozen=True, gc=False):
    """What one file names.

    Attributes:
        imports: What it imports for certain.
        words: Words in its texts that may be modules, programs or files.
        computed: It imports modules whose names are computed.
        paths: It changes where modules are looked for.
        readable: It is Python that can be read here; if not, nothing is known of it.
    """

    imports: tuple[Import, ...] = ()
    words: frozenset[str] = frozenset()
    computed: bool = False
    paths: bool = False
    readable: bool = True


_NOT_READABLE = Mentions(readable=False)


def mentions(source: bytes) -> Mentions:
    """Return what the text of a file names; the answer is kept, by content."""
    digest = content_digest(source)
    found = _KNOWN.get(digest)
    if found is None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        found = _KNOWN[digest] = _read(source)
    return found


_KNOWN: dict[str, Mentions] = {}
_MOST_KNOWN = 20_000


def _read(source: bytes) -> Mentions:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        return _found_in(tree, source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Mentions(readable=False)


def _found_in(tree: ast.AST, source: bytes) -> Mentions:
    imports: list[Import] = []
    words: set[str] = set()
    computed = False
    for node in _nodes(tree):
        if isinstance(node, ast.Constant):
            words.update(_words(node.value))
        elif isinstance(node, ast.Import):
            imports += [Import(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append(Import(node.module or "", tuple(alias.name for alias in node.names), node.level))
        elif isinstance(node, ast.Call):
            found = _called(node)
            computed = computed or found is None
            imports += found or ()
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            imports += _plugins(node)
    return Mentions(tuple(imports), frozenset(words), computed, bool(_PATHS_CHANGED.search(source)))


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes; several times as fast as `ast.walk`."""
    todo: list[Any] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.AST):
            yield node
            for value in node.__dict__.values():
                if type(value) is list:
                    todo.extend(value)  # pyright: ignore[reportUnknownArgumentType]
                elif isinstance(value, ast.AST):
                    todo.append(value)


def _words(value: object) -> Iterator[str]:
    """Yield the words of a text that is short enough to name something; docstrings and templates are not."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str) and len(value) <= _SHORT:
        for word in _WORD.findall(value):
            yield word.rstrip(".:")


def _called(call: ast.Call) -> tuple[Import, ...] | None:
    """Return what a call imports; none if that is known at run time only."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in _BY_NAME:
        return None if name in _BY_SEARCH else ()
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg in _FIRST)]
    beginning, whole = _beginning(given[0]) if given else ("", False)
    if _DOTTED.fullmatch(beginning) is None:
        return None
    module = beginning.strip(".")
    level = len(beginning) - len(beginning.lstrip("."))
    if level:
        absolute = _absolute(call, module, level)
        if absolute is None:
            return None
        module, level = absolute
    if whole:
        return (Import(module, level=level),)
    if not beginning.endswith("."):
        module = module.rpartition(".")[0]
    return (Import(module, level=level, below=True),) if module or level else None


def _absolute(call: ast.Call, module: str, level: int) -> tuple[str, int] | None:
    """Return module and level of a call with a relative name; none if nobody knows what it is relative to."""
    anchors = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "package")]
    if anchors and isinstance(anchors[0], ast.Name) and anchors[0].id in _OWN:
        return module, level
    package, whole = _beginning(anchors[0]) if anchors else ("", False)
    if not whole:
        return None
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *filter(None, [module])]), 0


_FIRST = ("name", "modname", "mod_name")
_OWN = ("__name__", "__package__")


def _beginning(node: ast.expr) -> tuple[str, bool]:
    """Return the text an expression begins with, and whether that is all of it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value, True
    if isinstance(node, ast.JoinedStr) and node.values:
        return _beginning(node.values[0])[0], False
    if isinstance(node, ast.BinOp):
        return _beginning(node.left)[0], False
    return "", False


def _plugins(node: ast.Assign | ast.AnnAssign) -> Iterator[Import]:
    """Yield what `pytest_plugins` names."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if any(isinstance(target, ast.Name) and target.id == "pytest_plugins" for target in targets) and node.value:
        for value in ast.walk(node.value):
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield from (Import(name.strip()) for name in value.value.split(",") if name.strip())
