"""Everything that can happen in a run, and the order in which it can.

An event is a fact, written once to the journal and never changed. Grammar of a run's journal:

    run      = RunStarted item* RunFinished (RunResumed item* RunFinished)*
    item     = RunResumed | CancelRequested | SignalReceived | CompensationStarted | an event of a step
    step     = [CacheChecked] attempt* [[FallbackTaken] AttemptScheduled attempt+]* [ItemsFound] StepFinished
    attempt  = AttemptStarted sign* [AttemptStopping] sign* (AttemptFinished | AttemptLost) | AttemptRefused
    sign     = AttemptProgressed | TestsFinished | ServiceReady
    late     = LateResult                    (any time after the attempt was superseded)

`AttemptStarted` is in the journal before the attempt begins, `StepFinished` before anything that depends on
the step starts. The steps of `ItemsFound` (`NAME[0]`, …) and of `CompensationStarted` (`NAME~undo`) are not in
the plan: they follow from it, and have events like all others. A journal may end anywhere (the process was killed);
`RunResumed` continues it, and also reopens a cancelled run: its cancelled steps are pending again.

Wall times are microseconds since the Unix epoch; durations are seconds.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from podium.test_results import TestResult

Outcome = Literal["passed", "failed", "errored", "timed_out", "skipped", "cancelled"]
"""How a step or a run ended. `failed`: the thing under test is wrong. `errored`: we could not tell."""

OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "errored", "timed_out", "skipped", "cancelled")


def outcome_word(outcome: str) -> str:
    """Return an outcome as people read it."""
    return outcome.replace("_", " ")


RunOutcome = Literal[Outcome, "compensated", "compensation_failed"]
"""How a run ended. `compensated`: it did not pass, and all that was done is undone."""


class Event(msgspec.Struct, frozen=True, tag_field="kind", tag=True, omit_defaults=True, gc=False):
    """Base of all events.

    Attributes:
        at_us: Wall time [us since the Unix epoch].
    """

    at_us: int


class RunStarted(Event, tag="run_started", frozen=True):
    """The run exists; its whole definition is stored with it.

    Attributes:
        run: Run id (UUIDv7).
        work: Kind of work: `campaign`, `layers`, `workflow` or `plan`.
        name: What a person calls it.
        definition: Digest of the stored plan (an artifact).
        steps: Number of steps in the plan.
        slots: How many steps may run at once.
        seed: Seed from which the engine draws retry jitter.
        parent: The run this one reruns.
        options: What the caller asked for, as given (speed, parallel, paths, …).
        engine: Identity of the process that owns the run, `host:pid:start`.
    """

    run: str
    work: str
    name: str
    definition: str
    steps: int
    slots: int
    seed: int = 0
    parent: str | None = None
    options: dict[str, Any] = {}
    engine: str = ""


class RunResumed(Event, tag="run_resumed", frozen=True):
    """A new process owns the run from here on; what was running then counts as lost.

    Attributes:
        engine: Identity of the new owner, `host:pid:start`.
        reopens: If the run was cancelled: its cancelled steps are pending again. Otherwise it goes on to end.
    """

    engine: str
    reopens: bool = True


class CancelRequested(Event, tag="cancel_requested", frozen=True):
    """Nothing new starts from here on.

    Attributes:
        who: Who asked (`user`, `deadline`, a name).
        why: In words.
        force: Running attempts are killed, not asked to stop.
        compensate: What was done is undone.
        message: Number of the message that asked for it, 0 if none did.
    """

    who: str
    why: str
    force: bool = False
    compensate: bool = True
    message: int = 0


class AttemptScheduled(Event, tag="attempt_scheduled", frozen=True):
    """A step waits before its next attempt.

    Attributes:
        step: Step name.
        number: The number the next attempt will have.
        not_before_us: Wall time before which it will not start [us since the Unix epoch].
        delay: The wait, as drawn [s].
        reason: Why there is another attempt: `retry` (by policy), `lost` (worker lost) or `fallback`.
        rule: Which of the retry rules decided, from 1; 0: none of them.
    """

    step: str
    number: int
    not_before_us: int
    delay: float
    reason: Literal["retry", "lost", "fallback"]
    rule: int = 0


class AttemptStarted(Event, tag="attempt_started", frozen=True):
    """An attempt is about to begin.

    Attributes:
        step: Step name.
        number: Attempt number, from 1.
        token: Fencing token, larger than that of every earlier attempt of the run.
        fallback: Name of the fallback that is tried; empty: the step's own work.
    """

    step: str
    number: int
    token: int
    fallback: str = ""


class AttemptRefused(Event, tag="attempt_refused", frozen=True):
    """No attempt began, because the circuit of its target is open.

    Attributes:
        step: Step name.
        target: What the breaker protects.
        reason: In words.
        retry_after: When the target may be probed again [s from here].
    """

    step: str
    target: str
    reason: str
    retry_after: float


class CircuitChanged(Event, tag="circuit_changed", frozen=True):
    """A target is left alone from here on, or is used again.

    Attributes:
        target: What the breaker protects.
        state: `open`, `half_open` (one attempt probes it) or `closed`.
    """

    target: str
    state: Literal["open", "half_open", "closed"]


class CacheChecked(Event, tag="cache_checked", frozen=True):
    """It was looked up whether an identical step has passed before; if so, its result is taken.

    Attributes:
        step: Step name.
        digest: Of what was to be done: kind of work and payload.
        hit: Whether there is such a result.
        run: The run it is of.
        source: The step it is of.
    """

    step: str
    digest: str
    hit: bool
    run: str = ""
    source: str = ""


class FallbackTaken(Event, tag="fallback_taken", frozen=True):
    """The policy gave up on the work so far; the next attempt does something else.

    Attributes:
        step: Step name.
        index: Which of the step's fallbacks, from 1.
        name: Its name.
        reason: What the work before came to.
    """

    step: str
    index: int
    name: str
    reason: str


class ItemsFound(Event, tag="items_found", frozen=True):
    """A step is done once for each item of a list: each is a step of its own from here on, `NAME[0]` and so on.

    Attributes:
        step: Step name.
        items: The list.
    """

    step: str
    items: list[Any]


class SignalReceived(Event, tag="signal_received", frozen=True):
    """Somebody told the run something.

    Attributes:
        name: What steps wait for.
        payload: JSON value they get.
        who: Who sent it.
        message: Number of the message that brought it, 0 if none did.
    """

    name: str
    payload: Any = None
    who: str = ""
    message: int = 0


class CompensationStarted(Event, tag="compensation_started", frozen=True):
    """What was done is undone from here on, one step after another.

    Attributes:
        steps: The steps to be undone, in this order.
        reason: What the run had come to.
    """

    steps: tuple[str, ...]
    reason: Outcome


class AttemptProgressed(Event, tag="attempt_progressed", frozen=True):
    """An attempt is alive and says how far it is.

    Attributes:
        step: Step name.
        token: Fencing token of the attempt.
        done: Fraction done, 0..1, if known.
        message: One line for a person.
    """

    step: str
    token: int
    done: float | None = None
    message: str = ""


class TestsFinished(Event, tag="tests_finished", frozen=True):
    """Tests of an attempt have come to an end.

    Attributes:
        step: Step name.
        token: Fencing token of the attempt.
        results: What they came to.
        total: How many tests the attempt is going to run, as far as is known; 0: not known.
        origin: Where the suite lives: its working directory relative to the project. Ids of tests are unique in it.
    """

    __test__ = False  # not a class of tests, whatever pytest thinks of its name

    step: str
    token: int
    results: tuple[TestResult, ...]
    total: int = 0
    origin: str = ""


class ServiceReady(Event, tag="service_ready", frozen=True):
    """A service is up; what needs it may start. It runs until nothing needs it any more.

    Attributes:
        step: Step name.
        token: Fencing token of the attempt.
        duration: From the start of the attempt to here [s].
        output: JSON value handed to dependents: addresses, ports, variables.
    """

    step: str
    token: int
    duration: float
    output: Any = None


class AttemptStopping(Event, tag="attempt_stopping", frozen=True):
    """An attempt was told to end: asked first, killed after the grace.

    Attributes:
        step: Step name.
        token: Fencing token of the attempt.
        reason: `timeout` (of the attempt), `silence`, `total` (timeout of the step), `cancel`, `deadline`, `budget` (of
            its group), `fail_fast` (another step of its group did not pass), `service` (one it needs has died) or
            `unneeded` (a service nothing needs any more).
        force: Whether it was killed at once.
    """

    step: str
    token: int
    reason: Literal["timeout", "silence", "total", "cancel", "deadline", "budget", "fail_fast", "service", "unneeded"]
    force: bool = False


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an attempt did not pass.

    Attributes:
        type: Class of the error: an exception name, `Timeout`, `Criteria`, `WorkerLost`, `ExitCode`, …
        message: One sentence for a person.
        details: More lines, such as a traceback or the end of standard error.
        exit_code: Of the program that ended with it.
        retry_after: How long the other side asks to be left alone [s].
    """

    type: str
    message: str
    details: str = ""
    exit_code: int | None = None
    retry_after: float | None = None


class AttemptFinished(Event, tag="attempt_finished", frozen=True):
    """An attempt ended and its result counts.

    Attributes:
        step: Step name.
        token: Fencing token of the attempt.
        outcome: How it ended.
        duration: From start to end [s].
        output: JSON value handed to dependents and shown to people.
        failure: Why it did not pass.
        artifacts: Name to digest of stored bytes.
    """

    step: str
    token: int
    outcome: Outcome
    duration: float
    output: Any = None
    failure: Failure | None = None
    artifacts: dict[str, str] = {}


class AttemptLost(Event, tag="attempt_lost", frozen=True):
    """The worker that held the attempt is gone; this does not use up the step's own retries.

    Attributes:
        step: Step name.
        token: Fencing token of the attempt.
        reason: What is known of the loss.
        by: Who was lost: the `worker`, or the `engine` itself (found on resume; never counted against the step).
    """

    step: str
    token: int
    reason: str
    by: Literal["worker", "engine"] = "worker"


class LateResult(Event, tag="late_result", frozen=True):
    """A superseded attempt reported after all: recorded, not applied.

    Attributes:
        step: Step name.
        token: Fencing token of the superseded attempt.
        outcome: What it reported.
    """

    step: str
    token: int
    outcome: Outcome


class StepFinished(Event, tag="step_finished", frozen=True):
    """A step is done; its outcome is final.

    Attributes:
        step: Step name.
        outcome: How it ended.
        attempts: How many attempts were started.
        reason: Why it was skipped or cancelled, in words.
        omitted: It was skipped by a condition of its own, so that needs on it count as met.
        output: What it came to, if it was done item by item or its result was known.
    """

    step: str
    outcome: Outcome
    attempts: int = 1
    reason: str = ""
    omitted: bool = False
    output: Any = None


class RunFinished(Event, tag="run_finished", frozen=True):
    """The run is over.

    Attributes:
        outcome: `passed` only if every step passed, was omitted or may fail.
        counts: Outcome to number of steps.
        duration: From `RunStarted` or `RunResumed` to here [s].
        output: What the plan's outputs came to.
    """

    outcome: RunOutcome
    counts: dict[str, int]
    duration: float
    output: Any = None


AnyEvent = (
    RunStarted
    | RunResumed
    | CancelRequested
    | AttemptScheduled
    | AttemptStarted
    | AttemptRefused
    | CircuitChanged
    | CacheChecked
    | FallbackTaken
    | ItemsFound
    | SignalReceived
    | CompensationStarted
    | AttemptProgressed
    | TestsFinished
    | ServiceReady
    | AttemptStopping
    | AttemptFinished
    | AttemptLost
    | LateResult
    | StepFinished
    | RunFinished
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """Return the event as one JSON object, its kind under `kind`."""
    return _encoder.encode(event)


def decode(text: bytes | str) -> AnyEvent:
    """Return the event of a JSON object.

    Raises:
        msgspec.ValidationError: The text is not an event of a known kind.
    """
    return _decoder.decode(text)
