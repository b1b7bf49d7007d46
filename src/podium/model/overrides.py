"""Values set from the command line, as `--set key.to.value=…`, in a document before it is checked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from podium.errors import UsageError
from podium.model.yaml_loader import load_yaml


def parse_assignment(text: str) -> tuple[str, str]:
    """Split `key=value`.

    Raises:
        UsageError: It is not of this form (U420).
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"`{text}` is no assignment", code="U420", hint="write key=value, such as recovery=none")
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
        _assign(result, path, path.split("."), load_yaml(text or '""', "--set").value)
    return result


def _assign(container: Any, whole: str, parts: list[str], value: Any) -> None:
    head, rest = parts[0], parts[1:]
    key: Any = head
    if isinstance(container, list):
        count = len(container)  # pyright: ignore[reportUnknownArgumentType]
        if not head.isdigit() or int(head) >= count:
            text = f"`{whole}`: `{head}` is no position in a list of {count}"
            raise UsageError(text, code="U421", hint="positions count from 0")
        key = int(head)
    elif not isinstance(container, dict):
        raise UsageError(f"`{whole}`: there is nothing below a single value at `{head}`", code="U421")
    if not rest:
        container[key] = value
        return
    if isinstance(container, dict) and key not in container:
        container[key] = {}
    _assign(container[key], whole, rest, value)
