"""From a file to a scenario: read, recognise the format, set overrides, check, resolve; all errors at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from podium.errors import Diagnostic, DocumentError
from podium.model.dialects import campaign_scenario
from podium.model.documents import ScenarioDocument
from podium.model.findings import diagnostics_of, did_you_mean, in_order
from podium.model.overrides import overridden
from podium.model.resolving import Resolver, errors_of
from podium.model.scenario import Scenario
from podium.model.yaml_loader import Mapped, load_yaml_file


class Loaded(msgspec.Struct, frozen=True):
    """A document that was read.

    Attributes:
        scenario: What it says.
        has_seed: Whether the document itself says a seed.
        warnings: What a person should know about it.
    """

    scenario: Scenario
    has_seed: bool
    warnings: tuple[Diagnostic, ...] = ()


def load_scenario(path: Path, overrides: Mapping[str, str] | None = None) -> Loaded:
    """Read a scenario in any accepted format.

    Args:
        path: The file.
        overrides: Path in the document to a value as written in YAML; see `podium.model.overrides`.

    Raises:
        DocumentError: The file is no valid scenario; carries every error that was found.
        UsageError: An override leads nowhere (U421).
    """
    mapped = load_yaml_file(path)
    return load_mapped(mapped, overrides or {})


def load_mapped(mapped: Mapped, overrides: Mapping[str, str]) -> Loaded:
    """Do what `load_scenario` does with a document that is read already."""
    native, findings = _native(mapped, overrides)
    if errors_of(findings):
        raise DocumentError(in_order(findings))
    try:
        document = ScenarioDocument.model_validate(native)
    except ValidationError as error:
        found = diagnostics_of(error, _as_mapped(mapped, native), ScenarioDocument)
        raise DocumentError(in_order([*found, *findings])) from error
    resolver = Resolver(document, _as_mapped(mapped, native))
    scenario = resolver.resolve()
    findings = in_order([*findings, *resolver.findings])
    if errors_of(findings):
        raise DocumentError(findings)
    return Loaded(scenario, document.seed is not None, tuple(findings))


def _native(mapped: Mapped, overrides: Mapping[str, str]) -> tuple[dict[str, Any], list[Diagnostic]]:
    value = mapped.value
    if not isinstance(value, dict):
        raise DocumentError(
            "the document is not a mapping", code="D120", hint="start with: kind: scenario", span=mapped.span()
        )
    kind = value.get("kind")
    marks = [mark for mark in campaign_scenario.MARKS if mark in value]
    if marks and kind in (None, "scenario") and "nodes" not in value:
        own = {key: text for key, text in overrides.items() if key.partition(".")[0] in _DIALECT_KEYS}
        changed = _as_mapped(mapped, overridden(value, own)) if own else mapped
        native, findings = campaign_scenario.translate(changed)
        others = {key: text for key, text in overrides.items() if key not in own}
        return (overridden(native, others) if not errors_of(findings) else native), findings
    if kind is None:
        text = "key `kind` is missing"
        raise DocumentError(text, code="D120", hint="start with: kind: scenario", span=mapped.span())
    if kind != "scenario":
        hint = did_you_mean(str(kind), ["scenario"], what="known kinds")
        raise DocumentError(f"unknown kind `{kind}`", code="D120", hint=hint, span=mapped.span("kind"))
    return overridden(value, overrides), []


_DIALECT_KEYS = (*campaign_scenario.MARKS, "name", "description")


def _as_mapped(mapped: Mapped, value: dict[str, Any]) -> Mapped:
    """Return the positions of a file for a value that was changed on the way."""
    return mapped if value is mapped.value else mapped.with_value(value)
