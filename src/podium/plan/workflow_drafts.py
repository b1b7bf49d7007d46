"""What is collected while a workflow becomes a plan: places, findings, steps, and texts with expressions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from podium.errors import Diagnostic, Span
from podium.model.findings import Path, in_order
from podium.model.yaml_loader import Mapped
from podium.plan.graph import Need, Step, Trigger
from podium.plan.policy import Group
from podium.protocols import Expressions


@dataclass(frozen=True)
class Place:
    """A place in a document.

    Attributes:
        mapped: The document with its positions.
        path: Keys and list indexes from its root.
    """

    mapped: Mapped
    path: Path = ()

    def at(self, *parts: str | int) -> Place:
        """Return a place below this one."""
        return Place(self.mapped, (*self.path, *parts))

    @property
    def value(self) -> Any:
        """What is written there; None if nothing is."""
        found: Any = self.mapped.value
        for part in self.path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def span(self, *, key: bool = False) -> Span:
        """Return where it stands in the file."""
        return self.mapped.span(*self.path, key=key)

    def texts(self) -> Iterator[tuple[Place, str]]:
        """Yield every text at or below this place, with its own place."""
        value = self.value
        if isinstance(value, str):
            yield self, value
        elif isinstance(value, dict | list):
            keys = cast("dict[str, Any]", value) if isinstance(value, dict) else range(len(cast("list[Any]", value)))
            for key in keys:
                yield from self.at(key).texts()


@dataclass(frozen=True)
class Start:
    """When something starts.

    Attributes:
        needs: What comes first.
        trigger: What it must have come to.
        when: An expression; if it is false, it is left out.
        inside: Names of steps one of which has to be among the needs, or else `needs` are added to a step's own.
    """

    needs: tuple[Need, ...] = ()
    trigger: Trigger = "passed"
    when: str = ""
    inside: frozenset[str] | None = None

    @property
    def may_be_left_out(self) -> bool:
        """Whether a condition may leave it out, so that what needs it runs without it."""
        return bool(self.when) or self.trigger not in {"passed", "done"}


@dataclass(frozen=True)
class Written:
    """An expression, or something with `${…}` in it, to be checked when all steps are known.

    Attributes:
        place: Where it stands.
        scope: Beginning of the names of the steps it refers to.
        inputs: Inputs there are.
        needs: Steps it may refer to, and those they need; None: any step.
        own: The step itself, if it may refer to it.
        item: Whether it knows `item` and `index`.
        template: Whether it has `${…}` in it; otherwise the whole is an expression.
    """

    place: Place
    scope: str
    inputs: frozenset[str]
    needs: tuple[str, ...] | None = ()
    own: str = ""
    item: bool = False
    template: bool = True


@dataclass(frozen=True)
class Asked:
    """A need that somebody wrote.

    Attributes:
        place: Where it stands.
        step: The step that is needed.
        scope: Beginning of the names beside it.
        role: Role of the step that needs it.
    """

    place: Place
    step: str
    scope: str
    role: Literal["step", "teardown"]


@dataclass
class Drafts:
    """Everything that was found in a workflow and those it has in it.

    Attributes:
        expressions: The language of expressions.
        steps: Name to step, in the order in which they were made.
        places: Name of a step to where it stands.
        asked: Needs to be checked.
        written: Texts to be checked.
        groups: Name to pace.
        capacities: Name to how much there is.
    """

    expressions: Expressions
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    asked: list[Asked] = field(default_factory=list[Asked])
    written: list[Written] = field(default_factory=list[Written])
    groups: dict[str, Group] = field(default_factory=dict[str, Group])
    capacities: dict[str, float] = field(default_factory=dict[str, float])
    _found: dict[Diagnostic, None] = field(default_factory=dict[Diagnostic, None])

    def add(self, step: Step, place: Place) -> None:
        """Add a step, unless there is one of its name."""
        if step.name in self.steps:
            first = self.places[step.name].span()
            hint = f"the other one stands in {first.path}:{first.line}; give one of them another name"
            self.report("P201", f"two steps have the name `{step.name}`", _name_in(place), hint=hint)
            return
        self.steps[step.name] = step
        self.places[step.name] = place

    def report(
        self,
        code: str,
        message: str,
        place: Place,
        *,
        hint: str | None = None,
        key: bool = False,
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        """Note a finding, once however often it is found."""
        self._found[Diagnostic(code, message, hint, place.span(key=key), severity)] = None

    def include(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        """Note what was found elsewhere."""
        self._found.update(dict.fromkeys(diagnostics))

    def findings(self, severity: Literal["error", "warning"]) -> list[Diagnostic]:
        """Return what was found, file by file, each from top to bottom."""
        found = in_order([finding for finding in self._found if finding.severity == severity])
        files = list(dict.fromkeys(finding.span.path if finding.span else "" for finding in self._found))
        return sorted(found, key=lambda finding: files.index(finding.span.path if finding.span else ""))


def _name_in(place: Place) -> Place:
    value = place.value
    return place.at("name") if isinstance(value, dict) and "name" in value else place
