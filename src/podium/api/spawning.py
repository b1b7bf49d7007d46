"""Agents on the command line from Python, asynchronously: one, many at once, one after another, in waves.

    results, metadata = asyncio.run(spawn_parallel_tracked([SpawnTask("Find the bug", agent="debugger")]))

Tasks become a plan that `podium.session` runs, so each call is also a run in the store: `podium list` shows it. The
engine alone schedules, retries, falls back and leaves alone what keeps failing; here it is only told what to do.

Where what is documented of this interface contradicts itself, this holds everywhere:

- Rate limits are tried again after a wait, the one the tool asks for if it is longer, and never open a circuit.
- A permanent failure is not tried again and opens the circuit of its agent at once.
- Circuits are those of the store, so all runs share them. The attempts of one task do not block that task: a circuit
  opens after as many failures as a task has attempts, but not before the documented two, or four for ad-hoc agents.
- A task's own timeout is the longest duration of each attempt. The default of 300 s counts as not said.
- `max_retries`, if given, counts before the attempts of a policy.
- `retry_count` is the number of attempts of the agent that did not pass, whatever came then.
- A tool that does not exist is a ValueError in `spawn`, and elsewhere a failed result like every other exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from podium.api.circuit_breaker import CircuitBreaker
from podium.api.spawn_plans import How, checked_tool
from podium.api.spawn_policies import (
    DEFAULT_TIMEOUT,
    ONCE,
    RetryPolicy,
    SpawnPolicy,
    SpawnResult,
    SpawnTask,
    TimeoutPolicy,
)
from podium.api.spawn_progress import Attempted, Attempts, Counts, Lines, Numbered, Told
from podium.api.spawn_recovery import ErrorClassifier, RecoverySummary
from podium.api.spawn_results import failed
from podium.api.spawn_runs import run_tasks, safely
from podium.api.waves import AgentOutput, CollectResult, collect, topological_sort

__all__ = [
    "DEFAULT_TIMEOUT",
    "AgentOutput",
    "CircuitBreaker",
    "CollectResult",
    "ErrorClassifier",
    "RecoverySummary",
    "RetryPolicy",
    "SpawnPolicy",
    "SpawnResult",
    "SpawnTask",
    "TimeoutPolicy",
    "collect",
    "spawn",
    "spawn_parallel",
    "spawn_parallel_tracked",
    "spawn_sequential",
    "spawn_with_retry_and_fallback",
    "topological_sort",
]


async def spawn(
    task: SpawnTask,
    tool: str | None = None,
    model: str | None = None,
    policy: SpawnPolicy | None = None,
    *,
    store: Path | None = None,
) -> SpawnResult:
    """Carry out one task in one attempt.

    Args:
        task: The task.
        tool: Program; None: `PODIUM_AGENT_TOOL`, then `claude`.
        model: Model the agent uses; None: its usual one.
        policy: Limits of the attempt; None: those the task names, else only its timeout.
        store: File of the store; by default the one of the working directory.

    Raises:
        ValueError: The tool does not exist, or the task is wrong.
    """
    how = How("spawn", policy or ONCE, checked_tool(tool), model, max_retries=0)
    tasks = [replace(task, policy_name=None) if policy else task]
    how.policy_of(tasks[0]).limits(task, 0)
    return (await run_tasks(tasks, how, Counts(tasks, None), store)).results[0]


async def spawn_parallel(
    tasks: Sequence[SpawnTask],
    max_concurrent: int = 5,
    on_progress: Numbered | None = None,
    *,
    tool: str | None = None,
    model: str | None = None,
    store: Path | None = None,
) -> list[SpawnResult]:
    """Carry out tasks, each in one attempt, and return their results in their order.

    Args:
        tasks: The tasks.
        max_concurrent: How many at once, at least 1.
        on_progress: Called with number from 1, total, agent, and `Starting`, `Completed` or `Failed`.
        tool: As for `spawn`.
        model: As for `spawn`.
        store: As for `spawn`.

    Raises:
        ValueError: `max_concurrent` is below 1.
    """
    how = How("spawn_parallel", ONCE, tool, model, max_concurrent, max_retries=0)
    return (await run_tasks(tasks, how, Counts(tasks, on_progress), store)).results


async def spawn_sequential(
    tasks: Sequence[SpawnTask],
    pass_context: bool = True,  # noqa: FBT001, FBT002 (documented)
    stop_on_failure: bool = False,  # noqa: FBT001, FBT002
    *,
    tool: str | None = None,
    model: str | None = None,
    store: Path | None = None,
) -> list[SpawnResult]:
    """Carry out tasks one after another, each in one attempt.

    Args:
        tasks: The tasks.
        pass_context: Append to each prompt the outputs of all tasks before it that passed.
        stop_on_failure: Leave out the tasks after one that did not pass; the results then end with that one.
        tool: As for `spawn`.
        model: As for `spawn`.
        store: As for `spawn`.

    Raises:
        ValueError: A task is wrong.
    """
    how = How(
        "spawn_sequential",
        ONCE,
        tool,
        model,
        max_retries=0,
        told="outputs" if pass_context else "",
        until="passed" if stop_on_failure else "done",
    )
    needs = {index: range(0 if pass_context else max(0, index - 1), index) for index in range(len(tasks))}
    ids = [str(index + 1) for index in range(len(tasks))]
    results = (await run_tasks(tasks, how, Counts(tasks, None), store, needs, ids)).results
    first_failed = next((index for index, result in enumerate(results) if not result.success), len(results))
    return results[: first_failed + 1] if stop_on_failure else results


async def spawn_with_retry_and_fallback(  # noqa: PLR0917 (documented)
    task: SpawnTask,
    on_progress: Attempted | None = None,
    max_retries: int | None = None,
    fallback_to_llm: bool = True,  # noqa: FBT001, FBT002 (documented)
    circuit_breaker: CircuitBreaker | None = None,
    policy: SpawnPolicy | None = None,
    *,
    tool: str | None = None,
    model: str | None = None,
    store: Path | None = None,
) -> SpawnResult:
    """Carry out a task; try it again if need be, and then without its agent.

    Args:
        task: The task.
        on_progress: Called with number of the attempt, most attempts, and a status.
        max_retries: How often it is tried again; None: as the policy says, by default twice.
        fallback_to_llm: Whether it is done without its agent when that has given up.
        circuit_breaker: A breaker of the caller's, which is asked before and told of every attempt of the agent. The
            circuits of the store count in any case.
        policy: Rules; None: those the task names, else the preset `default`.
        tool: As for `spawn`.
        model: As for `spawn`.
        store: As for `spawn`.

    Raises:
        ValueError: `max_retries` is negative, or the task is wrong.
    """
    rules = policy or SpawnPolicy.from_name(task.policy_name or "default")
    attempts = rules.limits(task, max_retries).retry.attempts
    skip, reason = (False, "")
    if circuit_breaker is not None and task.agent and rules.retry_policy.circuit_breaker_enabled:
        skip, reason = circuit_breaker.should_skip(task.agent)
    if skip and not fallback_to_llm:
        return failed(reason, task)
    how = How(
        "spawn_with_retry_and_fallback",
        rules,
        tool,
        model,
        max_retries=max_retries,
        fallback=fallback_to_llm,
        protected=True,
        blocked=frozenset({0} if skip else ()),
    )
    heard = Attempts(task.agent, (attempts, int(fallback_to_llm)), on_progress, circuit_breaker)
    if skip:
        safely(heard.blocked)
    return (await run_tasks([replace(task, policy_name=None)], how, heard, store)).results[0]


async def spawn_parallel_tracked(  # noqa: PLR0917 (documented)
    tasks: Sequence[SpawnTask],
    max_concurrent: int = 4,
    stagger_delay: float = 5.0,
    policy_name: str | SpawnPolicy = "patient",
    on_progress: Told | None = None,
    global_timeout_buffer: float = 120,
    fallback_to_llm: bool = True,  # noqa: FBT001, FBT002 (documented)
    max_retries: int | None = 2,
    *,
    tool: str | None = None,
    model: str | None = None,
    store: Path | None = None,
) -> tuple[list[SpawnResult], dict[str, Any]]:
    """Carry out tasks together, with all that helps against failures, and return their results and what is told of all.

    All together may take the longest duration of one attempt times the number of rounds, plus the staggers, plus a
    buffer; what is not done then has the error `Task cancelled (global timeout)`.

    Args:
        tasks: The tasks.
        max_concurrent: How many at once, at least 1.
        stagger_delay: Least time from one start of an attempt to the next, second attempts included; nobody waits in
            a place at work [s].
        policy_name: Preset, or rules, for tasks that name none.
        on_progress: Called with lines for a person.
        global_timeout_buffer: The buffer [s].
        fallback_to_llm: Whether a task whose agent has given up is done without it.
        max_retries: How often a task is tried again; None: as its policy says.
        tool: As for `spawn`.
        model: As for `spawn`.
        store: As for `spawn`.

    Returns:
        The results in the order of the tasks; and `total_tasks`, `failed_tasks`, `fallback_count`,
        `early_terminations`, `retried_tasks`, `circuit_blocked`, `heartbeat_metrics`, `total_duration_ms`.

    Raises:
        ValueError: The preset is unknown, `max_concurrent` is below 1, or a number is negative.
    """
    how = How(
        "spawn_parallel_tracked",
        SpawnPolicy.from_name(policy_name) if isinstance(policy_name, str) else policy_name,
        tool,
        model,
        max_concurrent,
        stagger_delay,
        max_retries,
        fallback=fallback_to_llm,
        protected=True,
        buffer=global_timeout_buffer,
    )
    lines = Lines(tasks, stagger_delay, on_progress)
    safely(lines.announce)
    ran = await run_tasks(tasks, how, lines, store)
    return ran.results, ran.metadata()
