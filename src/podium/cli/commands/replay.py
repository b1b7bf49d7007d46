"""`podium replay`: the record of a run, shown again."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.options import format_option, known_store_option, run_argument
from podium.cli.output import sinks_for
from podium.session import Session


@click.command("replay")
@run_argument
@click.option("-v", "--verbose", is_flag=True, help="Say everything about what did not pass.")
@format_option("text", "json", "jsonl")
@known_store_option
def command(*, run: str, verbose: bool, format_: str, store: Path | None) -> int:
    """Show RUN again from its record; nothing runs. `--format jsonl` prints every event."""
    with Session.open(store) as session:
        session.replay(run, sinks=sinks_for(format_, verbose=verbose))
    return 0
