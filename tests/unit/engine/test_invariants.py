"""Random plans, scripts, cancels and crashes, and what holds for the journal of every run whatever comes together.

Each test lets other features of plans meet. All of them conduct a plan, cut its journal somewhere as `kill -9` does, go
on from there, and read both journals back event by event.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from podium.engine.outcomes import run_outcome
from podium.engine.state import RunState
from podium.events import (
    AttemptStarted,
    CancelRequested,
    CompensationStarted,
    Failure,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
)
from podium.model.expressions import Cel
from podium.plan.graph import Need, Step
from podium.plan.policy import Breaker, Compensation, Fallback, Group, Policy, Retry
from podium.protocols import Finished, Lost, Work
from podium.sinks.tally import Tally
from podium.testing.conducted import Conducted
from podium.testing.executors import Act
from podium.testing.journal import MemoryJournal

CAPACITY = 3.0
STAGGER = 0.5
FATES = [
    Group(STAGGER, budget=2.0),
    Group(STAGGER, fail_fast="pending"),
    Group(STAGGER, fail_fast="running"),
    Group(STAGGER, fail_fast="run"),
]
DAY_US = 86_400_000_000
FAST = settings(
    max_examples=45,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)

times = st.sampled_from([0.25, 0.5, 1.0, 2.0, 4.0])
ends = st.sampled_from(
    [
        Finished("passed"),
        Finished("failed", failure=Failure("Scripted", "as scripted")),
        Finished("failed", failure=Failure("Scripted", "rate limit", retry_after=1.5)),
        Lost("killed by signal 9"),
    ]
)
acts = st.builds(  # all moments are binary fractions, so that "at the same moment" occurs
    Act,
    after=st.one_of(times, times, st.none()),
    report=ends,
    progress_every=st.sampled_from([0.0, 0.5]),
    stops_after=st.sampled_from([0.125, 1.0, None]),
    killed_after=st.just(0.0625),
)
services = st.builds(
    Act,
    after=st.one_of(st.none(), st.none(), times),
    report=st.just(Finished("errored", failure=Failure("ServiceDied", "exited with code 1"))),
    stops_after=st.sampled_from([0.125, 1.0, None]),
    killed_after=st.just(0.0625),
    ready_after=st.one_of(times, times, st.none()),
)
scripts = st.lists(acts, min_size=1, max_size=3)
retries = st.builds(
    Retry,
    attempts=st.integers(1, 3),
    initial=st.just(0.5),
    jitter=st.just(0.0),
    budget=st.sampled_from([None, None, 2.0]),
)
policies = st.builds(
    Policy,
    timeout=st.sampled_from([2.0, 3.0]),  # what hangs has to end
    extend_to=st.sampled_from([None, 6.0]),
    silence_timeout=st.sampled_from([None, 1.0]),
    queue_timeout=st.sampled_from([None, None, 1.5]),
    total_timeout=st.sampled_from([None, None, 4.0]),
    grace=st.sampled_from([0.0, 0.5, 5.0]),
    retry=retries,
    losses=st.integers(1, 3),
)
cancels = st.lists(
    st.tuples(st.sampled_from([0.0, 0.75, 1.0, 2.25, 5.5, 9.0]), st.booleans(), st.booleans()), max_size=2
)


@dataclass(repr=False)
class Case:
    """A plan, what its attempts do, and what is done to it; `repr` shows what a failing example consists of."""

    steps: list[Step]
    script: dict[str, list[Act]]
    plan: dict[str, Any]
    at: list[tuple[float, bool, bool]]
    cut: float
    again: list[tuple[float, bool, bool]]

    def __repr__(self):
        steps = "".join(f"\n  {step}" for step in self.steps)
        return f"{steps}\n  {self.script}\n  {self.plan}\n  cancels {self.at}, cut {self.cut}, then {self.again}"

    def conducted(self, at, **more):
        run = Conducted(
            self.steps, self.script, expressions=Cel(), at=[_cancelling(*each) for each in at], **self.plan, **more
        )
        run.clock.wait = _bounded(run.clock.wait)
        return run


def _cancelling(at, force, compensate):
    return at, lambda dispatcher: dispatcher.cancel(who="user", why="as drawn", force=force, compensate=compensate)


def _bounded(wait):
    turns = iter(range(5000))

    async def bounded(until):
        assert next(turns, None) is not None, "the run goes round in circles"
        await wait(until)

    return bounded


class Commits(MemoryJournal):
    """A journal that knows where its commits end, each of which is there wholly or not at all."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def append(self, run, first_seq, events, blobs=None):
        super().append(run, first_seq, events, blobs)
        self.ends.append(first_seq + len(events) - 1)


@st.composite
def cases(draw, *features):
    """Draw a case in which only some features occur."""

    def sometimes(feature, values, otherwise):
        return draw(st.one_of(st.just(otherwise), values)) if feature in features else otherwise

    count = draw(st.integers(1, 5))
    steps, script = [], {}
    serving = [f"service{index}" for index in range(draw(st.integers(1, 3)) if "services" in features else 0)]
    for index, name in enumerate(serving):
        needs = draw(st.lists(st.sampled_from(serving[:index]), unique=True)) if index else []
        policy = Policy(timeout=draw(st.sampled_from([1.0, 3.0])), retry=draw(retries), grace=0.5)
        steps.append(Step(name, Work("scripted"), tuple(map(Need, needs)), role="service", slots=0, policy=policy))
        script[name] = draw(st.lists(services, min_size=1, max_size=3))
    for index in range(count + (draw(st.integers(1, 2)) if "teardown" in features else 0)):
        name = f"s{index}"
        role = "step" if index < count else "teardown"
        earlier = draw(st.lists(st.integers(0, index - 1), unique=True, max_size=3)) if index else []
        until = draw(st.sampled_from(["passed", "only_passed", "done"]))
        relies = draw(st.lists(st.sampled_from(serving), unique=True, max_size=2)) if serving else []
        template = sometimes("errors", st.sampled_from(["${inputs.nothing}", "${inputs.list}"]), None)
        kind = Work("scripted", template, template=template is not None)
        if sometimes("waits", st.booleans(), otherwise=False):
            kind = Work("wait", {"seconds": 1.5})
        undo = sometimes(
            "undo", st.builds(Compensation, st.just(kind), policies, st.sampled_from(["passed", "attempted"])), None
        )
        steps.append(
            Step(
                name,
                kind,
                (*(Need(f"s{need}", until) for need in earlier), *map(Need, relies)),
                trigger=sometimes(
                    "triggers", st.sampled_from(["done", "one_passed", "one_failed", "none_failed"]), "passed"
                ),
                when=sometimes("errors", st.sampled_from(["inputs.yes", "!inputs.yes", "inputs.nothing"]), ""),
                policy=draw(policies),
                breaker=sometimes("breakers", st.just(Breaker("target", failures=1, reset=3.0)), None),
                fallbacks=sometimes(
                    "fallbacks",
                    st.just((Fallback("other", Work("scripted"), Retry(attempts=2, initial=0.5, jitter=0.0)),)),
                    (),
                ),
                compensation=undo if role == "step" else None,
                resources=sometimes("resources", st.sampled_from([{"r": 1.0}, {"r": 2.0}, {"r": 3.0}]), {}),
                slots=0 if kind.kind == "wait" else 1,
                group=sometimes("groups", st.just("g"), ""),
                role=role,
                for_each=sometimes("items", st.sampled_from(["inputs.list", "[]"]), ""),
                at_once=draw(st.integers(0, 2)),
                allow_failure=sometimes("triggers", st.booleans(), otherwise=False),
            )
        )
        for each in (name, f"{name}[0]", f"{name}[1]", f"{name}~undo", f"{name}[1]~undo"):
            script[each] = draw(scripts)
    plan = {
        "slots": draw(st.integers(1, 3)),
        "capacities": {"r": CAPACITY},
        "groups": {"g": draw(st.sampled_from(FATES)) if "fates" in features else Group(STAGGER)},
        "inputs": {"yes": True, "list": [1, 2, 3]},
        "strict_waves": "waves" in features,
        "deadline": draw(st.sampled_from([None, None, 6.0])),
    }
    return Case(steps, script, plan, draw(cancels), draw(st.floats(0, 1)), draw(cancels))


def conduct(case):
    """Conduct a case, crash, go on, and check both journals."""
    commits = Commits()
    whole = case.conducted(case.at, journal=commits).run()
    check(whole)
    length = commits.ends[int(case.cut * (len(commits.ends) - 1))]
    check(case.conducted(case.again, journal=whole.cut(length)).resume())
    late = case.conducted(case.again, journal=whole.cut(length), epoch_us=1_700_000_000_000_000 + DAY_US)
    check(late.resume())
    if whole.summary.outcome in ("cancelled", "timed_out"):  # what ended that way may go on
        check(case.conducted([], journal=whole.cut(len(whole.events))).resume())


def check(run):
    """Read a journal back: every event has to be allowed where it stands, and the end has to be what they add up to."""
    plan = run.dispatcher._plan
    reader, tally = Reader(plan), Tally()
    for record in run.journal.read("run"):
        reader.take(record.event)
        tally.apply(record.event)
    state = reader.state
    assert isinstance(run.events[-1], RunFinished)
    assert not state.unfinished
    assert all(step.phase == "done" for step in state.ordered)
    assert state.finished.outcome == run.summary.outcome == run_outcome(state) == tally.outcome
    outcomes = Counter(state.steps[step.name].outcome for step in plan.steps)
    assert state.finished.counts == run.summary.counts == dict(outcomes)
    shown = {name: step.outcome for name, step in tally.steps.items()}
    assert shown == {name: step.outcome for name, step in state.steps.items()}
    reader.check_undone()
    assert not run.executor.active


class Reader:
    """Follows a journal and checks every event against what was before."""

    def __init__(self, plan):
        self.plan = plan
        self.state = RunState(plan)
        self.finished = []
        self.started_in_group = None
        self.resumed_us = 0
        self.cancelled = self.spared = False
        self.checks = {
            RunStarted: self._run_started,
            RunResumed: self._run_resumed,
            CancelRequested: self._cancel_requested,
            StepFinished: self._step_finished,
            AttemptStarted: self._attempt_started,
            CompensationStarted: self._compensation_started,
        }
        self.wave_of = {name: wave for wave, names in enumerate(plan.waves()) for name in names}

    def take(self, event):
        check_event = self.checks.get(type(event))
        if check_event is not None:
            check_event(event)
        self.state.apply(event)
        if self.state.services:
            self._check_barred()

    def _run_started(self, _event: RunStarted):
        assert not self.state.finished

    def _run_resumed(self, event: RunResumed):
        self.resumed_us = event.at_us
        self.started_in_group = None
        self.cancelled = self.state.cancel is not None and not self.state.can_go_on
        self.finished = [
            name for name in self.finished if self.cancelled or self.state.steps[name].outcome != "cancelled"
        ]
        for state in self.state.ordered:  # whatever was under way is lost
            state.token = 0

    def _cancel_requested(self, event: CancelRequested):
        self.cancelled = True
        self.spared |= not event.compensate

    def _step_finished(self, event: StepFinished):
        state = self.state.steps[event.step]
        assert state.phase != "done", f"{event.step} ends twice"
        assert not state.token, f"{event.step} ends while an attempt is under way"
        assert not state.barred or event.outcome in ("skipped", "cancelled"), f"{event.step} was barred"
        left_out = event.outcome == "skipped" and (state.step.group or state.role == "service")
        assert not state.missing or event.outcome in ("cancelled", "timed_out", "failed") or left_out
        assert all(child.phase == "done" for child in state.children or ())
        self.finished.append(event.step)

    def _attempt_started(self, event: AttemptStarted):
        state, steps = self.state.steps[event.step], self.state.steps
        assert state.phase in ("ready", "waiting", "running"), f"{event.step} starts when {state.phase}"
        assert not state.token, f"{event.step} has two attempts at once"
        assert not state.barred, f"{event.step} starts although it was barred"
        assert event.number == state.attempts + 1
        assert all(steps[need.step].phase == "done" or steps[need.step].is_up for need in state.step.needs), (
            f"{event.step} starts before its needs"
        )
        if state.role != "undo" and state.parent is not None:
            assert state.parent.phase == "open"
        if state.role == "step":
            assert not self.cancelled, f"{event.step} starts after the cancel"
            assert self.state.compensation is None
            assert not any(other.role == "teardown" and other.token for other in self.state.ordered)
        elif state.role == "service":
            assert any(other.is_awaited for other in self.state.dependents(state)) or self.state.compensates
        else:
            assert not self.state.left["step"], f"{event.step} starts before everything else is done"
        if state.role == "teardown":
            assert not self.state.left["undo"]
        self._check_capacity(state)
        self._check_wave(state)
        if state.step.group:
            earlier, self.started_in_group = self.started_in_group, event.at_us
            assert earlier is None or event.at_us - earlier >= STAGGER * 1e6
        total = state.step.policy.total_timeout
        if total is not None and state.begun_us:
            since = max(state.begun_us, self.resumed_us)
            assert event.at_us - since < total * 1e6, f"{event.step} starts after all the time it has"

    def _check_barred(self):
        """Check that what cannot start any more is known, by looking at all needs of all steps."""
        barred = {state.step.name: "" for state in self.state.ordered}
        for _ in self.state.ordered:
            for state in self.state.ordered:
                if state.phase in ("pending", "ready") and state.role != "teardown" and state.step.trigger == "passed":
                    found = {self._bar(need, barred) for need in state.step.needs}
                    barred[state.step.name] = max(found, default="", key=["", "omitted", "skipped"].index)
        for state in self.state.ordered:
            if state.phase != "ready":  # admitted or left out at once
                assert state.barred == barred[state.step.name], f"{state.step.name}: {barred}"
            wanting = [other for other in self.state.dependents(state) if other.phase != "done" and not other.barred]
            assert state.role != "service" or state.wanted == len(wanting)

    def _bar(self, need, barred):
        other = self.state.steps[need.step]
        if need.until == "done":
            return ""
        if other.phase == "done":
            passed = other.outcome == "passed" or (need.until == "passed" and other.is_met)
            return "" if passed else "skipped" if need.until == "passed" else "omitted"
        if need.until == "only_passed":
            return "omitted" if barred[need.step] else ""
        return "skipped" if barred[need.step] == "skipped" else ""

    def _check_capacity(self, started):
        under_way = [state for state in self.state.ordered if state.token] + [started]
        assert sum(state.step.slots for state in under_way) <= self.plan.slots
        assert sum(state.step.resources.get("r", 0.0) for state in under_way) <= CAPACITY
        items = Counter(state.parent.index for state in under_way if state.role != "undo" and state.parent is not None)
        for parent, count in items.items():
            assert count <= (self.state.ordered[parent].step.at_once or count)

    def _check_wave(self, started):
        if self.plan.strict_waves and started.role == "step":
            name = started.step.name if started.parent is None else started.parent.step.name
            for other in self.state.ordered[: len(self.plan.steps)]:
                if other.role == "step" and self.wave_of[other.step.name] < self.wave_of[name]:
                    assert other.phase == "done", f"{name} starts before {other.step.name} of an earlier wave is done"

    def _compensation_started(self, event: CompensationStarted):
        assert not self.state.left["step"]
        assert self.state.compensation is None
        assert not any(
            state.role == "teardown" and state.phase == "done" and not state.omitted for state in self.state.ordered
        )
        place = {name: index for index, name in enumerate(self.finished)}
        assert list(event.steps) == sorted(self._leaving(), key=lambda name: -place[name])

    def _leaving(self):
        """Yield the names of the steps of which something is left if nothing is undone."""
        for state in self.state.ordered:
            undo = state.step.compensation
            if state.role != "step" or undo is None or state.children is not None:
                continue
            if state.outcome == "passed" or (undo.on == "attempted" and state.attempts):
                yield state.step.name

    def check_undone(self):
        """Check that a run that did not pass is undone, one step after another, and one that passed is not."""
        undone = [name.removesuffix("~undo") for name in self.finished if name.endswith("~undo")]
        forward = [state for state in self.state.ordered[: len(self.plan.steps)] if state.role != "teardown"]
        if all(state.is_met for state in forward):
            assert self.state.compensation is None
        elif self.state.compensation is not None:
            assert sorted(undone) == sorted(self._leaving())
            if not self.state.killed:
                assert undone == list(self.state.compensation.steps)
        elif not self.spared:
            assert not list(self._leaving()), "something is left, and nothing was undone"


@FAST
@given(cases("triggers", "resources", "groups", "waits"))
def test_limits_triggers_resources_and_groups(case):
    conduct(case)


@FAST
@given(cases("items", "resources", "groups", "fallbacks"))
def test_items(case):
    conduct(case)


@FAST
@given(cases("errors", "breakers", "fallbacks", "triggers"))
def test_steps_that_end_without_an_attempt(case):
    conduct(case)


@FAST
@given(cases("undo", "items", "fallbacks", "waits"))
def test_undoing(case):
    conduct(case)


@FAST
@given(cases("undo", "teardown", "errors", "items"))
def test_tearing_down(case):
    conduct(case)


@FAST
@given(cases("waves", "items", "teardown", "groups"))
def test_strict_waves(case):
    conduct(case)


@FAST
@given(cases("services", "resources", "triggers"))
def test_services(case):
    conduct(case)


@FAST
@given(cases("services", "undo", "teardown", "fates"))
def test_services_with_undoing_and_fates(case):
    conduct(case)


@FAST
@given(cases("fates", "groups", "items", "fallbacks", "waits"))
def test_budgets_and_failing_fast(case):
    conduct(case)


@FAST
@given(
    cases("triggers", "items", "errors", "breakers", "fallbacks", "undo", "teardown", "resources", "groups", "waits")
)
def test_everything_together(case):
    conduct(case)
