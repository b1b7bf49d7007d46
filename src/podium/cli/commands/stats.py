"""`podium stats`: what many runs say together."""

from __future__ import annotations

from pathlib import Path

import click

from podium.analysis.statistics import summarise
from podium.cli.options import format_option, known_store_option
from podium.cli.output import print_json, print_table, say
from podium.cli.words import counts_in_words, no_runs
from podium.session import Session


@click.command("stats")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Over how many runs.")
@click.option("--name", help="Only runs of this name.")
@format_option("text", "json")
@known_store_option
def command(*, limit: int, name: str | None, format_: str, store: Path | None) -> int:
    """Pass rates, durations and flaky cases over the latest runs."""
    with Session.open(store) as session:
        runs = session.store.runs(limit, name=name)
        steps = [step for row in runs for step in session.store.steps(row.id)]
    found = summarise(runs, steps)
    if format_ == "json":
        print_json(found)
        return 0
    if not runs:
        say(no_runs(name))
        return 0
    click.echo(f"runs   {len(runs)}  {counts_in_words(found.runs)}".rstrip())
    click.echo(f"cases  {sum(found.cases.values())}  {100 * found.pass_rate:.1f} % passed")
    if found.flaky:
        click.echo(f"flaky  {', '.join(found.flaky)}")
    click.echo("")
    print_table(
        ("CASE", "RUNS ", "PASSED ", "LAST", "MEDIAN S ", "P95 S "),
        (
            (case.name, case.runs, case.passed, case.last_outcome, case.median_s, case.p95_s)
            for case in found.by_case
        ),
    )
    return 0
