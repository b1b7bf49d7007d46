"""What can be stored: texts that are UTF-8, and values not nested too deep.

The depth is found without recursion, so that the answer depends on no interpreter's stack.
"""

from __future__ import annotations

import os
from typing import Any, cast

DEEPEST = 200
"""How deep lists and mappings of an output may be nested [levels]."""


def is_too_deep(value: Any) -> bool:
    """Return whether lists, tuples and mappings are nested deeper than an output may be."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = list({id(inner): inner for outer in level for inner in _inside(outer)}.values())
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        values = cast("dict[Any, Any]", value).values()
    elif isinstance(value, list | tuple):
        values = cast("list[Any]", value)
    else:
        return []
    return [inner for inner in values if isinstance(inner, list | tuple | dict)]


def encodable(text: str) -> str:
    """Return a text that can be stored and sent, with lone surrogates as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def file_name(path: str) -> str:
    """Return the name of a file as text that can be stored; bytes that are no UTF-8 as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
