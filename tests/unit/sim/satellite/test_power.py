from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.sim.satellite.power import (
    ARRAY_POWER,
    CAPACITY,
    LOAD_BUS,
    LOAD_PAYLOAD,
    VOLTAGE_EMPTY,
    VOLTAGE_FULL,
    Power,
    discharge_factor,
    panel_factor,
)

FULL = CAPACITY * 3600.0

stretch = st.tuples(
    st.integers(1, 40),
    st.floats(0.01, 200.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 6000.0),
    st.none() | st.floats(0.1, 1.0),
    st.booleans(),
)


def after(power, duration, *, dt=1.0, exposure=0.0, short=0.0, start=0.0):
    for n in range(1, round(duration / dt) + 1):
        power.step(start + n * dt, dt, exposure, short)
    return power


@settings(deadline=None)
@given(st.floats(0.0, 1.0), st.lists(stretch, max_size=8))
def test_every_joule_is_accounted_for(soc, stretches):
    power = Power(soc)
    start = power.soc * FULL
    time = flow = gross = 0.0
    for count, dt, exposure, short, severity, payload in stretches:
        power.brownout(severity, time)
        power.payload_on = payload
        for _ in range(count):
            time += dt
            power.step(time, dt, exposure, short)
            flow += power.net * dt
            gross += abs(power.net) * dt
            assert 0.0 <= power.soc <= 1.0
            assert VOLTAGE_EMPTY <= power.voltage <= VOLTAGE_FULL
    stored = power.soc * FULL - start
    assert abs(flow - (stored + power.spilled - power.unmet)) <= 1e-9 * (gross + FULL)
    assert power.spilled >= 0.0
    assert power.unmet >= 0.0


@settings(deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 100.0), st.booleans())
def test_without_faults_the_net_power_is_what_is_generated_less_what_is_used(exposure, short, payload):
    power = Power(0.5)
    power.payload_on = payload
    power.step(1.0, 1.0, exposure, short)
    assert power.generated == pytest.approx(ARRAY_POWER * exposure)
    assert power.load == LOAD_BUS + LOAD_PAYLOAD * payload
    assert power.net == pytest.approx(power.generated - power.load - short)
    assert power.soc == pytest.approx(0.5 + power.net / FULL)


def test_the_arrays_give_their_area_times_efficiency_times_the_solar_constant():
    assert pytest.approx(0.12 * 0.28 * 1361.0, rel=1e-3) == ARRAY_POWER


def test_a_full_battery_lasts_as_long_as_its_capacity_says():
    hours = CAPACITY / (LOAD_BUS + LOAD_PAYLOAD)
    assert hours == pytest.approx(4.2)
    power = after(Power(1.0), hours * 3600.0, dt=10.0)
    assert power.soc == pytest.approx(0.0, abs=1e-9)
    assert power.unmet == pytest.approx(0.0, abs=1e-3)


def test_the_voltage_falls_linearly_from_8_4_to_6_5():
    assert [Power(soc).voltage for soc in (0.0, 0.5, 1.0)] == pytest.approx([6.5, 7.45, 8.4])


def test_a_full_battery_spills_what_it_cannot_hold():
    power = after(Power(1.0), 100.0, exposure=1.0)
    assert power.soc == 1.0
    assert power.spilled == pytest.approx((ARRAY_POWER - 14.0) * 100.0)
    assert power.unmet == 0.0


def test_an_empty_battery_gives_nothing():
    power = after(Power(0.0), 100.0)
    assert power.soc == 0.0
    assert power.unmet == pytest.approx(1400.0)
    assert power.spilled == 0.0
    after(power, 10.0, exposure=1.0, start=100.0)
    assert power.soc == pytest.approx((ARRAY_POWER - 14.0) * 10.0 / FULL)


@pytest.mark.parametrize(
    ("elapsed", "stage"),
    [
        (0, "panel_damage"),
        (59, "panel_damage"),
        (59.9, "panel_damage"),
        (60, "battery_stress"),
        (179, "battery_stress"),
        (179.9, "battery_stress"),
        (180, "load_shed"),
        (10_000, "load_shed"),
    ],
)
@pytest.mark.parametrize("since", [0.0, 250.0])
def test_a_brownout_goes_through_its_stages(elapsed, stage, since):
    power = Power()
    power.brownout(0.5, since)
    assert power.brownout_stage(since + elapsed) == stage


def test_the_stages_act_on_arrays_battery_and_load():
    power = Power()
    power.brownout(1.0, 100.0)
    power.step(159.0, 1.0, 0.5, 0.0)
    generated = ARRAY_POWER * 0.05
    assert (power.generated, power.load, power.net) == pytest.approx((generated, 14.0, generated - 14.0))
    power.step(160.0, 1.0, 0.5, 0.0)
    assert power.net == pytest.approx(2.5 * (generated - 14.0))
    power.step(279.0, 1.0, 0.5, 0.0)
    assert power.net == pytest.approx(2.5 * (generated - 14.0))
    power.step(280.0, 1.0, 0.5, 0.0)
    assert (power.load, power.net) == pytest.approx((LOAD_BUS, generated - LOAD_BUS))


def test_a_stressed_battery_that_is_charged_loses_nothing_more():
    power = Power(0.5)
    power.brownout(0.1, 0.0)
    power.step(100.0, 1.0, 1.0, 0.0)
    assert power.net == pytest.approx(ARRAY_POWER * 0.37 - 14.0)


def test_the_end_of_a_brownout_restores_everything():
    power, sound = Power(), Power()
    power.brownout(0.8, 0.0)
    power.brownout(None)
    for each in (power, sound):
        each.step(100.0, 1.0, 0.7, 0.0)
    assert power.brownout_stage(100.0) == "none"
    assert (power.generated, power.load, power.net, power.array_ratio) == (
        sound.generated,
        sound.load,
        sound.net,
        sound.array_ratio,
    )


def test_the_payload_switched_off_stays_off_during_a_brownout():
    power = Power()
    power.payload_on = False
    power.brownout(0.5, 0.0)
    power.step(1.0, 1.0, 0.0, 0.0)
    assert power.load == LOAD_BUS


def test_the_factors_of_a_brownout_at_least_and_greatest_severity():
    assert [panel_factor(0.1), panel_factor(1.0)] == pytest.approx([0.37, 0.1])
    assert [discharge_factor(0.1), discharge_factor(1.0)] == pytest.approx([1.6, 2.5])


def test_the_array_ratio_shows_the_damage_in_the_sun_only():
    power = Power()
    power.step(1.0, 1.0, 0.3, 0.0)
    assert power.array_ratio == 1.0
    power.brownout(0.1, 1.0)
    power.step(2.0, 1.0, 0.3, 0.0)
    assert power.array_ratio == pytest.approx(0.37)
    assert power.array_ratio == pytest.approx(power.generated / (ARRAY_POWER * 0.3))
    power.step(3.0, 1.0, 0.0, 0.0)
    assert power.array_ratio == 1.0


def test_a_short_drains_the_battery_whatever_the_arrays_give():
    power = Power(0.5)
    power.step(1.0, 1.0, 1.0, 500.0)
    assert power.net == pytest.approx(ARRAY_POWER - 14.0 - 500.0)


def test_the_step_does_not_change_the_sum():
    coarse, fine = after(Power(0.5), 600.0, dt=10.0, exposure=0.6), after(Power(0.5), 600.0, dt=0.1, exposure=0.6)
    assert isclose(coarse.soc, fine.soc, rel_tol=1e-9)


def test_an_orbit_with_an_eclipse_is_power_positive():
    power = after(Power(0.5), 5578.0 * 0.6125, exposure=1.0)
    after(power, 5578.0 * 0.3875)
    assert power.soc > 0.5
