"""`podium completion`: the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from podium.cli.root import root


@click.command("completion")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> int:
    """Print the completion script of SHELL: bash, zsh or fish; for bash: eval "$(podium completion bash)"."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(root, {}, "podium", "_PODIUM_COMPLETE").source())
    return 0
