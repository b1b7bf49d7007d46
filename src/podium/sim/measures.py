"""What recovery achieved: when faults were noticed, what they were taken for, how long acting against them took."""

from __future__ import annotations

from typing import Any

from podium.model.scenario import Fault, FaultType
from podium.sim.recovery import Stage

DETECTION, DECISION, ACTION = "fault_detection", "agent_decision", "recovery_action"


class Measures:
    """Latencies and classifications, all in simulated time.

    `fault_detection` runs from the beginning of a fault to its detection, `agent_decision` from there to the decision,
    `recovery_action` from the decision until the condition that gave the fault away is clear.

    Attributes:
        timeline: What happened, for people.
        latency: Kind to measurements.
        classifications: What nodes took faults for; `predicted` is None for a fault no rule noticed.
    """

    def __init__(self) -> None:
        self.timeline: list[dict[str, Any]] = []
        self.latency: dict[str, list[dict[str, Any]]] = {}
        self.classifications: list[dict[str, Any]] = []
        self._active: dict[tuple[str, FaultType], list[tuple[Fault, bool]]] = {}
        self._stages: dict[tuple[str, FaultType], dict[Stage, int]] = {}
        self._watchful: set[str] = set()

    def watches(self, node: str) -> None:
        """Note that a node has a policy, so that a fault it misses counts."""
        self._watchful.add(node)

    def fault(self, now: int, node: str, event: str, fault: Fault) -> None:
        """Take the beginning or the end of a fault [ns]."""
        entry: dict[str, Any] = {"time_s": now / 1e9, "node": node, "event": event, "fault": fault.type}
        if event != "fault_ended":
            entry |= {"severity": fault.severity, "for_s": fault.duration_ns / 1e9}
        self.timeline.append(entry)
        active = self._active.setdefault((node, fault.type), [])
        if event != "fault_ended":
            active.append((fault, False))
            return
        index = next(i for i, (other, _) in enumerate(active) if other is fault)
        _, detected = active.pop(index)
        if not detected:
            self._missed(now, node, fault.type)

    def stage(self, now: int, node: str, stage: Stage, fault: FaultType | None) -> None:
        """Take a stage of a recovery [ns]."""
        entry: dict[str, Any] = {"time_s": now / 1e9, "node": node, "event": stage}
        if fault is None:
            self.timeline.append(entry)
            return
        self.timeline.append({**entry, "fault": fault})
        times = self._stages.setdefault((node, fault), {})
        times[stage] = now
        if stage == "detected":
            self._detected(now, node, fault)
        elif stage == "decided":
            self._measure(DECISION, now, node, fault, since=times["detected"])
        elif stage == "recovered" and "decided" in times:
            self._measure(ACTION, now, node, fault, since=times["decided"])
            times.clear()

    def finish(self, end: int) -> None:
        """Count the faults that were still acting and never noticed [ns]."""
        for (node, fault), active in self._active.items():
            for _, detected in active:
                if not detected:
                    self._missed(end, node, fault)

    def _detected(self, now: int, node: str, fault: FaultType) -> None:
        active = self._active.get((node, fault), [])
        others: list[FaultType | None] = [
            kind for (name, kind), faults in self._active.items() if name == node and faults
        ]
        actual = fault if active else next(iter(others), None)
        for cause, detected in active:
            if not detected:
                self._measure(DETECTION, now, node, fault, since=cause.start_ns)
        self._active[node, fault] = [(cause, True) for cause, _ in active]
        self._classify(now, node, predicted=fault, actual=actual)

    def _missed(self, now: int, node: str, fault: FaultType) -> None:
        if node in self._watchful:
            self._classify(now, node, predicted=None, actual=fault)

    def _classify(self, now: int, node: str, *, predicted: FaultType | None, actual: FaultType | None) -> None:
        self.classifications.append(
            {"node": node, "time_s": now / 1e9, "predicted": predicted, "actual": actual, "confidence": 1.0}
        )

    def _measure(self, kind: str, now: int, node: str, fault: FaultType, *, since: int) -> None:
        entry = {"node": node, "fault": fault, "time_s": now / 1e9, "ms": (now - since) / 1e6}
        self.latency.setdefault(kind, []).append(entry)
