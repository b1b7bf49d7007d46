"""What categories of tests are usually called, and in which layer they belong."""

from __future__ import annotations

import re

LAYERS = ("fast_feedback", "core_integration", "service_integration", "e2e_background")
"""Layers in the order in which they need each other."""

_KNOWN = {
    "fast_feedback": "smoke unit units unittest unittests unit_tests small",
    "core_integration": (
        "database db api websocket integration integrations integration_tests functional contract component"
        " conformance regression medium"
    ),
    "service_integration": "agent agents e2e_critical frontend service services system acceptance",
    "e2e_background": (
        "cypress e2e end_to_end performance perf load stress benchmark benchmarks bench browser playwright selenium"
        " ui slow nightly soak large robot"
    ),
}
_LAYER_OF = {name: layer for layer, names in _KNOWN.items() for name in names.split()}
_UNLIKE_MODULES = frozenset({"smoke", "integration", "e2e", "performance", "functional", "acceptance", "end_to_end"})
"""Names that say in a file's name what kind of tests it holds; the others might be what is tested."""
_NOT_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def layer_of(name: str) -> str:
    """Return the layer of a category; empty if its name says nothing."""
    return _LAYER_OF.get(plain(name), "")


def plain(name: str) -> str:
    """Return a name as it is compared: lower case, `-` and space as `_`."""
    return re.sub(r"[-\s]+", "_", name.strip().lower())


def names_kind(name: str) -> bool:
    """Tell whether a part of a file's name says what kind of tests it holds, not what they test."""
    return plain(name) in _UNLIKE_MODULES


def as_name(text: str) -> str:
    """Return text as a category may be called."""
    return _NOT_NAME.sub("_", text).strip("_") or "tests"
