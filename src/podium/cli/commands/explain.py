"""`podium explain`: what an error code means."""

from __future__ import annotations

from difflib import get_close_matches

import click

from podium.cli.explanations import explanations
from podium.errors import UsageError


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
        close = get_close_matches(code.upper(), known, n=1, cutoff=0.7)
        hint = f"did you mean `{close[0]}`?" if close else "`podium explain` lists the codes"
        raise UsageError(f"there is no code `{code}`", code="U432", hint=hint)
    title, text = found
    click.echo(f"{code.upper()}: {title}\n\n{text}")
    return 0
