"""Steps that wait: for a while, for a signal, for somebody's approval. They hold no slot and no process."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from podium.engine.state import RunState
from podium.engine.timers import Timers
from podium.events import Failure, SignalReceived
from podium.protocols import Attempt, Clock, Finished, ReportTo

APPROVAL = "approve:"
"""What the name of a signal begins with that approves a step."""


class Wait(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a step of kind `wait`: exactly one of these.

    Attributes:
        seconds: How long, from the beginning of the first attempt [s].
        signal: Name of a signal; what was sent before the step began counts.
        approval: The question somebody has to answer.
    """

    seconds: float | None = None
    signal: str | None = None
    approval: str | None = None


class Waiter:
    """An executor for steps of kind `wait`.

    Args:
        state: Where signals are kept.
        timers: When waiting is over.
        clock: Where time comes from.
    """

    def __init__(self, state: RunState, timers: Timers, clock: Clock) -> None:
        self._state = state
        self._timers = timers
        self._clock = clock
        self._waiting: dict[int, tuple[str, ReportTo]] = {}

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Begin to wait."""
        try:
            wait = msgspec.convert(attempt.work.payload, Wait)
        except msgspec.ValidationError as error:
            report(attempt.token, Finished("errored", failure=Failure("BadPayload", str(error))))
            return
        token = attempt.token
        name = signal_name(wait, attempt.step)
        self._waiting[token] = name, report
        if wait.seconds is not None:
            begun = (self._clock.wall_us() - attempt.begun_us) / 1e6
            left = min(wait.seconds, wait.seconds - begun)  # whatever the clock was set to
            self._timers.after(max(0.0, left), lambda: self._end(token, Finished("passed", output=wait.seconds)))
        elif name in self._state.signals:
            self._end(token, _heard(self._state.signals[name]))

    def deliver(self, signal: SignalReceived) -> None:
        """Let go on what waits for a signal."""
        for token, (name, _) in list(self._waiting.items()):
            if name == signal.name:
                self._end(token, _heard(signal))

    def stop(self, token: int, *, force: bool) -> None:  # noqa: ARG002 (the protocol's)
        """Wait no longer."""
        self._end(token, Finished("cancelled", failure=Failure("Cancelled", "asked to stop")))

    async def close(self) -> None:
        """Nothing is held."""

    def _end(self, token: int, finished: Finished) -> None:
        waiting = self._waiting.pop(token, None)
        if waiting is not None:
            waiting[1](token, finished)


def signal_name(wait: Wait, step: str) -> str:
    """Return the name of the signal a step waits for, empty if it waits for none."""
    return f"{APPROVAL}{step}" if wait.approval is not None else wait.signal or ""


def _heard(signal: SignalReceived) -> Finished:
    if not signal.name.startswith(APPROVAL):
        return Finished("passed", output=signal.payload)
    answer: dict[str, Any] = {"who": signal.who, "approved": True}
    payload: Any = signal.payload
    answer |= cast("dict[str, Any]", payload) if isinstance(payload, dict) else {}
    if answer["approved"] is True:
        return Finished("passed", output=answer)
    comment = answer.get("comment")
    text = f"rejected by {signal.who or 'somebody'}" + (f": {comment}" if comment else "")
    return Finished("failed", output=answer, failure=Failure("Rejected", text))
