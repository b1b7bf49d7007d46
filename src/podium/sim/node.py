"""What the simulation asks of a simulated thing, and what it offers it in return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from podium.model.scenario import Fault, FaultType
from podium.sim.kernel import Kernel
from podium.sim.links import Packet
from podium.sim.network import Network
from podium.sim.streams import Stream

Signal = Callable[[], float | str]
"""Reads one value of a node now: a number in the signal's unit, or a word such as `safe`."""


class Context(Protocol):
    """What a node may use; made by the simulation, one for all nodes."""

    kernel: Kernel
    network: Network

    @property
    def environment(self) -> Mapping[str, float]:
        """Settings shared by all nodes of a type."""
        ...

    def stream(self, node: str, purpose: str) -> Stream:
        """Return the node's own random stream for a purpose; no other draw shifts it."""
        ...

    def node(self, name: str) -> SimNode:
        """Return another node."""
        ...


class SimNode(Protocol):
    """A simulated thing: satellite, sensor, gateway."""

    @property
    def id(self) -> str:
        """Name, unique in the scenario."""
        ...

    def start(self, context: Context) -> None:
        """Prepare at time 0; schedule own events. Called when all nodes exist."""
        ...

    def receive(self, packet: Packet) -> None:
        """Take a packet that arrived now."""
        ...

    def signals(self) -> dict[str, Signal]:
        """Return what can be observed: the names of `podium.model.signals` to readers. Called once, after `start`."""
        ...

    def telemetry(self) -> dict[str, Any]:
        """Return the current telemetry packet as plain JSON."""
        ...


@runtime_checkable
class Continuous(SimNode, Protocol):
    """A node with a state that changes between events."""

    def step(self, now_ns: int) -> None:
        """Advance the state to `now_ns`; called every scenario step, all nodes in the order written."""
        ...


@runtime_checkable
class Recoverable(Continuous, Protocol):
    """A node that faults act upon and that has a safe mode.

    What changes here acts from the present step on: within a step, inputs are constant.
    """

    @property
    def safe(self) -> bool:
        """Whether the node is in safe mode."""
        ...

    def apply(self, faults: tuple[Fault, ...]) -> None:
        """Take the faults that act from now on: per type the most severe of those under way."""
        ...

    def enter_safe_mode(self, against: FaultType) -> None:
        """Act against a type of fault the node believes it has; what that does is the node's own."""
        ...

    def leave_safe_mode(self) -> None:
        """Return to nominal operation."""
        ...

    def distance_km(self, other: Recoverable) -> float:
        """Return how far away another node of this type is [km]."""
        ...
