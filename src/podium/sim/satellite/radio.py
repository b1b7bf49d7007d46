"""The radio between neighbours: how likely a packet is lost, from distance, voltage and fault.

A link budget as in SMAD chapter 13: transmitted power, free-space loss, noise, energy per bit, error rate of coherent
BPSK, loss of a packet with any bit in error.
"""

from __future__ import annotations

from math import erfc, log10, sqrt

FREQUENCY_GHZ = 2.2
"""S band, as used between satellites [GHz]."""
POWER_DBW = 2.0
"""Transmitted power at nominal voltage, gain of both antennas included [dBW]."""
NOISE_DBW_HZ = -198.6
"""Boltzmann's constant times a system temperature of 1000 K [dBW/Hz]."""
RATE_DB = 66.0
"""4 Mbit/s [dB(bit/s)]."""
IMPLEMENTATION_DB = 3.0
"""Losses of modem, polarisation and pointing [dB]."""
PACKET_BITS = 2048
"""A packet of 256 byte."""
FLOOR = 0.005
"""Packets lost to interference at any distance; an assumption, below the 2 % a nominal formation may lose [1]."""
VOLTAGE_NOMINAL = 7.2
"""Below it the amplifier loses power [V]."""
VOLTAGE_DEAD = 6.0
"""At and below it the amplifier is off [V]."""
BACKUP_GAIN_DB = 3.0
"""What the backup radio of safe mode gains by halving its rate [dB]."""
NOMINAL_RANGE_KM = 1.0
"""Distance assumed for a satellite without neighbours [km]."""


def transmit_power(voltage: float) -> float:
    """Return the transmitted power, falling with the square of the voltage left above the cut-off [dBW].

    Args:
        voltage: Of the battery [V].
    """
    if voltage >= VOLTAGE_NOMINAL:
        return POWER_DBW
    left = (voltage - VOLTAGE_DEAD) / (VOLTAGE_NOMINAL - VOLTAGE_DEAD)
    return POWER_DBW + 20.0 * log10(max(1e-6, left))


def free_space_loss(range_km: float) -> float:
    """Return the free-space path loss (ITU-R P.525) [dB].

    Args:
        range_km: Distance, positive [km].
    """
    return 92.45 + 20.0 * log10(range_km) + 20.0 * log10(FREQUENCY_GHZ)


def packet_loss(range_km: float, voltage: float, *, backup: bool = False) -> float:
    """Return the probability that a packet is lost, without a fault [1].

    Args:
        range_km: Distance to the receiver [km].
        voltage: Of the battery [V].
        backup: Whether the backup radio sends, at half the rate.
    """
    ratio_db = transmit_power(voltage) - free_space_loss(max(1e-3, range_km)) - NOISE_DBW_HZ - RATE_DB
    ratio_db += (BACKUP_GAIN_DB if backup else 0.0) - IMPLEMENTATION_DB
    bit_errors = 0.5 * erfc(sqrt(10.0 ** (ratio_db / 10.0)))
    return FLOOR + (1.0 - FLOOR) * (1.0 - (1.0 - bit_errors) ** PACKET_BITS)


def dropout_loss(severity: float) -> float:
    """Return the loss during a comms dropout, 0.35 at severity 0.1 to 0.8 at 1 [1]."""
    return 0.3 + 0.5 * severity
