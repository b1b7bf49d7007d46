"""What a node does about faults: detect, decide, act, and return. Every stage is a simulated event and is measured.

    watching --condition held long enough--> deciding --> acting --> safe --all clear long enough--> watching

A fault detected while another is being treated is treated likewise, on its own timeline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from podium.model.scenario import DetectionRule, FaultType, Recovery, Threshold
from podium.sim.comparisons import OPERATORS
from podium.sim.kernel import Kernel
from podium.sim.node import Recoverable, Signal

Stage = Literal["detected", "decided", "acted", "recovered", "returned"]
Noted = Callable[[str, Stage, FaultType | None], object]
"""Called with the node, what it did, and against what."""

_SECOND = 1_000_000_000

STANDARD_RULES: tuple[DetectionRule, ...] = (
    DetectionRule("thermal_runaway", Threshold("battery.temperature", ">", 50.0), 2 * _SECOND),
    DetectionRule("attitude_desync", Threshold("attitude.nadir_error", ">", 5.0), _SECOND),
    DetectionRule("comms_dropout", Threshold("comms.packet_loss", ">", 0.25), 5 * _SECOND),
    DetectionRule("power_brownout", Threshold("power.array_ratio", "<", 0.7), 5 * _SECOND),
)
"""How a satellite notices faults unless its scenario says otherwise."""


class _Watch:
    """One rule, evaluated every step."""

    __slots__ = ("_holds", "_limit", "_read", "handled", "rule", "since")

    def __init__(self, rule: DetectionRule, read: Signal) -> None:
        self.rule = rule
        self._read = read
        self._holds = OPERATORS[rule.when.op]
        self._limit = rule.when.value
        self.since: int | None = None
        self.handled = False

    def holds(self) -> bool:
        return self._holds(self._read(), self._limit)


class SafeMode:
    """The policy `safe_mode` of one node.

    The node returns when no rule has held for `clear_ns`. A fault that comes back after a return doubles that time,
    so a node does not alternate for ever.

    Args:
        kernel: Where decision and action are scheduled.
        node: The node.
        recovery: Rules and delays.
        signals: The node's signals.
        noted: Told every stage.
    """

    def __init__(
        self, kernel: Kernel, node: Recoverable, recovery: Recovery, signals: dict[str, Signal], noted: Noted
    ) -> None:
        self.id = node.id
        self._kernel = kernel
        self._node = node
        self._recovery = recovery
        self._noted = noted
        rules: Sequence[DetectionRule] = recovery.rules or STANDARD_RULES
        self._watches = [_Watch(rule, signals[rule.when.signal]) for rule in rules]
        self._clear_since: int | None = None
        self._returns = 0

    def step(self, now: int) -> None:
        """Evaluate the rules.

        Args:
            now: Simulated time [ns].
        """
        any_holds = False
        for watch in self._watches:
            if watch.holds():
                any_holds = True
                if watch.since is None:
                    watch.since = now
                if not watch.handled and now - watch.since >= watch.rule.persist_ns:
                    self._detect(watch)
            elif watch.since is not None:
                watch.since = None
                if watch.handled:
                    self._noted(self.id, "recovered", watch.rule.fault)
        if self._node.safe:
            self._consider_return(now, any_holds=any_holds)

    def _consider_return(self, now: int, *, any_holds: bool) -> None:
        if any_holds:
            self._clear_since = None
        elif self._clear_since is None:
            self._clear_since = now
        elif now - self._clear_since >= self._recovery.clear_ns << self._returns:
            self._clear_since = None
            self._returns += 1
            for watch in self._watches:
                watch.handled = False
            self._node.leave_safe_mode()
            self._noted(self.id, "returned", None)

    def _detect(self, watch: _Watch) -> None:
        watch.handled = True
        self._noted(self.id, "detected", watch.rule.fault)
        self._kernel.after(self._recovery.decision_ns, self._decide, watch)

    def _decide(self, watch: _Watch) -> None:
        self._noted(self.id, "decided", watch.rule.fault)
        self._kernel.after(self._recovery.action_ns, self._act, watch)

    def _act(self, watch: _Watch) -> None:
        self._node.enter_safe_mode(watch.rule.fault)
        self._clear_since = None
        self._noted(self.id, "acted", watch.rule.fault)
