"""Heat: structure, electronics and battery as three lumped nodes; the structure radiates to space.

    C_s dT_s/dt = absorbed + conducted - A eps sigma T_s^4
    C_e dT_e/dt = dissipated - G_e (T_e - T_s)
    C_b dT_b/dt = own heat - G_b (T_b - T_s)

A thermal runaway is a short circuit inside the battery whose heat grows with temperature (Semenov's model of
self-heating, as linearised by Frank-Kamenetskii) and is fed from the battery's own charge.
"""

from __future__ import annotations

from math import exp
from typing import NamedTuple

SIGMA = 5.670374419e-8
"""Stefan-Boltzmann constant (CODATA 2018) [W/(m^2 K^4)]."""
SOLAR_CONSTANT = 1361.0
"""Total solar irradiance at 1 au (Kopp and Lean 2011) [W/m^2]."""
KELVIN = 273.15
"""0 degC [K]."""
RUNAWAY_POWER = 400.0
"""Heat of a runaway of severity 1 at the reference temperature [W]; calibrated: 15 to 65 degC in 60 to 180 s."""
RUNAWAY_REFERENCE = KELVIN + 20.0
"""[K]"""
RUNAWAY_SCALE = 40.0
"""Rise of temperature by which the heat grows e-fold [K]; with the power above it sets the time to 65 degC."""
RUNAWAY_LIMIT = 3.0
"""The heat grows at most by exp(3): then the current is limited by the short itself [1]."""
ISOLATED = 0.02
"""What is left of the heat when safe mode has opened the battery string [1]."""


class Properties(NamedTuple):
    """Thermal properties of a satellite.

    Attributes:
        structure_capacity: 3.9 kg of aluminium, 897 J/(kg K) [J/K].
        electronics_capacity: [J/K].
        battery_capacity: 0.9 kg of lithium-ion cells, 1000 J/(kg K) (Maleki et al. 1999) [J/K].
        absorbing_area: Sunlit area times absorptance: 0.12 m^2 of 0.26 [m^2].
        radiating_area: Area times emittance: 0.2 m^2 of 0.8 [m^2].
        background: Absorbed from the Earth: infrared and albedo, averaged [W].
        electronics_conductance: To the structure [W/K].
        battery_conductance: To the structure, nominal [W/K].
        strap_conductance: To the structure, with the thermal strap closed in safe mode [W/K].
    """

    structure_capacity: float = 3500.0
    electronics_capacity: float = 800.0
    battery_capacity: float = 900.0
    absorbing_area: float = 0.0312
    radiating_area: float = 0.16
    background: float = 15.0
    electronics_conductance: float = 2.0
    battery_conductance: float = 0.5
    strap_conductance: float = 3.0


class Thermal:
    """Temperatures of one satellite.

    Args:
        properties: Capacities, areas, conductances.
        structure: At time 0 [K].
        electronics: At time 0 [K].
        battery: At time 0 [K].

    Attributes:
        structure: [K].
        electronics: [K].
        battery: [K].
        runaway: Severity of a runaway, 0 without.
        safe: Whether safe mode has opened the battery string and closed the thermal strap.
        external: Heat into the battery from outside, for tests and further models [W].
    """

    __slots__ = ("_properties", "battery", "electronics", "external", "runaway", "safe", "structure")

    def __init__(
        self,
        properties: Properties | None = None,
        *,
        structure: float = KELVIN + 15.0,
        electronics: float = KELVIN + 20.0,
        battery: float = KELVIN + 15.0,
    ) -> None:
        self._properties = properties or Properties()
        self.structure = structure
        self.electronics = electronics
        self.battery = battery
        self.runaway = 0.0
        self.safe = False
        self.external = 0.0

    def short_power(self) -> float:
        """Return the heat of the short circuit inside the battery now [W]."""
        return self._short(self.battery) if self.runaway else 0.0

    def step(self, dt: float, *, sunlight: float, dissipated: float, charged: bool = True) -> None:
        """Advance by one step of the classical Runge-Kutta method.

        Args:
            dt: [s].
            sunlight: 1 in the Sun, 0 in the shadow.
            dissipated: Heat of the electronics [W].
            charged: Whether the battery has charge left to feed a short circuit.
        """
        cs, ce, cb, absorbing, radiating, background, ge, gb, strap = self._properties
        if self.safe:
            gb = strap
        absorbed = background + absorbing * SOLAR_CONSTANT * sunlight
        radiation = radiating * SIGMA
        heated = self.runaway > 0.0 and charged
        s, e, b = self.structure, self.electronics, self.battery
        heat = self.external

        flow_e, flow_b = ge * (e - s), gb * (b - s)
        q = heat + self._short(b) if heated else heat
        s1 = (absorbed + flow_e + flow_b - radiation * s * s * s * s) / cs
        e1, b1 = (dissipated - flow_e) / ce, (q - flow_b) / cb

        half = 0.5 * dt
        x, y, z = s + half * s1, e + half * e1, b + half * b1
        flow_e, flow_b = ge * (y - x), gb * (z - x)
        q = heat + self._short(z) if heated else heat
        s2 = (absorbed + flow_e + flow_b - radiation * x * x * x * x) / cs
        e2, b2 = (dissipated - flow_e) / ce, (q - flow_b) / cb

        x, y, z = s + half * s2, e + half * e2, b + half * b2
        flow_e, flow_b = ge * (y - x), gb * (z - x)
        q = heat + self._short(z) if heated else heat
        s3 = (absorbed + flow_e + flow_b - radiation * x * x * x * x) / cs
        e3, b3 = (dissipated - flow_e) / ce, (q - flow_b) / cb

        x, y, z = s + dt * s3, e + dt * e3, b + dt * b3
        flow_e, flow_b = ge * (y - x), gb * (z - x)
        q = heat + self._short(z) if heated else heat
        s4 = (absorbed + flow_e + flow_b - radiation * x * x * x * x) / cs
        e4, b4 = (dissipated - flow_e) / ce, (q - flow_b) / cb

        sixth = dt / 6.0
        self.structure = s + sixth * (s1 + 2.0 * (s2 + s3) + s4)
        self.electronics = e + sixth * (e1 + 2.0 * (e2 + e3) + e4)
        self.battery = b + sixth * (b1 + 2.0 * (b2 + b3) + b4)

    def _short(self, battery: float) -> float:
        growth = exp(min(RUNAWAY_LIMIT, (battery - RUNAWAY_REFERENCE) / RUNAWAY_SCALE))
        return RUNAWAY_POWER * self.runaway * growth * (ISOLATED if self.safe else 1.0)
