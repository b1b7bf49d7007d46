"""A run of a plan on virtual time, and everything that came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

from podium.engine import Dispatcher, RunSummary
from podium.events import AnyEvent, Event, StepFinished
from podium.executors.inline import InlineExecutor
from podium.plan.graph import Plan, Step
from podium.protocols import Circuits, Expressions, Finished, Results
from podium.testing.circuits import MemoryCircuits
from podium.testing.clock import VirtualClock
from podium.testing.executors import Act, ScriptedExecutor
from podium.testing.journal import MemoryJournal

_Kind = TypeVar("_Kind", bound=Event)
_EPOCH_US = 1_700_000_000_000_000


class Conducted:
    """Runs steps of the kinds `scripted`, `value` and `wait`.

    Args:
        steps: The plan's steps.
        script: Step name to the acts of its attempts.
        journal: To go on with.
        circuits: Those of other runs.
        expressions: The language of expressions.
        results: What is known of identical steps.
        at: What is to be done with the dispatcher at which virtual second.
        epoch_us: Time of day at virtual second 0 [us since the Unix epoch].
        plan: Other attributes of the plan; 4 slots by default.

    Attributes:
        clock: Virtual time.
        executor: The executor of `scripted` steps.
        journal: What happened.
        dispatcher: What conducts the run.
        summary: How it ended.
    """

    summary: RunSummary

    def __init__(
        self,
        steps: Iterable[Step],
        script: Mapping[str, Sequence[Act]] | None = None,
        *,
        journal: MemoryJournal | None = None,
        circuits: Circuits | None = None,
        expressions: Expressions | None = None,
        results: Results | None = None,
        at: Iterable[tuple[float, Callable[[Dispatcher], None]]] = (),
        epoch_us: int = _EPOCH_US,
        **plan: Any,
    ) -> None:
        self.clock = VirtualClock(epoch_us)
        self.executor = ScriptedExecutor(self.clock, script)
        self.journal = journal or MemoryJournal()
        self.dispatcher = Dispatcher(
            "run",
            Plan.of("test", steps, **{"slots": 4, **plan}),
            journal=self.journal,
            executors={"scripted": self.executor, "value": InlineExecutor({"value": _value})},
            clock=self.clock,
            circuits=circuits or MemoryCircuits(),
            expressions=expressions,
            results=results,
        )
        for moment, action in at:
            self.clock.call_later(moment, _bound(action, self.dispatcher))

    def run(self) -> Self:
        """Run the plan to its end."""
        self.summary = asyncio.run(self.dispatcher.run())
        return self

    def resume(self) -> Self:
        """Go on with the run of the journal."""
        self.summary = asyncio.run(self.dispatcher.resume(list(self.journal.read("run"))))
        return self

    @property
    def events(self) -> list[AnyEvent]:
        """Everything that happened."""
        return [record.event for record in self.journal.read("run")]

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """Return the events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def outcomes(self) -> dict[str, str]:
        """Step name to its last outcome, in the order in which they got it."""
        return {event.step: event.outcome for event in self.of(StepFinished)}

    @property
    def reasons(self) -> dict[str, str]:
        """Step name to why it ended as it did."""
        return {event.step: event.reason for event in self.of(StepFinished)}

    @property
    def started(self) -> list[tuple[str, float]]:
        """Which steps began attempts of kind `scripted`, in order, and at which virtual second."""
        return [(attempt.step, at) for attempt, at in zip(self.executor.started, self.executor.started_at, strict=True)]

    def cut(self, length: int) -> MemoryJournal:
        """Return a journal with the first events only, as after `kill -9`."""
        journal = MemoryJournal()
        journal.append("run", 1, self.events[:length])
        return journal

    def until(self, kind: type[Event]) -> MemoryJournal:
        """Return a journal that ends with the first event of a kind."""
        return self.cut(1 + next(index for index, event in enumerate(self.events) if isinstance(event, kind)))


def _value(payload: Any) -> Finished:
    return Finished("passed", output=payload["value"])


def _bound(action: Callable[[Dispatcher], None], dispatcher: Dispatcher) -> Callable[[], None]:
    return lambda: action(dispatcher)
