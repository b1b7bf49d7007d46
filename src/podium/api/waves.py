"""Subgoals that depend on one another: in which order they can be done, and doing them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from podium.api.spawn_plans import How
from podium.api.spawn_policies import DEFAULT_TIMEOUT, SpawnPolicy, SpawnResult, SpawnTask
from podium.api.spawn_progress import Lines, Told
from podium.api.spawn_runs import run_tasks
from podium.errors import PlanError
from podium.plan.graph import Need, Plan, Step
from podium.protocols import Work

Subgoal = Mapping[str, Any]
"""`subgoal_index`, `description` and `depends_on`, a list of indices."""


@dataclass
class AgentOutput:
    """What one subgoal came to.

    Attributes:
        subgoal_index: Which.
        agent_id: Who did it, `llm` if no agent did.
        success: Whether it passed.
        summary: What the tool wrote.
        confidence: 0 if it did not pass, else the share of what it depends on that passed, 1 if nothing.
        error: Why it did not pass.
        execution_metadata: `partial_context` (something it depends on did not pass), `duration_ms`, `retry_count`,
            `fallback`, `original_agent`, `termination_reason`.
    """

    subgoal_index: Any
    agent_id: str
    success: bool
    summary: str
    confidence: float
    error: str | None = None
    execution_metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass
class CollectResult:
    """What all subgoals came to.

    Attributes:
        agent_outputs: One for each, in the order given.
        execution_metadata: `total_subgoals`, `failed_subgoals`, `waves`, `total_duration_ms`, and all that
            `spawn_parallel_tracked` tells.
        fallback_agents: Agents that were given up.
    """

    agent_outputs: list[AgentOutput]
    execution_metadata: dict[str, Any]
    fallback_agents: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def topological_sort(
    subgoals: Sequence[Any], dependencies: Mapping[Any, Sequence[Any]] | None = None
) -> list[list[Any]]:
    """Return what was given in waves: each depends only on earlier ones, and within one the order is kept.

    Args:
        subgoals: Mappings with `subgoal_index` and `depends_on`, or ids.
        dependencies: Id to the ids it depends on, if ids are given.

    Raises:
        ValueError: Two have one id, one depends on an unknown one, or they depend on one another in a circle.
    """
    ids = [_id(subgoal) for subgoal in subgoals]
    numbers = _numbers(ids)
    needs = [_needed(subgoal, dependencies) for subgoal in subgoals]
    for id_, needed in zip(ids, needs, strict=True):
        unknown = [other for other in needed if other not in numbers]
        if unknown:
            raise ValueError(f"Subgoal {id_} depends on non-existent subgoals: {unknown}")
    steps = [
        Step(str(n), Work("value"), tuple(Need(str(numbers[other])) for other in dict.fromkeys(needed)))
        for n, needed in enumerate(needs)
    ]
    try:
        waves = Plan.of("subgoals", steps).waves()
    except PlanError as error:
        circle = str(error).rpartition(": ")[2].split(" -> ")
        shown = " -> ".join(str(ids[int(name)]) for name in circle)
        raise ValueError(f"Circular dependency detected: {shown}") from error
    return [[subgoals[int(name)] for name in wave] for wave in waves]


async def collect(  # noqa: PLR0917 (as the other front doors)
    subgoals: Sequence[Subgoal],
    agents: Mapping[Any, str | None] | Sequence[str | None] | None = None,
    max_concurrent: int = 4,
    stagger_delay: float = 5.0,
    policy_name: str | SpawnPolicy = "patient",
    on_progress: Told | None = None,
    fallback_to_llm: bool = True,  # noqa: FBT001, FBT002 (as the other front doors)
    max_retries: int | None = 2,
    *,
    agent_timeout: float = DEFAULT_TIMEOUT,
    tool: str | None = None,
    model: str | None = None,
    store: Path | None = None,
) -> CollectResult:
    """Carry out subgoals, each as soon as all it depends on is done, and tell it what that came to.

    A subgoal is carried out also if what it depends on did not pass; its prompt then says so. No wave waits for
    another: only dependencies are waited for.

    Args:
        subgoals: Mappings with `subgoal_index`, `description` and `depends_on`.
        agents: Index of a subgoal to its agent, or one agent for each subgoal in their order; None: nobody in
            particular.
        max_concurrent: How many at once, at least 1.
        stagger_delay: Least time from one start of an attempt to the next [s].
        policy_name: Preset, or rules.
        on_progress: Called with lines for a person.
        fallback_to_llm: Whether a subgoal whose agent has given up is done without it.
        max_retries: How often a subgoal is tried again; None: as the policy says.
        agent_timeout: Longest duration of an attempt; 300 counts as not said [s].
        tool: Program; None: `PODIUM_AGENT_TOOL`, then `claude`.
        model: Model the agents use; None: their usual one.
        store: File of the store; by default the one of the working directory.

    Raises:
        ValueError: The subgoals are wrong (see `topological_sort`), agents are missing, the preset is unknown, or a
            number is too small.
    """
    waves = topological_sort(subgoals)
    how = How(
        "collect",
        SpawnPolicy.from_name(policy_name) if isinstance(policy_name, str) else policy_name,
        tool,
        model,
        max_concurrent,
        stagger_delay,
        max_retries,
        fallback=fallback_to_llm,
        protected=True,
        told="dependencies",
    )
    asked = _agents(subgoals, agents)
    tasks = [
        SpawnTask(str(subgoal["description"]), agent, agent_timeout)
        for subgoal, agent in zip(subgoals, asked, strict=True)
    ]
    ids = [_id(subgoal) for subgoal in subgoals]
    numbers = _numbers(ids)
    needs = {n: [numbers[id_] for id_ in dict.fromkeys(_needed(goal, None))] for n, goal in enumerate(subgoals)}
    ran = await run_tasks(tasks, how, Lines(tasks, 0.0, on_progress), store, needs, [str(id_) for id_ in ids])
    outputs = [
        _output(ids[n], tasks[n], result, [ran.results[other].success for other in needs[n]])
        for n, result in enumerate(ran.results)
    ]
    about = {"total_subgoals": len(tasks), "failed_subgoals": sum(not output.success for output in outputs)}
    fell_back = [task.agent_id for task, result in zip(tasks, ran.results, strict=True) if result.fallback]
    return CollectResult(outputs, about | {"waves": len(waves)} | ran.metadata(), list(dict.fromkeys(fell_back)))


def _output(id_: Any, task: SpawnTask, result: SpawnResult, before: list[bool]) -> AgentOutput:
    return AgentOutput(
        subgoal_index=id_,
        agent_id="llm" if result.fallback else task.agent_id,
        success=result.success,
        summary=result.output,
        confidence=(sum(before) / len(before) if before else 1.0) if result.success else 0.0,
        error=result.error,
        execution_metadata={
            "partial_context": not all(before),
            "duration_ms": round(result.execution_time * 1000),
            "retry_count": result.retry_count,
            "fallback": result.fallback,
            "original_agent": result.original_agent,
            "termination_reason": result.termination_reason,
        },
    )


def _agents(
    subgoals: Sequence[Subgoal], agents: Mapping[Any, str | None] | Sequence[str | None] | None
) -> list[str | None]:
    if agents is None:
        return [None] * len(subgoals)
    if isinstance(agents, Mapping):
        return [agents.get(_id(subgoal)) for subgoal in subgoals]
    if len(agents) != len(subgoals):
        raise ValueError(f"{len(subgoals)} subgoals need as many agents, not {len(agents)}")
    return list(agents)


def _id(subgoal: Any) -> Hashable:
    return cast("Subgoal", subgoal)["subgoal_index"] if isinstance(subgoal, Mapping) else subgoal


def _needed(subgoal: Any, dependencies: Mapping[Any, Sequence[Any]] | None) -> Sequence[Any]:
    if isinstance(subgoal, Mapping):
        return cast("Subgoal", subgoal).get("depends_on") or ()
    return (dependencies or {}).get(subgoal) or ()


def _numbers(ids: Sequence[Hashable]) -> dict[Hashable, int]:
    numbers = {id_: n for n, id_ in enumerate(ids)}
    if len(numbers) < len(ids):
        twice = next(id_ for id_ in numbers if ids.count(id_) > 1)
        raise ValueError(f"Two subgoals have the index {twice}")
    return numbers
