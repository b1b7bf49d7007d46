"""Modes: selections of layers with a name, those of the document and those every document with the usual layers has."""

from __future__ import annotations

import msgspec

from podium.errors import Diagnostic
from podium.model import layers as d
from podium.model.findings import did_you_mean
from podium.plan.layer_selection import MODES

_FAST, _CORE, _SERVICE, _E2E = "fast_feedback", "core_integration", "service_integration", "e2e_background"
_ALL = (_FAST, _CORE, _SERVICE, _E2E)


class Mode(msgspec.Struct, frozen=True):
    """What a mode selects.

    Attributes:
        layers: Layers, in order.
        with_needs: What they need is run, too.
        budget: Longest duration of all of it [s].
        is_apart: Background layers are a plan of their own, which runs beside the others.
        waits: How long to wait for that at the end [s].
    """

    layers: tuple[str, ...]
    with_needs: bool = True
    budget: float | None = None
    is_apart: bool = False
    waits: float | None = None


_USUAL: dict[str, Mode] = {
    "fast_feedback": Mode((_FAST,), with_needs=False, budget=300.0),
    "nightly": Mode(_ALL),
    "background": Mode((_E2E,), with_needs=False, budget=7200.0),
    "hybrid": Mode(_ALL, is_apart=True, waits=300.0),
    "commit": Mode((_FAST, _CORE)),
    "development": Mode((_FAST, _CORE)),
    "ci": Mode((_FAST, _CORE, _SERVICE)),
    "weekend": Mode(_ALL),
}
assert tuple(_USUAL) != () and set(_USUAL) == set(MODES)  # noqa: PT018 (one fact: the names are the same)


def mode_of(name: str, document: d.LayersDocument, notes: list[Diagnostic]) -> Mode | Diagnostic:
    """Return what a mode selects of a document, or why it selects nothing.

    Args:
        name: One of the document's modes, which come first, or of those that all have.
        document: The document.
        notes: Where warnings go.
    """
    own = document.modes.get(name)
    usual = _USUAL.get(name)
    if own is not None:
        return _own(own, usual)
    if usual is None:
        known = [*document.modes, *(mode for mode in MODES if mode not in document.modes)]
        hint = did_you_mean(name, known, what="modes") or f"modes: {', '.join(known)}"
        return Diagnostic("P233", f"unknown mode `{name}`", hint)
    there = tuple(layer for layer in usual.layers if layer in document.layers)
    if not there:
        text = f"mode `{name}` is for the layers {', '.join(usual.layers)}, and this document has none of them"
        hint = f"add modes: {{{name}: [LAYER]}}; layers here: {', '.join(document.layers)}"
        return Diagnostic("P234", text, hint)
    missing = [layer for layer in usual.layers if layer not in there]
    if missing:
        text = f"mode `{name}` goes without {', '.join(f'`{layer}`' for layer in missing)}, which this document lacks"
        notes.append(Diagnostic("P234", text, f"runs: {', '.join(there)}", severity="warning"))
    return msgspec.structs.replace(usual, layers=there)


def _own(own: list[str] | d.ModeDocument, usual: Mode | None) -> Mode:
    """Return a mode of the document; one with a known name keeps what that name means for background layers."""
    apart, waits = (usual.is_apart, usual.waits) if usual is not None else (False, None)
    if isinstance(own, list):
        return Mode(tuple(own), is_apart=apart, waits=waits)
    budget = None if own.budget is None else own.budget / 1e9
    return Mode(tuple(own.layers), own.with_needs, budget, apart, waits)
