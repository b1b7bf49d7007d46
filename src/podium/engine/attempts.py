"""An attempt under way, and when it has lasted too long."""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal

import msgspec

from podium.engine.state import StepState
from podium.events import Failure
from podium.plan.policy import Policy
from podium.protocols import LARGEST_BLOB, Executor, Finished, Lost
from podium.storable import DEEPEST, encodable, is_too_deep
from podium.test_results import TestResult

StopReason = Literal["timeout", "silence", "total", "cancel", "deadline", "budget", "fail_fast", "service", "unneeded"]
_TIMED_OUT: dict[StopReason, str] = {
    "timeout": "Timeout",
    "silence": "Silence",
    "total": "TotalTimeout",
    "budget": "Budget",
}


class Running:
    """An attempt under way.

    Attributes:
        state: Its step.
        token: Fencing token.
        executor: What carries it out.
        started_at: On the monotonic scale [s].
        active_at: When it last showed a sign of life, likewise.
        shown_at: When progress was last written down, likewise.
        stopping: Why it was told to end.
        why: More about it, in words.
        forced: Whether it was killed.
    """

    __slots__ = ("active_at", "executor", "forced", "shown_at", "started_at", "state", "stopping", "token", "why")

    def __init__(self, state: StepState, token: int, executor: Executor, started_at: float) -> None:
        self.state = state
        self.token = token
        self.executor = executor
        self.started_at = self.active_at = self.shown_at = started_at
        self.stopping: StopReason | None = None
        self.why = ""
        self.forced = False

    @property
    def is_limited(self) -> bool:
        """Whether it may become overdue."""
        policy = self.state.step.policy
        return policy.timeout is not None or policy.silence_timeout is not None or self.state.due_at is not None

    def overdue(self, now: float) -> tuple[StopReason | None, float | None]:
        """Return which limit of an attempt has passed, else when to look again, None if there is no limit [s].

        A service that is up has none.
        """
        if self.state.is_up:
            return None, None
        policy = self.state.step.policy
        moments: list[float] = []
        if policy.silence_timeout is not None:
            silent_at = self.active_at + policy.silence_timeout
            if now >= silent_at:
                return "silence", None
            moments.append(silent_at)
        due_at = self.state.due_at
        if due_at is not None:
            if now >= due_at:
                return "total", None
            moments.append(due_at)
        end = self._end(policy)
        if end is not None:
            if now >= end:
                return "timeout", None
            moments.append(end)
        return None, min(moments, default=None)

    def _end(self, policy: Policy) -> float | None:
        if policy.timeout is None:
            return None
        end = self.started_at + policy.timeout
        if policy.extend_to is not None and self.active_at > self.started_at:
            end = max(end, min(self.started_at + policy.extend_to, self.active_at + policy.active_within))
        return end

    def result(self, report: Finished | Lost) -> Finished:
        """Return what an attempt came to that had been told to end."""
        told = report if isinstance(report, Finished) else Finished("cancelled")
        if self.stopping in _TIMED_OUT:
            failure = Failure(_TIMED_OUT[self.stopping], self._overrun(), told.failure.details if told.failure else "")
            return Finished("timed_out", told.output, failure, told.artifacts)
        if told.outcome == "passed":
            return told
        if self.stopping == "service":
            return Finished("errored", told.output, Failure("ServiceDied", self.why), told.artifacts)
        failure = Failure("Cancelled", self.why or f"stopped by {self.stopping}")
        return Finished("cancelled", told.output, failure, told.artifacts)

    def _overrun(self) -> str:
        policy = self.state.step.policy
        if self.stopping == "budget":
            return self.why
        if self.stopping == "silence":
            return f"gave no sign of life for {policy.silence_timeout:g} s"
        if self.stopping == "total":
            return f"was not done within {policy.total_timeout:g} s, with all attempts"
        end = self._end(policy)
        if self.state.role == "service":
            return f"was not up within {policy.timeout:g} s"
        return f"did not end within {0.0 if end is None else end - self.started_at:.6g} s"


def storable(report: Finished) -> Finished:
    """Return the report, or an error if its output is no JSON or an artifact too large, so that others are not lost."""
    failure = report.failure
    if failure is not None:
        texts: dict[str, Any] = {name: encodable(getattr(failure, name)) for name in ("type", "message", "details")}
        wait = failure.retry_after
        texts["retry_after"] = wait if wait is not None and isfinite(wait) else None
        report = msgspec.structs.replace(report, failure=msgspec.structs.replace(failure, **texts))
    try:
        if report.output is not None:
            if is_too_deep(report.output):
                return _no_json(f"lists and mappings are nested deeper than {DEEPEST}")
            msgspec.json.encode(report.output)
    except (TypeError, ValueError, RecursionError) as error:
        return _no_json(str(error))
    for name, data in report.artifacts.items():
        if len(data) > LARGEST_BLOB:
            text = f"the artifact `{name}` has {len(data)} bytes, more than {LARGEST_BLOB}"
            return Finished("errored", report.output, Failure("ArtifactTooLarge", text))
    return report


def _no_json(why: str) -> Finished:
    return Finished("errored", failure=Failure("NoJson", f"the output is no JSON value: {why}"))


def encodable_result(result: TestResult) -> TestResult:
    """Return the result of a test with texts that can be stored."""
    try:
        msgspec.json.encode(result)
    except UnicodeEncodeError:
        texts: dict[str, Any] = {
            name: encodable(getattr(result, name)) for name in ("id", "message", "details", "file")
        }
        return msgspec.structs.replace(result, **texts, markers=tuple(encodable(marker) for marker in result.markers))
    return result
