"""From what pydantic finds wrong to diagnostics with place, code and hint."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from podium.errors import Diagnostic
from podium.model.units import UnitError
from podium.model.yaml_loader import Mapped

Path = tuple[str | int, ...]


def did_you_mean(word: str, known: Sequence[str], *, what: str) -> str | None:
    """Return a hint: the closest known word, or all of them if there are few."""
    close = get_close_matches(word, known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"{what}: {', '.join(known)}" if 0 < len(known) <= _FEW else None


_FEW = 20


def diagnostics_of(error: ValidationError, mapped: Mapped, model: type[BaseModel]) -> list[Diagnostic]:
    """Return one diagnostic per mistake, placed in the file.

    A key that is missing and stands there misspelled is one mistake.

    Args:
        error: What pydantic raised.
        mapped: The document with its positions.
        model: The class that was validated.
    """
    findings: list[dict[str, Any]] = [dict(finding) for finding in error.errors(include_url=False)]
    missing = {finding["loc"] for finding in findings if finding["type"] == "missing"}
    misspelled: set[Path] = set()
    for finding in findings:
        if finding["type"] == "extra_forbidden":
            *parent, key = finding["loc"]
            close = get_close_matches(str(key), fields_at(model, tuple(parent)), n=1)
            misspelled |= {(*parent, word) for word in close} & missing
    kept = (finding for finding in findings if finding["type"] != "missing" or finding["loc"] not in misspelled)
    return [_diagnostic(finding, mapped, model) for finding in kept]


def in_order(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return the findings as they stand in the file, top to bottom."""
    return sorted(findings, key=lambda finding: (finding.span.line, finding.span.column) if finding.span else (0, 0))


def _diagnostic(finding: dict[str, Any], mapped: Mapped, model: type[BaseModel]) -> Diagnostic:
    location: Path = finding["loc"]
    path = existing(mapped.value, location)
    kind: str = finding["type"]
    if kind in {"missing", "union_tag_not_found"}:
        where = location if kind == "missing" else (*location, _discriminator(finding))
        return _missing(where, path, mapped, model)
    if kind == "extra_forbidden":
        key = str(location[-1])
        hint = did_you_mean(key, fields_at(model, location[:-1]), what="keys here")
        return Diagnostic("D121", f"unknown key {_shown(key)}", hint, mapped.span(*path, key=True))
    if location[-1:] == ("[key]",):
        hint = "use letters, digits, - and _, at most 64 of them, and begin with a letter, a digit or _"
        return Diagnostic("D123", f"{_shown(path[-1])} is no name", hint, mapped.span(*path, key=True))
    if kind == "union_tag_invalid":
        path = (*path, _discriminator(finding))
    return Diagnostic(*_value_issue(finding, _dotted(path), _value_at(mapped.value, path)), mapped.span(*path))


def _value_issue(finding: dict[str, Any], name: str, given: object) -> tuple[str, str, str | None]:
    """Return code, message and hint for a value that is not as it must be."""
    context: dict[str, Any] = finding.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, UnitError):
        return "D124", f"{name}: {cause}", cause.hint
    if isinstance(cause, ValueError):
        return "D123", str(cause), None
    expected = context.get("expected_tags", context.get("expected"))
    if expected is None:
        return "D123", f"{name}: {_rule(finding, given)}", None
    known = _QUOTED.findall(expected)
    if not isinstance(given, str):
        return "D123", f"{name}: must be a word, not {_shown(given)}", f"possible: {', '.join(known)}"
    what = "type" if name.endswith("type") else "word"
    return "D123", f"{name}: unknown {what} {_shown(given)}", did_you_mean(given, known, what="possible")


_QUOTED = re.compile("'([^']*)'")

_RULES = {
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least 1 character",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least 1 entry",
    "too_long": "must have at most {max_length} entries",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
}


def _rule(finding: dict[str, Any], given: object) -> str:
    kind: str = finding["type"]
    context = {key: f"{v:g}" if isinstance(v, float) else v for key, v in finding.get("ctx", {}).items()}
    if kind in {"too_short", "too_long"} and isinstance(given, list | dict):
        given = len(given)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(given, float) and not math.isfinite(given):
        return f"must be a finite number, not {given}"
    if kind in _RULES:
        return f"{_RULES[kind].format(**context)}, not {_shown(given)}"
    return _lower(finding["msg"])


def _missing(location: Path, path: Path, mapped: Mapped, model: type[BaseModel]) -> Diagnostic:
    key, given = str(location[-1]), _value_at(mapped.value, path)
    close = get_close_matches(key, map(str, given), n=1) if isinstance(given, dict) else []  # pyright: ignore[reportUnknownArgumentType]
    meaning = _meaning(model, location)
    hint = f"rename `{close[0]}`" if close else f"{key}: {meaning}" if meaning else None
    where = f" in `{_dotted(path)}`" if path else ""
    return Diagnostic("D122", f"key `{key}` is missing{where}", hint, mapped.span(*path, key=bool(path)))


def _discriminator(finding: dict[str, Any]) -> str:
    return finding["ctx"]["discriminator"].strip("'")


def _meaning(model: type[BaseModel], location: Path) -> str | None:
    """Return what the documents say about a key, as a hint."""
    for found in _models_at(model, location[:-1]):
        field = _field(found, location[-1])
        if field and field.description:
            return _lower(field.description).rstrip(".")
    return None


def _value_at(value: Any, path: Path) -> object:
    for part in path:
        inner = _child(value, part)
        if inner is None:
            return None
        (value,) = inner
    return value


def existing(value: Any, location: Path) -> Path:
    """Return the part of a pydantic location that is a path in the document: without tags of unions."""
    path: list[str | int] = []
    for part in location:
        inner = _child(value, part)
        if inner is not None:
            (value,) = inner
            path.append(part)
    return tuple(path)


def _child(value: Any, part: str | int) -> tuple[Any] | None:
    items: dict[Any, Any] = {}
    if isinstance(value, list):
        items = dict(enumerate(cast("list[Any]", value)))
    elif isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
    return (items[part],) if part in items else None


def fields_at(model: type[BaseModel], location: Path) -> list[str]:
    """Return the keys a document may have at a pydantic location."""
    return list(dict.fromkeys(name for found in _models_at(model, location) for name in _names(found)))


def _models_at(model: type[BaseModel], location: Path) -> list[type[BaseModel]]:
    at: list[Any] = [model]
    for part in location:
        at = [inner for one in at for inner in _below(one, part)] or [one for one in at if part in _tags(one)] or at
    return [one for one in at if _is_model(one)]


def _below(annotation: Any, part: str | int) -> Iterator[Any]:
    if _is_model(annotation):
        field = _field(annotation, part)
        if field is not None:
            yield from _alternatives(field.annotation)
    else:
        yield from (leaf for argument in get_args(annotation) for leaf in _alternatives(argument))


def _alternatives(annotation: Any) -> Iterator[Any]:
    """Look through unions and annotations, but not into lists and mappings."""
    if _is_model(annotation) or get_origin(annotation) in {dict, list}:
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from _alternatives(argument)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _field(model: type[BaseModel], part: str | int) -> FieldInfo | None:
    fields: Mapping[str, FieldInfo] = {field.alias or name: field for name, field in model.model_fields.items()}
    return fields.get(str(part))


def _tags(annotation: Any) -> tuple[Any, ...]:
    field = annotation.model_fields.get("type") if _is_model(annotation) else None
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path) or "the document"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if not text:
        return "empty text"
    return f"`{text}`" if isinstance(value, str) else text


_LONGEST = 40
"""Characters of a value that are shown, so that a message fits a line."""
