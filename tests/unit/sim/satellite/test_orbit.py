from itertools import pairwise
from math import acos, asin, atan2, cos, degrees, dist, hypot, pi, radians, sin, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.sim.satellite.orbit import (
    EARTH_RADIUS,
    EARTH_ROTATION,
    INCLINATION,
    MU,
    Orbit,
    eccentric_anomaly,
    eclipse_fraction,
    is_sunlit,
    sees_station,
    sun_direction,
)

ALTITUDE = 420.0
RADIUS = EARTH_RADIUS + ALTITUDE
LIMIT_BETA = degrees(asin(EARTH_RADIUS / RADIUS))


def formation(along=0.0, across=0.0, altitude=ALTITUDE, phase=0.0):
    return Orbit.in_formation(along, across, altitude, phase)


def without_j2(orbit):
    """Leave Kepler's motion alone, which has exact invariants."""
    orbit.node_rate = orbit.perigee_rate = 0.0
    orbit.mean_motion = 2.0 * pi / orbit.period
    return orbit


def numeric_velocity(orbit, time, step=0.05):
    before, after = orbit.position(time - step), orbit.position(time + step)
    return tuple((b - a) / (2.0 * step) for a, b in zip(before, after, strict=True))


def angle_in_plane(position):
    """Argument of latitude, for an orbit whose node is at 0."""
    x, y, _ = position
    return atan2(y / cos(radians(INCLINATION)), x)


def distances(first, second, count=400):
    return [dist(first.position(t), second.position(t)) for t in (first.period * k / count for k in range(count + 1))]


def shadow_fraction(orbit, beta, samples):
    nodal = 2.0 * pi / (orbit.mean_motion + orbit.perigee_rate)
    sun = sun_direction(beta)
    return sum(not is_sunlit(orbit.position(nodal * (k + 0.5) / samples), sun) for k in range(samples)) / samples


def test_the_period_at_420_km_is_that_of_kepler():
    assert formation().period == pytest.approx(5578.22, abs=0.005)


def test_the_node_drifts_as_the_oblate_earth_demands():
    assert degrees(formation().node_rate) * 86400 == pytest.approx(-4.946, abs=0.0005)


def test_the_node_of_a_sun_synchronous_orbit_turns_once_a_year():
    # Mean elements of Landsat: 7077.8 km, 98.2 deg (Vallado, section 11.4.1 gives 98.2 deg for 700 km).
    orbit = Orbit(EARTH_RADIUS + 700.0, inclination=98.19)
    assert degrees(orbit.node_rate) * 365.2422 * 86400 == pytest.approx(360.0, rel=2e-3)


def test_the_perigee_stands_still_at_the_critical_inclination():
    assert Orbit(26600.0, eccentricity=0.7, inclination=degrees(asin(sqrt(0.8)))).perigee_rate == pytest.approx(0)


@pytest.mark.parametrize(
    ("axis", "e", "inclination"), [(6798.137, 0.0, 51.6456), (26554.0, 0.72, 63.4), (9000.0, 0.2, 98.0)]
)
def test_the_secular_rates_are_those_of_the_closed_forms(axis, e, inclination):
    orbit = Orbit(axis, eccentricity=e, inclination=inclination)
    n = sqrt(398600.4418 / axis**3)
    c = cos(radians(inclination))
    flattening = 1.08262668e-3 * (6378.137 / (axis * (1.0 - e * e))) ** 2
    assert orbit.node_rate == pytest.approx(-1.5 * n * flattening * c, rel=1e-9)
    assert orbit.perigee_rate == pytest.approx(0.75 * n * flattening * (5.0 * c * c - 1.0), rel=1e-9, abs=1e-18)
    change = 0.75 * n * flattening * sqrt(1.0 - e * e) * (3.0 * c * c - 1.0)
    assert orbit.mean_motion - n == pytest.approx(change, rel=1e-6)


def test_the_position_follows_the_drifting_node():
    orbit = formation()
    day = 2.0 * pi / (orbit.mean_motion + orbit.perigee_rate) * 16  # whole turns: at the ascending node again
    x, y, z = orbit.position(day)
    assert z == pytest.approx(0.0, abs=1e-6)
    assert degrees(atan2(y, x)) == pytest.approx(-4.946 * day / 86400, abs=1e-3)


@settings(deadline=None)
@given(st.floats(-4 * pi, 4 * pi), st.floats(0.0, 0.95))
def test_the_eccentric_anomaly_satisfies_keplers_equation(mean, eccentricity):
    value = eccentric_anomaly(mean, eccentricity)
    residual = value - eccentricity * sin(value) - mean
    assert abs(residual - 2.0 * pi * round(residual / (2.0 * pi))) < 1e-12


def test_keplers_equation_is_solved_on_a_fine_grid_up_to_high_eccentricity():
    worst = 0.0
    for e in (0.1, 0.5, 0.79, 0.8, 0.9, 0.95):
        for mean in (2.0 * pi * k / 2000 for k in range(-1999, 2000)):
            value = eccentric_anomaly(mean, e)
            worst = max(worst, abs(value - e * sin(value) - mean))
    assert worst < 1e-12


@settings(deadline=None)
@given(st.floats(0.0, 0.9), st.floats(6600.0, 42164.0), st.floats(0.0, 1e6))
def test_the_radius_stays_between_perigee_and_apogee(eccentricity, axis, time):
    radius = hypot(*Orbit(axis, eccentricity=eccentricity, mean_anomaly=40.0).position(time))
    assert axis * (1 - eccentricity) * (1 - 1e-12) <= radius <= axis * (1 + eccentricity) * (1 + 1e-12)


def test_the_radius_reaches_perigee_and_apogee():
    orbit = without_j2(Orbit(10000.0, eccentricity=0.3))
    assert hypot(*orbit.position(0.0)) == pytest.approx(7000.0)
    assert hypot(*orbit.position(orbit.period / 2.0)) == pytest.approx(13000.0)


@settings(deadline=None)
@given(st.floats(0.0, 0.8), st.floats(0.0, 1.0), st.floats(0.0, 360.0))
def test_energy_angular_momentum_and_speed_are_those_of_kepler(eccentricity, part, perigee):
    orbit = without_j2(Orbit(12000.0, eccentricity=eccentricity, node=30.0, perigee=perigee))
    time = part * orbit.period
    position, velocity = orbit.position(time), numeric_velocity(orbit, time)
    radius, speed = hypot(*position), hypot(*velocity)
    (x, y, z), (u, v, w) = position, velocity
    momentum = (y * w - z * v, z * u - x * w, x * v - y * u)
    assert speed == pytest.approx(orbit.speed(radius), rel=1e-6)
    assert speed * speed / 2.0 - MU / radius == pytest.approx(-MU / 24000.0, rel=1e-5)
    assert hypot(*momentum) == pytest.approx(sqrt(MU * 12000.0 * (1.0 - eccentricity**2)), rel=1e-6)
    assert momentum[2] / hypot(*momentum) == pytest.approx(cos(radians(INCLINATION)), abs=1e-6)


def test_the_speed_at_420_km_holds_within_the_effect_of_j2():
    orbit = formation()
    assert orbit.speed(RADIUS) == pytest.approx(7.6573, abs=1e-4)
    assert hypot(*numeric_velocity(orbit, 1000.0)) == pytest.approx(orbit.speed(RADIUS), rel=1.5e-3)


def test_the_eclipse_takes_0_3875_of_an_orbit_in_the_suns_plane():
    assert eclipse_fraction(ALTITUDE, 0.0) == pytest.approx(0.3875, abs=5e-5)


@pytest.mark.parametrize("beta", [0.0, -20.0, 35.0, 50.0, -60.0, 66.0, LIMIT_BETA - 0.1])
def test_a_sampled_orbit_is_in_the_shadow_as_long_as_the_closed_form_says(beta):
    orbit = formation(phase=17.0)
    orbit.node_rate = 0.0  # keeps beta constant
    samples = 5000
    assert shadow_fraction(orbit, beta, samples) == pytest.approx(eclipse_fraction(ALTITUDE, beta), abs=2.0 / samples)


def test_the_drift_of_the_node_changes_the_eclipse_of_one_orbit_by_less_than_a_percent_point():
    assert shadow_fraction(formation(), 50.0, 2000) == pytest.approx(eclipse_fraction(ALTITUDE, 50.0), abs=0.01)


@pytest.mark.parametrize("beta", [LIMIT_BETA + 0.1, -LIMIT_BETA - 0.1, 75.0, 90.0, -90.0])
def test_above_the_limiting_beta_there_is_no_eclipse(beta):
    orbit = formation()
    orbit.node_rate = 0.0
    assert eclipse_fraction(ALTITUDE, beta) == 0.0
    assert shadow_fraction(orbit, beta, 500) == 0.0


@given(st.floats(-90.0, 90.0))
def test_the_sun_stands_at_beta_above_the_plane_of_the_reference_orbit(beta):
    sun = sun_direction(beta)
    normal = (0.0, -sin(radians(INCLINATION)), cos(radians(INCLINATION)))
    assert hypot(*sun) == pytest.approx(1.0)
    assert sum(a * b for a, b in zip(sun, normal, strict=True)) == pytest.approx(sin(radians(beta)), abs=1e-12)


@pytest.mark.parametrize("beta", [0.0, 40.0, -60.0])
def test_phase_0_starts_at_noon_and_phase_180_at_midnight(beta):
    sun = sun_direction(beta)

    def height(phase):
        return sum(a * b for a, b in zip(formation(phase=phase).position(0.0), sun, strict=True))

    heights = [height(phase) for phase in range(360)]
    assert heights.index(max(heights)) == 0
    assert heights.index(min(heights)) == 180
    assert is_sunlit(formation(phase=0.0).position(0.0), sun)
    assert not is_sunlit(formation(phase=180.0).position(0.0), sun)


def test_the_shadow_is_a_cylinder_behind_the_earth():
    sun = (1.0, 0.0, 0.0)
    assert is_sunlit((7000.0, 0.0, 0.0), sun)
    assert not is_sunlit((-7000.0, 0.0, 0.0), sun)
    assert not is_sunlit((-50000.0, EARTH_RADIUS - 0.001, 0.0), sun)
    assert is_sunlit((-50000.0, EARTH_RADIUS + 0.001, 0.0), sun)


def test_satellites_at_the_same_place_stay_together():
    assert max(distances(formation(phase=33.0), formation(phase=33.0))) == 0.0


@pytest.mark.parametrize("along", [0.5, -2.0, 25.0])
def test_an_offset_along_the_track_is_kept(along):
    measured = distances(formation(), formation(along))
    assert min(measured) > abs(along) * 0.99
    assert max(measured) < abs(along) * 1.01


def test_a_positive_offset_along_the_track_flies_ahead():
    ahead = formation(5.0).position(0.0)
    velocity = numeric_velocity(formation(), 0.0)
    separation = [a - b for a, b in zip(ahead, formation().position(0.0), strict=True)]
    forward = sum(a * b for a, b in zip(separation, velocity, strict=True)) / hypot(*velocity)
    assert forward == pytest.approx(5.0, rel=0.01)


def test_an_offset_across_the_track_oscillates_twice_per_orbit_between_nothing_and_its_full_size():
    measured = distances(formation(), formation(0.0, 2.0))
    assert max(measured) == pytest.approx(2.0, rel=0.01)
    assert min(measured) < 0.03
    rising = [b > a for a, b in pairwise(measured)]
    assert sum(a != b for a, b in pairwise(rising)) in (3, 4)


def test_an_offset_across_the_track_adds_at_right_angles_to_one_along_it():
    measured = distances(formation(), formation(3.0, 4.0))
    assert min(measured) == pytest.approx(3.0, rel=0.01)
    assert max(measured) == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize("higher", [1.0, -1.0, 5.0])
def test_a_higher_satellite_falls_behind_by_three_halves_of_the_motion(higher):
    low, high = formation(), formation(altitude=ALTITUDE + higher)
    low.node_rate = high.node_rate = 0.0
    time = low.period / 5.0
    behind = (angle_in_plane(low.position(time)) - angle_in_plane(high.position(time))) * RADIUS
    motion = 2.0 * pi / low.period
    assert behind == pytest.approx(1.5 * motion * higher * time, rel=0.01)


def test_the_station_sees_a_satellite_exactly_within_its_horizon_circle():
    orbit = formation()
    horizon = acos(EARTH_RADIUS * cos(radians(10.0)) / RADIUS) - radians(10.0)
    seen = []
    for time in range(0, 86400, 15):
        position = orbit.position(time)
        turn = EARTH_ROTATION * time
        up = (cos(radians(52)) * cos(turn), cos(radians(52)) * sin(turn), sin(radians(52)))
        central = acos(sum(a * b for a, b in zip(position, up, strict=True)) / RADIUS)
        if abs(central - horizon) > 1e-9:
            assert sees_station(position, time) == (central < horizon)
        seen.append(sees_station(position, time))
    assert 0.01 < sum(seen) / len(seen) < 0.1


@pytest.mark.parametrize("north", [1.0, -1.0])
def test_the_station_sees_down_to_10_degrees_above_its_horizon(north):
    horizon = degrees(acos(EARTH_RADIUS * cos(radians(10.0)) / RADIUS)) - 10.0

    def seen(central):
        latitude = radians(52.0 + north * central)
        return sees_station((RADIUS * cos(latitude), 0.0, RADIUS * sin(latitude)), 0.0)

    assert seen(horizon - 0.001)
    assert not seen(horizon + 0.001)


def test_the_station_comes_round_after_a_sidereal_day():
    assert 2.0 * pi / EARTH_ROTATION == pytest.approx(86164.1, abs=0.05)


@given(st.floats(300.0, 2000.0), st.floats(0.0, 86400.0), st.floats(0.0, 360.0))
def test_the_station_sees_nothing_on_the_other_side_of_the_earth(altitude, time, phase):
    position = formation(altitude=altitude, phase=phase).position(time)
    turn = EARTH_ROTATION * time
    up = (cos(radians(52)) * cos(turn), cos(radians(52)) * sin(turn), sin(radians(52)))
    if sum(a * b for a, b in zip(position, up, strict=True)) < 0.0:
        assert not sees_station(position, time)


def test_the_station_sees_what_stands_above_it_and_turns_with_the_earth():
    above = (7000.0 * cos(radians(52)), 0.0, 7000.0 * sin(radians(52)))
    assert sees_station(above, 0.0)
    assert not sees_station(above, 43082.0)  # half a turn later
    assert not sees_station(tuple(-value for value in above), 0.0)
