"""Results of tests as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from podium.events import outcome_word
from podium.sinks.tally import Tally
from podium.sinks.test_tally import TestTally
from podium.sinks.writing import headed, how_long, printable
from podium.test_results import TEST_OUTCOMES, TestCounts, TestResult

_SLOW = 1.0
"""Tests that take at least this long are named as slow [s]."""
_SLOWEST = 5


def counts_in_words(counts: TestCounts) -> str:
    """Return counts as people read them: `12 passed (1 flaky), 3 failed`."""
    parts: list[str] = []
    for outcome in TEST_OUTCOMES:
        number = getattr(counts, outcome)
        if number:
            flaky = f" ({counts.flaky} flaky)" if outcome == "passed" and counts.flaky else ""
            parts.append(f"{number:,} {outcome_word(outcome)}{flaky}")
    if counts.quarantined:
        parts.append(f"{counts.quarantined:,} of them in quarantine")
    return ", ".join(parts) or "no tests"


def total_in_words(counts: TestCounts) -> str:
    """Return how many tests there were and what they came to: `15 tests, 12 passed (1 flaky), 3 failed`."""
    if not counts.total:
        return "no tests"
    return f"{counts.total:,} test{'' if counts.total == 1 else 's'}, {counts_in_words(counts)}"


def result_lines(step: str, result: TestResult, *, details: bool) -> Iterator[str]:
    """Yield what there is to say of a test that did not pass, or passed only when it was tried again.

    Args:
        step: The step it belongs to.
        result: What it came to.
        details: Also what it has to say in many lines.
    """
    word = "flaky" if result.flaky else outcome_word(result.outcome)
    notes = f"  ({result.attempts} attempts)" if result.attempts > 1 else ""
    notes += "  (in quarantine)" if result.quarantined else ""
    yield f"{headed(word, f'{step}: {result.id}')}  {how_long(result.duration)}{notes}"
    if details and result.details.strip():
        for line in result.details.rstrip().splitlines():
            yield f"  {printable(line)}".rstrip()
    elif result.message:
        yield f"  {printable(result.message)}"


def new_result_lines(step: str, results: Iterable[TestResult]) -> list[str]:
    """Return what there is to say at once of results that have just come in."""
    lines: list[str] = []
    for result in results:
        if result.flaky or result.outcome in ("failed", "errored", "timed_out"):
            lines += result_lines(step, result, details=not result.flaky)
    return lines


def closing_lines(tally: Tally) -> list[str]:
    """Return what there is to say of all tests when the run is over: what did not pass, what was flaky or slow."""
    tested = [(step.name, step.tests) for step in tally.steps.values() if step.tests is not None]
    lines = [line for name, tests in tested for line in _remarkable(name, tests)]
    slow = sorted(
        ((result.duration, name, result.id) for name, tests in tested for result in tests.slowest), reverse=True
    )
    slow = [entry for entry in dict.fromkeys(slow) if entry[0] >= _SLOW][:_SLOWEST]
    if slow:
        lines.append("slowest:")
        lines += [f"  {how_long(duration):>8}  {printable(f'{name}: {test}')}" for duration, name, test in slow]
    return lines


def _remarkable(name: str, tests: TestTally) -> Iterator[str]:
    for result in (*tests.bad.values(), *tests.flaky.values()):
        yield from result_lines(name, result, details=False)
