import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.sim.satellite.attitude import Attitude
from podium.sim.satellite.power import Power
from podium.sim.satellite.telemetry import packet_of
from podium.sim.satellite.thermal import KELVIN, Thermal

FIELDS = {
    "version": str,
    "timestamp": float,
    "satellite_id": str,
    "attitude": {"quaternion": list, "angular_velocity": list, "nadir_pointing_error_deg": float},
    "power": {"battery_voltage": float, "battery_soc": float, "solar_current": float, "load_current": float},
    "thermal": {"battery_temp": float, "eps_temp": float, "status": str},
    "orbit": {"altitude_m": int, "ground_speed_ms": int, "true_anomaly_deg": float},
    "comms": {"packet_loss": float, "measured_loss": float, "tx_power_dbw": float},
    "mission_mode": str,
    "ground_contact": bool,
}


def packet(**changes):
    arguments = {
        "satellite": "sat-1",
        "time": 12.3456,
        "attitude": Attitude(),
        "power": Power(0.5),
        "thermal": Thermal(),
        "altitude_km": 420.0,
        "speed_km_s": 7.65733,
        "true_anomaly_deg": 123.4567,
        "packet_loss": 0.0123456,
        "measured_loss": 0.015,
        "mode": "nominal",
        "ground_contact": False,
    }
    return packet_of(**(arguments | changes))


def heated(battery, electronics=20.0):
    return Thermal(battery=KELVIN + battery, electronics=KELVIN + electronics)


def types(value):
    return {name: types(part) if isinstance(part, dict) else type(part) for name, part in value.items()}


def test_the_packet_has_exactly_the_documented_fields_and_types():
    assert types(packet()) == FIELDS


def test_the_fields_come_in_the_documented_order():
    assert list(packet()) == list(FIELDS)


def test_the_packet_gives_the_values_rounded_as_documented():
    power = Power(0.5)
    power.step(1.0, 1.0, 0.5, 0.0)
    given = packet(power=power, thermal=heated(21.26, 25.04), mode="safe", ground_contact=True)
    assert given == {
        "version": "1.0",
        "timestamp": 12.346,
        "satellite_id": "sat-1",
        "attitude": {
            "quaternion": list(Attitude().quaternion),
            "angular_velocity": [0.0, 0.0, 0.0],
            "nadir_pointing_error_deg": 0.09,
        },
        "power": {
            "battery_voltage": 7.45,
            "battery_soc": 0.5,
            "solar_current": round(22.85 / 8.4, 3),
            "load_current": round(14.0 / 7.45, 3),
        },
        "thermal": {"battery_temp": 21.3, "eps_temp": 25.0, "status": "nominal"},
        "orbit": {"altitude_m": 420000, "ground_speed_ms": 7657, "true_anomaly_deg": 123.5},
        "comms": {"packet_loss": 0.0123, "measured_loss": 0.015, "tx_power_dbw": 2.0},
        "mission_mode": "safe",
        "ground_contact": True,
    }


@settings(deadline=None)
@given(
    soc=st.floats(0.0, 1.0),
    exposure=st.floats(0.0, 1.0),
    battery=st.floats(-200.0, 1000.0),
    electronics=st.floats(-200.0, 1000.0),
    kick=st.tuples(*[st.floats(-1.0, 1.0)] * 3),
    altitude=st.floats(100.0, 2000.0),
    anomaly=st.floats(0.0, 360.0, exclude_max=True),
    loss=st.floats(0.0, 1.0),
)
def test_every_value_lies_in_its_documented_range(
    *, soc, exposure, battery, electronics, kick, altitude, anomaly, loss
):
    power, attitude = Power(soc), Attitude()
    power.step(1.0, 1.0, exposure, 0.0)
    attitude.control(on=False)
    attitude.kick(kick)
    for _ in range(10):
        attitude.step(1.0)
    given = packet(
        power=power,
        attitude=attitude,
        thermal=heated(battery, electronics),
        altitude_km=altitude,
        true_anomaly_deg=anomaly,
        packet_loss=loss,
        measured_loss=loss,
    )
    assert types(given) == FIELDS
    assert 0.0 <= given["power"]["battery_voltage"] <= 30.0
    assert 0.0 <= given["power"]["battery_soc"] <= 1.0
    assert given["power"]["solar_current"] >= 0.0
    assert given["power"]["load_current"] >= 0.0
    assert -50.0 <= given["thermal"]["battery_temp"] <= 85.0
    assert -50.0 <= given["thermal"]["eps_temp"] <= 85.0
    assert 0.0 <= given["attitude"]["nadir_pointing_error_deg"] <= 180.0
    assert sum(part * part for part in given["attitude"]["quaternion"]) == pytest.approx(1.0)
    assert len(given["attitude"]["angular_velocity"]) == 3
    assert 100_000 <= given["orbit"]["altitude_m"] <= 2_000_000
    assert 0.0 <= given["orbit"]["true_anomaly_deg"] <= 360.0
    assert 0.0 <= given["comms"]["packet_loss"] <= 1.0
    assert 0.0 <= given["comms"]["measured_loss"] <= 1.0
    assert json.loads(json.dumps(given, allow_nan=False)) == given


@pytest.mark.parametrize(
    ("battery", "status"),
    [
        (-80.0, "nominal"),
        (44.99, "nominal"),
        (45.01, "warning"),
        (59.99, "warning"),
        (60.01, "critical"),
        (900.0, "critical"),
    ],
)
def test_the_status_follows_the_temperature_of_the_battery(battery, status):
    assert packet(thermal=heated(battery))["thermal"]["status"] == status


def test_the_electronics_do_not_change_the_status():
    assert packet(thermal=heated(20.0, 84.0))["thermal"]["status"] == "nominal"


@pytest.mark.parametrize(("true", "measured"), [(-80.0, -50.0), (-50.0, -50.0), (85.0, 85.0), (600.0, 85.0)])
def test_the_sensors_saturate(true, measured):
    given = packet(thermal=heated(true, true))["thermal"]
    assert (given["battery_temp"], given["eps_temp"]) == (measured, measured)


@pytest.mark.parametrize(("soc", "voltage", "power"), [(0.0, 6.5, -5.6), (0.3, 7.07, 1.0), (1.0, 8.4, 2.0)])
def test_voltage_and_transmitted_power_follow_the_charge(soc, voltage, power):
    given = packet(power=Power(soc))
    assert given["power"]["battery_voltage"] == voltage
    assert given["comms"]["tx_power_dbw"] == pytest.approx(power, abs=0.006)


def test_the_packet_does_not_change_when_the_satellite_moves_on():
    attitude = Attitude()
    given = packet(attitude=attitude)
    before = json.dumps(given)
    attitude.kick((0.1, 0.0, 0.0))
    attitude.step(1.0)
    assert json.dumps(given) == before
