"""Seeded defects in public projects: one small change of a function's body each, which at least one test notices.

Candidates are comparisons, `and`/`or`, `not`, whole numbers, `True`/`False` and returned values, drawn with a fixed
seed. Those that no test notices, that break the collection, that do not end, or that a tenth of the tests notices are
dropped. Finding them takes a while, so what was found is kept in suite_mutants.json:

    python -m bench.suite_mutants > bench/suite_mutants.json
"""

from __future__ import annotations

import ast
import contextlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.real_suites import PROJECTS, Project, Workplace, plain_pytest, prepare

KEPT = Path(__file__).with_suffix(".json")
MUTATED = ("marshmallow", "jinja2", "click", "werkzeug", "more-itertools", "networkx")
EACH = 4
SEED = 20260801
MOST = 0.1
"""Defects that more than this share of the tests notices show themselves at once, and are dropped, too."""
LIMIT = 180.0
"""A suite that takes longer does not end [s]."""

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        project: Name of the project.
        file: Relative to the project.
        line: From 1.
        start: Where the text that is replaced begins in the file [byte].
        old: What stands there.
        new: What comes there.
        noticed: How many tests do not pass with it.
    """

    project: str
    file: str
    line: int
    start: int
    old: str
    new: str
    noticed: int = 0

    @contextlib.contextmanager
    def applied(self, folder: Path) -> Iterator[None]:
        """Change the file in a copy of the project for as long as the block lasts."""
        path = folder / self.file
        before = path.read_bytes()
        old = self.old.encode()
        if before[self.start : self.start + len(old)] != old:
            raise ValueError(f"{self.file}:{self.line} does not read {self.old!r}; search the mutants again")
        path.write_bytes(before[: self.start] + self.new.encode() + before[self.start + len(old) :])
        try:
            yield
        finally:
            path.write_bytes(before)


def kept_mutants() -> list[Mutant]:
    """Return the mutants that were found, by project."""
    return [Mutant(**entry) for entry in json.loads(KEPT.read_text())]


def candidates(project: Project, folder: Path) -> list[Mutant]:
    """Return all changes that could be made to a project, in the order of its files."""
    found: list[Mutant] = []
    for path in sorted((folder / project.package).rglob("*.py")):
        file = path.relative_to(folder)
        if "tests" not in file.parts and path.name != "conftest.py":
            found += _changes(project.name, str(file), path.read_bytes())
    return found


def _changes(project: str, file: str, source: bytes) -> Iterator[Mutant]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def text(first: ast.expr, last: ast.expr | None = None) -> tuple[int, str]:
        last = last or first
        start = starts[first.lineno - 1] + first.col_offset
        return start, source[start : starts[(last.end_lineno or 0) - 1] + (last.end_col_offset or 0)].decode()

    for node in _inside_functions(ast.parse(source)):
        change = _change(node, text)
        if change:
            (start, old), new = change
            yield Mutant(project, file, getattr(node, "lineno", 0), start, old, new)


def _change(node: ast.AST, text: Callable[..., tuple[int, str]]) -> tuple[tuple[int, str], str] | None:
    """Return the place and the text of what is changed in a node, and the new text."""
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            return text(left, right), f"{text(left)[1]} {_COMPARISONS[type(operator)]} {text(right)[1]}"
        case ast.BoolOp(op=operator, values=[left, right]):
            word = "or" if isinstance(operator, ast.And) else "and"
            return text(left, right), f"{text(left)[1]} {word} {text(right)[1]}"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return text(node), f"bool({text(operand)[1]})"
        case ast.Constant(value=int(value)):
            return text(node), str(not value if isinstance(value, bool) else value + 1)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            return text(value), "None"
        case _:
            return None


def _inside_functions(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what stands in the bodies of functions, each node once; no annotations, decorators and defaults."""
    seen: set[int] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in function.body:
                for node in _walk(statement):
                    if id(node) not in seen:
                        seen.add(id(node))
                        yield node


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.JoinedStr):
        return  # functions come on their own; the inside of an f-string has no place of its own before Python 3.12
    yield node
    for name, value in ast.iter_fields(node):
        if name != "annotation":
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _walk(child)


def search(place: Workplace, project: Project, parent: Path) -> Iterator[Mutant]:
    """Yield the first of the project's drawn mutants that tests notice."""
    folder = place.copy(project, parent)
    drawn = candidates(project, folder)
    random.Random(f"{SEED} {project.name}").shuffle(drawn)
    left = EACH
    for mutant in drawn:
        try:
            with mutant.applied(folder):
                ran = plain_pytest(place, project, folder, "-n2", limit=LIMIT)
        except (subprocess.TimeoutExpired, RuntimeError) as error:
            print(f"dropped {mutant.file}:{mutant.line}: {type(error).__name__}", file=sys.stderr, flush=True)
            continue
        noticed = sum(outcome in {"failed", "errored"} for outcome in ran.outcomes.values())
        print(f"{mutant.file}:{mutant.line} {mutant.old!r} -> {mutant.new!r}: {noticed}", file=sys.stderr, flush=True)
        if ran.exit_code == 1 and 0 < noticed <= MOST * len(ran.outcomes):
            yield Mutant(**{**asdict(mutant), "noticed": noticed})
            left -= 1
        if not left:
            return


def main() -> None:
    place = prepare()
    found: list[Mutant] = []
    with tempfile.TemporaryDirectory() as parent:
        for project in PROJECTS:
            if project.name in MUTATED and (not sys.argv[1:] or project.name in sys.argv[1:]):
                found += search(place, project, Path(parent))
    print(json.dumps([asdict(mutant) for mutant in found], indent=1))


if __name__ == "__main__":
    main()
