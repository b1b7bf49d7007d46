"""What several tries and repetitions of a command say about its tests, and what it cannot be asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec

from podium.executors.repetitions import Repetitions
from podium.executors.suite_reports import Evidence
from podium.plan.suites import CommandSuite
from podium.protocols import Finished
from podium.test_results import BAD, TestResult


class Turn(msgspec.Struct, frozen=True):
    """What a command came to, with all its tries; it has more turns if its tests are repeated.

    Attributes:
        finished: How the command ended.
        evidence: What it has reported.
        failing: Whether tests did not pass, at once or at all.
        notes: What a person should know about it.
    """

    finished: Finished
    evidence: Evidence
    failing: bool = False
    notes: tuple[str, ...] = ()

    @property
    def gravity(self) -> int:
        """How much it says against the command: what is not known at all is worse than what failed."""
        return 2 if self.evidence.problem is not None else int(self.failing)


class Turns:
    """What all turns of a command come to together.

    Args:
        first: Its first turn.
    """

    def __init__(self, first: Turn) -> None:
        self._shown = first
        self._tests = {result.id: Repetitions(result) for result in first.evidence.reading.results}
        self._notes = list(first.notes)
        self._count = 1

    def add(self, turn: Turn) -> None:
        """Take one more."""
        self._count += 1
        if turn.gravity > self._shown.gravity or not self._shown.gravity:
            self._shown = turn
        self._notes += turn.notes
        for result in turn.evidence.reading.results:
            if result.id in self._tests:
                self._tests[result.id].add(result)
            else:
                self._tests[result.id] = Repetitions(result)

    def together(self) -> Turn:
        """Return one turn that says what all of them say: a test that was bad once is bad."""
        turn = self._shown
        if self._count == 1:
            return turn
        results = tuple(repeated.result(self._count) for repeated in self._tests.values())
        reading = msgspec.structs.replace(turn.evidence.reading, results=results)
        evidence = msgspec.structs.replace(turn.evidence, reading=reading)
        notes = (*self._notes, f"it was run {self._count} times")
        return msgspec.structs.replace(turn, evidence=evidence, notes=notes)


def tried_again(first: Iterable[TestResult], again: Iterable[TestResult]) -> list[TestResult]:
    """Return the results of tests that all were run again.

    A test that passed in one try and did not in another has passed, and is flaky.
    """
    found = {result.id: result for result in first}
    for result in again:
        known = found.get(result.id)
        found[result.id] = result if known is None else _of_both(known, result)
    return list(found.values())


def passed_before(results: Iterable[TestResult], passed: Collection[str]) -> list[TestResult]:
    """Return the results; tests that passed in an earlier attempt and do not now have passed, and are flaky."""
    return [
        msgspec.structs.replace(result, outcome="passed", flaky=True)
        if result.id in passed and result.outcome in BAD
        else result
        for result in results
    ]


def only_these(results: Iterable[TestResult], only: Collection[str]) -> tuple[list[TestResult], int]:
    """Return the results that were asked for, all if none were, and how many others there are."""
    results = list(results)
    wanted = frozenset(only)
    kept = [result for result in results if not wanted or result.id in wanted]
    return kept, len(results) - len(kept)


def what_it_cannot(suite: CommandSuite) -> Iterator[str]:
    """Yield what was asked for and cannot be had of a command."""
    selection = suite.selection
    if selection.only:
        yield "a command cannot be told which tests to run: all were run, and the others do not count"
    for asked, what in (
        (selection.changed, "which tests what changed may affect is not known: all were run"),
        (selection.budget is not None, "what a command runs cannot be chosen by time: all tests were run"),
        (suite.timeout is not None, "no test of it has a time limit of its own"),
        (suite.max_failures > 0, "it does not end after a number of failures"),
    ):
        if asked:
            yield what


def _of_both(first: TestResult, again: TestResult) -> TestResult:
    bad = first.outcome in BAD, again.outcome in BAD
    better = first if bad == (False, True) else again
    return msgspec.structs.replace(
        better,
        attempts=first.attempts + again.attempts,
        duration=first.duration + again.duration,
        flaky=first.flaky or again.flaky or bad[0] != bad[1],
    )
