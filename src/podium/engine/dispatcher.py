"""The dispatcher: one loop that owns a run.

Each turn takes in what attempts reported and which timers are due, decides what follows, writes all of it to the
journal in one commit, shows it to the sinks, and only then starts and stops attempts. An attempt goes through

    start        journalled, then handed to its executor
    running      reports progress
    terminating  asked to stop (timeout, cancel, deadline); killed when the grace is over
    outcome      the executor reported the end: everything the attempt started is dead, its slot is free

and what follows is decided in one place, `_decide`: the next attempt, or the step's outcome.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Literal

import msgspec

from podium.engine.retry import retry_delay
from podium.engine.scheduler import Scheduler
from podium.engine.state import RunState, StepState
from podium.errors import PlanError
from podium.events import (
    AnyEvent,
    AttemptFinished,
    AttemptLost,
    AttemptProgressed,
    AttemptScheduled,
    AttemptStarted,
    AttemptStopping,
    CancelRequested,
    Failure,
    LateResult,
    Outcome,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
)
from podium.nesting import DEEPEST, is_too_deep
from podium.plan.graph import Plan
from podium.protocols import (
    LARGEST_BLOB,
    Attempt,
    Clock,
    Executor,
    Finished,
    Journal,
    Lost,
    Progressed,
    Record,
    Report,
    Sink,
    content_digest,
)

_log = logging.getLogger("podium.engine")

StopReason = Literal["timeout", "cancel", "deadline"]


class _Running:
    """An attempt under way."""

    __slots__ = ("executor", "forced", "progressed_at", "started_at", "state", "stopping", "token")

    def __init__(self, state: StepState, token: int, executor: Executor, started_at: float) -> None:
        self.state = state
        self.token = token
        self.executor = executor
        self.started_at = started_at
        self.progressed_at = started_at
        self.stopping: StopReason | None = None
        self.forced = False


class RunSummary(msgspec.Struct, frozen=True):
    """How a run ended.

    Attributes:
        run: Run id.
        outcome: Its outcome.
        counts: Outcome to number of steps.
        duration: Of this process's part in it [s].
    """

    run: str
    outcome: Outcome
    counts: dict[str, int]
    duration: float


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

    Raises:
        PlanError: A step's kind of work has no executor (P206).
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
    ) -> None:
        for step in plan.steps:
            if step.work.kind not in executors:
                raise PlanError(
                    f"step `{step.name}` is of kind `{step.work.kind}`, which nothing here can carry out",
                    code="P206",
                    hint=f"known kinds: {', '.join(sorted(executors))}",
                )
        self._run = run
        self._plan = plan
        self._journal = journal
        self._executors = executors
        self._clock = clock
        self._sinks = list(sinks)
        self._engine = engine
        self._parent = parent
        self._state = RunState(plan)
        self._scheduler = Scheduler(plan)
        self._next_seq = 1
        self._batch: list[AnyEvent] = []
        self._blobs: dict[str, bytes] = {}
        self._running: dict[int, _Running] = {}
        self._reports: deque[tuple[int, Report]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._starts: list[tuple[Executor, Attempt]] = []
        self._stops: list[tuple[_Running, bool]] = []
        self._cancels: deque[tuple[str, str, bool]] = deque()
        self._started_at = clock.monotonic()

    async def run(self) -> RunSummary:
        """Run the plan from the start.

        Returns:
            How it ended; failing steps are values here, never exceptions.
        """
        definition = msgspec.json.encode(self._plan)
        digest = content_digest(definition)
        self._blobs[digest] = definition
        self._emit(
            RunStarted(
                at_us=self._clock.wall_us(),
                run=self._run,
                work=self._plan.work,
                name=self._plan.name,
                definition=digest,
                steps=len(self._plan.steps),
                slots=self._plan.slots,
                seed=self._plan.seed,
                parent=self._parent,
                options=self._plan.options,
                engine=self._engine,
            )
        )
        return await self._loop()

    async def resume(self, records: Iterable[Record]) -> RunSummary:
        """Continue the run from its journal: nothing that passed runs again, what was running is a new attempt.

        Args:
            records: The whole journal of the run.
        """
        for record in records:
            self._state.apply(record.event)
            self._next_seq = record.seq + 1
        self._emit(RunResumed(at_us=self._clock.wall_us(), engine=self._engine))
        for state in self._state.steps.values():
            if state.phase == "done":
                self._scheduler.done(state.index)
            elif state.phase == "waiting":
                self._wait_for_attempt(state)
            elif state.phase == "running":
                if state.token:
                    lost = AttemptLost(
                        at_us=self._clock.wall_us(),
                        step=state.step.name,
                        token=state.token,
                        reason="the process that ran it ended",
                        by="engine",
                    )
                    self._emit(lost)
                self._decide(state)
        return await self._loop()

    def cancel(self, *, who: str, why: str, force: bool = False) -> None:
        """Ask the run to end: nothing new starts, running attempts are asked to stop, or killed with `force`.

        May be called from the loop's thread at any time, more than once.
        """
        self._cancels.append((who, why, force))
        self._clock.wake()

    def waiting_for(self) -> list[str]:
        """Return the names of the steps whose attempts are under way."""
        return [running.state.step.name for running in self._running.values()]

    async def _loop(self) -> RunSummary:
        if self._plan.deadline is not None:
            self._at(self._started_at + self._plan.deadline, self._deadline_passed)
        for turn in count():
            self._turn()
            if self._state.finished is not None:
                break
            due = self._timers[0][0] if self._timers else None
            if (self._reports or self._cancels) and turn % 64 and (due is None or due > self._clock.monotonic()):
                continue  # other tasks of the loop get their turn now and then
            await self._clock.wait(due)
        finished = self._state.finished
        assert finished is not None
        return RunSummary(self._run, finished.outcome, finished.counts, finished.duration)

    def _turn(self) -> None:
        for _ in range(len(self._reports)):
            token, report = self._reports.popleft()
            self._take_report(token, report)
        while self._cancels:
            self._take_cancel(*self._cancels.popleft())
        self._fire_timers()
        self._admit_unblocked()
        if self._state.cancel is None:
            for index in self._scheduler.picks():
                self._start_attempt(self._state.steps[self._plan.steps[index].name])
        if not self._state.unfinished and not self._running and self._state.finished is None:
            self._finish_run()
        self._commit()
        self._carry_out()

    def _emit(self, event: AnyEvent) -> None:
        self._batch.append(event)
        self._state.apply(event)

    def _commit(self) -> None:
        batch, first = self._batch, self._next_seq
        if not batch:
            return
        self._journal.append(self._run, first, batch, self._blobs or None)
        self._next_seq = first + len(batch)
        self._batch = []
        self._blobs = {}
        if self._sinks:
            records = [Record(first + offset, event) for offset, event in enumerate(batch)]
            for sink in tuple(self._sinks):
                try:
                    sink.emit(self._run, records)
                except Exception:  # noqa: BLE001 (whatever a sink raises, the run goes on)
                    _log.warning("%s raised and is left out from here on", type(sink).__name__, exc_info=True)
                    self._sinks.remove(sink)

    def _carry_out(self) -> None:
        starts, self._starts = self._starts, []
        for executor, attempt in starts:
            try:
                executor.start(attempt, self._report)
            except Exception as error:  # noqa: BLE001 (whatever an executor raises is a result)
                _log.exception("executor for `%s` could not start `%s`", attempt.work.kind, attempt.step)
                failure = Failure(type(error).__name__, f"could not be started: {error}")
                self._report(attempt.token, Finished("errored", failure=failure))
        stops, self._stops = self._stops, []
        for running, force in stops:
            if running.token in self._running:
                try:
                    running.executor.stop(running.token, force=force)
                except Exception:  # noqa: BLE001 (the others are stopped in any case)
                    _log.exception("executor could not stop `%s`", running.state.step.name)

    def _report(self, token: int, report: Report) -> None:
        self._reports.append((token, report))
        self._clock.wake()

    def _admit_unblocked(self) -> None:
        while self._state.unblocked:
            states, self._state.unblocked = self._state.unblocked, []
            for state in states:
                if state.phase != "ready":  # read from the journal, which says what became of it
                    continue
                unmet = self._state.unmet(state)
                if unmet is None:
                    self._scheduler.offer(state.index)
                else:
                    outcome = self._state.steps[unmet].outcome
                    self._finish_step(state, "skipped", f"`{unmet}` {outcome}")

    def _start_attempt(self, state: StepState) -> None:
        step = state.step
        token = self._next_seq + len(self._batch)
        number = state.attempts + 1
        now = self._clock.monotonic()
        self._emit(AttemptStarted(at_us=self._clock.wall_us(), step=step.name, number=number, token=token))
        executor = self._executors[step.work.kind]
        running = _Running(state, token, executor, now)
        self._running[token] = running
        timeout = step.policy.timeout
        if timeout is not None:
            self._at(now + timeout, lambda: self._stop(running, "timeout"))
        attempt = Attempt(
            run=self._run,
            step=step.name,
            number=number,
            token=token,
            work=step.work,
            idempotency_key=f"{self._run}:{step.name}",
            timeout=timeout,
        )
        self._starts.append((executor, attempt))

    def _take_report(self, token: int, report: Report) -> None:
        running = self._running.get(token)
        if running is None:
            self._take_late(token, report)
            return
        if isinstance(report, Progressed):
            self._take_progress(running, report)
            return
        del self._running[token]
        self._scheduler.release(running.state.index)
        if running.stopping is not None:
            self._attempt_finished(running, _after_stop(running, report))
        elif isinstance(report, Finished):
            self._attempt_finished(running, report)
        else:
            name = running.state.step.name
            self._emit(AttemptLost(at_us=self._clock.wall_us(), step=name, token=token, reason=report.reason))
        self._decide(running.state)

    def _take_late(self, token: int, report: Report) -> None:
        step = self._state.superseded.get(token)
        if step is not None and isinstance(report, Finished):
            self._emit(LateResult(at_us=self._clock.wall_us(), step=step, token=token, outcome=report.outcome))

    def _take_progress(self, running: _Running, report: Progressed) -> None:
        now = self._clock.monotonic()
        if now - running.progressed_at < self.progress_interval:
            return
        running.progressed_at = now
        self._emit(
            AttemptProgressed(
                at_us=self._clock.wall_us(),
                step=running.state.step.name,
                token=running.token,
                done=report.done,
                message=report.message,
            )
        )

    def _attempt_finished(self, running: _Running, report: Finished) -> None:
        report = _storable(report)
        digests: dict[str, str] = {}
        for name, data in report.artifacts.items():
            digests[name] = content_digest(data)
            self._blobs[digests[name]] = data
        self._emit(
            AttemptFinished(
                at_us=self._clock.wall_us(),
                step=running.state.step.name,
                token=running.token,
                outcome=report.outcome,
                duration=self._clock.monotonic() - running.started_at,
                output=report.output,
                failure=report.failure,
                artifacts=digests,
            )
        )

    def _decide(self, state: StepState) -> None:
        """Decide what follows an attempt that ended: another one, or the step's outcome."""
        ended, policy, cancel = state.ended, state.step.policy, self._state.cancel
        if isinstance(ended, AttemptFinished):
            if ended.outcome == "passed":
                self._finish_step(state, "passed")
            elif cancel is not None:
                self._finish_step(state, "cancelled", cancel.why)
            elif ended.outcome in policy.retry.outcomes and state.failures < policy.retry.attempts:
                self._schedule_attempt(state, "retry")
            else:
                self._finish_step(state, ended.outcome)
        elif cancel is not None:
            self._finish_step(state, "cancelled", cancel.why)
        elif ended is not None and ended.by == "worker" and state.losses >= policy.losses:
            reason = ended.reason
            self._finish_step(state, "errored", f"lost its worker {state.losses} times, last: {reason}")
        else:
            self._schedule_attempt(state, "lost")

    def _schedule_attempt(self, state: StepState, reason: Literal["retry", "lost"]) -> None:
        delay = 0.0
        if reason == "retry":
            delay = retry_delay(
                state.step.policy.retry, seed=self._plan.seed, step=state.step.name, failures=state.failures
            )
        wall = self._clock.wall_us()
        self._emit(
            AttemptScheduled(
                at_us=wall,
                step=state.step.name,
                number=state.attempts + 1,
                not_before_us=wall + int(delay * 1e6),
                delay=delay,
                reason=reason,
            )
        )
        self._wait_for_attempt(state)

    def _wait_for_attempt(self, state: StepState) -> None:
        left = min(state.delay, (state.not_before_us - self._clock.wall_us()) / 1e6)  # whatever the clock was set to
        if left <= 0:
            self._scheduler.offer(state.index)
        else:
            self._at(self._clock.monotonic() + left, lambda: self._wait_is_over(state))

    def _wait_is_over(self, state: StepState) -> None:
        if state.phase == "waiting":
            self._scheduler.offer(state.index)

    def _finish_step(self, state: StepState, outcome: Outcome, reason: str = "") -> None:
        self._emit(
            StepFinished(
                at_us=self._clock.wall_us(),
                step=state.step.name,
                outcome=outcome,
                attempts=state.attempts,
                reason=reason,
            )
        )
        self._scheduler.done(state.index)

    def _finish_run(self) -> None:
        self._emit(
            RunFinished(
                at_us=self._clock.wall_us(),
                outcome=_run_outcome(self._state),
                counts={outcome: count for outcome, count in self._state.counts.items() if count},
                duration=self._clock.monotonic() - self._started_at,
            )
        )

    def _take_cancel(self, who: str, why: str, force: bool) -> None:  # noqa: FBT001 (queued as a tuple)
        if self._state.finished is not None:
            return
        self._emit(CancelRequested(at_us=self._clock.wall_us(), who=who, why=why, force=force))
        for state in self._state.steps.values():
            if state.phase in ("pending", "ready", "waiting"):
                self._scheduler.withdraw(state.index)
                self._finish_step(state, "cancelled", why)
        self._state.unblocked.clear()
        reason = "deadline" if who == "deadline" else "cancel"
        for running in self._running.values():
            self._stop(running, reason, force=force)

    def _deadline_passed(self) -> None:
        if self._state.cancel is not None:
            return
        self._take_cancel("deadline", f"the run's deadline of {self._plan.deadline:g} s passed", force=False)

    def _stop(self, running: _Running, reason: StopReason, *, force: bool = False) -> None:
        if running.token not in self._running or running.forced or (running.stopping and not force):
            return
        running.stopping = running.stopping or reason
        running.forced = force
        self._emit(
            AttemptStopping(
                at_us=self._clock.wall_us(),
                step=running.state.step.name,
                token=running.token,
                reason=running.stopping,
                force=force,
            )
        )
        self._stops.append((running, force))
        if not force:
            grace = running.state.step.policy.grace
            self._at(self._clock.monotonic() + grace, lambda: self._stop(running, reason, force=True))

    def _at(self, when: float, action: Callable[[], None]) -> None:
        self._timer_count += 1
        heappush(self._timers, (when, self._timer_count, action))

    def _fire_timers(self) -> None:
        now = self._clock.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heappop(self._timers)[2]()


def _storable(report: Finished) -> Finished:
    """Return the report, or an error if its output is no JSON or an artifact too large, so that others are not lost."""
    try:
        if report.output is not None:
            if is_too_deep(report.output):
                return _no_json(f"lists and mappings are nested deeper than {DEEPEST}")
            msgspec.json.encode(report.output)
    except (TypeError, ValueError, RecursionError) as error:
        return _no_json(str(error))
    for name, data in report.artifacts.items():
        if len(data) > LARGEST_BLOB:
            text = f"the artifact `{name}` has {len(data)} bytes, more than {LARGEST_BLOB}"
            return Finished("errored", report.output, Failure("ArtifactTooLarge", text))
    return report


def _no_json(why: str) -> Finished:
    return Finished("errored", failure=Failure("NoJson", f"the output is no JSON value: {why}"))


def _after_stop(running: _Running, report: Finished | Lost) -> Finished:
    """Return what an attempt came to that had been told to end."""
    if running.stopping == "timeout":
        limit = running.state.step.policy.timeout
        failure = Failure("Timeout", f"did not end within {limit:g} s")
        return Finished("timed_out", failure=failure)
    if isinstance(report, Finished) and report.outcome == "passed":
        return report
    return Finished("cancelled", failure=Failure("Cancelled", f"stopped by {running.stopping}"))


def _run_outcome(state: RunState) -> Outcome:
    if state.cancel is not None and state.counts.get("cancelled"):
        return "timed_out" if state.cancel.who == "deadline" else "cancelled"
    for outcome in ("failed", "errored", "timed_out", "cancelled", "skipped"):
        if state.counts.get(outcome):
            return outcome
    return "passed"
