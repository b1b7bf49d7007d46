"""Reads YAML 1.2 (core schema) into plain values and remembers where each of them stands.

Of YAML 1.1, merge keys (`<<: *name`) are read, too: the keys of a mapping that are not in another one are put there.

PyYAML only delivers the parser events. Scalars are resolved here, because PyYAML follows YAML 1.1, where `no`
is false, `1:30` is 90 and `017` is 15. All limits guard against documents made to exhaust memory or time.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

import yaml

from podium.errors import Diagnostic, DocumentError, Span

PlainValue: TypeAlias = "dict[str, PlainValue] | list[PlainValue] | str | int | float | bool | None"

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_EXPANSION = 100_000
MAX_NUMBER_LENGTH = 1000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_SHOWN_LENGTH = 40
_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"

_HINTS = {
    "mapping values are not allowed": "put text that contains ': ' in quotes, and check the indentation",
    "did not find expected key": "check the indentation of this line and of the one above",
    "could not find expected ':'": "write 'key: value' with a space after the colon",
    "found character that cannot start any token": "put text that begins with this character in quotes",
    "found unexpected end of stream": "close the quotes or brackets that are still open",
    "did not find expected ',' or": "close the brackets that are still open, or add a comma",
}


@dataclass(slots=True)
class _Node:
    kind: Literal["scalar", "map", "seq"]
    span: Span
    scalar: str | float | None = None
    children: dict[str | int, tuple[Span, _Node]] = field(default_factory=dict[str | int, "tuple[Span, _Node]"])
    key: _Node | None = None
    size: int = 1
    height: int = 0
    is_open: bool = False


@dataclass(slots=True)
class Mapped:
    """A YAML document as plain values, with the place of each.

    Attributes:
        value: The document: dicts with text keys, lists and scalars. Aliases are expanded into copies.
    """

    value: PlainValue
    _root: _Node = field(repr=False)

    def span(self, *path: str | int, key: bool = False) -> Span:
        """Return where the value at `path` stands, or else its nearest parent that exists.

        A value that is an alias stands where the alias is written; what is inside of it, or is merged, stands at the
        anchor.

        Args:
            *path: Keys and list indexes from the root; nothing is the whole document.
            key: Return the place of the key in front of the value. List items and the root have no key, for
                them it is the place of the value.

        Returns:
            A span with the source line.
        """
        node, key_span = self._root, self._root.span
        for part in path:
            if part not in node.children:
                break
            key_span, node = node.children[part]
        return key_span if key else node.span

    def with_value(self, value: PlainValue) -> Mapped:
        """Return another value with the places of this file, as far as the paths are the same."""
        return Mapped(value, self._root)


def load_yaml_file(path: Path) -> Mapped:
    """Read the YAML document in a file.

    Args:
        path: A UTF-8 file of at most 1 MiB. A byte order mark is skipped.

    Raises:
        DocumentError: D105 too large, D109 not UTF-8, D110 missing or unreadable, and all of `load_yaml`.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    size = max(size, len(data))
    if size > MAX_BYTES:
        message = f"file {str(path)!r} has {size} bytes, at most {MAX_BYTES} are read"
        raise DocumentError(message, code="D105", hint="split it into several files", span=Span(str(path), 1, 1))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = _BREAK.split(data[: error.start].decode("utf-8"))
        line = _BREAK.split(data.decode("utf-8", "replace"))[len(before) - 1]
        span = Span(str(path), len(before), len(before[-1]) + 1, line)
        message = f"byte 0x{data[error.start]:02x} at offset {error.start} is not utf-8"
        raise DocumentError(message, code="D109", hint="save the file as UTF-8", span=span) from error
    return load_yaml(text, str(path))


def load_yaml(text: str, path: str) -> Mapped:
    """Read one YAML document.

    Args:
        text: The document.
        path: The name that stands in spans.

    Raises:
        DocumentError: With every diagnostic found, up to the first of syntax or of depth: D101 syntax, D102
            duplicate key, D103 key is not text or `<<` has no mapping to merge, D104 no document or several, D105
            number too long, D106 nested deeper than 64, D107 alias recursive or expanded to more than 100,000 nodes,
            D108 tag not allowed.
    """
    return _Builder(text.removeprefix("\ufeff"), path).build()


class _Builder:
    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self.lines = _BREAK.split(text)
        self.found: list[Diagnostic] = []
        self.stack: list[_Node] = []
        self.anchors: dict[str | None, _Node] = {}
        self.root: _Node | None = None
        self.expanded = 0
        self.latest = self.place_at(0, 0)

    def build(self) -> Mapped:
        self.check_characters()
        try:
            self.read_events()
        except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: escapes in the pure parser
            self.fail_on_syntax(error)
        root = self.root
        if root is None or (root.scalar is None and not _source(root.span)):
            self.report("D104", "file holds no document", "write at least one 'key: value'", self.place_at(0, 0))
        if self.found or root is None:
            raise DocumentError(self.found)
        return Mapped(_plain(root), root)

    def read_events(self) -> None:
        handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.on_scalar,
            yaml.AliasEvent: self.on_alias,
            yaml.MappingStartEvent: self.on_start,
            yaml.SequenceStartEvent: self.on_start,
            yaml.MappingEndEvent: self.on_end,
            yaml.SequenceEndEvent: self.on_end,
        }
        for event in yaml.parse(self.text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
                hint = "write each document into a file of its own"
                self.report("D104", "file holds more than one document, at most 1 is read", hint, self.mark(event))
                return
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)

    def on_scalar(self, event: Any) -> None:
        span = self.mark(event)
        event.value.encode()
        self.anchors[event.anchor] = node = _Node("scalar", span, self.resolve(event, span))
        self.add(node)

    def on_start(self, event: Any) -> None:
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        node = _Node(kind, self.mark(event), height=1, is_open=True)
        if event.tag not in {None, "!", _TAG + kind}:
            self.refuse_tag(event.tag, node.span)
        self.anchors[event.anchor] = node
        self.stack.append(node)
        self.check_depth(0, node.span)

    def on_end(self, _event: Any) -> None:
        node = self.stack.pop()
        node.is_open = False
        if _MERGE in node.children and _source(node.children[_MERGE][0]) == _MERGE:  # in quotes it is text
            self.merge(node)
        self.add(node)

    def merge(self, node: _Node) -> None:
        """Put what stands at `<<` before the other keys; of several mappings the first that has a key gives it."""
        span, merged = node.children.pop(_MERGE)
        sources = [item for _, item in merged.children.values()] if merged.kind == "seq" else [merged]
        wrong = next((source for source in sources if source.kind != "map"), None)
        if wrong is None:
            own, node.children = node.children, {}
            for source in reversed(sources):
                node.children |= source.children
            node.children |= own
        elif self.expanded <= MAX_EXPANSION and not any(finding.span == wrong.span for finding in self.found):
            message = f"key '{_MERGE}' merges {_shown(_source(wrong.span))}, which is no mapping"
            self.report("D103", message, "write `<<: *name` with the anchor of a mapping, or put << in quotes", span)

    def on_alias(self, event: Any) -> None:
        span = self.mark(event)
        name = _shown(event.anchor)
        target = self.anchors.get(event.anchor)
        node = _Node("scalar", span)
        if target is None:
            self.report("D101", f"alias {name} has no anchor before it", f"define &{event.anchor} above", span)
        elif target.is_open:
            self.report("D107", f"alias {name} stands inside of its own anchor", "write out what is meant", span)
        else:
            self.check_depth(target.height, span)
            over_before = self.expanded > MAX_EXPANSION
            self.expanded += target.size
            if self.expanded <= MAX_EXPANSION:
                node = _Node(target.kind, span, target.scalar, target.children, None, target.size, target.height)
            elif not over_before:
                message = f"aliases up to {name} expand to {self.expanded} nodes, at most {MAX_EXPANSION} are read"
                self.report("D107", message, "repeat less by alias", span)
        self.add(node)

    def add(self, node: _Node) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if parent.kind == "seq":
            parent.children[len(parent.children)] = (node.span, node)
        elif parent.key is None:
            parent.key = node
        else:
            self.add_pair(parent, parent.key, node)
            parent.key = None

    def add_pair(self, parent: _Node, key: _Node, node: _Node) -> None:
        name = key.scalar
        if not isinstance(name, str):
            hint = "put it in quotes" if key.kind == "scalar" else "use text as the key"
            self.report("D103", f"key {_shown(_source(key.span))} is {_kind(key)}, keys are text", hint, key.span)
        elif name in parent.children:
            first = parent.children[name][0].line
            hint = f"it stands first in line {first}; remove or rename one of them"
            self.report("D102", f"key {_shown(name)} stands twice in one mapping", hint, key.span)
        else:
            parent.children[name] = (key.span, node)

    def resolve(self, event: Any, span: Span) -> str | float | None:
        if event.tag in {"!", _TAG + "str"} or (event.tag is None and not event.implicit[0]):
            return event.value
        tag = None if event.tag is None else event.tag.removeprefix(_TAG)
        if tag not in {None, "null", "bool", "int", "float"}:
            self.refuse_tag(event.tag, span)
            return event.value
        read = next((r for kind, p, r in _RESOLVERS if tag in {None, kind} and p.fullmatch(event.value)), None)
        if read is not None and len(event.value) > MAX_NUMBER_LENGTH:
            message = f"number has {len(event.value)} characters, at most {MAX_NUMBER_LENGTH} are read"
            self.report("D105", message, "put it in quotes if it is text", span)
            return None
        if read is None and tag is not None:
            message = f"value {_shown(event.value)} does not fit its tag !!{tag}"
            self.report("D108", message, "remove the tag or correct the value", span)
        return event.value if read is None else read(event.value)

    def check_depth(self, more: int, span: Span) -> None:
        depth = len(self.stack) + more
        if depth > MAX_DEPTH:
            self.report("D106", f"nested {depth} levels deep, at most {MAX_DEPTH} are read", "nest less", span)
            raise DocumentError(self.found)

    def check_characters(self) -> None:
        match = _UNPRINTABLE.search(self.text)
        if match is not None:
            lines = _BREAK.split(self.text[: match.start()])
            number = f"{ord(match[0]):04x}"
            hint = f'remove it, or write "\\u{number}" in double quotes'
            span = self.place_at(len(lines) - 1, len(lines[-1]))
            self.report("D101", f"character u+{number} is not allowed in yaml", hint, span)
            raise DocumentError(self.found)

    def fail_on_syntax(self, error: Exception) -> NoReturn:
        problem, span = f"text cannot be read: {error}", self.latest
        if isinstance(error, yaml.MarkedYAMLError):
            problem = ", ".join(filter(None, (error.context, error.problem)))
            mark = error.problem_mark or error.context_mark
            span = self.place_at(mark.line, mark.column) if mark else span
        hint = next((text for start, text in _HINTS.items() if start in problem), "correct the syntax")
        if "\t" in span.text[: len(span.text) - len(span.text.lstrip())]:
            problem, hint = f"tab in the indentation, {problem}", "indent with spaces"
        self.report("D101", problem, hint, span)
        raise DocumentError(self.found) from error

    def refuse_tag(self, tag: Any, span: Span) -> None:
        hint = "remove the tag; allowed are !!str !!int !!float !!bool !!null !!map !!seq, each on its own kind"
        self.report("D108", f"tag {_shown(tag.replace(_TAG, '!!'))} is not allowed here", hint, span)

    def report(self, code: str, message: str, hint: str, span: Span) -> None:
        self.found.append(Diagnostic(code, message, hint, span))

    def mark(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        span = self.place_at(start.line, start.column)
        stop = end.column if end.line == start.line else len(span.text)
        self.latest = Span(self.path, span.line, span.column, span.text, max(1, stop - start.column))
        return self.latest

    def place_at(self, line: int, column: int) -> Span:
        text = self.lines[line] if line < len(self.lines) else ""
        return Span(self.path, line + 1, column + 1, text)


_RESOLVERS: list[tuple[str, re.Pattern[str], Callable[[str], float | None]]] = [
    ("null", re.compile("null|Null|NULL|~|"), lambda _text: None),
    ("bool", re.compile("true|True|TRUE|false|False|FALSE"), lambda text: text[0] in "tT"),
    ("int", re.compile("[-+]?[0-9]+"), int),
    ("int", re.compile("0o[0-7]+"), lambda text: int(text, 8)),
    ("int", re.compile("0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    ("float", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"), float),
    ("float", re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
]


def _plain(node: _Node) -> PlainValue:
    if node.kind == "map":
        return {str(key): _plain(child) for key, (_, child) in node.children.items()}
    if node.kind == "seq":
        return [_plain(child) for _, child in node.children.values()]
    return node.scalar


def _kind(node: _Node) -> str:
    if node.kind != "scalar":
        return "a mapping" if node.kind == "map" else "a list"
    if isinstance(node.scalar, bool):
        return "a boolean"
    return "null" if node.scalar is None else "a number"


def _source(span: Span) -> str:
    return span.text[span.column - 1 : span.column - 1 + span.length].strip()


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}...")


def _unreadable(path: Path, error: OSError | ValueError) -> DocumentError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    hint = "name a regular file that this user may read"
    if isinstance(error, FileNotFoundError):
        names = [entry.name for entry in path.parent.iterdir()] if os.access(path.parent, os.R_OK) else []
        close = difflib.get_close_matches(path.name, names, n=1)
        hint = f"did you mean {str(path.with_name(close[0]))!r}?" if close else "check the name and the directory"
    return DocumentError(f"file {str(path)!r} cannot be read: {reason.lower()}", code="D110", hint=hint)
