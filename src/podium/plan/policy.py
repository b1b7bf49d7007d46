"""What the engine does about an attempt that does not simply pass: limits, retries, breaker, fallback, compensation.

All of it is data: a policy is part of the plan, is stored with it, and is carried out by the engine alone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from podium.events import Outcome
from podium.protocols import Work


class Value(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Base of everything a plan is made of."""


class Backoff(Value, frozen=True):
    """How long to wait before another attempt.

    The delay after the n-th failure is drawn from `[(1 - jitter) d, d]`, `d = min(maximum, initial * exponent**(n-1))`.

    Attributes:
        initial: First delay [s].
        maximum: Longest delay [s].
        exponent: Growth from one delay to the next.
        jitter: 0 (none) .. 1 (full jitter).
    """

    initial: float = 1.0
    maximum: float = 60.0
    exponent: float = 2.0
    jitter: float = 1.0


class RetryRule(Backoff, frozen=True):
    """What to do about failures of one kind. Everything that is given has to fit.

    Attributes:
        attempts: How many attempts may end this way, the last of which is final; 1: such a failure is final at once.
        outcomes: One of these outcomes; empty: any.
        errors: One of these error classes (`rate_limit`, `timeout`, …) or types (`ConnectionError`); empty: any.
        exit_codes: One of these exit codes; empty: any.
        pattern: A regular expression found in the failure's message or details; empty: any.
        when: An expression over `error`; empty: any.
    """

    attempts: int = 1
    outcomes: tuple[Outcome, ...] = ()
    errors: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = ()
    pattern: str = ""
    when: str = ""


class Retry(Backoff, frozen=True):
    """When and how a step is tried again.

    The first rule that fits a failure decides; if none does, outcomes among `outcomes` are tried again.

    Attributes:
        attempts: How many attempts in all, at least 1.
        outcomes: Outcomes that are tried again if no rule fits.
        rules: Rules, in order, each with a counter of its own.
        budget: How long after the first attempt began another one may still begin [s].
    """

    attempts: int = 1
    outcomes: tuple[Outcome, ...] = ("failed", "errored", "timed_out")
    rules: tuple[RetryRule, ...] = ()
    budget: float | None = None


class Breaker(Value, frozen=True):
    """When a target that keeps failing is left alone for a while, by all runs of a store.

    Attributes:
        target: What is protected: a service, an agent, a machine.
        failures: So many failures within the window open the circuit.
        window: How long a failure counts [s].
        reset: How long the circuit stays open before one attempt may probe the target [s].
    """

    target: str
    failures: int = 2
    window: float = 300.0
    reset: float = 120.0


class Policy(Value, frozen=True):
    """Limits and retries of one step.

    Attributes:
        timeout: Longest duration of one attempt [s].
        extend_to: The attempt may go on beyond `timeout`, up to this, while it is active [s].
        active_within: An attempt is active if it showed a sign of life this recently [s].
        silence_timeout: Longest time without a sign of life of a running attempt [s].
        queue_timeout: Longest time from being ready to the start of the first attempt [s].
        total_timeout: Longest time from being ready to the step's outcome, with all attempts and waits [s].
        grace: From being asked to stop to being killed [s].
        retry: When it is tried again.
        losses: How many workers may be lost over this step before it counts as errored.
        cache: Take the result of an identical step that passed before, if there is one.
    """

    timeout: float | None = None
    extend_to: float | None = None
    active_within: float = 10.0
    silence_timeout: float | None = None
    queue_timeout: float | None = None
    total_timeout: float | None = None
    grace: float = 5.0
    retry: Retry = Retry()
    losses: int = 3
    cache: bool = False


class Fallback(Value, frozen=True):
    """What is done instead when the step's policy has given up on the work before.

    Attributes:
        name: What a person calls it.
        work: What to do.
        retry: When it is tried again.
        breaker: Protects its target.
    """

    name: str
    work: Work
    retry: Retry = Retry()
    breaker: Breaker | None = None


class Compensation(Value, frozen=True):
    """What undoes a step.

    Attributes:
        work: What to do.
        policy: Its own limits and retries.
        on: `passed`: only if the step passed. `attempted`: as soon as it may have had an effect.
    """

    work: Work
    policy: Policy = Policy()
    on: Literal["passed", "attempted"] = "passed"


FailFast = Literal["", "pending", "running", "run"]


class Group(Value, frozen=True):
    """Steps with something in common: their pace, their time, their fate. One that waits for its group holds no slot.

    Attributes:
        stagger: Least time from one start to the next [s].
        starts: So many starts at most within `per`; 0: no limit.
        per: Window of `starts` [s].
        budget: Longest time from the first start of one of them; then those under way are stopped and count as timed
            out, and the others are skipped. While no process works on the run, none of it is used [s].
        fail_fast: When one of them does not pass: `pending` skips those that have not begun, `running` also stops those
            that have, and `run` does so in all groups that say `run`.
        fail_fast_if: An expression over `result`, the output of the one that did not pass; unless it is true, no others
            end.
    """

    stagger: float = 0.0
    starts: int = 0
    per: float = 1.0
    budget: float | None = None
    fail_fast: FailFast = ""
    fail_fast_if: str = ""
