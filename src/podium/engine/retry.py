"""Whether there is another attempt after one that failed, and when; drawn from the run's seed, so replays agree."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from podium.engine.error_classes import error_class
from podium.events import Failure, Outcome
from podium.plan.policy import Backoff, Retry, RetryRule


class Again(msgspec.Struct, frozen=True):
    """There is another attempt.

    Attributes:
        delay: After this wait [s].
        rule: Which rule decided, from 1; 0: none of them.
    """

    delay: float
    rule: int = 0


def retry_delay(backoff: Backoff, *, seed: int, step: str, failures: int) -> float:
    """Return the wait before the next attempt [s].

    Args:
        backoff: How waits grow.
        seed: The run's seed.
        step: What distinguishes this wait from that of others: the step's name.
        failures: How many attempts have failed so far, at least 1.

    Source: exponential backoff with jitter; full jitter (`jitter = 1`) spreads callers best
        (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    try:
        ceiling = min(backoff.maximum, backoff.initial * backoff.exponent ** (failures - 1))
    except OverflowError:
        ceiling = backoff.maximum
    draw = blake2b(f"{seed}\0{step}\0{failures}".encode(), digest_size=8).digest()
    unit = int.from_bytes(draw, "big") / 2**64
    return ceiling * (1.0 - backoff.jitter * unit)


class Failed(msgspec.Struct, frozen=True):
    """What is known of an attempt that did not pass, for the question what follows.

    Attributes:
        step: Step name.
        outcome: How it ended.
        failure: Why.
        failures: How many attempts have failed with it.
        rule_failures: Rule, from 1, to how often it has led to another attempt.
        elapsed: Since the first attempt began [s].
    """

    step: str
    outcome: Outcome
    failure: Failure | None
    failures: int
    rule_failures: dict[int, int]
    elapsed: float


def another_attempt(
    retry: Retry, failed: Failed, *, seed: int, holds: Callable[[str, dict[str, Any]], bool]
) -> Again | None:
    """Return when there is another attempt, or None if this one was the last.

    Args:
        retry: The policy.
        failed: What happened.
        seed: The run's seed.
        holds: Tells whether an expression holds, given what it knows besides the step's own scope.

    Raises:
        ExpressionError: An expression of a rule has no value.
    """
    number = next((n for n, rule in enumerate(retry.rules, 1) if _fits(rule, failed, holds)), 0)
    if number:
        backoff: Backoff = retry.rules[number - 1]
        failures = failed.rule_failures.get(number, 0) + 1
        is_last = failures >= retry.rules[number - 1].attempts
    else:
        backoff, failures = retry, failed.failures - sum(failed.rule_failures.values())
        is_last = failed.outcome not in retry.outcomes or (failed.failure or _NONE).type == "CircuitOpen"
    if is_last or failed.failures >= retry.attempts:
        return None
    name = f"{failed.step}\0{number}" if number else failed.step
    delay = retry_delay(backoff, seed=seed, step=name, failures=max(1, failures))
    if failed.failure is not None and failed.failure.retry_after is not None:
        delay = max(delay, failed.failure.retry_after)
    if retry.budget is not None and failed.elapsed + delay > retry.budget:
        return None
    return Again(delay, number)


_NONE = Failure("", "")


def _fits(rule: RetryRule, failed: Failed, holds: Callable[[str, dict[str, Any]], bool]) -> bool:
    failure = failed.failure or _NONE
    kind = error_class(failed.failure)
    return (
        (not rule.outcomes or failed.outcome in rule.outcomes)
        and (not rule.errors or kind in rule.errors or failure.type in rule.errors)
        and (not rule.exit_codes or failure.exit_code in rule.exit_codes)
        and (not rule.pattern or _pattern(rule.pattern).search(f"{failure.message}\n{failure.details}") is not None)
        and (not rule.when or holds(rule.when, {"error": error_of(failure)}))
    )


def error_of(failure: Failure | None) -> dict[str, Any] | None:
    """Return what expressions know of a failure."""
    if failure is None:
        return None
    return {**msgspec.to_builtins(failure), "class": error_class(failure)}


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)
