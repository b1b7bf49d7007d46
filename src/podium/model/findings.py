"""From what pydantic finds wrong to diagnostics with place, code and hint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

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
    """Return one diagnostic per finding, placed in the file.

    Args:
        error: What pydantic raised.
        mapped: The document with its positions.
        model: The class that was validated.
    """
    return [_diagnostic(dict(finding), mapped, model) for finding in error.errors(include_url=False)]


def _diagnostic(finding: dict[str, Any], mapped: Mapped, model: type[BaseModel]) -> Diagnostic:
    location: Path = finding["loc"]
    path = existing(mapped.value, location)
    kind: str = finding["type"]
    if kind == "extra_forbidden":
        key = str(location[-1])
        hint = did_you_mean(key, fields_at(model, location[:-1]), what="keys here")
        return Diagnostic("D121", f"unknown key `{key}`", hint, mapped.span(*path, key=True))
    if kind == "missing":
        where = f" in `{_dotted(path)}`" if path else ""
        return Diagnostic("D122", f"key `{location[-1]}` is missing{where}", None, mapped.span(*path, key=bool(path)))
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return _tag(finding, path, mapped)
    cause: object = finding.get("ctx", {}).get("error")
    name = _dotted(path)
    if isinstance(cause, UnitError):
        return Diagnostic("D124", f"{name}: {cause}", cause.hint, mapped.span(*path))
    message = finding["msg"].removeprefix("Value error, ")
    if isinstance(cause, ValueError):
        return Diagnostic("D123", message, None, mapped.span(*path))
    text = f"{name}: {_lower(message)}"
    given = finding.get("input")
    if isinstance(given, (str, int, float, bool)) or given is None:
        text += f", not {_shown(given)}"
    return Diagnostic("D123", text, None, mapped.span(*path))


def _tag(finding: dict[str, Any], path: Path, mapped: Mapped) -> Diagnostic:
    context = finding["ctx"]
    if finding["type"] == "union_tag_not_found":
        known = None
        message = f"key {context['discriminator'].replace(chr(39), '`')} is missing in `{_dotted(path)}`"
        return Diagnostic("D122", message, known, mapped.span(*path, key=True))
    known = [word.strip(" '") for word in context["expected_tags"].split(",")]
    path = (*path, context["discriminator"].strip("'"))
    hint = did_you_mean(str(context["tag"]), known, what="possible")
    return Diagnostic("D123", f"{_dotted(path)}: unknown type `{context['tag']}`", hint, mapped.span(*path))


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
    items: Any = dict(enumerate(value)) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return (items[part],) if isinstance(items, dict) and part in items else None


def fields_at(model: type[BaseModel], location: Path) -> list[str]:
    """Return the keys a document may have at a pydantic location."""
    models = [model]
    for part in location:
        fields = [field for found in models if (field := _field(found, part)) is not None]
        if fields:
            models = [inner for field in fields for inner in _models(field.annotation)]
        else:
            models = [found for found in models if part in _tags(found)] or models
    return list(dict.fromkeys(name for found in models for name in _names(found)))


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _field(model: type[BaseModel], part: str | int) -> FieldInfo | None:
    fields: Mapping[str, FieldInfo] = {field.alias or name: field for name, field in model.model_fields.items()}
    return fields.get(str(part))


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("type")
    tags = get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()
    return (*tags, model.__name__)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path) or "the document"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"`{value}`" if len(value) <= 40 else f"`{value[:40]}…`"  # noqa: PLR2004 (fits a line)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
