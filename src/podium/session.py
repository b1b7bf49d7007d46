"""The composition root: here, and only here, the engine meets its store, executors, clock and signals."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil

from podium.engine import Dispatcher, LoopClock
from podium.engine import RunSummary as EngineSummary
from podium.errors import EnvironmentProblemError, ExitCode, NothingSelectedError, PodiumError, StoreError, UsageError
from podium.events import RunFinished, RunOutcome
from podium.executors.pytest_ahead import Ahead
from podium.executors.registry import executors_for, kinds_of, starts_processes
from podium.model.expressions import Cel
from podium.plan.graph import Plan
from podium.plan.subset import remainder, remaining_tests, subset
from podium.protocols import Record, Sink
from podium.runtime import ownership
from podium.runtime.guard import Guard
from podium.runtime.interrupts import Interrupts
from podium.runtime.services import leftovers
from podium.store import Deleted, Durability, RunRow, Store, new_run_id, task_of
from podium.store.surrounding import placed, surrounding_in
from podium.test_results import BAD

_KILLS = 3
"""At which interrupt nothing is undone any more."""
_LISTEN_INTERVAL = 0.2
"""How often a run looks for what it is told [s]."""
_UNDONE = ("compensated", "compensation_failed")
_DESCRIPTORS = 64
_DESCRIPTORS_PER_WORKER = 4

_log = logging.getLogger("podium.session")


class RunSummary(msgspec.Struct, frozen=True):
    """How a run ended, as the caller is told.

    Attributes:
        run: Run id.
        outcome: Its outcome.
        counts: Outcome to number of steps.
        duration: Of this process's part in it [s].
        exit_code: What the process should exit with.
        interrupted: Whether a person stopped it.
        output: What the plan's outputs came to.
    """

    run: str
    outcome: RunOutcome
    counts: dict[str, int]
    duration: float
    exit_code: ExitCode
    interrupted: bool = False
    output: Any = None


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

    def run(
        self,
        plan: Plan,
        *,
        sinks: Sequence[Sink] = (),
        parent: str | None = None,
        interrupts: Interrupts | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        ahead: Ahead | None = None,
    ) -> RunSummary:
        """Run a plan to its end and return how it ended.

        Ctrl-C once: nothing new starts, running attempts are asked to stop, and what was done is undone; twice: running
        attempts are killed; three times: what is being undone, too.

        Args:
            plan: What to run.
            sinks: Who is shown what happens; closed at the end.
            parent: The run this one reruns.
            interrupts: Through which other threads may interrupt the run.
            functions: Functions of this process that steps of kind `local` call, by name.
            ahead: An interpreter that was started for the first suite of pytest.

        Raises:
            NothingSelectedError: The plan has no steps.
            PlanError: A step asks for something nothing here can do.
            Suspended: The run was left through `interrupts`, to be resumed.
        """
        if not plan.steps:
            raise NothingSelectedError("the plan has no steps, so there is nothing to run")
        surrounding = surrounding_in(os.environ)
        known = surrounding if surrounding is not None and self.store.has(surrounding.run) else None
        plan = self.with_expected_durations(msgspec.structs.replace(plan, options=placed(plan.options, known)))
        return self._conduct(
            new_run_id(),
            plan,
            sinks,
            lambda dispatcher: dispatcher.run(),
            parent=parent,
            interrupts=interrupts,
            functions=functions,
            ahead=ahead,
        )

    def resume(
        self,
        run: str | None = None,
        *,
        sinks: Sequence[Sink] = (),
        take_over: bool = False,
        reopen: bool = True,
        interrupts: Interrupts | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> RunSummary:
        """Continue a run whose process died or that was cancelled; no step that passed runs again.

        Sinks see the whole record of the run: first what is there, then what is added. Of a run that somebody else
        continues at the same moment they see nothing.

        Args:
            run: Which run; by default the newest that can be resumed.
            sinks: Who is shown what happens; closed at the end.
            take_over: Continue even if the run seems to be running in another process, such as one on a machine that
                is gone; should that process live after all, one of the two ends with E511.
            reopen: Whether a run that was cancelled goes on; if not, it counts as finished.
            interrupts: Through which other threads may interrupt the run.
            functions: Functions of this process that steps of kind `local` call, by name.

        Raises:
            NothingSelectedError: No run is named, and none can be resumed.
            UsageError: No such run (U411), it is still running (U412), or it is finished (U413).
        """
        found = self._newest_resumable(take_over=take_over) if run is None else self.store.run(run)
        records = list(self.store.read(found.id))  # whatever somebody else does to the run after this leads to E511
        row = self.store.run(found.id)  # not older than the records: it says whether somebody else has gone on by then
        is_over = not reopen and isinstance(records[-1].event, RunFinished)
        self._check_resumable(row, is_over=is_over, take_over=take_over)
        shown = _Continued(sinks, records)
        try:
            return self._conduct(
                row.id,
                self.plan_of(row.id),
                [shown],
                lambda dispatcher: dispatcher.resume(records, self.store.messages(row.id)),
                interrupts=interrupts,
                functions=functions,
            )
        except StoreError as error:
            if error.diagnostics[0].code == "E511" and not shown.has_begun:  # somebody else was faster
                self._check_resumable(self.store.run(row.id), is_over=False, take_over=take_over)
            raise

    def _check_resumable(self, row: RunRow, *, is_over: bool, take_over: bool) -> None:
        """Refuse to continue a run that is finished, or that another process conducts.

        Args:
            row: The run.
            is_over: Whether it is finished, whatever its row says.
            take_over: Continue even if it seems to be running in another process.

        Raises:
            UsageError: It is still running (U412), or finished (U413).
        """
        if is_over or not self._is_resumable(row):
            all_passed = len(self._passed(row.id)) == row.steps
            verb, what = ("show", "shows it") if all_passed else ("rerun", "runs what did not pass as a new run")
            raise UsageError(
                f"run {row.id} is finished: {row.outcome}", code="U413", hint=f"`podium {verb} {row.id}` {what}"
            )
        if row.outcome is None and _is_alive(row.engine) and not take_over:
            raise UsageError(
                f"run {row.id} is still running, in process {row.engine}",
                code="U412",
                hint="stop that process first; if its machine is gone, use --take-over",
            )

    def rerun(self, run: str, *, only: Collection[str] = (), sinks: Sequence[Sink] = ()) -> RunSummary:
        """Run what did not pass in an earlier run as a new run, which knows its parent.

        Args:
            run: Which run.
            only: Of what did not pass, only these steps; by default all.
            sinks: What shows the new run.

        Raises:
            NothingSelectedError: Everything passed.
            UsageError: No such run (U411), it is still running (U412), or no such step (U414).
        """
        row = self.store.run(run)
        if self.is_running(row):
            raise UsageError(f"run {row.id} is still running", code="U412", hint="wait for its end, or cancel it")
        plan = self.plan_of(row.id)
        for name in only:
            if name not in {step.name for step in plan.steps}:
                raise UsageError(f"run {row.id} has no step `{name}`", code="U414", hint="`podium show` lists them")
        undone = row.outcome in _UNDONE
        left = {step.name for step in plan.steps} - (set() if undone else self._passed(row.id))
        chosen = left & set(only) if only else left
        if not chosen:
            raise NothingSelectedError(
                f"everything chosen in run {row.id} passed, so there is nothing to run again",
                hint=f"`podium show {row.id}` shows it",
            )
        summary = self.run(self._again(plan, row, chosen), sinks=sinks, parent=row.id)
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
        _close(_show(sinks, row.id, records))

    def is_running(self, row: RunRow) -> bool:
        """Return whether an unfinished run has a living process; one on another machine counts as living."""
        return row.outcome is None and _is_alive(row.engine)

    def clean(self, *, older_than_us: int) -> Deleted:
        """Delete runs that began before a moment and are not running; what waits to be begun or taken up stays, too.

        Args:
            older_than_us: The moment [us since the Unix epoch].
        """
        return self.store.delete_runs(
            older_than_us, is_running=lambda row: not row.engine or task_of(row) is not None or self.is_running(row)
        )

    def plan_of(self, run: str) -> Plan:
        """Return the plan that was stored with a run.

        Raises:
            UsageError: No such run (U411).
        """
        return msgspec.json.decode(self.store.blob(self.store.run(run).definition), type=Plan)

    def _newest_resumable(self, *, take_over: bool) -> RunRow:
        found = self.store.runs(inner=False)
        rows = [row for row in found if self._is_resumable(row) and (row.engine or row.outcome)]
        for row in rows:
            if take_over or not self.is_running(row):
                return row
        raise NothingSelectedError(
            "there is no run to resume",
            hint=f"run {rows[0].id} is still running" if rows else "`podium list` shows the runs there are",
        )

    def _again(self, plan: Plan, row: RunRow, chosen: set[str]) -> Plan:
        if plan.work not in ("workflow", "layers"):
            return subset(plan, chosen)
        if row.outcome in _UNDONE:
            return plan
        steps = self.store.steps(row.id)
        passed = {step.name: step.output for step in steps if step.outcome == "passed"}
        if plan.work == "workflow":
            return remainder(plan, chosen, passed)
        complete = {step.name for step in steps if step.outcome == "failed" and not _left_out(step.output)}
        tests: dict[str, list[str]] = {}
        for test in self.store.not_passed(row.id):
            if test.step in complete and test.result.outcome in BAD:
                tests.setdefault(test.step, []).append(test.result.id)
        return remaining_tests(plan, chosen, passed, tests)

    def _is_resumable(self, row: RunRow) -> bool:
        """Return whether a run has something left to be done: it did not end, or was cancelled before it was through.

        A run that was cancelled and torn down can only be done anew.
        """
        if row.outcome is None:
            return True
        if row.outcome not in ("cancelled", "timed_out") or "cancelled" not in row.counts:
            return False
        return all(step.role != "teardown" for step in self.plan_of(row.id).steps)

    def _passed(self, run: str) -> set[str]:
        return {step.name for step in self.store.steps(run) if step.outcome == "passed"}

    def with_expected_durations(self, plan: Plan) -> Plan:
        """Return a plan with what earlier runs say about how long its steps take."""
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
        interrupts: Interrupts | None = None,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        ahead: Ahead | None = None,
    ) -> RunSummary:
        has_orphans = any(row.engine and not _is_alive(row.engine) for row in self.store.unfinished())
        if has_orphans:
            ownership.reap_orphans()
        if has_orphans or "service" in kinds_of(plan):
            leftovers.reap()
        _provide_descriptors(plan)
        interrupts = interrupts or Interrupts()
        label = ownership.label(run) if ahead is None else ahead.owner

        async def conduct() -> EngineSummary:
            executors = executors_for(
                kinds_of(plan),
                owner=label,
                memory_bytes=_memory_limit(plan),
                import_from=_import_from(plan),
                cwd=_existing_folder(plan.options.get("cwd")),
                functions=functions,
                history=self.store,
                ahead=ahead,
            )
            dispatcher = Dispatcher(
                run,
                plan,
                journal=self.store,
                executors=executors,
                clock=LoopClock(),
                sinks=sinks,
                engine=f"{socket.gethostname()}:{ownership.identity()}",
                parent=parent,
                expressions=Cel(),
                circuits=self.store,
                results=self.store,
            )
            interrupts.bind(
                lambda why, count: dispatcher.cancel(who="user", why=why, force=count > 1, compensate=count < _KILLS),
                dispatcher.suspend,
            )
            listener = asyncio.create_task(self._listen(run, dispatcher))
            try:
                return await drive(dispatcher)
            finally:
                interrupts.unbind()
                listener.cancel()
                for executor in {id(executor): executor for executor in executors.values()}.values():
                    await executor.close()

        with interrupts:
            try:
                with Guard(label) if starts_processes(plan) else contextlib.nullcontext():
                    summary = asyncio.run(conduct())
            finally:
                _close(sinks)
        return RunSummary(
            run=run,
            outcome=summary.outcome,
            counts=summary.counts,
            duration=summary.duration,
            exit_code=_exit_code(summary, interrupted=bool(interrupts.names)),
            interrupted=bool(interrupts.names),
            output=summary.output,
        )

    async def _listen(self, run: str, dispatcher: Dispatcher) -> None:
        """Hand what the run is told to its dispatcher."""
        while True:
            try:
                for message in self.store.messages(run, dispatcher.last_delivered):
                    dispatcher.deliver(message)
            except sqlite3.Error:
                _log.warning("the store cannot be read for now; what the run is told waits", exc_info=True)
            await asyncio.sleep(_LISTEN_INTERVAL)


def _left_out(output: Any) -> bool:
    """Return whether a suite may not have run all its tests."""
    try:
        return bool(output["counts"].get("left_out", 0))
    except (TypeError, KeyError, AttributeError):
        return True


def _import_from(plan: Plan) -> tuple[str, ...]:
    """Return where functions of a plan may be imported from: the folder of its document, the working directory."""
    folder = plan.options.get("folder")
    return tuple(dict.fromkeys(([str(folder)] if folder else []) + [str(Path.cwd())]))


def _existing_folder(path: Any) -> str | None:
    return path if isinstance(path, str) and Path(path).is_dir() else None


def _memory_limit(plan: Plan) -> int:
    """Return how much memory one worker may use [byte]: as asked for, else its share of three quarters of all."""
    asked = plan.options.get("memory_bytes")
    if asked:
        return int(asked)
    return max(1 << 30, psutil.virtual_memory().total * 3 // 4 // plan.slots)


def _exit_code(summary: EngineSummary, *, interrupted: bool) -> ExitCode:
    if interrupted and summary.outcome in ("cancelled", *_UNDONE):
        return ExitCode.INTERRUPTED
    return ExitCode.PASSED if summary.outcome == "passed" else ExitCode.FAILED


def _is_alive(engine: str) -> bool:
    """Return whether an engine still runs; one on another machine counts as running."""
    if not engine:  # nobody has begun it
        return False
    host, _, identity = engine.partition(":")
    return host != socket.gethostname() or ownership.is_alive(identity)


def _close(sinks: Sequence[Sink]) -> None:
    """Close every sink; then raise what the first that failed has to tell a person.

    Raises:
        PodiumError: A file could not be written, for example.
    """
    told: PodiumError | None = None
    for sink in sinks:
        try:
            sink.close()
        except PodiumError as error:
            told = told or error
        except Exception:  # noqa: BLE001 (the run is over and its summary counts)
            _log.warning("%s raised while it was closed", type(sink).__name__, exc_info=True)
    if told is not None:
        raise told


def _show(sinks: Sequence[Sink], run: str, records: Sequence[Record]) -> list[Sink]:
    """Show records that are there already, and return the sinks that did not raise."""
    shown: list[Sink] = []
    for sink in sinks:
        try:
            sink.emit(run, records)
            shown.append(sink)
        except Exception:  # noqa: BLE001 (whatever a sink raises, the run goes on)
            _log.warning("%s raised and is left out from here on", type(sink).__name__, exc_info=True)
    return shown


class _Continued:
    """Shows a run that goes on: what is there already only when this process has begun to add to it.

    Args:
        sinks: Who is shown it. One that raises is left out; none is closed unless it was shown something.
        records: What is there already; not empty.
    """

    def __init__(self, sinks: Sequence[Sink], records: Sequence[Record]) -> None:
        self._sinks = sinks
        self._shown = sinks
        self._earlier = records

    @property
    def has_begun(self) -> bool:
        """Whether this process has added to the run."""
        return not self._earlier

    def emit(self, run: str, records: Sequence[Record]) -> None:
        """Show what is added, and before that once what was there."""
        if self._earlier:
            self._sinks = self._shown = _show(self._sinks, run, self._earlier)
            self._earlier = ()
        self._shown = _show(self._shown, run, records)

    def close(self) -> None:
        """Close the sinks, if the run has gone on.

        Raises:
            PodiumError: What the first that failed has to tell a person.
        """
        if self.has_begun:
            _close(self._sinks)


def _provide_descriptors(plan: Plan) -> None:
    """Raise the limit of open files if so many workers need it.

    Raises:
        EnvironmentProblemError: The limit cannot be raised that far (E503).
    """
    if not starts_processes(plan) or os.name != "posix":
        return
    import resource  # noqa: PLC0415  (absent on Windows)

    needed = _DESCRIPTORS + _DESCRIPTORS_PER_WORKER * min(plan.slots, len(plan.steps))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise EnvironmentProblemError(
            f"{plan.slots} workers need {needed} open files, and this process may have {hard}",
            code="E503",
            hint="use a smaller --parallel, or raise the limit (ulimit -n)",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
