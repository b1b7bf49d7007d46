"""`podium signal`: tell a run something its steps wait for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from podium.cli.options import known_store_option
from podium.cli.telling import tell, who
from podium.errors import UsageError
from podium.messages import Signal


@click.command("signal")
@click.argument("run")
@click.argument("name")
@click.option("--payload", metavar="JSON", help="What the waiting step gets as its output.")
@known_store_option
def command(*, run: str, name: str, payload: str | None, store: Path | None) -> int:
    """Send the signal NAME to RUN; steps that wait for it go on, also those that begin to wait later."""
    return tell(run, Signal(name, _payload(payload), who()), store)


def _payload(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise UsageError(f"`{text}` is no JSON: {error}", hint="texts need quotes: --payload '\"yes\"'") from error
