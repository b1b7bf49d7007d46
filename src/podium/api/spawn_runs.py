"""Runs a plan of tasks for agents in a thread, and tells the caller's event loop what happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from podium.api.spawn_plans import How, checked_tool, plan_spawn
from podium.api.spawn_policies import SpawnResult, SpawnTask
from podium.api.spawn_results import Story, failed, metadata_of, result_of, stories_of
from podium.events import AnyEvent
from podium.plan.graph import Plan
from podium.protocols import Record
from podium.runtime.interrupts import Interrupts
from podium.session import Session

Heard = Callable[[int, AnyEvent], None]
"""Called in the caller's event loop with the number of a task, from 0, and what happened to it."""

_log = logging.getLogger("podium.api.spawning")


@dataclass
class Ran:
    """What tasks carried out together came to.

    Attributes:
        tasks: The tasks.
        results: One for each, in their order.
        stories: What happened to each; None: it was not begun.
        duration: Of all of it [s].
    """

    tasks: Sequence[SpawnTask]
    results: list[SpawnResult]
    stories: list[Story | None]
    duration: float

    def metadata(self) -> dict[str, Any]:
        """Return what is told of all of them together."""
        return metadata_of(self.tasks, self.stories, self.results, self.duration)


@dataclass
class _Teller:
    """A sink that hands what happens to a function of the caller, in the caller's loop; what that raises is logged."""

    heard: Heard
    numbers: Mapping[str, int]
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def emit(self, run: str, records: Sequence[Record]) -> None:  # noqa: ARG002 (as sinks are called)
        """Hand on what happened to tasks."""
        for record in records:
            number = self.numbers.get(getattr(record.event, "step", ""))
            if number is not None:
                with contextlib.suppress(RuntimeError):  # the caller's loop is closed
                    self.loop.call_soon_threadsafe(self._tell, number, record.event)

    def close(self) -> None:
        """Do nothing: what was handed on arrives before the run returns."""

    def _tell(self, number: int, event: AnyEvent) -> None:
        safely(self.heard, number, event)


def safely(function: Callable[..., object], *args: object) -> None:
    """Call a function of the caller; what it raises is logged and changes nothing."""
    try:
        function(*args)
    except Exception:  # noqa: BLE001 (whatever it raises, the run goes on)
        _log.warning("%r raised", function, exc_info=True)


async def run_tasks(  # noqa: PLR0917 (as documented at the front doors)
    tasks: Sequence[SpawnTask],
    how: How,
    heard: Heard,
    store: Path | None,
    needs: Mapping[int, Sequence[int]] | None = None,
    ids: Sequence[str] = (),
) -> Ran:
    """Carry out tasks and return what they came to.

    A task that cannot be carried out has a failed result. If this is cancelled, the run is ended first: it returns to
    its caller when everything it had started is dead. Cancelled again, it does not ask but kill.

    Args:
        tasks: At least one.
        how: How.
        heard: Told what happens.
        store: File of the store; None: the one of the working directory.
        needs: Number of a task to those that come first; all tasks then have to be right.
        ids: What each task is called where others are told of it.

    Raises:
        ValueError: Tasks need each other in a circle, or one of those that do is wrong.
    """
    began = time.monotonic()
    results = {} if needs else _wrong(tasks, how)
    there = [index for index in range(len(tasks)) if index not in results]
    stories: dict[int, Story] = {}
    if there:
        chosen = [tasks[index] for index in there]
        how = replace(how, blocked=frozenset(n for n, index in enumerate(there) if index in how.blocked))
        plan = plan_spawn(chosen, how, needs, ids)
        numbers = {step.name: there[n] for n, step in enumerate(plan.steps)}
        try:
            checked_tool(how.tool)
            found = await _in_thread(plan, store, _Teller(heard, numbers))
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what the tasks came to)
            results |= {index: failed(str(error) or type(error).__name__, tasks[index]) for index in there}
        else:
            stories = dict(zip(there, found, strict=True))
            for n, (index, story) in enumerate(stories.items()):
                results[index] = result_of(tasks[index], story, blocked=n in how.blocked)
    order = range(len(tasks))
    return Ran(tasks, [results[n] for n in order], [stories.get(n) for n in order], time.monotonic() - began)


def _wrong(tasks: Sequence[SpawnTask], how: How) -> dict[int, SpawnResult]:
    """Return the results of the tasks that cannot be carried out as they are."""
    wrong: dict[int, SpawnResult] = {}
    for index, task in enumerate(tasks):
        try:
            how.policy_of(task).limits(task, how.max_retries)
            msgspec.json.encode(task)
        except (TypeError, ValueError) as error:
            wrong[index] = failed(str(error), task)
    return wrong


async def _in_thread(plan: Plan, store: Path | None, teller: _Teller) -> list[Story]:
    """Run in a thread, as the session has a loop of its own; a cancellation ends the run before it goes on."""
    interrupts = Interrupts()
    running = asyncio.ensure_future(asyncio.to_thread(_execute, plan, store, teller, interrupts))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
            interrupts.request("a cancellation")
    if cancelled is not None:
        running.exception()
        raise cancelled
    return running.result()


def _execute(plan: Plan, store: Path | None, teller: _Teller, interrupts: Interrupts) -> list[Story]:
    with Session.open(store) as session:
        summary = session.run(plan, sinks=[teller], interrupts=interrupts)
        events = (record.event for record in session.store.read(summary.run))
        return stories_of(plan, events, circuits=session.store.circuits(), blob=session.store.blob)
