"""The documented files of layers: which is which, and what they say together as one native document.

Imported only when there are such files: their models take longer to load than native layers take to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from podium.errors import Diagnostic
from podium.model.dialects import test_categories, test_execution, test_layers
from podium.model.layers_places import Translation
from podium.model.yaml_loader import Mapped

DocumentedFormat = Literal["test_layers", "categories", "execution"]


def documented_format(value: dict[str, Any]) -> DocumentedFormat | None:
    """Return the format of a document without `kind`; none if it is none of these."""
    if test_layers.is_documented(value):
        return "test_layers"
    if test_categories.is_documented(value):
        return "categories"
    if "layers" not in value and test_execution.is_documented(value):
        return "execution"
    return None


def translated(by_format: Mapping[Any, Mapped]) -> tuple[Mapped, list[Diagnostic]]:
    """Return the native document that files say together, and what was found on the way.

    Args:
        by_format: The files, at most one of each format, not only settings.
    """
    translation = Translation(next(mapped for kind, mapped in by_format.items() if kind != "execution"))
    translation.value["kind"] = "layers"
    for kind, translate in (
        ("test_layers", test_layers.translate),
        ("categories", test_categories.translate),
        ("execution", test_execution.translate),
    ):
        if kind in by_format:
            translate(by_format[kind], translation)
    return translation.placed(), translation.findings
