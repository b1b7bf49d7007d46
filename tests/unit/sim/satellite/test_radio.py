from math import erfc, log10, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.sim.satellite.radio import (
    FLOOR,
    IMPLEMENTATION_DB,
    NOISE_DBW_HZ,
    PACKET_BITS,
    POWER_DBW,
    RATE_DB,
    dropout_loss,
    free_space_loss,
    packet_loss,
    transmit_power,
)

ranges = st.floats(1e-3, 5000.0)
voltages = st.floats(5.0, 9.0)


def range_for(ratio_db):
    """Return the range at which the energy per bit over the noise has a value, at nominal voltage [km]."""
    loss = POWER_DBW - NOISE_DBW_HZ - RATE_DB - IMPLEMENTATION_DB - ratio_db
    return 10.0 ** ((loss - free_space_loss(1.0)) / 20.0)


def bit_errors(loss):
    """Return the bit error rate behind the loss of a packet."""
    return 1.0 - ((1.0 - loss) / (1.0 - FLOOR)) ** (1.0 / PACKET_BITS)


def test_a_nominal_formation_loses_at_most_2_percent():
    assert packet_loss(1.0, 8.0) == pytest.approx(FLOOR)
    assert FLOOR <= 0.02
    assert packet_loss(10.0, 7.2) <= 0.02


def test_the_free_space_loss_of_1_km_at_2_2_ghz_is_99_3_db():
    assert free_space_loss(1.0) == pytest.approx(99.3, abs=0.01)
    wavelength = 299_792_458.0 / 2.2e9
    assert free_space_loss(1.0) == pytest.approx(20.0 * log10(4.0 * 3.141592653589793 * 1000.0 / wavelength), abs=0.01)


@given(ranges)
def test_twice_the_range_costs_6_02_db(range_km):
    assert free_space_loss(2.0 * range_km) - free_space_loss(range_km) == pytest.approx(6.0206, abs=1e-4)


@given(ranges, ranges, voltages, st.booleans())
def test_the_loss_grows_with_the_range(first, second, voltage, backup):
    near, far = sorted((first, second))
    assert packet_loss(near, voltage, backup=backup) <= packet_loss(far, voltage, backup=backup)


@given(ranges, voltages, voltages, st.booleans())
def test_the_loss_grows_when_the_voltage_falls(range_km, first, second, backup):
    low, high = sorted((first, second))
    assert packet_loss(range_km, high, backup=backup) <= packet_loss(range_km, low, backup=backup)


@given(ranges, voltages, st.booleans())
def test_the_loss_is_a_probability_of_at_least_the_floor(range_km, voltage, backup):
    assert FLOOR <= packet_loss(range_km, voltage, backup=backup) <= 1.0


def test_the_loss_of_a_distant_neighbour_goes_from_the_floor_to_everything():
    assert packet_loss(5.0, 8.0) < 0.006
    assert packet_loss(100.0, 8.0) > 0.99


@pytest.mark.parametrize(("ratio_db", "rate"), [(9.588, 1e-5), (8.398, 1e-4), (6.790, 1e-3), (4.323, 1e-2)])
def test_the_bit_error_rate_is_that_of_coherent_bpsk(ratio_db, rate):
    # Textbook values: 9.6 dB for 1e-5, 6.8 dB for 1e-3.
    assert 0.5 * erfc(sqrt(10.0 ** (ratio_db / 10.0))) == pytest.approx(rate, rel=0.003)
    if rate < 5e-3:  # above, no packet is left to count
        assert bit_errors(packet_loss(range_for(ratio_db), 8.0)) == pytest.approx(rate, rel=0.003)


def test_the_margin_at_1_km_is_that_of_the_link_budget():
    # 2.0 dBW - 99.3 dB + 198.6 dBW/Hz - 66.0 dB(bit/s) - 3.0 dB leaves 32.3 dB: 22.7 dB above what 1e-5 needs.
    assert range_for(9.588) == pytest.approx(10.0 ** (22.714 / 20.0), rel=1e-3)


def test_one_more_bit_in_error_is_enough_to_lose_a_packet():
    loss = packet_loss(range_for(9.588), 8.0)
    assert loss == pytest.approx(FLOOR + (1.0 - FLOOR) * (1.0 - (1.0 - 1e-5) ** 2048), rel=0.01)


@pytest.mark.parametrize("voltage", [6.0, 5.9, 0.0])
def test_without_voltage_everything_is_lost(voltage):
    assert packet_loss(1.0, voltage) == pytest.approx(1.0, abs=1e-12)


def test_the_amplifier_loses_power_with_the_square_of_the_voltage_left():
    assert [transmit_power(v) for v in (8.4, 7.2)] == [POWER_DBW, POWER_DBW]
    assert transmit_power(6.6) == pytest.approx(POWER_DBW - 6.0206, abs=1e-4)
    assert transmit_power(6.12) == pytest.approx(POWER_DBW - 20.0)
    assert transmit_power(7.2 - 1e-9) == pytest.approx(POWER_DBW)


@given(st.floats(5.0, 40.0))
def test_the_backup_radio_gains_3_db(range_km):
    assert packet_loss(range_km * 10.0 ** (3.0 / 20.0), 8.0, backup=True) == pytest.approx(packet_loss(range_km, 8.0))


def test_the_backup_radio_helps_at_the_edge():
    assert packet_loss(18.0, 8.0, backup=True) < packet_loss(18.0, 8.0) / 3.0


def test_a_dropout_loses_0_35_to_0_8():
    assert [dropout_loss(0.1), dropout_loss(1.0)] == pytest.approx([0.35, 0.8])


def test_satellites_at_the_same_place_hear_each_other():
    assert packet_loss(0.0, 8.0) == pytest.approx(FLOOR)
