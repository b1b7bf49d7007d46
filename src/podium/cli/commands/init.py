"""`podium init`: a first document to start from, of layers where there are tests, else a scenario."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from podium.errors import EnvironmentProblemError, NothingSelectedError, UsageError

SCENARIO = "first_scenario.yaml"
LAYERS = "layers.yaml"


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--kind", type=click.Choice(["scenario", "layers"]), help="What to write.")
def command(*, folder: Path | None, kind: str | None) -> int:
    """Write a first document, commented; nothing is ever overwritten.

    In a folder with tests it is layers.yaml, with the tests that were found. Elsewhere, or with a FOLDER to write to,
    it is first_scenario.yaml, by default in the folder scenarios.
    """
    if kind == "layers" or (kind is None and folder is None):
        project = folder or Path()
        text = _layers(project)
        if text is not None:
            return _write(project / LAYERS, text, ["podium test"], taken="rename it, and a new one can be written")
        if kind:
            hint = "podium init --kind scenario writes a scenario instead"
            raise NothingSelectedError(f"there are no tests in {project.absolute()}", code="U455", hint=hint)
    folder = folder or Path("scenarios")
    text = (resources.files("podium.cli") / SCENARIO).read_text(encoding="utf-8")
    return _write(folder / SCENARIO, text, [f"podium run {folder}"])


def _layers(project: Path) -> str | None:
    """Return the document of layers of a project; none if it has no tests."""
    from podium.plan.discovery import derive  # noqa: PLC0415  (scenarios do not need it)
    from podium.plan.discovery_document import layers_document  # noqa: PLC0415

    derived = derive(project)
    return layers_document(derived, project.absolute().name or "tests") if derived else None


def _write(file: Path, text: str, following: list[str], *, taken: str = "name another folder") -> int:
    """Write a new file, and say what to do next.

    Args:
        file: Where.
        text: What.
        following: Commands.
        taken: What to do if there is such a file already.
    """
    folder = file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        if folder.is_dir():
            raise UsageError(f"{file} exists already", code="U433", hint=taken) from error
        raise UsageError(f"{folder} exists already", code="U433", hint="name another folder") from error
    except OSError as error:
        raise EnvironmentProblemError(
            f"{file} cannot be written: {error.strerror}", code="E502", hint="name another folder"
        ) from error
    click.echo(f"wrote {file}")
    for line in following:
        click.echo(f"next: {line}")
    return 0
