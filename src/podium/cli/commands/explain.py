"""`podium explain`: what an error code means."""

from __future__ import annotations

import click

from podium.cli.explanations import explanations
from podium.errors import UsageError
from podium.model.findings import did_you_mean


@click.command("explain")
@click.argument("code", required=False)
def command(*, code: str | None) -> int:
    """Explain the error CODE; without it, list all codes."""
    known = explanations()
    if code is None:
        for name, (title, _) in known.items():
            click.echo(f"{name}  {title}")
        return 0
    found = known.get(code.upper())
    if found is None:
        raise UsageError(
            f"there is no code `{code}`", code="U432", hint=did_you_mean(code.upper(), list(known), what="codes")
        )
    title, text = found
    click.echo(f"{code.upper()}: {title}\n\n{text}")
    return 0
