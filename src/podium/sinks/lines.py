"""A run as plain text, line by line: for logs, for CI, and for the end of the board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TextIO

from podium.events import (
    OUTCOMES,
    AttemptLost,
    AttemptRefused,
    AttemptScheduled,
    CancelRequested,
    CompensationStarted,
    Event,
    Failure,
    FallbackTaken,
    RunOutcome,
    RunResumed,
    RunStarted,
    SignalReceived,
    StepFinished,
    TestsFinished,
    outcome_word,
)
from podium.model.scenario import Verdict
from podium.protocols import Record
from podium.sinks.tally import FAILING, StepTally, Tally, short_id
from podium.sinks.test_lines import closing_lines, counts_in_words, new_result_lines, total_in_words
from podium.sinks.writing import for_stream, headed, how_long, printable


def how_many(tally: Tally, number: int) -> str:
    """Return a number of cases or steps in words."""
    noun = "case" if tally.work == "campaign" else "step"
    return f"{number} {noun}{'' if number == 1 else 's'}"


def verdict_line(verdict: Verdict) -> str:
    """Return one line on a criterion: its condition and what was found."""
    finding = _finding(verdict)
    return printable(verdict.condition) + (f"  {finding}" if finding else "")


def _finding(verdict: Verdict) -> str:
    if verdict.outcome == "errored" and not verdict.evaluations:
        return "never evaluated"
    special = _FINDINGS.get((verdict.kind, verdict.outcome))
    if special is not None and verdict.worst is not None:
        return special(verdict)
    parts: list[str] = []
    if verdict.worst is not None:
        parts.append(f"worst {_worst(verdict)}")
    if verdict.outcome != "passed" and verdict.first_violation_s is not None:
        parts.append(f"first violated at {_seconds(verdict.first_violation_s)}")
    return ", ".join(parts)


def _worst(verdict: Verdict) -> str:
    value = printable(verdict.worst) if isinstance(verdict.worst, str) else f"{verdict.worst:g}"
    return value if verdict.worst_at_s is None else f"{value} at {_seconds(verdict.worst_at_s)}"


def _span(verdict: Verdict) -> str:
    length = verdict.worst if isinstance(verdict.worst, str) or verdict.worst is None else _seconds(verdict.worst)
    return f"{length}" if verdict.worst_at_s is None else f"{length} from {_seconds(verdict.worst_at_s)} on"


def _too_long(verdict: Verdict) -> str:
    text = f"did not hold for {_span(verdict)}"
    return text if verdict.margin is None else f"{text}, {_seconds(-verdict.margin)} too long"


def _seconds(time: float) -> str:
    return f"{round(time, 3):.12g} s"


_FINDINGS: dict[tuple[str, str], Callable[[Verdict], str]] = {
    ("eventually", "failed"): lambda verdict: f"never held, closest {_worst(verdict)}",
    ("eventually", "passed"): lambda verdict: f"best {_worst(verdict)}",
    ("at_end", "failed"): lambda verdict: f"ended with {_worst(verdict)}",
    ("at_end", "passed"): lambda verdict: f"ended with {_worst(verdict)}",
    ("at_end", "errored"): lambda verdict: f"not evaluated at the end, last {_worst(verdict)}",
    ("within", "failed"): _too_long,
    ("within", "passed"): lambda verdict: f"did not hold for {_span(verdict)}" if verdict.worst else "always held",
    ("within", "errored"): lambda verdict: f"still did not hold at the end, for {_span(verdict)}",
}


def case_lines(step: StepTally, *, verbose: bool = False) -> list[str]:
    """Return what there is to say about a step that is done: one line, and if it failed, why."""
    line = headed(outcome_word(step.outcome) if step.outcome else step.state, step.name)
    if step.duration is not None:
        line += f"  {how_long(step.duration)}"
    if step.attempts > 1:
        line += f"  ({step.attempts} attempts)"
    if step.tests is not None:
        line += f"  {counts_in_words(step.tests.counts)}"
    notes = [f"  note: {printable(note)}" for note in step.notes]
    if not step.failing:
        return [f"{line}  {printable(step.reason)}" if step.reason and step.outcome != "passed" else line, *notes]
    lines = [f"  {verdict_line(verdict)}" for verdict in step.failing_verdicts]
    if step.failure is not None and not (lines and step.failure.type == "Criteria" and not verbose):
        lines += [f"  {text}".rstrip() for text in failure_lines(step.failure, verbose=verbose)]
        if not verbose and step.failure.type in _EXPLAINED:
            lines += [f"    {printable(text)}".rstrip() for text in step.failure.details.splitlines()[-_EXPLANATION:]]
    if step.reason:
        lines.append(f"  {printable(step.reason)}")
    return [line, *lines, *notes]


def failure_lines(failure: Failure, *, verbose: bool = False) -> list[str]:
    """Return why an attempt did not pass: the first line of the message, or all there is."""
    message = failure.message.strip().splitlines()
    lines = [": ".join(part for part in (failure.type, *message[:1]) if part)]
    if verbose:
        lines += [f"  {text}" for text in (*message[1:], *failure.details.rstrip().splitlines())]
    return [printable(text).rstrip() for text in lines]


def summary_lines(tally: Tally) -> list[str]:
    """Return the closing summary: counts, wall time and what to do next."""
    numbers = [(tally.counts[outcome], outcome_word(outcome)) for outcome in OUTCOMES if tally.counts.get(outcome)]
    if tally.outcome is None and tally.total > tally.done:
        numbers.append((tally.total - tally.done, "outstanding"))
    ended = closing_outcome(tally)
    outcome = outcome_word(ended) if ended else "not finished"
    counts = _counts_of_steps(tally, numbers)
    tests = tally.tests
    if tests.total:
        counts = total_in_words(tests)
    lines = [f"{_name(tally)} {outcome}: {counts} in {how_long(tally.duration)}"]
    for number, command in enumerate(_next_commands(tally)):
        lines.append(f"{'      ' if number else 'next: '}podium {command} {short_id(tally.run)}")
    return lines


def closing_outcome(tally: Tally) -> RunOutcome | None:
    """Return how a run ended in the eyes of a person: one of layers that passed without any suite was skipped."""
    done = [step for step in tally.steps.values() if step.outcome not in (None, "skipped")]
    is_known = len(done) == tally.done - tally.counts.get("skipped", 0)
    is_empty = all(step.tests is None and step.name.startswith(_BESIDE_SUITES) for step in done)
    all_skipped = tally.work == "layers" and bool(tally.counts.get("skipped")) and is_known and is_empty
    return "skipped" if tally.outcome == "passed" and all_skipped else tally.outcome


def _counts_of_steps(tally: Tally, numbers: Sequence[tuple[int, str]]) -> str:
    """Return how many steps came to what; of layers, it says that they are steps, since people expect tests."""
    parts = [f"{number} {word}" for number, word in numbers]
    if parts and tally.work == "layers":
        number, word = numbers[0]
        parts[0] = f"{how_many(tally, number)} {word}"
    return ", ".join(parts) or how_many(tally, 0)


def _next_commands(tally: Tally) -> list[str]:
    commands = ["show"] if tally.outcome is None or any(tally.counts.get(bad) for bad in FAILING) else []
    if tally.counts.get("cancelled") and tally.outcome in (None, "cancelled", "timed_out"):
        return [*commands, "resume"]
    return [*commands, "rerun"] if tally.outcome not in (None, "passed") else commands


def _name(tally: Tally) -> str:
    return printable(tally.name) or f"run {short_id(tally.run)}"


_BESIDE_SUITES = ("service/", "delay/")
"""How the names of steps of layers begin that run no tests."""
_EXPLAINED = frozenset(
    {"UsageError", "InternalError", "NoPytest", "CannotStart", "Crashed", "ServiceNotUp", "ServiceDied", "Timeout"}
    | {"BadReport", "NoReport"}
)
"""Failures of suites and services that say nothing without their details."""
_EXPLANATION = 20
"""How many lines of these are shown."""


class Lines:
    """Writes a run as plain text: a line per finished step, more for one that failed, and a closing summary.

    Args:
        stream: Where to; it belongs to the caller.
        verbose: Show all lines of a failure.
    """

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._tally = Tally()
        self._closed = False
        self._writers: dict[type[Event], Callable[[Any], list[str]]] = {
            RunStarted: self._run_started,
            RunResumed: self._run_resumed,
            CancelRequested: self._cancel_requested,
            AttemptScheduled: self._attempt_scheduled,
            AttemptRefused: self._attempt_refused,
            FallbackTaken: self._fallback_taken,
            SignalReceived: self._signal_received,
            CompensationStarted: self._compensation_started,
            AttemptLost: self._attempt_lost,
            TestsFinished: self._tests_finished,
            StepFinished: self._step_finished,
        }

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Write what a batch adds."""
        lines: list[str] = []
        for record in records:
            self._tally.take(run, [record])
            writer = self._writers.get(type(record.event))
            if writer is not None:
                lines += writer(record.event)
        self._write(lines)

    def close(self) -> None:
        """Write the closing summary, unless nothing was to be seen."""
        if not self._closed and self._tally.run:
            self._write(["", *closing_lines(self._tally), *summary_lines(self._tally)])
        self._closed = True

    def _write(self, lines: list[str]) -> None:
        if lines:
            text = "".join(f"{line}\n" for line in lines)
            self._stream.write(for_stream(text, getattr(self._stream, "encoding", None)))
            self._stream.flush()

    def _run_started(self, event: RunStarted) -> list[str]:
        tally = self._tally
        slots = f"{event.slots} slot{'' if event.slots == 1 else 's'}"
        return [f"{_name(tally)}: {how_many(tally, event.steps)}, {slots}, run {short_id(event.run)}"]

    def _run_resumed(self, _event: RunResumed) -> list[str]:
        tally = self._tally
        line = f"resumed: run {short_id(tally.run)}"
        return [f"{line}, {tally.done} of {how_many(tally, tally.total)} done" if tally.total else line]

    def _cancel_requested(self, event: CancelRequested) -> list[str]:
        how = "killing what runs" if event.force else "waiting for what runs"
        return [f"cancelled by {printable(event.who)}: {printable(event.why)}; {how}"]

    def _attempt_scheduled(self, event: AttemptScheduled) -> list[str]:
        if event.reason != "retry":
            return []  # why was told
        step = self._tally.steps[event.step]
        line = f"{headed('retry', event.step)}  attempt {event.number} in {how_long(event.delay)}"
        if step.failure is not None:
            line += f", after {failure_lines(step.failure)[0]}"
        return [line]

    def _attempt_refused(self, event: AttemptRefused) -> list[str]:
        return [f"{headed('refused', event.step)}  {printable(event.reason)}"]

    def _fallback_taken(self, event: FallbackTaken) -> list[str]:
        return [
            f"{headed('fallback', event.step)}  {printable(event.name)}, as the work before {printable(event.reason)}"
        ]

    def _signal_received(self, event: SignalReceived) -> list[str]:
        return [headed("signal", event.name) + (f"  from {printable(event.who)}" if event.who else "")]

    def _compensation_started(self, event: CompensationStarted) -> list[str]:
        return [headed("undoing", ", ".join(event.steps)) + f"  as the run {outcome_word(event.reason)}"]

    def _attempt_lost(self, event: AttemptLost) -> list[str]:
        step = self._tally.steps[event.step]
        attempt = f"attempt {step.attempts}: " if step.attempts else ""
        return [f"{headed('lost', event.step)}  {attempt}{printable(event.reason)}"]

    def _tests_finished(self, event: TestsFinished) -> list[str]:
        return new_result_lines(event.step, event.results)

    def _step_finished(self, event: StepFinished) -> list[str]:
        return case_lines(self._tally.steps[event.step], verbose=self._verbose)


class ClosingLines:
    """Writes what there is to say of a run when it is over, and nothing before.

    Args:
        stream: Where to; it belongs to the caller.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally = Tally()
        self._closed = False

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Take in a batch."""
        self._tally.take(run, records)

    def close(self) -> None:
        """Write what did not pass, and the summary."""
        if not self._closed and self._tally.run:
            lines = [line for step in self._tally.failing for line in case_lines(step)]
            text = "".join(f"{line}\n" for line in [*lines, *closing_lines(self._tally), *summary_lines(self._tally)])
            self._stream.write(for_stream(text, getattr(self._stream, "encoding", None)))
            self._stream.flush()
        self._closed = True
