import pytest

from podium.model.scenario import LinkModel, Network, Node, Scenario
from podium.model.signals import NODE_TYPES, SIGNALS
from podium.model.units import parse_quantity
from podium.sim.pacing import Pacer
from podium.sim.simulation import NODES, Simulation

SCENARIO = Scenario(
    name="all types",
    duration_ns=3_000_000_000,
    nodes=(
        Node("SATELLITE", "satellite", position_km=(0.0, 0.0, 420.0), neighbours=("OTHER",)),
        Node("OTHER", "satellite", position_km=(1.0, 0.0, 420.0), neighbours=("SATELLITE",)),
        Node("SENSOR", "sensor", settings={"to": "GATEWAY", "period_ns": 100_000_000}),
        Node("GATEWAY", "gateway"),
    ),
    network=Network(default=LinkModel(latency_ns=5_000_000)),
)


def values_of(node_type):
    """Return what a node of a type logged last, after three seconds of simulated time."""
    simulation = Simulation(SCENARIO)
    simulation.run(Pacer(None, monotonic=lambda: 0.0, sleep=lambda _seconds: None))
    name = next(node.id for node in SCENARIO.nodes if node.type == node_type)
    return {signal: read() for signal, read in simulation.node(name).signals().items()}


def test_every_type_of_node_has_signals_and_every_signal_a_type_of_node():
    assert set(NODES) == set(SIGNALS) == set(NODE_TYPES) == {node.type for node in SCENARIO.nodes}


@pytest.mark.parametrize("node_type", NODES)
def test_a_node_offers_exactly_the_signals_that_conditions_may_name(node_type):
    assert set(values_of(node_type)) == set(SIGNALS[node_type])


@pytest.mark.parametrize("node_type", NODES)
def test_a_signal_is_a_number_or_one_of_its_words(node_type):
    for signal, value in values_of(node_type).items():
        declared = SIGNALS[node_type][signal]
        if declared.dimension == "word":
            assert value in declared.words
        else:
            assert isinstance(value, int | float)
            assert not isinstance(value, bool)
            assert declared.words == ()
        if declared.dimension == "count":
            assert value == int(value) >= 0
        if declared.dimension == "ratio":
            assert value >= 0


@pytest.mark.parametrize(
    ("node_type", "signal", "value"),
    [
        ("gateway", "latency.last", 0.005),
        ("gateway", "latency.max", 0.005),
        ("satellite", "orbit.altitude", 420),
        ("satellite", "mode", "nominal"),
        ("satellite", "faults.active", 0),
    ],
)
def test_a_signal_is_in_its_unit(node_type, signal, value):
    found = values_of(node_type)[signal]
    assert found == value if isinstance(value, str) else found == pytest.approx(value, abs=0.5 if value > 1 else 1e-9)


def test_the_unit_of_a_signal_is_the_base_unit_of_its_dimension():
    for signals in SIGNALS.values():
        for signal in signals.values():
            if signal.dimension not in {"word", "count"}:
                assert parse_quantity(f"1 {signal.unit}", signal.dimension) == 1
            else:
                assert signal.unit == ""
            assert (signal.dimension == "word") == bool(signal.words)
            assert signal.meaning
