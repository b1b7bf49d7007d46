"""What changed between two runs, test by test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec

from podium.test_results import TestOutcome, TestResult

ChangeOfTest = Literal["newly_failing", "still_failing", "fixed", "new", "gone"]
"""What became of a test. `newly_failing`: it is bad now, and was not before or was not there. `still_failing`: it is
bad both times. `fixed`: it was bad, and is not now. `new`: it ran, and did not before. `gone`: the reverse, be it
removed, left out or skipped. Tests in quarantine are never bad."""

Tests = Mapping[tuple[str, str], TestResult]
"""Step and id to result."""


class TestChange(msgspec.Struct, frozen=True):
    """What became of one test.

    Attributes:
        step: Step that runs it.
        id: Name of the test.
        change: What became of it.
        old_outcome: None if it was not there.
        new_outcome: None if it is gone.
        message: Why it does not pass now.
    """

    __test__ = False

    step: str
    id: str
    change: ChangeOfTest
    old_outcome: TestOutcome | None
    new_outcome: TestOutcome | None
    message: str = ""


class TestChanges(msgspec.Struct, frozen=True):
    """What changed between two runs.

    Attributes:
        changes: Tests that did not pass both times, in the order of the later run; those that are gone come last.
        counts: Kind of change to number of tests.
        has_regression: Whether a test is newly failing.
    """

    __test__ = False

    changes: tuple[TestChange, ...]
    counts: dict[str, int]
    has_regression: bool


def compare_tests(baseline: Tests, current: Tests) -> TestChanges:
    """Return what changed from the tests of a baseline to those of the current run.

    Args:
        baseline: Results of the run compared against.
        current: Results of the run in question.
    """
    places = dict.fromkeys([*current, *baseline])
    found = [_change(place, baseline.get(place), current.get(place)) for place in places]
    changes = tuple(change for change in found if change is not None)
    counts = Counter(change.change for change in changes)
    return TestChanges(changes, dict(counts), has_regression=bool(counts["newly_failing"]))


def _change(place: tuple[str, str], old: TestResult | None, new: TestResult | None) -> TestChange | None:
    change = _kind(old, new)
    if change is None:
        return None
    step, name = place
    message = new.message if new is not None and new.counts_as_bad else ""
    return TestChange(step, name, change, old and old.outcome, new and new.outcome, message)


def _kind(old: TestResult | None, new: TestResult | None) -> ChangeOfTest | None:
    was_bad, is_bad = old is not None and old.counts_as_bad, new is not None and new.counts_as_bad
    if is_bad:
        return "still_failing" if was_bad else "newly_failing"
    if not _ran(new):
        return "gone" if _ran(old) else None
    if was_bad:
        return "fixed"
    return None if _ran(old) else "new"


def _ran(result: TestResult | None) -> bool:
    return result is not None and result.outcome != "skipped"
