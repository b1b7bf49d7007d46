"""One satellite: its parts put together, with faults acting on them and a safe mode acting against the faults.

Attitude and power advance every step; orbit, heat and radio, which change slowly, once per simulated second.
"""

from __future__ import annotations

from math import cos, degrees, radians, sqrt
from typing import Any

from podium.model.scenario import Fault, FaultType, Node
from podium.sim.links import Packet
from podium.sim.node import Context, Recoverable, Signal
from podium.sim.satellite import radio
from podium.sim.satellite.attitude import Attitude
from podium.sim.satellite.orbit import EARTH_RADIUS, Orbit, Vector, is_sunlit, sees_station, sun_direction
from podium.sim.satellite.power import Power
from podium.sim.satellite.telemetry import packet_of
from podium.sim.satellite.thermal import KELVIN, Thermal
from podium.sim.streams import Stream

_SECOND = 1_000_000_000
_BEACON_BYTES = radio.PACKET_BITS // 8
_WINDOW = 200
_WINDOW_MASK = (1 << _WINDOW) - 1
TUMBLE_RATE = 0.3
"""Greatest rate about each axis that an attitude desync of severity 1 leaves [rad/s]."""

FEEDING_SOC = 0.02
"""State of charge below which a short circuit inside the battery has nothing to feed on [1]."""


class Satellite:
    """A satellite. Settings: `initial_soc` (0..1), `initial_temperature` [degC].

    Args:
        node: The satellite as the scenario has it.
    """

    def __init__(self, node: Node) -> None:
        self.id = node.id
        self._node = node
        warmth = float(node.settings.get("initial_temperature", 15.0)) + KELVIN
        self.attitude = Attitude()
        self.power = Power(float(node.settings.get("initial_soc", 0.85)))
        self.thermal = Thermal(structure=warmth, electronics=warmth + 5.0, battery=warmth)
        self.faults: dict[FaultType, Fault] = {}
        self.safe_against: set[FaultType] = set()
        self.sunlit = True
        self.packet_loss = radio.FLOOR
        self.orbit: Orbit
        self._sun: Vector
        self._position: Vector = (0.0, 0.0, 0.0)
        self._position_time = -1
        self._time = 0
        self._slow_time = 0
        self._neighbours: tuple[Satellite, ...] = ()
        self._window = 0
        self._beacons = 0
        self._context: Context
        self._tumble: Stream
        self._shorted = True
        self._brownout_since = 0.0

    @property
    def safe(self) -> bool:
        """Whether the satellite is in safe mode."""
        return bool(self.safe_against)

    @property
    def mode(self) -> str:
        """`safe` or `nominal`."""
        return "safe" if self.safe_against else "nominal"

    @property
    def measured_loss(self) -> float:
        """Part of the last 200 beacons that was lost, 0 before the first."""
        return self._window.bit_count() / min(self._beacons, _WINDOW) if self._beacons else 0.0

    def start(self, context: Context) -> None:
        """Take the place in the formation and start sending beacons, one per second to each neighbour."""
        self._context = context
        along, across, altitude = self._node.position_km
        self.orbit = Orbit.in_formation(along, across, altitude, context.environment.get("phase", 0.0))
        self._sun = sun_direction(context.environment.get("beta", 0.0))
        self._tumble = context.stream(self.id, "tumble")
        neighbours = (context.node(name) for name in self._node.neighbours)
        self._neighbours = tuple(node for node in neighbours if isinstance(node, Satellite))
        if self._node.neighbours:
            phase = int(context.stream(self.id, "beacon").random() * _SECOND)
            context.kernel.every(_SECOND, self._send_beacons, start=phase)

    def step(self, now_ns: int) -> None:
        """Advance to `now_ns`."""
        dt = (now_ns - self._time) * 1e-9
        self._time = now_ns
        attitude = self.attitude
        if not attitude.settled:
            attitude.step(dt)
        exposure = 0.0
        if self.sunlit:
            exposure = 1.0 if attitude.settled else max(0.0, cos(radians(attitude.nadir_error)))
        thermal = self.thermal
        short = thermal.short_power() if thermal.runaway and self._shorted else 0.0
        self.power.step(now_ns * 1e-9, dt, exposure, short)
        if now_ns - self._slow_time >= _SECOND or now_ns == 0:
            self._step_slowly(now_ns)

    def receive(self, packet: Packet) -> None:
        """Beacons are only counted, by the network."""

    def apply(self, faults: tuple[Fault, ...]) -> None:
        """Take the faults that act from now on."""
        before = self.faults
        self.faults = {fault.type: fault for fault in faults}
        runaway = self.faults.get("thermal_runaway")
        self.thermal.runaway = runaway.severity if runaway else 0.0
        brownout = self.faults.get("power_brownout")
        if brownout:
            since = self._brownout_since if "power_brownout" in before else brownout.start_ns * 1e-9
            self.power.brownout(brownout.severity, since)
            self._brownout_since = since  # a more severe one that overlaps does not begin the stages anew
        else:
            self.power.brownout(None)
        desync = self.faults.get("attitude_desync")
        if desync and "attitude_desync" not in before:
            reach = TUMBLE_RATE * desync.severity
            uniform = self._tumble.uniform
            self.attitude.kick((uniform(-reach, reach), uniform(-reach, reach), uniform(-reach, reach)))
        self._choose()

    def enter_safe_mode(self, against: FaultType) -> None:
        """Shed the payload and act against one type of fault.

        Against `thermal_runaway`: open the battery string, close the thermal strap. Against `attitude_desync`: damp
        the rates and point with the coarse sensors. Against `comms_dropout`: use the backup radio. Against
        `power_brownout`: only shed the payload.
        """
        self.safe_against.add(against)
        self._choose()

    def leave_safe_mode(self) -> None:
        """Return to nominal operation."""
        self.safe_against.clear()
        self._choose()

    def distance_km(self, other: Recoverable) -> float:
        """Return how far away another satellite is now [km]."""
        assert isinstance(other, Satellite)
        now = self._context.kernel.now
        return _distance(self.position(now), other.position(now))

    def position(self, now_ns: int) -> Vector:
        """Return the position in the inertial frame at a time, computed once for each [km]."""
        if self._position_time != now_ns:
            self._position = self.orbit.position(now_ns * 1e-9)
            self._position_time = now_ns
        return self._position

    def signals(self) -> dict[str, Signal]:
        """Return what can be observed."""
        attitude, power, thermal = self.attitude, self.power, self.thermal
        return {
            "battery.temperature": lambda: thermal.battery - KELVIN,
            "electronics.temperature": lambda: thermal.electronics - KELVIN,
            "battery.soc": lambda: power.soc,
            "battery.voltage": lambda: power.voltage,
            "power.net": lambda: power.net,
            "power.array_ratio": lambda: power.array_ratio,
            "attitude.nadir_error": lambda: attitude.nadir_error,
            "attitude.rate": lambda: attitude.rate,
            "comms.packet_loss": lambda: self.packet_loss,
            "comms.measured_loss": lambda: self.measured_loss,
            "orbit.altitude": lambda: _norm(self.position(self._time)) - EARTH_RADIUS,
            "orbit.sunlit": lambda: float(self.sunlit),
            "faults.active": lambda: float(len(self.faults)),
            "mode": lambda: self.mode,
        }

    def telemetry(self) -> dict[str, Any]:
        """Return the telemetry packet, version 1.0 of the documented schema with a `comms` block."""
        position = self.position(self._time)
        radius = _norm(position)
        seconds = self._time * 1e-9
        return packet_of(
            satellite=self.id,
            time=seconds,
            attitude=self.attitude,
            power=self.power,
            thermal=self.thermal,
            altitude_km=radius - EARTH_RADIUS,
            speed_km_s=self.orbit.speed(radius),
            true_anomaly_deg=degrees(self.orbit.true_anomaly(seconds)) % 360.0,
            packet_loss=self.packet_loss,
            measured_loss=self.measured_loss,
            mode=self.mode,
            ground_contact=sees_station(position, seconds),
        )

    def _choose(self) -> None:
        """Set the parts' switches from the faults that act and the safe mode that acts against them."""
        against = self.safe_against
        self.power.payload_on = not against
        self.thermal.safe = "thermal_runaway" in against
        controlled = "attitude_desync" not in self.faults or "attitude_desync" in against
        if controlled != self.attitude.controlled:
            self.attitude.control(on=controlled)

    def _step_slowly(self, now_ns: int) -> None:
        dt = (now_ns - self._slow_time) * 1e-9
        self._slow_time = now_ns
        power = self.power
        if dt:
            self.thermal.step(dt, sunlight=float(self.sunlit), dissipated=power.load, charged=self._shorted)
        self._shorted = power.soc > FEEDING_SOC
        position = self.position(now_ns)
        self.sunlit = is_sunlit(position, self._sun)
        distances = (_distance(position, node.position(now_ns)) for node in self._neighbours)
        self.packet_loss = self._present_loss(max(distances, default=radio.NOMINAL_RANGE_KM))

    def _present_loss(self, distance: float) -> float:
        backup = "comms_dropout" in self.safe_against
        loss = radio.packet_loss(distance, self.power.voltage, backup=backup)
        dropout = self.faults.get("comms_dropout")
        if dropout and not backup:
            loss = max(loss, radio.dropout_loss(dropout.severity))
        return loss

    def _send_beacons(self) -> None:
        for target in self._node.neighbours:
            link = self._context.network.link(self.id, target)
            lost_before = link.sent - link.in_flight - link.delivered
            link.send(Packet(self.id, target, self._beacons, _BEACON_BYTES, self._context.kernel.now), self.packet_loss)
            lost = link.sent - link.in_flight - link.delivered - lost_before
            self._window = (self._window << 1 | lost) & _WINDOW_MASK
            self._beacons += 1


def _norm(vector: Vector) -> float:
    x, y, z = vector
    return sqrt(x * x + y * y + z * z)


def _distance(first: Vector, second: Vector) -> float:
    x, y, z = first[0] - second[0], first[1] - second[1], first[2] - second[2]
    return sqrt(x * x + y * y + z * z)
