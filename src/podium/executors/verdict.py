"""Decides what the categories of a layer came to together; a function for `podium.executors.inline`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from podium.events import Failure, Outcome, outcome_word
from podium.executors.judging import judge
from podium.plan.suites import Criteria, SuiteOutput, Verdict
from podium.protocols import Finished
from podium.test_results import TestCounts

CRITICAL = "critical"
"""Key in the counts of a `SuiteOutput`: how many critical tests did not pass; a layer does not see its tests."""

UNKNOWN_REST = "how many tests were not run is not known"
"""What a suite notes that ended before its end and does not know its tests."""

_JUDGED = frozenset({"passed", "failed"})
"""Outcomes of categories that say no more than their counts."""
_CUT_SHORT = frozenset({"timed_out", "cancelled"})
"""Outcomes of categories that were ended from outside, so that their own criteria have not been applied yet."""


class _Found(msgspec.Struct, frozen=True):
    """What is known of the categories.

    Attributes:
        verdict: What was asked.
        counts: Category to the counts of its tests.
        total: All of them together.
    """

    verdict: Verdict
    counts: dict[str, TestCounts | None]
    total: TestCounts

    @property
    def flaky_is_bad(self) -> bool:
        """Whether a test that passed only when it was tried again counts as one that failed."""
        return self.verdict.flaky == "failed"


class _Ruling(msgspec.Struct, frozen=True):
    """What speaks against a layer.

    Attributes:
        outcome: What its tests came to.
        against: Why that is not `passed`.
        doubts: Why the counts are not the whole truth, as far as that matters.
        notes: What else a person should know.
    """

    outcome: str
    against: tuple[str, ...]
    doubts: tuple[str, ...]
    notes: tuple[str, ...] = ()


def judge_layer(payload: Any) -> Finished:
    """Return what a layer came to: the tests of all its categories by its own criteria, else what these came to.

    A category that was not run, or of which we cannot tell what it came to, speaks against the layer, unless the
    criteria allow for partial results. Tests that failed weigh more than that: then the layer failed.
    """
    try:
        verdict = msgspec.convert(payload, Verdict)
        counts = {name: _counts(found) for name, found in verdict.counts.items()}
    except msgspec.ValidationError as error:
        return Finished("errored", failure=Failure("BadPayload", str(error)))
    total = TestCounts()
    for each in counts.values():
        total += each or TestCounts()
    found = _Found(verdict, counts, total)
    ruling = _by_categories(found) if verdict.criteria is None else _by_criteria(found, verdict.criteria)
    unmeant = total.left_out or (counts and all(outcome == "skipped" for outcome in verdict.outcomes.values()))
    if not total.total and unmeant and not tuple(_doubts(found)):
        words = f"none of {total.left_out} tests is selected" if total.left_out else "no test is selected"
        return Finished("skipped", _output(total, ()), Failure("NothingSelected", words))
    output = _output(total, (*ruling.notes, *_remarks(verdict)))
    if ruling.outcome == "passed" and not ruling.doubts:
        return Finished("passed", output)
    if ruling.outcome == "failed" or (ruling.outcome == "errored" and total.total):
        outcome = "failed" if ruling.outcome == "failed" else "errored"
        return Finished(outcome, output, Failure("Criteria", "; ".join([*ruling.against, *ruling.doubts])))
    kind = "Incomplete" if ruling.doubts else "NoTests"
    return Finished("errored", output, Failure(kind, "; ".join(ruling.doubts or ruling.against)))


def numbers(counts: TestCounts, bad_critical: int = 0) -> dict[str, int]:
    """Return the counts of a `SuiteOutput`.

    Args:
        counts: How many tests came to what.
        bad_critical: How many critical tests did not pass.
    """
    found = {name: number for name, number in msgspec.structs.asdict(counts).items() if number}
    return {**found, CRITICAL: bad_critical} if bad_critical else found


def _by_criteria(found: _Found, criteria: Criteria) -> _Ruling:
    """Return what the tests of all categories come to together."""
    doubts = tuple(_doubts(found))
    critical = [f"{number} in {name}" for name in found.verdict.counts if (number := _critical(found, name))]
    outcome, message = judge(found.total, critical, criteria, flaky_is_bad=found.flaky_is_bad)
    against = (message,) if message else ()
    if outcome == "passed":
        against = tuple(_failed_anyhow(found))
        outcome = "failed" if against else outcome
    if outcome == "passed" and criteria.allow_partial:
        return _Ruling(outcome, (), (), doubts)
    return _Ruling(outcome, against, doubts)


def _by_categories(found: _Found) -> _Ruling:
    """Return what categories come to by the criteria of each."""
    against: list[str] = []
    doubts: list[str] = []
    notes: list[str] = []
    for name, outcome in found.verdict.outcomes.items():
        counts, own = found.counts.get(name), _own(found, name)
        judged, message = _judged_alone(found, name)
        has_tests = counts is not None and bool(counts.total)
        doubt = _doubt(found, name)
        if outcome == "failed" and has_tests:
            against.append(f"{name}: {message or 'failed by its own criteria'}")
        elif has_tests and judged == "failed" and outcome not in _JUDGED:
            against.append(f"{name}: {message}")
            doubts.append(doubt)
        elif has_tests and judged == "passed" and own.allow_partial and outcome in _CUT_SHORT:
            notes.append(doubt)
        elif doubt:
            doubts.append(f"{doubt}: {message}" if has_tests and message else doubt)
    if against:
        return _Ruling("failed", tuple(against), tuple(doubts), tuple(notes))
    if not found.total.total:
        return _Ruling("errored", ("no tests were run",), tuple(doubts))
    return _Ruling("passed", (), tuple(doubts), tuple(notes))


def _output(total: TestCounts, notes: tuple[str, ...]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(SuiteOutput(numbers(total), total.total, notes=notes)))


def _counts(counts: dict[str, int] | None) -> TestCounts | None:
    return None if counts is None else msgspec.convert(counts, TestCounts)


def _critical(found: _Found, name: str) -> int:
    return (found.verdict.counts.get(name) or {}).get(CRITICAL, 0)


def _critical_of(found: _Found, name: str) -> list[str]:
    """Return the critical tests of a category that did not pass, in words: their ids are not known here."""
    number = _critical(found, name)
    return [str(number)] if number else []


def _own(found: _Found, name: str) -> Criteria:
    return found.verdict.own.get(name, Criteria())


def _judged_alone(found: _Found, name: str) -> tuple[Outcome, str]:
    """Return what the tests of a category come to by its own criteria, and why they did not pass."""
    counts = found.counts.get(name) or TestCounts()
    return judge(counts, _critical_of(found, name), _own(found, name), flaky_is_bad=found.flaky_is_bad)


def _failed_anyhow(found: _Found) -> Iterator[str]:
    """Yield categories that failed for another reason than what their tests came to."""
    for name, outcome in found.verdict.outcomes.items():
        counts = found.counts.get(name)
        has_tests = counts is not None and bool(counts.total)
        if outcome == "failed" and has_tests and _judged_alone(found, name)[0] == "passed":
            yield f"{name} failed by its own criteria"


def _doubts(found: _Found) -> Iterator[str]:
    """Yield why the counts are not the whole truth."""
    yield from filter(None, (_doubt(found, name) for name in found.verdict.outcomes))


def _doubt(found: _Found, name: str) -> str:
    """Return why the counts of a category are not the whole truth, nothing if they are."""
    outcome, counts = found.verdict.outcomes[name], found.counts.get(name)
    if outcome == "skipped":  # if it was looked into, none of its tests was meant
        return f"{name} was not run" if counts is None else ""
    if outcome not in _JUDGED:
        rest = 0 if counts is None else counts.not_run
        return f"{name} {outcome_word(outcome)}" + (f", {rest} of its tests not run" if rest else "")
    return f"{name} {outcome} and says nothing of its tests" if counts is None else ""


def _remarks(verdict: Verdict) -> Iterator[str]:
    """Yield which words that make tests critical fit none; known only if all categories know their tests."""
    every = verdict.uncritical
    for word in () if verdict.criteria is None else verdict.criteria.critical:
        if every and all(word in (unfit or ()) for unfit in every.values()):
            yield f"no test that was found fits `critical: {word}`, so it demands nothing"
    shards: dict[str, list[str]] = {}
    for name in verdict.own:
        shards.setdefault(name.split("/")[0], []).append(name)
    for category, names in shards.items():
        for word in verdict.own[names[0]].critical:
            if all(word in (every.get(name) or ()) for name in names):
                yield f"no test of {category} that was found fits `critical: {word}`, so it demands nothing"
