"""`podium clean`: old runs go."""

from __future__ import annotations

import time
from pathlib import Path

import click

from podium.cli.options import duration, known_store_option
from podium.cli.words import numbered
from podium.session import Session


@click.command("clean")
@click.option("--older-than", type=duration, required=True, help="Age from which runs are deleted, such as 30d.")
@known_store_option
def command(*, older_than: float, store: Path | None) -> int:
    """Delete runs that began longer ago than --older-than; a run that is still running stays."""
    with Session.open(store) as session:
        deleted = session.clean(older_than_us=round((time.time() - older_than) * 1e6))
    freed = deleted.freed_bytes / 2**20
    click.echo(f"deleted {numbered(len(deleted.runs), 'run')}, freed {freed:.1f} MiB")
    return 0
