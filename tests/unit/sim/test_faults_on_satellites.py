from functools import cache
from itertools import pairwise
from math import exp, log, sqrt

import msgspec
import pytest

from podium.model.scenario import Fault, Network, Node, Recovery, Scenario
from podium.sim.pacing import Pacer
from podium.sim.simulation import Simulation

SECOND = 1_000_000_000
ALONE = Recovery(policy="none")
START, DURATION = 60, 300
END = START + DURATION
REST = 0.08590072695453915
"""Nadir error at which the controller balances drag [deg]."""


def satellite(name, km, *neighbours):
    return Node(name, "satellite", (km, 0.0, 420.0), neighbours, ALONE)


TRIO = (
    satellite("SAT1", 0.0, "SAT2", "SAT3"),
    satellite("SAT2", 1.2, "SAT1", "SAT3"),
    satellite("SAT3", 3.5, "SAT1", "SAT2"),
)


class Run:
    """A finished run: its result and every signal of every node, once per simulated second."""

    def __init__(self, scenario):
        self.history = {node.id: {} for node in scenario.nodes}
        simulation = Simulation(scenario)
        signals = {name: simulation.node(name).signals() for name in self.history}

        def look():
            second = simulation.kernel.now // SECOND
            for name, reads in signals.items():
                self.history[name][second] = {path: read() for path, read in reads.items()}

        simulation.kernel.every(SECOND, look, priority=20)
        self.result, _ = simulation.run(Pacer(None, monotonic=lambda: 0.0, sleep=lambda _: None))

    def at(self, second, path, node="SAT1"):
        return self.history[node][second][path]


@cache
def run(fault=None, *, severity=0.8, nodes=TRIO, duration=900, seed=4, step=SECOND):
    faults = (Fault(fault, "SAT1", START * SECOND, DURATION * SECOND, severity),) if fault else ()
    return Run(Scenario("s", duration * SECOND, nodes, step_ns=step, seed=seed, faults=faults))


def everything_but_runaway(run_with):
    """Return what all satellites show, except what a fault of SAT1 may touch."""
    return {name: seconds for name, seconds in run_with.history.items() if name != "SAT1"}


@pytest.mark.parametrize("fault", ["power_brownout", "comms_dropout", "thermal_runaway", "attitude_desync"])
def test_before_a_fault_begins_nothing_differs(fault):
    with_it, without = run(fault), run()
    assert all(with_it.history["SAT1"][t] == without.history["SAT1"][t] for t in range(START))
    assert with_it.history["SAT1"][START] != without.history["SAT1"][START]


@pytest.mark.parametrize("fault", ["power_brownout", "comms_dropout", "thermal_runaway", "attitude_desync"])
def test_a_fault_is_visible_exactly_while_it_acts(fault):
    active = {second for second, signals in run(fault).history["SAT1"].items() if signals["faults.active"] == 1.0}
    assert active == set(range(START, END))


@pytest.mark.parametrize("fault", ["power_brownout", "attitude_desync"])
def test_other_satellites_do_not_notice_faults_that_do_not_reach_them(fault):
    assert everything_but_runaway(run(fault)) == everything_but_runaway(run())


# Thermal runaway


def test_a_runaway_heats_the_battery_as_semenov_says():
    seconds = 10
    rate = 400.0 * 0.8 / 900.0
    warmth = run().at(START - 1, "battery.temperature")
    # Without conduction dT/dt = rate exp((T - 20) / 40) has this solution.
    scale = rate * exp((warmth - 20.0) / 40.0) / 40.0
    expected = -40.0 * log(1.0 - seconds * scale)
    hot = run("thermal_runaway").at(START - 1 + seconds, "battery.temperature")
    rise = hot - run().at(START - 1 + seconds, "battery.temperature")
    assert rise == pytest.approx(expected, rel=0.01)
    assert 3.0 < rise < 4.0


def test_the_heat_of_a_runaway_is_drawn_from_the_charge():
    last = START + 30
    hot, cold = run("thermal_runaway", step=SECOND // 10), run(step=SECOND // 10)
    rise = hot.at(last, "battery.temperature") - cold.at(last, "battery.temperature")
    drawn = (cold.at(last, "battery.soc") - hot.at(last, "battery.soc")) * 58.8 * 3600.0
    assert drawn == pytest.approx(900.0 * rise, rel=0.05)


def test_a_runaway_passes_65_degrees_while_it_would_stay_cool_without():
    assert max(run("thermal_runaway").at(second, "battery.temperature") for second in range(900)) > 65.0
    assert max(run().at(second, "battery.temperature") for second in range(900)) < 20.0


def test_after_a_runaway_the_battery_cools_and_charges_again():
    hot, cold = run("thermal_runaway", duration=3600), run(duration=3600)
    excess = [
        hot.at(second, "battery.temperature") - cold.at(second, "battery.temperature") for second in range(END, 3600)
    ]
    assert all(later < earlier for earlier, later in pairwise(excess))
    assert excess[-1] < 0.3 * excess[0]
    assert hot.at(END + 1, "power.net") == cold.at(END + 1, "power.net")
    assert hot.at(1000, "battery.soc") > hot.at(END, "battery.soc") + 0.05


# Power brownout


def test_a_brownout_takes_most_of_the_arrays_then_stresses_the_battery_then_sheds_the_payload():
    weak, sound = run("power_brownout"), run()
    assert all(sound.at(second, "power.net") == pytest.approx(45.7 - 14.0) for second in range(1, 900))
    generated = 45.7 * 0.16
    for second in range(START, END):
        elapsed = second - START
        assert weak.at(second, "power.array_ratio") == pytest.approx(0.16)
        expected = generated - 14.0 if elapsed < 60 else (generated - 14.0) * 2.3 if elapsed < 180 else generated - 6.0
        assert weak.at(second, "power.net") == pytest.approx(expected)
    lost = sound.at(START + 180, "battery.soc") - weak.at(START + 180, "battery.soc")
    joules = 60 * (31.7 - (generated - 14.0)) + 120 * (31.7 - (generated - 14.0) * 2.3)
    assert lost * 58.8 * 3600.0 == pytest.approx(joules, rel=0.01)


def test_after_a_brownout_arrays_and_payload_are_back():
    weak, sound = run("power_brownout"), run()
    for second in range(END, 900):
        assert weak.at(second, "power.net") == sound.at(second, "power.net")
        assert weak.at(second, "power.array_ratio") == 1.0


@pytest.mark.parametrize(("severity", "ratio"), [(0.1, 0.37), (0.5, 0.25), (1.0, 0.1)])
def test_how_much_of_the_arrays_is_left_depends_on_the_severity(severity, ratio):
    assert run("power_brownout", severity=severity).at(100, "power.array_ratio") == pytest.approx(ratio)


# Attitude desync


def test_a_desync_makes_the_satellite_tumble_and_its_arrays_lose_the_sun():
    tumbling, steady = run("attitude_desync", step=SECOND // 10), run(step=SECOND // 10)
    assert {steady.at(second, "attitude.nadir_error") for second in range(900)} == {REST}
    assert max(tumbling.at(second, "attitude.nadir_error") for second in range(START, END)) > 90.0
    assert 1.0 < tumbling.at(START + 1, "attitude.rate") <= 0.3 * 0.8 * sqrt(3.0) * 57.2957795130823
    assert tumbling.at(END, "battery.soc") < steady.at(END, "battery.soc") - 0.01


def test_after_a_desync_the_controller_points_it_again_exactly():
    tumbling = run("attitude_desync", step=SECOND // 10)
    assert tumbling.at(END + 240, "attitude.nadir_error") < 1.0
    assert tumbling.at(899, "attitude.nadir_error") == pytest.approx(REST, abs=1e-5)
    assert tumbling.at(899, "attitude.rate") < 1e-4


# Comms dropout


def test_a_dropout_raises_the_loss_and_ends_with_it():
    deaf, sound = run("comms_dropout"), run()
    for second in range(900):
        expected = 0.7 if START <= second < END else sound.at(second, "comms.packet_loss")
        assert deaf.at(second, "comms.packet_loss") == pytest.approx(expected)
    assert max(sound.at(second, "comms.packet_loss") for second in range(900)) < 0.02


def test_a_dropout_shows_in_the_measured_loss_and_leaves_it_again():
    deaf, sound = run("comms_dropout"), run()
    band = 4.0 * sqrt(0.7 * 0.3 / 200)
    assert abs(deaf.at(END - 1, "comms.measured_loss") - 0.7) < band
    assert sound.at(END - 1, "comms.measured_loss") < 0.04
    assert deaf.at(END + 110, "comms.measured_loss") < 0.04


def test_a_dropout_loses_packets_on_the_links_of_its_own_transmitter_only():
    deaf, sound = (one.result.network["links"] for one in (run("comms_dropout"), run()))
    for name in ("SAT1->SAT2", "SAT1->SAT3"):
        assert deaf[name]["sent"] == sound[name]["sent"]
        assert abs(deaf[name]["lost"] - sound[name]["lost"] - 0.7 * DURATION) < 4.5 * sqrt(0.21 * DURATION)
    others = sorted(set(sound) - {"SAT1->SAT2", "SAT1->SAT3"})
    assert others == ["SAT2->SAT1", "SAT2->SAT3", "SAT3->SAT1", "SAT3->SAT2"]
    assert {name: deaf[name] for name in others} == {name: sound[name] for name in others}
    assert everything_but_runaway(run("comms_dropout")) == everything_but_runaway(run())


# Neighbours


def spread_to(one):
    return {entry["node"]: entry["time_s"] for entry in one.result.timeline if entry["event"] == "fault_spread"}


@cache
def partly_infected():
    """Return a run in which exactly one neighbour catches the runaway, and the seed that gives it."""
    for seed in range(50):
        one = run("thermal_runaway", severity=0.3, seed=seed)
        if len(spread_to(one)) == 1:
            return one, seed
    raise AssertionError("no seed infects exactly one neighbour")


def test_a_caught_runaway_warms_the_neighbour_and_nobody_else():
    hot, seed = partly_infected()
    cold = run(seed=seed)
    [(ill, since)] = spread_to(hot).items()
    [well] = {"SAT2", "SAT3"} - {ill}
    assert all(hot.history[ill][second] == cold.history[ill][second] for second in range(int(since)))
    warmer = [
        hot.at(second, "battery.temperature", ill) - cold.at(second, "battery.temperature", ill)
        for second in range(int(since), END)
    ]
    assert warmer == sorted(warmer)
    # At most as fast as 60 W (half of 0.3) heat 900 J/K at the temperature reached, at least at the reference 15 degC.
    lasted = END - since
    assert 0.7 * lasted * 60.0 * 0.85 / 900.0 < warmer[-1] < 2.5 * lasted * 60.0 / 900.0
    assert hot.at(END, "faults.active", ill) == 0.0
    assert hot.history[well] == cold.history[well]
    assert hot.result.final_telemetry[well] == cold.result.final_telemetry[well]


def test_no_runaway_no_contagion():
    assert spread_to(run()) == {}
    assert spread_to(run("comms_dropout", severity=1.0)) == {}


@pytest.mark.parametrize("first", [True, False])
def test_a_fourth_satellite_out_of_range_changes_nothing_for_the_first_three(first):
    fourth = satellite("SAT4", 500.0)
    modes = {"SAT1": ALONE}
    nodes = (fourth, *TRIO) if first else (*TRIO, fourth)
    lossy = msgspec.convert({"default": {"jitter_ns": SECOND // 100, "loss": {"loss_good": 0.1}}}, Network)
    faults = tuple(
        Fault(kind, node, start * SECOND, 200 * SECOND, 0.6)
        for kind, node, start in (
            ("thermal_runaway", "SAT1", 60),
            ("attitude_desync", "SAT2", 270),
            ("comms_dropout", "SAT3", 280),
            ("power_brownout", "SAT2", 290),
        )
    )
    nodes = tuple(msgspec.structs.replace(node, recovery=modes.get(node.id, Recovery())) for node in nodes)
    three = Scenario(
        "s",
        600 * SECOND,
        tuple(node for node in nodes if node.id != "SAT4"),
        network=lossy,
        faults=faults,
        seed=12,
    )
    before, after = Run(three), Run(msgspec.structs.replace(three, nodes=nodes))
    assert spread_to(before)
    names = ("SAT1", "SAT2", "SAT3")
    assert {name: after.result.final_telemetry[name] for name in names} == before.result.final_telemetry
    assert {name: after.history[name] for name in names} == before.history
    assert after.result.timeline == before.result.timeline
    assert after.result.network == before.result.network
    assert after.history["SAT4"][600]["battery.temperature"] < 20.0


def test_a_more_severe_brownout_that_overlaps_does_not_begin_the_stages_anew():
    from podium.model.scenario import Fault, Node
    from podium.sim.satellite import Satellite

    satellite = Satellite(Node("A", "satellite"))
    mild = Fault("power_brownout", "A", 0, 600 * 10**9, 0.3)
    severe = Fault("power_brownout", "A", 200 * 10**9, 100 * 10**9, 0.9)
    satellite.apply((mild,))
    satellite.apply((severe,))
    assert satellite.power.brownout_stage(200.0) == "load_shed"
    satellite.apply(())
    satellite.apply((severe,))
    assert satellite.power.brownout_stage(200.0) == "panel_damage"
