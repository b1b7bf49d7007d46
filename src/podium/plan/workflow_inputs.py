"""Whether the inputs of a workflow are there, known, and of their types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from podium.model import workflow as d
from podium.model.findings import did_you_mean
from podium.plan.workflow_drafts import Drafts, Place

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "mapping": (dict,),
}
_WORDS: dict[type, str] = {
    str: "text",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}
_SHOWN = 40


def checked_inputs(
    document: d.WorkflowDocument,
    place: Place,
    given: Mapping[str, Any],
    drafts: Drafts,
    *,
    where: Callable[[str | None], Place] | None = None,
) -> dict[str, Any]:
    """Return the inputs with their defaults, and note what is wrong with them.

    Args:
        document: The workflow.
        place: Where it stands.
        given: Name to value; with `where`, a text with `${` in it may come to any value.
        drafts: Where findings go.
        where: Where the value of a name was given, or for None all of them; without it outside of all documents.
    """
    values: dict[str, Any] = {}
    for name, declared in document.inputs.items():
        kind, default = (declared, None) if isinstance(declared, str) else (declared.type, declared.default)
        has_default = not isinstance(declared, str) and "default" in declared.model_fields_set
        at = place.at("inputs", name)
        if has_default and default is not None and (why := _misfit(default, kind)):
            drafts.report("D146", f"default of input `{name}` {why}", at.at("default"), hint=_advice(kind))
        if name in given:
            values[name] = given[name]
            is_right = (has_default and given[name] is None) or (where is not None and holds_expression(given[name]))
            if not is_right and (why := _misfit(given[name], kind)):
                drafts.report("P212", f"input `{name}` {why}", where(name) if where else at, hint=_advice(kind))
        elif has_default:
            values[name] = default
        else:
            meaning = "" if isinstance(declared, str) else declared.description
            hint = f"give {name}, of type {kind}" + (f": {meaning}" if meaning else ", or declare a default")
            drafts.report("P210", f"input `{name}` is missing", where(None) if where else at, hint=hint, key=True)
    for name in (name for name in given if name not in document.inputs):
        hint = did_you_mean(name, list(document.inputs), what="inputs") or "declare it under `inputs`"
        at = where(name) if where else place.at("inputs")
        drafts.report("P211", f"the workflow `{document.name}` has no input `{name}`", at, hint=hint, key=True)
    return values


def holds_expression(value: Any) -> bool:
    """Return whether `${` stands somewhere in a value."""
    if isinstance(value, str):
        return "${" in value
    inner: Any = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return any(map(holds_expression, inner))


def _misfit(value: Any, kind: str) -> str:
    """Return why a value is not of a type, nothing if it is."""
    if kind == "any":
        return ""
    right = isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")
    if right and not (isinstance(value, float) and not math.isfinite(value)):
        return ""
    given: type = type(value)  # pyright: ignore[reportUnknownVariableType]
    found = _WORDS.get(given, "null" if value is None else given.__name__)
    shown = repr(value)
    shown = "" if isinstance(value, dict | list) or value is None else f", {shown[:_SHOWN]}"
    return f"must be of type {kind}, not {found}{shown}"


def _advice(kind: str) -> str:
    examples = {
        "string": '"42" in quotes',
        "integer": "42",
        "number": "4.2",
        "boolean": "true or false",
        "list": "[1, 2]",
        "mapping": "{a: 1}",
    }
    return f"write {examples[kind]}, or declare another type"
