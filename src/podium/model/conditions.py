"""Conditions as people write them, such as `SAT1.battery.temperature < 65 degC`, resolved against the signals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from podium.model.findings import did_you_mean
from podium.model.scenario import Comparison, Threshold, matching
from podium.model.signals import SIGNALS, SignalType
from podium.model.units import UnitError, parse_quantity

_CONDITION = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*")

_SEVERAL = re.compile(r"\s(and|or)\s|&&|\|\||[<>=]")


class ConditionError(ValueError):
    """A condition makes no sense.

    Attributes:
        code: Stable code.
        hint: What to do about it.
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def parse_condition(text: str, node_types: Mapping[str, str]) -> Threshold:
    """Return the threshold of `NODE.signal OP VALUE UNIT`.

    NODE may be a pattern such as `*` or `SENSOR*`: it stands for every node of that name that has the signal.

    Args:
        text: The condition.
        node_types: Node id to type.

    Raises:
        ConditionError: Syntax (D127), unknown node (D125), unknown signal (D126), unit (D124).
    """
    name, op, value = _split(text)
    node, dot, path = name.partition(".")
    if not dot:
        raise ConditionError("D127", f"`{name}` names no node", "write NODE.signal or *.signal")
    types = list(dict.fromkeys(node_types[name] for name in matching(node, node_types)))
    if not types:
        raise ConditionError("D125", f"unknown node `{node}`", did_you_mean(node, list(node_types), what="nodes"))
    return Threshold(name, op, _value(value, _signal(path, types), op))


def parse_own_condition(text: str, node_type: str) -> Threshold:
    """Return the threshold of `signal OP VALUE UNIT`, for a node's own signals.

    Args:
        text: The condition.
        node_type: Type of the node.

    Raises:
        ConditionError: Syntax (D127), unknown signal (D126), unit (D124).
    """
    name, op, value = _split(text)
    return Threshold(name, op, _value(value, _signal(name, [node_type]), op))


def _split(text: str) -> tuple[str, Comparison, str]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        hint = "write it like `SAT1.battery.temperature < 65 degC`"
        raise ConditionError("D127", f"`{text}` is no condition", hint)
    if _SEVERAL.search(match[3]):
        raise ConditionError("D127", f"`{text}` is more than one comparison", "write one criterion for each")
    return match[1], cast("Comparison", match[2]), match[3]


def _signal(path: str, types: list[str]) -> SignalType:
    for name in types:
        if path in SIGNALS[name]:
            return SIGNALS[name][path]
    known = list(dict.fromkeys(signal for name in types for signal in SIGNALS[name]))
    whose = " or ".join(types)
    raise ConditionError("D126", f"a {whose} has no signal `{path}`", did_you_mean(path, known, what="signals"))


def _value(text: str, signal: SignalType, op: Comparison) -> float | str:
    if signal.dimension == "word":
        return _word(text, signal, op)
    try:
        return parse_quantity(text, "dimensionless" if signal.dimension == "count" else signal.dimension)
    except UnitError as error:
        raise ConditionError("D124", str(error), error.hint) from error


def _word(text: str, signal: SignalType, op: Comparison) -> str:
    word = text.strip("'\"")
    if word not in signal.words:
        hint = did_you_mean(word, signal.words, what="possible")
        raise ConditionError("D127", f"the signal is never `{word}`", hint)
    if op not in {"==", "!="}:
        raise ConditionError("D127", f"words cannot be compared with `{op}`", "use == or !=")
    return word
