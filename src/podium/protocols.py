"""The seams: what the engine asks of the things around it.

`Executor` carries attempts out, `Journal` keeps what happened, `Sink` shows it, `Clock` tells time. The engine
knows nothing else, so each can be replaced: by a fake under a virtual clock, by another database, by a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from podium.events import AnyEvent, Failure, Outcome
from podium.test_results import TestResult

LARGEST_BLOB = 1 << 29
"""Largest artifact that is stored [byte]."""


def content_digest(data: bytes) -> str:
    """Return the name under which a blob is stored: 32 hex digits of BLAKE2b."""
    return blake2b(data, digest_size=16).hexdigest()


class Work(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an attempt has to do.

    Attributes:
        kind: Name of the executor that can do it.
        payload: JSON value the executor understands.
        template: The payload holds `${…}` expressions, which are evaluated when an attempt begins.
    """

    kind: str
    payload: Any = None
    template: bool = False


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One try at one step.

    Attributes:
        run: Run id.
        step: Step name.
        number: Attempt number, from 1.
        token: Fencing token, unique within the run and growing.
        work: What to do.
        idempotency_key: The same for every attempt of the step in this run.
        timeout: Limit the engine enforces [s]; told to the executor for information only.
        begun_us: When the first attempt of the step began [us since the Unix epoch].
        passed_tests: Tests that passed in earlier attempts of the step in this run; they need not be run again.
    """

    run: str
    step: str
    number: int
    token: int
    work: Work
    idempotency_key: str
    timeout: float | None = None
    begun_us: int = 0
    passed_tests: frozenset[str] = frozenset()

    @property
    def variables(self) -> dict[str, str]:
        """Environment by which a program knows what it is started for."""
        return {
            "PODIUM_IDEMPOTENCY_KEY": self.idempotency_key,
            "PODIUM_RUN": self.run,
            "PODIUM_STEP": self.step,
            "PODIUM_ATTEMPT": str(self.number),
        }


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The attempt is over, and everything it started is confirmed dead.

    Attributes:
        outcome: How it ended, as far as the executor can tell; `skipped`: there was nothing to do, and what needs the
            step goes on.
        output: JSON value.
        failure: Why it did not pass.
        artifacts: Name to bytes, stored with the result.
    """

    outcome: Outcome
    output: Any = None
    failure: Failure | None = None
    artifacts: dict[str, bytes] = {}


class Progressed(msgspec.Struct, frozen=True, tag="progressed"):
    """The attempt is alive.

    Attributes:
        done: Fraction done, 0..1, if known.
        message: One line for a person.
    """

    done: float | None = None
    message: str = ""


class Tested(msgspec.Struct, frozen=True, tag="tested"):
    """Some tests of the attempt have come to an end; a sign of life.

    Attributes:
        results: What they came to.
        total: How many tests the attempt is going to run, as far as is known; 0: not known.
        origin: Where the suite lives: its working directory relative to the project. Ids of tests are unique in it.
    """

    __test__ = False  # not a class of tests, whatever pytest thinks of its name

    results: tuple[TestResult, ...]
    total: int = 0
    origin: str = ""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The attempt of a service is up; it goes on until it is stopped, or ends on its own, which is a failure.

    Attributes:
        output: JSON value handed to dependents: addresses, ports, variables.
    """

    output: Any = None


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """The worker that held the attempt is gone, and so is all it had started.

    Attributes:
        reason: What is known, for example `killed by signal 9`.
    """

    reason: str


Report = Finished | Progressed | Tested | Ready | Lost
ReportTo = Callable[[int, Report], None]
"""Called with (token, report) from the engine's thread: any number of `Progressed`, `Tested` and, from services,
`Ready`; then `Finished` or `Lost`."""


class Executor(Protocol):
    """Carries out attempts of one kind of work."""

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Begin the attempt and return at once; may report before returning."""
        ...

    def stop(self, token: int, *, force: bool) -> None:
        """Ask the attempt to end, or kill it with all it started; the end itself comes as a report."""
        ...

    async def close(self) -> None:
        """Release everything the executor holds; nothing it started is left behind."""
        ...


class Record(msgspec.Struct, frozen=True):
    """An event with its place in the run's journal.

    Attributes:
        seq: Position, from 1, without gaps.
        event: What happened.
    """

    seq: int
    event: AnyEvent


class Journal(Protocol):
    """Keeps the events of runs in order. The truth; everything else can be rebuilt from it."""

    def append(
        self, run: str, first_seq: int, events: Sequence[AnyEvent], blobs: Mapping[str, bytes] | None = None
    ) -> None:
        """Write events at `first_seq`, `first_seq + 1`, … and blobs by digest, all or nothing; durable on return.

        Raises:
            StoreError: Another process has written at one of these positions, or they would leave a gap (code E511), or
                the store fails.
        """
        ...

    def read(self, run: str, after: int = 0) -> Iterator[Record]:
        """Yield the run's records with `seq > after`, in order."""
        ...

    def blob(self, digest: str) -> bytes:
        """Return stored bytes.

        Raises:
            StoreError: No blob has this digest (code E512).
        """
        ...


class Circuit(msgspec.Struct, frozen=True):
    """What is known of a target that may fail, by all runs of a store.

    Attributes:
        failures_us: When it failed of late [us since the Unix epoch].
        opened_us: Since when it is left alone; 0: it is not [us since the Unix epoch].
        probe_us: When the attempt that probes it began; 0: none does [us since the Unix epoch].
    """

    failures_us: tuple[int, ...] = ()
    opened_us: int = 0
    probe_us: int = 0


class Circuits(Protocol):
    """Keeps the circuits of targets."""

    def update(self, target: str, change: Callable[[Circuit], Circuit]) -> None:
        """Replace a circuit by what `change` makes of it, as one step even among processes.

        Raises:
            StoreError: The store fails.
        """
        ...


class KnownResult(msgspec.Struct, frozen=True):
    """What an identical step came to before.

    Attributes:
        run: Run id.
        step: Step name.
        output: Its output.
    """

    run: str
    step: str
    output: Any


class Results(Protocol):
    """Knows the results of steps that passed and whose policy says that they may be taken again."""

    def known_result(self, digest: str) -> KnownResult | None:
        """Return the newest result of what has this digest."""
        ...


class TestRecord(msgspec.Struct, frozen=True):
    """What is known of a test from earlier runs.

    Attributes:
        duration: How long it takes, recent runs counting most [s].
        outcome: What it came to last.
        runs: How often it was run.
        failures: How often it did not pass.
        flaky: How often it passed only when it was tried again.
        last_us: When it was run last [us since the Unix epoch].
        last_bad_us: When it last did not pass, 0 if it always has [us since the Unix epoch].
    """

    __test__ = False

    duration: float
    outcome: str
    runs: int = 1
    failures: int = 0
    flaky: int = 0
    last_us: int = 0
    last_bad_us: int = 0


class TestHistory(Protocol):
    """Knows what tests came to in earlier runs."""

    __test__ = False

    def tests(self, origin: str) -> dict[str, TestRecord]:
        """Return the records of the tests of one origin, by id."""
        ...


class Sink(Protocol):
    """Consumes events after they are durable. One that raises is dropped with a warning; the run goes on."""

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Take a batch of records, in order."""
        ...

    def close(self) -> None:
        """The run is over, or the reader leaves."""
        ...


class ExpressionError(ValueError):
    """An expression is wrong, or cannot be evaluated with the values there are."""


class Expressions(Protocol):
    """The language of conditions and of `${…}` in payloads.

    Expressions know `inputs`, `steps` (name to `output`, `outcome`, `error`), `run`, and where they apply `item`,
    `index` and `error`.
    """

    def steps(self, text: str) -> frozenset[str]:
        """Return the names of the steps an expression refers to.

        Raises:
            ExpressionError: It is no expression.
        """
        ...

    def evaluate(self, text: str, scope: Mapping[str, Any]) -> Any:
        """Return the JSON value of an expression.

        Raises:
            ExpressionError: It has none.
        """
        ...

    def steps_in(self, payload: Any) -> frozenset[str]:
        """Return the names of the steps the expressions in a payload refer to.

        Raises:
            ExpressionError: One of them is no expression.
        """
        ...

    def render(self, payload: Any, scope: Mapping[str, Any]) -> Any:
        """Return a payload with every `${…}` in its strings replaced.

        A string that is one `${…}` and nothing else becomes the value itself; elsewhere values become text, those that
        are no text as JSON.

        Raises:
            ExpressionError: An expression has no value.
        """
        ...


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Return seconds that never go back [s]."""
        ...

    def wall_us(self) -> int:
        """Return the time of day [us since the Unix epoch]."""
        ...

    async def wait(self, until: float | None) -> None:
        """Return at `until` on the monotonic scale [s], or when `wake` is called, whichever is first."""
        ...

    def wake(self) -> None:
        """End the current or the next `wait`."""
        ...
