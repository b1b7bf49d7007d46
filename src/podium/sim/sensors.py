"""Sensors that send readings, and gateways that count them: the nodes of a fleet of connected devices."""

from __future__ import annotations

from typing import Any

from podium.model.scenario import Node
from podium.sim.links import Link, Packet
from podium.sim.node import Context, Signal

_DEFAULT_SIZE = 64


class Sensor:
    """Sends a numbered packet to one node, periodically.

    Settings: `to` (node id), `period_ns`, `size_bytes`.

    Args:
        node: The sensor as the scenario has it.
    """

    def __init__(self, node: Node) -> None:
        self.id = node.id
        self._target: str = node.settings["to"]
        self._period: int = node.settings.get("period_ns", 1_000_000_000)
        self._size: int = node.settings.get("size_bytes", _DEFAULT_SIZE)
        self._sent = 0
        self._context: Context
        self._link: Link

    def start(self, context: Context) -> None:
        """Send the first packet at a phase of its own, so that a fleet does not send in step."""
        self._context = context
        self._link = context.network.link(self.id, self._target)
        phase = int(context.stream(self.id, "phase").random() * self._period)
        context.kernel.every(self._period, self._send, start=phase)

    def receive(self, packet: Packet) -> None:
        """Sensors take no packets."""

    def signals(self) -> dict[str, Signal]:
        """Return what can be observed."""
        return {"sent": lambda: self._sent, "delivered": lambda: self._link.delivered}

    def telemetry(self) -> dict[str, Any]:
        """Return the counters."""
        return {"sent": self._sent, "delivered": self._link.delivered}

    def _send(self) -> None:
        self._sent += 1
        self._link.send(Packet(self.id, self._target, self._sent, self._size, self._context.kernel.now))


class Gateway:
    """Receives numbered packets.

    Args:
        node: The gateway as the scenario has it.
    """

    def __init__(self, node: Node) -> None:
        self.id = node.id
        self._received = 0
        self._missing = 0
        self._highest: dict[str, int] = {}
        self._latency_last = 0
        self._latency_max = 0
        self._context: Context

    def start(self, context: Context) -> None:
        """Nothing happens before the first packet."""
        self._context = context

    def receive(self, packet: Packet) -> None:
        """Count a packet and the gap before it."""
        self._received += 1
        latency = self._context.kernel.now - packet.sent_ns
        self._latency_last = latency
        if latency > self._latency_max:  # noqa: PLR1730 (max() costs a call per packet)
            self._latency_max = latency
        number = packet.payload
        if isinstance(number, int):
            highest = self._highest.get(packet.source, 0)
            if number > highest:
                self._missing += number - highest - 1
                self._highest[packet.source] = number
            else:
                self._missing -= 1

    def signals(self) -> dict[str, Signal]:
        """Return what can be observed."""
        return {
            "received": lambda: self._received,
            "missing": lambda: self._missing,
            "latency.last": lambda: self._latency_last / 1e9,
            "latency.max": lambda: self._latency_max / 1e9,
        }

    def telemetry(self) -> dict[str, Any]:
        """Return the counters."""
        return {
            "received": self._received,
            "missing": self._missing,
            "latency_last_ms": self._latency_last / 1e6,
            "latency_max_ms": self._latency_max / 1e6,
        }
