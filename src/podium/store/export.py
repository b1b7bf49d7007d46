"""Files out of the store."""

from __future__ import annotations

import re
from pathlib import Path

from podium.errors import EnvironmentProblemError
from podium.store.sqlite import Store

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._=,\[\]-]+")


def write_artifacts(store: Store, run: str, folder: Path) -> list[Path]:
    """Write the artifacts of every step as `FOLDER/STEP.ARTIFACT` and return the paths.

    Raises:
        EnvironmentProblemError: A file cannot be written (E502).
    """
    written: list[Path] = []
    for step in store.steps(run):
        for name, digest in step.artifacts.items():
            path = folder / f"{_NOT_IN_NAMES.sub('__', step.name)}.{name}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(store.blob(digest))
            except OSError as error:
                raise EnvironmentProblemError(f"{path} cannot be written: {error}", code="E502") from error
            written.append(path)
    return written
