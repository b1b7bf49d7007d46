"""What the tests of one step add up to, for showing."""

from __future__ import annotations

from podium.events import TestsFinished
from podium.test_results import TestCounts, TestResult

_SLOWEST = 10


class TestTally:
    """What the tests of a step came to so far; of a test that was tried again, the last result counts.

    Args:
        keep_all: Keep the results of tests that passed, too.

    Attributes:
        counts: How many came to what.
        planned: How many tests there are, as far as is known.
        origin: Where the suite lives, relative to the project.
        bad: Id to the result of each that did not pass, those in quarantine included, in order.
        flaky: Id to the result of each that passed only when it was tried again.
        slowest: Those that took longest, the longest first.
        results: Id to result of all tests, if they are kept.
    """

    __test__ = False

    def __init__(self, *, keep_all: bool = False) -> None:
        self.counts = TestCounts()
        self.planned = 0
        self.origin = ""
        self.bad: dict[str, TestResult] = {}
        self.flaky: dict[str, TestResult] = {}
        self.slowest: list[TestResult] = []
        self.results: dict[str, TestResult] = {}
        self._keep_all = keep_all
        self._noted: dict[str, TestResult] = {}
        self._simply_passed: set[str] = set()

    def take(self, event: TestsFinished) -> None:
        """Take in results."""
        self.planned = event.total or self.planned
        self.origin = event.origin
        for result in event.results:
            self._take_back(result.id)
            if result.outcome == "passed" and not result.flaky:
                self._simply_passed.add(result.id)
            else:
                self._noted[result.id] = result
            if result.outcome in ("failed", "errored", "timed_out"):
                self.bad[result.id] = result
            if result.flaky:
                self.flaky[result.id] = result
            if self._keep_all:
                self.results[result.id] = result
            self.counts.add([result])
        self._note_slowest(event.results)

    def settle(self) -> None:
        """Forget which tests simply passed, because none of them is going to be run again."""
        self._simply_passed = set()

    def _take_back(self, name: str) -> None:
        """Uncount what a test came to before, if it did."""
        if name in self._simply_passed:
            self._simply_passed.remove(name)
            self.counts.passed -= 1
        elif name in self._noted:
            self.counts.take_back([self._noted.pop(name)])
            self.bad.pop(name, None)
            self.flaky.pop(name, None)
        else:
            return
        self.slowest = [result for result in self.slowest if result.id != name]

    def _note_slowest(self, results: tuple[TestResult, ...]) -> None:
        least = self.slowest[-1].duration if len(self.slowest) == _SLOWEST else 0.0
        slow = [result for result in results if result.duration > least]
        if slow:
            self.slowest = sorted([*self.slowest, *slow], key=lambda result: -result.duration)[:_SLOWEST]
