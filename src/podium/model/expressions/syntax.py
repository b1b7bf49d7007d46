"""The syntax tree of an expression, decoded from what the library compiles.

The library serialises it as the message `cel.expr.CheckedExpr`, whose field numbers are fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

MAX_LENGTH = 4096
"""Characters of an expression."""

NAMES = ("inputs", "steps", "run", "item", "index", "error", "result", "outputs")
"""What an expression may name; which of them have a value depends on where it stands."""

WEIGHT = 16
"""Size of a value besides its text."""

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Node:
    """A node of the syntax tree.

    Attributes:
        kind: `constant`, `name`, `select`, `has`, `call`, `list`, `map`, `message` or `loop`.
        text: Name, key or function.
        parts: Operands; of a loop: range, initial value, condition, step, result.
        value: Of a constant: str, int or None for all others; of a loop: the names of its variables.
        weight: Of a constant: its size.
    """

    kind: str
    text: str = ""
    parts: tuple[Node, ...] = ()
    value: Any = None
    weight: int = WEIGHT


def syntax_tree(data: bytes) -> Node:
    """Return the root of the syntax tree in what the library serialises."""
    checked = _fields(_fields(data)[2][0])
    return _node(checked[4][0])


def _fields(data: bytes) -> dict[int, list[Any]]:
    """Return field number to values of a serialised message."""
    found: dict[int, list[Any]] = {}
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        width = {1: 8, 5: 4}.get(tag & 7)
        if tag & 7 == 0:
            value, position = _varint(data, position)
        else:
            if width is None:
                width, position = _varint(data, position)
            value, position = data[position : position + width], position + width
        found.setdefault(tag >> 3, []).append(value)
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while data[position] >= 0x80:  # noqa: PLR2004 - the bit that says that more follows
        value |= (data[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return value | data[position] << shift, position + 1


def _node(data: bytes) -> Node:
    for number, values in _fields(data).items():
        if number in _KINDS:
            return _KINDS[number](_fields(values[0]))
    return Node("constant")


def _nodes(values: list[bytes] | None) -> tuple[Node, ...]:
    return tuple(_node(value) for value in values or ())


def _name(values: list[bytes] | None) -> str:
    return values[0].decode() if values else ""


def _constant(fields: dict[int, list[Any]]) -> Node:
    number, (value, *_) = next(iter(fields.items()), (1, [cast("Any", 0)]))
    if number == 3:  # noqa: PLR2004 - int64
        return Node("constant", value=value - (value >> 63 << 64))
    if number == 6:  # noqa: PLR2004 - string
        return Node("constant", value=value.decode(), weight=WEIGHT + len(value))
    return Node("constant", weight=WEIGHT + (len(value) if isinstance(value, bytes) else 0))


def _struct(fields: dict[int, list[Any]]) -> Node:
    entries = [_fields(entry) for entry in fields.get(2, [])]
    parts = [node for entry in entries for node in _nodes(entry.get(3)) + _nodes(entry.get(4))]
    name = _name(fields.get(1))
    return Node("message" if name else "map", name, tuple(parts))


def _loop(fields: dict[int, list[Any]]) -> Node:
    variables = (_name(fields.get(1)), _name(fields.get(8)), _name(fields.get(3)))
    parts = tuple(node for number in (2, 4, 5, 6, 7) for node in _nodes(fields.get(number)))
    return Node("loop", parts=parts, value=variables)


_KINDS: dict[int, Callable[[dict[int, list[Any]]], Node]] = {
    3: _constant,
    4: lambda fields: Node("name", _name(fields.get(1))),
    5: lambda fields: Node("has" if fields.get(3) else "select", _name(fields.get(2)), _nodes(fields.get(1))),
    6: lambda fields: Node("call", _name(fields.get(2)), _nodes(fields.get(1)) + _nodes(fields.get(3))),
    7: lambda fields: Node("list", parts=_nodes(fields.get(1))),
    8: _struct,
    9: _loop,
}


def path_of(node: Node, bound: frozenset[str]) -> Path | None:
    """Return the name and the constant keys that a node stands for, as in `steps.x["y"][0]`.

    Args:
        node: Any node.
        bound: Variables of the loops around it, which hide names.
    """
    keys: list[str | int] = []
    while node.kind != "name":
        if node.kind == "select":
            keys.append(node.text)
        elif node.kind == "call" and node.text == "_[_]" and node.parts[1].value is not None:
            if node.parts[1].kind != "constant":
                return None
            keys.append(node.parts[1].value)
        else:
            return None
        node = node.parts[0]
    name = node.text.removeprefix(".")
    return (name, *reversed(keys)) if name in NAMES and node.text not in bound else None
