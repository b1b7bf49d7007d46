"""Where the satellite is and whether the Sun shines on it: Kepler's motion, the secular part of J2, Earth's shadow.

Constants: WGS 84 / EGM96 as in Vallado, Fundamentals of Astrodynamics, 4th edition, appendix D.
"""

from __future__ import annotations

from math import acos, asin, atan2, copysign, cos, degrees, fmod, pi, radians, sin, sqrt

MU = 398600.4418
"""Gravitational parameter of the Earth [km^3/s^2]."""
EARTH_RADIUS = 6378.137
"""Mean equatorial radius [km]."""
J2 = 1.08262668e-3
"""Second zonal harmonic of the Earth's gravity field [1]."""
INCLINATION = 51.6456
"""Of every satellite of a scenario: that of the International Space Station [deg]."""
EARTH_ROTATION = 7.292115e-5
"""Rate of the Earth's rotation [rad/s]."""
_STATION_LATITUDE = radians(52.0)
_LOWEST_ELEVATION = radians(10.0)

Vector = tuple[float, float, float]


class Orbit:
    """One satellite's orbit.

    Kepler's motion with the secular rates of node, perigee and mean anomaly due to J2 (Vallado, section 9.4).

    Args:
        semi_major_axis: [km].
        eccentricity: 0..1, below 1 [1].
        inclination: [deg].
        node: Right ascension of the ascending node at time 0 [deg].
        perigee: Argument of perigee at time 0 [deg].
        mean_anomaly: At time 0 [deg].
    """

    def __init__(
        self,
        semi_major_axis: float,
        *,
        eccentricity: float = 0.0,
        inclination: float = INCLINATION,
        node: float = 0.0,
        perigee: float = 0.0,
        mean_anomaly: float = 0.0,
    ) -> None:
        self.semi_major_axis = semi_major_axis
        self.eccentricity = eccentricity
        self._inclination = radians(inclination)
        self._cos_i, self._sin_i = cos(self._inclination), sin(self._inclination)
        self._node, self._perigee, self._mean_anomaly = radians(node), radians(perigee), radians(mean_anomaly)
        motion = sqrt(MU / semi_major_axis**3)
        flat = 1.0 - eccentricity**2
        factor = 1.5 * J2 * motion * (EARTH_RADIUS / (semi_major_axis * flat)) ** 2
        self.node_rate = -factor * self._cos_i
        """Drift of the node [rad/s]."""
        self.perigee_rate = factor * (2.0 - 2.5 * self._sin_i**2)
        """Drift of the perigee [rad/s]."""
        self.mean_motion = motion + factor * sqrt(flat) * (1.0 - 1.5 * self._sin_i**2)
        """With the J2 term [rad/s]."""

    @classmethod
    def in_formation(cls, along_km: float, across_km: float, altitude_km: float, phase_deg: float) -> Orbit:
        """Return a circular orbit with an offset from the formation's reference orbit.

        Args:
            along_km: Offset along the track [km].
            across_km: Greatest offset across the track [km].
            altitude_km: Above the mean equatorial radius [km].
            phase_deg: Angle of the reference from the point nearest to the Sun, at time 0 [deg].
        """
        radius = EARTH_RADIUS + altitude_km
        node = across_km / (radius * sin(radians(INCLINATION)))
        forward = node * cos(radians(INCLINATION))  # turning the node also shifts along the track: taken back
        return cls(radius, node=degrees(node), mean_anomaly=phase_deg + degrees(along_km / radius - forward))

    @property
    def period(self) -> float:
        """Kepler period, without J2 [s]."""
        return 2.0 * pi * sqrt(self.semi_major_axis**3 / MU)

    def position(self, time: float) -> Vector:
        """Return the position in the inertial frame (x to the reference node, z to the north) [km].

        Args:
            time: Since the start [s].
        """
        anomaly = self.true_anomaly(time)
        e = self.eccentricity
        radius = self.semi_major_axis * (1.0 - e * e) / (1.0 + e * cos(anomaly))
        latitude = anomaly + self._perigee + self.perigee_rate * time
        node = self._node + self.node_rate * time
        cos_u, sin_u, cos_n, sin_n = cos(latitude), sin(latitude), cos(node), sin(node)
        return (
            radius * (cos_n * cos_u - sin_n * sin_u * self._cos_i),
            radius * (sin_n * cos_u + cos_n * sin_u * self._cos_i),
            radius * sin_u * self._sin_i,
        )

    def true_anomaly(self, time: float) -> float:
        """Return the true anomaly; for a circular orbit the mean anomaly [rad]."""
        mean = self._mean_anomaly + self.mean_motion * time
        e = self.eccentricity
        if e == 0.0:
            return mean
        eccentric = eccentric_anomaly(mean, e)
        return 2.0 * atan2(sqrt(1.0 + e) * sin(eccentric / 2.0), sqrt(1.0 - e) * cos(eccentric / 2.0))

    def speed(self, radius: float) -> float:
        """Return the inertial speed at a distance from the Earth's centre (vis-viva) [km/s].

        Args:
            radius: [km].
        """
        return sqrt(MU * (2.0 / radius - 1.0 / self.semi_major_axis))


def eccentric_anomaly(mean: float, eccentricity: float) -> float:
    """Solve Kepler's equation `M = E - e sin E` by Newton's method [rad].

    Args:
        mean: Mean anomaly [rad].
        eccentricity: 0..1, below 1 [1].
    """
    mean = fmod(mean, 2.0 * pi)
    value = mean if eccentricity < 0.8 else copysign(pi, mean)  # noqa: PLR2004 (the usual starting point, Vallado algorithm 2)
    for _ in range(50):
        change = (value - eccentricity * sin(value) - mean) / (1.0 - eccentricity * cos(value))
        value -= change
        if abs(change) < 1e-14:  # noqa: PLR2004 (rounding)
            break
    return value


def sun_direction(beta_deg: float) -> Vector:
    """Return the unit vector to the Sun, such that the reference orbit starts at its noon point for phase 0.

    Args:
        beta_deg: Angle between the Sun and the plane of the reference orbit [deg].
    """
    beta, inclination = radians(beta_deg), radians(INCLINATION)
    return (cos(beta), -sin(beta) * sin(inclination), sin(beta) * cos(inclination))


def is_sunlit(position: Vector, sun: Vector) -> bool:
    """Return whether a position is outside the Earth's shadow, taken as a cylinder (Vallado, section 5.3.2).

    Args:
        position: [km].
        sun: Unit vector to the Sun.
    """
    x, y, z = position
    along = x * sun[0] + y * sun[1] + z * sun[2]
    return along >= 0.0 or x * x + y * y + z * z - along * along > EARTH_RADIUS * EARTH_RADIUS


def sees_station(position: Vector, time: float) -> bool:
    """Return whether the ground station sees a satellite at least 10 deg above its horizon.

    The station stands at 52 deg north, under the reference node at time 0, on a spherical Earth.

    Args:
        position: In the inertial frame [km].
        time: Since the start [s].
    """
    angle = EARTH_ROTATION * time
    up = (cos(_STATION_LATITUDE) * cos(angle), cos(_STATION_LATITUDE) * sin(angle), sin(_STATION_LATITUDE))
    line = [value - EARTH_RADIUS * direction for value, direction in zip(position, up, strict=True)]
    height = sum(a * b for a, b in zip(line, up, strict=True))
    return height >= sin(_LOWEST_ELEVATION) * sqrt(sum(value * value for value in line))


def eclipse_fraction(altitude_km: float, beta_deg: float) -> float:
    """Return the part of a circular orbit that is in the shadow, in closed form [1].

    Args:
        altitude_km: [km].
        beta_deg: Angle between the Sun and the orbit's plane [deg].
    """
    radius = EARTH_RADIUS + altitude_km
    if abs(radians(beta_deg)) >= asin(EARTH_RADIUS / radius):
        return 0.0
    horizon = sqrt(altitude_km**2 + 2.0 * EARTH_RADIUS * altitude_km)
    return acos(horizon / (radius * cos(radians(beta_deg)))) / pi
