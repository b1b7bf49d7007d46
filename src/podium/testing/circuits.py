"""Circuits in memory."""

from __future__ import annotations

from collections.abc import Callable

from podium.protocols import Circuit


class MemoryCircuits:
    """Keeps the circuits of targets in memory.

    Attributes:
        circuits: Target to its circuit.
    """

    def __init__(self) -> None:
        self.circuits: dict[str, Circuit] = {}

    def update(self, target: str, change: Callable[[Circuit], Circuit]) -> None:
        """Replace a circuit by what `change` makes of it."""
        self.circuits[target] = change(self.circuits.get(target, Circuit()))
