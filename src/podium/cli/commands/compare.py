"""`podium compare`: what changed from one run to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from podium.analysis.comparison import CriterionChange, StepChange, compare
from podium.analysis.test_changes import ChangeOfTest, TestChange, compare_tests
from podium.cli.options import format_option, known_store_option
from podium.cli.output import print_json
from podium.cli.words import counts_in_words, numbered
from podium.errors import ExitCode, UsageError
from podium.session import Session
from podium.sinks.tally import FAILING, short_id
from podium.sinks.writing import printable

_PREVIOUS = "previous"
_TOLD: tuple[ChangeOfTest, ...] = ("newly_failing", "still_failing", "fixed")
"""Changes of tests that are shown one by one; others are counted."""
_KINDS = ("fixed", "still failing", "not passed", "added", "removed", "moved", "unchanged")
"""What may have become of a step besides a regression, see `_kind`."""


@click.command("compare")
@click.argument("baseline", default=_PREVIOUS)
@click.argument("current", default="latest")
@format_option("text", "json")
@known_store_option
def command(*, baseline: str, current: str, format_: str, store: Path | None) -> int:
    """What changed from the run BASELINE to the run CURRENT: verdicts, margins, durations, single tests.

    BASELINE may be `previous`, and is by default: the newest run before CURRENT that has the same name. CURRENT is
    `latest` by default.

    Exits 1 if something got worse: a case or a criterion that passed and does not any more, or a test that fails and
    did not before.
    """
    if current == _PREVIOUS:
        raise UsageError("`previous` is a BASELINE, not a CURRENT", hint="write `podium compare previous RUN`")
    with Session.open(store) as session:
        after = session.store.run(current)
        before = session.store.previous(after) if baseline == _PREVIOUS else session.store.run(baseline)
        if before.id == after.id:
            raise UsageError(f"run {before.id} is compared with itself", hint="name an earlier run as BASELINE")
        old, new = session.store.steps(before.id), session.store.steps(after.id)
        old_tests, new_tests = session.store.results_of(before.id), session.store.results_of(after.id)
        if after.parent is not None:  # a rerun has only what it was to run
            chosen = {step.name for step in session.plan_of(after.id).steps}
            old = [step for step in old if step.name in chosen]
            old_tests = {place: result for place, result in old_tests.items() if place in new_tests}
        found = compare(old, new)
        tests = compare_tests(old_tests, new_tests)
    is_worse = found.has_regression or tests.has_regression
    if format_ == "json":
        print_json({"steps": found.steps, "has_regression": is_worse, "tests": tests})
    else:
        click.echo(f"{short_id(before.id)} {before.name} -> {short_id(after.id)} {after.name}")
        for step in found.steps:
            if _kind(step) != "unchanged":
                _print_step(step)
        for test in tests.changes:
            if test.change in _TOLD:
                _print_test(test)
        click.echo(_summary(found.steps))
        if tests.counts:
            click.echo(f"tests: {counts_in_words(tests.counts)}")
    return ExitCode.FAILED if is_worse else ExitCode.PASSED


def _kind(step: StepChange) -> str:
    """Return what became of a step as people read it: any regression is called one, and what failed twice fails."""
    if step.regression or step.change != "broken":
        return "regression" if step.regression else step.change
    return "still failing" if {step.old_outcome, step.new_outcome} <= FAILING else "not passed"


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


def _print_test(test: TestChange) -> None:
    outcomes = f"{test.old_outcome or '-'} -> {test.new_outcome or '-'}"
    click.echo(f"{test.change.replace('_', ' '):<14}{test.step}  {printable(test.id)}  {outcomes}")
    if test.message:
        click.echo(f"              {printable(test.message)}")


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
