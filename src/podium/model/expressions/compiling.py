"""From the text of an expression to what can be evaluated: the library, a cache, and messages of syntax errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

from podium.model.expressions.survey import Survey
from podium.model.expressions.syntax import MAX_LENGTH, NAMES, Node, Path, path_of, syntax_tree
from podium.model.expressions.values import Tree, plainly, shown, unfit_text
from podium.model.expressions.work import PASSING, SCALAR, SEARCHING, ZONED
from podium.model.findings import did_you_mean
from podium.protocols import ExpressionError

_FUNCTIONS = sorted(
    {name for name in SCALAR | PASSING | SEARCHING | ZONED if name.isalpha()}
    | {"has", "all", "exists", "exists_one", "map", "filter", "matches", "replace", "split", "join", "format"}
)


@dataclass(slots=True)
class Compiled:
    """An expression that is ready to be evaluated.

    Attributes:
        run: Evaluates it with the values of names.
        root: Its syntax tree.
        path: Where its value stands, if it is a path and nothing else.
        wanted: Tree of the keys it names, in which an empty mapping stands for all that is there.
        steps: Names of the steps it refers to.
        is_plain: Whether it can make no value grow, so that its work need not be bounded.
    """

    run: Callable[[dict[str, Any]], Any]
    root: Node
    path: Path | None
    wanted: Tree
    steps: frozenset[str]
    is_plain: bool


@cache
def library() -> tuple[Any, Any]:
    """Return the environment that compiles, and the type of errors; imports the library."""
    cel: Any = import_module("cel_expr_python.cel")
    strings: Any = import_module("cel_expr_python.ext.ext_strings")
    names = dict.fromkeys(NAMES, cel.Type.DYN)
    return cel.NewEnv(variables=names, extensions=[strings.ExtStrings()]), cel.Type.ERROR


@lru_cache(maxsize=1024)
def compile_expression(text: str) -> Compiled:
    """Return an expression compiled, from a cache if it is there.

    Raises:
        ExpressionError: It is no expression, or is refused.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"{shown(text)} is longer than {MAX_LENGTH} characters")
    problem = "it is empty" if not text.strip() else unfit_text(text)
    if problem:
        raise ExpressionError(f"{shown(text)} is no expression: {problem}")
    environment, _ = library()
    try:
        expression = environment.compile(text)
        root = syntax_tree(expression.serialize())
    except RuntimeError as error:
        raise _syntax_error(text, str(error)) from error
    survey = Survey(text)
    survey.visit(root, frozenset(), 0)
    return Compiled(
        run=lambda data: expression.eval(data=data),
        root=root,
        path=path_of(root, frozenset()),
        wanted=survey.wanted,
        steps=frozenset(survey.steps),
        is_plain=survey.is_plain,
    )


_PLACED = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")


def _syntax_error(text: str, message: str) -> ExpressionError:
    placed = _PLACED.search(message)
    if "recursion" in message:
        return ExpressionError(f"{shown(text)} is nested too deep")
    if placed is None:
        return ExpressionError(f"{shown(text)} is no expression: {plainly(message)}")
    line, column, problem = int(placed[1]), int(placed[2]), placed[3]
    if undeclared := _UNDECLARED.search(problem):
        return ExpressionError(f"{shown(text)} is no expression: {_unknown(text, undeclared[1], line, column)}")
    problem = problem.removeprefix("Syntax error: ").partition(" expecting {")[0].replace("'<EOF>'", "the end")
    problem = problem.removesuffix(" [INVALID_ARGUMENT]")
    return ExpressionError(f"{shown(text)} is no expression: {problem[:200]} (line {line}, column {column})")


def _unknown(text: str, name: str, line: int, column: int) -> str:
    name = name.partition(".")[0]
    here = text.split("\n")[line - 1][column - 1 :]
    if here.removeprefix(name).lstrip().startswith("("):
        hint = did_you_mean(name, _FUNCTIONS, what="functions")
        return f"there is no function `{name}`" + (f"; {hint}" if hint else "")
    dashed = re.search(rf"\.([\w-]+-{re.escape(name)}[\w-]*)", text)
    hint = f'write `["{dashed[1]}"]` for a name with a dash' if dashed else did_you_mean(name, NAMES, what="known")
    return f"`{name}` is not known; {hint}"
