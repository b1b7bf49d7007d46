"""Decides what the categories of a layer came to together; a function for `podium.executors.inline`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from podium.events import Failure
from podium.executors.judging import judge
from podium.plan.suites import SuiteOutput, Verdict
from podium.protocols import Finished
from podium.test_results import TestCounts

CRITICAL = "critical"
"""Key in the counts of a `SuiteOutput`: how many critical tests did not pass; a layer does not see its tests."""

UNKNOWN_REST = "how many tests were not run is not known"
"""What a suite notes that ended before its end and does not know its tests."""

_JUDGED = frozenset({"passed", "failed"})
"""Outcomes of categories that say no more than their counts."""


def judge_layer(payload: Any) -> Finished:
    """Return what a layer came to: the tests of all its categories by its own criteria.

    A category that was not run, or of which we cannot tell what it came to, speaks against the layer, unless its
    criteria allow for partial results. Tests that failed weigh more than that: then the layer failed.
    """
    try:
        verdict = msgspec.convert(payload, Verdict)
        found = {name: _counts(counts) for name, counts in verdict.counts.items()}
    except msgspec.ValidationError as error:
        return Finished("errored", failure=Failure("BadPayload", str(error)))
    total = TestCounts()
    for counts in found.values():
        total += counts or TestCounts()
    notes = tuple(_doubts(verdict, found))
    output = msgspec.json.decode(msgspec.json.encode(SuiteOutput(numbers(total), total.total, notes=notes)))
    if not total.total and total.left_out and not notes:
        return Finished("skipped", output, Failure("NothingSelected", f"none of {total.left_out} tests is selected"))
    outcome, message = judge(total, list(_critical(verdict)), verdict.criteria)
    against = list(_failed_anyhow(verdict, found)) if outcome == "passed" else []
    if against:
        return Finished("failed", output, Failure("Criteria", "; ".join(against)))
    if outcome == "passed" and (not notes or verdict.criteria.allow_partial):
        return Finished("passed", output)
    if outcome == "passed" or not total.total:
        kind = "Incomplete" if notes else "NoTests"
        return Finished("errored", output, Failure(kind, "; ".join(notes) or message))
    return Finished(outcome, output, Failure("Criteria", "; ".join([message, *notes])))


def numbers(counts: TestCounts, bad_critical: int = 0) -> dict[str, int]:
    """Return the counts of a `SuiteOutput`.

    Args:
        counts: How many tests came to what.
        bad_critical: How many critical tests did not pass.
    """
    found = {name: number for name, number in msgspec.structs.asdict(counts).items() if number}
    return {**found, CRITICAL: bad_critical} if bad_critical else found


def _counts(counts: dict[str, int] | None) -> TestCounts | None:
    return None if counts is None else msgspec.convert(counts, TestCounts)


def _critical(verdict: Verdict) -> Iterator[str]:
    for name, counts in verdict.counts.items():
        if number := (counts or {}).get(CRITICAL, 0):
            yield f"{number} in {name}"


def _failed_anyhow(verdict: Verdict, found: dict[str, TestCounts | None]) -> Iterator[str]:
    """Yield categories that failed for another reason than that tests of them did not pass."""
    for name, outcome in verdict.outcomes.items():
        counts = found.get(name)
        if outcome == "failed" and counts is not None and counts.total and not counts.bad:
            yield f"{name} failed by its own criteria"


def _doubts(verdict: Verdict, found: dict[str, TestCounts | None]) -> Iterator[str]:
    """Yield why the counts are not the whole truth."""
    for name, outcome in verdict.outcomes.items():
        counts = found.get(name)
        if outcome == "skipped" and counts is not None and counts.left_out:
            continue  # none of its tests was meant
        if outcome == "skipped":
            yield f"{name} was not run"
        elif outcome not in _JUDGED:
            rest = 0 if counts is None else counts.not_run
            yield f"{name} {outcome.replace('_', ' ')}" + (f", {rest} of its tests not run" if rest else "")
        elif counts is None:
            yield f"{name} {outcome} and says nothing of its tests"
