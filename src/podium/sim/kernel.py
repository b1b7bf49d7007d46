"""The discrete-event kernel: integer nanoseconds, and one order for everything that happens.

Events are executed by (time, priority, order of scheduling), so the same program gives the same run everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

from podium.errors import SimulationError

Action = Callable[..., object]

_ACTION, _ARGUMENT = 3, 4
_COMPACT_FROM = 64
_NOTHING: Any = object()
_AFTER_ALL = float("inf")

Event = list[Any]
"""Handle of a scheduled event; give it to `Kernel.cancel`. A list, because lists compare fastest in the heap."""


class Kernel:
    """Holds simulated time and executes events in order.

    Attributes:
        now: Simulated time [ns].
    """

    __slots__ = ("_cancelled", "_heap", "_sequence", "_withdrawn", "now")

    def __init__(self) -> None:
        self.now = 0
        self._heap: list[Event] = []
        self._sequence = 0
        self._cancelled = 0
        self._withdrawn = 0

    @property
    def pending(self) -> int:
        """How many events are scheduled."""
        return len(self._heap) - self._cancelled

    @property
    def executed(self) -> int:
        """How many events were executed."""
        return self._sequence - self._withdrawn - self.pending

    def at(self, time: int, action: Action, argument: Any = _NOTHING, priority: int = 0) -> Event:
        """Schedule `action(argument)` at a time, or `action()` if no argument is given.

        Args:
            time: Simulated time, not before now [ns].
            action: What to call. Its bound object's `id`, if it has one, names the node in errors.
            argument: What to call it with.
            priority: Among events of one time, the lower is executed first.

        Raises:
            SimulationError: The time has passed (S601).
        """
        if time < self.now:
            raise SimulationError(
                f"{describe(action)} was scheduled at {_seconds(time)}, before the present {_seconds(self.now)}",
                code="S601",
                hint="schedule it at the present time or later",
            )
        self._sequence = sequence = self._sequence + 1
        event = [time, priority, sequence, action, argument]
        heappush(self._heap, event)
        return event

    def after(self, delay: int, action: Action, argument: Any = _NOTHING, priority: int = 0) -> Event:
        """Schedule `action(argument)` after a delay, or `action()` if no argument is given.

        Args:
            delay: From now, not negative [ns].
            action: What to call.
            argument: What to call it with.
            priority: As for `at`.

        Raises:
            SimulationError: The delay is negative (S601).
        """
        return self.at(self.now + delay, action, argument, priority)

    def every(self, period: int, action: Action, *, start: int = 0, priority: int = 0) -> Recurrence:
        """Execute `action()` at `start`, `start + period`, … until cancelled.

        Args:
            period: At least 1 [ns].
            action: What to call.
            start: Time of the first execution [ns].
            priority: As for `at`.

        Raises:
            SimulationError: The period is not positive, or the start has passed (S601).
        """
        if period < 1:
            raise SimulationError(
                f"the period of {describe(action)} is {period} ns, but must be at least 1", code="S601"
            )
        return Recurrence(self, period, action, start, priority)

    def cancel(self, event: Event) -> bool:
        """Take a scheduled event back, in constant time; return whether it was still to come."""
        if event[_ACTION] is None:
            return False
        event[_ACTION] = None
        event[_ARGUMENT] = None
        self._cancelled += 1
        self._withdrawn += 1
        if self._cancelled > _COMPACT_FROM and 2 * self._cancelled > len(self._heap):
            self._compact()
        return True

    def run(self, until: int) -> None:
        """Execute every event up to and including a time, and stop the clock there.

        Args:
            until: Simulated time, not before now [ns].

        Raises:
            SimulationError: The time has passed (S601), or an event raised (S602; the cause is chained).
        """
        if until < self.now:
            raise SimulationError(
                f"cannot run until {_seconds(until)}: it is {_seconds(self.now)} already", code="S601"
            )
        heap, pop = self._heap, heappop
        end: Event = [until, _AFTER_ALL, 0, _stop, _NOTHING]  # last of its time, so no event's time need be looked at
        heappush(heap, end)
        self._cancelled += 1  # it is none of ours
        action: Action | None = None
        try:
            while True:
                event = pop(heap)
                action = event[3]
                if action is None:
                    self._cancelled -= 1
                    continue
                self.now = event[0]
                event[3] = None
                argument = event[4]
                if argument is _NOTHING:
                    action()
                else:
                    action(argument)
        except _ReachedError:
            self._cancelled -= 1
        except SimulationError as error:
            if error.diagnostics[0].code in {"S602", "S610"}:
                raise
            raise self._failed(action, error) from error
        except Exception as error:
            raise self._failed(action, error) from error
        finally:
            end[_ACTION] = None

    def _failed(self, action: Action | None, error: Exception) -> SimulationError:
        what = describe(action) if action is not None else "an event"
        text = str(error) or type(error).__name__
        return SimulationError(f"{what} at {_seconds(self.now)}: {type(error).__name__}: {text}", code="S602")

    def _compact(self) -> None:
        before = len(self._heap)
        self._heap[:] = [event for event in self._heap if event[_ACTION] is not None]
        heapify(self._heap)
        self._cancelled -= before - len(self._heap)


class _ReachedError(Exception):
    """The end of a run is reached."""


def _stop() -> None:
    raise _ReachedError


class Recurrence:
    """An action executed periodically; made by `Kernel.every`.

    Args:
        kernel: Where it is scheduled.
        period: Between two executions [ns].
        action: What is called.
        start: Time of the first execution [ns].
        priority: As for `Kernel.at`.

    Attributes:
        action: What is called.
    """

    __slots__ = ("_event", "_kernel", "_period", "_priority", "action")

    def __init__(self, kernel: Kernel, period: int, action: Action, start: int, priority: int) -> None:
        self._kernel = kernel
        self._period = period
        self.action = action
        self._priority = priority
        self._event: Event | None = kernel.at(start, self._execute, priority=priority)

    @property
    def id(self) -> str | None:
        """The node the action belongs to, for errors."""
        return _owner(self.action)

    def cancel(self) -> None:
        """Execute it no more; may be called by the action itself."""
        if self._event is not None:
            self._kernel.cancel(self._event)
            self._event = None

    def _execute(self) -> None:
        self._event = self._kernel.at(self._kernel.now + self._period, self._execute, priority=self._priority)
        self.action()


def describe(action: Action) -> str:
    """Return the node and the event of an action in words, for errors."""
    owner = getattr(action, "__self__", None)
    if isinstance(owner, Recurrence):
        return describe(owner.action)
    name = getattr(action, "__qualname__", None) or repr(action)
    node = _owner(action)
    return f"node `{node}`, event `{name}`" if node else f"event `{name}`"


def _owner(action: Action) -> str | None:
    node = getattr(getattr(action, "__self__", None), "id", None)
    return node if isinstance(node, str) else None


def _seconds(time: int) -> str:
    return f"{time / 1e9:.9g} s"
