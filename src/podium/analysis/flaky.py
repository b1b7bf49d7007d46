"""Which tests cannot be relied on: what their last runs say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import msgspec

from podium.history import FLAKY_SIGN, SIGNS, TestRow
from podium.test_results import BAD, TestOutcome

_BAD_SIGNS = frozenset(SIGNS[outcome] for outcome in BAD)
_LEAST_FLIPS = 2
"""A single change from passing to failing is a defect, one back is its repair; a test that does both wavers."""


class FlakyTest(msgspec.Struct, frozen=True):
    """A test that passes and fails for no reason that is known.

    Attributes:
        origin: Where its suite lives.
        id: Name of the test.
        runs: How many of its last runs are looked at; those in which it was skipped are left out.
        failure_rate: In which share of them it failed at least once, 0..1.
        flips: How often it changed between passing and failing; passing when tried again counts as a change.
        flip_rate: Flips by runs, from 0; the higher, the less its result says.
        retried: In how many of them it passed only when it was tried again.
        outcome: What it came to last.
        last_us: When it was run last [us since the Unix epoch].
        last_bad_us: When it last did not pass, 0: never without passing when it was tried again [us since the epoch].
        recent: One character for each run, the newest last; see `podium.history.SIGNS`.
    """

    origin: str
    id: str
    runs: int
    failure_rate: float
    flips: int
    flip_rate: float
    retried: int
    outcome: TestOutcome
    last_us: int
    last_bad_us: int
    recent: str


def flaky_tests(rows: Iterable[TestRow]) -> list[FlakyTest]:
    """Return the tests that wavered in their last runs, the least reliable first.

    A test wavers if it passed when it was tried again in the same run, or if it went from passing to failing and back,
    or the reverse.

    Args:
        rows: What is known of tests.
    """
    found = [test for row in rows if (test := _measured(row)) is not None and _wavers(test)]
    return sorted(found, key=lambda test: (-test.flip_rate, -test.failure_rate, test.origin, test.id))


def _measured(row: TestRow) -> FlakyTest | None:
    ran = row.recent.replace(SIGNS["skipped"], "")
    if not ran:
        return None
    verdicts = list(_verdicts(ran))
    flips = sum(before is not after for before, after in pairwise(verdicts))
    failures = sum(sign in _BAD_SIGNS or sign == FLAKY_SIGN for sign in ran)
    return FlakyTest(
        origin=row.origin,
        id=row.id,
        runs=len(ran),
        failure_rate=failures / len(ran),
        flips=flips,
        flip_rate=flips / len(ran),
        retried=ran.count(FLAKY_SIGN),
        outcome=row.outcome,
        last_us=row.last_us,
        last_bad_us=row.last_bad_us,
        recent=row.recent,
    )


def _wavers(test: FlakyTest) -> bool:
    return test.retried > 0 or test.flips >= _LEAST_FLIPS


def _verdicts(recent: str) -> Iterator[bool]:
    """Yield whether it passed, for each time it was tried."""
    for sign in recent:
        if sign == FLAKY_SIGN:
            yield False
        yield sign not in _BAD_SIGNS
