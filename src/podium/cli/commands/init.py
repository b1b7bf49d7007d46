"""`podium init`: a first scenario to start from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from podium.errors import EnvironmentProblemError, UsageError


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("scenarios"))
def command(*, folder: Path) -> int:
    """Write first_scenario.yaml, commented, into FOLDER; nothing is ever overwritten."""
    file = folder / "first_scenario.yaml"
    text = (resources.files("podium.cli") / "first_scenario.yaml").read_text(encoding="utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        taken = file if folder.is_dir() else folder
        raise UsageError(f"{taken} exists already", code="U433", hint="name another folder") from error
    except OSError as error:
        raise EnvironmentProblemError(
            f"{file} cannot be written: {error.strerror}", code="E502", hint="name another folder"
        ) from error
    click.echo(f"wrote {file}")
    click.echo(f"next: podium run {folder}")
    return 0
