"""`podium verify`: is a scenario deterministic?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from podium.cli.options import format_option
from podium.cli.output import print_json
from podium.errors import ExitCode
from podium.executors.verification import verify
from podium.model.loading import load_scenario
from podium.model.overrides import parse_assignment
from podium.sim.trace import Entry


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True, help="Set a value of the document.")
@click.option("--seed", type=click.IntRange(min=0), help="Instead of the document's.")
@format_option("text", "json")
def command(*, file: Path, assignments: tuple[str, ...], seed: int | None, format_: str) -> int:
    """Run the scenario FILE twice in separate processes and compare every event.

    Exits 1 if they differ, and names the first event that does.
    """
    overrides = dict(map(parse_assignment, assignments))
    if seed is not None:
        overrides["seed"] = str(seed)
    found = verify(load_scenario(file, overrides).scenario)
    if format_ == "json":
        print_json(found)
    elif found.difference is None:
        click.echo(f"the same twice: {found.entries} entries, fingerprint {found.fingerprints[0]}")
    else:
        difference = found.difference
        click.echo(f"the runs differ from entry {difference.index} on:")
        click.echo(f"  first:  {_in_words(difference.first)}")
        click.echo(f"  second: {_in_words(difference.second)}")
    return ExitCode.PASSED if found.difference is None else ExitCode.FAILED


def _in_words(entry: Entry | None) -> str:
    if entry is None:
        return "had ended"
    values = msgspec.json.encode(entry.values).decode()
    return f"at {entry.time_ns / 1e9:.9g} s, {entry.node or 'the whole run'}: {entry.event} {values}"
