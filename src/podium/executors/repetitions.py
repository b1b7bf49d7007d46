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
        self._times = self._bad = 0
        self._seconds = 0.0
        self._attempts = 0
        self._flaky = False
        self.add(first)

    def add(self, result: TestResult) -> None:
        """Take what it came to once more."""
        self._times += 1
        self._seconds += result.duration
        self._attempts = max(self._attempts, result.attempts)
        self._flaky = self._flaky or result.flaky
        if result.outcome in BAD:
            self._bad += 1
        if not self._bad or (self._bad == 1 and result.outcome in BAD):
            self._shown = result

    def result(self) -> TestResult:
        """Return what they come to: bad if it was bad once, with the mean of the durations."""
        message = self._shown.message
        if self._bad:
            message = f"failed in {self._bad} of {self._times} repetitions" + (f": {message}" if message else "")
        return msgspec.structs.replace(
            self._shown,
            message=message,
            duration=self._seconds / self._times,
            attempts=self._attempts,
            flaky=not self._bad and self._flaky,
        )
