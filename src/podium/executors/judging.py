"""What tests that came to this and that say about their suite or their layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Protocol

import msgspec

from podium.events import Failure, Outcome, outcome_word
from podium.plan.quarantine import active, excuses
from podium.plan.suites import Criteria, Quarantined
from podium.test_results import BAD, TestCounts, TestResult

_MOST_NAMED = 3
_MOST_DETAILS = 20
_STRICT = Criteria()


def judge(
    counts: TestCounts, bad_critical: Sequence[str], criteria: Criteria, *, flaky_is_bad: bool = False
) -> tuple[Outcome, str]:
    """Return what tests came to together, and why they did not pass.

    No tests at all never pass: nothing was found out.

    Args:
        counts: How many tests came to what.
        bad_critical: Ids of critical tests that did not pass, see `is_critical`.
        criteria: What is demanded.
        flaky_is_bad: A test that passed only when it was tried again counts as one that failed.
    """
    if not counts.total:
        return "errored", "no tests were run"
    flaky = counts.flaky if flaky_is_bad else 0
    bad = counts.bad + flaky
    reasons: list[str] = []
    if bad_critical:
        reasons.append(f"critical tests did not pass: {_named(bad_critical)}")
    good = counts.passed + counts.xfailed + counts.xpassed - flaky
    rate = good / (good + bad) if good + bad else 1.0
    if bad > criteria.max_failures or rate < criteria.min_pass_rate:
        reasons.append(_too_many(counts, flaky, rate, criteria))
    if not reasons:
        return "passed", ""
    undecided = counts.errored and not (counts.failed or counts.timed_out or flaky)
    return ("errored" if undecided else "failed"), "; ".join(reasons)


class Named(Protocol):
    """A test that was found or run."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def markers(self) -> tuple[str, ...]:
        """Names of its markers."""
        ...


def is_critical(test: Named, critical: Iterable[str]) -> bool:
    """Return whether a test has one of these markers, or one of these texts in its id."""
    return any(word in test.markers or word in test.id for word in critical)


def uncritical(critical: Iterable[str], tests: Collection[Named]) -> tuple[str, ...]:
    """Return the words that make none of these tests critical; none if no test is known."""
    return tuple(word for word in critical if tests and not any(is_critical(test, (word,)) for test in tests))


def today() -> str:
    """Return the date people have, `YYYY-MM-DD`."""
    return datetime.now().astimezone().date().isoformat()


def is_quarantined(test: str, quarantine: Collection[Quarantined], day: str) -> bool:
    """Return whether a test is in quarantine.

    Args:
        test: Its id.
        quarantine: Patterns with their last days.
        day: The date, `YYYY-MM-DD`.
    """
    return _excused(tuple(quarantine), day)(test)


def with_quarantine(result: TestResult, quarantine: Collection[Quarantined], day: str) -> TestResult:
    """Return a result, marked if it did not pass, or not at once, and is known not to."""
    if quarantine and (result.outcome in BAD or result.flaky) and is_quarantined(result.id, quarantine, day):
        return msgspec.structs.replace(result, quarantined=True)
    return result


def described(results: Iterable[TestResult], problem: Failure | None = None) -> str:
    """Return a line for each of the first tests that speak against a suite, and what else is wrong.

    Args:
        results: What tests came to.
        problem: What speaks against the suite besides.
    """
    bad = [result for result in results if result.counts_as_bad]
    lines = [f"{result.id}: {result.message or outcome_word(result.outcome)}" for result in bad[:_MOST_DETAILS]]
    if len(bad) > _MOST_DETAILS:
        lines.append(f"and {len(bad) - _MOST_DETAILS} more")
    return "\n".join([*lines, *([problem.message] if problem else [])])


@lru_cache(maxsize=64)
def _excused(quarantine: tuple[Quarantined, ...], day: str) -> Callable[[str], bool]:
    return excuses(active(quarantine, date.fromisoformat(day)))


def _too_many(counts: TestCounts, flaky: int, rate: float, criteria: Criteria) -> str:
    words = [("failed", counts.failed), ("errored", counts.errored), ("timed out", counts.timed_out), ("flaky", flaky)]
    parts = ", ".join(f"{number} {word}" for word, number in words if number)
    known = f", {counts.quarantined} of them in quarantine" if counts.quarantined else ""
    demand = ""
    if (criteria.min_pass_rate, criteria.max_failures) != (_STRICT.min_pass_rate, _STRICT.max_failures):
        if rate < criteria.min_pass_rate:
            demand += f"; {rate:.1%} passed, the least is {criteria.min_pass_rate:.1%}"
        if counts.bad + flaky > criteria.max_failures:
            demand += f"; the most that may fail is {criteria.max_failures}"
    return f"{parts}{known} of {counts.total}{demand}"


def _named(tests: Sequence[str]) -> str:
    more = len(tests) - _MOST_NAMED
    return ", ".join(tests[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
