"""How deep a value is nested, found without recursion, so that the answer depends on no interpreter's stack."""

from __future__ import annotations

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
