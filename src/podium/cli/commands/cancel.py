"""`podium cancel`: end a run from elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.options import known_store_option, run_argument
from podium.cli.telling import tell, who
from podium.messages import Cancel


@click.command("cancel")
@run_argument
@click.option("--why", default="cancelled by hand", show_default=True, help="For the record.")
@click.option("--no-compensate", is_flag=True, help="Leave what was done as it is.")
@known_store_option
def command(*, run: str, why: str, no_compensate: bool, store: Path | None) -> int:
    """Ask RUN to end: nothing new starts, what is under way is asked to stop, and what was done is undone.

    `podium kill` ends everything at once.
    """
    return tell(run, Cancel(who(), why, compensate=not no_compensate), store)
