"""`podium run`: a campaign of scenarios, a workflow, or a checklist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from podium.cli.campaigns import campaign_options, planned, print_plan
from podium.cli.options import format_option, store_option
from podium.cli.output import ensure_writable, say, sinks_for
from podium.cli.workflows import (
    WORKFLOW_PARAMETERS,
    Kind,
    kind_of,
    planned_workflow,
    print_workflow,
    refuse_options,
    tick_passed,
    workflow_options,
)
from podium.errors import ExitCode, UsageError


@click.command("run")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@campaign_options
@workflow_options
@click.option("--strict", is_flag=True, help="Stop before running if a file is invalid or has a warning.")
@click.option("--dry-run", is_flag=True, help="Check the files and print the plan; nothing runs.")
@click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit XML to this file.")
@click.option("--campaign-json", type=click.Path(path_type=Path), help="Also write campaign JSON to this folder.")
@click.option("-v", "--verbose", is_flag=True, help="Say everything about what did not pass.")
@format_option("text", "json", "jsonl")
@store_option
@click.pass_context
def command(
    context: click.Context,
    *,
    strict: bool,
    dry_run: bool,
    junit: Path | None,
    campaign_json: Path | None,
    verbose: bool,
    format_: str,
    store: Path | None,
    **asked: Any,
) -> int:
    """Run scenarios, files and folders searched for .yaml and .yml; or one workflow; or one checklist (.md).

    An invalid file is an errored case, and the others run; if all are invalid, or with --strict, nothing runs.

    Exit codes: 0 all passed, 1 some did not, 2 wrong usage or invalid files, 4 nothing to run, 5 the machine lacks
    something, 130 interrupted.

    \b
    podium run scenarios
    podium run scenarios --sweep recovery=none,safe_mode --seeds 1..20 --parallel 4
    podium run one.yaml --set duration=5min --speed 100
    podium run order.yaml --input amount=3
    podium run tasks.md --tick
    """  # noqa: D301 (click keeps the lines after this character as they are)
    kind = kind_of(asked["paths"])
    refuse_options(context, kind)
    if kind == "layers":
        hint = f"podium test --config {asked['paths'][0]}"
        raise UsageError(f"`{asked['paths'][0]}` has layers of tests, which `podium test` runs", hint=hint)
    if kind != "campaign":
        return _run_workflow(kind, context, asked, sinks=(format_, junit, verbose), dry_run=dry_run, store=store)
    for name in WORKFLOW_PARAMETERS:
        del asked[name]
    if campaign_json is not None:
        ensure_writable(campaign_json, folder=True)
    campaign = planned(**asked, strict=strict)
    if dry_run:
        print_plan(campaign, format_)
        return ExitCode.USAGE if campaign.invalid else ExitCode.PASSED
    from podium.cli.campaigns import write_campaign_json  # noqa: PLC0415
    from podium.session import Session  # noqa: PLC0415

    with Session.open(store) as session:
        summary = session.run(campaign.plan, sinks=sinks_for(format_, junit=junit, verbose=verbose))
        if campaign_json is not None:
            say(f"wrote {write_campaign_json(session, summary.run, campaign_json)}")
    return summary.exit_code


def _run_workflow(
    kind: Kind,
    context: click.Context,
    asked: dict[str, Any],
    *,
    sinks: tuple[str, Path | None, bool],
    dry_run: bool,
    store: Path | None,
) -> int:
    format_, junit, verbose = sinks
    path = asked["paths"][0]
    plan = planned_workflow(path, kind, context, **asked)
    if dry_run:
        print_workflow(plan, format_)
        return ExitCode.PASSED
    from podium.session import Session  # noqa: PLC0415

    with Session.open(store) as session:
        summary = session.run(plan, sinks=sinks_for(format_, junit=junit, verbose=verbose))
        if asked["tick"]:
            tick_passed(session, summary.run, plan, path)
    return summary.exit_code
