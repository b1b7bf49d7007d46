"""`podium compare`: what changed from one run to another."""

from __future__ import annotations

from pathlib import Path

import click

from podium.analysis.comparison import CriterionChange, StepChange, compare
from podium.cli.options import format_option, known_store_option
from podium.cli.output import print_json
from podium.cli.words import numbered
from podium.errors import ExitCode, UsageError
from podium.session import Session
from podium.sinks.tally import short_id


@click.command("compare")
@click.argument("baseline")
@click.argument("current", default="latest")
@format_option("text", "json")
@known_store_option
def command(*, baseline: str, current: str, format_: str, store: Path | None) -> int:
    """What changed from the run BASELINE to the run CURRENT: verdicts, margins, durations.

    Exits 1 if something got worse: a case or a criterion that passed and does not any more.
    """
    with Session.open(store) as session:
        before, after = session.store.run(baseline), session.store.run(current)
        if before.id == after.id:
            raise UsageError(f"run {before.id} is compared with itself", hint="name an earlier run as BASELINE")
        found = compare(session.store.steps(before.id), session.store.steps(after.id))
    if format_ == "json":
        print_json(found)
    else:
        click.echo(f"{short_id(before.id)} {before.name} -> {short_id(after.id)} {after.name}")
        changed = [step for step in found.steps if _is_worth_a_line(step)]
        for step in changed:
            _print_step(step)
        same = len(found.steps) - len(changed)
        click.echo(f"{same} of {numbered(len(found.steps), 'case')} unchanged" if same else "no case is unchanged")
    return ExitCode.FAILED if found.has_regression else ExitCode.PASSED


def _is_worth_a_line(step: StepChange) -> bool:
    slower = step.duration is not None and step.duration.slower
    moved = any(change.delta for change in step.criteria)
    return step.change != "unchanged" or slower or moved or any(c.regression for c in step.criteria)


def _print_step(step: StepChange) -> None:
    click.echo(f"{step.change:<10}  {step.name}  {step.old_outcome or '-'} -> {step.new_outcome or '-'}")
    for criterion in step.criteria:
        if criterion.delta or criterion.old_outcome != criterion.new_outcome:
            click.echo(f"            {_criterion(criterion)}")
    if step.duration is not None and step.duration.slower:
        click.echo(f"            took {step.duration.new_s:.2f} s instead of {step.duration.old_s:.2f} s")


def _criterion(change: CriterionChange) -> str:
    text = change.name
    if change.old_outcome != change.new_outcome:
        text += f": {change.old_outcome or '-'} -> {change.new_outcome or '-'}"
    if change.delta is not None:
        text += f", margin {change.old_margin:.4g} -> {change.new_margin:.4g} ({change.delta:+.4g})"
    return text
