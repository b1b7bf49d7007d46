"""`podium plan`: what `podium run` would do."""

from __future__ import annotations

from typing import Any

import click

from podium.cli.campaigns import campaign_options, planned, print_plan
from podium.cli.options import format_option


@click.command("plan")
@campaign_options
@format_option("text", "json")
def command(*, format_: str, **asked: Any) -> int:
    """Check scenarios and print what would run; exits 2 if a file is invalid."""
    campaign = planned(**asked, strict=False)
    print_plan(campaign, format_)
    return 2 if campaign.invalid else 0
