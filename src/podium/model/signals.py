"""What can be observed of each type of node: the names criteria and recovery rules may use, and their units."""

from __future__ import annotations

from typing import Literal, NamedTuple

Dimension = Literal["temperature", "ratio", "voltage", "power", "angle", "angle rate", "length", "duration", "count", "word"]  # fmt: skip  # noqa: E501


class SignalType(NamedTuple):
    """One observable value.

    Attributes:
        dimension: What it measures; decides the units a threshold may be written in.
        unit: The unit it is given in; empty for counts, ratios and words.
        meaning: One line for people.
        words: What a word may be.
    """

    dimension: Dimension
    unit: str
    meaning: str
    words: tuple[str, ...] = ()


SIGNALS: dict[str, dict[str, SignalType]] = {
    "satellite": {
        "battery.temperature": SignalType("temperature", "degC", "temperature of the battery"),
        "electronics.temperature": SignalType("temperature", "degC", "temperature of the electronics"),
        "battery.soc": SignalType("ratio", "", "state of charge, 0..1"),
        "battery.voltage": SignalType("voltage", "V", "open-circuit voltage of the battery"),
        "power.net": SignalType("power", "W", "power into the battery, negative when it discharges"),
        "power.array_ratio": SignalType("ratio", "", "power of the arrays relative to sound ones here and now"),
        "attitude.nadir_error": SignalType("angle", "deg", "angle between the instrument and nadir"),
        "attitude.rate": SignalType("angle rate", "deg/s", "magnitude of the angular velocity"),
        "comms.packet_loss": SignalType("ratio", "", "probability that a packet is lost now, to the worst neighbour"),
        "comms.measured_loss": SignalType("ratio", "", "part of the last 200 beacons that was lost"),
        "orbit.altitude": SignalType("length", "km", "height above the mean equatorial radius"),
        "orbit.sunlit": SignalType("count", "", "1 in the Sun, 0 in the shadow of the Earth"),
        "faults.active": SignalType("count", "", "number of faults that act on the node"),
        "mode": SignalType("word", "", "what the node is doing", ("nominal", "safe")),
    },
    "sensor": {
        "sent": SignalType("count", "", "packets sent"),
        "delivered": SignalType("count", "", "packets of this sensor that arrived"),
    },
    "gateway": {
        "received": SignalType("count", "", "packets received"),
        "missing": SignalType("count", "", "packets known to be lost, from gaps in the sequence numbers"),
        "latency.last": SignalType("duration", "s", "delay of the last packet received"),
        "latency.max": SignalType("duration", "s", "longest delay of any packet received"),
    },
}
"""Node type to signal name to what it is."""

NODE_TYPES = tuple(SIGNALS)
"""Types of node a scenario may have."""


def unit_of(path: str) -> str:
    """Return the unit of a signal such as `battery.temperature`; empty if it has none or is not known."""
    return next((signals[path].unit for signals in SIGNALS.values() if path in signals), "")
