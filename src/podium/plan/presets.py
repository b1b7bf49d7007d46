"""Policies that have a name, so that a document says `policy: patient` instead of six limits."""

from __future__ import annotations

from podium.plan.policy import Policy, Retry, RetryRule

_JITTER = 0.1
_PERMANENT = RetryRule(attempts=1, errors=("permanent",), jitter=_JITTER)
"""What trying again cannot help, such as a file that is not there, is final at once."""


def _retry(attempts: int, initial: float = 1.0, maximum: float = 60.0, exponent: float = 2.0) -> Retry:
    return Retry(
        attempts=attempts, initial=initial, maximum=maximum, exponent=exponent, jitter=_JITTER, rules=(_PERMANENT,)
    )


PRESETS: dict[str, Policy] = {
    "default": Policy(timeout=60, extend_to=300, active_within=10, silence_timeout=30, retry=_retry(3, 1, 60, 2)),
    "production": Policy(timeout=120, extend_to=600, active_within=15, retry=_retry(3, 2, 120, 2)),
    "fast_fail": Policy(timeout=60, silence_timeout=15, retry=_retry(1)),
    "patient": Policy(timeout=120, extend_to=600, active_within=10, silence_timeout=120, retry=_retry(2, 2, 30, 2)),
    "development": Policy(timeout=1800, retry=_retry(1)),
    "test": Policy(timeout=30, silence_timeout=10, retry=_retry(1)),
}
"""Name to policy. In all of them a delay is drawn from the last tenth below what it could be at most."""
