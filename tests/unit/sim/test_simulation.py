import json
from functools import cache
from pathlib import Path

import msgspec
import pytest

from podium.errors import SimulationError
from podium.model.loading import load_scenario
from podium.model.scenario import (
    Criterion,
    DetectionRule,
    Fault,
    LinkModel,
    Loss,
    Network,
    Node,
    Partition,
    Recovery,
    Scenario,
    ScenarioResult,
    Threshold,
)
from podium.sim.pacing import Pacer
from podium.sim.satellite import Satellite
from podium.sim.sensors import Gateway, Sensor
from podium.sim.simulation import Simulation
from podium.sim.trace import Trace

SECOND = 1_000_000_000
SCENARIOS = ("01-campaign", "02-documented-format")
EXAMPLES = {
    path.stem: path
    for folder in SCENARIOS
    for path in sorted((Path(__file__).parents[3] / "examples" / folder).glob("*.yaml"))
}


class Clock:
    """Wall time that passes only by sleeping."""

    def __init__(self):
        self.now = 0.0

    def pacer(self, speed=None):
        return Pacer(speed, monotonic=lambda: self.now, sleep=self.sleep)

    def sleep(self, duration):
        self.now += duration


def ran(scenario, speed=None):
    """Return a simulation that has run, and its result."""
    simulation = Simulation(scenario)
    return simulation, simulation.run(Clock().pacer(speed))[0]


@cache
def example(name, **overrides):
    """Return the log and the result of an example."""
    simulation, result = ran(load_scenario(EXAMPLES[name], overrides).scenario)
    return simulation.log, result


def duo(**options):
    """Return a scenario in which everything random is used: loss, jitter, tumbling, contagion, phases."""
    nodes = (
        Node("SAT1", "satellite", (0.0, 0.0, 420.0), ("SAT2",)),
        Node("SAT2", "satellite", (1.0, 0.0, 420.0), ("SAT1",)),
    )
    faults = (
        Fault("thermal_runaway", "SAT1", 5 * SECOND, 100 * SECOND, 1.0),
        Fault("attitude_desync", "SAT2", 7 * SECOND, 60 * SECOND, 0.5),
    )
    network = Network(default=LinkModel(SECOND // 100, SECOND // 200, Loss(p=0.05, r=0.5)))
    criteria = (Criterion("cool", "always", Threshold("*.battery.temperature", "<", 100.0)),)
    options = {"duration_ns": 120 * SECOND, "nodes": nodes, "criteria": criteria, "seed": 1} | options
    return Scenario("duo", faults=faults, network=network, **options)


def alone(*criteria, **options):
    return Scenario("alone", nodes=(Node("SAT1", "satellite", (0.0, 0.0, 420.0)),), criteria=criteria, **options)


ALTITUDE = Criterion("high", "always", Threshold("SAT1.orbit.altitude", ">", 400.0))


# The same scenario gives the same result.


def test_the_same_scenario_gives_the_same_result_and_log_twice():
    first, second = ran(duo()), ran(duo())
    assert first[1] == second[1]
    assert first[0].log == second[0].log
    assert len(first[1].fingerprint) == 32


@pytest.mark.parametrize("speed", [1000.0, 3.7, 1e6])
def test_the_speed_changes_nothing_but_the_wall_time(speed):
    clock = Clock()
    simulation = Simulation(duo())
    result, _ = simulation.run(clock.pacer(speed))
    at_once = ran(duo())
    assert result == at_once[1]
    assert simulation.log == at_once[0].log
    assert clock.now == pytest.approx(120.0 / speed)


def test_another_seed_gives_another_fingerprint():
    assert len({ran(duo(seed=seed))[1].fingerprint for seed in range(5)}) == 5


def test_the_fingerprint_covers_what_a_node_shows_in_the_course_of_the_run():
    def fingerprint(temperature):
        node = Node("SAT1", "satellite", (0.0, 0.0, 420.0), settings={"initial_temperature": temperature})
        return ran(Scenario("s", 10 * SECOND, (node,)))[1].fingerprint

    assert fingerprint(15.0) == fingerprint(15.0)
    assert fingerprint(15.0) != fingerprint(15.0 + 1e-12)


def test_a_scenario_survives_serialisation_with_the_same_fingerprint():
    again = msgspec.json.decode(msgspec.json.encode(duo()), type=Scenario)
    assert ran(again)[1] == ran(duo())[1]


def test_the_result_tells_what_was_simulated():
    result = ran(duo())[1]
    assert (result.scenario, result.seed, result.simulated_s) == ("duo", 1, 120.0)
    assert result.events > 1200
    assert set(result.final_telemetry) == {"SAT1", "SAT2"}
    assert [entry["time_s"] for entry in result.timeline] == sorted(entry["time_s"] for entry in result.timeline)
    assert all(packet["timestamp"] == 120.0 for packet in result.final_telemetry.values())


# Examples


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_passes(name):
    result = example(name)[1]
    assert result.outcome == "passed"
    assert {verdict.outcome for verdict in result.criteria} == {"passed"}


def test_all_examples_are_found():
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("name", ["thermal_cascade", "cascade_fail"])
def test_without_recovery_the_cascade_overheats_all_three_satellites(name):
    result = example(name, recovery="none")[1]
    assert result.outcome == "failed"
    hot = [verdict for verdict in result.criteria if "battery.temperature" in verdict.condition]
    assert [verdict.outcome for verdict in hot] == ["failed"] * 3
    assert [verdict.condition for verdict in hot] == [
        f"SAT{n}.battery.temperature {'<' if name == 'thermal_cascade' else '<='} 65 degC" for n in (1, 2, 3)
    ]
    for verdict in hot:
        assert verdict.worst > 65.0
        assert verdict.margin == pytest.approx(65.0 - verdict.worst)
        assert 60.0 < verdict.first_violation_s < verdict.worst_at_s < 661.0
    spread = {entry["node"] for entry in result.timeline if entry["event"] == "fault_spread"}
    assert spread == {"SAT2", "SAT3"}
    assert max(v.worst for v in example(name)[1].criteria if "battery.temperature" in v.condition) < 60.0


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        # Beyond the limit from the tumble to the end of the fault: 2 min are exceeded. Pointing comes back by itself.
        ("attitude_recovery", ["within 2 min SAT1.attitude.nadir_error < 5 deg"]),
        # The fault lasts 5 min, and only the backup radio would shorten it to 30 s.
        ("comms_dropout", ["within 30 s SAT2.comms.packet_loss < 10 %"]),
        # The battery lasts without shedding the payload early: the hardware sheds it after 180 s.
        ("power_eclipse", []),
        # Nothing goes wrong, or nothing that recovery acts against.
        ("nominal_formation", []),
        ("nominal", []),
        ("sensor_fleet", []),
    ],
)
def test_without_recovery_an_example_fails_where_its_physics_says(name, failed):
    result = example(name, recovery="none")[1]
    assert [verdict.name for verdict in result.criteria if verdict.outcome != "passed"] == failed
    assert result.outcome == ("failed" if failed else "passed")
    acted = any(entry["event"] == "acted" for entry in example(name)[1].timeline)
    assert acted == any("fault_began" in entry["event"] for entry in result.timeline)


def test_without_recovery_a_comms_dropout_is_as_long_as_its_fault():
    [dropout, *_] = example("comms_dropout", recovery="none")[1].criteria
    assert (dropout.worst, dropout.worst_at_s, dropout.margin) == (300.0, 200.0, -270.0)


def test_shedding_the_payload_saves_charge_in_the_eclipse():
    with_it, without = (example("power_eclipse", **given)[1].criteria[0] for given in ({}, {"recovery": "none"}))
    assert with_it.condition == "SAT1.battery.soc > 0.4"
    assert with_it.worst > without.worst + 0.005


# Errors


@pytest.mark.parametrize("signal", ["SAT1.nothing", "SAT9.battery.soc", "*.nothing", "SAT1", "nothing"])
def test_a_criterion_on_an_unknown_signal_is_refused(signal):
    with pytest.raises(SimulationError, match=r"there is no signal") as caught:
        Simulation(alone(Criterion("c", "always", Threshold(signal, ">", 0.0)), duration_ns=SECOND))
    assert caught.value.diagnostics[0].code == "S610"


def test_a_rule_on_an_unknown_signal_is_refused():
    rule = DetectionRule("comms_dropout", Threshold("comms.quality", "<", 0.5))
    node = Node("SAT1", "satellite", (0.0, 0.0, 420.0), recovery=Recovery(rules=(rule,)))
    with pytest.raises(SimulationError, match=r"SAT1\.comms\.quality") as caught:
        Simulation(Scenario("s", SECOND, (node,)))
    assert caught.value.diagnostics[0].code == "S610"


class FailsInStep(Satellite):
    def step(self, now_ns):
        if now_ns == 3 * SECOND + SECOND // 10:
            raise ZeroDivisionError("no thrust")
        super().step(now_ns)


class FailsInItsOwnEvent(Satellite):
    def start(self, context):
        super().start(context)
        context.kernel.every(SECOND, self.tick)

    def tick(self):
        if self._context.kernel.now == 4 * SECOND:
            raise ValueError


class FailsWhenReceiving(Gateway):
    def receive(self, packet):
        raise KeyError(packet.payload)


def failure(scenario):
    with pytest.raises(SimulationError) as caught:
        ran(scenario)
    assert caught.value.diagnostics[0].code == "S602"
    return caught.value


def test_what_a_node_raises_in_a_step_names_node_and_time(monkeypatch):
    monkeypatch.setattr("podium.sim.simulation.NODES", {"satellite": FailsInStep})
    error = failure(duo())
    assert str(error) == "node `SAT1`, event `FailsInStep.step` at 3.1 s: ZeroDivisionError: no thrust"
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_what_a_node_raises_in_an_event_of_its_own_names_node_and_time(monkeypatch):
    monkeypatch.setattr("podium.sim.simulation.NODES", {"satellite": FailsInItsOwnEvent})
    assert str(failure(duo())) == "node `SAT1`, event `FailsInItsOwnEvent.tick` at 4 s: ValueError: ValueError"


def test_what_a_node_raises_when_it_receives_names_node_and_time(monkeypatch):
    monkeypatch.setattr("podium.sim.simulation.NODES", {"sensor": Sensor, "gateway": FailsWhenReceiving})
    nodes = (Node("S", "sensor", settings={"to": "G"}), Node("G", "gateway"))
    network = Network(default=LinkModel(latency_ns=SECOND))
    error = failure(Scenario("s", 3 * SECOND, nodes, network=network))
    assert str(error).startswith("node `G`, event ")
    assert " at 1." in str(error)
    assert "KeyError: 1" in str(error)


# The log


def test_the_log_has_a_header_and_one_line_per_simulated_second():
    simulation, result = ran(duo())
    header, *lines = (json.loads(line) for line in simulation.log)
    assert header["criteria"] == [verdict.name for verdict in result.criteria] == ["cool (SAT1)", "cool (SAT2)"]
    assert list(header["signals"]) == ["SAT1", "SAT2"]
    assert [line["time_s"] for line in lines] == list(range(121))
    width = sum(len(signals) for signals in header["signals"].values())
    assert {(len(line["holds"]), len(line["values"])) for line in lines} == {(2, width)}


def test_the_log_shows_what_holds_and_the_values_of_the_signals():
    simulation, _ = ran(duo())
    header, *lines = (json.loads(line) for line in simulation.log)
    column = header["signals"]["SAT1"].index("battery.temperature")
    faults = header["signals"]["SAT1"].index("faults.active")
    for line in lines:
        assert line["holds"][0] == (line["values"][column] < 100.0)
        assert line["values"][faults] == (1.0 if 5 <= line["time_s"] < 105 else 0.0)


def test_what_is_logged_is_the_state_at_that_time():
    simulation, result = ran(alone(ALTITUDE, duration_ns=7 * SECOND))
    header, *lines = (json.loads(line) for line in simulation.log)
    height = lines[-1]["values"][header["signals"]["SAT1"].index("orbit.altitude")]
    assert round(1000.0 * height) == result.final_telemetry["SAT1"]["orbit"]["altitude_m"]


# Steps


@pytest.mark.parametrize(("step_ms", "evaluations", "logged"), [(100, 601, 61), (500, 121, 61), (2000, 31, 31)])
def test_criteria_are_evaluated_every_step_and_logged_at_most_every_second(step_ms, evaluations, logged):
    simulation, result = ran(alone(ALTITUDE, duration_ns=60 * SECOND, step_ns=step_ms * SECOND // 1000))
    assert result.criteria[0].evaluations == evaluations
    assert len(simulation.log) == logged + 1


@pytest.mark.parametrize(("step_ms", "temperature"), [(100, 0.05), (500, 0.5), (2000, 5.0)])
def test_the_step_hardly_changes_what_happens(step_ms, temperature):
    scenario = load_scenario(EXAMPLES["thermal_cascade"], {"step": f"{step_ms} ms"}).scenario
    coarse = ran(scenario)[1]
    assert coarse.outcome == "passed"
    fine = example("thermal_cascade")[1]
    assert coarse.criteria[0].worst == pytest.approx(fine.criteria[0].worst, abs=temperature)
    detected = [
        next(entry["time_s"] for entry in result.timeline if entry["event"] == "detected") for result in (coarse, fine)
    ]
    assert detected[0] == pytest.approx(detected[1], abs=2.1 * step_ms / 1000.0)


@pytest.mark.parametrize(
    ("duration", "step", "evaluations"),
    [(1_050_000_000, 100_000_000, 12), (SECOND, 300_000_000, 5), (10, SECOND, 2), (7, 3, 4), (0, SECOND, 1)],
)
def test_a_duration_that_is_no_multiple_of_the_step_is_evaluated_at_its_very_end(duration, step, evaluations):
    at_end = Criterion("end", "at_end", Threshold("SAT1.orbit.altitude", ">", 400.0))
    result = ran(alone(ALTITUDE, at_end, duration_ns=duration, step_ns=step))[1]
    always, last = result.criteria
    assert (always.evaluations, last.evaluations) == (evaluations, 1)
    assert (last.outcome, last.worst_at_s, result.simulated_s) == ("passed", duration / 1e9, duration / 1e9)


# Outcome


def verdicts(*conditions):
    return tuple(
        Criterion(f"{kind} {op}", kind, Threshold("SAT1.orbit.altitude", op, 400.0), start_ns=start)
        for kind, op, start in conditions
    )


@pytest.mark.parametrize(
    ("conditions", "outcome"),
    [
        ([("always", ">", 0)], "passed"),
        ([("always", ">", 0), ("always", "<", 0)], "failed"),
        ([("always", ">", 0), ("always", ">", 9 * SECOND)], "errored"),
        ([("always", ">", 9 * SECOND), ("always", "<", 0)], "failed"),
        ([], "errored"),
    ],
)
def test_the_outcome_is_the_worst_of_the_verdicts_and_nothing_watched_is_no_pass(conditions, outcome):
    assert ran(alone(*verdicts(*conditions), duration_ns=SECOND))[1].outcome == outcome


def test_a_wildcard_watches_every_node_that_has_the_signal():
    nodes = (*duo().nodes, Node("S", "sensor", settings={"to": "G"}), Node("G", "gateway"))
    watched = Criterion("* is charged", "always", Threshold("*.battery.soc", ">", 0.1))
    result = ran(duo(nodes=nodes, criteria=(watched,), duration_ns=SECOND))[1]
    assert [verdict.name for verdict in result.criteria] == ["SAT1 is charged", "SAT2 is charged"]
    assert [verdict.condition for verdict in result.criteria] == [f"SAT{n}.battery.soc > 0.1" for n in (1, 2)]


@pytest.mark.parametrize(("pattern", "nodes"), [("SAT*", ["SAT1", "SAT2"]), ("*2", ["SAT2"]), ("S*T1", ["SAT1"])])
def test_a_pattern_watches_the_nodes_whose_names_it_fits(pattern, nodes):
    threshold = Threshold(f"{pattern}.battery.soc", ">", 0.1)
    criterion = Criterion(f"{pattern}.battery.soc > 0.1", "always", threshold)
    result = ran(duo(nodes=(*duo().nodes, Node("S", "gateway")), criteria=(criterion,), duration_ns=SECOND))[1]
    assert [verdict.name for verdict in result.criteria] == [f"{node}.battery.soc > 0.1" for node in nodes]


# Result


def assert_packets_are_conserved(network):
    ends = ("delivered", "lost", "dropped", "blocked", "in_flight")
    for counters in (network, *network["links"].values()):
        assert counters["sent"] == sum(counters[name] for name in ends)
        assert all(counters[name] >= 0 for name in ends)
    for name in ("sent", *ends):
        assert network[name] == sum(link[name] for link in network["links"].values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_packet_appears_or_disappears(name):
    network = example(name)[1].network
    assert network["sent"] > 0
    assert_packets_are_conserved(network)


def test_every_way_a_packet_can_end_is_counted():
    nodes = (
        *(Node(f"S{n}", "sensor", settings={"to": "G", "size_bytes": 500}) for n in range(3)),
        Node("G", "gateway"),
    )
    slow = LinkModel(2 * SECOND, 0, Loss(loss_good=0.2), bandwidth_bps=3000.0, queue_bytes=1000)
    cut = Partition((("S0", "S1", "S2"), ("G",)), 10 * SECOND, 15 * SECOND)
    network = ran(Scenario("s", 60 * SECOND, nodes, network=Network(slow, partitions=(cut,))))[1].network
    assert_packets_are_conserved(network)
    assert all(network[name] > 0 for name in ("delivered", "lost", "dropped", "blocked", "in_flight"))


@pytest.mark.parametrize("given", [{}, {"recovery": "none"}])
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_result_is_json_without_nan_and_comes_back_the_same(name, given):
    log, result = example(name, **given)
    text = json.dumps(msgspec.to_builtins(result), allow_nan=False)
    assert msgspec.json.decode(text, type=ScenarioResult) == result
    assert b"NaN" not in b"".join(log)
    assert b"Infinity" not in b"".join(log)


def test_a_signal_that_is_no_number_fails_and_leaves_no_nan_in_the_result(monkeypatch):
    class Broken(Satellite):
        def signals(self):
            return super().signals() | {"battery.soc": lambda: float("nan")}

    monkeypatch.setattr("podium.sim.simulation.NODES", {"satellite": Broken})
    watched = (
        Criterion(kind, kind, Threshold("SAT1.battery.soc", op, 0.5))
        for kind, op in (("always", ">"), ("eventually", "!="), ("at_end", "<"), ("within", ">"))
    )
    simulation, result = ran(alone(*watched, duration_ns=SECOND))
    assert [verdict.outcome for verdict in result.criteria] == ["failed"] * 4
    json.dumps(msgspec.to_builtins(result), allow_nan=False)
    assert all(json.loads(line) for line in simulation.log)


def test_the_trace_holds_faults_stages_states_and_the_end():
    kept = []
    Simulation(duo(), Trace(kept.append)).run(Clock().pacer())
    events = [json.loads(line)[2] for line in kept]
    assert events.count("state") == 121
    assert events.count("fault_began") == 2
    assert "acted" in events
    assert events[-1] == "end"
