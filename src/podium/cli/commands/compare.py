"""`podium compare`: what changed from one run to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from podium.analysis.comparison import Change, CriterionChange, StepChange, compare
from podium.cli.options import format_option, known_store_option
from podium.cli.output import print_json
from podium.cli.words import numbered
from podium.errors import ExitCode, UsageError
from podium.session import Session
from podium.sinks.tally import short_id

_PREVIOUS = "previous"
_KINDS: tuple[Change, ...] = ("fixed", "broken", "added", "removed", "moved", "unchanged")


@click.command("compare")
@click.argument("baseline", default=_PREVIOUS)
@click.argument("current", default="latest")
@format_option("text", "json")
@known_store_option
def command(*, baseline: str, current: str, format_: str, store: Path | None) -> int:
    """What changed from the run BASELINE to the run CURRENT: verdicts, margins, durations.

    BASELINE may be `previous`, and is by default: the newest run before CURRENT that has the same name. CURRENT is
    `latest` by default.

    Exits 1 if something got worse: a case or a criterion that passed and does not any more.
    """
    if current == _PREVIOUS:
        raise UsageError("`previous` is a BASELINE, not a CURRENT", hint="write `podium compare previous RUN`")
    with Session.open(store) as session:
        after = session.store.run(current)
        before = session.store.previous(after) if baseline == _PREVIOUS else session.store.run(baseline)
        if before.id == after.id:
            raise UsageError(f"run {before.id} is compared with itself", hint="name an earlier run as BASELINE")
        old, new = session.store.steps(before.id), session.store.steps(after.id)
        if after.parent is not None:  # a rerun has only what it was to run
            chosen = {step.name for step in session.plan_of(after.id).steps}
            old = [step for step in old if step.name in chosen]
        found = compare(old, new)
    if format_ == "json":
        print_json(found)
    else:
        click.echo(f"{short_id(before.id)} {before.name} -> {short_id(after.id)} {after.name}")
        for step in found.steps:
            if _kind(step) != "unchanged":
                _print_step(step)
        click.echo(_summary(found.steps))
    return ExitCode.FAILED if found.has_regression else ExitCode.PASSED


def _kind(step: StepChange) -> Change:
    """Return what became of a step as people read it: any regression is called one."""
    return "regression" if step.regression else step.change


def _summary(steps: Sequence[StepChange]) -> str:
    counts = Counter(map(_kind, steps))
    parts = [numbered(counts["regression"], "regression"), *(f"{counts[k]} {k}" for k in _KINDS if counts[k])]
    return f"{', '.join(parts)} of {numbered(len(steps), 'case')}"


def _print_step(step: StepChange) -> None:
    click.echo(f"{_kind(step):<10}  {step.name}  {step.old_outcome or '-'} -> {step.new_outcome or '-'}")
    for criterion in step.criteria:
        click.echo(f"            {_criterion(criterion)}")
    if step.duration is not None and step.duration.slower:
        click.echo(f"            took {step.duration.new_s:.2f} s instead of {step.duration.old_s:.2f} s")


def _criterion(change: CriterionChange) -> str:
    text = change.name
    if change.old_outcome != change.new_outcome:
        text += f": {change.old_outcome or '-'} -> {change.new_outcome or '-'}"
    if change.delta is not None:
        text += f", margin {change.old_margin:.4g} -> {change.new_margin:.4g} ({change.delta:+.4g})"
    elif change.old_outcome is not None and change.new_outcome is not None:
        text += f", margin {_margin(change.old_margin)} -> {_margin(change.new_margin)}"
    return text


def _margin(margin: float | None) -> str:
    return "-" if margin is None else f"{margin:.4g}"
