"""The telemetry packet of a satellite: version 1.0 of the documented schema, with a `comms` block.

Ranges are those of the instruments: temperatures saturate at -50 and 85 degC.
"""

from __future__ import annotations

from typing import Any

from podium.sim.satellite.attitude import Attitude
from podium.sim.satellite.power import VOLTAGE_FULL, Power
from podium.sim.satellite.radio import transmit_power
from podium.sim.satellite.thermal import KELVIN, Thermal

VERSION = "1.0"
_SENSOR_RANGE = (-50.0, 85.0)
_WARNING = 45.0
_CRITICAL = 60.0


def packet_of(
    *,
    satellite: str,
    time: float,
    attitude: Attitude,
    power: Power,
    thermal: Thermal,
    altitude_km: float,
    speed_km_s: float,
    true_anomaly_deg: float,
    packet_loss: float,
    measured_loss: float,
    mode: str,
    ground_contact: bool,
) -> dict[str, Any]:
    """Return the packet as plain JSON; units stand in the names, angular velocity is in rad/s, voltages in V, currents in A.

    Args:
        satellite: Its id.
        time: Simulated time [s].
        attitude: Attitude and rate.
        power: Battery, arrays, loads.
        thermal: Temperatures.
        altitude_km: [km].
        speed_km_s: [km/s].
        true_anomaly_deg: 0..360 [deg].
        packet_loss: 0..1.
        measured_loss: 0..1.
        mode: `nominal` or `safe`.
        ground_contact: Whether the ground station sees it.
    """  # noqa: E501
    battery = thermal.battery - KELVIN
    return {
        "version": VERSION,
        "timestamp": round(time, 3),
        "satellite_id": satellite,
        "attitude": {
            "quaternion": list(attitude.quaternion),
            "angular_velocity": list(attitude.angular_velocity),
            "nadir_pointing_error_deg": round(attitude.nadir_error, 2),
        },
        "power": {
            "battery_voltage": round(power.voltage, 2),
            "battery_soc": round(power.soc, 3),
            "solar_current": round(power.generated / VOLTAGE_FULL, 3),
            "load_current": round(power.load / power.voltage, 3),
        },
        "thermal": {
            "battery_temp": round(_measured(battery), 1),
            "eps_temp": round(_measured(thermal.electronics - KELVIN), 1),
            "status": "critical" if battery > _CRITICAL else "warning" if battery > _WARNING else "nominal",
        },
        "orbit": {
            "altitude_m": round(altitude_km * 1000.0),
            "ground_speed_ms": round(speed_km_s * 1000.0),
            "true_anomaly_deg": round(true_anomaly_deg, 1) % 360.0,
        },
        "comms": {
            "packet_loss": round(packet_loss, 4),
            "measured_loss": round(measured_loss, 4),
            "tx_power_dbw": round(transmit_power(power.voltage), 2),
        },
        "mission_mode": mode,
        "ground_contact": ground_contact,
    }


def _measured(temperature: float) -> float:
    low, high = _SENSOR_RANGE
    return max(low, min(high, temperature))
