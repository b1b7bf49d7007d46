"""The state of a run: what its events add up to.

`RunState.apply` is the only way the state changes, whether the event was just decided or is read from the journal
after a crash; so a resumed run continues from exactly what was written down.

A step goes through these states:

    pending   waits for its needs
    ready     could start now
    running   an attempt is under way, or has just ended and what follows is not decided yet
    waiting   the next attempt is scheduled
    open      is done item by item, each item a step of its own
    done      has its outcome

A service that is up still runs, and what needs it may start.

Steps that are not in the plan follow from events: one for each of the `ItemsFound`, and one for each that
`CompensationStarted` undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from podium.engine.barring import Bar, Barring, Until
from podium.events import (
    AnyEvent,
    AttemptFinished,
    AttemptLost,
    AttemptRefused,
    AttemptScheduled,
    AttemptStarted,
    CancelRequested,
    CompensationStarted,
    Event,
    Failure,
    FallbackTaken,
    ItemsFound,
    Outcome,
    RunFinished,
    RunResumed,
    RunStarted,
    ServiceReady,
    SignalReceived,
    StepFinished,
    TestsFinished,
)
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Breaker, Retry
from podium.protocols import Work

Phase = Literal["pending", "ready", "running", "waiting", "open", "done"]
Role = Literal["step", "teardown", "service", "undo"]
FAILED: frozenset[Outcome] = frozenset(("failed", "errored", "timed_out"))
_UNDO = "~undo"


class StepState:
    """Where one step stands.

    Attributes:
        step: What the plan says.
        index: Its place: first the steps of the plan, then those that followed from events.
        role: `step`, `teardown`, `service`, or `undo` for one that undoes another.
        parent: The step of which it is an item, or which it undoes.
        item: Place of its item in the list and the item itself.
        phase: One of the six states.
        missing: How many needs are not done, nor services that are up.
        wanted: How many steps that need it may still use it: they are not done, and not barred.
        barred: It cannot start any more, for a need did not come to what it asks for. Once all its needs are done, it
            is going to be `skipped`, or `omitted` as by a condition of its own. Only known in plans with services.
        is_up: It is a service, and it is up.
        attempts: How many attempts were started.
        failures: How many of them used up the tries of the work under way, or of its last fallback.
        rule_failures: Retry rule, from 1, to how often it has led to another attempt.
        losses: How many were lost with their worker.
        token: Fencing token of the attempt under way, 0 if none is.
        ended: How the last attempt ended, until what follows is decided.
        begun_us: When the first attempt began, 0 before [us since the Unix epoch].
        not_before_us: While waiting: when the next attempt may start [us since the Unix epoch].
        delay: While waiting: for how long [s].
        due_at: When the step has to be done, on this process's monotonic scale [s]; no part of the journal.
        fallback: Which of the fallbacks is under way, from 1; 0: the step's own work.
        children: The steps of its items, if it is done item by item.
        open_children: How many of them are not done.
        outcome: How the step ended.
        omitted: It was left out by a condition of its own.
        reason: Why it was skipped or cancelled.
        output: What it came to, if the plan has expressions.
        failure: Why its last attempt did not pass.
        finished_as: How many steps had their outcome before it.
        passed_tests: Tests that passed in its attempts.
    """

    __slots__ = (
        "attempts", "barred", "begun_us", "children", "delay", "due_at", "ended", "failure", "failures", "fallback",
        "finished_as", "index", "is_up", "item", "losses", "missing", "not_before_us", "omitted", "open_children",
        "outcome", "output", "parent", "passed_tests", "phase", "reason", "role", "rule_failures", "step", "token",
        "wanted",
    )  # fmt: skip

    def __init__(self, step: Step, index: int, role: Role, parent: StepState | None = None) -> None:
        self.step = step
        self.index = index
        self.role: Role = role
        self.parent = parent
        self.item: tuple[int, Any] | None = None
        self.phase: Phase = "pending"
        self.missing = len(step.needs)
        self.wanted = 0
        self.barred: Bar = ""
        self.is_up = False
        self.attempts = 0
        self.failures = 0
        self.rule_failures: dict[int, int] = {}
        self.losses = 0
        self.token = 0
        self.ended: AttemptFinished | AttemptLost | AttemptRefused | None = None
        self.begun_us = 0
        self.not_before_us = 0
        self.delay = 0.0
        self.due_at: float | None = None
        self.fallback = 0
        self.children: list[StepState] | None = None
        self.open_children = 0
        self.outcome: Outcome | None = None
        self.omitted = False
        self.reason = ""
        self.output: Any = None
        self.failure: Failure | None = None
        self.finished_as = 0
        self.passed_tests: set[str] | None = None

    @property
    def work(self) -> Work:
        """What the next attempt does."""
        return self.step.fallbacks[self.fallback - 1].work if self.fallback else self.step.work

    @property
    def retry(self) -> Retry:
        """When that is tried again."""
        return self.step.fallbacks[self.fallback - 1].retry if self.fallback else self.step.policy.retry

    @property
    def breaker(self) -> Breaker | None:
        """What protects its target."""
        return self.step.fallbacks[self.fallback - 1].breaker if self.fallback else self.step.breaker

    @property
    def fallback_name(self) -> str:
        """Name of the fallback under way, empty for the step's own work."""
        return self.step.fallbacks[self.fallback - 1].name if self.fallback else ""

    @property
    def was_begun(self) -> bool:
        """Whether anything was done for it."""
        return bool(self.attempts or self.children)

    @property
    def is_met(self) -> bool:
        """Whether a need on it counts as met: it passed or is up, was left out by its own condition, or may fail."""
        if self.outcome is None:
            return self.is_up
        return self.outcome == "passed" or self.omitted or (self.step.allow_failure and self.outcome in FAILED)

    def meets(self, until: Until) -> bool:
        """Return whether a step that is done, or a service that is up, has come to what a need asks for."""
        if until == "only_passed":
            return self.outcome == "passed" or (self.outcome is None and self.is_up)
        return until == "done" or self.is_met

    @property
    def is_awaited(self) -> bool:
        """Whether it may still make use of what it needs."""
        return self.phase != "done" and not self.barred


class RunState:
    """What has happened so far in one run of a plan.

    Attributes:
        plan: The plan.
        steps: Step name to its state, in the plan's order, then those that followed from events.
        ordered: The same by index.
        unblocked: Steps whose needs have just all been done; the dispatcher takes them from here.
        setbacks: Steps of groups that have just not passed; likewise.
        gone: Services that have just ended without being up; likewise.
        services: The plan's services.
        superseded: Fencing tokens of lost attempts to their step.
        left: Role to how many steps of it are not done.
        counts: Outcome to number of the plan's steps.
        unmet: Role to the same without those that passed, were left out by a condition of their own, or may fail.
        cancel: The request to end the run, if there was one.
        compensates: Whether what was done is to be undone when the run does not pass.
        killed: Whether everything is to end, undoing included.
        compensation: The order in which steps are undone, once that has begun.
        signals: What was told to the run, by name; the last of a name counts.
        last_message: Number of the last message taken in.
        finished: The run's end, if it came.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.steps: dict[str, StepState] = {}
        self.ordered: list[StepState] = []
        self.unblocked: list[StepState] = []
        self.setbacks: list[StepState] = []
        self.gone: list[StepState] = []
        self.superseded: dict[int, str] = {}
        self.left: dict[Role, int] = {"step": 0, "teardown": 0, "service": 0, "undo": 0}
        self.counts: dict[str, int] = {}
        self.unmet: dict[Role, dict[str, int]] = {"step": {}, "teardown": {}, "service": {}, "undo": {}}
        self.cancel: CancelRequested | None = None
        self.compensates = any(step.compensation is not None for step in plan.steps)
        self.killed = False
        self.compensation: CompensationStarted | None = None
        self.signals: dict[str, SignalReceived] = {}
        self.last_message = 0
        self.finished: RunFinished | None = None
        self._dependents: dict[str, list[StepState]] = {}
        self._keeps_outputs = has_expressions(plan)
        self._finished_steps = 0
        for step in plan.steps:
            self._add(step, step.role)
        self.services = [state for state in self.ordered if state.role == "service"]
        for state in self.ordered if self.services else ():
            state.wanted = len(self._dependents.get(state.step.name, ()))
        self._barring = Barring(self.ordered, self._count_wanted) if self.services else None
        self._appliers: dict[type[Event], Callable[[Any], None]] = {
            RunStarted: self._run_started,
            RunResumed: self._run_resumed,
            CancelRequested: self._cancel_requested,
            SignalReceived: self._signal_received,
            CompensationStarted: self._compensation_started,
            AttemptScheduled: self._attempt_scheduled,
            AttemptStarted: self._attempt_started,
            TestsFinished: self._tests_finished,
            ServiceReady: self._service_ready,
            AttemptRefused: self._attempt_refused,
            AttemptFinished: self._attempt_finished,
            AttemptLost: self._attempt_lost,
            FallbackTaken: self._fallback_taken,
            ItemsFound: self._items_found,
            StepFinished: self._step_finished,
            RunFinished: self._run_finished,
        }

    def apply(self, event: AnyEvent) -> None:
        """Take one event into account; events that only inform change nothing."""
        applier = self._appliers.get(type(event))
        if applier is not None:
            applier(event)

    @property
    def unfinished(self) -> int:
        """How many steps are not done, whatever their role."""
        return sum(self.left.values())

    def is_cancelled(self, state: StepState) -> bool:
        """Return whether a request to end the run concerns a step: what undoes or tears down goes on."""
        return self.cancel is not None and (state.role == "step" or self.killed)

    def dependents(self, state: StepState) -> list[StepState]:
        """Return the steps that need a step."""
        return self._dependents.get(state.step.name, [])

    def _add(self, step: Step, role: Role, parent: StepState | None = None) -> StepState:
        state = StepState(step, len(self.ordered), role, parent)
        self.steps[step.name] = state
        self.ordered.append(state)
        self.left[role] += 1
        for need in step.needs:
            self._dependents.setdefault(need.step, []).append(state)
        return state

    def _run_started(self, _event: RunStarted) -> None:
        self._unblock(self.ordered)

    def _run_resumed(self, event: RunResumed) -> None:
        self.finished = None
        self.gone = []
        if self.cancel is None or not event.reopens:
            return
        self.cancel = None
        self.killed = False
        self.compensates = any(step.compensation is not None for step in self.plan.steps)
        again = [state for state in self.ordered if state.outcome is not None and _was_cancelled(state)]
        for state in again:
            self._reopen(state)
        if self._barring is not None:
            self._barring.lift()
        again += self._reopen_services()
        if self._barring is not None:
            self._barring.find()
        self._unblock(again)

    def _reopen_services(self) -> list[StepState]:
        """Reopen what was stopped and is needed again; needs of services come after those that need them."""
        found: list[StepState] = []
        while True:
            more = [state for state in self.services if state.wanted and state.outcome is not None]
            if not more:
                return found
            for state in more:
                self._reopen(state)
            found += more

    @property
    def can_go_on(self) -> bool:
        """Whether a cancelled run can be taken up again: nothing is undone, about to be undone, or torn down."""
        if self.compensation is not None or self.teardown_has_begun:
            return False
        return not self.compensates or not self.to_be_undone()

    @property
    def teardown_has_begun(self) -> bool:
        """Whether what was set up may be gone."""
        steps = (state for state in self.ordered if state.role == "teardown")
        return any(state.was_begun or state.outcome in FAILED for state in steps)

    def to_be_undone(self) -> list[StepState]:
        """Return the steps that have to be undone if the run does not pass, those that ended last first."""
        found = [state for state in self.ordered if state.role == "step" and _leaves_something(state)]
        return sorted(found, key=lambda state: -state.finished_as)

    def _reopen(self, state: StepState) -> None:
        assert state.outcome is not None
        if state.index < len(self.plan.steps):
            self._count(self.counts, state.outcome, -1)
            if not state.is_met:
                self._count(self.unmet[state.role], state.outcome, -1)
        if state.role != "undo" and state.parent is not None:
            state.parent.open_children += 1
        state.outcome = None
        state.begun_us = 0
        state.phase = "pending" if state.children is None else "open"
        state.failures = 0
        state.rule_failures = {}
        self.left[state.role] += 1
        for dependent in self._dependents.get(state.step.name, ()):
            dependent.missing += 1
        self._count_wanted(state, 1)

    def _count_wanted(self, state: StepState, change: int) -> None:
        if self.services:
            for need in state.step.needs:
                self.steps[need.step].wanted += change

    def _cancel_requested(self, event: CancelRequested) -> None:
        self.cancel = self.cancel or event  # the first says why
        self.last_message = max(self.last_message, event.message)
        self.compensates = self.compensates and event.compensate
        self.killed = self.killed or (event.force and not event.compensate)

    def _signal_received(self, event: SignalReceived) -> None:
        self.signals[event.name] = event
        self.last_message = max(self.last_message, event.message)

    def _compensation_started(self, event: CompensationStarted) -> None:
        self.compensation = event
        before: tuple[Need, ...] = ()
        added: list[StepState] = []
        for name in event.steps:
            undone = self.steps[name]
            compensation = undone.step.compensation
            assert compensation is not None
            step = Step(
                name=name + _UNDO,
                work=compensation.work,
                needs=before,
                policy=compensation.policy,
                scope=undone.step.scope,
                labels=undone.step.labels,
            )
            state = self._add(step, "undo", undone)
            state.item = undone.item
            added.append(state)
            before = (Need(step.name, "done"),)
        self._unblock(added)

    def _items_found(self, event: ItemsFound) -> None:
        parent = self.steps[event.step]
        parent.phase = "open"
        parent.children = []
        resources = dict(parent.step.resources)
        if parent.step.at_once:
            resources[items_resource(parent.step)] = 1.0
        for index, item in enumerate(event.items):
            step = msgspec.structs.replace(
                parent.step,
                name=f"{event.step}[{index}]",
                needs=(),
                when="",
                for_each="",
                at_once=0,
                resources=resources,
                trigger="passed",
            )
            child = self._add(step, parent.role, parent)
            child.item = (index, item)
            parent.children.append(child)
        parent.open_children = len(parent.children)
        self._unblock(parent.children)

    def _attempt_scheduled(self, event: AttemptScheduled) -> None:
        state = self.steps[event.step]
        state.phase = "waiting"
        state.ended = None
        state.not_before_us = event.not_before_us
        state.delay = event.delay
        if event.rule:
            state.rule_failures[event.rule] = state.rule_failures.get(event.rule, 0) + 1

    def _attempt_started(self, event: AttemptStarted) -> None:
        state = self.steps[event.step]
        state.phase = "running"
        state.attempts = event.number
        state.token = event.token
        state.begun_us = state.begun_us or event.at_us

    def _tests_finished(self, event: TestsFinished) -> None:
        state = self.steps[event.step]
        passed = {result.id for result in event.results if result.outcome == "passed"}
        state.passed_tests = passed if state.passed_tests is None else state.passed_tests | passed

    def _service_ready(self, event: ServiceReady) -> None:
        state = self.steps[event.step]
        state.is_up = True
        if self._keeps_outputs:
            state.output = event.output
        self._need_is_met(state)

    def _attempt_refused(self, event: AttemptRefused) -> None:
        state = self.steps[event.step]
        state.phase = "running"
        state.ended = event
        state.failure = Failure("CircuitOpen", event.reason, retry_after=event.retry_after)

    def _attempt_finished(self, event: AttemptFinished) -> None:
        state = self.steps[event.step]
        state.token = 0
        state.ended = event
        if event.outcome != "passed":
            state.failures += 1
        if self._keeps_outputs and not state.is_up:
            state.output = event.output
        if self._keeps_outputs or state.role == "service":
            state.failure = event.failure

    def _attempt_lost(self, event: AttemptLost) -> None:
        state = self.steps[event.step]
        state.token = 0
        state.ended = event
        self.superseded[event.token] = event.step
        if event.by == "worker":
            state.losses += 1
        if state.is_up:
            state.is_up = False
            for dependent in self._dependents.get(event.step, ()):
                dependent.missing += 1
                if dependent.phase == "ready":
                    dependent.phase = "pending"
            self.unblocked = [dependent for dependent in self.unblocked if dependent.phase == "ready"]

    def _fallback_taken(self, event: FallbackTaken) -> None:
        state = self.steps[event.step]
        state.fallback = event.index
        state.failures = 0
        state.rule_failures = {}

    def _step_finished(self, event: StepFinished) -> None:
        state = self.steps[event.step]
        state.phase = "done"
        state.ended = None
        state.outcome = event.outcome
        state.omitted = event.omitted
        state.reason = event.reason
        if event.output is not None and self._keeps_outputs:
            state.output = event.output
        was_up, state.is_up = state.is_up, False
        self._finished_steps += 1
        state.finished_as = self._finished_steps
        self.left[state.role] -= 1
        if state.index < len(self.plan.steps):
            self._count(self.counts, event.outcome, 1)
            if not state.is_met:
                self._count(self.unmet[state.role], event.outcome, 1)
        if state.role != "undo" and state.parent is not None:
            state.parent.open_children -= 1
        if state.step.group and event.outcome in FAILED:
            self.setbacks.append(state)
        if self._barring is not None:
            self._barring.finished(state)
        if not was_up:
            self._need_is_met(state)
            if state.role == "service":
                self.gone.append(state)

    def _need_is_met(self, state: StepState) -> None:
        dependents = self._dependents.get(state.step.name)
        if dependents:
            for dependent in dependents:
                dependent.missing -= 1
            self._unblock(dependents)

    @staticmethod
    def _count(counts: dict[str, int], outcome: Outcome, change: int) -> None:
        counts[outcome] = counts.get(outcome, 0) + change
        if not counts[outcome]:
            del counts[outcome]

    def _run_finished(self, event: RunFinished) -> None:
        self.finished = event

    def _unblock(self, states: Iterable[StepState]) -> None:
        for state in states:
            if not state.missing and state.phase == "pending":
                state.phase = "ready"
                self.unblocked.append(state)


def items_resource(step: Step) -> str:
    """Return the name of the resource that limits how many items of a step are worked on at once."""
    return f"{step.name}[]"


def has_expressions(plan: Plan) -> bool:
    """Return whether anything in a plan refers to what its steps come to."""
    return (
        bool(plan.outputs)
        or any(group.fail_fast_if for group in plan.groups.values())
        or any(
            step.when
            or step.for_each
            or any(work.template for work in step.works)
            or any(rule.when for retry in step.retries for rule in retry.rules)
            for step in plan.steps
        )
    )


def _was_cancelled(state: StepState) -> bool:
    """Return whether a step, or one of its items, was cancelled."""
    return state.outcome == "cancelled" or any(child.outcome == "cancelled" for child in state.children or ())


def _leaves_something(state: StepState) -> bool:
    compensation = state.step.compensation
    if compensation is None or not state.attempts:
        return False
    return state.outcome == "passed" or compensation.on == "attempted"
