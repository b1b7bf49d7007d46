"""Quantities as people write them: `20 min`, `1.5 km`, `40 %`.

Numbers are read as decimals and converted as fractions, so a duration is exact to the nanosecond; only the last
step of `parse_quantity` rounds, to a float in the base unit of the dimension.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal, TypeAlias

Dimension = Literal[
    "duration",
    "length",
    "temperature",
    "angle",
    "angle rate",
    "ratio",
    "data rate",
    "data size",
    "power",
    "voltage",
    "dimensionless",
]

_MAX_EXPONENT = 200
_SHOWN_LENGTH = 40
_NUMBER = re.compile(r"\s*([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(.*?)\s*", re.DOTALL)
_DEGREES_PER_RADIAN = 180 / Fraction("3.14159265358979323846264338327950288419716939937510")
_ZERO_CELSIUS_IN_KELVIN = Fraction("273.15")

_NANOSECONDS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "min": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
# The first unit of each dimension is its base; a pair is the factor and, after it, the offset.
_Scales: TypeAlias = Mapping[str, tuple[Fraction | int, Fraction | int]]
_SCALES: dict[Dimension, _Scales] = {
    "duration": {"s": (Fraction(1), 0)} | {unit: (Fraction(ns, 10**9), 0) for unit, ns in _NANOSECONDS.items()},
    "length": {"km": (1, 0), "m": (Fraction(1, 1000), 0), "cm": (Fraction(1, 10**5), 0), "mm": (Fraction(1, 10**6), 0)},
    "temperature": {
        "degC": (1, 0),
        "°C": (1, 0),
        "K": (1, -_ZERO_CELSIUS_IN_KELVIN),
        "degF": (Fraction(5, 9), Fraction(-160, 9)),
    },
    "angle": {"deg": (1, 0), "rad": (_DEGREES_PER_RADIAN, 0), "arcmin": (Fraction(1, 60), 0)},
    "angle rate": {"deg/s": (1, 0), "rad/s": (_DEGREES_PER_RADIAN, 0)},
    "ratio": {"": (1, 0), "%": (Fraction(1, 100), 0)},
    "data rate": {"bit/s": (1, 0), "kbit/s": (10**3, 0), "Mbit/s": (10**6, 0), "Gbit/s": (10**9, 0), "B/s": (8, 0)},
    "data size": {
        "B": (1, 0),
        "kB": (10**3, 0),
        "KiB": (2**10, 0),
        "MB": (10**6, 0),
        "MiB": (2**20, 0),
        "GB": (10**9, 0),
        "GiB": (2**30, 0),
    },
    "power": {"W": (1, 0), "mW": (Fraction(1, 1000), 0), "kW": (1000, 0)},
    "voltage": {"V": (1, 0), "mV": (Fraction(1, 1000), 0)},
    "dimensionless": {"": (1, 0)},
}
_LONG_DURATIONS = ["days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]
_LONG_NAMES = dict(zip(_LONG_DURATIONS, _NANOSECONDS, strict=True)) | {"kelvin": "K", "percent": "%", "bps": "bit/s"}


class UnitError(ValueError):
    """A quantity that cannot be read.

    Args:
        message: What is wrong, with the value as written.
        hint: What to write instead.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def split_unit(text: str) -> tuple[Decimal, str] | None:
    """Split `text` into its number and what follows, both without surrounding blanks.

    Args:
        text: For example `20 min`, `-4.5degC` or `3`.

    Returns:
        The exact number and the unit as written (empty when there is none), or None when `text` does not begin
        with a finite number.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    try:
        return Decimal(match[1]), match[2]
    except InvalidOperation:
        return None


def parse_duration_ns(value: object) -> int:
    """Return the duration `value` in nanoseconds, exactly.

    Args:
        value: Text with one of the units d, h, min, s, ms, us, ns.

    Raises:
        UnitError: No number, no unit, an unknown unit, negative, or a fraction of a nanosecond.
    """
    nanoseconds = _exact(value, "duration") * 10**9
    if nanoseconds.denominator != 1:
        raise UnitError(f"{_shown(value)} is not a whole number of nanoseconds", hint="round it to 1 ns")
    return nanoseconds.numerator


def parse_quantity(value: object, dimension: Dimension) -> float:
    """Return `value` in the base unit of `dimension`.

    Args:
        value: Text with a unit; a bare number where the dimension is `ratio` or `dimensionless`.
        dimension: Says which units are possible. The base units are: duration s, length km, temperature degC,
            angle deg, angle rate deg/s, ratio 1, data rate bit/s, data size byte, power W, voltage V.

    Raises:
        UnitError: No finite number, no unit, a unit of another dimension, or a negative duration.
    """
    return float(_exact(value, dimension))


def format_duration(ns: int) -> str:
    """Return `ns` nanoseconds as short text that `parse_duration_ns` reads back exactly.

    Days, hours and minutes are used only for whole numbers of them (`20 min`, but `90 s`); seconds and smaller
    units take up to three decimals. A negative number gets a sign, although no document may contain it.
    """
    size = abs(ns)
    sign = "-" if ns < 0 else ""
    for unit, scale in _NANOSECONDS.items():
        whole, rest = divmod(size, scale)
        if whole and rest == 0:
            return f"{sign}{whole} {unit}"
        thousandths, inexact = divmod(rest * 1000, scale)
        if whole and not inexact and unit not in {"d", "h", "min"}:
            return f"{sign}{whole}.{thousandths:03}".rstrip("0") + f" {unit}"
    return "0 s"


def _exact(value: object, dimension: Dimension) -> Fraction:
    number, unit = _read(value, dimension)
    scales = _SCALES[dimension]
    if number and abs(number.adjusted()) > _MAX_EXPONENT:
        raise UnitError(f"{_shown(value)} is out of range, its exponent may be at most {_MAX_EXPONENT}")
    if not unit and unit not in scales:
        raise UnitError(f"{_shown(value)} has no unit", hint=f"write {number} {next(iter(scales))}")
    if unit not in scales:
        raise _wrong_unit(value, unit, dimension)
    if number < 0 and dimension == "duration":
        raise UnitError(f"{_shown(value)} is negative, a duration is at least 0 s")
    factor, offset = scales[unit]
    return Fraction(number) * factor + offset


def _read(value: object, dimension: Dimension) -> tuple[Decimal, str]:
    if isinstance(value, float) and not math.isfinite(value):
        raise UnitError(f"{value} is not a finite number")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value), ""
    parts = split_unit(value) if isinstance(value, str) else None
    if parts is None:
        unit = "min" if dimension == "duration" else next(iter(_SCALES[dimension]))
        hint = f"write a number and a unit, such as 20 {unit}" if unit else "write a number"
        raise UnitError(f"{_shown(value)} is not a quantity", hint=hint)
    return parts


def _wrong_unit(value: object, unit: str, dimension: Dimension) -> UnitError:
    scales = _SCALES[dimension]
    units = [name for name in scales if name]
    if not units:
        return UnitError(f"{_shown(value)} has the unit {_shown(unit)}", hint="write the number without a unit")
    spellings = {name.casefold(): name for name in units}
    spellings |= {long: name for long, name in _LONG_NAMES.items() if name in scales}
    close = difflib.get_close_matches(unit[:40].casefold(), spellings, n=1)
    hint = f"did you mean {spellings[close[0]]}? " if close else ""
    possible = f"{dimension} takes {', '.join(units)}"
    return UnitError(f"{_shown(value)} has the unknown unit {_shown(unit)}", hint=f"{hint}{possible}")


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > _MAX_EXPONENT:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 3]}..."
