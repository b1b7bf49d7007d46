"""`podium approve`: answer a step that waits for an approval."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.options import known_store_option
from podium.cli.telling import tell, who
from podium.engine.waiting import APPROVAL
from podium.messages import Signal


@click.command("approve")
@click.argument("run")
@click.argument("step")
@click.option("--reject", is_flag=True, help="Say no: the step fails.")
@click.option("--comment", default="", help="For the record.")
@known_store_option
def command(*, run: str, step: str, reject: bool, comment: str, store: Path | None) -> int:
    """Approve STEP of RUN, which waits for it."""
    payload = {"approved": not reject, "comment": comment}
    return tell(run, Signal(APPROVAL + step, payload, who()), store)
