"""`podium plan`: what `podium run` would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from podium.cli.campaigns import campaign_options, planned, print_plan
from podium.cli.options import format_option
from podium.cli.test_options import CHOICE_PARAMETERS, choice_options
from podium.cli.workflows import (
    WORKFLOW_PARAMETERS,
    kind_of,
    planned_workflow,
    print_workflow,
    refuse_options,
    workflow_options,
)
from podium.errors import UsageError


@click.command("plan")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@campaign_options
@workflow_options
@choice_options
@format_option("text", "json")
@click.pass_context
def command(context: click.Context, *, format_: str, **asked: Any) -> int:
    """Check scenarios, a workflow, a checklist or layers, and print what would run; exits 2 if a file is invalid.

    Without PATHS, or with options that choose layers, the layers of the project are planned: see `podium test`.
    """
    choice = {name: asked.pop(name) for name in CHOICE_PARAMETERS}
    kind = kind_of(asked["paths"]) if asked["paths"] else "layers"
    refuse_options(context, kind)
    if kind == "layers":
        return _plan_layers(choice, asked["paths"], format_)
    for parameter in context.command.params:
        if choice.get(parameter.name):
            raise UsageError(f"{parameter.opts[0]} means nothing without layers", hint="leave it out")
    if kind != "campaign":
        print_workflow(planned_workflow(asked["paths"][0], kind, context, **asked), format_)
        return 0
    for name in WORKFLOW_PARAMETERS:
        del asked[name]
    campaign = planned(**asked, strict=False)
    print_plan(campaign, format_)
    return 2 if campaign.invalid else 0


def _plan_layers(choice: dict[str, Any], paths: tuple[Path, ...], format_: str) -> int:
    from podium.cli.layers import (  # noqa: PLC0415 (only for layers)
        background_wanted,
        find_project,
        planned_layers,
        print_layers,
    )

    if paths and choice["config"]:
        raise UsageError(f"--config has no effect with {paths[0]}", hint="name the layers once; leave one of them out")
    project = find_project(paths[0] if paths else choice["config"])
    asked = {**choice, "allow_prod": True, "with_background": background_wanted(choice)}
    print_layers(project, planned_layers(project, asked), format_)
    return 0
