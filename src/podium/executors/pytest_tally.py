"""What the tries at tests and their repetitions come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from podium.executors.found import FoundTest
from podium.executors.judging import uncritical, with_quarantine
from podium.executors.repetitions import Repetitions
from podium.plan.suites import Suite
from podium.test_results import BAD, TEST_OUTCOMES, TestCounts, TestOutcome, TestResult


class Try(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One try at a test, as the host tells it.

    Attributes:
        test: Index among the tests found; or id, file, line and markers.
        outcome: Index into `TEST_OUTCOMES`.
        duration: [s].
        ended_us: [us since the Unix epoch].
        message: One line.
        details: More lines.
        worker: Which worker ran it, from 1.
        attempt: Which try this was, from 1.
        turn: Which repetition this was, from 1.
        final: It is not tried again in this repetition.
    """

    test: int | tuple[str, str, int, tuple[str, ...]]
    outcome: int
    duration: float
    ended_us: int
    message: str
    details: str
    worker: int
    attempt: int
    turn: int
    final: int


class Tally:
    """Turns tries into results, one for each test.

    Args:
        suite: How often tests are repeated, and which are in quarantine.
        today: The date, `YYYY-MM-DD`.

    Attributes:
        counts: How many tests came to what.
        found: What was collected; empty if that is not known.
        chosen: How many of them are run.
        done: How many results there are.
        bad: Those that did not pass.
        uncritical: Words of the suite's `criteria.critical` that fit no result so far.
        ended: What came to an end in the latest call of `take`: its results, or, where tests are repeated, what single
            turns came to.
    """

    def __init__(self, suite: Suite, today: str) -> None:
        self.counts = TestCounts()
        self.found: Sequence[FoundTest] = ()
        self.chosen = 0
        self.done = 0
        self.bad: list[TestResult] = []
        self.ended: list[TestResult] = []
        self.uncritical = suite.criteria.critical
        self._suite = suite
        self._today = today
        self._repeated = suite.selection.repeat > 1
        self._held: dict[Any, Try] = {}
        self._repetitions: dict[Any, Repetitions] = {}

    def take(self, tries: Iterable[Try]) -> list[TestResult]:
        """Take tries; return the results that are certain now."""
        ended: list[TestResult] = []
        for one in tries:
            key = one.test if isinstance(one.test, int) else one.test[0]
            if not one.final:
                self._held[key] = one
                continue
            self._held.pop(key, None)
            result = self._result(one)
            ended.append(result)
            if self._repeated:
                self._repeat(key, result)
        self.ended = self._in_quarantine(ended)
        if self._repeated:
            return []
        self.done += len(ended)
        return self._counted(self.ended)

    def rest(self) -> list[TestResult]:
        """Return what is certain now that nothing more comes."""
        results: list[TestResult] = []
        for key, one in self._held.items():
            result = self._result(one)
            if self._repeated:
                self._repeat(key, result)
            else:
                results.append(result)
        results += [repeated.result() for repeated in self._repetitions.values()]
        self._held, self._repetitions = {}, {}
        self.done += len(results)
        return self._counted(self._in_quarantine(results))

    def add(self, results: Iterable[TestResult]) -> list[TestResult]:
        """Take results that come from elsewhere, such as errors of collection."""
        return self._counted(self._in_quarantine(list(results)))

    def _repeat(self, key: Any, result: TestResult) -> None:
        if key in self._repetitions:
            self._repetitions[key].add(result)
        else:
            self._repetitions[key] = Repetitions(result)

    def _result(self, one: Try) -> TestResult:
        test = self.found[one.test] if isinstance(one.test, int) else FoundTest(*one.test)
        outcome: TestOutcome = TEST_OUTCOMES[one.outcome]
        return TestResult(
            id=test.id,
            outcome=outcome,
            duration=round(one.duration, 6),
            message=one.message,
            details=one.details,
            attempts=one.attempt,
            flaky=one.attempt > 1 and outcome == "passed",
            file=test.file,
            line=test.line,
            markers=test.markers,
            worker=one.worker,
            finished_us=one.ended_us,
        )

    def _in_quarantine(self, results: list[TestResult]) -> list[TestResult]:
        if not self._suite.quarantine:
            return results
        return [with_quarantine(result, self._suite.quarantine, self._today) for result in results]

    def _counted(self, results: list[TestResult]) -> list[TestResult]:
        self.counts.add(results)
        if results:
            self.uncritical = uncritical(self.uncritical, results)
        self.bad += [result for result in results if result.outcome in BAD]
        return results
