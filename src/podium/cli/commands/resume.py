"""`podium resume`: the same run goes on."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.options import format_option, known_store_option
from podium.cli.output import sinks_for
from podium.session import Session


@click.command("resume")
@click.argument("run", required=False)
@click.option("--take-over", is_flag=True, help="Even if it seems to be running, such as on a machine that is gone.")
@click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit XML to this file.")
@format_option("text", "json", "jsonl")
@known_store_option
def command(*, run: str | None, take_over: bool, junit: Path | None, format_: str, store: Path | None) -> int:
    """Continue RUN, which was killed or cancelled; no step that passed runs again.

    RUN is an id, its beginning or end, or `latest`; without it, the newest run that can be resumed.

    Exits 4 if there is none.
    """
    with Session.open(store) as session:
        return session.resume(run, sinks=sinks_for(format_, junit=junit), take_over=take_over).exit_code
