"""`podium plan`: what `podium run` would do."""

from __future__ import annotations

from typing import Any

import click

from podium.cli.campaigns import campaign_options, planned, print_plan
from podium.cli.options import format_option
from podium.cli.workflows import (
    WORKFLOW_PARAMETERS,
    kind_of,
    planned_workflow,
    print_workflow,
    refuse_options,
    workflow_options,
)


@click.command("plan")
@campaign_options
@workflow_options
@format_option("text", "json")
@click.pass_context
def command(context: click.Context, *, format_: str, **asked: Any) -> int:
    """Check scenarios, a workflow or a checklist, and print what would run; exits 2 if a file is invalid."""
    kind = kind_of(asked["paths"])
    refuse_options(context, kind)
    if kind != "campaign":
        print_workflow(planned_workflow(asked["paths"][0], kind, context, **asked), format_)
        return 0
    for name in WORKFLOW_PARAMETERS:
        del asked[name]
    campaign = planned(**asked, strict=False)
    print_plan(campaign, format_)
    return 2 if campaign.invalid else 0
