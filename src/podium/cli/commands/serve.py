"""`podium serve`: take workflows over HTTP and conduct many at once."""

from __future__ import annotations

from pathlib import Path

import click

from podium.cli import options
from podium.cli.options import store_option
from podium.cli.output import say
from podium.errors import UsageError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="0: any free one.")
@click.option("--token", envvar="PODIUM_TOKEN", help="Bearer token every request must carry.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".", help="Documents.")
@click.option("--max-concurrent-workflows", type=click.IntRange(1), default=100, show_default=True, help="At once.")
@click.option("--slots", type=options.number, default="16", show_default=True, help="Steps at once, over all runs.")
@click.option("--worker", "workers", metavar="NAME=CAPACITY", multiple=True, help="A named worker; repeat for more.")
@click.option("--patience", type=options.duration, default="30s", help="How long to wait for steps when stopping.")
@store_option
def command(
    *,
    host: str,
    port: int,
    token: str | None,
    folder: Path,
    max_concurrent_workflows: int,
    slots: int,
    workers: tuple[str, ...],
    patience: float,
    store: Path | None,
) -> int:
    """Take workflows over HTTP and conduct them, many at once; runs survive a restart.

    \b
    curl -X POST localhost:8642/workflows -d '{"path": "order.yaml", "inputs": {"amount": 3}}'
    curl localhost:8642/runs
    """  # noqa: D301 (click keeps the lines after this character as they are)
    if host not in _LOOPBACK and not token:
        raise UsageError(
            f"listening on {host} lets others run programs here",
            code="U418",
            hint="give a --token, or listen on 127.0.0.1",
        )
    from podium.server.serving import serve  # noqa: PLC0415

    return serve(
        host=host,
        port=port,
        token=token or "",
        hosts=_LOOPBACK if host in _LOOPBACK else (),
        folder=folder,
        limit=max_concurrent_workflows,
        slots=slots,
        workers=_parsed(workers),
        patience=patience,
        store=store,
        say=say,
    )


def _parsed(texts: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        name, equals, capacity = text.partition("=")
        if not equals or not name or not capacity.isdigit() or not int(capacity) or name in found:
            raise UsageError(f"`{text}` is no worker", hint="write NAME=CAPACITY, each name once, such as fast=20")
        found[name] = int(capacity)
    return found
