"""What callers are told while tasks for agents are carried out: from events to the documented calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from podium.api.circuit_breaker import CircuitBreaker
from podium.api.spawn_policies import SpawnTask
from podium.api.spawn_recovery import failure_type
from podium.events import (
    AnyEvent,
    AttemptFinished,
    AttemptRefused,
    AttemptScheduled,
    AttemptStarted,
    FallbackTaken,
    StepFinished,
)

Numbered = Callable[[int, int, str, str], object]
Attempted = Callable[[int, int, str], object]
Told = Callable[[str], object]


class Counts:
    """Tells `(number, total, agent, status)` when a task starts and ends; numbers are from 1.

    Args:
        tasks: The tasks.
        tell: Is told.
    """

    def __init__(self, tasks: Sequence[SpawnTask], tell: Numbered | None) -> None:
        self._tasks = tasks
        self._tell = tell

    def __call__(self, index: int, event: AnyEvent) -> None:
        """Take in what happened to a task."""
        if self._tell is None:
            return
        about = (index + 1, len(self._tasks), self._tasks[index].title)
        if isinstance(event, AttemptStarted) and event.number == 1:
            self._tell(*about, "Starting")
        elif isinstance(event, StepFinished):
            self._tell(*about, "Completed" if event.outcome == "passed" else "Failed")


class Lines:
    """Tells lines for a person: which task waits, starts, is tried again, is done.

    Args:
        tasks: The tasks.
        stagger: Least time from one start to the next; 0 if tasks wait for other things [s].
        tell: Is told.
    """

    def __init__(self, tasks: Sequence[SpawnTask], stagger: float, tell: Told | None) -> None:
        self._tasks = tasks
        self._stagger = stagger
        self._tell = tell
        self._done = 0

    def announce(self) -> None:
        """Tell when tasks may start that wait for the stagger."""
        if self._tell is None or not self._stagger:
            return
        for index in range(1, len(self._tasks)):
            self._tell(f"{self._start(index)} starting in {index * self._stagger:g}s...")

    def __call__(self, index: int, event: AnyEvent) -> None:
        """Take in what happened to a task."""
        self._done += isinstance(event, StepFinished)
        line = self._line(index, event)
        if line and self._tell is not None:
            self._tell(line)

    def _line(self, index: int, event: AnyEvent) -> str:
        task, total = self._tasks[index], len(self._tasks)
        about = f"[Agent {index + 1}/{total}] {task.title}"
        match event:
            case AttemptStarted(number=1):
                return f"{self._start(index)} starting now"
            case AttemptScheduled(reason="retry"):
                return f"{about}: attempt {event.number} in {event.delay:.1f}s"
            case AttemptRefused():
                return f"{about}: {event.reason}"
            case FallbackTaken():
                return f"{about}: falling back to LLM"
            case StepFinished():
                word = "Completed" if event.outcome == "passed" else "Failed"
                return f"{about}: {word} ({self._done}/{total} done)"
            case _:
                return ""

    def _start(self, index: int) -> str:
        return f"  Task {index + 1}/{len(self._tasks)} ({self._tasks[index].title})"


class Attempts:
    """Tells `(attempt, most attempts, status)` of one task, and a breaker how the attempts of its agent ended.

    Args:
        agent: The agent; None: no breaker is told.
        most: How many attempts there may be of the agent, and of the fallback.
        tell: Is told.
        breaker: Is told.
    """

    def __init__(
        self, agent: str | None, most: tuple[int, int], tell: Attempted | None, breaker: CircuitBreaker | None
    ) -> None:
        self._agent = agent
        self._most_of_agent, self._most = most[0], sum(most)
        self._tell = tell
        self._breaker = breaker
        self._fell_back = False

    def blocked(self) -> None:
        """Tell that the agent is left alone."""
        self._fell_back = True
        if self._tell is not None:
            self._tell(1, 1, "Circuit open, fallback to LLM")

    def __call__(self, _index: int, event: AnyEvent) -> None:
        """Take in what happened to the task."""
        if isinstance(event, FallbackTaken):
            self._fell_back = True
        if isinstance(event, AttemptFinished):
            self._inform(event)
        status = self._status(event)
        if status is not None and self._tell is not None:
            self._tell(status[0], self._most, status[1])

    def _status(self, event: AnyEvent) -> tuple[int, str] | None:
        match event:
            case AttemptScheduled(reason="retry") if event.delay > 0:
                return event.number, f"Waiting {event.delay:.1f}s before retry"
            case AttemptStarted() if event.number > 1 and not event.fallback:
                return event.number, "Retrying"
            case FallbackTaken():
                return self._most_of_agent + 1, "Fallback to LLM"
            case _:
                return None

    def _inform(self, event: AttemptFinished) -> None:
        if self._breaker is None or self._agent is None or self._fell_back or event.outcome == "cancelled":
            return
        if event.outcome == "passed":
            self._breaker.record_success(self._agent)
        else:
            self._breaker.record_failure(self._agent, failure_type=failure_type(event.failure))
