"""Delays between attempts, drawn from the run's seed so that a replayed run draws the same."""

from __future__ import annotations

from hashlib import blake2b

from podium.plan.policy import Retry


def retry_delay(retry: Retry, *, seed: int, step: str, failures: int) -> float:
    """Return the wait before the next attempt [s].

    Args:
        retry: The step's policy.
        seed: The run's seed.
        step: The step's name.
        failures: How many attempts have failed so far, at least 1.

    Source: exponential backoff with jitter; full jitter (`jitter = 1`) spreads callers best
        (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    try:
        ceiling = min(retry.maximum, retry.initial * retry.exponent ** (failures - 1))
    except OverflowError:
        ceiling = retry.maximum
    draw = blake2b(f"{seed}\0{step}\0{failures}".encode(), digest_size=8).digest()
    unit = int.from_bytes(draw, "big") / 2**64
    return ceiling * (1.0 - retry.jitter * unit)
