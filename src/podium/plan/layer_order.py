"""In which order layers run: what waits for what, and which can run at the same time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Literal

from podium.model import layers as d
from podium.model.layers_graph import needed_by, priority_of
from podium.plan.layer_choice import Choice
from podium.plan.layer_phases import phases_of

Until = Literal["passed", "done"]


@dataclass
class Order:
    """In which order layers run.

    Attributes:
        before: Layer to those that come first, each with what they have to come to.
        phases: Layers that may run at the same time, without those in the background.
        background: Layers that run in the background.
    """

    before: dict[str, dict[str, Until]] = field(default_factory=dict[str, dict[str, Until]])
    phases: list[list[str]] = field(default_factory=list[list[str]])
    background: list[str] = field(default_factory=list[str])

    def all_before(self, name: str) -> set[str]:
        """Return the layers that come before one, directly or through others."""
        return needed_by(name, {layer: list(first) for layer, first in self.before.items()})

    def surely_passed_before(self, name: str) -> set[str]:
        """Return the layers that must have passed before one starts."""
        strict = {layer: [o for o, until in first.items() if until == "passed"] for layer, first in self.before.items()}
        return needed_by(name, strict)

    def wait(self, name: str, other: str, until: Until) -> None:
        """Let a layer wait for another, unless it does already."""
        if other != name and other not in self.all_before(name):
            self.before[name][other] = until


def fail_fast_of(layer: d.LayerDocument, defaults: d.DefaultsDocument) -> d.FailFast:
    """Return what a failure of a layer ends, by the document."""
    given = layer.fail_fast if layer.fail_fast is not None else defaults.fail_fast
    if isinstance(given, bool):
        return "category" if given else "disabled"
    return given or "layer"


def order_of(
    document: d.LayersDocument,
    choice: Choice,
    names: Collection[str],
    *,
    at_once: int | None = None,
    holds_up: Collection[str] | None = None,
) -> Order:
    """Return in which order layers run.

    Args:
        document: The document.
        choice: What of it is run.
        names: The layers to be put in order.
        at_once: Most layers at once.
        holds_up: Layers that hold up those after them in a waterfall when they do not pass; None: all.
    """
    positions = {name: position for position, name in enumerate(document.layers)}
    listed = sorted(names, key=lambda name: _importance(document.layers[name], positions[name]))
    order = Order({name: _needs(name, document, names) for name in listed})
    order.background = [name for name in listed if document.layers[name].background]
    one_by_one = document.execution.mode != "parallel"
    conflicts = _conflicts(document, names)
    earlier = {name: {*order.before[name], *_by_categories(name, choice, names)} for name in listed}
    most_at_once = 1 if one_by_one else at_once
    try:
        phases = phases_of(listed, earlier, conflicts, at_once=most_at_once)
    except ValueError:  # categories of two layers need each other's: only steps can tell whether that is a circle
        phases = phases_of(listed, order.before, conflicts, at_once=most_at_once)
    rank = {name: position for position, phase in enumerate(phases) for name in phase}
    order.background.sort(key=lambda name: rank[name])
    hidden = order.background if len(order.background) < len(listed) else []
    left = [[name for name in phase if name not in hidden] for phase in phases]
    order.phases = [phase for phase in left if phase]
    if one_by_one:
        for (first,), (second,) in pairwise(order.phases):
            passes = document.execution.mode != "sequential" and (holds_up is None or first in holds_up)
            order.wait(second, first, "passed" if passes else "done")
    elif at_once is not None:
        _phase_by_phase(phases, order)
    for pair in sorted(conflicts, key=sorted):
        first, second = sorted(pair, key=lambda name: rank[name])
        order.wait(second, first, "done")
    most = document.execution.max_background or len(listed)
    for first, second in zip(order.background, order.background[most:], strict=False):
        order.wait(second, first, "done")
    return order


def _phase_by_phase(phases: list[list[str]], order: Order) -> None:
    """Let each layer wait for all of the phase before its own."""
    for before, after in pairwise(phases):
        for second in after:
            for first in before:
                order.wait(second, first, "done")


def _importance(layer: d.LayerDocument, position: int) -> tuple[float, int, int]:
    return (float("inf") if layer.order is None else layer.order, priority_of(layer.priority), position)


def _needs(name: str, document: d.LayersDocument, names: Collection[str]) -> dict[str, Until]:
    """Return what a layer needs among some; through layers that are not run, what these need."""
    found: dict[str, Until] = {}
    open_, seen = list(document.layers[name].needs), set[str]()
    while open_:
        need = open_.pop(0)
        if need in names:
            found[need] = "passed"
        elif need not in seen:
            seen.add(need)
            open_ += document.layers[need].needs
    return found


def _by_categories(name: str, choice: Choice, names: Collection[str]) -> set[str]:
    """Return the layers with categories that a category of a layer needs."""
    own = {category.name for category in choice.categories[name]}
    needs = {need for category in choice.categories[name] for need in category.needs} - own
    return {
        other for other in names if other != name and any(c.name in needs for c in choice.categories.get(other, ()))
    }


def _conflicts(document: d.LayersDocument, names: Collection[str]) -> set[frozenset[str]]:
    pairs: set[frozenset[str]] = set()
    for one, other in combinations(names, 2):
        if other in document.layers[one].conflicts or one in document.layers[other].conflicts:
            pairs.add(frozenset((one, other)))
    return pairs


def category_groups(layer: d.LayerDocument, categories: list[d.CategoryDocument]) -> list[list[str]]:
    """Return the categories of a layer in groups that follow each other, as its mode says.

    What a category needs is in an earlier group, or in its own.

    Args:
        layer: The layer.
        categories: Those that are run, by priority.
    """
    names = [category.name for category in categories]
    needs = {category.name: [need for need in category.needs if need in names] for category in categories}
    if layer.mode == "parallel":
        return [names]
    in_order = [name for (name,) in phases_of(names, needs, at_once=1)]
    if layer.mode == "sequential":
        return [[name] for name in in_order]
    by_name = {category.name: category for category in categories}
    ranks: dict[str, int] = {}
    for name in in_order:
        ranks[name] = max([priority_of(by_name[name].priority), *(ranks[need] for need in needs[name])])
    return [[name for name in in_order if ranks[name] == rank] for rank in sorted(set(ranks.values()))]
