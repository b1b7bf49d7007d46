"""What tasks for agents came to, read from the record of their run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podium.api.circuit_breaker import circuit_open
from podium.api.spawn_plans import target_of
from podium.api.spawn_policies import SpawnResult, SpawnTask
from podium.engine.error_classes import error_class
from podium.events import (
    AnyEvent,
    AttemptFinished,
    AttemptLost,
    AttemptProgressed,
    AttemptRefused,
    AttemptStarted,
    CancelRequested,
    Failure,
    FallbackTaken,
    StepFinished,
)
from podium.plan.graph import Plan, Step
from podium.plan.policy import Policy
from podium.protocols import Circuit

GLOBAL_TIMEOUT = "Task cancelled (global timeout)"

_NO_EXIT_CODE = -1
_LARGEST_OUTPUT = 1 << 20
_REASONS = {
    "Timeout": "Timed out",
    "TotalTimeout": "Total timeout",
    "Silence": "No activity",
    "Pattern": "Error pattern",
}
_OWN_WORDS = ("ExitCode", "Pattern")
"""Failures of which standard error says more than Podium does."""


@dataclass
class Story:
    """What happened to one task.

    Attributes:
        step: Its step.
        events: All that happened to it, in order.
        stdout: What its last attempt wrote, if it did not pass.
        circuit: What is known of its agent after the run.
        cancelled_by: Who ended the run, if somebody did.
    """

    step: Step
    events: list[AnyEvent] = field(default_factory=list[AnyEvent])
    stdout: str = ""
    circuit: Circuit = field(default_factory=Circuit)
    cancelled_by: str = ""

    @property
    def finished(self) -> StepFinished | None:
        """The end of the step."""
        return next((event for event in self.events if isinstance(event, StepFinished)), None)

    @property
    def refusal(self) -> AttemptRefused | None:
        """The first time its agent was left alone because of its circuit."""
        return next((event for event in self.events if isinstance(event, AttemptRefused)), None)

    @property
    def attempts(self) -> list[AttemptFinished]:
        """All attempts that came to something, in order."""
        return [event for event in self.events if isinstance(event, AttemptFinished)]

    @property
    def started_us(self) -> int:
        """When the first attempt began, 0 if none did [us since the Unix epoch]."""
        return next((event.at_us for event in self.events if isinstance(event, AttemptStarted)), 0)

    @property
    def fell_back(self) -> bool:
        """Whether the agent was given up."""
        return any(isinstance(event, FallbackTaken) for event in self.events)

    def failed_attempts(self) -> list[AttemptFinished]:
        """Return the attempts of the agent that did not pass, without those of the fallback."""
        own = {event.token for event in self.events if isinstance(event, AttemptStarted) and not event.fallback}
        return [event for event in self.attempts if event.token in own and event.outcome not in ("passed", "cancelled")]


def stories_of(
    plan: Plan,
    events: Iterable[AnyEvent],
    *,
    circuits: Mapping[str, Circuit],
    blob: Callable[[str], bytes],
) -> list[Story]:
    """Return what happened to each step of a run, in the order of the plan.

    Args:
        plan: What was run.
        events: All that happened.
        circuits: What is known of agents afterwards.
        blob: Gives stored bytes.
    """
    stories = {step.name: Story(step) for step in plan.steps}
    cancelled_by = ""
    for event in events:
        if isinstance(event, CancelRequested):
            cancelled_by = cancelled_by or event.who
        story = stories.get(getattr(event, "step", ""))
        if story is not None:
            story.events.append(event)
    for story in stories.values():
        story.cancelled_by = cancelled_by
        story.circuit = circuits.get(target_of(story.step.labels["agent"]), Circuit())
        last = story.attempts[-1] if story.attempts else None
        if last is not None and last.outcome != "passed" and "stdout" in last.artifacts:
            written = blob(last.artifacts["stdout"])[:_LARGEST_OUTPUT]
            story.stdout = written.decode("utf-8", "replace").removesuffix("\n")
    return list(stories.values())


def result_of(task: SpawnTask, story: Story, *, blocked: bool = False) -> SpawnResult:
    """Return what a task came to.

    Args:
        task: The task.
        story: What happened to it.
        blocked: Its agent was not asked at all, because of the caller's own breaker.
    """
    last = story.attempts[-1] if story.attempts else None
    failure = None if last is None else last.failure
    finished, policy = story.finished, story.step.policy
    passed = finished is not None and finished.outcome == "passed"
    fallback = blocked or story.fell_back
    left_alone = last is None and story.refusal is not None
    code = None if failure is None else failure.exit_code
    ended_us = story.events[-1].at_us if story.events else 0
    return SpawnResult(
        success=passed,
        output=str(last.output) if passed and last is not None else story.stdout,
        error=None if passed else _error(story, failure),
        exit_code=0 if passed else _NO_EXIT_CODE if code is None else code,
        fallback=fallback,
        original_agent=task.agent if fallback or left_alone else None,
        retry_count=0 if blocked else len(story.failed_attempts()),
        termination_reason=None if passed else _termination(failure),
        timeout_extended=last is not None and _extended(last, policy),
        execution_time=(ended_us - story.started_us) / 1e6 if story.started_us else 0.0,
    )


def failed(error: str, task: SpawnTask | None = None) -> SpawnResult:
    """Return the result of a task that was not begun."""
    agent = None if task is None else task.agent
    return SpawnResult(success=False, output="", error=error, exit_code=_NO_EXIT_CODE, original_agent=agent)


def metadata_of(
    tasks: Sequence[SpawnTask], stories: Sequence[Story | None], results: Sequence[SpawnResult], duration: float
) -> dict[str, Any]:
    """Return what is told of tasks carried out together, as a JSON object.

    Args:
        tasks: The tasks.
        stories: What happened to each; None: it was not begun.
        results: What each came to.
        duration: Of all of it [s].
    """
    told = [(index, task, story) for index, (task, story) in enumerate(zip(tasks, stories, strict=True)) if story]
    ends = [(index, task, end) for index, task, story in told for end in story.attempts if _termination(end.failure)]
    refusals = [(index, task, story, story.refusal) for index, task, story in told if story.refusal]
    return {
        "total_tasks": len(tasks),
        "failed_tasks": sum(not result.success for result in results),
        "fallback_count": sum(result.fallback for result in results),
        "early_terminations": [
            {
                **_about(index, task),
                "reason": _termination(end.failure),
                "detection_time_ms": round(end.duration * 1000),
            }
            for index, task, end in ends
        ],
        "retried_tasks": [
            {**_about(index, tasks[index]), "retries": result.retry_count}
            for index, result in enumerate(results)
            if result.retry_count
        ],
        "circuit_blocked": [
            {**_about(index, task), "reason": _circuit(story, refusal)} for index, task, story, refusal in refusals
        ],
        "heartbeat_metrics": [{**_about(index, task), **_heartbeat(story)} for index, task, story in told],
        "total_duration_ms": round(duration * 1000),
    }


def _extended(attempt: AttemptFinished, policy: Policy) -> bool:
    """Return whether an attempt went on beyond its timeout; one that was ended by it takes a moment to die."""
    if policy.extend_to is None or policy.timeout is None or attempt.duration <= policy.timeout:
        return False
    failure = attempt.failure
    return failure is None or not (failure.type == "Timeout" and failure.message.endswith(f" {policy.timeout:.6g} s"))


def _about(index: int, task: SpawnTask) -> dict[str, Any]:
    return {"agent_id": task.agent_id, "task_index": index}


def _heartbeat(story: Story) -> dict[str, Any]:
    """Return how often a task showed a sign of life, and how long its last attempt had shown none when it ended."""
    signs = [event for event in story.events if isinstance(event, AttemptStarted | AttemptProgressed)]
    ends = [event for event in story.events if isinstance(event, AttemptFinished | AttemptLost)]
    idle = (ends[-1].at_us - signs[-1].at_us) / 1e6 if signs and ends else 0.0
    elapsed = (ends[-1].at_us - story.started_us) / 1e6 if ends else 0.0
    return {"event_count": len(signs) + len(ends), "elapsed_s": elapsed, "idle_s": max(0.0, idle)}


def _error(story: Story, failure: Failure | None) -> str:
    finished = story.finished
    if finished is None:
        return "the run ended before the task did"
    if finished.outcome == "cancelled" and story.cancelled_by == "deadline":
        return GLOBAL_TIMEOUT
    if finished.outcome in ("cancelled", "skipped"):
        return finished.reason or finished.outcome
    if failure is not None:
        return _words(failure)
    if story.refusal is not None:
        return _circuit(story, story.refusal)
    return finished.reason or finished.outcome


def _words(failure: Failure) -> str:
    details = failure.details.strip()
    if details and failure.type in _OWN_WORDS:
        return details
    return "\n".join(filter(None, (failure.message or failure.type, details)))


def _termination(failure: Failure | None) -> str | None:
    if failure is None or failure.type not in _REASONS:
        return None
    limited = failure.type == "Pattern" and error_class(failure) == "rate_limit"
    return f"{'Rate limit' if limited else _REASONS[failure.type]}: {failure.message}"


def _circuit(story: Story, refusal: AttemptRefused) -> str:
    return circuit_open(len(story.circuit.failures_us), refusal.retry_after)
