"""`podium why`: what a step waits for, or why it came to what it came to."""

from __future__ import annotations

import time
from pathlib import Path

import click

from podium.cli.options import format_option, known_store_option
from podium.cli.output import print_json
from podium.engine.why import why
from podium.errors import UsageError
from podium.session import Session


@click.command("why")
@click.argument("run")
@click.argument("step")
@format_option("text", "json")
@known_store_option
def command(*, run: str, step: str, format_: str, store: Path | None) -> int:
    """Say what STEP of RUN is waiting for; of a step that is done, why it came to what it came to."""
    with Session.open(store) as session:
        row = session.store.run(run)
        plan = session.plan_of(row.id)
        try:
            reasons = why(plan, session.store.read(row.id), step, time.time_ns() // 1000)
        except KeyError:
            from podium.model.findings import did_you_mean  # noqa: PLC0415

            hint = did_you_mean(step, [known.name for known in plan.steps], what="steps")
            raise UsageError(f"the run has no step `{step}`", code="U414", hint=hint) from None
    if format_ == "json":
        print_json({"run": row.id, "step": step, "reasons": reasons})
    else:
        for number, reason in enumerate(reasons):
            click.echo(f"{step}: {reason}" if not number else f"  {reason}")
    return 0
