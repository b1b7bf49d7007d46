"""Workflows from Python, asynchronously: define steps as dictionaries, execute them, look at what they came to.

    engine = WorkflowEngine()
    engine.register_action("charge", charge)
    await engine.define_workflow("order", [{"name": "charge", "action": "charge", "compensation": "refund"}])
    status = await engine.get_execution_status(await engine.execute_workflow("order", {"amount": 20}))

Everything runs through `podium.session`, so each execution is also a run in the store: `podium list` shows it, and
`podium resume` goes on with it if its process died.
"""

from __future__ import annotations

import asyncio
import copy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from podium.api.actions import Action, accepted, fails, look_up
from podium.api.balancing import LoadBalancer
from podium.api.executions import Execution, Lane, find_run, status_of
from podium.api.optimizing import PerformanceOptimizer
from podium.api.recovery import ErrorRecovery
from podium.errors import UsageError
from podium.model.expressions import Cel
from podium.plan.graph import Plan
from podium.plan.step_dictionaries import FAILS, Conventions, plan_steps
from podium.session import Session
from podium.store import Store

__all__ = ["ErrorRecovery", "LoadBalancer", "PerformanceOptimizer", "WorkflowConfig", "WorkflowEngine"]


class WorkflowConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How workflows are executed.

    Attributes:
        max_concurrent_workflows: How many executions run at once, at least 1; the others wait.
        workflow_timeout: Longest duration of an execution [s]; None: no limit.
        retry_attempts: How many attempts `"retry": True` means, at least 1.
        retry_delay: The first wait before another attempt [s]; it doubles from one to the next, up to 60 s.
        enable_workflow_persistence: Keep executions in the store; otherwise they are gone with the engine.
        enable_compensation: Undo what was done when an execution does not pass.
    """

    max_concurrent_workflows: int = 100
    workflow_timeout: float | None = 300.0
    retry_attempts: int = 3
    retry_delay: float = 5.0
    enable_workflow_persistence: bool = True
    enable_compensation: bool = True


class WorkflowEngine:
    """Defines and executes workflows.

    Close it when it is no longer needed, or use it in `async with`; a program that ends otherwise waits for the steps
    under way and leaves the rest, with a warning. Its methods may be called from one event loop after another.

    Args:
        config: Keys of `WorkflowConfig` that differ from their default.
        store: File of the store; by default the one of the working directory.

    Raises:
        UsageError: A key is unknown, or its value makes no sense (U400).
    """

    def __init__(self, config: Mapping[str, Any] | None = None, store: Path | None = None) -> None:
        self.config = _checked(config or {})
        self._temporary = None
        if not self.config.enable_workflow_persistence:
            self._temporary = tempfile.TemporaryDirectory(prefix="podium-")
            store = Path(self._temporary.name) / "podium.db"
        self._store = store or Store.locate()
        self._actions: dict[str, Action] = {}
        self._workflows: dict[str, Plan] = {}
        self._executions: dict[str, Execution] = {}
        self._lane = Lane(self.config.max_concurrent_workflows)
        self._is_closed = False

    def register_action(self, name: str, function: Action) -> None:
        """Let steps call a function by a name, and undo what they did with it.

        It is called with those of the keyword arguments `input`, `results`, `context` and `progress` that it takes. A
        coroutine function runs in an event loop of the execution's own, any other function in a thread.

        Args:
            name: The name.
            function: The function.

        Raises:
            UsageError: It cannot be called that way (U400).
        """
        accepted(name, function)
        self._actions[name] = function

    async def define_workflow(self, workflow_id: str, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Define a workflow, or define it anew, and return its id, steps and when it was made.

        Args:
            workflow_id: The name.
            steps: The steps, as dictionaries.

        Raises:
            PlanError: What is wrong with the steps, all of it.
        """
        config = self.config
        conventions = Conventions(
            actions={name: accepted(name, function) for name, function in self._actions.items()},
            look_up=look_up,
            attempts=config.retry_attempts,
            delay=config.retry_delay,
            compensates=config.enable_compensation,
        )
        self._workflows[workflow_id] = plan_steps(
            workflow_id,
            steps,
            conventions,
            expressions=Cel(),
            deadline=config.workflow_timeout,
            options={"folder": sys.path[0]} if sys.path[0] else {},
        )
        return {"id": workflow_id, "steps": copy.deepcopy(list(steps)), "created_at": datetime.now(UTC)}

    async def execute_workflow(
        self, workflow_id: str, input_data: Mapping[str, Any] | None = None, *, wait: float | None = 1.0
    ) -> str:
        """Start an execution of a workflow and return its id.

        Cancelling the task while it waits also cancels the execution.

        Args:
            workflow_id: The workflow.
            input_data: What the workflow is given, JSON values by name.
            wait: How long to wait for the end before returning [s]; None: until it is over.

        Raises:
            ValueError: There is no such workflow.
            UsageError: The input is not made of JSON values, or the engine is closed (U400).
        """
        if workflow_id not in self._workflows:
            raise ValueError(f"Workflow {workflow_id} not found")
        if self._is_closed:
            raise UsageError("the engine is closed")
        plan = msgspec.structs.replace(self._workflows[workflow_id], inputs=_plain(input_data or {}))
        name = f"exec_{len(self._executions) + 1}"
        execution = self._executions[name] = Execution(name, plan, self._store, {**self._actions, FAILS: fails})
        self._lane.add(execution)
        try:
            await execution.wait(wait)
        except asyncio.CancelledError:
            self._lane.cancel(execution)
            raise
        return name

    async def get_execution_status(self, execution_id: str) -> dict[str, Any] | None:
        """Return what an execution has come to, None if there is none.

        Args:
            execution_id: Its id, or the id of its run, under which also those of other processes are found.
        """
        execution = self._executions.get(execution_id)
        if execution is not None:
            return await asyncio.to_thread(execution.status)
        return await asyncio.to_thread(self._status_of_run, execution_id)

    async def cancel_workflow(self, execution_id: str) -> bool:
        """Ask an execution to end and return whether it was running; what it did is undone.

        Args:
            execution_id: Its id.
        """
        execution = self._executions.get(execution_id)
        return execution is not None and self._lane.cancel(execution)

    def get_running_workflows(self) -> list[str]:
        """Return the ids of executions that are not over, those that still wait for others included."""
        return [name for name, one in self._executions.items() if not one.is_over and one.cancelled_at is None]

    async def wait_for(self, execution_id: str) -> dict[str, Any]:
        """Wait until an execution is over, with all that is undone, and return its status.

        Args:
            execution_id: Its id.

        Raises:
            ValueError: There is no such execution.
        """
        execution = self._executions.get(execution_id)
        if execution is not None:
            await execution.wait(None)
        status = await self.get_execution_status(execution_id)
        if status is None:
            raise ValueError(f"Execution {execution_id} not found")
        return status

    async def close(self) -> None:
        """Cancel the executions that are not over, and wait for them; what is kept can still be looked at."""
        self._is_closed = True
        for execution in self._executions.values():
            self._lane.cancel(execution)
        for execution in self._executions.values():
            await execution.wait(None)
        if self._temporary is not None:
            self._temporary.cleanup()
            self._executions.clear()

    async def __aenter__(self) -> Self:
        """Return the engine."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close it."""
        await self.close()

    def _status_of_run(self, name: str) -> dict[str, Any] | None:
        if not self._store.exists():
            return None
        with Session.open(self._store) as session:
            row = find_run(session, name)
            return None if row is None else status_of(session, row)


def _checked(config: Mapping[str, Any]) -> WorkflowConfig:
    from podium.model.findings import did_you_mean  # noqa: PLC0415  (only on errors)

    known = WorkflowConfig.__struct_fields__
    for key in config:
        if key not in known:
            raise UsageError(f"there is no setting `{key}`", hint=did_you_mean(str(key), known, what="settings"))
    try:
        checked = msgspec.convert(dict(config), WorkflowConfig)
    except msgspec.ValidationError as error:
        raise UsageError(f"a setting is wrong: {error}") from error
    least = {"max_concurrent_workflows": 1, "retry_attempts": 1, "retry_delay": 0.0}
    for key, value in least.items():
        if getattr(checked, key) < value:
            raise UsageError(f"`{key}` must be at least {value}, not {getattr(checked, key)}")
    if checked.workflow_timeout is not None and checked.workflow_timeout <= 0:
        raise UsageError(f"`workflow_timeout` must be above 0 s, not {checked.workflow_timeout}")
    return checked


def _plain(input_data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return msgspec.json.decode(msgspec.json.encode(dict(input_data)), type=dict[str, Any])
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the input is not made of JSON values: {error}") from error
