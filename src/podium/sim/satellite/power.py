"""Electric power: solar arrays charge a battery, loads discharge it, a brownout goes through its stages.

Every joule is accounted for: what the arrays and the battery give equals what the loads take, plus what a full
battery cannot hold, minus what an empty one could not give.
"""

from __future__ import annotations

CAPACITY = 58.8
"""Energy of the full battery: 7 Ah at 8.4 V, two lithium-ion cells in series [W h]."""
VOLTAGE_EMPTY = 6.5
"""Open-circuit voltage at state of charge 0 [V]."""
VOLTAGE_FULL = 8.4
"""Open-circuit voltage at state of charge 1 [V]."""
ARRAY_POWER = 45.7
"""Of arrays normal to the Sun: 0.12 m^2, efficiency 0.28, solar constant 1361 W/m^2 (Kopp and Lean 2011) [W]."""
LOAD_BUS = 6.0
"""Computer, radio, wheels: class of a 6U platform [W]."""
LOAD_PAYLOAD = 8.0
"""Switched off in safe mode and by a brownout [W]."""
STRESS_AFTER = 60.0
"""From the start of a brownout until the battery is stressed [s]."""
SHED_AFTER = 180.0
"""From the start of a brownout until the hardware sheds the payload [s]."""


class Power:
    """Battery, arrays and loads of one satellite.

    Args:
        soc: State of charge at time 0, 0..1.

    Attributes:
        soc: State of charge, 0..1.
        generated: By the arrays now [W].
        load: Taken by bus and payload now [W].
        net: Into the battery, negative when it discharges [W].
        array_ratio: Generated, relative to what sound arrays would generate here and now; 1 in the shadow.
        payload_on: Whether the payload runs.
        spilled: Energy a full battery could not take [J].
        unmet: Energy an empty battery could not give [J].
    """

    __slots__ = (
        "_brownout_since", "_discharge", "_energy", "_full", "_panel", "array_ratio", "generated", "load", "net",
        "payload_on", "soc", "spilled", "unmet",
    )  # fmt: skip

    def __init__(self, soc: float = 0.85) -> None:
        self._full = CAPACITY * 3600.0
        self._energy = soc * self._full
        self.soc = soc
        self.generated = self.net = 0.0
        self.load = LOAD_BUS + LOAD_PAYLOAD
        self.array_ratio = 1.0
        self.payload_on = True
        self.spilled = self.unmet = 0.0
        self._panel = 1.0
        self._discharge = 1.0
        self._brownout_since: float | None = None

    @property
    def voltage(self) -> float:
        """Open-circuit voltage of the battery, linear in the state of charge [V]."""
        return VOLTAGE_EMPTY + (VOLTAGE_FULL - VOLTAGE_EMPTY) * self.soc

    def brownout_stage(self, time: float) -> str:
        """Return `none`, `panel_damage`, `battery_stress` or `load_shed`.

        Args:
            time: Now [s].
        """
        if self._brownout_since is None:
            return "none"
        elapsed = time - self._brownout_since
        if elapsed < STRESS_AFTER:
            return "panel_damage"
        return "battery_stress" if elapsed < SHED_AFTER else "load_shed"

    def brownout(self, severity: float | None, since: float = 0.0) -> None:
        """Begin, change or end a brownout.

        Args:
            severity: 0.1..1; None ends it.
            since: When it began [s].
        """
        if severity is None:
            self._brownout_since = None
            self._panel = self._discharge = 1.0
        else:
            self._brownout_since = since
            self._panel = panel_factor(severity)
            self._discharge = discharge_factor(severity)

    def step(self, time: float, dt: float, exposure: float, short: float) -> None:
        """Advance the battery.

        Args:
            time: At the end of the step [s].
            dt: [s].
            exposure: Sunlight on the arrays: 0 in the shadow, cosine of the angle otherwise.
            short: Power a short circuit inside the battery turns into heat [W].
        """
        load = LOAD_BUS
        stress = 1.0
        since = self._brownout_since
        if since is None:
            if self.payload_on:
                load += LOAD_PAYLOAD
        else:
            elapsed = time - since
            if self.payload_on and elapsed < SHED_AFTER:
                load += LOAD_PAYLOAD
            if STRESS_AFTER <= elapsed < SHED_AFTER:
                stress = self._discharge
        generated = ARRAY_POWER * exposure * self._panel
        net = generated - load
        if net < 0.0:
            net *= stress
        net -= short
        self.generated = generated
        self.load = load
        self.net = net
        self.array_ratio = self._panel if exposure > 0.0 else 1.0
        energy = self._energy + net * dt
        if energy > self._full:
            self.spilled += energy - self._full
            energy = self._full
        elif energy < 0.0:
            self.unmet -= energy
            energy = 0.0
        self._energy = energy
        self.soc = energy / self._full


def panel_factor(severity: float) -> float:
    """Return what damaged arrays still give, 0.37 at severity 0.1 to 0.1 at 1 [1]."""
    return 0.4 - 0.3 * severity


def discharge_factor(severity: float) -> float:
    """Return how much more a stressed battery loses than it gives, 1.6 at severity 0.1 to 2.5 at 1 [1]."""
    return 1.5 + severity
