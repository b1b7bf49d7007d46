"""The circuit breaker of a target: closed, open, half-open with one probe at a time."""

from __future__ import annotations

from typing import Literal

import msgspec

from podium.engine.error_classes import ErrorClass
from podium.plan.policy import Breaker
from podium.protocols import Circuit

_US = 1_000_000


def state_of(circuit: Circuit) -> Literal["open", "half_open", "closed"]:
    """Return in which of its states a circuit is."""
    if not circuit.opened_us:
        return "closed"
    return "half_open" if circuit.probe_us else "open"


def admit(circuit: Circuit, breaker: Breaker, now_us: int) -> tuple[Circuit, float | None]:
    """Return the circuit after somebody asked for the target, and how long to leave it alone, None if not at all [s].

    Closed: everybody may. Open: nobody, until the reset time is over. Half-open: one may probe; a probe of which
    nothing is heard for the reset time counts as lost.
    """
    if not circuit.opened_us:
        return circuit, None
    since = max(circuit.opened_us, circuit.probe_us)
    left = since + round(breaker.reset * _US) - now_us
    if left > 0:
        return circuit, min(left / _US, breaker.reset)  # whatever the clock was set to
    return msgspec.structs.replace(circuit, probe_us=now_us), None


def record(circuit: Circuit, breaker: Breaker, now_us: int, *, error: ErrorClass | None) -> Circuit:
    """Return the circuit after an attempt ended.

    Args:
        circuit: As it was.
        breaker: The limits.
        now_us: Wall time [us since the Unix epoch].
        error: What kind of error the attempt came to; None: it passed.
    """
    if error is None:
        return Circuit()
    if circuit.opened_us:  # the probe did not pass, or one that began before it opened
        return msgspec.structs.replace(circuit, opened_us=now_us, probe_us=0)
    if error == "rate_limit":
        return circuit
    window = now_us - round(breaker.window * _US)
    failures = (*(at for at in circuit.failures_us if at > window), now_us)[-breaker.failures :]
    opens = error == "permanent" or len(failures) >= breaker.failures
    return Circuit(failures_us=failures, opened_us=now_us if opens else 0)


def give_back(circuit: Circuit) -> Circuit:
    """Return the circuit after an attempt ended that says nothing about the target: a probe may be made again."""
    return msgspec.structs.replace(circuit, probe_us=0)
