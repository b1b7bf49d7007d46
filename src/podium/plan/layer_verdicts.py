"""The step that says what a layer came to: by its own criteria, or as its categories came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from podium.model import layers as d
from podium.plan.layer_suites import criteria_of, escaped
from podium.plan.plain import plain
from podium.plan.suites import Criteria, Verdict


def verdict_payload(
    layer: str,
    document: d.LayerDocument,
    steps: Mapping[str, d.CategoryDocument],
    *,
    flaky: Literal["passed", "failed"] = "passed",
) -> dict[str, Any]:
    """Return the payload of a layer's verdict, a template.

    Args:
        layer: Its name.
        document: The layer.
        steps: Steps of its categories, each with its category.
        flaky: What flaky tests count as.
    """
    own = {step: criteria_of(category.success) for step, category in steps.items()}
    criteria = None if document.success is None else criteria_of(document.success)
    names_tests = bool(criteria is not None and criteria.critical) or any(c.critical for c in own.values())
    verdict = Verdict(
        criteria=criteria,
        own={_short(layer, step): found for step, found in own.items() if found != Criteria()},
        outcomes={},
        counts={},
        flaky=flaky,
    )
    return {
        **escaped(plain(verdict)),
        "outcomes": {_short(layer, step): f"${{{_reference(step)}.outcome}}" for step in steps},
        "counts": {_short(layer, step): _said(step, "counts") for step in steps},
        **({"uncritical": {_short(layer, step): _said(step, "uncritical") for step in steps}} if names_tests else {}),
    }


def _short(layer: str, step: str) -> str:
    return step.removeprefix(f"{layer}/")


def _reference(step: str) -> str:
    return f"steps[{json.dumps(step)}]"


def _said(step: str, key: str) -> str:
    """Return an expression of what a suite has in its output under a key, null if there is nothing."""
    output = f"{_reference(step)}.output"
    return f"${{{output} != null && has({output}.{key}) ? {output}.{key} : null}}"
