"""`podium stats`: what many runs say together."""

from __future__ import annotations

from pathlib import Path

import click

from podium.analysis.bottlenecks import bottlenecks
from podium.analysis.flaky import flaky_tests
from podium.analysis.statistics import summarise
from podium.analysis.workflows import workflow_statistics
from podium.cli.options import format_option, known_store_option
from podium.cli.output import print_json, print_table, say
from podium.cli.words import counts_in_words, local_time, no_runs, numbered
from podium.errors import UsageError
from podium.history import FLAKY_SIGN, SIGNS
from podium.session import Session
from podium.sinks.tally import short_id
from podium.sinks.writing import how_long, printable

_RECENT = 20
"""Of how many runs of a test the outcome is shown one by one."""


@click.command("stats")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Over how many runs.")
@click.option("--name", help="Only runs of this name.")
@click.option("--workflow", metavar="NAME", help="Rates of one workflow, and where the time of its last run went.")
@click.option("--flaky", is_flag=True, help="Tests that both passed and failed of late, the least reliable first.")
@format_option("text", "json")
@known_store_option
def command(
    *, limit: int, name: str | None, workflow: str | None, flaky: bool, format_: str, store: Path | None
) -> int:
    """Pass rates, durations and flaky cases over the latest runs; or flaky tests, with --flaky."""
    if flaky:
        if name is not None or workflow is not None:
            raise UsageError("--flaky is over all runs", hint="leave out --name and --workflow")
        return _show_flaky(format_, store)
    if workflow is not None:
        if name is not None:
            raise UsageError("--name and --workflow exclude each other", hint="leave out one of them")
        return _show_workflow(workflow, limit, format_, store)
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
        ((case.name, case.runs, case.passed, case.last_outcome, case.median_s, case.p95_s) for case in found.by_case),
    )
    return 0


def _show_flaky(format_: str, store: Path | None) -> int:
    with Session.open(store) as session:
        found = flaky_tests(session.store.test_rows(troubled=True))
    if format_ == "json":
        print_json(found)
        return 0
    if not found:
        say("no test has passed and failed of late")
        return 0
    several = len({test.origin for test in found}) > 1
    print_table(
        ("FAILED ", "FLIPS ", "LAST FAILED", "RECENT", "TEST"),
        (
            (
                f"{100 * test.failure_rate:.0f} %",
                test.flips,
                local_time(test.last_bad_us) if test.last_bad_us else None,
                test.recent[-_RECENT:],
                printable(f"{test.origin or '.'}: {test.id}" if several else test.id),
            )
            for test in found
        ),
    )
    signs = ", ".join(f"{sign} {outcome.replace('_', ' ')}" for outcome, sign in SIGNS.items())
    click.echo(f"\n{signs}, {FLAKY_SIGN} passed when it was tried again")
    return 0


def _show_workflow(name: str, limit: int, format_: str, store: Path | None) -> int:
    with Session.open(store) as session:
        runs = session.store.runs(limit, work="workflow", name=name)
        if not runs:
            say(no_runs(name))
            return 0
        steps = {row.id: session.store.steps(row.id) for row in runs}
        last = next((row for row in runs if row.outcome == "passed"), runs[0])
        earlier = [step for row in runs if row.started_us < last.started_us for step in steps[row.id]]
        times = bottlenecks(session.plan_of(last.id), session.store.read(last.id), earlier)
    found = workflow_statistics(name, runs, [step for row in runs for step in steps[row.id]])
    if format_ == "json":
        print_json({"statistics": found, "run": last.id, "bottlenecks": times})
        return 0
    click.echo(f"workflow  {name}")
    click.echo(
        f"runs      {found.runs}  {_percent(found.success_rate)} passed, {_percent(found.compensation_rate)} undone"
    )
    click.echo(f"steps     {_percent(found.retry_rate)} tried again")
    if found.mean_s is not None and found.p95_s is not None:
        click.echo(f"took      {how_long(found.mean_s)} on average, p95 {how_long(found.p95_s)}, of those that passed")
    if found.compensation_failures:
        click.echo(f"warning   {numbered(found.compensation_failures, 'run')} could not be undone completely")
    click.echo(f"\nrun {short_id(last.id)}: {how_long(times.duration_s)}, of which {how_long(times.critical_s)} on the")
    click.echo(f"critical path {' -> '.join(times.critical_path)}\n")
    print_table(
        ("STEP", "RAN ", "WAITED ", "SLACK ", "SHARE ", "MEAN BEFORE ", "P95 "),
        (
            (
                step.times.name,
                how_long(step.times.running_s),
                how_long(step.times.waiting_s),
                how_long(step.slack_s),
                f"{100 * step.share:.0f} %" if step.is_critical else None,
                None if step.mean_s is None else how_long(step.mean_s),
                None if step.p95_s is None else how_long(step.p95_s),
            )
            for step in times.steps
        ),
    )
    for suggestion in times.suggestions:
        click.echo(f"\n{suggestion}")
    return 0


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"
