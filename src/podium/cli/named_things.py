"""`podium test --validate`: whether the files, folders and programs that layers name are there. Nothing is run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from podium.errors import Diagnostic
from podium.model import layers as d
from podium.model.findings import in_order
from podium.model.layers_loading import LoadedLayers
from podium.model.yaml_loader import Mapped

_CODE = "P245"
_TO_PROJECT = "paths are relative to the folder of the project"


def what_is_missing(loaded: LoadedLayers, project: Path, environment: str, *, real_services: bool) -> list[Diagnostic]:
    """Return what a document names and is not there (P245), in one environment, as it stands in the files.

    What mocks stand for is not looked at, unless real services are asked for.

    Args:
        loaded: The document.
        project: Folder of the project.
        environment: The environment.
        real_services: Real services are asked for.
    """
    document, placed = loaded.in_environment(environment)
    named = _Named(placed, project)
    for layer, of_layer in document.layers.items():
        for position, category in enumerate(of_layer.categories):
            named.category(category, "layers", layer, "categories", position)
    for name, service in document.services.items():
        if service.mocks is None or real_services or document.defaults.real_services:
            named.service(service, "services", name)
    return in_order(list(dict.fromkeys(named.findings)))


class _Named:
    """Looks for what a document names.

    Args:
        placed: The document with its places.
        project: Folder of the project.
    """

    def __init__(self, placed: Mapped, project: Path) -> None:
        self.findings: list[Diagnostic] = []
        self._placed = placed
        self._project = project

    def category(self, category: d.CategoryDocument, *at: str | int) -> None:
        """Look for what a category names."""
        if category.pytest is not None:
            self._pytest(category.pytest, *at, "pytest")
        if category.run is not None:
            self._file(self._project, category.run, _TO_PROJECT, *at, "run")
        folder = self._folder(category.cwd, *at, "cwd")
        if category.command is not None and folder is not None:
            self._program(category.command[0], folder, category.env, *at, "command", 0)
        for position, program in enumerate(category.programs):
            self._program(program, self._project, {}, *at, "programs", position)

    def service(self, service: d.ServiceDocument, *at: str | int) -> None:
        """Look for what a service names."""
        folder = self._folder(service.cwd, *at, "cwd")
        if service.command is not None and folder is not None:
            self._program(service.command[0], folder, service.env, *at, "command", 0)
        if isinstance(service.health, d.HealthDocument) and service.health.command and folder is not None:
            self._program(service.health.command[0], folder, service.env, *at, "health", "command", 0)
        if isinstance(service.compose, str):
            self._file(self._project, service.compose, _TO_PROJECT, *at, "compose")
        elif service.compose is not None:
            self._file(self._project, service.compose.file, _TO_PROJECT, *at, "compose", "file")
        for outside in service.mounts:
            self._file(self._project, outside, _TO_PROJECT, *at, "mounts", outside, key=True)

    def _pytest(self, pytest: d.PytestDocument, *at: str | int) -> None:
        folder = self._folder(pytest.cwd, *at, "cwd")
        if folder is None:
            return
        if "--pyargs" not in pytest.args:  # with it, they may be modules
            hint = f"paths of tests are relative to `cwd`, {pytest.cwd}" if pytest.cwd else _TO_PROJECT
            for position, path in enumerate(pytest.paths):
                self._file(folder, path.partition("::")[0], hint, *at, "paths", position)
        if pytest.python:
            self._program(pytest.python, folder, {}, *at, "python")

    def _folder(self, cwd: str, *at: str | int) -> Path | None:
        """Return a working directory; None if there is none."""
        folder = self._project / cwd
        if _is_open(cwd) or folder.is_dir():
            return folder
        what = f"`{cwd}` is no folder" if folder.exists() else f"there is no folder `{cwd}`"
        self._note(what, _TO_PROJECT, *at)
        return None

    def _file(self, folder: Path, path: str, hint: str, *at: str | int, key: bool = False) -> None:
        if not _is_open(path) and not (folder / path).exists():
            self._note(f"there is no `{path}`", hint, *at, key=key)

    def _program(self, program: str, folder: Path, env: Mapping[str, str], *at: str | int) -> None:
        """Look for a program as a process with this working directory and these variables would."""
        if _is_open(program):
            return
        if os.sep not in program:
            if shutil.which(program, path=env.get("PATH", os.environ.get("PATH"))) is None:
                self._note(f"there is no program `{program}` on the path", "install it, or give its path", *at)
            return
        place = folder / program
        if not place.is_file():
            self._note(f"there is no program `{program}`", f"a path with `/` is relative to {folder}", *at)
        elif not os.access(place, os.X_OK):
            self._note(f"the program `{program}` may not be executed", f"chmod +x {place}", *at)

    def _note(self, text: str, hint: str, *at: str | int, key: bool = False) -> None:
        self.findings.append(Diagnostic(_CODE, text, hint, self._placed.span(*at, key=key)))


def _is_open(text: str) -> bool:
    """Return whether only a run can say what a text stands for."""
    return "${" in text
