"""Structs of plans as JSON values, without what is as usual."""

from __future__ import annotations

from typing import Any

import msgspec


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """Return a struct as a JSON value: without fields that have their default, and the same in structs inside."""
    fields = msgspec.structs.fields(value)
    given = {field.name: (getattr(value, field.name), _default(field)) for field in fields}
    return {name: _json(found) for name, (found, default) in given.items() if found != default}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else msgspec.NODEFAULT


def _json(value: Any) -> Any:
    return plain(value) if isinstance(value, msgspec.Struct) else msgspec.json.decode(msgspec.json.encode(value))
