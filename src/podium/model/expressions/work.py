"""An upper bound of the work of an evaluation, from its syntax and the sizes of the values it names."""

from __future__ import annotations

import re
from math import prod
from typing import Any, NamedTuple, cast

from podium.model.expressions.syntax import WEIGHT, Node, Path, path_of
from podium.model.expressions.values import MISSING, NoValueError, at, weigh

MAX_WORK = 16_000_000
"""Upper bound of the work of one evaluation, in units of up to 60 ns: bytes of text, and `WEIGHT` for every value."""

_MAX_ITERATIONS = 10_000
_MAX_PROGRAM = 350_000

SCALAR = frozenset(
    "_==_ _!=_ _<_ _<=_ _>_ _>=_ _&&_ _||_ !_ -_ _-_ _*_ _/_ _%_ @in @not_strictly_false size startsWith endsWith"  # noqa: SIM905 - shorter
    " int uint double bool type".split()
)
"""Functions whose result is small, and whose work is that of reading their operands."""

ZONED = frozenset(
    "getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMinutes getMonth"  # noqa: SIM905 - shorter
    " getSeconds getMilliseconds".split()
)

PASSING = frozenset(
    "_?_:_ _[_] _+_ string dyn bytes timestamp duration lowerAscii"  # noqa: SIM905 - shorter
    " upperAscii trim substring charAt reverse".split()
)
"""Functions whose result is no larger than their operands together."""

SEARCHING = frozenset({"contains", "indexOf", "lastIndexOf"})


class _Size(NamedTuple):
    """What is known about a value before the evaluation: at most so large.

    Attributes:
        weight: As `weigh` returns it.
        length: Elements of a list or mapping.
        known: The value itself, if it is a text or a mapping that is handed in.
    """

    weight: int
    length: int = 0
    known: Any = None


_SMALL = _Size(WEIGHT)


class Meter:
    """Bounds the work of an evaluation from above.

    A loop over elements of sizes x1, x2, … costs f(x1) + f(x2) + …, where f has no negative terms. With n elements of
    the total size t that is at most n f(0) + f(t), so the body is measured twice.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._work = 0
        self._sizes: dict[Path, _Size] = {}

    def check(self, root: Node) -> None:
        """Refuse the evaluation if it may take more than `MAX_WORK`.

        Raises:
            NoValueError: It may.
        """
        self._spend(self._size(root, {}).weight)

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise NoValueError("it is refused, because it may take too long or grow too large")

    def _size(self, node: Node, bound: dict[str, _Size]) -> _Size:
        self._spend(WEIGHT)
        path = path_of(node, frozenset(bound))
        if path is not None:
            return self._size_at(path)
        if node.kind == "loop":
            return self._size_of_loop(node, bound)
        if node.kind == "name":
            return bound.get(node.text, _SMALL)
        return self._size_of_whole(node, [self._size(part, bound) for part in node.parts])

    def _size_of_whole(self, node: Node, parts: list[_Size]) -> _Size:
        weight = sum(part.weight for part in parts)
        if node.kind == "call":
            result = self._size_of_call(node.text, parts)
            self._spend(weight + result.weight)
        elif node.kind == "constant":
            result = _Size(node.weight, known=node.value)
        elif node.kind == "has":
            result = _SMALL
        elif node.kind == "select":
            result = _Size(weight, weight // WEIGHT)
        else:
            result = _Size(WEIGHT + weight, len(parts), known={} if node.kind == "map" else None)
        return result

    def _size_at(self, path: Path) -> _Size:
        if path not in self._sizes:
            value = at(self._data, path)
            known = cast("Any", value) if isinstance(value, str | dict) else None
            length = len(cast("list[Any]", value)) if isinstance(value, list | dict) else 0
            self._sizes[path] = _SMALL if value is MISSING else _Size(weigh(value), length, known)
        return self._sizes[path]

    def _size_of_loop(self, node: Node, bound: dict[str, _Size]) -> _Size:
        over, initial, *body = node.parts
        elements, start = self._size(over, bound), self._size(initial, bound)
        count = min(elements.length, _MAX_ITERATIONS)
        if initial.kind == "list":
            if isinstance(elements.known, dict):
                raise NoValueError("the keys of a mapping have no order, so `map` and `filter` do not apply to it")
            self._spend(count * count)  # the library copies the list for every element, and keeps the copies
        before = self._work
        small = self._size_of_body(body, node.value, bound, _Size(0))
        spent = self._work - before
        large = self._size_of_body(body, node.value, bound, _Size(elements.weight, elements.weight // WEIGHT))
        self._spend(count * (spent + small.weight))
        weight = start.weight + count * small.weight + large.weight
        return _Size(weight, start.length + count * small.length + large.length)

    def _size_of_body(self, body: list[Node], names: tuple[str, ...], bound: dict[str, _Size], element: _Size) -> _Size:
        first, second, result = names
        inner = {**bound, first: element, second: element, result: _Size(0)}
        return [self._size(part, inner) for part in body][1]

    def _size_of_call(self, name: str, parts: list[_Size]) -> _Size:
        weight = sum(part.weight for part in parts)
        result = _SMALL
        if name == "matches":
            self._spend(_matching(*parts))
        elif name in SEARCHING:
            self._spend(prod(part.weight for part in parts) // WEIGHT)
        elif name == "_?_:_":
            result = _Size(max(part.weight for part in parts[1:]), max(part.length for part in parts[1:]))
        elif name in PASSING:
            result = _Size(weight + WEIGHT, sum(part.length for part in parts) or weight // WEIGHT)
        elif name not in SCALAR and name not in ZONED:
            result = _Size(_grown(name, parts, weight), weight + 1)
        return result


def _matching(text: _Size, pattern: _Size) -> int:
    """Return the work of a regular expression: translating it, and following all its states through the text."""
    program = _MAX_PROGRAM
    if isinstance(pattern.known, str):
        known = pattern.known
        counts = [max(1, *(int(number or 0) for number in found)) for found in _REPEAT.findall(known)]
        size = len(known) + 500 * sum(map(known.count, ("\\p", "\\P", "(?")))
        program = min(program, size * prod(counts))
    return 4 * program + text.weight * (1 + program // 64)


_REPEAT = re.compile(r"\{(\d{1,4})(?:,(\d{0,4}))?\}")


def _grown(name: str, parts: list[_Size], weight: int) -> int:
    """Return the largest weight of the result of a function that can make its operands grow."""
    texts = [max(part.weight - WEIGHT, 0) for part in parts]
    if name == "replace":
        return weight + (texts[0] + 1) * texts[2]
    if name == "join":
        return weight + (parts[0].length + 1) * sum(texts[1:])
    if name == "split":
        return (texts[0] + 2) * (WEIGHT + 1)
    if name == "strings.quote":
        return 2 * weight
    if name == "format":
        template = parts[0].known
        clauses = template.count("%") if isinstance(template, str) else texts[0]
        return 4 * weight + 1400 * clauses
    return prod(part.weight + 1 for part in parts)
