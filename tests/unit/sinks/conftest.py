import pytest

from podium.events import (
    AttemptFinished,
    AttemptLost,
    AttemptProgressed,
    AttemptScheduled,
    AttemptStarted,
    CancelRequested,
    Failure,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
)
from podium.protocols import Record

RUN = "019b7e9a-1111-7222-8333-0123456789ab"
NOON_US = 1_767_355_445_000_007  # 2026-01-02 12:04:05.000007 UTC


class Story:
    """A journal written by hand; `at` is in seconds after the start. Sinks get each record as it is told."""

    run = RUN

    def __init__(self):
        self.records = []
        self.sinks = []
        self.at = 0.0
        self._tokens = {}
        self._numbers = {}

    def add(self, kind, **values):
        event = kind(at_us=NOON_US + round(self.at * 1e6), **values)
        self.records.append(Record(len(self.records) + 1, event))
        for sink in self.sinks:
            sink.emit(RUN, self.records[-1:])
        return self

    def begin(self, name="nominal", steps=2, slots=2, work="campaign"):
        return self.add(
            RunStarted, run=RUN, work=work, name=name, definition="d", steps=steps, slots=slots, engine="h:1:1"
        )

    def start(self, step="a"):
        self._tokens[step] = len(self.records) + 1
        self._numbers[step] = self._numbers.get(step, 0) + 1
        return self.add(AttemptStarted, step=step, number=self._numbers[step], token=self._tokens[step])

    def progress(self, step="a", done=None, message="", token=None):
        return self.add(AttemptProgressed, step=step, token=token or self._tokens[step], done=done, message=message)

    def end(self, step="a", outcome="passed", duration=1.0, failure=None, output=None):
        """The attempt ends, and nothing is decided yet."""
        failure = Failure(*failure) if failure else None
        return self.add(
            AttemptFinished,
            step=step,
            token=self._tokens[step],
            outcome=outcome,
            duration=duration,
            failure=failure,
            output=output,
        )

    def done(self, step="a", outcome="passed", reason=""):
        return self.add(StepFinished, step=step, outcome=outcome, attempts=self._numbers.get(step, 0), reason=reason)

    def case(self, step="a", outcome="passed", duration=1.0, failure=None, output=None):
        """One attempt from its start to the step's outcome."""
        return self.start(step).end(step, outcome, duration, failure, output).done(step, outcome)

    def retry(self, step="a", delay=1.5, reason="retry"):
        return self.add(
            AttemptScheduled,
            step=step,
            number=self._numbers[step] + 1,
            not_before_us=0,
            delay=delay,
            reason=reason,
        )

    def lose(self, step="a", reason="killed by signal 9", by="worker"):
        return self.add(AttemptLost, step=step, token=self._tokens[step], reason=reason, by=by)

    def cancel(self, why="Ctrl-C", who="user", force=False):
        return self.add(CancelRequested, who=who, why=why, force=force)

    def resume(self):
        return self.add(RunResumed, engine="h:2:2")

    def finish(self, outcome="passed", duration=12.3, **counts):
        return self.add(RunFinished, outcome=outcome, counts=counts, duration=duration)

    def feed(self, sink):
        """Give a sink everything in one batch, as a replay does, and close it."""
        sink.emit(RUN, self.records)
        sink.close()
        return sink


@pytest.fixture
def story():
    return Story()


@pytest.fixture
def hot():
    """The output of a simulated case with one criterion that failed and one that passed."""
    return {
        "scenario": "s",
        "outcome": "failed",
        "criteria": [
            {
                "name": "cool",
                "kind": "always",
                "condition": "SAT1.battery.temperature < 65",
                "outcome": "failed",
                "worst": 81.3,
                "worst_at_s": 118.2,
                "margin": -16.3,
                "first_violation_s": 84.1,
                "evaluations": 1200,
            },
            {
                "name": "charged",
                "kind": "always",
                "condition": "SAT1.battery.soc > 0.2",
                "outcome": "passed",
                "worst": 0.31,
                "worst_at_s": 600,
                "margin": 0.11,
                "evaluations": 1200,
            },
        ],
    }
