"""From tasks for agents to a plan: one step per task, and what comes first.

What is checked here is the caller's; everything else is the plan's and the engine's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from podium.api.circuit_breaker import is_adhoc
from podium.api.spawn_policies import SpawnPolicy, SpawnTask
from podium.errors import PlanError
from podium.executors.agent import DEFAULT_TOOL, TOOL_VARIABLE
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Breaker, Fallback, Group, Policy
from podium.plan.tasks import FALLBACK, GROUP
from podium.protocols import Work, content_digest

_FAILURES = 2
_ADHOC_FAILURES = 4
_SHOWN = 80


@dataclass(frozen=True)
class How:
    """How tasks are carried out together.

    Attributes:
        name: What the run is called.
        policy: Rules for tasks that name none.
        tool: Program that runs the agents; None: as the executor chooses.
        model: Model the agents use; None: their usual one.
        slots: How many tasks at once.
        stagger: Least time from one start to the next [s].
        max_retries: How often a task is tried again; None: as its policy says.
        fallback: A task whose agent has given up is done without the agent.
        protected: Agents that keep failing are left alone for a while, by all runs of the store.
        buffer: Added to the longest duration of all tasks together; None: no limit [s].
        blocked: Numbers of tasks, from 0, whose agent is left alone by the caller's own breaker.
        told: How a task is told what came first.
        until: `done`: a task starts whatever came first has come to. `passed`: only if that passed.
    """

    name: str
    policy: SpawnPolicy
    tool: str | None = None
    model: str | None = None
    slots: int = 1
    stagger: float = 0.0
    max_retries: int | None = None
    fallback: bool = False
    protected: bool = False
    buffer: float | None = None
    blocked: frozenset[int] = frozenset()
    told: Literal["", "dependencies", "outputs"] = ""
    until: Literal["passed", "done"] = "done"

    def __post_init__(self) -> None:
        """Refuse what could never run.

        Raises:
            ValueError: No task may run, or a number is negative.
        """
        if self.slots < 1:
            raise ValueError(f"max_concurrent must be at least 1, not {self.slots}")
        if self.stagger < 0:
            raise ValueError(f"stagger_delay must not be negative, not {self.stagger:g} s")
        if self.max_retries is not None and self.max_retries < 0:
            raise ValueError(f"max_retries must not be negative, not {self.max_retries}")

    def policy_of(self, task: SpawnTask) -> SpawnPolicy:
        """Return the rules for a task: its own, else those of all.

        Raises:
            ValueError: It names a preset there is not.
        """
        return SpawnPolicy.from_name(task.policy_name) if task.policy_name else self.policy


def names_of(tasks: Sequence[SpawnTask]) -> list[str]:
    """Return the names of the steps: number and digest of the prompt, so that what is known of one helps no other."""
    return [f"{n}-{content_digest(task.prompt.encode())[:8]}" for n, task in enumerate(tasks, 1)]


def plan_spawn(
    tasks: Sequence[SpawnTask], how: How, needs: Mapping[int, Sequence[int]] | None = None, ids: Sequence[str] = ()
) -> Plan:
    """Return the plan of some tasks, in their order.

    Args:
        tasks: At least one.
        how: How they are carried out.
        needs: Number of a task, from 0, to the numbers of those that come first.
        ids: What each task is called where another one is told of it.

    Raises:
        ValueError: A policy, a timeout or a prompt is wrong, or the tasks need each other in a circle.
    """
    names = names_of(tasks)
    limits = [how.policy_of(task).limits(task, how.max_retries) for task in tasks]
    steps: list[Step] = []
    for index, task in enumerate(tasks):
        before = (needs or {}).get(index, ())
        context = [_dependency(ids[other], names[other]) for other in before] if how.told else []
        steps.append(_step(names[index], task, how, limits[index], [names[other] for other in before], context))
        if index in how.blocked:
            steps[-1] = _without_agent(steps[-1])
    deadline = None
    if how.buffer is not None:
        longest = max(policy.extend_to or policy.timeout or 0.0 for policy in limits)
        deadline = -(-len(tasks) // how.slots) * longest + (len(tasks) - 1) * how.stagger + how.buffer
    options = {"parallel": how.slots, "stagger": how.stagger, "tool": how.tool, "fallback": how.fallback}
    try:
        return Plan.of(
            how.name,
            steps,
            slots=how.slots,
            groups={GROUP: Group(stagger=how.stagger)},
            deadline=deadline,
            options=options,
        )
    except PlanError as error:
        raise ValueError(str(error)) from error


def target_of(agent: str) -> str:
    """Return the name of the circuit that all runs of a store share for an agent."""
    return f"agent:{agent}"


def checked_tool(tool: str | None) -> str:
    """Return the program that runs the agents.

    Raises:
        ValueError: There is none of this name.
    """
    program = tool or os.environ.get(TOOL_VARIABLE) or DEFAULT_TOOL
    if shutil.which(program) is None:
        raise ValueError(f"Tool '{program}' not found")
    return program


def _step(  # noqa: PLR0917 (all of them make the step)
    name: str, task: SpawnTask, how: How, limits: Policy, needs: list[str], context: list[dict[str, str]]
) -> Step:
    policy = how.policy_of(task)
    breaker = None
    if how.protected and task.agent and policy.retry_policy.circuit_breaker_enabled:
        failures = _ADHOC_FAILURES if is_adhoc(task.agent) else _FAILURES
        breaker = Breaker(target_of(task.agent), max(failures, limits.retry.attempts))
    fallbacks = (Fallback(FALLBACK, _work(task, None, how, context)),) if how.fallback and task.agent else ()
    return Step(
        name=name,
        work=_work(task, task.agent, how, context),
        needs=tuple(Need(need, how.until) for need in needs),
        policy=limits,
        breaker=breaker,
        fallbacks=fallbacks,
        group=GROUP,
        labels={"agent": task.agent_id, "description": task.display_name or task.prompt[:_SHOWN]},
    )


def _without_agent(step: Step) -> Step:
    """Return the step of which only the fallback is left."""
    return Step(
        name=step.name,
        work=step.fallbacks[0].work,
        needs=step.needs,
        policy=step.policy,
        group=step.group,
        labels=step.labels,
    )


def _work(task: SpawnTask, agent: str | None, how: How, context: list[dict[str, str]]) -> Work:
    payload: dict[str, Any] = {
        "prompt": task.prompt,
        "agent": agent,
        "tool": how.tool,
        "model": how.model,
        "stop_on": how.policy_of(task).stop_on,
    }
    if not context:
        return Work("agent", payload)
    literal = {key: value.replace("${", "$${") if isinstance(value, str) else value for key, value in payload.items()}
    literal["stop_on"] = [pattern.replace("${", "$${") for pattern in payload["stop_on"]]
    return Work("agent", {**literal, "context": context, "context_as": how.told}, template=True)


def _dependency(id_: str, step: str) -> dict[str, str]:
    return {
        "id": id_.replace("${", "$${"),
        **{key: f'${{steps["{step}"].{key}}}' for key in ("outcome", "output", "error")},
    }
