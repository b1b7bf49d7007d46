"""Undoing steps and trying again by hand, for programs that carry out their steps themselves."""

from __future__ import annotations

import asyncio
import inspect
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from podium.api.actions import fails
from podium.engine.retry import retry_delay
from podium.errors import UsageError
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Backoff, Compensation
from podium.plan.step_dictionaries import FAILING, FAILS
from podium.protocols import Work
from podium.session import Session
from podium.store import StepRow

Handler = Callable[[], Awaitable[object] | object]
"""Undoes a step; a coroutine function, or one that runs in a thread."""
_UNDO = "~undo"


class ErrorRecovery:
    """Undoes completed steps in reverse order, and spaces out attempts.

    Args:
        base_delay: The first wait before another attempt [s]; it doubles from one to the next.
        max_delay: Longest wait [s].
        store: File of the store in which compensations are kept as runs; by default they are kept nowhere.

    Attributes:
        report: What the last `compensate` did, one entry per step in that order: `step`, `outcome` (`undone`, `failed`
            or `no handler`) and `error`.
    """

    def __init__(self, base_delay: float = 1.0, max_delay: float = 60.0, *, store: Path | None = None) -> None:
        if not 0 <= base_delay <= max_delay:
            raise UsageError(f"the waits must be 0 <= base <= longest, not {base_delay} s and {max_delay} s")
        self.report: list[dict[str, Any]] = []
        self._backoff = Backoff(initial=base_delay, maximum=max_delay, exponent=2.0, jitter=0.0)
        self._store = store
        self._handlers: dict[str, Handler] = {}
        self._attempts: dict[str, int] = {}

    def register_compensation(self, step: str, handler: Handler) -> None:
        """Let a function undo a step.

        Args:
            step: Name of the step.
            handler: Called without arguments: a coroutine function, or one that runs in a thread.

        Raises:
            UsageError: It cannot be called (U400).
        """
        if not callable(handler):
            raise UsageError(f"what undoes `{step}` is of type {type(handler).__name__}, which cannot be called")
        self._handlers[step] = handler

    async def compensate(self, failed_step: str, completed_steps: Sequence[str]) -> bool:
        """Undo completed steps, the last first, and return whether that worked.

        Every handler is called, whatever became of the others. Steps without a handler are left as they are. Cancelling
        the task does not stop what is being undone: it is raised afterwards.

        Args:
            failed_step: The step that failed; it is not undone itself.
            completed_steps: The steps that were completed, in that order.
        """
        completed = [step for step in dict.fromkeys(completed_steps) if step != failed_step]
        undone: dict[str, StepRow] = {}
        if any(step in self._handlers for step in completed):
            undone = await _undisturbed(self._carry_out(failed_step, completed))
        self.report = [_entry(step, undone.get(step)) for step in reversed(completed)]
        return all(entry["outcome"] != "failed" for entry in self.report)

    async def retry_step(self, name: str, max_attempts: int = 3) -> bool:
        """Return whether a step may be tried again, after the wait that comes before this attempt.

        Args:
            name: The step.
            max_attempts: How many attempts it may have since the last `reset_attempts`.
        """
        attempts = self._attempts.get(name, 0)
        if attempts >= max_attempts:
            return False
        self._attempts[name] = attempts + 1
        await asyncio.sleep(self.delay(name, attempts + 1))
        return True

    def delay(self, name: str, attempt: int) -> float:
        """Return the wait before an attempt [s].

        Args:
            name: The step.
            attempt: Its number, from 1.
        """
        return retry_delay(self._backoff, seed=0, step=name, failures=attempt)

    def reset_attempts(self, name: str) -> None:
        """Forget the attempts of a step, because it worked."""
        self._attempts.pop(name, None)

    async def _carry_out(self, failed_step: str, completed: Sequence[str]) -> dict[str, StepRow]:
        """Run a plan whose steps are done already, and which fails, so that the engine undoes them."""
        loop = asyncio.get_running_loop()
        functions = {step: _called_in(loop, self._handlers[step]) for step in completed if step in self._handlers}
        plan = _failing(failed_step, completed, functions)
        return await asyncio.to_thread(_run, plan, {**functions, FAILS: fails}, self._store)


async def _undisturbed(work: Awaitable[dict[str, StepRow]]) -> dict[str, StepRow]:
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _failing(failed_step: str, completed: Sequence[str], functions: dict[str, Callable[[], None]]) -> Plan:
    steps: list[Step] = []
    for name in completed:
        compensation = Compensation(Work("local", {"callable": name})) if name in functions else None
        needs = tuple(Need(step.name) for step in steps[-1:])
        steps.append(Step(name, Work("value", {"value": None}), needs=needs, compensation=compensation))
    last = Step(failed_step, FAILING, needs=(Need(steps[-1].name),))
    return Plan.of(f"compensation of {failed_step}", [*steps, last], work="workflow")


def _run(plan: Plan, functions: dict[str, Callable[..., Any]], store: Path | None) -> dict[str, StepRow]:
    with (
        tempfile.TemporaryDirectory(prefix="podium-") as folder,
        Session.open(store or Path(folder) / "s.db") as session,
    ):
        summary = session.run(plan, functions=functions)
        rows = session.store.steps(summary.run)
    return {row.name.removesuffix(_UNDO): row for row in rows if row.name.endswith(_UNDO)}


def _called_in(loop: asyncio.AbstractEventLoop, handler: Handler) -> Callable[[], None]:
    """Return a function for threads that calls a handler, which may use what belongs to the caller's event loop."""

    async def until_done(value: Awaitable[object]) -> None:
        await value

    def call() -> None:
        value = handler()
        if inspect.isawaitable(value):
            asyncio.run_coroutine_threadsafe(until_done(value), loop).result()

    return call


def _entry(step: str, row: StepRow | None) -> dict[str, Any]:
    if row is None:
        return {"step": step, "outcome": "no handler", "error": None}
    error = None if row.failure is None else f"{row.failure.type}: {row.failure.message}"
    outcome = "undone" if row.outcome == "passed" else "failed"
    return {"step": step, "outcome": outcome, "error": error or (row.reason or None)}
