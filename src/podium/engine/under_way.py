"""The attempts under way, and how they are brought to an end."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from podium.engine.attempts import Running, StopReason
from podium.engine.recorder import Recorder
from podium.engine.state import StepState
from podium.engine.timers import Timers
from podium.events import AttemptStarted, AttemptStopping
from podium.protocols import Clock, Executor

_log = logging.getLogger("podium.engine")


class UnderWay:
    """Knows the attempts under way, watches their limits and tells them to end.

    Args:
        recorder: Where it is written down.
        timers: For limits and graces.
        clock: Where time comes from.
    """

    def __init__(self, recorder: Recorder, timers: Timers, clock: Clock) -> None:
        self._recorder = recorder
        self._timers = timers
        self._clock = clock
        self._by_token: dict[int, Running] = {}
        self._stops: list[tuple[Running, bool]] = []

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._by_token)

    def __iter__(self) -> Iterator[Running]:
        """Yield those there are now."""
        return iter(tuple(self._by_token.values()))

    def get(self, token: int) -> Running | None:
        """Return the attempt with a fencing token, if it is under way."""
        return self._by_token.get(token)

    def of(self, state: StepState) -> Running | None:
        """Return the attempt of a step, if one is under way."""
        return self._by_token.get(state.token)

    def begin(self, state: StepState, executor: Executor) -> Running:
        """Write down that an attempt begins, and watch its limits."""
        token = self._recorder.position
        self._recorder.emit(
            AttemptStarted(
                at_us=self._clock.wall_us(),
                step=state.step.name,
                number=state.attempts + 1,
                token=token,
                fallback=state.fallback_name,
            )
        )
        running = self._by_token[token] = Running(state, token, executor, self._clock.monotonic())
        if running.is_limited:
            self._watch(running)
        return running

    def end(self, running: Running) -> None:
        """Forget an attempt that is over."""
        del self._by_token[running.token]

    def stop(self, running: Running, reason: StopReason, why: str = "", *, force: bool = False) -> None:
        """Tell an attempt to end: ask it and kill it when its grace is over, or kill it at once.

        Args:
            running: The attempt.
            reason: Why; the first reason counts.
            why: More about it, in words.
            force: Kill it.
        """
        if running.token not in self._by_token or running.forced or (running.stopping and not force):
            return
        if running.stopping is None:
            running.stopping, running.why = reason, why
        running.forced = force
        self._recorder.emit(
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
            self._timers.after(running.state.step.policy.grace, lambda: self.stop(running, reason, force=True))

    def carry_out_stops(self) -> None:
        """Tell the executors, now that it is written down."""
        stops, self._stops = self._stops, []
        for running, force in stops:
            if running.token in self._by_token:
                try:
                    running.executor.stop(running.token, force=force)
                except Exception:  # noqa: BLE001 (the others are stopped in any case)
                    _log.exception("executor could not stop `%s`", running.state.step.name)

    def _watch(self, running: Running) -> None:
        """End the attempt when it is overdue; look again when it may be."""
        if running.token not in self._by_token or running.stopping is not None:
            return
        reason, moment = running.overdue(self._clock.monotonic())
        if reason is not None:
            self.stop(running, reason)
        elif moment is not None:
            self._timers.at(moment, lambda: self._watch(running))
