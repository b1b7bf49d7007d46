"""Which executor carries out which kind of work; only those a plan asks for are made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from podium.executors.inline import InlineExecutor
from podium.executors.invalid import refuse
from podium.executors.pytest_ahead import Ahead
from podium.executors.verdict import judge_layer
from podium.executors.workers import WorkerPool
from podium.plan.graph import Plan
from podium.protocols import Executor, Finished, TestHistory

WORKER_TARGETS = {"simulation": "podium.executors.simulation:run_case", "python": "podium.executors.python:call"}
"""Kinds of work that worker processes do, and the functions that do it."""

_PROCESSES = {*WORKER_TARGETS, "command", "agent", "pytest", "suite", "service"}
_INLINE: dict[str, Callable[[Any], Finished]] = {
    "invalid": refuse,
    "value": lambda payload: Finished("passed", output=payload["value"]),
    "verdict": judge_layer,
}


def kinds_of(plan: Plan) -> set[str]:
    """Return every kind of work that may be done in a run of a plan."""
    return {work.kind for step in plan.steps for work in step.works}


def starts_processes(plan: Plan) -> bool:
    """Return whether a run of a plan may start processes."""
    return not _PROCESSES.isdisjoint(kinds_of(plan))


ALL_KINDS = frozenset({*WORKER_TARGETS, *_INLINE, "command", "agent", "http", "chat", "pytest", "suite", "service"})
"""What can be done in a process that does not know its plans yet."""


def executors_for(
    kinds: Collection[str],
    *,
    owner: str,
    memory_bytes: int,
    import_from: tuple[str, ...] = (),
    cwd: str | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    history: TestHistory | None = None,
    ahead: Ahead | None = None,
) -> dict[str, Executor]:
    """Return executors by kind of work.

    Args:
        kinds: Kinds of work.
        owner: Label of the processes they start, see `podium.runtime.ownership`.
        memory_bytes: Memory one worker may use [byte].
        import_from: Directories the plan's functions may be imported from.
        cwd: Where commands run.
        functions: Functions of this process, for work of kind `local`.
        history: What is known of tests from earlier runs.
        ahead: An interpreter that was started for the first suite of pytest.
    """
    kinds = set(kinds)
    found: dict[str, Executor] = dict.fromkeys(kinds & _INLINE.keys(), InlineExecutor(_INLINE))
    if kinds & WORKER_TARGETS.keys():
        pool = WorkerPool(WORKER_TARGETS, memory_bytes=memory_bytes, owner=owner, import_from=import_from)
        found |= dict.fromkeys(kinds & WORKER_TARGETS.keys(), pool)
    if kinds & {"command", "agent"}:
        from podium.executors.agent import AgentExecutor  # noqa: PLC0415  (only for plans that need them)
        from podium.executors.command import CommandExecutor  # noqa: PLC0415

        commands = CommandExecutor(owner=owner, cwd=cwd)
        found |= {"command": commands, "agent": AgentExecutor(commands)}
    if kinds & {"http", "chat"}:
        from podium.executors.chat import ChatExecutor  # noqa: PLC0415
        from podium.executors.http import HttpExecutor  # noqa: PLC0415

        http = HttpExecutor()
        found |= {"http": http, "chat": ChatExecutor(http)}
    if "pytest" in kinds:
        from podium.executors.pytest_suite import PytestExecutor  # noqa: PLC0415

        found["pytest"] = PytestExecutor(owner=owner, cwd=cwd, history=history, ahead=ahead)
    if "suite" in kinds:
        from podium.executors.command_suite import CommandSuiteExecutor  # noqa: PLC0415

        found["suite"] = CommandSuiteExecutor(owner=owner, cwd=cwd)
    if "service" in kinds:
        from podium.executors.service import ServiceExecutor  # noqa: PLC0415

        found["service"] = ServiceExecutor(owner=owner, cwd=cwd)
    if "local" in kinds:
        from podium.executors.local import LocalExecutor  # noqa: PLC0415

        found["local"] = LocalExecutor(functions or {})
    return found
