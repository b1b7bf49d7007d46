"""A scenario as the simulator takes it: resolved, in fixed units, independent of the dialect it was written in.

Documents (`podium.model.documents`, `podium.model.dialects`) resolve to these values. They serialise to JSON and
back without loss, so a run's definition holds exactly what was simulated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from podium.model.signals import unit_of

Vector = tuple[float, float, float]
FaultType = Literal["power_brownout", "comms_dropout", "thermal_runaway", "attitude_desync"]
Comparison = Literal["<", "<=", ">", ">=", "==", "!="]


class _Value(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    pass


class Loss(_Value, frozen=True):
    """How a link loses packets.

    In the Gilbert-Elliott model a packet is lost by the current state, then the transition is drawn.
    Bernoulli loss is the special case `p = 0` with `loss_good`.

    Attributes:
        loss_good: Loss probability in the good state, 0..1.
        loss_bad: Loss probability in the bad state, 0..1.
        p: Probability per packet of good to bad.
        r: Probability per packet of bad to good.
    """

    loss_good: float = 0.0
    loss_bad: float = 1.0
    p: float = 0.0
    r: float = 1.0


class LinkModel(_Value, frozen=True):
    """How a link carries packets.

    Attributes:
        latency_ns: Fixed delay [ns].
        jitter_ns: Half-width of the uniform extra delay around the latency [ns]; order is kept.
        loss: How packets are lost.
        bandwidth_bps: Rate [bit/s]; packets queue behind each other. None: unlimited.
        queue_bytes: Room in the queue [byte]; a packet that finds no room is dropped. None: unlimited.
    """

    latency_ns: int = 0
    jitter_ns: int = 0
    loss: Loss = Loss()
    bandwidth_bps: float | None = None
    queue_bytes: int | None = None


class Link(_Value, frozen=True):
    """A directed link between two nodes, overriding the network's default.

    Attributes:
        source: Node id.
        target: Node id.
        model: How it carries packets.
    """

    source: str
    target: str
    model: LinkModel


class Partition(_Value, frozen=True):
    """A time in which groups of nodes cannot reach each other.

    Attributes:
        groups: Node ids; a node in no group is in a group of its own.
        start_ns: From [ns].
        end_ns: Until [ns].
    """

    groups: tuple[tuple[str, ...], ...]
    start_ns: int
    end_ns: int


class Network(_Value, frozen=True):
    """How nodes reach each other."""

    default: LinkModel = LinkModel()
    links: tuple[Link, ...] = ()
    partitions: tuple[Partition, ...] = ()


class Threshold(_Value, frozen=True):
    """A condition on one signal.

    Attributes:
        signal: `NODE.path.to.signal`, or `*.path` for every node that has it; in a recovery rule without node.
        op: Comparison.
        value: Number in the signal's own unit, or a word for signals such as `mode`.
    """

    signal: str
    op: Comparison
    value: float | str


class DetectionRule(_Value, frozen=True):
    """How a node notices a fault and what it takes it for.

    Attributes:
        fault: The classification made.
        when: Condition on the node's own telemetry.
        persist_ns: How long the condition must hold before it counts [ns].
    """

    fault: FaultType
    when: Threshold
    persist_ns: int = 0


class Recovery(_Value, frozen=True):
    """What a node does about faults.

    Attributes:
        policy: `none`, or `safe_mode`: detect, decide, act, and return when the conditions are clear.
        rules: How faults are noticed; empty means the standard rules of the node type.
        decision_ns: From detection to decision [ns].
        action_ns: From decision to the action taking effect [ns].
        clear_ns: How long all rules must be clear before the node returns to nominal [ns].
    """

    policy: Literal["none", "safe_mode"] = "safe_mode"
    rules: tuple[DetectionRule, ...] = ()
    decision_ns: int = 2_000_000_000
    action_ns: int = 3_000_000_000
    clear_ns: int = 60_000_000_000


class Node(_Value, frozen=True):
    """A simulated thing.

    Attributes:
        id: Unique name, 1..64 characters.
        type: `satellite`, `sensor` or `gateway`.
        position_km: For a satellite `[x, y, altitude]`: along-track and cross-track offset in the formation, and
            altitude above the mean equatorial radius [km]. For others a position in space [km].
        neighbours: Ids of the nodes it exchanges packets with.
        recovery: What it does about faults.
        settings: Parameters of the node type, checked by the type.
    """

    id: str
    type: str
    position_km: Vector = (0.0, 0.0, 0.0)
    neighbours: tuple[str, ...] = ()
    recovery: Recovery = Recovery()
    settings: dict[str, Any] = {}


class Fault(_Value, frozen=True):
    """A disturbance on simulated time.

    Attributes:
        type: What happens.
        node: To whom.
        start_ns: When it begins [ns].
        duration_ns: How long it lasts [ns].
        severity: 0.1..1.
    """

    type: FaultType
    node: str
    start_ns: int
    duration_ns: int
    severity: float = 0.5


class Criterion(_Value, frozen=True):
    """What must hold, watched during the whole run.

    `always`: at every instant of the window. `eventually`: at least once in the window. `within`: whenever it does
    not hold, it holds again after at most `limit_ns`. `at_end`: at the end of the run.

    Attributes:
        name: What a person calls it; unique after wildcards are expanded.
        kind: Which of the four.
        threshold: The condition.
        start_ns: Start of the window [ns].
        end_ns: End of the window [ns]; None is the end of the run.
        limit_ns: For `within`: longest time it may not hold [ns].
    """

    name: str
    kind: Literal["always", "eventually", "within", "at_end"]
    threshold: Threshold
    start_ns: int = 0
    end_ns: int | None = None
    limit_ns: int = 0


class Scenario(_Value, frozen=True):
    """A complete scenario.

    Attributes:
        name: What a person calls it.
        description: One paragraph.
        duration_ns: Simulated time [ns].
        step_ns: Period of telemetry, control and criteria [ns].
        seed: Seed of every random stream.
        nodes: The simulated things, at least one, ids unique.
        network: How they reach each other.
        faults: Disturbances, by start time.
        criteria: What must hold; at least one, otherwise the verdict is `errored`.
        environment: Settings shared by all nodes of a type, such as `beta_deg` for satellites.
    """

    name: str
    duration_ns: int
    nodes: tuple[Node, ...]
    description: str = ""
    step_ns: int = 100_000_000
    seed: int = 0
    network: Network = Network()
    faults: tuple[Fault, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    environment: dict[str, float] = {}


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one criterion came to.

    Attributes:
        name: Name of the criterion.
        kind: Which of the four kinds.
        condition: The condition in words, for example `SAT1.battery.temperature < 65`.
        outcome: `passed`, `failed`, or `errored` if it was never evaluated.
        worst: The value of the signal closest to, or furthest beyond, its limit; for `within` the longest time the
            condition did not hold [s].
        worst_at_s: When that was [s].
        margin: Distance to the limit in the signal's unit; negative beyond it. None for words.
        first_violation_s: When the condition first did not hold [s].
        evaluations: How often it was evaluated.
    """

    name: str
    kind: str
    condition: str
    outcome: Literal["passed", "failed", "errored"]
    worst: float | str | None = None
    worst_at_s: float | None = None
    margin: float | None = None
    first_violation_s: float | None = None
    evaluations: int = 0

    @property
    def unit(self) -> str:
        """Unit of `worst` and `margin`; empty for counts, ratios and words.

        Read off the condition, so that it is neither stored nor part of a fingerprint.
        """
        return "s" if self.kind == "within" else unit_of(self.condition.partition(" ")[0].partition(".")[2])


class ScenarioResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a simulated scenario came to. Plain JSON; the same for the same scenario and seed, at every speed.

    Attributes:
        scenario: Name.
        outcome: `passed` if all criteria passed, `failed` if one failed, else `errored`.
        seed: Seed used.
        simulated_s: Simulated time reached [s].
        fingerprint: Digest of everything that happened.
        events: Number of kernel events executed.
        criteria: One verdict per criterion.
        timeline: Discrete events for people: `{time_s, node, event, …}`.
        latency: Kind (`fault_detection`, `agent_decision`, `recovery_action`) to measurements
            `{node, fault, time_s, ms}`, all in simulated time.
        classifications: What nodes took faults for: `{node, time_s, predicted, actual, confidence}`.
        network: Packets sent, delivered, lost, latency per link.
        final_telemetry: Node id to its last telemetry packet.
    """

    scenario: str
    outcome: Literal["passed", "failed", "errored"]
    seed: int
    simulated_s: float
    fingerprint: str
    events: int
    criteria: tuple[Verdict, ...] = ()
    timeline: tuple[dict[str, Any], ...] = ()
    latency: dict[str, list[dict[str, Any]]] = {}
    classifications: tuple[dict[str, Any], ...] = ()
    network: dict[str, Any] = {}
    final_telemetry: dict[str, Any] = {}


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a name or a pattern with `*` stands for."""
    if "*" not in pattern:
        return [name for name in names if name == pattern]
    expression = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    return [name for name in names if expression.fullmatch(name)]
