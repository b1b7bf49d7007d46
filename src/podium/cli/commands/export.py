"""`podium export`: a run in other formats."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli.campaigns import write_campaign_json, write_logs
from podium.cli.options import known_store_option, run_argument
from podium.errors import UsageError
from podium.session import Session


@click.command("export")
@run_argument
@click.option("--campaign-json", type=click.Path(path_type=Path), help="Folder for campaign_ID.json.")
@click.option("--junit", type=click.Path(path_type=Path), help="File for JUnit XML.")
@click.option("--logs", type=click.Path(path_type=Path), help="Folder for one log per case: a line per second.")
@known_store_option
def command(*, run: str, campaign_json: Path | None, junit: Path | None, logs: Path | None, store: Path | None) -> int:
    """Write RUN as campaign JSON, JUnit XML or logs; prints the files it wrote.

    Campaign files are never overwritten: a name that is taken gets a number.
    """
    if campaign_json is None and junit is None and logs is None:
        raise UsageError(
            "nothing to write", code="U431", hint="name --campaign-json FOLDER, --junit FILE or --logs FOLDER"
        )
    with Session.open(store) as session:
        row = session.store.run(run)
        if campaign_json is not None:
            click.echo(write_campaign_json(session, row.id, campaign_json))
        if junit is not None:
            from podium.sinks.junit import JUnit  # noqa: PLC0415

            session.replay(row.id, sinks=[JUnit(junit)])
            click.echo(junit)
        if logs is not None:
            for path in write_logs(session, row.id, logs):
                click.echo(path)
    return 0
