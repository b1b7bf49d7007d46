"""A scenario brought to life: nodes, network, faults, recovery and criteria on one kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from podium.errors import SimulationError
from podium.model.scenario import Criterion, FaultType, Node, Scenario, ScenarioResult, Verdict, matching
from podium.sim.criteria import Criteria, Monitor, monitor_of
from podium.sim.disturbances import Disturbances
from podium.sim.kernel import Kernel, describe
from podium.sim.measures import Measures
from podium.sim.network import Network
from podium.sim.node import Continuous, Recoverable, Signal, SimNode
from podium.sim.pacing import Pace, Pacer
from podium.sim.recovery import SafeMode, Stage
from podium.sim.satellite import Satellite
from podium.sim.sensors import Gateway, Sensor
from podium.sim.streams import Stream
from podium.sim.trace import Trace

NODES: dict[str, Callable[[Node], SimNode]] = {"satellite": Satellite, "sensor": Sensor, "gateway": Gateway}
"""Node type to what makes it."""

_SECOND = 1_000_000_000
_STEP_PRIORITY = 10
"""Steps come after faults and packets of the same time."""


class Simulation:
    """One scenario, ready to run once.

    Every step: nodes advance, policies look, criteria are evaluated. Every simulated second one line is logged and
    taken into the fingerprint.

    Args:
        scenario: What to simulate.
        trace: Takes everything that happens; by default a new one.

    Attributes:
        log: JSON lines: a header naming criteria and signals, then `{"time_s", "holds", "values"}` per second.

    Raises:
        SimulationError: A criterion or rule names a signal that is not there (S610).
    """

    def __init__(self, scenario: Scenario, trace: Trace | None = None) -> None:
        self.kernel = Kernel()
        self.log: list[bytes] = []
        self._scenario = scenario
        self._trace = trace or Trace()
        self._streams: dict[tuple[str, str], Stream] = {}
        self._measures = Measures()
        self._nodes: dict[str, SimNode] = {node.id: NODES[node.type](node) for node in scenario.nodes}
        receivers = {name: node.receive for name, node in self._nodes.items()}
        self.network = Network(self.kernel, scenario.network, receivers, self.stream)
        for node in self._nodes.values():
            node.start(self)
        self._signals = {name: node.signals() for name, node in self._nodes.items()}
        self._steps = [node.step for node in self._nodes.values() if isinstance(node, Continuous)]
        recoverable = {name: node for name, node in self._nodes.items() if isinstance(node, Recoverable)}
        self._disturbances = Disturbances(self.kernel, recoverable, self.stream, self._note_fault)
        self._disturbances.schedule(scenario.faults)
        self._policies = [
            self._policy(node, recoverable[node.id]).step
            for node in scenario.nodes
            if node.id in recoverable and node.recovery.policy == "safe_mode"
        ]
        self._criteria = Criteria([m for criterion in scenario.criteria for m in self._monitors(criterion)])
        self._logged = [read for signals in self._signals.values() for read in signals.values()]
        self._next_log = 0
        self._encode = msgspec.json.Encoder().encode

    @property
    def environment(self) -> Mapping[str, float]:
        """Settings shared by all nodes of a type."""
        return self._scenario.environment

    def stream(self, node: str, purpose: str) -> Stream:
        """Return the random stream of a node and purpose; the same one at every call."""
        key = (node, purpose)
        if key not in self._streams:
            self._streams[key] = Stream(self._scenario.seed, *key)
        return self._streams[key]

    def node(self, name: str) -> SimNode:
        """Return a node."""
        return self._nodes[name]

    def run(self, pacer: Pacer, progress: Callable[[int], object] = lambda _now: None) -> tuple[ScenarioResult, Pace]:
        """Run the scenario to its end.

        Args:
            pacer: Decides when simulated time may pass; never what happens in it.
            progress: Called with the simulated time now and then [ns].

        Returns:
            What it came to, and how well the speed was kept.

        Raises:
            SimulationError: An event of a node raised (S602).
        """
        scenario = self._scenario
        self._log_header()
        self.kernel.at(0, self._step, priority=_STEP_PRIORITY)
        pace = pacer.drive(self.kernel.run, scenario.duration_ns, step=scenario.step_ns, progress=progress)
        return self._result(), pace

    def _step(self) -> None:
        now = self.kernel.now
        end = self._scenario.duration_ns
        for step in self._steps:
            try:
                step(now)
            except Exception as error:
                text = f"{describe(step)} at {now / 1e9:.9g} s: {type(error).__name__}: {error}"
                raise SimulationError(text, code="S602") from error
        for policy in self._policies:
            policy(now)
        self._criteria.watch(now, end=now == end)
        if now >= self._next_log:
            self._next_log = now // _SECOND * _SECOND + _SECOND
            self._log(now)
        if now < end:
            self.kernel.at(min(now + self._scenario.step_ns, end), self._step, priority=_STEP_PRIORITY)

    def _policy(self, node: Node, subject: Recoverable) -> SafeMode:
        signals = self._signals[node.id]
        for rule in node.recovery.rules:
            self._require(node.id, rule.when.signal)
        self._measures.watches(node.id)
        return SafeMode(self.kernel, subject, node.recovery, signals, self._note_stage)

    def _monitors(self, criterion: Criterion) -> list[Monitor]:
        name, _, path = criterion.threshold.signal.partition(".")
        if "*" not in name:
            return [monitor_of(criterion, self._require(name, path))]
        found = [node for node in matching(name, self._signals) if path in self._signals[node]]
        if not found:
            self._require(name, path)
        return [monitor_of(_for_node(criterion, node, path), self._signals[node][path]) for node in found]

    def _require(self, node: str, path: str) -> Signal:
        signal = self._signals.get(node, {}).get(path)
        if signal is None:
            raise SimulationError(f"there is no signal `{node}.{path}`", code="S610")
        return signal

    def _note_fault(self, node: str, event: str, fault: Any) -> None:
        now = self.kernel.now
        self._measures.fault(now, node, event, fault)
        self._trace.record(now, node, event, (fault.type, fault.severity, fault.duration_ns))

    def _note_stage(self, node: str, stage: Stage, fault: FaultType | None) -> None:
        now = self.kernel.now
        self._measures.stage(now, node, stage, fault)
        self._trace.record(now, node, stage, fault)

    def _log_header(self) -> None:
        header = {
            "criteria": [verdict.name for verdict in self._criteria.verdicts(0)],
            "signals": {name: list(signals) for name, signals in self._signals.items()},
        }
        self.log.append(self._encode(header))

    def _log(self, now: int) -> None:
        holds = self._criteria.holding()
        values = [read() for read in self._logged]
        self._trace.record(now, "", "state", values)
        self.log.append(self._encode({"time_s": now / 1e9, "holds": holds, "values": values}))

    def _result(self) -> ScenarioResult:
        end = self.kernel.now
        self._measures.finish(end)
        verdicts = self._criteria.verdicts(end)
        network = self.network.statistics()
        self._trace.record(end, "", "end", (verdicts, network, self.kernel.executed))
        return ScenarioResult(
            scenario=self._scenario.name,
            outcome=_outcome(verdicts),
            seed=self._scenario.seed,
            simulated_s=end / 1e9,
            fingerprint=self._trace.fingerprint(),
            events=self.kernel.executed,
            criteria=verdicts,
            timeline=tuple(self._measures.timeline),
            latency=self._measures.latency,
            classifications=tuple(self._measures.classifications),
            network=network,
            final_telemetry={name: node.telemetry() for name, node in self._nodes.items()},
        )


def _for_node(criterion: Criterion, node: str, path: str) -> Criterion:
    replace = msgspec.structs.replace
    pattern = criterion.threshold.signal.partition(".")[0]
    named = criterion.name
    name = named.replace(pattern, node, 1) if pattern in named else f"{named} ({node})"
    return replace(criterion, name=name, threshold=replace(criterion.threshold, signal=f"{node}.{path}"))


def _outcome(verdicts: tuple[Verdict, ...]) -> Any:
    outcomes = {verdict.outcome for verdict in verdicts}
    if "failed" in outcomes:
        return "failed"
    return "errored" if "errored" in outcomes or not verdicts else "passed"
