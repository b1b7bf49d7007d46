from math import exp, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.model.scenario import Fault, Node, Scenario
from podium.sim.disturbances import CONTAGION_RANGE, Disturbances, hazard_rate
from podium.sim.kernel import Kernel
from podium.sim.pacing import Pacer
from podium.sim.simulation import Simulation
from podium.sim.streams import Stream

SECOND = 1_000_000_000
TYPES = ("power_brownout", "comms_dropout", "thermal_runaway", "attitude_desync")


class Place:
    """A node on a line, as far as disturbances see one."""

    def __init__(self, name, kernel, km=0.0):
        self.id, self.km, self.safe = name, km, False
        self._kernel = kernel
        self.applied = []

    def apply(self, faults):
        self.applied.append((self._kernel.now, {fault.type: fault.severity for fault in faults}))

    def distance_km(self, other):
        return abs(self.km - other.km)


class Case:
    """Disturbances of nodes A, B, ... at places on a line, with a record of what happens."""

    def __init__(self, *faults, places=(0.0,), seed=1):
        self.kernel = Kernel()
        self.nodes = {name: Place(name, self.kernel, km) for name, km in zip("ABCDEF", places, strict=False)}
        self.noted = []
        streams = {name: Stream(seed, name, "contagion") for name in self.nodes}
        self.disturbances = Disturbances(self.kernel, self.nodes, lambda node, _purpose: streams[node], self._note)
        self.disturbances.schedule(faults)

    def _note(self, node, event, fault):
        self.noted.append((self.kernel.now, node, event, fault))

    def run(self, until):
        self.kernel.run(until)
        return self

    def spread(self):
        return [(time, node, fault) for time, node, event, fault in self.noted if event == "fault_spread"]


def fault(kind="comms_dropout", start=0, duration=SECOND, severity=0.5, node="A"):
    return Fault(kind, node, start, duration, severity)


@pytest.mark.parametrize("start", [0, 1, 3 * SECOND, 123_456_789])
@pytest.mark.parametrize("duration", [1, 77, SECOND, 2 * SECOND + 3])
def test_a_fault_begins_and_ends_at_exactly_the_times_written(start, duration):
    one = fault(start=start, duration=duration)
    case = Case(one).run(10 * SECOND)
    assert case.noted == [(start, "A", "fault_began", one), (start + duration, "A", "fault_ended", one)]
    assert case.nodes["A"].applied == [(start, {"comms_dropout": 0.5}), (start + duration, {})]


@pytest.mark.parametrize("start", [2 * SECOND, 2_050_000_000])
def test_a_fault_acts_in_the_step_of_its_beginning_and_no_longer_in_that_of_its_end(start):
    seen = {}

    def look():
        seen[simulation.kernel.now] = simulation.node("A").signals()["faults.active"]()

    one = fault(start=start, duration=SECOND)
    simulation = Simulation(Scenario("s", 5 * SECOND, (Node("A", "satellite", (0, 0, 420)),), faults=(one,)))
    simulation.kernel.every(SECOND // 10, look, priority=20)
    simulation.run(Pacer(None, monotonic=lambda: 0.0, sleep=lambda _: None))
    assert {time for time, active in seen.items() if active} == {
        time for time in seen if start <= time < start + SECOND
    }
    events = [(entry["time_s"], entry["event"]) for entry in simulation._measures.timeline]
    assert events == [(start / 1e9, "fault_began"), (start / 1e9 + 1, "fault_ended")]


def test_faults_of_one_type_act_with_the_highest_severity_until_the_last_has_ended():
    case = Case(
        fault(start=10, duration=30, severity=0.4),
        fault(start=20, duration=10, severity=0.9),
        fault(start=25, duration=40, severity=0.2),
    ).run(100)
    severities = [(time, faults.get("comms_dropout")) for time, faults in case.nodes["A"].applied]
    assert severities == [(10, 0.4), (20, 0.9), (25, 0.9), (30, 0.4), (40, 0.2), (65, None)]


def test_a_fault_that_begins_when_another_ends_leaves_no_gap():
    case = Case(fault(start=10, duration=10), fault(start=20, duration=10)).run(100)
    assert [faults for _, faults in case.nodes["A"].applied] == [{"comms_dropout": 0.5}] * 3 + [{}]


def test_two_equal_faults_are_two():
    case = Case(*[fault(start=10, duration=10)] * 2).run(100)
    assert [bool(faults) for _, faults in case.nodes["A"].applied] == [True, True, True, False]


def test_faults_of_different_types_act_together_and_end_on_their_own():
    case = Case(*(fault(kind, start=10 * n, duration=35, severity=(n + 2) / 10) for n, kind in enumerate(TYPES)))
    case.run(100)
    assert case.nodes["A"].applied[3] == (30, dict(zip(TYPES, (0.2, 0.3, 0.4, 0.5), strict=True)))
    assert case.nodes["A"].applied[4] == (35, dict(zip(TYPES[1:], (0.3, 0.4, 0.5), strict=True)))
    assert case.nodes["A"].applied[-1] == (65, {})


def test_a_fault_acts_on_its_own_node_only():
    case = Case(fault(node="B"), places=(0, 1, 2)).run(10 * SECOND)
    assert [bool(case.nodes[name].applied) for name in "ABC"] == [False, True, False]


@given(
    st.lists(
        st.builds(
            fault,
            st.sampled_from(("comms_dropout", "power_brownout")),
            st.integers(0, 20),
            st.integers(1, 20),
            st.sampled_from((0.1, 0.5, 0.9)),
        ),
        max_size=6,
    )
)
def test_what_acts_is_at_every_moment_the_maximum_over_the_faults_under_way(faults):
    case = Case(*faults)
    for now in range(45):
        case.run(now)
        expected = {}
        for one in faults:
            if one.start_ns <= now < one.start_ns + one.duration_ns:
                expected[one.type] = max(one.severity, expected.get(one.type, 0.0))
        acting = case.disturbances.acting("A")
        assert {one.type: one.severity for one in acting} == expected
        assert len(acting) == len(expected)
        assert (case.nodes["A"].applied or [(0, {})])[-1][1] == expected


@pytest.mark.parametrize(
    ("severity", "distance", "rate"),
    [
        (1.0, 0.0, 0.7 / 60),
        (0.5, 0.0, 0.5 / 60),
        (0.7, 1.2, 0.58 / 60 * 0.76),
        (0.1, 2.5, 0.34 / 60 / 2),
        (1.0, 4.999, 0.7 / 60 * 0.0002),
        (1.0, 5.0, 0.0),
        (1.0, 1000.0, 0.0),
    ],
)
def test_the_hazard_rate_is_that_of_the_formula(severity, distance, rate):
    assert hazard_rate(severity, distance) == pytest.approx(rate, rel=1e-9, abs=1e-15)


def runaway(duration=60 * SECOND, severity=0.8, start=0, node="A"):
    return fault("thermal_runaway", start, duration, severity, node)


def infected(distance, runs, seconds=60.0):
    one = runaway(round(seconds * SECOND))
    return sum(bool(Case(one, places=(0.0, distance), seed=seed).run(100 * SECOND).spread()) for seed in range(runs))


def test_a_runaway_never_spreads_beyond_its_range():
    assert infected(CONTAGION_RANGE, 200) == 0
    assert infected(CONTAGION_RANGE + 0.001, 200) == 0
    assert infected(CONTAGION_RANGE * 10, 20) == 0


@pytest.mark.parametrize(("distance", "seconds"), [(0.5, 60.0), (4.0, 60.0), (0.5, 3.0), (0.5, 2.5), (0.1, 0.7)])
def test_the_part_infected_is_that_of_the_hazard_integrated_over_time(distance, seconds):
    runs = 2500 if seconds > 10.0 else 6000
    chance = 1.0 - exp(-hazard_rate(0.8, distance) * seconds)
    band = 3.5 * sqrt(chance * (1.0 - chance) / runs)
    assert abs(infected(distance, runs, seconds) / runs - chance) < band
    assert band < max(0.04 if seconds > 10.0 else 0.01, chance / 2)


def test_only_a_runaway_spreads():
    faults = [fault(kind, duration=600 * SECOND, severity=1.0) for kind in TYPES if kind != "thermal_runaway"]
    assert not Case(*faults, places=(0.0, 0.1)).run(1000 * SECOND).spread()


@pytest.mark.parametrize("safe", ["A", "B"])
def test_nothing_spreads_from_or_to_a_node_in_safe_mode(safe):
    case = Case(runaway(600 * SECOND, 1.0), places=(0.0, 0.1))
    case.nodes[safe].safe = True
    assert not case.run(500 * SECOND).spread()
    case.nodes[safe].safe = False
    assert case.run(600 * SECOND).spread()


def test_what_is_caught_has_half_the_severity_and_ends_with_its_source():
    case = Case(runaway(600 * SECOND, 0.8, start=7), places=(0.0, 0.1)).run(1000 * SECOND)
    [(time, node, caught)] = case.spread()
    assert (node, caught.node, caught.type, caught.severity) == ("B", "B", "thermal_runaway", 0.4)
    assert caught.start_ns == time
    assert caught.start_ns + caught.duration_ns == 600 * SECOND + 7
    assert [entry[:3] for entry in case.noted[-2:]] == [
        (600 * SECOND + 7, "A", "fault_ended"),
        (600 * SECOND + 7, "B", "fault_ended"),
    ]
    assert case.nodes["B"].applied == [(time, {"thermal_runaway": 0.4}), (600 * SECOND + 7, {})]


def test_what_was_caught_spreads_further_with_half_the_severity_again():
    case = Case(runaway(3600 * SECOND, 0.8), places=(0.0, 4.0, 8.0)).run(3600 * SECOND)
    assert [(node, caught.severity) for _, node, caught in case.spread()] == [("B", 0.4), ("C", 0.2)]


def test_a_node_that_is_affected_already_catches_nothing():
    case = Case(runaway(600 * SECOND), runaway(600 * SECOND, 0.3, node="B"), places=(0.0, 0.1))
    assert not case.run(600 * SECOND).spread()


def test_a_node_that_healed_can_catch_it_again():
    case = Case(runaway(600 * SECOND), runaway(SECOND, 0.3, node="B"), places=(0.0, 0.1))
    assert len(case.run(600 * SECOND).spread()) == 1


def test_a_second_runaway_long_after_the_first_spreads_too():
    case = Case(runaway(SECOND), runaway(600 * SECOND, start=100 * SECOND), places=(0.0, 0.1)).run(700 * SECOND)
    assert len(case.spread()) == 1
    assert case.kernel.pending == 0


def test_what_one_node_catches_does_not_depend_on_another_being_there():
    def when_b_catches_it(places):
        case = Case(runaway(600 * SECOND), places=places, seed=3).run(600 * SECOND)
        return [(time, caught) for time, node, caught in case.spread() if node == "B"]

    alone = when_b_catches_it((0.0, 4.0))
    assert alone
    assert when_b_catches_it((0.0, 4.0, -4.5)) == alone
