"""Runs that are queued in the background by a command, and what became of them."""

from __future__ import annotations

import time

from podium.cli.output import say
from podium.events import outcome_word
from podium.plan.graph import Plan
from podium.server.background import enqueue, ensure_daemon
from podium.session import Session
from podium.sinks.tally import short_id
from podium.sinks.writing import how_long

_LOOK_EVERY = 0.2
"""How often queued runs are looked at while they are waited for [s]."""


def queue_layers(session: Session, plan: Plan, *, priority: int, timeout_min: float | None, retries: int) -> str:
    """Queue layers, say so, and return the run.

    Args:
        session: Whose store has the queue.
        plan: What to run.
        priority: Lower numbers begin first.
        timeout_min: Longest duration [min].
        retries: Runs more if it does not pass.
    """
    category = ",".join(dict.fromkeys(step.labels["category"] for step in plan.steps if "category" in step.labels))
    timeout = None if timeout_min is None else timeout_min * 60.0
    run = enqueue(session, plan, category=category, priority=priority, timeout=timeout, retries=retries, beside=True)
    ensure_daemon(session)
    say(f"queued {short_id(run)}: {plan.name} ({category})\nnext: podium status")
    return run


def wait_for(session: Session, runs: list[str], longest: float) -> None:
    """Wait until queued runs are over, but not longer than some seconds, and say what they came to."""
    deadline = time.monotonic() + longest
    for run in runs:
        while session.store.run(run).outcome is None and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        outcome = session.store.run(run).outcome
        said = outcome_word(outcome) if outcome else f"not over after {how_long(longest)}; podium status shows it"
        say(f"in the background: {short_id(run)} {said}")
