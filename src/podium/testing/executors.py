"""An executor that follows a script on virtual time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from podium.events import Failure
from podium.protocols import Attempt, Finished, Lost, Progressed, Ready, Report, ReportTo, Tested
from podium.test_results import TestResult
from podium.testing.clock import VirtualClock


class Act(msgspec.Struct, frozen=True):
    """What one attempt does.

    Attributes:
        after: When it reports [s after its start]; None: never by itself.
        report: What it reports.
        progress_every: How often it says that it is alive [s]; 0: never.
        stops_after: How long it takes to end when asked [s]; None: it ignores being asked.
        killed_after: How long it takes to end when killed [s].
        ready_after: When a service is up [s after its start]; None: never.
    """

    after: float | None = 1.0
    report: Finished | Lost = Finished("passed")
    progress_every: float = 0.0
    stops_after: float | None = 0.1
    killed_after: float = 0.01
    ready_after: float | None = None


def passing(after: float = 1.0) -> Act:
    """Return an act that passes."""
    return Act(after)


def failing(after: float = 1.0, message: str = "as scripted") -> Act:
    """Return an act that fails."""
    return Act(after, report=Finished("failed", failure=Failure("Scripted", message)))


def losing(after: float = 1.0) -> Act:
    """Return an act whose worker is lost."""
    return Act(after, report=Lost("killed by signal 9"))


def hanging(*, ignores_stop: bool = False) -> Act:
    """Return an act that never ends by itself."""
    return Act(None, stops_after=None if ignores_stop else 0.1)


def serving(ready_after: float = 1.0, *, dies_after: float | None = None) -> Act:
    """Return an act of a service: it is up after a while, and lasts until it is stopped, or dies."""
    died = Finished("errored", failure=Failure("ServiceDied", "exited with code 1"))
    return Act(dies_after, ready_after=ready_after, report=died)


class ScriptedExecutor:
    """Plays one act per attempt of a step, the last one again and again; steps without a script pass after 1 s.

    Attributes:
        started: Every attempt handed over, in order.
        started_at: When, in virtual seconds.
        stopped: `(step, force)` for every stop, in order.
        active: Attempts under way, by token.
        peak: The most attempts under way at once.

    Args:
        clock: Virtual time.
        script: Step name to its acts.
    """

    def __init__(self, clock: VirtualClock, script: Mapping[str, Sequence[Act]] | None = None) -> None:
        self._clock = clock
        self._script = dict(script or {})
        self._report: dict[int, ReportTo] = {}
        self._acts: dict[int, Act] = {}
        self.started: list[Attempt] = []
        self.started_at: list[float] = []
        self.stopped: list[tuple[str, bool]] = []
        self.active: dict[int, Attempt] = {}
        self.peak = 0

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Begin the attempt's act."""
        acts = self._script.get(attempt.step, (Act(),))
        act = acts[min(attempt.number, len(acts)) - 1]
        token = attempt.token
        self.started.append(attempt)
        self.started_at.append(self._clock.monotonic())
        self.active[token] = attempt
        self.peak = max(self.peak, len(self.active))
        self._report[token] = report
        self._acts[token] = act
        if act.after is not None:
            self._clock.call_later(act.after, lambda: self._end(token, act.report))
        if act.ready_after is not None:
            self._clock.call_later(act.ready_after, lambda: self._ready(token))
        if act.progress_every:
            self._clock.call_later(act.progress_every, lambda: self._progress(token))

    def stop(self, token: int, *, force: bool) -> None:
        """End the act as it says it ends."""
        attempt, act = self.active[token], self._acts[token]
        self.stopped.append((attempt.step, force))
        delay = act.killed_after if force else act.stops_after
        if delay is not None:
            self._clock.call_later(delay, lambda: self._end(token, Lost("stopped")))

    def tell(self, step: str, results: Sequence[TestResult]) -> None:
        """Report results of tests in the name of a step's attempt."""
        token = next(token for token, attempt in self.active.items() if attempt.step == step)
        self._report[token](token, Tested(tuple(results)))

    async def close(self) -> None:
        """Forget what is under way."""
        self.active.clear()

    def _ready(self, token: int) -> None:
        if token in self.active:
            self._report[token](token, Ready({"name": self.active[token].step}))

    def _progress(self, token: int) -> None:
        if token in self.active:
            self._report[token](token, Progressed(message="alive"))
            self._clock.call_later(self._acts[token].progress_every, lambda: self._progress(token))

    def _end(self, token: int, report: Report) -> None:
        if self.active.pop(token, None) is not None:
            self._report[token](token, report)
