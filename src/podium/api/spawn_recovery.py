"""What kind of error something is, and how well a group of tasks got over theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from podium.api.spawn_policies import SpawnResult
from podium.engine.error_classes import ErrorClass, error_class
from podium.events import Failure

Category = Literal["transient", "permanent", "timeout", "resource", "unknown"]

_CATEGORIES: dict[ErrorClass, Category] = {
    "rate_limit": "transient",
    "circuit_open": "transient",
    "transient": "transient",
    "permanent": "permanent",
    "timeout": "timeout",
    "resource": "resource",
    "unknown": "unknown",
}
_PERMANENT: dict[str, re.Pattern[str]] = {
    "auth_error": re.compile(r"authentication|unauthori[sz]ed|api.?key|\b401\b", re.IGNORECASE),
    "forbidden": re.compile(r"forbidden|permission|\b403\b", re.IGNORECASE),
    "invalid_model": re.compile("model", re.IGNORECASE),
    "not_found": re.compile(r"not found|no such|\b404\b", re.IGNORECASE),
}


class ErrorClassifier:
    """Tells kinds of errors apart, as the engine does.

    The engine knows rate limits as a kind of their own, as they never open a circuit. Here they are `transient`: after
    a wait they are tried again.
    """

    def classify(self, error: str | BaseException | SpawnResult) -> Category:
        """Return what kind of error a text, an exception or a failed result is."""
        if isinstance(error, SpawnResult):
            failure = Failure("", error.error or "", error.termination_reason or "")
        elif isinstance(error, BaseException):
            failure = Failure(type(error).__name__, str(error))
        else:
            failure = Failure("", error)
        return _CATEGORIES[error_class(failure)]

    def is_retryable(self, error: str | BaseException | SpawnResult) -> bool:
        """Return whether trying again may help."""
        return self.classify(error) != "permanent"


def failure_type(failure: Failure | None) -> str:
    """Return the type of a failure as `CircuitBreaker.record_failure` takes it."""
    kind = error_class(failure)
    if kind != "permanent" or failure is None:
        return "error" if kind == "unknown" else kind
    text = f"{failure.message} {failure.details}"
    return next((name for name, pattern in _PERMANENT.items() if pattern.search(text)), "invalid_request")


@dataclass(frozen=True)
class RecoverySummary:
    """How tasks ended, and how many of those in trouble got over it.

    Attributes:
        total_tasks: How many there were.
        succeeded: How many passed.
        failed: How many did not.
        recovered: How many of those that passed had failed before: tried again, or done without their agent.
        fallback_used: How many were done without their agent.
        total_retries: How many attempts of agents did not pass.
    """

    total_tasks: int = 0
    succeeded: int = 0
    failed: int = 0
    recovered: int = 0
    fallback_used: int = 0
    total_retries: int = 0

    @classmethod
    def from_results(cls, results: Iterable[SpawnResult]) -> RecoverySummary:
        """Return the summary of some results."""
        found = list(results)
        passed = [result for result in found if result.success]
        return cls(
            total_tasks=len(found),
            succeeded=len(passed),
            failed=len(found) - len(passed),
            recovered=sum(result.fallback or result.retry_count > 0 for result in passed),
            fallback_used=sum(result.fallback for result in found),
            total_retries=sum(result.retry_count for result in found),
        )

    @property
    def success_rate(self) -> float:
        """How many of all passed [%]; 0 if there were none."""
        return 100.0 * self.succeeded / self.total_tasks if self.total_tasks else 0.0

    @property
    def recovery_rate(self) -> float:
        """How many of those in trouble got over it [%]; 100 if none was."""
        troubled = self.recovered + self.failed
        return 100.0 * self.recovered / troubled if troubled else 100.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object, with both rates."""
        return asdict(self) | {"success_rate": self.success_rate, "recovery_rate": self.recovery_rate}
