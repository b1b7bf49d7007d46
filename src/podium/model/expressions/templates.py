"""Finding `${…}` in the strings of a payload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgspec

from podium.model.expressions.syntax import MAX_LENGTH
from podium.model.expressions.values import shown
from podium.protocols import ExpressionError

_LONGEST_KEPT = 16_384


class Part(NamedTuple):
    """A part of a template: plain text, or the expression between `${` and `}`."""

    text: str
    is_expression: bool


_OPENING = re.compile(r"\$\$\{|\$\{")

_TOKEN = re.compile(
    r"""
      (?P<close>\})
    | (?P<open>\{)
    | //[^\n]*
    | [bB]?[rR](?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
    | [bB]?(?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | `[^`\n]*`
    | [A-Za-z_]\w*
    | [^"'{}]
    """,
    re.VERBOSE | re.DOTALL,
)


def texts(payload: Any) -> Iterator[str]:
    """Yield the strings of a payload that hold `${`."""
    if isinstance(payload, str):
        if "${" in payload:
            yield payload
        return
    stack = [payload]
    while stack:
        value = stack.pop()
        inner: Any = ()
        if isinstance(value, dict):
            inner = cast("dict[Any, Any]", value).values()
        elif isinstance(value, list):
            inner = cast("list[Any]", value)
        for child in inner:
            if isinstance(child, str):
                if "${" in child:
                    yield child
            elif isinstance(child, dict | list):
                stack.append(child)


def template(text: str) -> tuple[Part, ...]:
    """Return the parts of a string, from a cache if it is short.

    Raises:
        ExpressionError: A `${` is not closed.
    """
    return _short_template(text) if len(text) <= _LONGEST_KEPT else tuple(_parts(text))


@lru_cache(maxsize=512)
def _short_template(text: str) -> tuple[Part, ...]:
    return tuple(_parts(text))


def _parts(text: str) -> Iterator[Part]:
    literal, position = "", 0
    while opening := _OPENING.search(text, position):
        literal += text[position : opening.start()]
        position = opening.end()
        if opening[0] == "$${":
            literal += "${"
            continue
        if literal:
            yield Part(literal, is_expression=False)
        expression = _expression(text, position)
        yield Part(expression, is_expression=True)
        literal, position = "", position + len(expression) + 1
    literal += text[position:]
    if literal:
        yield Part(literal, is_expression=False)


def _expression(text: str, start: int) -> str:
    """Return what stands between `start` and the brace that closes it."""
    window = text[start : start + MAX_LENGTH + 1]
    depth = position = 0
    while token := _TOKEN.match(window, position):
        if token.lastgroup == "open":
            depth += 1
        elif token.lastgroup == "close":
            if depth == 0:
                return window[:position]
            depth -= 1
        position = token.end()
    length = f" within {MAX_LENGTH} characters" if len(window) > MAX_LENGTH else ""
    raise ExpressionError(f"{shown('${' + window)} has no closing brace{length}; write `$${{` for a plain `${{`")


def as_text(value: Any) -> str:
    """Return a value as it stands within a text: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
