"""Files out of the store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from podium.errors import EnvironmentProblemError
from podium.store.sqlite import Store

_KEPT_IN_NAMES = "[]=,. "


def write_artifacts(store: Store, run: str, folder: Path) -> list[Path]:
    """Write the artifacts of every step as `FOLDER/STEP.ARTIFACT` and return the paths.

    A `/` in the name of a step makes a folder; characters that a file system may refuse are written as `%XX`.

    Raises:
        EnvironmentProblemError: A file cannot be written (E502).
    """
    written: list[Path] = []
    for step in store.steps(run):
        for name, digest in step.artifacts.items():
            parts = [quote(part, safe=_KEPT_IN_NAMES) for part in f"{step.name}.{name}".split("/")]
            path = folder.joinpath(*parts)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(store.blob(digest))
            except OSError as error:
                raise EnvironmentProblemError(f"{path} cannot be written: {error}", code="E502") from error
            written.append(path)
    return written
