"""The breakers of a run: whether a target may be used, and what an attempt says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from podium.engine.breaker import admit, give_back, record, state_of
from podium.engine.error_classes import error_class
from podium.engine.recorder import Recorder
from podium.engine.state import StepState
from podium.events import AttemptFinished, AttemptRefused, CircuitChanged
from podium.plan.policy import Breaker
from podium.protocols import Circuit, Circuits, Clock


class Breakers:
    """Asks and tells the circuits that all runs of a store share.

    Args:
        recorder: Where refusals and changes are written down.
        circuits: Where circuits are kept; None if the plan has no breakers.
        clock: Where time comes from.
    """

    def __init__(self, recorder: Recorder, circuits: Circuits | None, clock: Clock) -> None:
        self._recorder = recorder
        self._circuits = circuits
        self._clock = clock

    def admits(self, state: StepState) -> bool:
        """Return whether the target of a step's work may be used; if not, that is written down."""
        breaker = state.breaker
        if breaker is None:
            return True
        now_us = self._clock.wall_us()
        wait: float | None = None

        def change(circuit: Circuit) -> Circuit:
            nonlocal wait
            circuit, wait = admit(circuit, breaker, now_us)
            return circuit

        self._change(breaker, change)
        if wait is None:
            return True
        reason = f"the circuit of `{breaker.target}` is open, to be probed in {wait:.3g} s"
        name = state.step.name
        self._recorder.emit(
            AttemptRefused(at_us=now_us, step=name, target=breaker.target, reason=reason, retry_after=wait)
        )
        return False

    def record(self, state: StepState) -> None:
        """Take in how an attempt ended."""
        breaker, ended, now_us = state.breaker, state.ended, self._clock.wall_us()
        if breaker is None:
            return
        if isinstance(ended, AttemptFinished) and ended.outcome != "cancelled":
            error = None if ended.outcome == "passed" else error_class(ended.failure)
            self._change(breaker, lambda circuit: record(circuit, breaker, now_us, error=error))
        else:
            self._change(breaker, give_back)

    def _change(self, breaker: Breaker, change: Callable[[Circuit], Circuit]) -> None:
        assert self._circuits is not None
        seen: list[Literal["open", "half_open", "closed"]] = []

        def watched(circuit: Circuit) -> Circuit:
            changed = change(circuit)
            seen[:] = [state_of(circuit), state_of(changed)]
            return changed

        self._circuits.update(breaker.target, watched)
        if seen[0] != seen[1]:
            at_us = self._clock.wall_us()
            self._recorder.emit(CircuitChanged(at_us=at_us, target=breaker.target, state=seen[1]))
