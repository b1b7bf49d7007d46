"""When a suite has come to so little that the rest of its tests would say nothing more."""

from __future__ import annotations

from collections.abc import Iterable

from podium.events import outcome_word
from podium.executors.judging import is_critical
from podium.plan.suites import EarlyEnd
from podium.test_results import TestResult


class EarlyEnding:
    """Watches the results of a suite as they come in.

    Args:
        rule: When it ends early.
        max_failures: After so many tests that did not pass; 0: no limit.
    """

    def __init__(self, rule: EarlyEnd, max_failures: int = 0) -> None:
        self._rule = rule
        self._max_failures = max_failures
        self._ran = self._bad = self._in_a_row = 0

    def take(self, results: Iterable[TestResult]) -> str | None:
        """Take in results; return why the suite ends here, or None if it goes on."""
        for result in results:
            if result.outcome == "skipped" or result.quarantined:
                continue
            self._ran += 1
            self._bad += result.counts_as_bad
            self._in_a_row = self._in_a_row + 1 if result.counts_as_bad else 0
            why = self._why(result)
            if why is not None:
                return why
        return None

    def _why(self, result: TestResult) -> str | None:
        rule = self._rule
        if not result.counts_as_bad:
            return None
        if is_critical(result, rule.critical):
            return f"the critical test `{result.id}` {outcome_word(result.outcome)}"
        if self._max_failures and self._bad >= self._max_failures:
            return f"{self._bad} test{'' if self._bad == 1 else 's'} did not pass"
        if rule.consecutive and self._in_a_row >= rule.consecutive:
            return f"{self._in_a_row} tests in a row did not pass"
        if rule.rate is not None and self._ran >= rule.sample and self._bad / self._ran > rule.rate:
            return f"{self._bad} of {self._ran} tests did not pass, more than {rule.rate:.0%}"
        return None
