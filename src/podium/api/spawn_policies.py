"""Tasks for agents, what they come to, and the policies by which they are carried out.

The classes here are what callers write; `SpawnPolicy.limits` makes the engine's own `podium.plan.policy.Policy` of
them, and the engine alone carries it out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from podium.executors.agent import TERMINATION_PATTERNS
from podium.plan.policy import Policy, Retry, RetryRule
from podium.plan.presets import PRESETS

DEFAULT_TIMEOUT = 300
"""Timeout of a task that says none [s]."""

_JITTER = 0.1
_PERMANENT = RetryRule(attempts=1, errors=("permanent",), jitter=_JITTER)


@dataclass
class SpawnTask:
    """One prompt for an agent.

    Attributes:
        prompt: What it is asked.
        agent: Which agent is asked; None: the tool's usual one.
        timeout: Longest duration of one attempt [s]. 300 counts as not said: a policy, if there is one, then decides.
        policy_name: Preset by which this task is carried out.
        display_name: What a person calls it.
    """

    prompt: str
    agent: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    policy_name: str | None = None
    display_name: str | None = None

    @property
    def agent_id(self) -> str:
        """The agent as metadata names it."""
        return self.agent or "llm"

    @property
    def title(self) -> str:
        """The task as a person is told of it."""
        return self.display_name or self.agent_id

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass
class SpawnResult:
    """What a task came to.

    Attributes:
        success: Whether it passed.
        output: What the tool wrote to standard output.
        error: Why it did not pass.
        exit_code: Of the tool; -1 if it has none.
        fallback: It was done without the agent.
        original_agent: The agent it was meant for, if it was not the one that did it.
        retry_count: How many attempts of the agent did not pass.
        termination_reason: Why the tool was ended, if it did not end by itself.
        timeout_extended: It went on beyond its timeout because it was active.
        execution_time: From its first attempt to its end, with all waits [s].
    """

    success: bool
    output: str
    error: str | None
    exit_code: int
    fallback: bool = False
    original_agent: str | None = None
    retry_count: int = 0
    termination_reason: str | None = None
    timeout_extended: bool = False
    execution_time: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after which waits something is tried.

    A rate limit is tried again like anything else that may pass, after the wait the tool asked for if that is longer;
    in this the documented recovery rules are followed, not the documented retry rules, which gave up.

    Attributes:
        max_attempts: How many attempts in all.
        strategy: How waits grow. A run cannot wait in the way `linear`, of which only `delay` knows.
        base_delay: First wait [s].
        max_delay: Longest wait [s].
        backoff_factor: Growth of the waits.
        jitter: Waits vary by a tenth.
        retry_on_timeout: Whether a timeout is tried again.
        circuit_breaker_enabled: Whether an agent that keeps failing is left alone for a while.
    """

    max_attempts: int = 3
    strategy: Literal["exponential", "linear", "fixed", "immediate"] = "exponential"
    base_delay: float = 1.0
    max_delay: float = 60.0
    backoff_factor: float = 2.0
    jitter: bool = True
    retry_on_timeout: bool = True
    circuit_breaker_enabled: bool = True

    def delay(self, n: int) -> float:
        """Return a wait after n failures before the last one, from 0 [s].

        Within a tenth of the nominal one; a run draws its own from its seed, up to a tenth below the nominal one.
        """
        spread = random.uniform(1 - _JITTER, 1 + _JITTER) if self.jitter else 1.0  # noqa: S311 (nothing secret)
        try:
            nominal = _NOMINAL[self.strategy](self, n)
        except OverflowError:
            nominal = self.max_delay
        return min(self.max_delay, min(self.max_delay, nominal) * spread)

    def should_retry(self, n: int, error_type: str | None = None) -> tuple[bool, str]:
        """Return whether there is another attempt after n, and if not, why.

        Args:
            n: How many attempts there were.
            error_type: Why the last one did not pass.
        """
        if n >= self.max_attempts:
            return False, f"Max attempts ({self.max_attempts}) reached"
        if error_type == "timeout" and not self.retry_on_timeout:
            return False, "Retry on timeout disabled"
        return True, ""

    def rules(self) -> Retry:
        """Return it as the engine's rules.

        Raises:
            ValueError: The strategy is `linear`.
        """
        if self.strategy == "linear":
            raise ValueError("a run waits `exponential`, `fixed` or `immediate`, not `linear`")
        return Retry(
            attempts=max(1, self.max_attempts),
            outcomes=("failed", "errored", "timed_out") if self.retry_on_timeout else ("failed", "errored"),
            rules=(_PERMANENT,),
            initial=0.0 if self.strategy == "immediate" else self.base_delay,
            maximum=self.max_delay,
            exponent=self.backoff_factor if self.strategy == "exponential" else 1.0,
            jitter=_JITTER if self.jitter else 0.0,
        )


_NOMINAL: dict[str, Callable[[RetryPolicy, int], float]] = {
    "exponential": lambda policy, n: policy.base_delay * policy.backoff_factor**n,
    "linear": lambda policy, n: policy.base_delay * (1 + policy.backoff_factor * n),
    "fixed": lambda policy, _n: policy.base_delay,
    "immediate": lambda _policy, _n: 0.0,
}


@dataclass(frozen=True)
class TimeoutPolicy:
    """How long one attempt may take.

    Attributes:
        mode: `fixed`: `timeout`. `progressive`: `initial_timeout`, and while it is active up to `max_timeout`.
        timeout: Longest duration [s].
        initial_timeout: Duration from which on it has to be active [s].
        max_timeout: Longest duration however active it is [s].
        extension_threshold: It is active if it wrote something this recently [s].
        no_activity_timeout: Longest time without a line of output; None: no limit [s].
    """

    mode: Literal["fixed", "progressive"] = "progressive"
    timeout: float = DEFAULT_TIMEOUT
    initial_timeout: float = 60.0
    max_timeout: float = 300.0
    extension_threshold: float = 10.0
    no_activity_timeout: float | None = None

    @property
    def longest(self) -> float:
        """The longest duration of one attempt [s]."""
        return self.timeout if self.mode == "fixed" else self.max_timeout

    def within(self, longest: float) -> TimeoutPolicy:
        """Return the same with another longest duration [s]."""
        initial = min(self.initial_timeout, longest)
        return replace(self, timeout=longest, max_timeout=longest, initial_timeout=initial)


@dataclass(frozen=True)
class SpawnPolicy:
    """By which rules a task is carried out.

    Attributes:
        name: What a person calls it.
        timeout_policy: How long an attempt may take.
        retry_policy: How often it is tried.
        stop_on: Regular expressions that end an attempt when found in a line of its standard error.
    """

    name: str = "custom"
    timeout_policy: TimeoutPolicy = field(default_factory=TimeoutPolicy)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    stop_on: tuple[str, ...] = TERMINATION_PATTERNS

    @classmethod
    def from_name(cls, preset: str) -> SpawnPolicy:
        """Return a preset: `default`, `production`, `fast_fail`, `patient`, `development` or `test`.

        Raises:
            ValueError: There is no such preset.
        """
        if preset not in PRESETS:
            raise ValueError(f"Unknown policy preset: {preset!r} (there are {', '.join(PRESETS)})")
        policy = PRESETS[preset]
        assert policy.timeout is not None
        longest = policy.extend_to or policy.timeout
        timeouts = TimeoutPolicy(
            mode="progressive" if policy.extend_to else "fixed",
            timeout=longest,
            initial_timeout=policy.timeout,
            max_timeout=longest,
            extension_threshold=policy.active_within,
            no_activity_timeout=policy.silence_timeout,
        )
        again = policy.retry
        retries = RetryPolicy(
            max_attempts=again.attempts,
            strategy="exponential" if again.attempts > 1 else "immediate",
            base_delay=again.initial,
            max_delay=again.maximum,
            backoff_factor=again.exponent,
            retry_on_timeout=preset != "fast_fail",
            circuit_breaker_enabled=preset not in ("development", "test"),
        )
        return cls(preset, timeouts, retries, () if preset == "development" else TERMINATION_PATTERNS)

    def limits(self, task: SpawnTask, max_retries: int | None = None) -> Policy:
        """Return the engine's policy for a task.

        Args:
            task: Its own timeout, if it says one, is the longest duration of an attempt.
            max_retries: How often it is tried again; None: as the policy says.

        Raises:
            ValueError: The timeout is not above 0, or the strategy is one a run cannot follow.
        """
        timeouts = self.timeout_policy
        if task.timeout != DEFAULT_TIMEOUT:
            timeouts = timeouts.within(task.timeout)
        if not timeouts.longest > 0:
            raise ValueError(f"timeout must be above 0 s, not {timeouts.longest:g} s")
        attempts = self.retry_policy.max_attempts if max_retries is None else max_retries + 1
        progressive = timeouts.mode == "progressive"
        return Policy(
            timeout=timeouts.initial_timeout if progressive else timeouts.timeout,
            extend_to=timeouts.max_timeout if progressive else None,
            active_within=timeouts.extension_threshold,
            silence_timeout=timeouts.no_activity_timeout,
            retry=replace(self.retry_policy, max_attempts=attempts).rules(),
        )


ONCE = SpawnPolicy("once", TimeoutPolicy("fixed"), RetryPolicy(1, "immediate", circuit_breaker_enabled=False))
"""One attempt, for as long as the task says."""
