"""`podium rerun`: a new run of what did not pass."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.options import format_option, known_store_option, run_argument
from podium.cli.output import sinks_for
from podium.session import Session


@click.command("rerun")
@run_argument
@click.argument("cases", nargs=-1)
@click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit XML to this file.")
@format_option("text", "json", "jsonl")
@known_store_option
def command(*, run: str, cases: tuple[str, ...], junit: Path | None, format_: str, store: Path | None) -> int:
    """Run what did not pass in RUN as a new run, exactly as it was planned then; with CASES, only those.

    Exits 4 if everything had passed, and 6 if what ran passed but other cases still have not.
    """
    with Session.open(store) as session:
        return session.rerun(run, only=cases, sinks=sinks_for(format_, junit=junit)).exit_code
