"""Which layers and categories are run: what was asked for, what that needs, and what exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from podium.errors import Diagnostic, NothingSelectedError, PlanError
from podium.model import layers as d
from podium.model.findings import did_you_mean
from podium.model.layers_graph import needed_by, priority_of
from podium.model.layers_merging import ENVIRONMENTS, environment_name
from podium.plan.layer_modes import Mode, mode_of
from podium.plan.layer_selection import FAIL_FAST, LayerSelection

Place = tuple[str, str]
"""A layer and a category of it."""


@dataclass
class Choice:
    """Which layers and categories are run.

    Attributes:
        categories: Layer to those of its categories that are run, in the order of priorities.
        mode: The mode that was asked for, or all layers.
        by_category: Categories were asked for, and no layers.
        notes: What a person should know.
        refused: Those of the categories that are errored without being run, and why.
    """

    categories: dict[str, list[d.CategoryDocument]] = field(default_factory=dict[str, list[d.CategoryDocument]])
    mode: Mode = field(default_factory=lambda: Mode(()))
    by_category: bool = False
    notes: list[Diagnostic] = field(default_factory=list[Diagnostic])
    refused: dict[tuple[str, str], Diagnostic] = field(default_factory=dict[tuple[str, str], Diagnostic])

    def note(self, code: str, text: str, hint: str) -> None:
        """Tell a person something."""
        self.notes.append(Diagnostic(code, text, hint, severity="warning"))


def check_environment(selection: LayerSelection, known: Sequence[str]) -> None:
    """Check that the environment exists and that something may run there.

    Raises:
        PlanError: It is unknown (P232), production without leave (P235), or excluded (P236).
    """
    name = environment_name(selection.environment)
    every = list(dict.fromkeys([*ENVIRONMENTS, *known]))
    findings: list[Diagnostic] = []
    for given in (selection.environment, *selection.excluded_environments):
        if given and environment_name(given) not in every:
            hint = did_you_mean(given, every, what="environments") or f"environments: {', '.join(every)}"
            findings.append(Diagnostic("P232", f"unknown environment `{given}`", hint))
    if name == "production" and not selection.allow_production:
        hint = "add --allow-prod if these tests may run there"
        findings.append(Diagnostic("P235", "nothing runs in `production` unless it is allowed", hint))
    if name and name in map(environment_name, selection.excluded_environments):
        text = f"environment `{name}` is excluded"
        findings.append(Diagnostic("P236", text, "name another environment, or do not exclude it"))
    if findings:
        raise PlanError(findings)


def check_numbers(selection: LayerSelection) -> None:
    """Check what was asked for on its own.

    Raises:
        PlanError: A number is too small, or a word is not known (P242).
    """
    findings: list[Diagnostic] = []
    for name, least in _LEAST.items():
        value = getattr(selection, name)
        if value is not None and (value < least or (least == 0 and name in _ABOVE and value == 0)):
            words = f"above {least}" if name in _ABOVE else f"at least {least}"
            text = f"{name.replace('_', ' ')} must be {words}, not {value:g}"
            findings.append(Diagnostic("P242", text, "give another number, or leave it out"))
    if selection.fail_fast and selection.fail_fast not in FAIL_FAST:
        hint = did_you_mean(selection.fail_fast, FAIL_FAST, what="possible") or f"possible: {', '.join(FAIL_FAST)}"
        findings.append(Diagnostic("P242", f"unknown way to fail fast `{selection.fail_fast}`", hint))
    if findings:
        raise PlanError(findings)


_ABOVE = frozenset({"test_timeout", "budget", "deadline"})
_LEAST = {
    "parallel": 1,
    "workers": 1,
    "layers_at_once": 1,
    "repeat": 1,
    "retries": 0,
    "max_failures": 0,
    "test_timeout": 0,
    "budget": 0,
    "deadline": 0,
}


def choose(document: d.LayersDocument, selection: LayerSelection) -> Choice:
    """Return which layers and categories are run.

    Args:
        document: The document as it is in the environment.
        selection: What was asked for.

    Raises:
        PlanError: A layer (P230), a category or tag (P231) or a mode (P233, P234) is not there.
        NothingSelectedError: Nothing is left to be run.
    """
    choice = Choice()
    _check_known(document, selection, choice)
    chosen = _layers(document, selection, choice)
    if selection.layers and selection.categories:
        chosen &= set(selection.layers)
        _check_within(document, selection, choice, chosen)
    wanted = _categories(document, selection, choice, chosen)
    wanted = _from_start(document, selection.start_at, wanted)
    for name, layer in document.layers.items():
        listed = [c for c in layer.categories if (name, c.name) in wanted]
        if listed:
            choice.categories[name] = sorted(listed, key=lambda category: priority_of(category.priority))
    if not choice.categories:
        hint = f"layers here: {', '.join(document.layers)}"
        raise NothingSelectedError("no valid layers selected for execution", hint=hint)
    return choice


def _check_known(document: d.LayersDocument, selection: LayerSelection, choice: Choice) -> None:
    findings: list[Diagnostic] = []
    layers, categories = list(document.layers), _names(document)
    tags = list(dict.fromkeys(t for layer in document.layers.values() for c in layer.categories for t in c.tags))
    start = [selection.start_at] if selection.start_at else []
    for code, what, given, known in (
        ("P230", "layer", selection.layers, layers),
        ("P231", "category", selection.categories, categories),
        ("P231", "tag", selection.tags, tags),
        ("P230", "layer or category", start, [*layers, *categories]),
    ):
        for name in given:
            if name not in known:
                listed = f"there are: {', '.join(known) or 'none'}"
                close = did_you_mean(name, known, what="there are") or listed
                hint = close if close.startswith("there are") else f"{close} {listed}"
                findings.append(Diagnostic(code, f"unknown {what} `{name}`", hint))
    if selection.mode:
        mode = mode_of(selection.mode, document, choice.notes)
        if isinstance(mode, Diagnostic):
            findings.append(mode)
        else:
            choice.mode = mode
    if findings:
        raise PlanError(findings)


def _names(document: d.LayersDocument) -> list[str]:
    return list(dict.fromkeys(c.name for layer in document.layers.values() for c in layer.categories))


def _check_within(document: d.LayersDocument, selection: LayerSelection, choice: Choice, layers: set[str]) -> None:
    """Check that the layers that were asked for have the categories that were asked for.

    Raises:
        NothingSelectedError: They have none of them.
    """
    there = {name: [c.name for c in layer.categories] for name, layer in document.layers.items() if name in layers}
    missing = [name for name in selection.categories if not any(name in names for names in there.values())]
    hint = "; ".join(f"`{layer}` has {', '.join(names) or 'none'}" for layer, names in there.items())
    for name in missing:
        homes = [f"`{layer}`" for layer, one in document.layers.items() if any(c.name == name for c in one.categories)]
        asked = ", ".join(f"`{layer}`" for layer in selection.layers)
        text = f"category `{name}` is in {', '.join(homes)}, not in {asked}"
        if len(missing) == len(selection.categories):
            raise NothingSelectedError(f"no valid layers selected for execution: {text}", hint=hint)
        choice.note("P240", f"{text}, so it is not run", hint)


def _layers(document: d.LayersDocument, selection: LayerSelection, choice: Choice) -> set[str]:
    """Return the layers that were asked for, with all they need."""
    asked = list(selection.layers or choice.mode.layers)
    narrowed = selection.layers and choice.mode.layers
    if narrowed:
        asked = [name for name in asked if name in choice.mode.layers]
    choice.by_category = bool(selection.categories) and not asked and not narrowed
    if not asked and not narrowed:
        asked = [name for name, layer in document.layers.items() if choice.by_category or not layer.on_request]
    with_background = selection.with_background
    if with_background is None:
        with_background = document.execution.background or bool(selection.layers)
    in_background = {name for name, layer in document.layers.items() if layer.background}
    only_background = bool(asked) and in_background.issuperset(asked)
    if not with_background and not only_background and not choice.by_category:
        asked = [name for name in asked if name not in in_background]
    needs = {name: layer.needs for name, layer in document.layers.items()}
    chosen = set(asked)
    if choice.mode.with_needs and not choice.by_category:
        for name in asked:
            chosen |= needed_by(name, needs)
    return chosen


def _categories(document: d.LayersDocument, selection: LayerSelection, choice: Choice, layers: set[str]) -> set[Place]:
    """Return the categories that are run, with all they need."""
    places = [(name, c) for name, layer in document.layers.items() for c in layer.categories]
    wanted = {
        (name, c.name)
        for name, c in places
        if name in layers
        and (not selection.categories or c.name in selection.categories)
        and (not selection.tags or set(selection.tags) & set(c.tags))
    }
    if not choice.mode.with_needs:
        return wanted
    open_ = [(name, c) for name, c in places if (name, c.name) in wanted]
    while open_:
        _, category = open_.pop()
        for need in category.needs:
            if any(name == need for _, name in wanted):
                continue
            home, found = next((name, c) for name, c in places if c.name == need)
            wanted.add((home, need))
            open_.append((home, found))
            text = f"category `{need}` is added: `{category.name}` needs it"
            choice.note("P241", text, "it runs first")
    return wanted


def _from_start(document: d.LayersDocument, start: str, wanted: set[Place]) -> set[Place]:
    """Leave out what comes before a layer or a category."""
    if not start:
        return wanted
    needs = {name: layer.needs for name, layer in document.layers.items()}
    homes = [start] if start in document.layers else [name for name, category in wanted if category == start]
    before: set[str] = set()
    for home in homes:
        before |= needed_by(home, needs)
        layer = document.layers[home]
        if document.execution.mode != "parallel" and layer.order is not None:
            order = layer.order
            before |= {name for name, other in document.layers.items() if other.order and other.order < order}
    left = {(layer, category) for layer, category in wanted if layer not in before}
    if start in document.layers:
        return left
    for home in homes:
        listed = {c.name: c for c in document.layers[home].categories}
        first, by_name = listed[start], {name: c.needs for name, c in listed.items()}
        earlier = needed_by(start, by_name)
        if document.layers[home].mode != "parallel":
            earlier |= {n for n, c in listed.items() if priority_of(c.priority) < priority_of(first.priority)}
        left -= {(home, name) for name in earlier}
    return left
