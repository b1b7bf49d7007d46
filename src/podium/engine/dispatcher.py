"""The dispatcher: one loop that owns a run.

Each turn takes in what attempts reported, what people asked for and which timers are due, decides what follows, writes
all of it to the journal in one commit, shows it to the sinks, and only then starts and stops attempts. A run goes
forwards through the steps of its plan; if it does not pass, backwards through their compensations; then through the
teardown steps, whatever happened. An attempt goes through

    start        journalled, then handed to its executor
    running      shows signs of life
    terminating  asked to stop (a limit, cancel, deadline); killed when the grace is over
    outcome      the executor reported the end: everything the attempt started is dead, its slot is free

and what follows is decided in one place, `_decide`: the next attempt, a fallback, or the step's outcome.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec

from podium.engine.announcing import definition_of, run_started
from podium.engine.attempts import Running, encodable_result, storable
from podium.engine.circuits import Breakers
from podium.engine.groups import Groups
from podium.engine.outcomes import DEADLINE, run_outcome
from podium.engine.recorder import Recorder
from podium.engine.scheduler import Scheduler
from podium.engine.scope import Scopes
from podium.engine.services import Services
from podium.engine.shared_slots import SharedSlots
from podium.engine.state import RunState, StepState, has_expressions
from podium.engine.steps import Steps
from podium.engine.timers import Timers
from podium.engine.under_way import UnderWay
from podium.engine.waiting import Waiter
from podium.errors import PlanError
from podium.events import (
    AttemptFinished,
    AttemptLost,
    AttemptProgressed,
    CacheChecked,
    CancelRequested,
    Failure,
    LateResult,
    RunFinished,
    RunOutcome,
    RunResumed,
    ServiceReady,
    SignalReceived,
    TestsFinished,
)
from podium.messages import Cancel, Message, Signal
from podium.plan.graph import Plan
from podium.protocols import (
    Attempt,
    Circuits,
    Clock,
    Executor,
    ExpressionError,
    Expressions,
    Finished,
    Journal,
    Lost,
    Progressed,
    Ready,
    Record,
    Report,
    Results,
    Sink,
    Tested,
    Work,
    content_digest,
)
from podium.storable import encodable

_log = logging.getLogger("podium.engine")
_WAIT = "wait"


class RunSummary(msgspec.Struct, frozen=True):
    """How a run ended.

    Attributes:
        run: Run id.
        outcome: Its outcome.
        counts: Outcome to number of steps.
        duration: Of this process's part in it [s].
        output: What the plan's outputs came to.
    """

    run: str
    outcome: RunOutcome
    counts: dict[str, int]
    duration: float
    output: Any = None


class Suspended(Exception):  # noqa: N818 (not an error)
    """The run goes on another time; nothing of it is under way here."""


class Dispatcher:
    """Runs one plan to its end. Use once.

    Args:
        run: Run id.
        plan: The plan.
        journal: Where events become durable.
        executors: Kind of work to executor. They belong to the caller, who closes them.
        clock: Where time comes from.
        sinks: Who is shown the events. One that raises is dropped.
        engine: Identity of this process, for the record.
        parent: The run this one reruns.
        expressions: The language of expressions, if the plan has any.
        circuits: Where the circuits of targets are kept, if the plan has breakers.
        shared_slots: Slots the run shares with others, besides its own.
        results: Where results of identical steps are known, for steps that may take them.

    Raises:
        PlanError: A step's kind of work has no executor (P206), or something it needs is not given (P209).
    """

    progress_interval = 0.5
    """Progress of one attempt is written down at most this often [s]."""

    def __init__(
        self,
        run: str,
        plan: Plan,
        *,
        journal: Journal,
        executors: Mapping[str, Executor],
        clock: Clock,
        sinks: Sequence[Sink] = (),
        engine: str = "",
        parent: str | None = None,
        expressions: Expressions | None = None,
        circuits: Circuits | None = None,
        shared_slots: SharedSlots | None = None,
        results: Results | None = None,
    ) -> None:
        self._results = results
        self._run = run
        self._plan = plan
        self._clock = clock
        self._engine = engine
        self._parent = parent
        self._state = RunState(plan)
        self._recorder = Recorder(run, self._state, journal, sinks)
        self._scheduler = Scheduler(plan, shared_slots, clock.wake)
        self._timers = Timers(clock)
        self._waiter = Waiter(self._state, self._timers, clock)
        self._executors = {**executors, _WAIT: self._waiter}
        _check(plan, self._executors, has_language=expressions is not None, has_circuits=circuits is not None)
        self._scopes = None if expressions is None else Scopes(run, self._state, expressions)
        self._steps = Steps(
            self._state,
            self._recorder,
            scheduler=self._scheduler,
            timers=self._timers,
            clock=clock,
            scopes=self._scopes,
        )
        self._breakers = Breakers(self._recorder, circuits, clock)
        self._under_way = UnderWay(self._recorder, self._timers, clock)
        self._services = Services(self._state, self._steps, self._under_way, self._scheduler)
        self._groups = Groups(self._state, self._steps, self._under_way, self._scheduler, self._timers)
        self._reports: deque[tuple[int, Report]] = deque()
        self._requests: deque[Callable[[], None]] = deque()
        self._last_delivered = 0
        self._suspended = False
        self._starts: list[tuple[Executor, Attempt]] = []
        self._started_at = clock.monotonic()

    async def run(self) -> RunSummary:
        """Run the plan from the start.

        Returns:
            How it ended; failing steps are values here, never exceptions.
        """
        self._recorder.emit(
            run_started(
                self._run,
                self._plan,
                definition=self._recorder.keep(definition_of(self._plan)),
                at_us=self._clock.wall_us(),
                parent=self._parent,
                engine=self._engine,
            )
        )
        return await self._loop()

    async def resume(self, records: Iterable[Record], messages: Iterable[Message] = ()) -> RunSummary:
        """Continue the run from its journal: nothing that passed runs again, what was running is a new attempt.

        Args:
            records: The whole journal of the run.
            messages: What the run was told; what it has taken in already changes nothing.
        """
        self._recorder.replay(self._groups.reading(records))
        self._groups.resumed(self._clock.monotonic())
        self._last_delivered = max(self._last_delivered, self._state.last_message)
        for message in messages:
            self.deliver(message)
        reopens = self._state.can_go_on
        self._recorder.emit(RunResumed(at_us=self._clock.wall_us(), engine=self._engine, reopens=reopens))
        self._steps.schedule_added(self._state.ordered[len(self._plan.steps) :])
        services, others = self._state.services, self._state.ordered
        for state in (*services, *(state for state in others if state.role != "service")):
            if state.phase in ("running", "waiting"):
                self._steps.limit_total(state)
            if state.phase == "done":
                self._scheduler.done(state.index)
            elif state.phase == "waiting":
                self._steps.wait_for_attempt(state)
            elif state.phase == "open":
                self._steps.close(state)
            elif state.phase == "running":
                if state.token:
                    lost = AttemptLost(
                        at_us=self._clock.wall_us(),
                        step=state.step.name,
                        token=state.token,
                        reason="the process that ran it ended",
                        by="engine",
                    )
                    self._recorder.emit(lost)
                self._steps.decide(state)
        return await self._loop()

    def cancel(self, *, who: str, why: str, force: bool = False, compensate: bool = True) -> None:
        """Ask the run to end: nothing new starts, running attempts are asked to stop, or killed with `force`.

        May be called from the loop's thread at any time, more than once. What is being undone goes on, unless the
        request is forced and without compensation.

        Args:
            who: Who asks.
            why: In words.
            force: Kill running attempts.
            compensate: Undo what was done.
        """
        self._request(lambda: self._take_cancel(Cancel(who, why, force, compensate)))

    def signal(self, name: str, payload: Any = None, *, who: str = "") -> None:
        """Tell the run something, for steps that wait for it. From the loop's thread, at any time."""
        self._request(lambda: self._take_signal(Signal(name, payload, who)))

    def deliver(self, message: Message) -> None:
        """Take in a message from the store, unless it has been already. From the loop's thread, at any time."""
        if message.id <= self._last_delivered:
            return
        self._last_delivered = message.id
        content = message.content
        if isinstance(content, Cancel):
            self._request(lambda: self._take_cancel(content, message.id))
        else:
            self._request(lambda: self._take_signal(content, message.id))

    @property
    def last_delivered(self) -> int:
        """Number of the last message that was delivered."""
        return self._last_delivered

    @staticmethod
    def check(plan: Plan, executors: Collection[str]) -> None:
        """Refuse a plan that cannot be carried out.

        Raises:
            PlanError: A step's kind of work has no executor (P206).
        """
        _check(plan, {*executors, _WAIT}, has_language=True, has_circuits=True)

    def suspend(self) -> None:
        """Start nothing more; when no attempt is under way, the run is left, to be resumed by another process.

        `run` and `resume` then raise `Suspended`.
        """
        self._suspended = True
        self._clock.wake()

    def _request(self, action: Callable[[], None]) -> None:
        self._requests.append(action)
        self._clock.wake()

    async def _loop(self) -> RunSummary:
        if self._plan.deadline is not None:
            self._timers.at(self._started_at + self._plan.deadline, self._deadline_passed)
        try:
            return await self._turns()
        finally:
            self._scheduler.close()

    async def _turns(self) -> RunSummary:
        for turn in count():
            self._turn()
            if self._state.finished is not None:
                break
            if self._suspended and all(self._may_be_left(running) for running in self._under_way):
                raise Suspended
            due = self._timers.due
            if (self._reports or self._requests) and turn % 64 and (due is None or due > self._clock.monotonic()):
                continue  # other tasks of the loop get their turn now and then
            await self._clock.wait(due)
        ended = self._state.finished
        assert ended is not None
        return RunSummary(self._run, ended.outcome, ended.counts, ended.duration, ended.output)

    def _turn(self) -> None:
        for _ in range(len(self._reports)):
            self._take_report(*self._reports.popleft())
        while self._requests:
            self._requests.popleft()()
        self._timers.fire()
        self._begin_what_may()
        if not self._state.unfinished and not self._under_way and self._state.finished is None:
            self._finish_run()
        self._recorder.commit()
        self._carry_out()

    def _begin_what_may(self) -> None:
        """Start attempts until no step that ends without one lets further steps begin."""
        while True:
            left = self._state.unfinished
            self._steps.admit_unblocked()
            self._groups.take_setbacks()
            if not self._state.left["step"]:
                self._steps.turn_back()
            self._services.release()
            for index in () if self._suspended else self._scheduler.picks():
                self._start_attempt(self._state.ordered[index])
            if self._state.unfinished == left:
                return

    def _carry_out(self) -> None:
        starts, self._starts = self._starts, []
        for executor, attempt in starts:
            try:
                executor.start(attempt, self._report)
            except Exception as error:  # noqa: BLE001 (whatever an executor raises is a result)
                _log.exception("executor for `%s` could not start `%s`", attempt.work.kind, attempt.step)
                failure = Failure(type(error).__name__, f"could not be started: {error}")
                self._report(attempt.token, Finished("errored", failure=failure))
        self._under_way.carry_out_stops()

    def _report(self, token: int, report: Report) -> None:
        self._reports.append((token, report))
        self._clock.wake()

    def _start_attempt(self, state: StepState) -> None:
        try:
            payload = self._payload(state)
        except ExpressionError as error:
            self._scheduler.release(state.index)
            self._steps.finish(state, "errored", str(error))
            return
        if state.step.policy.cache and not state.attempts and self._take_known_result(state, payload):
            return
        if state.breaker is not None and not self._breakers.admits(state):
            self._scheduler.release(state.index)
            self._steps.decide(state)
            return
        now = self._clock.monotonic()
        running = self._under_way.begin(state, self._executors[state.work.kind])
        if state.step.group:
            self._groups.started(state.step.group, now)
        attempt = Attempt(
            run=self._run,
            step=state.step.name,
            number=state.attempts,
            token=running.token,
            work=Work(state.work.kind, payload),
            idempotency_key=f"{self._run}:{state.step.name}",
            timeout=state.step.policy.timeout,
            begun_us=state.begun_us,
            passed_tests=frozenset(state.passed_tests or ()),
        )
        self._starts.append((running.executor, attempt))

    def _payload(self, state: StepState) -> Any:
        return state.work.payload if self._scopes is None else self._scopes.payload(state, state.work)

    def _take_known_result(self, state: StepState, payload: Any) -> bool:
        """Finish a step with the result of an identical one, if one passed before."""
        digest = content_digest(msgspec.json.encode([state.work.kind, payload], order="sorted"))
        known = None if self._results is None else self._results.known_result(digest)
        at_us, name = self._clock.wall_us(), state.step.name
        if known is None:
            self._recorder.emit(CacheChecked(at_us=at_us, step=name, digest=digest, hit=False))
            return False
        self._recorder.emit(
            CacheChecked(at_us=at_us, step=name, digest=digest, hit=True, run=known.run, source=known.step)
        )
        self._scheduler.release(state.index)
        reason = f"as `{known.step}` of run {known.run}"
        self._steps.finish(state, "passed", reason, output=known.output)
        return True

    def _take_report(self, token: int, report: Report) -> None:
        running = self._under_way.get(token)
        if running is None:
            self._take_late(token, report)
        elif isinstance(report, Progressed):
            self._take_progress(running, report)
        elif isinstance(report, Tested):
            self._take_tested(running, report)
        elif isinstance(report, Ready):
            self._take_ready(running, report)
        else:
            self._take_end(running, report)

    def _take_end(self, running: Running, report: Finished | Lost) -> None:
        self._under_way.end(running)
        state, token = running.state, running.token
        self._scheduler.release(state.index)
        if running.stopping is not None:
            self._attempt_finished(running, running.result(report))
        elif isinstance(report, Finished):
            self._attempt_finished(running, report)
        else:
            at_us, name = self._clock.wall_us(), state.step.name
            self._recorder.emit(AttemptLost(at_us=at_us, step=name, token=token, reason=encodable(report.reason)))
        self._breakers.record(state)
        if state.role == "service" or running.stopping == "service":
            self._services.decide(state)
        else:
            self._steps.decide(state)

    def _take_late(self, token: int, report: Report) -> None:
        step = self._state.superseded.get(token)
        if step is not None and isinstance(report, Finished):
            at_us = self._clock.wall_us()
            self._recorder.emit(LateResult(at_us=at_us, step=step, token=token, outcome=report.outcome))

    def _take_progress(self, running: Running, report: Progressed) -> None:
        now = self._clock.monotonic()
        running.active_at = now
        if now - running.shown_at < self.progress_interval:
            return
        running.shown_at = now
        self._recorder.emit(
            AttemptProgressed(
                at_us=self._clock.wall_us(),
                step=running.state.step.name,
                token=running.token,
                done=report.done,
                message=encodable(report.message),
            )
        )

    def _take_tested(self, running: Running, report: Tested) -> None:
        running.active_at = self._clock.monotonic()
        self._recorder.emit(
            TestsFinished(
                at_us=self._clock.wall_us(),
                step=running.state.step.name,
                token=running.token,
                results=tuple(encodable_result(result) for result in report.results),
                total=report.total,
                origin=encodable(report.origin),
            )
        )

    def _take_ready(self, running: Running, report: Ready) -> None:
        """Note that a service is up, unless it is about to be stopped."""
        state = running.state
        if state.is_up or running.stopping is not None or state.role != "service":
            return
        output = storable(Finished("passed", output=report.output))
        if output.failure is not None:
            _log.error("`%s` is up, and its output is dropped: %s", state.step.name, output.failure.message)
        now = self._clock.monotonic()
        self._recorder.emit(
            ServiceReady(
                at_us=self._clock.wall_us(),
                step=state.step.name,
                token=running.token,
                duration=now - running.started_at,
                output=output.output,
            )
        )
        self._services.is_up(state)

    def _attempt_finished(self, running: Running, report: Finished) -> None:
        report = storable(report)
        self._recorder.emit(
            AttemptFinished(
                at_us=self._clock.wall_us(),
                step=running.state.step.name,
                token=running.token,
                outcome=report.outcome,
                duration=self._clock.monotonic() - running.started_at,
                output=report.output,
                failure=report.failure,
                artifacts={name: self._recorder.keep(data) for name, data in report.artifacts.items()},
            )
        )

    def _finish_run(self) -> None:
        self._recorder.emit(
            RunFinished(
                at_us=self._clock.wall_us(),
                outcome=run_outcome(self._state),
                counts=dict(self._state.counts),
                duration=self._clock.monotonic() - self._started_at,
                output=None if self._scopes is None else self._scopes.outputs(),
            )
        )

    def _take_signal(self, told: Signal, message: int = 0) -> None:
        if self._state.finished is None and (not message or message > self._state.last_message):
            at_us = self._clock.wall_us()
            signal = SignalReceived(at_us=at_us, name=told.name, payload=told.payload, who=told.who, message=message)
            self._recorder.emit(signal)
            self._waiter.deliver(signal)

    def _take_cancel(self, cancel: Cancel, message: int = 0) -> None:
        if self._state.finished is not None or 0 < message <= self._state.last_message:
            return
        self._recorder.emit(
            CancelRequested(
                at_us=self._clock.wall_us(),
                who=cancel.who,
                why=cancel.why,
                force=cancel.force,
                compensate=cancel.compensate,
                message=message,
            )
        )
        for state in tuple(self._state.ordered):
            if state.phase in ("pending", "ready", "waiting") and self._state.is_cancelled(state):
                self._scheduler.withdraw(state.index)
                self._steps.finish(state, "cancelled", cancel.why)
        self._state.unblocked = [state for state in self._state.unblocked if state.phase == "ready"]
        reason = "deadline" if cancel.who == DEADLINE else "cancel"
        for running in self._under_way:
            if self._state.is_cancelled(running.state):
                self._under_way.stop(running, reason, force=cancel.force)

    def _deadline_passed(self) -> None:
        if self._state.cancel is None and self._state.left["step"]:
            why = f"the run's deadline of {self._plan.deadline:g} s passed"
            self._take_cancel(Cancel(DEADLINE, why))

    def _may_be_left(self, running: Running) -> bool:
        """Return whether an attempt is one that a suspended run need not wait for."""
        return running.executor is self._waiter or running.state.role == "service"


def _check(plan: Plan, executors: Collection[str], *, has_language: bool, has_circuits: bool) -> None:
    for step in plan.steps:
        for work in step.works:
            if work.kind not in executors:
                raise PlanError(
                    f"step `{step.name}` is of kind `{work.kind}`, which nothing here can carry out",
                    code="P206",
                    hint=f"known kinds: {', '.join(sorted(executors))}",
                )
        breakers = [step.breaker, *(fallback.breaker for fallback in step.fallbacks)]
        if any(breakers) and not has_circuits:
            raise PlanError(f"step `{step.name}` has a breaker, and no place for its circuit is given", code="P209")
    if has_expressions(plan) and not has_language:
        raise PlanError("the plan has expressions, and no language for them is given", code="P209")
