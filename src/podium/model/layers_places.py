"""Where the keys of a document stand that was translated from other files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, cast

from podium.errors import Diagnostic, Span
from podium.model.findings import Path
from podium.model.yaml_loader import Mapped, PlainValue

Source = tuple[Mapped, Path]
"""A value as it stands in a file."""


class Placed(Mapped):
    """A document made of parts of one or more files, with the places of these.

    Args:
        value: The document.
        main: The file that stands for what has no place of its own.
        origins: Path in the document to where its value is from.
    """

    def __init__(self, value: PlainValue, main: Mapped, origins: dict[Path, Source]) -> None:
        super().__init__(value, main._root)  # noqa: SLF001 (of the same class)
        self._main = main
        self._origins = origins

    def span(self, *path: str | int, key: bool = False) -> Span:
        """Return where the value at `path` is from, or else its nearest parent that is from a file."""
        for length in range(len(path), -1, -1):
            origin = self._origins.get(path[:length])
            if origin is not None:
                mapped, start = origin
                return mapped.span(*start, *path[length:], key=key)
        return self._main.span()

    def with_value(self, value: PlainValue) -> Mapped:
        """Return another value with the places of this one, as far as the paths are the same."""
        return Placed(value, self._main, self._origins)


def hinted(findings: Sequence[Diagnostic], hint: str) -> list[Diagnostic]:
    """Return findings, those that do not say what to do with a hint."""
    return [finding if finding.hint else replace(finding, hint=hint) for finding in findings]


@dataclass
class Translation:
    """A native document that grows from documented files.

    Attributes:
        main: The file that is translated first.
        value: What there is of the document.
        origins: Path in it to where its value is from.
        findings: What was found.
    """

    main: Mapped
    value: dict[str, Any] = field(default_factory=dict[str, Any])
    origins: dict[Path, Source] = field(default_factory=dict[Path, Source])
    findings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def put(self, path: Sequence[str | int], value: Any, mapped: Mapped, *source: str | int) -> None:
        """Set a value of the document, and note that it is from `source` of a file."""
        path = tuple(path)
        container: Any = self.value
        for part, following in pairwise(path):
            container = _below(container, part, [] if isinstance(following, int) else {})
        _below(container, path[-1], value)
        container[path[-1]] = value
        self.origins[path] = (mapped, source)

    def has(self, *path: str | int) -> bool:
        """Return whether the document has a value there."""
        found: Any = self.value
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def warn(self, code: str, text: str, hint: str | None, span: Span) -> None:
        """Note something that a person should know."""
        self.findings.append(Diagnostic(code, text, hint, span, "warning"))

    def fail(self, code: str, text: str, hint: str | None, span: Span) -> None:
        """Note a mistake."""
        self.findings.append(Diagnostic(code, text, hint, span))

    def placed(self) -> Placed:
        """Return the document with its places."""
        return Placed(self.value, self.main, self.origins)


def _below(container: Any, part: str | int, empty: Any) -> Any:
    if not isinstance(container, list):
        return container.setdefault(part, empty)
    entries = cast("list[Any]", container)
    if part == len(entries):
        entries.append(empty)
    return entries[int(part)]
