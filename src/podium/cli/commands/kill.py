"""`podium kill`: end a run at once."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.options import known_store_option, run_argument
from podium.cli.telling import tell, who
from podium.messages import Cancel


@click.command("kill")
@run_argument
@click.option("--why", default="killed by hand", show_default=True, help="For the record.")
@known_store_option
def command(*, run: str, why: str, store: Path | None) -> int:
    """End RUN at once: what is under way is killed, nothing is undone, nothing is torn down.

    A queued RUN is taken out of the queue. `podium cancel` ends a run in good order.
    """
    return tell(run, Cancel(who(), why, force=True, compensate=False), store)
