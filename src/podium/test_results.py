"""What single tests came to: the words every runner's results are translated into."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

TestOutcome = Literal["passed", "failed", "errored", "timed_out", "skipped", "xfailed", "xpassed"]
"""How a test ended. `failed`: the thing under test is wrong. `errored`: we could not tell (a fixture failed, its worker
crashed). `xfailed`: it failed as expected. `xpassed`: it passed though a failure was expected, and that is allowed."""

TEST_OUTCOMES: tuple[TestOutcome, ...] = ("passed", "failed", "errored", "timed_out", "skipped", "xfailed", "xpassed")
BAD: frozenset[TestOutcome] = frozenset({"failed", "errored", "timed_out"})
"""Outcomes that speak against what is tested, or of which nothing is known."""


class TestResult(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What one test came to.

    Attributes:
        id: Name of the test, unique in its suite: pytest's node id, `classname::name` of JUnit, and so on.
        outcome: How it ended.
        duration: From the start of its set-up to the end of its tear-down [s].
        message: One line for a person: why it did not pass, or was skipped.
        details: More lines: traceback, assertion diff, captured output.
        attempts: How often it was tried in this attempt of its step.
        flaky: It failed, and passed when it was tried again.
        quarantined: It did not pass, or not at once, and is known not to: it is shown and does not count.
        file: Where it is written, relative to the working directory of the suite.
        line: Line in that file, from 1; 0: not known.
        markers: Names of its markers or tags.
        worker: Which worker ran it, from 1; 0: not known.
        finished_us: When it ended [us since the Unix epoch]; 0: not known.
    """

    __test__ = False  # not a class of tests, whatever pytest thinks of its name

    id: str
    outcome: TestOutcome
    duration: float = 0.0
    message: str = ""
    details: str = ""
    attempts: int = 1
    flaky: bool = False
    quarantined: bool = False
    file: str = ""
    line: int = 0
    markers: tuple[str, ...] = ()
    worker: int = 0
    finished_us: int = 0

    @property
    def counts_as_bad(self) -> bool:
        """Whether it speaks against the suite: it did not pass, and is not in quarantine."""
        return self.outcome in BAD and not self.quarantined


class TestCounts(msgspec.Struct, omit_defaults=True):
    """How many tests came to what. Every test that ended is counted under its outcome; the last four are apart.

    Attributes:
        passed: And so on for every outcome.
        flaky: Of those that passed, how many failed first and are not in quarantine.
        quarantined: Of those that did not pass, how many are in quarantine.
        left_out: Tests that were found and not run: not selected, or no time was left.
        not_run: Of those, how many were to be run and did not end before their suite did.
    """

    __test__ = False

    passed: int = 0
    failed: int = 0
    errored: int = 0
    timed_out: int = 0
    skipped: int = 0
    xfailed: int = 0
    xpassed: int = 0
    flaky: int = 0
    quarantined: int = 0
    left_out: int = 0
    not_run: int = 0

    def add(self, results: Iterable[TestResult]) -> None:
        """Count results, too."""
        for result in results:
            setattr(self, result.outcome, getattr(self, result.outcome) + 1)
            self._mark(result, 1)

    def take_back(self, results: Iterable[TestResult]) -> None:
        """Uncount results that others take the place of."""
        for result in results:
            setattr(self, result.outcome, getattr(self, result.outcome) - 1)
            self._mark(result, -1)

    def _mark(self, result: TestResult, times: int) -> None:
        if result.outcome in BAD:
            self.quarantined += times * result.quarantined
        elif not result.quarantined:
            self.flaky += times * result.flaky

    def __add__(self, other: TestCounts) -> TestCounts:
        """Return both together."""
        names = self.__struct_fields__
        return TestCounts(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def total(self) -> int:
        """How many tests were run, or skipped by the suite itself."""
        return sum(getattr(self, outcome) for outcome in TEST_OUTCOMES)

    @property
    def bad(self) -> int:
        """How many speak against the suite."""
        return self.failed + self.errored + self.timed_out - self.quarantined
