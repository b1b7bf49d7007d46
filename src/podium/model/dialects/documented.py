"""What the documented files of test layers have in common: bounds, keys without effect, durations and sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from podium.model.findings import Path, diagnostics_of, did_you_mean, fields_at
from podium.model.layers_places import Translation, hinted
from podium.model.units import format_duration
from podium.model.yaml_loader import Mapped

ANY = "*"
"""Stands for any key or position in the path of a bound."""
CHARACTERS = "characters"
"""Unit of bounds of texts."""


Amount = Annotated[float, Field(gt=0, le=1e9)]
"""A duration or size in the unit of its key; the limit only keeps arithmetic from overflowing."""


class Lenient(BaseModel):
    """Base of the documented documents: keys that are not known are told of, not refused."""

    model_config = ConfigDict(extra="ignore", frozen=True)


_Model = TypeVar("_Model", bound=BaseModel)


class Bound(NamedTuple):
    """Least and greatest value that is documented for a key."""

    path: tuple[str, ...]
    least: float
    greatest: float
    unit: str = ""


def read(model: type[_Model], mapped: Mapped, into: Translation) -> _Model | None:
    """Return a document, or None when it is wrong; what is wrong goes to the findings."""
    try:
        return model.model_validate(mapped.value)
    except ValidationError as error:
        into.findings += hinted(diagnostics_of(error, mapped, model), "correct the value")
        return None


def check_bounds(bounds: Sequence[Bound], mapped: Mapped, into: Translation) -> None:
    """Tell of numbers and lengths that are outside of what is documented (D161)."""
    for bound in bounds:
        for path, value in _at(mapped.value, bound.path, ()):
            size: Any = len(value) if isinstance(value, str) and bound.unit == CHARACTERS else value
            is_number = isinstance(size, int | float) and not isinstance(size, bool)
            if is_number and not bound.least <= size <= bound.greatest:
                unit = f" {bound.unit}" if bound.unit else ""
                name = ".".join(str(part) for part in path)
                message = f"{name}: {size:g}{unit} is outside of the documented {bound.least:g} to {bound.greatest:g}"
                into.warn("D161", message, "it is taken as it stands", mapped.span(*path))


def _at(value: Any, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, value
        return
    first, *rest = pattern
    if isinstance(value, dict):
        items: Mapping[Any, Any] = cast("dict[Any, Any]", value)
    elif isinstance(value, list):
        items = dict(enumerate(cast("list[Any]", value)))
    else:
        return
    keys = list(items) if first == ANY else [first] if first in items else []
    for key in keys:
        yield from _at(items[key], tuple(rest), (*path, key))


def tell_unknown(model: type[BaseModel], mapped: Mapped, into: Translation, *, but: Sequence[str] = ()) -> None:
    """Tell of keys that the format does not know (D171).

    Args:
        model: The document.
        mapped: The file.
        into: Where findings go.
        but: Keys at the top that are told of elsewhere.
    """

    def look(value: Any, path: Path) -> None:
        known = fields_at(model, path)
        if isinstance(value, dict):
            for key, inner in cast("dict[str, Any]", value).items():
                if known and key not in known:
                    if path or key not in (*but, "kind"):
                        hint = did_you_mean(key, known, what="keys here") or "remove it"
                        text = f"key `{key}` is not known and has no effect"
                        into.warn("D171", text, hint, mapped.span(*path, key, key=True))
                else:
                    look(inner, (*path, key))
        elif isinstance(value, list):
            for index, inner in enumerate(cast("list[Any]", value)):
                look(inner, (*path, index))

    look(mapped.value, ())


def tell_no_effect(reasons: Mapping[tuple[str, ...], str], mapped: Mapped, into: Translation) -> None:
    """Tell of keys that are known and do nothing here, with the reason (D171)."""
    for pattern, reason in reasons.items():
        for path, _value in _at(mapped.value, pattern, ()):
            text = f"key `{'.'.join(str(part) for part in path)}` has no effect: {reason}"
            into.warn("D171", text, "remove it, or leave it: nothing else depends on it", mapped.span(*path, key=True))


def duration(amount: float, unit_s: float) -> str:
    """Return a duration as native documents write it.

    Args:
        amount: How many units.
        unit_s: One of them [s].
    """
    return format_duration(max(1, round(amount * unit_s * 1e9)))


def megabytes(amount: float) -> str:
    """Return a size given in MB as native documents write it; there, MB means 2^20 bytes."""
    return f"{amount!r} MiB"
