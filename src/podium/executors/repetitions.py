"""What a test comes to that is run several times to see whether it always passes."""

from __future__ import annotations

import msgspec

from podium.test_results import BAD, TestResult


class Repetitions:
    """The results of one test, of which only one is kept, however often it is repeated.

    Args:
        first: What it came to the first time.
    """

    def __init__(self, first: TestResult) -> None:
        self._shown = first
        self._times = self._bad = self._flaky = 0
        self._seconds = 0.0
        self._attempts = 0
        self.add(first)

    def add(self, result: TestResult) -> None:
        """Take what it came to once more."""
        is_bad = result.outcome in BAD
        if not self._bad:  # of those that are bad, the first is shown
            self._shown = result
        self._times += 1
        self._seconds += result.duration
        self._attempts = max(self._attempts, result.attempts)
        self._bad += is_bad
        self._flaky += result.flaky

    def result(self, times: int = 0) -> TestResult:
        """Return what they come to: bad if it was bad once, with the mean of the durations.

        Args:
            times: How often it was to be run; 0: as often as it came to something.
        """
        message, of_all = self._shown.message, f"of {times or self._times} repetitions"
        if self._bad:
            message = f"failed in {self._bad} {of_all}" + (f": {message}" if message else "")
        elif self._flaky:
            message = f"passed only when it was tried again in {self._flaky} {of_all}"
        return msgspec.structs.replace(
            self._shown,
            message=message,
            duration=self._seconds / self._times,
            attempts=self._attempts,
            flaky=not self._bad and self._flaky > 0,
        )
