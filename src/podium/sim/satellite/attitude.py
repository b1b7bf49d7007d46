"""Where the satellite points: a rigid body under a pointing controller, a disturbance, or nothing.

The quaternion turns the local orbital frame (z to nadir) into the body frame. Orbital rate is neglected: it is
0.06 deg/s, and the frame turns with the orbit. Kinematics and Euler's equations as in Wertz, Spacecraft Attitude
Determination and Control, chapter 16; the controller is the quaternion feedback of Wie, Space Vehicle Dynamics and
Control, section 7.3.
"""

from __future__ import annotations

from math import acos, asin, cos, degrees, sin, sqrt

INERTIA = (0.0867, 0.0667, 0.0333)
"""Principal moments of a homogeneous 6U body, 8 kg, 0.1 x 0.2 x 0.3 m: m/12 (b^2 + c^2) [kg m^2]."""
NATURAL_FREQUENCY = 0.1
"""Of the closed loop: settles a full tumble within two minutes [rad/s]."""
DAMPING = 0.9
"""Of the closed loop [1]."""
TORQUE_LIMIT = 2e-3
"""Of each reaction wheel: class of small-satellite wheels [N m]."""
DISTURBANCE = 1e-6
"""Constant pitch torque: drag at 420 km, centre of pressure 2 cm off; order of magnitude of SMAD table 11-9 [N m]."""
_LOCK_RATE = 1e-7
_LOCK_ANGLE = 1e-7

State = tuple[float, float, float, float, float, float, float]


class Attitude:
    """Attitude and angular rate of one satellite.

    Attributes:
        controlled: Whether the controller knows where to point and acts.
        nadir_error: Angle between body z axis and nadir [deg].
        settled: Whether the body rests at the controller's equilibrium, so that a step changes nothing.
    """

    def __init__(self) -> None:
        pitch = equilibrium_pitch()
        self._rest = (cos(pitch / 2.0), 0.0, sin(pitch / 2.0), 0.0)
        self._state: State = (*self._rest, 0.0, 0.0, 0.0)
        self.controlled = True
        self.settled = True
        self.nadir_error = _nadir_error(self._state)

    @property
    def quaternion(self) -> tuple[float, float, float, float]:
        """Unit quaternion w, x, y, z."""
        return self._state[:4]

    @property
    def angular_velocity(self) -> tuple[float, float, float]:
        """In body axes [rad/s]."""
        return self._state[4:]

    @property
    def rate(self) -> float:
        """Magnitude of the angular velocity [deg/s]."""
        _, _, _, _, x, y, z = self._state
        return degrees(sqrt(x * x + y * y + z * z))

    def kick(self, change: tuple[float, float, float]) -> None:
        """Change the angular velocity at once.

        Args:
            change: In body axes [rad/s].
        """
        w, x, y, z, p, q, r = self._state
        self._state = (w, x, y, z, p + change[0], q + change[1], r + change[2])
        self.settled = False

    def control(self, *, on: bool) -> None:
        """Switch the controller."""
        self.settled = self.settled and on
        self.controlled = on

    def step(self, dt: float) -> None:
        """Advance by one step of the classical Runge-Kutta method.

        Args:
            dt: [s].
        """
        if self.settled:
            return
        state = self._state
        k1 = self._slope(state)
        k2 = self._slope(_moved(state, k1, dt / 2.0))
        k3 = self._slope(_moved(state, k2, dt / 2.0))
        k4 = self._slope(_moved(state, k3, dt))
        sixth = dt / 6.0
        w, x, y, z, p, q, r = (
            value + sixth * (a + 2.0 * b + 2.0 * c + d) for value, a, b, c, d in zip(state, k1, k2, k3, k4, strict=True)
        )
        norm = sqrt(w * w + x * x + y * y + z * z)
        self._state = (w / norm, x / norm, y / norm, z / norm, p, q, r)
        if self.controlled:
            self._settle()
        self.nadir_error = _nadir_error(self._state)

    def _slope(self, state: State) -> State:
        w, x, y, z, p, q, r = state
        ix, iy, iz = INERTIA
        tx = ty = tz = 0.0
        if self.controlled:
            stiffness = -2.0 * NATURAL_FREQUENCY * NATURAL_FREQUENCY * (1.0 if w >= 0.0 else -1.0)
            damping = -2.0 * DAMPING * NATURAL_FREQUENCY
            tx = _limited(ix * (stiffness * x + damping * p))
            ty = _limited(iy * (stiffness * y + damping * q))
            tz = _limited(iz * (stiffness * z + damping * r))
        ty += DISTURBANCE
        return (
            -0.5 * (x * p + y * q + z * r),
            0.5 * (w * p + y * r - z * q),
            0.5 * (w * q + z * p - x * r),
            0.5 * (w * r + x * q - y * p),
            (tx + (iy - iz) * q * r) / ix,
            (ty + (iz - ix) * r * p) / iy,
            (tz + (ix - iy) * p * q) / iz,
        )

    def _settle(self) -> None:
        w, x, y, z, p, q, r = self._state
        if abs(p) + abs(q) + abs(r) > _LOCK_RATE:
            return
        sign = 1.0 if w >= 0.0 else -1.0
        if abs(x) + abs(z) + abs(sign * y - self._rest[2]) < _LOCK_ANGLE:
            self._state = (*self._rest, 0.0, 0.0, 0.0)
            self.settled = True


def equilibrium_pitch() -> float:
    """Return the pitch angle at which the controller balances the disturbance, in closed form [rad]."""
    return 2.0 * asin(DISTURBANCE / (2.0 * INERTIA[1] * NATURAL_FREQUENCY**2))


def _moved(state: State, slope: State, dt: float) -> State:
    a, b, c, d, e, f, g = state
    p, q, r, s, t, u, v = slope
    return (a + dt * p, b + dt * q, c + dt * r, d + dt * s, e + dt * t, f + dt * u, g + dt * v)


def _limited(torque: float) -> float:
    return max(-TORQUE_LIMIT, min(TORQUE_LIMIT, torque))


def _nadir_error(state: State) -> float:
    _, x, y, _, _, _, _ = state
    return degrees(acos(max(-1.0, min(1.0, 1.0 - 2.0 * (x * x + y * y)))))
