"""Policies that have a name, so that a document says `policy: patient` instead of six limits."""

from __future__ import annotations

from podium.errors import UsageError
from podium.plan.policy import Policy, Retry, RetryRule

_JITTER = 0.1
_PERMANENT = RetryRule(attempts=1, errors=("permanent",), jitter=_JITTER)
"""What trying again cannot help, such as a file that is not there, is final at once."""


def _retry(attempts: int, initial: float = 1.0, maximum: float = 60.0) -> Retry:
    return Retry(attempts=attempts, initial=initial, maximum=maximum, jitter=_JITTER, rules=(_PERMANENT,))


PRESETS: dict[str, Policy] = {
    "default": Policy(timeout=60.0, extend_to=300.0, active_within=10.0, silence_timeout=30.0, retry=_retry(3)),
    "production": Policy(timeout=120.0, extend_to=600.0, active_within=15.0, retry=_retry(3, 2.0, 120.0)),
    "fast_fail": Policy(timeout=60.0, silence_timeout=15.0, retry=_retry(1)),
    "patient": Policy(timeout=120.0, extend_to=600.0, active_within=10.0, retry=_retry(2, 2.0, 30.0)),
    "development": Policy(timeout=1800.0, retry=_retry(1)),
    "test": Policy(timeout=30.0, silence_timeout=10.0, retry=_retry(1)),
}
"""Name to policy. In all of them a delay is drawn from the last tenth below what it could be at most."""


def preset(name: str) -> Policy:
    """Return the policy of this name.

    Raises:
        UsageError: There is none.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown policy preset `{name}`", hint=f"presets: {', '.join(PRESETS)}")
    return PRESETS[name]
