"""In which order the tests of a suite are run: what failed last time, what is near to a change, what takes longest.

Tests of a module stay together and in their order, because they may share fixtures, or depend on each other; only a
test that takes a large part of all time is taken out, so that it does not come last. A module that takes long is shared
among workers when there is nothing else left, see `pytest_host.board`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from podium.executors.found import FoundTest
from podium.protocols import TestRecord
from podium.test_results import BAD

_FEW_TESTS = 4
_SHORT = 0.3
"""A suite that takes no longer than this is not worth a second worker [s]."""
_LONG = 0.2
_SHARES = 4
"""A test is taken out of its module if it takes more than this fraction of what each worker has to do; and longer than
`_LONG` [s]."""


class Arrangement(msgspec.Struct, frozen=True):
    """How chosen tests are handed out.

    Attributes:
        chunks: Ranges of places among the chosen tests, the first to be handed out first.
        workers: How many workers are worth starting.
        expected: How long the tests take one after the other, 0 if not all of that is known [s].
    """

    chunks: tuple[tuple[int, int], ...]
    workers: int
    expected: float = 0.0


def arrange(
    tests: Sequence[FoundTest],
    records: Mapping[str, TestRecord],
    workers: int,
    nearness: Mapping[str, float] | None = None,
) -> Arrangement:
    """Return how tests are handed out to workers.

    Args:
        tests: Those chosen, in the order in which they were collected.
        records: What is known of them, by id.
        workers: How many workers there may be.
        nearness: Test file to how near it is to what changed; the nearest come first.
    """
    near = nearness or {}
    known = [records.get(test.id) for test in tests]
    durations = [record.duration for record in known if record is not None]
    guess = median(durations) if durations else 1.0
    expected = sum(durations) if len(durations) == len(tests) else 0.0
    few = len(tests) < _FEW_TESTS or (len(durations) == len(tests) and expected < _SHORT)
    workers = 1 if few else max(1, min(workers, len(tests)))
    long = max(_LONG, sum(durations) / (workers * _SHARES)) if workers > 1 else math.inf
    apart = [record is not None and record.duration > long for record in known]
    chunks: list[tuple[bool, float, float, int, int]] = []
    for start, end in _modules(tests, apart):
        part = known[start:end]
        weight = sum(guess if record is None else record.duration for record in part)
        failed = any(record is not None and record.outcome in BAD for record in part)
        chunks.append((not failed, -near.get(tests[start].file, 0.0), -weight, start, end))
    chunks.sort()
    ranges = tuple((start, end) for _, _, _, start, end in chunks)
    return Arrangement(ranges, workers, expected)


def _modules(tests: Sequence[FoundTest], apart: Sequence[bool]) -> list[tuple[int, int]]:
    """Return the ranges of tests of the same module that follow each other; some tests are ranges of their own."""
    ranges: list[tuple[int, int]] = []
    start = 0
    for place in range(1, len(tests) + 1):
        if place == len(tests) or tests[place].file != tests[start].file or apart[place] or apart[place - 1]:
            ranges.append((start, place))
            start = place
    return ranges if tests else []
