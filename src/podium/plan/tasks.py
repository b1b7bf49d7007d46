"""From a Markdown checklist to a plan: one step per task that is not done, carried out by an agent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from podium.errors import Diagnostic
from podium.model.tasks_md import Task, load_tasks
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Fallback, Group, Policy
from podium.protocols import Work
from podium.storable import file_name

GROUP = "agents"
"""Group of the steps, whose pace keeps agents from starting all at once."""

FALLBACK = "llm"
"""Name of what is done when an agent has given up: the same without an agent."""

_DONE_BEFORE = {"outcome": "passed", "output": "done before", "error": None}


class Tasks(msgspec.Struct, frozen=True):
    """A plan, and what was found while it was made.

    Attributes:
        plan: One step per task that is not done, named by its id; no step if all are done.
        done: Ids of the tasks that are done and so left out, in the order written.
        warnings: About the file.
    """

    plan: Plan
    done: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]


def plan_tasks(
    path: Path,
    *,
    slots: int = 4,
    stagger: float = 5.0,
    policy: Policy,
    tool: str | None = None,
    fallback: bool = True,
    partial_context: bool = True,
) -> Tasks:
    """Return the plan of the tasks in a file.

    Args:
        path: A Markdown checklist; see `podium.model.tasks_md`.
        slots: How many tasks are worked on at once, at least 1.
        stagger: Least time from one start to the next [s].
        policy: Limits and retries of each task.
        tool: Program that runs the agents; None: the executor's choice.
        fallback: A task whose agent has given up is done without the agent.
        partial_context: A task starts also if tasks it depends on did not pass, and is told so; otherwise it is
            skipped.

    Raises:
        DocumentError: The file cannot be read, or its tasks are wrong; carries every error that was found.
        NothingSelectedError: There are no tasks in it (U404).
        PlanError: `slots` is below 1 (P204).
    """
    checklist = load_tasks(path)
    tasks = {task.id: task for task in checklist.tasks}
    done = tuple(task.id for task in checklist.tasks if task.done)
    until = "done" if partial_context else "passed"
    steps = [
        Step(
            name=task.id,
            work=_work(task, tasks, task.agent, tool),
            needs=tuple(Need(id_, until) for id_ in task.depends if not tasks[id_].done),
            policy=policy,
            fallbacks=(Fallback(FALLBACK, _work(task, tasks, None, tool)),) if fallback and task.agent else (),
            group=GROUP,
            labels={"description": task.description},
        )
        for task in checklist.tasks
        if not task.done
    ]
    options = {"stagger": stagger, "tool": tool, "fallback": fallback, "partial_context": partial_context}
    plan = Plan.of(
        file_name(path.stem),
        steps,
        slots=slots,
        groups={GROUP: Group(stagger=stagger)},
        options={"paths": [file_name(str(path))], "parallel": slots, **options},
    )
    return Tasks(plan, done, checklist.warnings)


def _work(task: Task, tasks: Mapping[str, Task], agent: str | None, tool: str | None) -> Work:
    payload: dict[str, Any] = {"prompt": _literal(task.description), "agent": _literal(agent), "tool": _literal(tool)}
    if task.model:
        payload["model"] = _literal(task.model)
    if task.depends:
        payload["context"] = [_dependency(tasks[id_]) for id_ in task.depends]
    return Work("agent", payload, template=True)


def _dependency(task: Task) -> dict[str, Any]:
    """Return what the executor is told about a task another one depends on, known when that one begins."""
    if task.done:
        return {"id": task.id, **_DONE_BEFORE}
    return {"id": task.id, **{key: f'${{steps["{task.id}"].{key}}}' for key in _DONE_BEFORE}}


def _literal(text: str | None) -> str | None:
    """Return text of which no part is taken for an expression."""
    return text and text.replace("${", "$${")
