"""The composition root: here, and only here, the engine meets its store, executors, clock and signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import Self

import msgspec
import psutil

from podium.engine import Dispatcher, LoopClock
from podium.engine import RunSummary as EngineSummary
from podium.errors import ExitCode, NothingSelectedError, UsageError
from podium.events import Outcome
from podium.executors.inline import InlineExecutor
from podium.executors.invalid import refuse
from podium.executors.workers import WorkerPool
from podium.plan.graph import Plan
from podium.protocols import Executor, Sink
from podium.runtime import ownership
from podium.runtime.guard import Guard
from podium.store import Deleted, Durability, RunRow, Store, new_run_id

_WORKER_TARGETS = {"simulation": "podium.executors.simulation:run_case"}
_INLINE_FUNCTIONS = {"invalid": refuse}


class RunSummary(msgspec.Struct, frozen=True):
    """How a run ended, as the caller is told.

    Attributes:
        run: Run id.
        outcome: Its outcome.
        counts: Outcome to number of steps.
        duration: Of this process's part in it [s].
        exit_code: What the process should exit with.
        interrupted: Whether a person stopped it.
    """

    run: str
    outcome: Outcome
    counts: dict[str, int]
    duration: float
    exit_code: ExitCode
    interrupted: bool = False


class Session:
    """Runs plans against one store. A context manager.

    Args:
        store: Where runs are kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def open(cls, path: Path | None = None, *, durability: Durability = "normal") -> Self:
        """Open the store at `path`, or the one that belongs to the working directory.

        Raises:
            EnvironmentProblemError: It cannot be created.
            StoreError: It is no store, or of a later version.
        """
        return cls(Store.open(path or Store.locate(), durability=durability))

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    def run(self, plan: Plan, *, sinks: Sequence[Sink] = (), parent: str | None = None) -> RunSummary:
        """Run a plan to its end and return how it ended.

        Ctrl-C once: nothing new starts and running attempts are asked to stop; twice: they are killed.

        Raises:
            NothingSelectedError: The plan has no steps.
            PlanError: A step asks for something nothing here can do.
        """
        if not plan.steps:
            raise NothingSelectedError("the plan has no steps, so there is nothing to run")
        plan = self._with_expected_durations(plan)
        return self._conduct(new_run_id(), plan, sinks, lambda dispatcher: dispatcher.run(), parent=parent)

    def resume(self, run: str, *, sinks: Sequence[Sink] = ()) -> RunSummary:
        """Continue a run whose process died or that was cancelled; nothing that passed runs again.

        Sinks see the whole record of the run: first what is there, then what is added.

        Raises:
            UsageError: No such run (U411), it is still running (U412), or it is finished (U413).
        """
        row = self.store.run(run)
        if row.outcome not in (None, "cancelled", "timed_out"):
            raise UsageError(
                f"run {row.id} is finished: {row.outcome}",
                code="U413",
                hint=f"`podium rerun {row.id}` runs what did not pass as a new run",
            )
        if row.outcome is None and _is_alive(row.engine):
            raise UsageError(
                f"run {row.id} is still running, in process {row.engine}", code="U412", hint="stop that process first"
            )
        records = list(self.store.read(row.id))
        for sink in sinks:
            sink.emit(row.id, records)
        return self._conduct(row.id, self.plan_of(row.id), sinks, lambda dispatcher: dispatcher.resume(records))

    def rerun(self, run: str, *, only: Collection[str] = (), sinks: Sequence[Sink] = ()) -> RunSummary:
        """Run what did not pass in an earlier run as a new run, which knows its parent.

        Args:
            run: Which run.
            only: Of what did not pass, only these steps; by default all.
            sinks: What shows the new run.

        Raises:
            NothingSelectedError: Everything passed.
            UsageError: No such run (U411), or no such step (U414).
        """
        row = self.store.run(run)
        plan = self.plan_of(row.id)
        for name in only:
            if name not in {step.name for step in plan.steps}:
                raise UsageError(f"run {row.id} has no step `{name}`", code="U414", hint="`podium show` lists them")
        left = {step.name for step in plan.steps} - self._passed(row.id)
        chosen = left & set(only) if only else left
        if not chosen:
            raise NothingSelectedError(
                f"everything chosen in run {row.id} passed, so there is nothing to run again",
                hint=f"`podium show {row.id}` shows it",
            )
        summary = self.run(_only(plan, chosen), sinks=sinks, parent=row.id)
        if summary.exit_code == ExitCode.PASSED and left - self._passed(summary.run):
            return msgspec.structs.replace(summary, exit_code=ExitCode.OUTSTANDING)
        return summary

    def replay(self, run: str, *, sinks: Sequence[Sink]) -> None:
        """Show the record of a run again; nothing runs.

        Raises:
            UsageError: No such run (U411).
        """
        row = self.store.run(run)
        records = list(self.store.read(row.id))
        for sink in sinks:
            sink.emit(row.id, records)
            sink.close()

    def is_running(self, row: RunRow) -> bool:
        """Return whether an unfinished run has a living process; one on another machine counts as living."""
        return row.outcome is None and _is_alive(row.engine)

    def clean(self, *, older_than_us: int) -> Deleted:
        """Delete runs that began before a moment and are not running.

        Args:
            older_than_us: The moment [us since the Unix epoch].
        """
        return self.store.delete_runs(older_than_us, is_running=self.is_running)

    def plan_of(self, run: str) -> Plan:
        """Return the plan that was stored with a run.

        Raises:
            UsageError: No such run (U411).
        """
        return msgspec.json.decode(self.store.blob(self.store.run(run).definition), type=Plan)

    def _passed(self, run: str) -> set[str]:
        return {step.name for step in self.store.steps(run) if step.outcome == "passed"}

    def _with_expected_durations(self, plan: Plan) -> Plan:
        known = self.store.durations([step.name for step in plan.steps])
        if not known:
            return plan
        replace = msgspec.structs.replace
        return replace(
            plan, steps=tuple(replace(step, expected=known.get(step.name, step.expected)) for step in plan.steps)
        )

    def _conduct(
        self,
        run: str,
        plan: Plan,
        sinks: Sequence[Sink],
        drive: Callable[[Dispatcher], Awaitable[EngineSummary]],
        *,
        parent: str | None = None,
    ) -> RunSummary:
        if any(not _is_alive(row.engine) for row in self.store.unfinished()):
            ownership.reap_orphans()
        interrupts: list[str] = []

        async def conduct() -> EngineSummary:
            executors = _executors(plan)
            dispatcher = Dispatcher(
                run,
                plan,
                journal=self.store,
                executors=executors,
                clock=LoopClock(),
                sinks=sinks,
                engine=f"{socket.gethostname()}:{ownership.identity()}",
                parent=parent,
            )
            try:
                with _signals(dispatcher, interrupts):
                    return await drive(dispatcher)
            finally:
                for executor in {id(executor): executor for executor in executors.values()}.values():
                    await executor.close()

        try:
            with Guard() if _needs_guard(plan) else contextlib.nullcontext():
                summary = asyncio.run(conduct())
        finally:
            for sink in sinks:
                sink.close()
        return RunSummary(
            run=run,
            outcome=summary.outcome,
            counts=summary.counts,
            duration=summary.duration,
            exit_code=_exit_code(summary, interrupted=bool(interrupts)),
            interrupted=bool(interrupts),
        )


def _executors(plan: Plan) -> dict[str, Executor]:
    workers = WorkerPool(_WORKER_TARGETS, memory_bytes=_memory_limit(plan))
    inline = InlineExecutor(_INLINE_FUNCTIONS)
    return {**dict.fromkeys(_WORKER_TARGETS, workers), **dict.fromkeys(_INLINE_FUNCTIONS, inline)}


def _needs_guard(plan: Plan) -> bool:
    return any(step.work.kind in _WORKER_TARGETS for step in plan.steps)


def _memory_limit(plan: Plan) -> int:
    """Return how much memory one worker may use [byte]: as asked for, else its share of three quarters of all."""
    asked = plan.options.get("memory_bytes")
    if asked:
        return int(asked)
    return max(1 << 30, psutil.virtual_memory().total * 3 // 4 // plan.slots)


def _only(plan: Plan, names: set[str]) -> Plan:
    replace = msgspec.structs.replace
    steps = tuple(
        replace(step, needs=tuple(need for need in step.needs if need.step in names))
        for step in plan.steps
        if step.name in names
    )
    return replace(plan, steps=steps)


def _exit_code(summary: EngineSummary, *, interrupted: bool) -> ExitCode:
    if interrupted and summary.outcome == "cancelled":
        return ExitCode.INTERRUPTED
    return ExitCode.PASSED if summary.outcome == "passed" else ExitCode.FAILED


def _is_alive(engine: str) -> bool:
    """Return whether an engine still runs; one on another machine counts as running."""
    host, _, identity = engine.partition(":")
    return host != socket.gethostname() or ownership.is_alive(identity)


@contextlib.contextmanager
def _signals(dispatcher: Dispatcher, interrupts: list[str]) -> Generator[None]:
    """Turn Ctrl-C and SIGTERM into a cancellation of the run; the second one kills."""
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        yield
        return
    loop = asyncio.get_running_loop()

    def interrupt(name: str) -> None:
        interrupts.append(name)
        dispatcher.cancel(who="user", why=f"interrupted by {name}", force=len(interrupts) > 1)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, interrupt, number.name)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
