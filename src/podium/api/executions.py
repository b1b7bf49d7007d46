"""Executions of workflows: runs in threads of their own, so many at once, and what they have come to."""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakSet

from podium.engine import Suspended
from podium.errors import PodiumError
from podium.events import CancelRequested, CompensationStarted, RunFinished, RunStarted
from podium.plan.graph import Plan
from podium.plan.step_dictionaries import DECLARED, FAILING
from podium.protocols import Record
from podium.runtime.interrupts import Interrupts
from podium.session import Session
from podium.store import RunRow, StepRow

_log = logging.getLogger("podium.api")
_FAILED = ("failed", "errored", "timed_out")
_UNDONE = ("compensated", "compensation_failed")


class Execution:
    """One execution of a workflow. Also the sink of its run.

    Attributes:
        id: Its id in this process.
        plan: The plan, with the inputs.
        run: Id of its run, empty before that exists.
        created_at: When it was asked for.
        cancelled_at: When it was cancelled.
        is_queued: Whether it waits for others to end.
        is_over: Whether nothing of it goes on.
        ended_at: When it was over, None before.
        problem: Why there is no run, or why it broke off.
    """

    def __init__(self, name: str, plan: Plan, store: Path, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.id = name
        self.plan = plan
        self.run = ""
        self.created_at = datetime.now(UTC)
        self.cancelled_at: datetime | None = None
        self.is_queued = True
        self.is_over = False
        self.ended_at: datetime | None = None
        self.problem: Exception | None = None
        self._store = store
        self._functions = functions
        self._interrupts = Interrupts()
        self._end: Future[None] = Future()
        self._end.set_running_or_notify_cancel()  # so that nobody who waits for it can cancel it

    def carry_out(self) -> None:
        """Run the plan to its end, or until it is left."""
        try:
            with Session.open(self._store) as session:
                session.run(self.plan, sinks=[self], interrupts=self._interrupts, functions=self._functions)
        except Suspended:
            _log.warning("run %s is left as the program ends; `podium resume` goes on with it", self.run)
        except Exception as error:  # noqa: BLE001 (the status says so)
            self.problem = error

    def cancel(self) -> None:
        """Ask the run to end."""
        self.cancelled_at = datetime.now(UTC)
        self._interrupts.request("a cancellation")

    def leave(self) -> None:
        """Ask for nothing more to be begun: the run is left when what is under way is over."""
        self._interrupts.leave()

    def end(self) -> None:
        """Tell those who wait that it is over."""
        self.is_over = True
        self.ended_at = datetime.now(UTC)
        self._end.set_result(None)

    async def wait(self, seconds: float | None) -> None:
        """Return when it is over or after some time, whichever is first [s]."""
        over = asyncio.wrap_future(self._end)
        try:
            await asyncio.wait([over], timeout=seconds)
        finally:
            over.cancel()

    def join(self) -> None:
        """Wait until it is over, without an event loop."""
        self._end.result()

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Note the id of the run, and its end."""
        for record in records:
            if isinstance(record.event, RunStarted):
                self.run = run
            elif isinstance(record.event, RunFinished):
                self.is_over = True

    def close(self) -> None:
        """Nothing is held."""

    def status(self) -> dict[str, Any]:
        """Return what it has come to; reads the store."""
        status = self._of_run() if self.run else _blank(self.plan, self.created_at)
        status |= {"id": self.id, "queued": self.is_queued}
        if self.cancelled_at is not None:
            status |= {"status": "cancelled", "cancelled_at": self.cancelled_at, "completed_at": None, "error": None}
        elif self.problem is not None:
            error = str(self.problem) or type(self.problem).__name__
            status |= {"status": "failed", "completed_at": self.ended_at, "error": error}
        return status

    def _of_run(self) -> dict[str, Any]:
        with Session.open(self._store) as session:
            return status_of(session, session.store.run(self.run))


class Lane:
    """Lets so many executions run at once; the others follow in order.

    Args:
        width: How many.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._lock = threading.Lock()
        self._waiting: deque[Execution] = deque()
        self._running: set[Execution] = set()
        self._left = False
        _lanes.add(self)

    def add(self, execution: Execution) -> None:
        """Start an execution now or when its turn has come."""
        with self._lock:
            self._waiting.append(execution)
            self._start_next()

    def cancel(self, execution: Execution) -> bool:
        """Return whether an execution could be cancelled: it was not over, and not cancelled already."""
        with self._lock:
            if execution.is_over or execution.cancelled_at is not None:
                return False
            execution.cancel()
            if execution.is_queued:
                self._waiting.remove(execution)
                execution.is_queued = False
                execution.end()
            return True

    def leave(self) -> None:
        """Leave all executions: wait for the attempts under way, begin nothing more."""
        with self._lock:
            self._left = True
            running, waiting = [*self._running], [*self._waiting]
            self._waiting.clear()
        for execution in waiting:
            _log.warning("execution %s was not begun as the program ends", execution.id)
            execution.end()
        for execution in running:
            execution.leave()
        for execution in running:
            execution.join()

    def _start_next(self) -> None:
        while self._waiting and len(self._running) < self._width and not self._left:
            execution = self._waiting.popleft()
            execution.is_queued = False
            self._running.add(execution)
            threading.Thread(target=self._carry_out, args=[execution], name=f"podium-{execution.id}").start()

    def _carry_out(self, execution: Execution) -> None:
        try:
            execution.carry_out()
        finally:
            with self._lock:
                self._running.discard(execution)
                execution.end()
                self._start_next()


_lanes: WeakSet[Lane] = WeakSet()


def _leave_all() -> None:
    """Leave executions that nobody waited for: an interpreter that ends starts no threads and processes any more."""
    for lane in tuple(_lanes):
        lane.leave()


def _leave_at_exit() -> None:
    """Register `_leave_all` as the thread pools of the standard library register themselves; `atexit` is too late.

    Whatever is registered last is called first, so this has to come after them.
    """
    importlib.import_module("concurrent.futures.thread")
    register: Callable[[Callable[[], None]], None] | None = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(_leave_all)


_leave_at_exit()


def status_of(session: Session, row: RunRow) -> dict[str, Any]:
    """Return what a run of a workflow has come to.

    Args:
        session: Where it is kept.
        row: The run.
    """
    plan = session.plan_of(row.id)
    status = _blank(plan, _moment(row.started_us)) | {"id": row.id, "run": row.id}
    names = {step.name for step in plan.steps}
    done = {step.name: step for step in session.store.steps(row.id) if step.name in names}
    passed = [name for step in plan.steps if (name := step.name) in done and done[name].outcome == "passed"]
    status["output_data"] = {name: done[name].output for name in passed}
    status["steps_completed"] = len(passed)
    status["skipped"] = [name for name in done if done[name].outcome == "skipped"]
    if row.outcome is not None:
        status |= _ended(session, row, plan, list(done.values()))
    elif not session.is_running(row):
        error = f"the process that ran it has ended; `podium resume {row.id}` goes on with it"
        status |= {"status": "failed", "error": error}
    return status


def _blank(plan: Plan, started_at: datetime) -> dict[str, Any]:
    return {
        "id": "",
        "run": None,
        "workflow_id": plan.name,
        "status": "running",
        "queued": False,
        "started_at": started_at,
        "completed_at": None,
        "cancelled_at": None,
        "steps_completed": 0,
        "total_steps": len(plan.steps),
        "input_data": plan.inputs,
        "output_data": {},
        "error": None,
        "compensation": None,
        "skipped": [],
        "declared_only": [step.name for step in plan.steps if DECLARED in step.labels],
    }


def _ended(session: Session, row: RunRow, plan: Plan, steps: Sequence[StepRow]) -> dict[str, Any]:
    outcome = row.outcome
    deadline = False
    for record in session.store.read(row.id) if outcome != "passed" else ():
        if isinstance(record.event, CompensationStarted) and row.outcome in _UNDONE:
            outcome = record.event.reason
        deadline |= isinstance(record.event, CancelRequested) and record.event.who == "deadline"
    at = _moment(row.finished_us or row.started_us)
    compensation = row.outcome if row.outcome in _UNDONE else None
    if outcome == "passed":
        return {"status": "completed", "completed_at": at}
    if outcome == "cancelled":
        return {"status": "cancelled", "cancelled_at": at, "compensation": compensation}
    failed = next((step for step in steps if step.outcome in _FAILED), None)
    error = f"Workflow {row.name} did not pass: {outcome}"
    if failed is not None:
        error = _why(failed, is_declared=failed.name in _declared_to_fail(plan))
    elif deadline:
        error = f"Workflow {row.name} timed out after {plan.deadline:g} s"
    return {"status": "failed", "completed_at": at, "error": error, "compensation": compensation}


def _declared_to_fail(plan: Plan) -> set[str]:
    return {step.name for step in plan.steps if step.work == FAILING}


def _why(step: StepRow, *, is_declared: bool) -> str:
    text = f"Step {step.name} failed"
    if is_declared:
        return text
    why = step.reason if step.failure is None else f"{step.failure.type}: {step.failure.message}"
    return f"{text}: {why}" if why else text


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


def find_run(session: Session, name: str) -> RunRow | None:
    """Return the workflow run of an id, None if there is none."""
    try:
        row = session.store.run(name)
    except PodiumError:
        return None
    return row if row.work == "workflow" else None
