from itertools import pairwise
from math import e, exp, log2

import pytest

from podium.sim.satellite.orbit import Orbit, is_sunlit, sun_direction
from podium.sim.satellite.thermal import (
    ISOLATED,
    KELVIN,
    RUNAWAY_LIMIT,
    RUNAWAY_POWER,
    RUNAWAY_REFERENCE,
    RUNAWAY_SCALE,
    SIGMA,
    SOLAR_CONSTANT,
    Properties,
    Thermal,
)

ALONE = Properties(background=0.0, electronics_conductance=0.0, battery_conductance=0.0)
FIXED = Properties(structure_capacity=1e18, electronics_conductance=0.0, radiating_area=0.0, background=0.0)


def after(thermal, duration, dt=1.0, sunlight=1.0, dissipated=0.0):
    for _ in range(round(duration / dt)):
        thermal.step(dt, sunlight=sunlight, dissipated=dissipated)
    return thermal


def sunlit_orbit(beta, orbits=1, phase=0.0):
    orbit, sun = Orbit.in_formation(0.0, 0.0, 420.0, phase), sun_direction(beta)
    return [float(is_sunlit(orbit.position(time), sun)) for time in range(round(orbits * orbit.period))]


@pytest.mark.parametrize(
    ("shape", "absorbing", "radiating", "temperature"),
    [
        ("sphere with alpha = eps", 1.0, 4.0, 278.321),
        ("plate radiating from both sides", 1.0, 2.0, 330.982),
        ("plate radiating from one side", 1.0, 1.0, 393.606),
    ],
)
def test_a_body_in_the_sun_reaches_its_equilibrium(shape, absorbing, radiating, temperature):
    thermal = Thermal(ALONE._replace(absorbing_area=absorbing, radiating_area=radiating))
    assert after(thermal, 40_000.0, dt=20.0).structure == pytest.approx(temperature, abs=0.0006), shape


def test_the_background_warms_like_sunlight():
    properties = ALONE._replace(background=SOLAR_CONSTANT, radiating_area=4.0)
    assert after(Thermal(properties), 40_000.0, dt=20.0, sunlight=0.0).structure == pytest.approx(278.321, abs=0.0006)


def test_free_cooling_follows_the_closed_form():
    properties = ALONE._replace(structure_capacity=5000.0, radiating_area=0.14 * 0.8)
    thermal = after(Thermal(properties, structure=300.0), 2140.0, sunlight=0.0)
    assert thermal.structure == pytest.approx(280.746564, abs=1e-6)
    exact = (300.0**-3 + 3.0 * 0.8 * SIGMA * 0.14 * 2140.0 / 5000.0) ** (-1.0 / 3.0)
    assert thermal.structure == pytest.approx(exact, abs=1e-9)


def test_the_integrator_is_of_fourth_order_against_an_exponential():
    properties = FIXED._replace(battery_conductance=9.0)  # time constant 100 s

    def error(dt):
        thermal = after(Thermal(properties, structure=300.0, battery=400.0), 320.0, dt, sunlight=0.0)
        return abs(thermal.battery - (300.0 + 100.0 * exp(-3.2)))

    slopes = [log2(coarse / fine) for coarse, fine in pairwise([error(dt) for dt in (40.0, 20.0, 10.0, 5.0)])]
    assert slopes == pytest.approx([4.0] * 3, abs=0.3)


def test_the_error_of_free_cooling_falls_with_at_least_the_fourth_order():
    # The term of fourth order is small here, so that the slope comes down to 4 from above.
    properties = ALONE._replace(structure_capacity=5000.0, radiating_area=0.14 * 0.8)
    exact = (300.0**-3 + 3.0 * SIGMA * 0.14 * 0.8 * 6400.0 / 5000.0) ** (-1.0 / 3.0)
    cooled = [after(Thermal(properties, structure=300.0), 6400.0, dt, 0.0) for dt in (800.0, 400.0, 200.0, 100.0)]
    slopes = [log2(coarse / fine) for coarse, fine in pairwise([abs(each.structure - exact) for each in cooled])]
    assert slopes == sorted(slopes, reverse=True)
    assert 3.9 < slopes[-1] < 4.5


@pytest.mark.parametrize("node", ["structure", "electronics", "battery"])
def test_the_integrator_is_of_fourth_order_with_all_nodes_and_a_runaway(node):
    def state(dt):
        thermal = Thermal(Properties(radiating_area=2.0), electronics=KELVIN + 60.0)
        thermal.runaway = 0.2
        return getattr(after(thermal, 160.0, dt, dissipated=14.0), node)

    reference = state(0.25)
    errors = [abs(state(dt) - reference) for dt in (20.0, 10.0, 5.0)]
    slopes = [log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert slopes == pytest.approx([4.0] * 2, abs=0.5)


def test_without_radiation_the_three_nodes_keep_all_the_heat_they_get():
    properties = Properties(radiating_area=0.0)
    thermal = Thermal(properties, structure=280.0, electronics=320.0, battery=300.0)
    thermal.external = 3.0
    cs, ce, cb, *_ = properties
    before = cs * 280.0 + ce * 320.0 + cb * 300.0
    after(thermal, 1000.0, sunlight=0.5, dissipated=14.0)
    stored = cs * thermal.structure + ce * thermal.electronics + cb * thermal.battery - before
    given = (15.0 + 0.0312 * SOLAR_CONSTANT * 0.5 + 14.0 + 3.0) * 1000.0
    assert stored == pytest.approx(given, rel=1e-9)


def test_left_alone_the_three_nodes_come_to_their_mean_temperature():
    properties = Properties(radiating_area=0.0, background=0.0)
    thermal = after(Thermal(properties, structure=280.0, electronics=320.0, battery=300.0), 60_000.0, 10.0, 0.0)
    mean = (3500.0 * 280.0 + 800.0 * 320.0 + 900.0 * 300.0) / 5200.0
    assert (thermal.structure, thermal.electronics, thermal.battery) == pytest.approx((mean,) * 3, abs=1e-6)


def test_in_a_steady_state_each_conductance_carries_the_heat_of_its_node():
    thermal = Thermal()
    thermal.external = 5.0
    after(thermal, 100_000.0, 20.0, dissipated=14.0)
    assert thermal.electronics - thermal.structure == pytest.approx(14.0 / 2.0, abs=1e-6)
    assert thermal.battery - thermal.structure == pytest.approx(5.0 / 0.5, abs=1e-6)
    absorbed = 15.0 + 0.0312 * SOLAR_CONSTANT + 14.0 + 5.0
    assert thermal.structure == pytest.approx((absorbed / (0.16 * SIGMA)) ** 0.25, abs=1e-6)


def semenov(psi, offset=0.0):
    """Return the battery's rise above a fixed structure, in units of the scale, a long time after a short began.

    The structure stands `offset` scales above the reference temperature, which multiplies psi by exp(offset).
    """
    structure = RUNAWAY_REFERENCE + offset * RUNAWAY_SCALE
    thermal = Thermal(FIXED, structure=structure, battery=structure)
    thermal.runaway = psi * e**-offset * FIXED.battery_conductance * RUNAWAY_SCALE / RUNAWAY_POWER
    after(thermal, 150_000.0, 30.0, sunlight=0.0)
    assert thermal.structure == pytest.approx(structure)
    return (thermal.battery - structure) / RUNAWAY_SCALE


@pytest.mark.parametrize("offset", [0.0, -0.5, 0.5])
def test_a_short_below_semenovs_threshold_comes_to_a_steady_state(offset):
    theta = semenov(0.98 / e, offset)
    assert theta < 1.0
    assert 0.98 / e * e**theta == pytest.approx(theta, abs=1e-3)  # what is made is what is carried away


@pytest.mark.parametrize("offset", [0.0, -0.5, 0.5])
def test_a_short_above_semenovs_threshold_runs_away_until_the_short_limits_itself(offset):
    psi = 1.02 / e
    assert semenov(psi, offset) == pytest.approx(psi * e ** (RUNAWAY_LIMIT - offset), rel=1e-6)


@pytest.mark.parametrize("severity", [0.1, 0.4, 0.7, 1.0])
def test_every_severity_of_a_runaway_lies_above_the_threshold_and_safe_mode_below(severity):
    properties = Properties()
    psi = RUNAWAY_POWER * severity / (properties.battery_conductance * RUNAWAY_SCALE)
    assert psi > 1.0 / e
    cooled = ISOLATED * RUNAWAY_POWER * severity / (properties.strap_conductance * RUNAWAY_SCALE)
    assert cooled < 1.0 / e


@pytest.mark.parametrize("beta", [0.0, 30.0, 50.0])
@pytest.mark.parametrize("phase", [0.0, 180.0])
def test_in_orbit_the_battery_stays_between_0_and_45_degrees(beta, phase):
    thermal = Thermal()
    reached = []
    for sunlight in sunlit_orbit(beta, orbits=3, phase=phase):
        thermal.step(1.0, sunlight=sunlight, dissipated=14.0)
        reached.append(thermal.battery - KELVIN)
    assert min(reached) > 0.0
    assert max(reached) < 45.0


def seconds_to(temperature, thermal, limit=3600):
    for second in range(1, limit):
        thermal.step(1.0, sunlight=1.0, dissipated=14.0)
        if thermal.battery - KELVIN > temperature:
            return second
    return None


@pytest.mark.parametrize("start", [15.0, 20.0, 25.0])
def test_a_runaway_of_severity_0_7_takes_one_to_three_minutes_to_65_degrees(start):
    thermal = Thermal(battery=KELVIN + start)
    thermal.runaway = 0.7
    assert 60 <= seconds_to(65.0, thermal) <= 180


def test_a_worse_runaway_is_faster():
    times = []
    for severity in (0.4, 0.7, 1.0):
        thermal = Thermal(battery=KELVIN + 20.0)
        thermal.runaway = severity
        times.append(seconds_to(65.0, thermal))
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 3


def test_safe_mode_at_50_degrees_stops_a_runaway_below_60():
    thermal = Thermal(battery=KELVIN + 20.0)
    thermal.runaway = 0.7
    assert seconds_to(50.0, thermal)
    thermal.safe = True
    assert seconds_to(60.0, thermal) is None
    assert thermal.battery - KELVIN < 45.0


def test_without_safe_mode_the_same_runaway_goes_far_beyond():
    thermal = Thermal(battery=KELVIN + 20.0)
    thermal.runaway = 0.7
    assert seconds_to(150.0, thermal)


def test_the_heat_of_a_short_grows_e_fold_per_40_degrees_up_to_its_limit():
    thermal = Thermal(battery=293.15)
    assert thermal.short_power() == 0.0
    thermal.runaway = 0.5
    assert thermal.short_power() == pytest.approx(0.5 * RUNAWAY_POWER)
    thermal.battery = 333.15
    assert thermal.short_power() == pytest.approx(0.5 * RUNAWAY_POWER * e)
    thermal.battery = 5000.0
    assert thermal.short_power() == pytest.approx(0.5 * RUNAWAY_POWER * e**3)
    thermal.safe = True
    assert thermal.short_power() == pytest.approx(0.5 * RUNAWAY_POWER * ISOLATED * e**3)


def test_an_empty_battery_feeds_no_runaway():
    hot, cool = Thermal(), Thermal()
    hot.runaway = 1.0
    hot.step(1.0, sunlight=1.0, dissipated=14.0, charged=False)
    cool.step(1.0, sunlight=1.0, dissipated=14.0)
    assert hot.battery == cool.battery
