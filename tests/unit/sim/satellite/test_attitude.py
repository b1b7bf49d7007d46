from itertools import pairwise
from math import cos, degrees, exp, hypot, log2, radians, sin, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.sim.satellite import attitude as module
from podium.sim.satellite.attitude import (
    DISTURBANCE,
    INERTIA,
    TORQUE_LIMIT,
    Attitude,
    equilibrium_pitch,
)

DT = 0.1
TUMBLE = (0.21, -0.3, 0.13)
AXES = (0, 1, 2)

kicks = st.tuples(*[st.floats(-0.3, 0.3)] * 3)


def moved(kick=None, on=True, duration=0.0, dt=DT):
    body = Attitude()
    body.control(on=on)
    if kick:
        body.kick(kick)
    for _ in range(round(duration / dt)):
        body.step(dt)
    return body


def momentum(body):
    return tuple(i * w for i, w in zip(INERTIA, body.angular_velocity, strict=True))


def energy(body):
    return sum(i * w * w for i, w in zip(INERTIA, body.angular_velocity, strict=True)) / 2.0


def in_orbital_frame(body, vector):
    """Turn a vector from body axes into the frame the quaternion starts from: q v q*."""
    w, *u = body.quaternion
    cross = (
        u[1] * vector[2] - u[2] * vector[1],
        u[2] * vector[0] - u[0] * vector[2],
        u[0] * vector[1] - u[1] * vector[0],
    )
    dot = sum(a * b for a, b in zip(u, vector, strict=True))
    square = w * w - sum(a * a for a in u)
    return tuple(square * v + 2.0 * dot * a + 2.0 * w * c for v, a, c in zip(vector, u, cross, strict=True))


def test_the_inertia_is_that_of_a_homogeneous_body_of_8_kg():
    a, b, c = 0.1, 0.2, 0.3
    moments = (8.0 / 12.0 * (b * b + c * c), 8.0 / 12.0 * (a * a + c * c), 8.0 / 12.0 * (a * a + b * b))
    assert pytest.approx(moments, abs=5.1e-5) == INERTIA


@settings(deadline=None, max_examples=30)
@given(kicks, st.booleans(), st.floats(0.01, 1.0))
def test_the_quaternion_stays_a_unit_quaternion(kick, on, dt):
    body = moved(kick, on)
    for _ in range(100):
        body.step(dt)
        assert abs(hypot(*body.quaternion) - 1.0) < 1e-12


@settings(deadline=None, max_examples=20)
@given(kicks)
def test_a_free_tumble_keeps_its_angular_momentum_and_energy_but_for_the_disturbance(kick):
    before, after = moved(kick, on=False), moved(kick, on=False, duration=60.0)
    pushed = DISTURBANCE * 60.0
    fastest = sqrt(2.0 * max(energy(before), energy(after)) / min(INERTIA))
    assert abs(hypot(*momentum(after)) - hypot(*momentum(before))) <= pushed + 1e-8
    assert abs(energy(after) - energy(before)) <= pushed * fastest + 1e-8


def test_without_disturbance_a_free_tumble_conserves_energy_and_the_momentum_vector(monkeypatch):
    monkeypatch.setattr(module, "DISTURBANCE", 0.0)
    before, after = moved(TUMBLE, on=False), moved(TUMBLE, on=False, duration=120.0)
    assert after.angular_velocity != pytest.approx(before.angular_velocity, rel=0.1)
    assert hypot(*momentum(after)) == pytest.approx(hypot(*momentum(before)), rel=1e-7)
    assert energy(after) == pytest.approx(energy(before), rel=1e-7)
    fixed = in_orbital_frame(before, momentum(before))
    assert in_orbital_frame(after, momentum(after)) == pytest.approx(fixed, rel=1e-5, abs=1e-7)


def test_turning_about_the_middle_axis_is_unstable_and_about_the_others_stable(monkeypatch):
    monkeypatch.setattr(module, "DISTURBANCE", 0.0)
    largest = []
    for axis in AXES:
        kick = [1e-3, 1e-3, 1e-3]
        kick[axis] = 0.3
        body = moved(tuple(kick), on=False)
        off_axis = 0.0
        for _ in range(1500):
            body.step(DT)
            rates = list(body.angular_velocity)
            del rates[axis]
            off_axis = max(off_axis, hypot(*rates))
        largest.append(off_axis)
    assert largest[0] < 0.01
    assert largest[1] > 0.1
    assert largest[2] < 0.01


def test_a_turn_about_one_axis_follows_the_closed_form(monkeypatch):
    monkeypatch.setattr(module, "DISTURBANCE", 0.0)
    body = moved((0.0, 0.02, 0.0), on=False, duration=50.0)
    angle = 0.02 * 50.0
    assert body.quaternion == pytest.approx((cos(angle / 2), 0.0, sin(angle / 2), 0.0), abs=1e-9)
    assert body.nadir_error == pytest.approx(degrees(angle), abs=1e-6)


@pytest.mark.parametrize(("kick", "on"), [(TUMBLE, False), ((0.004, -0.005, 0.006), True)])
def test_the_integrator_is_of_fourth_order(kick, on):
    def state(dt):
        body = moved(kick, on, 8.0, dt)
        return (*body.quaternion, *body.angular_velocity)

    reference = state(0.005)
    errors = [hypot(*(a - b for a, b in zip(state(dt), reference, strict=True))) for dt in (0.8, 0.4, 0.2)]
    slopes = [log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert slopes == pytest.approx([4.0, 4.0], abs=0.25)


def test_at_rest_the_pitch_balances_the_disturbance_and_a_step_changes_nothing():
    body = Attitude()
    assert body.settled
    assert body.controlled
    assert body.nadir_error == pytest.approx(degrees(equilibrium_pitch()), abs=1e-9)
    assert body.nadir_error == pytest.approx(0.0859, abs=1e-4)
    before = body.quaternion, body.angular_velocity
    for _ in range(10):
        body.step(DT)
    assert (body.quaternion, body.angular_velocity) == before


def test_the_equilibrium_is_one_of_the_equations_of_motion_not_only_of_the_shortcut():
    body = Attitude()
    assert body._slope(body._state) == pytest.approx((0.0,) * 7, abs=1e-18)


def test_after_a_long_time_the_body_comes_to_the_equilibrium_by_itself():
    body = moved((0.01, 0.02, -0.03), duration=400.0)
    assert body.settled
    assert body.angular_velocity == (0.0, 0.0, 0.0)
    assert body.quaternion == pytest.approx(Attitude().quaternion)


@pytest.mark.parametrize("kick", [(0.01, 0.02, -0.03), *((0.0, 0.001 * n, 0.0) for n in range(1, 30))])
def test_the_body_locks_to_the_equilibrium_without_a_visible_jump(kick):
    body = moved(kick)
    before = body._state
    while not body.settled:
        before = body._state
        body.step(DT)
    assert body._state == pytest.approx(before, abs=3e-7)


@pytest.mark.parametrize("turned", [-200.0, -160.0, 160.0, 200.0])
def test_control_takes_the_shorter_way_back(turned):
    body = moved((radians(turned) / 100.0, 0.0, 0.0), on=False, duration=100.0)
    body.kick(tuple(-rate for rate in body.angular_velocity))
    body.control(on=True)
    body.step(DT)
    back = -1.0 if 0.0 < turned < 180.0 or turned < -180.0 else 1.0
    assert body.angular_velocity[0] * back > 1e-4
    for _ in range(1500):
        body.step(DT)
    assert body.nadir_error < 0.2


@settings(deadline=None, max_examples=40)
@given(kicks)
def test_a_kicked_body_under_control_settles_within_120_s(kick):
    body = moved(kick, duration=120.0)
    assert body.nadir_error < 0.2
    assert hypot(*body.angular_velocity) < 1e-4


@pytest.mark.parametrize("kick", [(0.05, 0.0, 0.0), (0.0, -0.05, 0.0), TUMBLE])
def test_without_control_a_kicked_body_turns_away_from_nadir(kick):
    body = moved(kick, on=False)
    worst = 0.0
    for _ in range(1200):
        body.step(DT)
        worst = max(worst, body.nadir_error)
    assert worst > 5.0
    assert body.rate > 1.0
    assert not body.settled


def test_control_switched_on_again_brings_a_tumbling_body_back():
    body = moved(TUMBLE, on=False, duration=60.0)
    body.control(on=True)
    for _ in range(1200):
        body.step(DT)
    assert body.nadir_error < 0.2
    assert body.rate < degrees(1e-4)


def test_without_control_the_disturbance_alone_turns_the_body_with_constant_acceleration():
    body = moved(on=False, duration=200.0)
    angle = equilibrium_pitch() + DISTURBANCE / INERTIA[1] * 200.0**2 / 2.0
    assert body.nadir_error == pytest.approx(degrees(angle), rel=1e-6)
    assert body.nadir_error > 5.0


def test_the_rate_is_the_magnitude_of_the_angular_velocity_in_degrees():
    body = moved((0.03, -0.04, 0.12))
    assert body.rate == pytest.approx(degrees(0.13))
    body.kick((0.0, 0.04, 0.0))
    assert body.angular_velocity == pytest.approx((0.03, 0.0, 0.12))


@pytest.mark.parametrize("axis", AXES)
def test_the_wheels_brake_a_fast_turn_with_exactly_their_greatest_torque(axis, monkeypatch):
    monkeypatch.setattr(module, "DISTURBANCE", 0.0)
    kick = [0.0, 0.0, 0.0]
    kick[axis] = 1.0
    body = moved(tuple(kick), duration=1.0)
    assert 1.0 - body.angular_velocity[axis] == pytest.approx(2e-3 / INERTIA[axis], rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3))
def test_no_torque_exceeds_the_limit_of_the_wheels(kick):
    body = moved(kick)
    for _ in range(50):
        before = hypot(*momentum(body))
        *_, p, q, r = body._state
        *_, dp, dq, dr = body._slope(body._state)
        ix, iy, iz = INERTIA
        torque = (ix * dp - (iy - iz) * q * r, iy * dq - (iz - ix) * r * p, iz * dr - (ix - iy) * p * q)
        assert all(abs(value) <= TORQUE_LIMIT + DISTURBANCE + 1e-12 for value in torque)
        body.step(0.02)
        greatest = sqrt(3.0) * (TORQUE_LIMIT + DISTURBANCE) * 0.02
        assert abs(hypot(*momentum(body)) - before) <= greatest * 1.001 + 1e-9


@pytest.mark.parametrize("axis", AXES)
def test_a_small_kick_is_answered_like_a_damped_oscillator(axis):
    rate = 1e-3
    kick = [0.0, 0.0, 0.0]
    kick[axis] = rate
    body = moved(tuple(kick))
    rest = Attitude().quaternion[1 + axis]
    frequency, damping = 0.1, 0.9
    damped = frequency * sqrt(1.0 - damping**2)
    decay = damping * frequency
    measured, expected = [], []
    for step in range(1, 600):
        body.step(DT)
        time = step * DT
        measured.append(2.0 * (body.quaternion[1 + axis] - rest))
        expected.append(rate / damped * exp(-decay * time) * sin(damped * time))
    assert max(abs(a - b) for a, b in zip(measured, expected, strict=True)) < 0.01 * max(expected)


def test_the_nadir_error_does_not_see_a_turn_about_the_axis_to_nadir(monkeypatch):
    monkeypatch.setattr(module, "DISTURBANCE", 0.0)
    about_nadir = moved((0.0, 0.0, radians(3.0)), on=False, duration=10.0)
    across = moved((radians(3.0), 0.0, 0.0), on=False, duration=10.0)
    assert about_nadir.nadir_error == pytest.approx(0.0, abs=1e-4)
    assert across.nadir_error == pytest.approx(30.0, abs=1e-4)
