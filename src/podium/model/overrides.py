"""Values set from the command line, as `--set key.to.value=…`, in a document before it is checked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from podium.errors import DocumentError, UsageError
from podium.model.yaml_loader import load_yaml


def parse_assignment(text: str) -> tuple[str, str]:
    """Split `key=value`.

    Raises:
        UsageError: It is not of this form, or the value is no YAML (U420).
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"`{text}` is no assignment", code="U420", hint="write key=value, such as recovery=none")
    _value(value.strip())
    return key.strip(), value.strip()


def overridden(value: dict[str, Any], assignments: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of a document with values set; the document stays as it is.

    Args:
        value: The document.
        assignments: Path such as `faults.0.severity` to a value as one writes it in YAML.

    Raises:
        UsageError: A path leads nowhere (U421).
    """
    result = copy.deepcopy(value)
    for path, text in assignments.items():
        _assign(result, path, _value(text))
    return result


def _value(text: str) -> Any:
    try:
        return load_yaml(text or '""', "--set").value
    except DocumentError as error:
        why = error.diagnostics[0].message
        raise UsageError(f"`{text}` is no value: {why}", code="U420", hint="quote it as in YAML") from error


def _assign(document: dict[str, Any], path: str, value: Any) -> None:
    container: Any = document
    *parents, last = path.split(".")
    for part in parents:
        key = _key(container, part, path)
        if isinstance(container, dict):
            container.setdefault(key, {})  # pyright: ignore[reportUnknownMemberType]
        container = container[key]  # pyright: ignore[reportUnknownVariableType]
    container[_key(container, last, path)] = value


def _key(container: Any, part: str, path: str) -> str | int:
    """Return what a part of a path means in a container that is there."""
    if isinstance(container, dict):
        return part
    if not isinstance(container, list):
        raise UsageError(f"`{path}`: there is nothing below a single value at `{part}`", code="U421")
    count = len(container)  # pyright: ignore[reportUnknownArgumentType]
    positions = [str(position) for position in range(count)]
    if part not in positions:
        text = f"`{path}`: `{part}` is no position in a list of {count}"
        raise UsageError(text, code="U421", hint="positions count from 0")
    return int(part)
