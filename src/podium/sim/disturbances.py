"""Faults on simulated time: when they begin and end, what overlaps, and how they spread.

Overlapping faults of one type on one node act with the highest severity among them, until the last has ended.

A `thermal_runaway` is contagious: as long as it acts on a node that is not in safe mode, each node of the same type
within 5 km that is neither affected nor in safe mode is affected with the hazard rate

    lambda(d) = (0.3 + 0.4 severity) / 60 s * (1 - d / 5 km)

that is with probability 1 - exp(-lambda dt) in a time dt, whatever the step. It then has half the severity, for the
time the first one has left. Safe mode cuts the cause the nodes share, so it neither spreads nor is caught.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp

import msgspec

from podium.model.scenario import Fault
from podium.sim.kernel import Kernel
from podium.sim.node import Recoverable
from podium.sim.streams import Stream

CONTAGION_RANGE = 5.0
"""Beyond it nothing spreads [km]."""
CONTAGION_SEVERITY = 0.5
"""Severity of what was caught, relative to its source [1]."""
_PERIOD = 1_000_000_000
BEFORE_STEP = -10
"""Priority of faults: they begin and end before the step of the same time."""

Noted = Callable[[str, str, Fault], object]
"""Called with node, `fault_began`, `fault_spread` or `fault_ended`, and the fault."""


class Disturbances:
    """Begins and ends faults and spreads the contagious ones.

    Args:
        kernel: Where they are scheduled.
        nodes: Node id to node.
        stream: Returns the stream of a node and purpose.
        noted: Told what happens.
    """

    def __init__(
        self,
        kernel: Kernel,
        nodes: Mapping[str, Recoverable],
        stream: Callable[[str, str], Stream],
        noted: Noted,
    ) -> None:
        self._kernel = kernel
        self._nodes = nodes
        self._stream = stream
        self._noted = noted
        self._active: dict[str, list[Fault]] = {name: [] for name in nodes}
        self._spreading = False
        self._exposed_until = 0

    def schedule(self, faults: Sequence[Fault]) -> None:
        """Schedule the faults of a scenario."""
        for fault in faults:
            self._kernel.at(fault.start_ns, self._begin, fault, BEFORE_STEP)

    def acting(self, node: str) -> tuple[Fault, ...]:
        """Return the faults that act on a node now: per type the most severe, the earliest among equals."""
        worst: dict[str, Fault] = {}
        for fault in self._active[node]:
            other = worst.get(fault.type)
            if other is None or fault.severity > other.severity:
                worst[fault.type] = fault
        return tuple(worst.values())

    def _begin(self, fault: Fault, how: str = "fault_began") -> None:
        if fault.type == "thermal_runaway":
            self._expose()
        self._active[fault.node].append(fault)
        self._noted(fault.node, how, fault)
        self._nodes[fault.node].apply(self.acting(fault.node))
        self._kernel.at(fault.start_ns + fault.duration_ns, self._end, fault, BEFORE_STEP)
        if fault.type == "thermal_runaway" and not self._spreading:
            self._spreading = True
            self._kernel.after(_PERIOD, self._spread, priority=BEFORE_STEP)

    def _end(self, fault: Fault) -> None:
        if fault.type == "thermal_runaway":
            self._expose()
        active = self._active[fault.node]
        del active[next(index for index, other in enumerate(active) if other is fault)]
        self._noted(fault.node, "fault_ended", fault)
        self._nodes[fault.node].apply(self.acting(fault.node))

    def _spread(self) -> None:
        self._expose()
        self._spreading = any(self._has_runaway(name) for name in self._nodes)
        if self._spreading:
            self._kernel.after(_PERIOD, self._spread, priority=BEFORE_STEP)

    def _expose(self) -> None:
        """Spread what has acted since the last call; called before anything changes, so no time is left out."""
        elapsed = (self._kernel.now - self._exposed_until) * 1e-9
        self._exposed_until = self._kernel.now
        if not elapsed:
            return
        sources = [
            (name, fault)
            for name, node in self._nodes.items()
            if not node.safe
            for fault in self.acting(name)
            if fault.type == "thermal_runaway"
        ]
        for source, fault in sources:
            for target, node in self._nodes.items():
                if target == source or node.safe or self._has_runaway(target):
                    continue
                hazard = hazard_rate(fault.severity, self._nodes[source].distance_km(node))
                chance = 1.0 - exp(-hazard * elapsed)
                if hazard > 0.0 and self._stream(target, "contagion").random() < chance:
                    self._begin(self._caught(fault, target), "fault_spread")

    def _caught(self, fault: Fault, target: str) -> Fault:
        now = self._kernel.now
        return msgspec.structs.replace(
            fault,
            node=target,
            start_ns=now,
            duration_ns=max(1, fault.start_ns + fault.duration_ns - now),
            severity=fault.severity * CONTAGION_SEVERITY,
        )

    def _has_runaway(self, node: str) -> bool:
        return any(fault.type == "thermal_runaway" for fault in self._active[node])


def hazard_rate(severity: float, distance_km: float) -> float:
    """Return the rate at which a node catches a thermal runaway [1/s].

    Args:
        severity: Of the source, 0..1.
        distance_km: To the source [km].
    """
    return max(0.0, (0.3 + 0.4 * severity) / 60.0 * (1.0 - distance_km / CONTAGION_RANGE))
