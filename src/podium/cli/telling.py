"""What the commands share that tell a run something."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import click

from podium.cli.output import say
from podium.errors import UsageError
from podium.messages import Cancel, Signal
from podium.session import Session
from podium.store import task_of


def who() -> str:
    """Return who asks, as `user@host`."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        name = "user"
    return f"{name}@{socket.gethostname()}"


def tell(run: str, content: Cancel | Signal, store: Path | None) -> int:
    """Tell a run something, and say whether it hears it now.

    Raises:
        UsageError: There is no such run (U411), or it is finished (U415).
    """
    with Session.open(store) as session:
        row = session.store.run(run)
        if row.outcome is not None:
            raise UsageError(f"run {row.id} is finished: {row.outcome}", code="U415", hint="`podium list` shows runs")
        if isinstance(content, Cancel) and task_of(row) is not None:
            from podium.server.background import cancel  # noqa: PLC0415

            if cancel(session, row, content):
                click.echo(f"run {row.id} ends" if row.engine else f"run {row.id} is taken out of the queue")
                return 0
        session.store.send(row.id, content)
        if not session.is_running(row):
            say(f"run {row.id} is interrupted and takes it in when it goes on: podium resume {row.id}")
        elif isinstance(content, Cancel):
            how = "is told to end at once" if content.force else "is asked to end"
            click.echo(f"run {row.id} {how}: podium show {row.id}")
    return 0
