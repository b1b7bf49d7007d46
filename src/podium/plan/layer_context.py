"""What all parts of the making of a plan of layers know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from podium.errors import Diagnostic
from podium.model import layers as d
from podium.model.layers_merging import environment_name
from podium.model.yaml_loader import Mapped
from podium.plan.layer_selection import LayerSelection
from podium.plan.suites import Suite


class Runner(Protocol):
    """How the tests of a category are run, as it was found in the project."""

    @property
    def kind(self) -> Literal["pytest", "suite"]:
        """Which executor runs them."""
        ...

    @property
    def suite(self) -> Suite:
        """What it has to do."""
        ...

    @property
    def why(self) -> str:
        """What it was found by, for a person."""
        ...


FindRunner = Callable[[str, Path], Runner | None]
"""Called with the name of a category and the project's folder."""


@dataclass
class Context:
    """What a plan of layers is made of.

    Attributes:
        document: The document as it is in the environment.
        placed: It with its places.
        documented: It is of a documented format.
        selection: What was asked for.
        project: The project's folder.
        environ: Variables of the process.
        processors: How many processors there are.
        program: Program and first arguments that run Podium.
        find: How runners are found.
        findings: What was found on the way, errors and warnings.
    """

    document: d.LayersDocument
    placed: Mapped
    documented: bool
    selection: LayerSelection
    project: Path
    environ: Mapping[str, str]
    processors: int
    program: tuple[str, ...]
    find: FindRunner
    findings: list[Diagnostic] = field(default_factory=list[Diagnostic])

    @property
    def in_environment(self) -> d.EnvironmentDocument:
        """What the document says about the environment."""
        name = environment_name(self.selection.environment)
        found = (e for key, e in self.document.environments.items() if name and environment_name(key) == name)
        return next(found, d.EnvironmentDocument())  # pyright: ignore[reportCallIssue]

    @property
    def parallel(self) -> int:
        """How many worker processes there are at once."""
        return self.selection.parallel or self.document.execution.parallel or max(1, self.processors)

    @property
    def uses_real_services(self) -> bool:
        """Whether services are started though they have mocks."""
        said = self.in_environment.real_services
        default = self.document.defaults.real_services if said is None else said
        return self.selection.real_services or default

    @property
    def uses_real_llm(self) -> bool:
        """Whether real language models are used."""
        said = self.in_environment.real_llm
        default = self.document.defaults.real_llm if said is None else said
        return self.selection.real_llm or default

    def fail(self, code: str, text: str, hint: str, *path: str | int) -> None:
        """Note a mistake at a place of the document."""
        self.findings.append(Diagnostic(code, text, hint, self.placed.span(*path)))

    def warn(self, code: str, text: str, hint: str, *path: str | int) -> None:
        """Note something that a person should know, with its place if it has one."""
        span = self.placed.span(*path) if path else None
        self.findings.append(Diagnostic(code, text, hint, span, "warning"))

    def position(self, layer: str, category: str) -> int:
        """Return where a category stands in its layer."""
        return next(i for i, c in enumerate(self.document.layers[layer].categories) if c.name == category)
