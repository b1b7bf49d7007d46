"""When a suite has come to so little that the rest of its tests would say nothing more."""

from __future__ import annotations

from collections.abc import Iterable

from podium.events import outcome_word
from podium.executors.judging import is_critical
from podium.plan.suites import EarlyEnd
from podium.test_results import TestResult


class EarlyEnding:
    """Watches the results of a suite as they come in; a test that is repeated may bring several, and counts once.

    Args:
        rule: When it ends early.
        max_failures: After so many tests that did not pass; 0: no limit.
    """

    def __init__(self, rule: EarlyEnd, max_failures: int = 0) -> None:
        self._rule = rule
        self._max_failures = max_failures
        self._in_a_row = 0
        self._ran: set[str] = set()
        self._bad: set[str] = set()

    def take(self, results: Iterable[TestResult]) -> str | None:
        """Take in results; return why the suite ends here, or None if it goes on."""
        for result in results:
            if result.outcome == "skipped" or result.quarantined or result.id in self._bad:
                continue
            self._ran.add(result.id)
            if result.counts_as_bad:
                self._bad.add(result.id)
            self._in_a_row = self._in_a_row + 1 if result.counts_as_bad else 0
            why = self._why(result)
            if why is not None:
                return why
        return None

    def _why(self, result: TestResult) -> str | None:
        rule, ran, bad = self._rule, len(self._ran), len(self._bad)
        if not result.counts_as_bad:
            return None
        if is_critical(result, rule.critical):
            return f"the critical test `{result.id}` {outcome_word(result.outcome)}"
        if self._max_failures and bad >= self._max_failures:
            return f"{bad} test{'' if bad == 1 else 's'} did not pass"
        if rule.consecutive and self._in_a_row >= rule.consecutive:
            return f"{self._in_a_row} tests in a row did not pass"
        if rule.rate is not None and ran >= rule.sample and bad / ran > rule.rate:
            return f"{bad} of {ran} tests did not pass, more than {rule.rate:.0%}"
        return None
