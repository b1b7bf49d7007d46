"""Expressions in CEL, the Common Expression Language: conditions, and `${…}` in payloads.

The library `cel-expr-python` parses, checks and evaluates. What it does not bound is bounded here, so that an
expression from a document can neither run for ever, nor eat the memory, nor crash the process:

- An expression has at most 4096 characters. The library refuses to nest deeper than 32 (brackets, operators and
  selections in a row), and to iterate 10,000 times or more in one evaluation.
- Macros (`map`, `filter`, `all`, …) nest at most 3 deep.
- Before an expression that can make values grow is evaluated, an upper bound of the work is computed from its syntax
  and from the sizes of the values it names. Above `MAX_WORK`, about a second and 300 MB, it is refused. So are `map`
  and `filter` over more than about 3,500 elements, because the library copies their result for every element.
- Values handed in are nested at most 100 deep; only those an expression names are looked at.
- `map` and `filter` over the keys of a mapping are refused: the library iterates in an order that changes from one
  evaluation to the next. Where the mapping is computed, or is an element of another list, this is not noticed.
- Messages (`google.protobuf.Any{…}`) are refused, and so are time zones that are computed or name a file.

JSON values pass unchanged but for these limits: a text must hold neither U+0000 nor lone surrogates, which the library
truncates or refuses, and a number must be finite, and fit 64 bits if it is whole. The keys of a mapping come in
their own order where the whole expression is a path such as `inputs.x`, and sorted otherwise: the library forgets the
order. Durations and timestamps become text, to the microsecond.

As CEL demands, `true || x` is true and `false && x` is false even where `x` has no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib import import_module
from math import isfinite, prod
from typing import Any, NamedTuple, cast

import msgspec

from podium.model.findings import did_you_mean
from podium.protocols import ExpressionError

MAX_LENGTH = 4096
"""Characters of an expression."""

MAX_DEPTH = 100
"""Levels of lists and mappings in a value."""

MAX_LOOPS = 3
"""Levels of macros in each other."""

MAX_WORK = 16_000_000
"""Upper bound of the work of one evaluation, in units of up to 60 ns: bytes of text, and `_WEIGHT` for every value."""

NAMES = ("inputs", "steps", "run", "item", "index", "error", "result", "outputs")
"""What an expression may name; which of them have a value depends on where it stands."""

_WEIGHT = 16
_MAX_ITERATIONS = 10_000
_MAX_PROGRAM = 350_000
_SHOWN = 80
_LONGEST_KEPT = 16_384
_MISSING: Any = object()

_Path = tuple[str | int, ...]
_Tree = dict[str, "_Tree"]


class Cel:
    """The language of conditions and of `${…}`; see `podium.protocols.Expressions`."""

    def steps(self, text: str) -> frozenset[str]:
        """Return the names of the steps an expression refers to, as its syntax tells.

        Raises:
            ExpressionError: It is no expression, or names a step by a value, as `steps[inputs.name]` does.
        """
        return _compiled(text).steps

    def evaluate(self, text: str, scope: Mapping[str, Any]) -> Any:
        """Return the JSON value of an expression.

        Args:
            text: The expression.
            scope: Name to JSON value, for some of `NAMES`.

        Raises:
            ExpressionError: It is no expression, is refused because of its limits, or has no value that is JSON.
        """
        compiled = _compiled(text)
        try:
            return _value(compiled, scope)
        except _NoValueError as error:
            raise ExpressionError(f"{_shown(text)} has no value: {error}") from error

    def steps_in(self, payload: Any) -> frozenset[str]:
        """Return the names of the steps that the expressions in a payload refer to.

        Raises:
            ExpressionError: One of them is no expression, or a `${` is not closed.
        """
        holes = (part.text for text in _texts(payload) for part in _template(text) if part.is_expression)
        return frozenset(name for hole in holes for name in self.steps(hole))

    def render(self, payload: Any, scope: Mapping[str, Any]) -> Any:
        """Return a payload with every `${…}` in its strings replaced; `$${` stands for `${`.

        A string that is one `${…}` and nothing else becomes the value itself; elsewhere values become text, those that
        are no text as JSON. Keys are left alone.

        Args:
            payload: JSON value; returned as it is if there is nothing to replace.
            scope: Name to JSON value, as for `evaluate`.

        Raises:
            ExpressionError: An expression has no value, a `${` is not closed, or the payload is nested too deep.
        """
        return payload if next(_texts(payload), None) is None else self._rendered(payload, scope, 0)

    def _rendered(self, payload: Any, scope: Mapping[str, Any], depth: int) -> Any:
        if isinstance(payload, str):
            return self._filled(payload, scope) if "${" in payload else payload
        if depth > MAX_DEPTH:
            raise ExpressionError(f"a payload with `${{…}}` is nested more than {MAX_DEPTH} deep")
        if isinstance(payload, dict):
            items = cast("dict[Any, Any]", payload).items()
            return {key: self._rendered(value, scope, depth + 1) for key, value in items}
        if isinstance(payload, list):
            return [self._rendered(value, scope, depth + 1) for value in cast("list[Any]", payload)]
        return payload

    def _filled(self, text: str, scope: Mapping[str, Any]) -> Any:
        parts = _template(text)
        if len(parts) == 1 and parts[0].is_expression:
            return self.evaluate(parts[0].text, scope)
        return "".join(_as_text(self.evaluate(part.text, scope)) if part.is_expression else part.text for part in parts)


class _NoValueError(Exception):
    """The reason why an expression has no value."""


# Templates


class _Part(NamedTuple):
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


def _texts(payload: Any) -> Iterator[str]:
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


def _template(text: str) -> tuple[_Part, ...]:
    return _short_template(text) if len(text) <= _LONGEST_KEPT else tuple(_parts(text))


@lru_cache(maxsize=512)
def _short_template(text: str) -> tuple[_Part, ...]:
    return tuple(_parts(text))


def _parts(text: str) -> Iterator[_Part]:
    literal, position = "", 0
    while opening := _OPENING.search(text, position):
        literal += text[position : opening.start()]
        position = opening.end()
        if opening[0] == "$${":
            literal += "${"
            continue
        if literal:
            yield _Part(literal, is_expression=False)
        expression = _expression(text, position)
        yield _Part(expression, is_expression=True)
        literal, position = "", position + len(expression) + 1
    literal += text[position:]
    if literal:
        yield _Part(literal, is_expression=False)


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
    raise ExpressionError(f"{_shown('${' + window)} has no closing brace{length}; write `$${{` for a plain `${{`")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shown(text: str) -> str:
    line = " ".join(text.split()) if text.isascii() else " ".join(text.encode(errors="replace").decode().split())
    return f"`{line if len(line) <= _SHOWN else line[:_SHOWN] + '…'}`"


# Compilation


@dataclass(slots=True)
class _Node:
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
    parts: tuple[_Node, ...] = ()
    value: Any = None
    weight: int = _WEIGHT


@dataclass(slots=True)
class _Compiled:
    run: Callable[[dict[str, Any]], Any]
    root: _Node
    path: _Path | None
    wanted: _Tree = field(default_factory=dict[str, _Tree])
    steps: frozenset[str] = frozenset()
    is_plain: bool = True


@cache
def _cel() -> tuple[Any, Any]:
    """Return the environment that compiles, and the type of errors; imports the library."""
    cel: Any = import_module("cel_expr_python.cel")
    strings: Any = import_module("cel_expr_python.ext.ext_strings")
    names = dict.fromkeys(NAMES, cel.Type.DYN)
    return cel.NewEnv(variables=names, extensions=[strings.ExtStrings()]), cel.Type.ERROR


@lru_cache(maxsize=1024)
def _compiled(text: str) -> _Compiled:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"{_shown(text)} is longer than {MAX_LENGTH} characters")
    problem = "it is empty" if not text.strip() else _unfit_text(text)
    if problem:
        raise ExpressionError(f"{_shown(text)} is no expression: {problem}")
    environment, _ = _cel()
    try:
        expression = environment.compile(text)
        root = _syntax(expression.serialize())
    except RuntimeError as error:
        raise _syntax_error(text, str(error)) from error
    compiled = _Compiled(lambda data: expression.eval(data=data), root, _path(root, frozenset()))
    survey = _Survey(text, compiled)
    survey.visit(root, frozenset(), 0)
    compiled.steps = frozenset(survey.steps)
    return compiled


_PLACED = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")


def _syntax_error(text: str, message: str) -> ExpressionError:
    placed = _PLACED.search(message)
    if "recursion" in message:
        return ExpressionError(f"{_shown(text)} is nested too deep")
    if placed is None:
        return ExpressionError(f"{_shown(text)} is no expression: {_plainly(message)}")
    line, column, problem = int(placed[1]), int(placed[2]), placed[3]
    if undeclared := _UNDECLARED.search(problem):
        return ExpressionError(f"{_shown(text)} is no expression: {_unknown(text, undeclared[1], line, column)}")
    problem = problem.removeprefix("Syntax error: ").partition(" expecting {")[0].replace("'<EOF>'", "the end")
    problem = problem.removesuffix(" [INVALID_ARGUMENT]")
    return ExpressionError(f"{_shown(text)} is no expression: {problem[:200]} (line {line}, column {column})")


def _unknown(text: str, name: str, line: int, column: int) -> str:
    name = name.partition(".")[0]
    here = text.split("\n")[line - 1][column - 1 :]
    if here.removeprefix(name).lstrip().startswith("("):
        hint = did_you_mean(name, _FUNCTIONS, what="functions")
        return f"there is no function `{name}`" + (f"; {hint}" if hint else "")
    dashed = re.search(rf"\.([\w-]+-{re.escape(name)}[\w-]*)", text)
    hint = f'write `["{dashed[1]}"]` for a name with a dash' if dashed else did_you_mean(name, NAMES, what="known")
    return f"`{name}` is not known; {hint}"


# The syntax tree: the library serialises it as the message `cel.expr.CheckedExpr`, whose field numbers are fixed.


def _syntax(data: bytes) -> _Node:
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


def _node(data: bytes) -> _Node:
    for number, values in _fields(data).items():
        if number in _KINDS:
            return _KINDS[number](_fields(values[0]))
    return _Node("constant")


def _nodes(values: list[bytes] | None) -> tuple[_Node, ...]:
    return tuple(_node(value) for value in values or ())


def _name(values: list[bytes] | None) -> str:
    return values[0].decode() if values else ""


def _constant(fields: dict[int, list[Any]]) -> _Node:
    number, (value, *_) = next(iter(fields.items()), (1, [cast("Any", 0)]))
    if number == 3:  # noqa: PLR2004 - int64
        return _Node("constant", value=value - (value >> 63 << 64))
    if number == 6:  # noqa: PLR2004 - string
        return _Node("constant", value=value.decode(), weight=_WEIGHT + len(value))
    return _Node("constant", weight=_WEIGHT + (len(value) if isinstance(value, bytes) else 0))


def _struct(fields: dict[int, list[Any]]) -> _Node:
    entries = [_fields(entry) for entry in fields.get(2, [])]
    parts = [node for entry in entries for node in _nodes(entry.get(3)) + _nodes(entry.get(4))]
    name = _name(fields.get(1))
    return _Node("message" if name else "map", name, tuple(parts))


def _loop(fields: dict[int, list[Any]]) -> _Node:
    variables = (_name(fields.get(1)), _name(fields.get(8)), _name(fields.get(3)))
    parts = tuple(node for number in (2, 4, 5, 6, 7) for node in _nodes(fields.get(number)))
    return _Node("loop", parts=parts, value=variables)


_KINDS: dict[int, Callable[[dict[int, list[Any]]], _Node]] = {
    3: _constant,
    4: lambda fields: _Node("name", _name(fields.get(1))),
    5: lambda fields: _Node("has" if fields.get(3) else "select", _name(fields.get(2)), _nodes(fields.get(1))),
    6: lambda fields: _Node("call", _name(fields.get(2)), _nodes(fields.get(1)) + _nodes(fields.get(3))),
    7: lambda fields: _Node("list", parts=_nodes(fields.get(1))),
    8: _struct,
    9: _loop,
}


def _path(node: _Node, bound: frozenset[str]) -> _Path | None:
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


_SCALAR = frozenset(
    "_==_ _!=_ _<_ _<=_ _>_ _>=_ _&&_ _||_ !_ -_ _-_ _*_ _/_ _%_ @in @not_strictly_false size startsWith endsWith"  # noqa: SIM905 - shorter
    " int uint double bool type".split()
)
"""Functions whose result is small, and whose work is that of reading their operands."""

_ZONED = frozenset(
    "getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMinutes getMonth"  # noqa: SIM905 - shorter
    " getSeconds getMilliseconds".split()
)
_ZONE = re.compile(r"[A-Za-z]\w*(?:/\w[\w+-]*)*|[+-]?\d\d:\d\d")

_PASSING = frozenset(
    "_?_:_ _[_] _+_ string dyn bytes timestamp duration lowerAscii"  # noqa: SIM905 - shorter
    " upperAscii trim substring charAt reverse".split()
)
"""Functions whose result is no larger than their operands together."""

_SEARCHING = frozenset({"contains", "indexOf", "lastIndexOf"})

_FUNCTIONS = sorted(
    {name for name in _SCALAR | _PASSING | _SEARCHING | _ZONED if name.isalpha()}
    | {"has", "all", "exists", "exists_one", "map", "filter", "matches", "replace", "split", "join", "format"}
)


@dataclass(slots=True)
class _Survey:
    """Walks once over the syntax: collects what an expression needs, and refuses what is not allowed."""

    text: str
    compiled: _Compiled
    steps: set[str] = field(default_factory=set[str])

    def visit(self, node: _Node, bound: frozenset[str], loops: int) -> None:
        path = _path(node.parts[0] if node.kind == "has" else node, bound)
        if path is not None:
            self.want((*path, node.text) if node.kind == "has" else path)
            return
        if node.kind == "loop":
            self.visit_loop(node, bound, loops + 1)
            return
        if node.kind == "message":
            raise self.refusal(f"`{node.text}` is not known")
        if node.text in _ZONED and node.kind == "call":
            self.check_zone(node)
        is_plain = node.kind != "call" or node.text in _SCALAR or node.text in _ZONED or node.text in {"_?_:_", "_[_]"}
        self.compiled.is_plain &= is_plain and node.kind not in {"list", "map"}
        for part in node.parts:
            self.visit(part, bound, loops)

    def visit_loop(self, node: _Node, bound: frozenset[str], loops: int) -> None:
        if loops > MAX_LOOPS:
            raise self.refusal(f"macros such as `map` are nested more than {MAX_LOOPS} deep")
        self.compiled.is_plain = False
        inner = bound | set(node.value)
        over, initial, *rest = node.parts
        self.visit(over, bound, loops - 1)
        self.visit(initial, bound, loops)
        for part in rest:
            self.visit(part, inner, loops)

    def want(self, path: _Path) -> None:
        name, *keys = path
        if name == "steps":
            if not keys or not isinstance(keys[0], str):
                raise self.refusal('a step must be named, as in `steps.build` or `steps["build"]`')
            self.steps.add(keys[0])
        _add(self.compiled.wanted, path)

    def check_zone(self, node: _Node) -> None:
        for zone in node.parts[1:]:
            if not isinstance(zone.value, str) or not _ZONE.fullmatch(zone.value):
                raise self.refusal('a time zone must be written as in `"Europe/Berlin"` or `"+02:00"`')

    def refusal(self, reason: str) -> ExpressionError:
        return ExpressionError(f"{_shown(self.text)} is refused: {reason}")


def _add(tree: _Tree, path: _Path) -> None:
    """Add a path to a tree of wanted keys, in which an empty mapping stands for all that is there."""
    is_new = False
    for position, key in enumerate(path):
        if isinstance(key, int):
            tree.clear()
            return
        if position and not tree and not is_new:
            return
        is_new = key not in tree
        tree = tree.setdefault(key, {})
    tree.clear()


# Evaluation


def _value(compiled: _Compiled, scope: Mapping[str, Any]) -> Any:
    if compiled.path is not None:
        found = _at(scope, compiled.path)
        if found is not _MISSING:
            _weigh(found)
            return _copy(found)
    data = _needed(scope, compiled.wanted)
    if not compiled.is_plain:
        _Meter(data).check(compiled.root)
    try:
        result = compiled.run(data)
    except RuntimeError as error:
        raise _NoValueError(_reason(str(error))) from error
    value = result.plain_value()
    if isinstance(value, bool):
        return value
    _, failed = _cel()
    if result.type() == failed:
        raise _NoValueError(_reason(str(value)))
    return _json(value)


def _at(scope: Any, path: _Path) -> Any:
    value = scope
    for key in path:
        if isinstance(key, str):
            if not isinstance(value, Mapping):
                return _MISSING
            value = cast("Mapping[str, Any]", value).get(key, _MISSING)
        elif isinstance(value, list) and 0 <= key < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[key]
        else:
            return _MISSING
    return value


def _needed(scope: Mapping[str, Any], wanted: _Tree) -> dict[str, Any]:
    """Return the part of a scope that an expression names."""
    data: dict[str, Any] = {}
    for key, inner in wanted.items():
        value = scope.get(key, _MISSING)
        if value is _MISSING:
            continue
        if inner and isinstance(value, Mapping):
            data[key] = _needed(cast("Mapping[str, Any]", value), inner)
        else:
            _weigh(value)
            data[key] = value
    return data


def _weigh(value: Any, depth: int = 0) -> int:
    """Return the size of a JSON value that the library can take.

    Raises:
        _NoValueError: It is no JSON, or beyond the limits.
    """
    kind = cast("type[Any]", type(value))
    if kind is str:
        return _WEIGHT + _weigh_text(value)
    if kind is bool or value is None:
        return _WEIGHT
    if kind is int:
        if not -(1 << 63) <= value < 1 << 63:
            raise _NoValueError("a whole number does not fit 64 bits")
        return _WEIGHT
    if kind is float:
        if not isfinite(value):
            raise _NoValueError(f"{value} is no number in json")
        return _WEIGHT
    if depth >= MAX_DEPTH and kind in {dict, list}:
        raise _NoValueError(f"a value is nested more than {MAX_DEPTH} deep")
    if kind is list:
        return _WEIGHT + sum(_weigh(child, depth + 1) for child in value)
    if kind is dict:
        return _WEIGHT + sum(_weigh_key(key) + _weigh(child, depth + 1) for key, child in value.items())
    raise _NoValueError(f"a value of the type `{kind.__name__}` is no json")


def _weigh_key(key: Any) -> int:
    if not isinstance(key, str):
        raise _NoValueError(f"the key {key!r:.40} of a mapping is no text")
    return _WEIGHT + _weigh_text(key)


def _weigh_text(text: str) -> int:
    if "\0" not in text and text.isascii():
        return len(text)
    problem = _unfit_text(text)
    if problem:
        raise _NoValueError(problem)
    return len(text.encode())


def _unfit_text(text: str) -> str | None:
    if "\0" in text:
        return "a text holds the character u+0000"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "a text holds a lone surrogate"
    return None


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(child) for key, child in cast("dict[str, Any]", value).items()}
    return [_copy(child) for child in cast("list[Any]", value)] if isinstance(value, list) else value


def _json(value: Any, depth: int = 0) -> Any:
    """Return what the library gave as JSON."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise _NoValueError(f"the result {value} is no number in json")
        return value
    if isinstance(value, list):
        return [_json(child, _deeper(depth)) for child in cast("list[Any]", value)]
    if isinstance(value, dict):
        return _json_mapping(cast("dict[Any, Any]", value), _deeper(depth))
    if isinstance(value, datetime):
        text = value.isoformat().removesuffix("+00:00")
        return (text.rstrip("0") if value.microsecond else text) + "Z"
    if isinstance(value, timedelta):
        return _seconds(value)
    raise _NoValueError("the result is, or holds, bytes or a type, which are no json")


def _json_mapping(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise _NoValueError(f"the key {key!r} of a mapping is no text")
    return {key: _json(value[key], depth) for key in sorted(value)}


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise _NoValueError(f"the result is nested more than {MAX_DEPTH} deep")
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


def _reason(message: str) -> str:
    for pattern, reason in _REASONS:
        if found := pattern.search(message):
            return reason.format(*(group[:_SHOWN] for group in found.groups()))
    return _plainly(message)


def _plainly(message: str) -> str:
    line = re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", message.partition("\n")[0])[:200]
    return line[:1].lower() + line[1:]


# The bound of the work


class _Size(NamedTuple):
    """What is known about a value before the evaluation: at most so large.

    Attributes:
        weight: As `_weigh` returns it.
        length: Elements of a list or mapping.
        known: The value itself, if it is a text or a mapping that is handed in.
    """

    weight: int
    length: int = 0
    known: Any = None


_SMALL = _Size(_WEIGHT)


class _Meter:
    """Bounds the work of an evaluation from above.

    A loop over elements of sizes x1, x2, … costs f(x1) + f(x2) + …, where f has no negative terms. With n elements of
    the total size t that is at most n f(0) + f(t), so the body is measured twice.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.work = 0
        self.sizes: dict[_Path, _Size] = {}

    def check(self, root: _Node) -> None:
        self.spend(self.size(root, {}).weight)

    def spend(self, work: int) -> None:
        self.work += work
        if self.work > MAX_WORK:
            raise _NoValueError("it is refused, because it may take too long or grow too large")

    def size(self, node: _Node, bound: dict[str, _Size]) -> _Size:
        self.spend(_WEIGHT)
        path = _path(node, frozenset(bound))
        if path is not None:
            return self.size_at(path)
        if node.kind == "loop":
            return self.size_of_loop(node, bound)
        if node.kind == "name":
            return bound.get(node.text, _SMALL)
        return self.size_of_whole(node, [self.size(part, bound) for part in node.parts])

    def size_of_whole(self, node: _Node, parts: list[_Size]) -> _Size:
        weight = sum(part.weight for part in parts)
        if node.kind == "call":
            result = self.size_of_call(node.text, parts)
            self.spend(weight + result.weight)
        elif node.kind == "constant":
            result = _Size(node.weight, known=node.value)
        elif node.kind == "has":
            result = _SMALL
        elif node.kind == "select":
            result = _Size(weight, weight // _WEIGHT)
        else:
            result = _Size(_WEIGHT + weight, len(parts), known={} if node.kind == "map" else None)
        return result

    def size_at(self, path: _Path) -> _Size:
        if path not in self.sizes:
            value = _at(self.data, path)
            known = cast("Any", value) if isinstance(value, str | dict) else None
            length = len(cast("list[Any]", value)) if isinstance(value, list | dict) else 0
            self.sizes[path] = _SMALL if value is _MISSING else _Size(_weigh(value), length, known)
        return self.sizes[path]

    def size_of_loop(self, node: _Node, bound: dict[str, _Size]) -> _Size:
        over, initial, *body = node.parts
        elements, start = self.size(over, bound), self.size(initial, bound)
        count = min(elements.length, _MAX_ITERATIONS)
        if initial.kind == "list":
            if isinstance(elements.known, dict):
                raise _NoValueError("the keys of a mapping have no order, so `map` and `filter` do not apply to it")
            self.spend(count * count)  # the library copies the list for every element, and keeps the copies
        before = self.work
        small = self.size_of_body(body, node.value, bound, _Size(0))
        spent = self.work - before
        large = self.size_of_body(body, node.value, bound, _Size(elements.weight, elements.weight // _WEIGHT))
        self.spend(count * (spent + small.weight))
        weight = start.weight + count * small.weight + large.weight
        return _Size(weight, start.length + count * small.length + large.length)

    def size_of_body(self, body: list[_Node], names: tuple[str, ...], bound: dict[str, _Size], element: _Size) -> _Size:
        first, second, result = names
        inner = {**bound, first: element, second: element, result: _Size(0)}
        return [self.size(part, inner) for part in body][1]

    def size_of_call(self, name: str, parts: list[_Size]) -> _Size:
        weight = sum(part.weight for part in parts)
        result = _SMALL
        if name == "matches":
            self.spend(_matching(*parts))
        elif name in _SEARCHING:
            self.spend(prod(part.weight for part in parts) // _WEIGHT)
        elif name == "_?_:_":
            result = _Size(max(part.weight for part in parts[1:]), max(part.length for part in parts[1:]))
        elif name in _PASSING:
            result = _Size(weight + _WEIGHT, sum(part.length for part in parts) or weight // _WEIGHT)
        elif name not in _SCALAR and name not in _ZONED:
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
    texts = [max(part.weight - _WEIGHT, 0) for part in parts]
    if name == "replace":
        return weight + (texts[0] + 1) * texts[2]
    if name == "join":
        return weight + (parts[0].length + 1) * sum(texts[1:])
    if name == "split":
        return (texts[0] + 2) * (_WEIGHT + 1)
    if name == "strings.quote":
        return 2 * weight
    if name == "format":
        template = parts[0].known
        clauses = template.count("%") if isinstance(template, str) else texts[0]
        return 4 * weight + 1400 * clauses
    return prod(part.weight + 1 for part in parts)
