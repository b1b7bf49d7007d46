"""What the simulation asks of a simulated thing, and what it offers it in return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from podium.model.scenario import Fault, FaultType
from podium.sim.kernel import Kernel
from podium.sim.network import Network, Packet
from podium.sim.streams import Stream
from podium.sim.trace import Trace

Signal = Callable[[], float | str]
"""Reads one value of a node now: a number in the signal's unit, or a word such as `safe`."""


class Context(Protocol):
    """What a node may use; made by the simulation, one for all nodes."""

    kernel: Kernel
    network: Network
    trace: Trace
    step_ns: int
    environment: Mapping[str, float]

    def stream(self, node: str, purpose: str) -> Stream:
        """Return the node's own random stream for a purpose; no other draw shifts it."""
        ...


class SimNode(Protocol):
    """A simulated thing: satellite, sensor, gateway."""

    id: str

    def start(self, context: Context) -> None:
        """Prepare at time 0; schedule own events."""
        ...

    def step(self, now_ns: int) -> None:
        """Advance the continuous state to `now_ns`; called every scenario step, all nodes in the order written."""
        ...

    def receive(self, packet: Packet) -> None:
        """Take a packet that arrived now."""
        ...

    def signals(self) -> dict[str, Signal]:
        """Return what can be observed: path such as `battery.temperature` to reader. Called once, after `start`."""
        ...

    def telemetry(self) -> dict[str, Any]:
        """Return the current telemetry packet as plain JSON."""
        ...


class Recoverable(SimNode, Protocol):
    """A node that faults act upon and that has a safe mode."""

    def apply(self, fault: Fault) -> None:
        """Begin the effect of a fault. Overlapping faults of one type act with the highest severity among them."""
        ...

    def clear(self, fault: Fault) -> None:
        """End the effect of a fault; other active faults stay."""
        ...

    def enter_safe_mode(self, against: FaultType) -> None:
        """Act against a fault type the node believes it has; what that does is the node's own."""
        ...

    def leave_safe_mode(self) -> None:
        """Return to nominal operation."""
        ...
