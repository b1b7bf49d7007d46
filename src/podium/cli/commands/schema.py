"""`podium schema`: JSON Schemas of the documents."""

from __future__ import annotations

import click

from podium.model.schema import NAMES, schema_text


@click.command("schema")
@click.argument("document", type=click.Choice(NAMES), default=NAMES[0])
def command(*, document: str) -> int:
    """Print the JSON Schema of DOCUMENT, for an editor's YAML server."""
    click.echo(schema_text(document), nl=False)
    return 0
