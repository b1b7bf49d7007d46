"""Actions of workflows: Python functions, and which keyword arguments they take."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from podium.errors import UsageError

Action = Callable[..., Any]
OFFERED = ("input", "results", "context", "progress")
"""Keyword arguments of which a function is called with those it takes."""
_FROM_PLAN = frozenset({"input", "results"})


async def fails() -> None:
    """Do what a step comes to that is declared to fail.

    Raises:
        AssertionError: Always.
    """
    raise AssertionError("it is declared to fail")


def accepted(name: str, function: Action) -> frozenset[str]:
    """Return which of `input` and `results` a function takes.

    Raises:
        UsageError: It cannot be called, or asks for something it is never given (U400).
    """
    if not callable(function):
        raise UsageError(f"action `{name}` is of type {type(function).__name__}, which cannot be called")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C do not tell
        return frozenset()
    for parameter in parameters:
        given = parameter.name in OFFERED and parameter.kind is not parameter.POSITIONAL_ONLY
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not given and not variable:
            hint = f"an action is called by keyword, with those it takes of {', '.join(OFFERED)}"
            raise UsageError(f"action `{name}` needs `{parameter.name}`, which it is never given", hint=hint)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return _FROM_PLAN
    named = (parameter for parameter in parameters if parameter.kind is not parameter.POSITIONAL_ONLY)
    return _FROM_PLAN & {parameter.name for parameter in named}


def look_up(target: str) -> frozenset[str]:
    """Return the same for a function written as `module:function`, which is imported.

    Raises:
        ValueError: There is none, or it cannot be called.
    """
    module, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"`{target}` cannot be imported: {error}") from error
    for name in path.split("."):
        found = getattr(found, name, None)
    if found is None:
        raise ValueError(f"module {module} has no {path}")
    try:
        return accepted(target, found)
    except UsageError as error:
        raise ValueError(str(error)) from error
