"""What a step of tests has to do: payloads of the kinds `pytest`, `suite` and `verdict`."""

from __future__ import annotations

from typing import Literal

from podium.plan.policy import Value


class SharedLimits(Value, frozen=True):
    """What suites may use together that run at the same time; more ends the one that uses most.

    Attributes:
        name: Of what the limits belong to, for people: "layer `fast`".
        memory: [byte].
        cpu: Share of all processors, 0..1; more than that slows them down.
        processes: How many processes at once.
    """

    name: str
    memory: int | None = None
    cpu: float | None = None
    processes: int | None = None


class Limits(Value, frozen=True):
    """What a suite may use, all of its processes together; more ends it.

    Attributes:
        memory: [byte].
        cpu: Share of all processors, 0..1; more than that slows it down.
        processes: How many processes at once.
        shared: What it may use together with others.
    """

    memory: int | None = None
    cpu: float | None = None
    processes: int | None = None
    shared: SharedLimits | None = None

    @property
    def most_memory(self) -> int | None:
        """What it may use if nothing else runs [byte]."""
        shared = None if self.shared is None else self.shared.memory
        return min((memory for memory in (self.memory, shared) if memory is not None), default=None)


class Criteria(Value, frozen=True):
    """When tests count as passed, though some did not.

    The defaults are strict; the documented files have others, which their dialect fills in.

    Attributes:
        min_pass_rate: Least share of those that passed, 0..1.
        max_failures: So many may fail.
        critical: Markers, or parts of ids, of tests that all have to pass.
        allow_partial: A suite that ended early may count by what it came to until then.
    """

    min_pass_rate: float = 1.0
    max_failures: int = 0
    critical: tuple[str, ...] = ()
    allow_partial: bool = False


class EarlyEnd(Value, frozen=True):
    """When a suite ends before all its tests have run. Tests in quarantine and skipped ones do not count.

    Attributes:
        consecutive: So many tests in a row did not pass; 0: no limit.
        rate: More than this share did not pass, 0..1; None: no limit.
        sample: How many tests must have run before `rate` counts.
        critical: Markers, or parts of ids, of tests one of which did not pass.
    """

    consecutive: int = 0
    rate: float | None = None
    sample: int = 10
    critical: tuple[str, ...] = ()


class Quarantined(Value, frozen=True):
    """Tests that are known not to pass; they are run and shown, and do not count until the day is over.

    Attributes:
        test: Pattern of ids, as in `fnmatch`.
        until: Last day, `YYYY-MM-DD`.
        reason: Why, for people.
    """

    test: str
    until: str
    reason: str = ""


class Selection(Value, frozen=True):
    """Which of the tests that are found are run.

    Attributes:
        only: These ids and no others; empty: all.
        changed: Only those that what changed since the last full run may affect.
        since: What `changed` compares with: a revision of git; empty: what the last full run saw.
        budget: Those with the most evidence per second that fit in so much time [s].
        repeat: How often each is run.
        until_fail: Repeat until one fails.
        shard: Which shard, from 1, of how many; (1, 1): all.
    """

    only: tuple[str, ...] = ()
    changed: bool = False
    since: str = ""
    budget: float | None = None
    repeat: int = 1
    until_fail: bool = False
    shard: tuple[int, int] = (1, 1)


class Suite(Value, frozen=True):
    """What all suites have in common.

    Attributes:
        cwd: Working directory; relative ones begin at the project's.
        origin: Where results are kept in the history: the working directory relative to the project, `` for itself.
        env: Variables added to the environment; they win over those of services.
        services: Service to the variables it hands out, added to the environment, too. In a plan each is an expression
            of the output of the service's step, so that the payload is a template.
        timeout: Longest duration of one test [s].
        retries: How often a test that did not pass is tried again; if it then passes, it is flaky.
        max_failures: After so many tests that did not pass, the suite ends; 0: no limit.
        early_end: What else ends it early.
        flaky: What flaky tests count as.
        criteria: When the suite counts as passed.
        limits: What it may use.
        quarantine: Tests that do not count.
        selection: Which tests are run.
    """

    cwd: str = ""
    origin: str = ""
    env: dict[str, str] = {}
    services: dict[str, dict[str, str]] = {}
    timeout: float | None = None
    retries: int = 0
    max_failures: int = 0
    early_end: EarlyEnd = EarlyEnd()
    flaky: Literal["passed", "failed"] = "passed"
    criteria: Criteria = Criteria()
    limits: Limits = Limits()
    quarantine: tuple[Quarantined, ...] = ()
    selection: Selection = Selection()

    @property
    def variables(self) -> dict[str, str]:
        """What is added to the environment: what services hand out, then the suite's own."""
        handed_out = {name: value for service in self.services.values() for name, value in service.items()}
        return {**handed_out, **self.env}


class PytestSuite(Suite, frozen=True):
    """Payload of kind `pytest`.

    Attributes:
        python: Interpreter of the project; empty: that of the active or the project's virtual environment, else this.
        paths: Files, folders or node ids; empty: what the project's own configuration says.
        include: Patterns (`fnmatch`) of paths of test files; empty: all.
        exclude: Patterns of paths of test files that are left out.
        markers: Expression of `-m`.
        keyword: Expression of `-k`.
        narrowed: By what a person selects for this run among the tests of the suite, such as `-k login`; it is part of
            the expressions, too. That nothing of a suite is selected by it is no mistake.
        args: More arguments of pytest.
        workers: How many worker processes, at least 1.
        fork: Whether workers may be forked after one collection; otherwise pytest-xdist is used.
        coverage: Whether coverage is measured, if the project asks for it.
    """

    python: str = ""
    paths: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    markers: str = ""
    keyword: str = ""
    narrowed: str = ""
    args: tuple[str, ...] = ()
    workers: int = 1
    fork: bool = True
    coverage: bool = True


ReportFormat = Literal["auto", "junit", "tap", "ctrf", "go", "pytest", "jest", "exit_code"]


class CommandSuite(Suite, frozen=True):
    """Payload of kind `suite`: a command whose results are read.

    Attributes:
        argv: Program and arguments; either this or `shell`.
        shell: A line for `/bin/sh -c`.
        report: Format of its results.
        report_path: Files that hold them, relative to the working directory, as a glob pattern; empty: its standard
            output. Files that were there before it began do not count.
        exit_codes: Those with which results are believed to be complete; a suite that ends with another one is errored
            unless a test of it did not pass.
    """

    argv: tuple[str, ...] = ()
    shell: str = ""
    report: ReportFormat = "auto"
    report_path: str = ""
    exit_codes: tuple[int, ...] = (0,)


class SuiteOutput(Value, frozen=True):
    """Output of a step of kind `pytest` or `suite`.

    Attributes:
        counts: Outcome to number of tests; see `podium.test_results.TestCounts`.
        total: Number of tests that were run, or skipped by the suite itself.
        workers: How many workers there were.
        runner: How it was run, in words: `pytest 9.0, 2 forked workers`.
        notes: What a person should know: why it did not fork, what was left out, warnings.
        seconds: Name of a phase (`collect`, `run`, …) to how long it took [s].
        unmatched: Patterns of `quarantine` that fit none of its tests, run or not; empty also if not all are known.
        uncritical: Words of `criteria.critical` that fit none of its tests, run or not; likewise.
        critical_failures: How many tests did not pass of which `early_end.critical` says that one ends the suite.
        complete: Whether all tests that were selected are known, and have ended as often as was asked for.
    """

    counts: dict[str, int]
    total: int
    workers: int = 1
    runner: str = ""
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = {}
    unmatched: tuple[str, ...] = ()
    uncritical: tuple[str, ...] = ()
    critical_failures: int = 0
    complete: bool = False


class Verdict(Value, frozen=True):
    """Payload of kind `verdict`: what the categories of a layer came to together. It is a template.

    Attributes:
        criteria: When the layer counts as passed; None: it has no criteria and follows its categories.
        outcomes: Category, or shard of it, to its step's outcome.
        counts: The same to the counts of its `SuiteOutput`; none if it has no output.
        own: The same to its own criteria, if it has any.
        uncritical: The same to what its `SuiteOutput` says under that name.
        flaky: What flaky tests count as, in all categories.
    """

    criteria: Criteria | None
    outcomes: dict[str, str]
    counts: dict[str, dict[str, int] | None]
    own: dict[str, Criteria] = {}
    uncritical: dict[str, tuple[str, ...] | None] = {}
    flaky: Literal["passed", "failed"] = "passed"
