"""The first event of a run: that it exists, and what it is to do."""

from __future__ import annotations

import msgspec

from podium.events import RunStarted
from podium.plan.graph import Plan
from podium.protocols import Clock, Journal, content_digest


def definition_of(plan: Plan) -> bytes:
    """Return a plan as it is stored with its run."""
    return msgspec.json.encode(plan)


def run_started(
    run: str, plan: Plan, *, definition: str, at_us: int, parent: str | None = None, engine: str = ""
) -> RunStarted:
    """Return the first event of a run.

    Args:
        run: Run id.
        plan: Its plan.
        definition: Digest of the stored plan.
        at_us: Wall time [us since the Unix epoch].
        parent: The run it reruns.
        engine: Process that conducts it; empty: none yet, the run is queued.
    """
    return RunStarted(
        at_us=at_us,
        run=run,
        work=plan.work,
        name=plan.name,
        definition=definition,
        steps=len(plan.steps),
        slots=plan.slots,
        seed=plan.seed,
        parent=parent,
        options=plan.options,
        engine=engine,
    )


def announce(run: str, plan: Plan, journal: Journal, clock: Clock) -> None:
    """Write down that a run is to be conducted, by whoever resumes it; from here on it is not lost.

    Raises:
        StoreError: It cannot be written.
    """
    definition = definition_of(plan)
    digest = content_digest(definition)
    journal.append(run, 1, [run_started(run, plan, definition=digest, at_us=clock.wall_us())], {digest: definition})
