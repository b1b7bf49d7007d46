"""What goes into an evaluation and what comes out: values, and reasons why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, cast

from podium.model.expressions.syntax import WEIGHT, Path

MAX_DEPTH = 100
"""Levels of lists and mappings in a value."""

MISSING: Any = object()
"""Stands where there is no value."""

_SHOWN = 80

Tree = dict[str, "Tree"]


class NoValueError(Exception):
    """The reason why an expression has no value."""


def at(scope: Any, path: Path) -> Any:
    """Return the value at a path, or `MISSING`."""
    value = scope
    for key in path:
        if isinstance(key, str):
            if not isinstance(value, Mapping):
                return MISSING
            value = cast("Mapping[str, Any]", value).get(key, MISSING)
        elif isinstance(value, list) and 0 <= key < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[key]
        else:
            return MISSING
    return value


def needed(scope: Mapping[str, Any], wanted: Tree) -> dict[str, Any]:
    """Return the part of a scope that an expression names."""
    data: dict[str, Any] = {}
    for key, inner in wanted.items():
        value = scope.get(key, MISSING)
        if value is MISSING:
            continue
        if inner and isinstance(value, Mapping):
            data[key] = needed(cast("Mapping[str, Any]", value), inner)
        else:
            weigh(value)
            data[key] = value
    return data


def weigh(value: Any, depth: int = 0) -> int:
    """Return the size of a JSON value that the library can take.

    Raises:
        NoValueError: It is no JSON, or beyond the limits.
    """
    kind = cast("type[Any]", type(value))
    if kind is str:
        return WEIGHT + _weigh_text(value)
    if kind is bool or value is None:
        return WEIGHT
    if kind is int:
        if not -(1 << 63) <= value < 1 << 63:
            raise NoValueError("a whole number does not fit 64 bits")
        return WEIGHT
    if kind is float:
        if not isfinite(value):
            raise NoValueError(f"{value} is no number in json")
        return WEIGHT
    if depth >= MAX_DEPTH and kind in {dict, list}:
        raise NoValueError(f"a value is nested more than {MAX_DEPTH} deep")
    if kind is list:
        return WEIGHT + sum(weigh(child, depth + 1) for child in value)
    if kind is dict:
        return WEIGHT + sum(_weigh_key(key) + weigh(child, depth + 1) for key, child in value.items())
    raise NoValueError(f"a value of the type `{kind.__name__}` is no json")


def _weigh_key(key: Any) -> int:
    if not isinstance(key, str):
        raise NoValueError(f"the key {key!r:.40} of a mapping is no text")
    return WEIGHT + _weigh_text(key)


def _weigh_text(text: str) -> int:
    if "\0" not in text and text.isascii():
        return len(text)
    problem = unfit_text(text)
    if problem:
        raise NoValueError(problem)
    return len(text.encode())


def unfit_text(text: str) -> str | None:
    """Return why the library cannot take a text, or None if it can."""
    if "\0" in text:
        return "a text holds the character u+0000"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a text holds a lone surrogate"
    return None


def copied(value: Any) -> Any:
    """Return a copy of a JSON value."""
    if isinstance(value, dict):
        return {key: copied(child) for key, child in cast("dict[str, Any]", value).items()}
    return [copied(child) for child in cast("list[Any]", value)] if isinstance(value, list) else value


def as_json(value: Any, depth: int = 0) -> Any:
    """Return what the library gave as JSON."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise NoValueError(f"the result {value} is no number in json")
        return value
    if isinstance(value, list):
        return [as_json(child, _deeper(depth)) for child in cast("list[Any]", value)]
    if isinstance(value, dict):
        return _json_mapping(cast("dict[Any, Any]", value), _deeper(depth))
    if isinstance(value, datetime):
        text = value.isoformat().removesuffix("+00:00")
        return (text.rstrip("0") if value.microsecond else text) + "Z"
    if isinstance(value, timedelta):
        return _seconds(value)
    raise NoValueError("the result is, or holds, bytes or a type, which are no json")


def _json_mapping(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise NoValueError(f"the key {key!r} of a mapping is no text")
    return {key: as_json(value[key], depth) for key in sorted(value)}


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise NoValueError(f"the result is nested more than {MAX_DEPTH} deep")
    return depth + 1


def _seconds(value: timedelta) -> str:
    microseconds = value // timedelta(microseconds=1)
    whole, rest = divmod(abs(microseconds), 1_000_000)
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    return f"{'-' if microseconds < 0 else ''}{whole}{fraction}s"


_REASONS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r'Key not found in map : "?(.*?)"?$'), "there is no key `{0}`"),
    (re.compile(r'No value with name "(.*)" found in Activation'), "`{0}` is not known here"),
    (
        re.compile(r"No matching overloads found : <jump_condition>"),
        "the condition before `?` is neither true nor false",
    ),
    (re.compile(r"No matching overloads found : _(\S+)_\((\w+), (\w+)\)"), "the types do not fit in `{1} {0} {2}`"),
    (re.compile(r"No matching overloads found : (.*)"), "the types do not fit in `{0}`"),
    (re.compile(r"Index error: index=(\S+) size=(\d+)"), "there is no element {0} in a list of {1}"),
    (re.compile(r"divide by zero|modulus by zero"), "division by zero"),
    (re.compile(r"Applying SELECT to non-message type"), "a key is asked of a value that is no mapping"),
    (re.compile(r"Iteration budget exceeded"), "it iterates more than 10,000 times"),
]


def reason_of(message: str) -> str:
    """Return in plain words why the library gave no value."""
    for pattern, reason in _REASONS:
        if found := pattern.search(message):
            return reason.format(*(group[:_SHOWN] for group in found.groups()))
    return plainly(message)


def plainly(message: str) -> str:
    """Return the first line of a message of the library, without its codes."""
    line = re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", message.partition("\n")[0])[:200]
    return line[:1].lower() + line[1:]


def shown(text: str) -> str:
    """Return a text as messages show it: on one line, and not too long."""
    line = " ".join(text.split()) if text.isascii() else " ".join(text.encode(errors="replace").decode().split())
    return f"`{line if len(line) <= _SHOWN else line[:_SHOWN] + '…'}`"
