"""`podium list`: the runs in the store."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.options import format_option, known_store_option
from podium.cli.output import print_json, print_table, say
from podium.cli.words import counts_in_words, local_time, no_runs, noun_of, numbered, outcome_of
from podium.session import Session
from podium.sinks.tally import short_id
from podium.sinks.writing import how_long
from podium.store import RunRow
from podium.store.surrounding import surrounding_of


@click.command("list")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option("--name", help="Only runs of this name.")
@click.option("--all", "every", is_flag=True, help="Also runs that a step of another run started.")
@format_option("text", "json")
@known_store_option
def command(*, limit: int, name: str | None, every: bool, format_: str, store: Path | None) -> int:
    """List runs, newest first."""
    with Session.open(store) as session:
        rows = session.store.runs(limit, name=name, inner=every)
        states = [outcome_of(session, row) for row in rows]
    if format_ == "json":
        print_json(rows)
        return 0
    if not rows:
        say(no_runs(name))
        return 0
    print_table(
        ("RUN", "NAME", "OUTCOME", "COUNTS", "STARTED", "TOOK ", *(("PART OF",) if every else ())),
        (
            (
                short_id(row.id),
                row.name,
                state.replace("_", " "),
                counts_in_words(row.counts) or numbered(row.steps, noun_of(row)),
                local_time(row.started_us),
                None if row.duration is None else how_long(row.duration),
                *((_surrounding(row),) if every else ()),
            )
            for row, state in zip(rows, states, strict=True)
        ),
    )
    return 0


def _surrounding(row: RunRow) -> str | None:
    found = surrounding_of(row)
    return None if found is None else f"{short_id(found.run)} {found.step}"
