"""Conditions on signals: whether they hold, and how far a value is from holding."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from podium.model.scenario import Comparison, Threshold


def _differs(value: Any, limit: Any) -> bool:
    return value < limit or value > limit


OPERATORS: dict[Comparison, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": _differs,
}
"""None of them holds for what is no number (NaN), not even `!=`."""


def badness(threshold: Threshold) -> Callable[[Any], float]:
    """Return a function of a value: how far beyond the limit it is, negative where the condition holds; NaN for NaN.

    For `==` it is the distance; for `!=` minus the distance; for words 1 where the condition does not hold, else -1.
    """
    limit, op = threshold.value, threshold.op
    if isinstance(limit, str):
        holds = OPERATORS[op]
        return lambda value: -1.0 if holds(value, limit) else 1.0
    if op in {"<", "<="}:
        return lambda value: value - limit
    if op in {">", ">="}:
        return lambda value: limit - value
    if op == "==":
        return lambda value: abs(value - limit)
    return lambda value: -abs(value - limit)
