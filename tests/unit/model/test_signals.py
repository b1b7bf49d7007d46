import pytest

from podium.model.scenario import LinkModel, Network, Node, Scenario
from podium.model.signals import NODE_TYPES, SIGNALS
from podium.model.units import format_duration, parse_quantity
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
