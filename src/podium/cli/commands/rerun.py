"""`podium rerun`: a new run of what did not pass."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.options import format_option, run_argument, store_option
from podium.cli.output import sinks_for
from podium.session import Session


@click.command("rerun")
@run_argument
@click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit XML to this file.")
@format_option("text", "json", "jsonl")
@store_option
def command(*, run: str, junit: Path | None, format_: str, store: Path | None) -> int:
    """Run what did not pass in RUN as a new run, exactly as it was planned then.

    Exits 4 if everything had passed.
    """
    with Session.open(store) as session:
        return session.rerun(run, sinks=sinks_for(format_, junit=junit)).exit_code
