"""A run as one JSON object, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, TextIO, cast

import msgspec

from podium.events import OUTCOMES
from podium.protocols import Record
from podium.sinks.tally import StepTally, Tally
from podium.test_results import TestCounts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JsonReport:
    """Writes one JSON object at the end, in ASCII, with null for numbers JSON does not have.

    Args:
        stream: Where to; it belongs to the caller.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally = Tally(keep_output=True)
        self._closed = False

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Take in a batch."""
        self._tally.take(run, records)

    def close(self) -> None:
        """Write the object, unless no run was to be seen."""
        if not self._closed and self._tally.run:
            self._stream.write(json.dumps(_report(self._tally), indent=2, allow_nan=False) + "\n")
            self._stream.flush()
        self._closed = True


def _report(tally: Tally) -> dict[str, Any]:
    output = {} if tally.output is None else {"output": _finite(msgspec.to_builtins(tally.output, str_keys=True))}
    return {
        "run": tally.run,
        "name": tally.name,
        "work": tally.work,
        "outcome": tally.outcome,
        "counts": {outcome: tally.counts[outcome] for outcome in OUTCOMES if tally.counts.get(outcome)},
        "duration": round(tally.duration, 6),
        "started": _timestamp(tally.started_us) if tally.started_us else None,
        **output,
        **_tests(tally.tests),
        "cases": [_case(step) for step in tally.steps.values()],
    }


def _case(step: StepTally) -> dict[str, Any]:
    case: dict[str, Any] = {
        "name": step.name,
        "outcome": step.outcome,
        "attempts": step.attempts,
        "duration": None if step.duration is None else round(step.duration, 6),
    }
    if step.reason:
        case["reason"] = step.reason
    if step.failure is not None:
        failure = step.failure
        case["failure"] = {"type": failure.type, "message": failure.message, "details": failure.details}
    if step.tests is not None:
        case |= _tests(step.tests.counts)
        case["not_passed"] = [msgspec.to_builtins(result) for result in step.tests.bad.values()]
        case["flaky"] = list(step.tests.flaky)
    if step.output is not None:
        case["output"] = _finite(msgspec.to_builtins(step.output, str_keys=True))
    return case


def _tests(counts: TestCounts) -> dict[str, Any]:
    return {"tests": {"total": counts.total, **msgspec.to_builtins(counts)}} if counts.total else {}


def _timestamp(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _finite(value: Any) -> Any:
    """Return a JSON value with null for numbers that are not finite, as the journal has it."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("Sequence[Any]", value)]
    return value
