"""Conducts many runs at once: accepted, queued fairly, begun as workers have room, carried over a restart.

A run is in the journal before it is accepted. A conductor that is stopped or killed leaves its runs unfinished in the
store; the next one takes them up where they were.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from podium.api.balancing import LoadBalancer, NoWorkerError
from podium.engine import Dispatcher, LoopClock, Suspended
from podium.engine.announcing import announce
from podium.engine.shared_slots import SharedSlots
from podium.errors import PodiumError, UsageError
from podium.executors.shared import RunExecutor, SharedExecutor
from podium.messages import Cancel, Signal
from podium.model.expressions import Cel
from podium.plan.graph import Plan
from podium.protocols import Executor
from podium.runtime import ownership
from podium.runtime.services import leftovers
from podium.session import Session
from podium.store import RunRow, new_run_id

SERVED = "served"
"""Option of the runs that belong to a conductor."""

_LISTEN_INTERVAL = 0.1
_log = logging.getLogger("podium.server")


class Conductor:
    """Runs plans side by side on one event loop.

    Args:
        session: Its store keeps the runs.
        executors: Makes, for a worker, what carries out each kind of work.
        limit: How many runs are under way at most.
        slots: How many steps are under way at most, over all runs.
        workers: Worker name to how many runs it takes.
    """

    def __init__(
        self,
        session: Session,
        *,
        executors: Callable[[], Mapping[str, Executor]],
        limit: int = 100,
        slots: int = 16,
        workers: Mapping[str, int] | None = None,
    ) -> None:
        self._session = session
        self._store = session.store
        self._make = executors
        self._executors: dict[str, dict[str, SharedExecutor]] = {}
        self._leaving: list[dict[str, SharedExecutor]] = []
        self._limit = limit
        self._slots = SharedSlots(slots)
        self.workers = LoadBalancer({})
        for name, capacity in (workers or {"worker_1": limit}).items():
            self._take_in(name, capacity)
        self._clock = LoopClock()
        self._queues: dict[str, deque[str]] = {}
        self._dispatchers: dict[str, Dispatcher] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._heard = 0
        self._stopping = False

    async def start(self) -> None:
        """Take up the runs that an earlier conductor left, and begin to listen."""
        ownership.reap_orphans()
        leftovers.reap()
        for row in reversed(self._store.unfinished()):
            if row.options.get(SERVED) and not self._session.is_running(row):
                self._enqueue(row.name, row.id)
        self._listener = asyncio.create_task(self._listen())
        self._begin_next()

    async def stop(self, patience: float) -> None:
        """Begin no further step and wait for those under way; what is not over by then is left to be taken up again.

        Args:
            patience: How long to wait [s].
        """
        self._stopping = True
        if self._listener is not None:
            self._listener.cancel()
        for dispatcher in self._dispatchers.values():
            dispatcher.suspend()
        tasks = tuple(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for executors in (*self._executors.values(), *self._leaving):
            await _close(executors)
        self._executors.clear()
        self._leaving.clear()

    def add_worker(self, name: str, capacity: int) -> None:
        """Take in a worker, with processes of its own.

        Raises:
            UsageError: There is one of this name, or the capacity is below 1.
        """
        self._take_in(name, capacity)
        self._begin_next()

    def _take_in(self, name: str, capacity: int) -> None:
        self.workers.add_worker(name, capacity)
        executors = self._make()
        shared = {id(executor): SharedExecutor(executor) for executor in executors.values()}
        self._executors[name] = {kind: shared[id(executor)] for kind, executor in executors.items()}

    async def remove_worker(self, name: str) -> list[str]:
        """Take a worker out; its runs go on elsewhere, after the attempts it has under way, which it ends.

        Returns:
            The runs that move.

        Raises:
            UsageError: There is no such worker, or it is the only one.
        """
        if list(self.workers.get_load_distribution()) == [name]:
            raise UsageError(f"`{name}` is the only worker", hint="add another one first")
        moved = list(self.workers.remove_worker(name, overfill=True))
        executors = self._executors.pop(name)
        self._leaving.append(executors)  # for `stop`, which may come first
        while any(executor.active for executor in executors.values()):  # noqa: ASYNC110 (nobody announces their ends)
            await asyncio.sleep(_LISTEN_INTERVAL)
        if executors in self._leaving:
            self._leaving.remove(executors)
            await _close(executors)
        return moved

    def submit(self, plan: Plan) -> str:
        """Accept a plan and return the id of its run; from here on it is not lost.

        Raises:
            PlanError: A step asks for something nothing here can do (P206).
            StoreError: It cannot be written down.
            UsageError: The conductor is stopping (U416).
        """
        if self._stopping:
            raise UsageError("the server is stopping", code="U416", hint="start the workflow again in a moment")
        run = new_run_id()
        plan = msgspec.structs.replace(plan, options={**plan.options, SERVED: True})
        Dispatcher.check(plan, next(iter(self._executors.values())))
        announce(run, plan, self._store, self._clock)
        self._enqueue(plan.name, run)
        self._begin_next()
        return run

    def tell(self, run: str, content: Cancel | Signal) -> None:
        """Tell a run something.

        Raises:
            UsageError: There is no such run (U411), or it is finished (U415).
        """
        row = self._store.run(run)
        if row.outcome is not None:
            raise UsageError(f"run {row.id} is finished: {row.outcome}", code="U415")
        self._store.send(row.id, content)
        self._deliver(row.id)

    def state_of(self, row: RunRow) -> str:
        """Return a run's outcome, or `running`, `queued` or `interrupted`."""
        if row.outcome is not None:
            return row.outcome
        if row.id in self._tasks:
            return "running"
        if any(row.id in queue for queue in self._queues.values()):
            return "queued"
        return "running" if self._session.is_running(row) else "interrupted"

    @property
    def queued(self) -> int:
        """How many runs wait."""
        return sum(map(len, self._queues.values()))

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return len(self._tasks)

    def _enqueue(self, name: str, run: str) -> None:
        self._queues.setdefault(name, deque()).append(run)

    def _begin_next(self) -> None:
        """Begin queued runs while there is room: one of each name in turn, so that no name holds up the others."""
        while not self._stopping and self._queues and len(self._tasks) < self._limit:
            name = next(iter(self._queues))
            run = self._queues[name][0]
            try:
                self.workers.assign_workflow(run)
            except NoWorkerError:
                return
            queue = self._queues.pop(name)
            queue.popleft()
            if queue:
                self._queues[name] = queue  # behind the others
            self._begin(run)

    def _begin(self, run: str) -> None:
        task = asyncio.create_task(self._conduct(run))
        self._tasks[run] = task
        task.add_done_callback(lambda _task: self._ended(run))

    def _ended(self, run: str) -> None:
        self._tasks.pop(run, None)
        self._dispatchers.pop(run, None)
        self.workers.complete_workflow(run)
        self.workers.rebalance()
        self._begin_next()

    async def _conduct(self, run: str) -> None:
        executor = RunExecutor(lambda kind: self._chosen(run, kind))
        try:
            row = self._store.run(run)
            if row.outcome is not None or self._session.is_running(row):
                return  # somebody else has taken it up meanwhile
            plan = self._session.plan_of(run)
            records = list(self._store.read(run))
            dispatcher = Dispatcher(
                run,
                plan,
                journal=self._store,
                executors=dict.fromkeys(next(iter(self._executors.values())), executor),
                clock=LoopClock(),
                engine=f"{socket.gethostname()}:{ownership.identity()}",
                expressions=Cel(),
                circuits=self._store,
                results=self._store,
                shared_slots=self._slots,
            )
            self._dispatchers[run] = dispatcher
            if self._stopping:
                dispatcher.suspend()
            with contextlib.suppress(Suspended):
                await dispatcher.resume(records, self._store.messages(run))
        except PodiumError as error:
            _log.error("run %s cannot go on: %s", run, error.render())
        except Exception:  # noqa: BLE001 (the other runs go on)
            _log.exception("run %s cannot go on", run)
        finally:
            await executor.close()

    def _chosen(self, run: str, kind: str) -> SharedExecutor:
        try:
            worker = self.workers.assign_workflow(run)
        except NoWorkerError:  # a cancelled run that ends out of turn
            worker = next(iter(self._executors))
        return self._executors[worker][kind]

    async def _listen(self) -> None:
        """Hand what is told to runs from elsewhere to their dispatchers."""
        while True:
            try:
                self._hear()
            except sqlite3.Error:
                _log.warning("the store cannot be read for now; what runs are told waits", exc_info=True)
            await asyncio.sleep(_LISTEN_INTERVAL)

    def _hear(self) -> None:
        for run, message in self._store.told_since(self._heard):
            self._heard = message.id
            self._deliver(run)
            if isinstance(message.content, Cancel):
                self._begin_out_of_turn(run)

    def _begin_out_of_turn(self, run: str) -> None:
        """Let a queued run that is cancelled end at once."""
        for name, queue in tuple(self._queues.items()):
            if run in queue:
                queue.remove(run)
                if not queue:
                    del self._queues[name]
                self._begin(run)

    def _deliver(self, run: str) -> None:
        dispatcher = self._dispatchers.get(run)
        if dispatcher is not None:
            for message in self._store.messages(run, dispatcher.last_delivered):
                dispatcher.deliver(message)


async def _close(executors: Mapping[str, SharedExecutor]) -> None:
    for executor in {id(executor): executor for executor in executors.values()}.values():
        await executor.close()
