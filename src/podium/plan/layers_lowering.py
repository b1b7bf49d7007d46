"""From layers and categories to the steps of a plan.

A category becomes a step `LAYER/CATEGORY`, or one for each of its shards, `LAYER/CATEGORY/N`; a layer becomes a step of
its own name that judges its categories; a pause before a layer becomes `delay/LAYER`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from podium.errors import Diagnostic
from podium.model import layers as d
from podium.plan.graph import Need, Step
from podium.plan.layer_choice import Choice, Place
from podium.plan.layer_context import Context
from podium.plan.layer_fail_fast import FailFast, fail_fast
from podium.plan.layer_order import Order, category_groups
from podium.plan.layer_services import PREFIX, Services, service_steps
from podium.plan.layer_suites import Shard, Share, payload_of
from podium.plan.layer_verdicts import verdict_payload
from podium.plan.policy import Group, Policy
from podium.plan.suites import Suite
from podium.protocols import Work

Runners = Mapping[Place, tuple[str, Suite]]
"""Layer and category to executor and bare suite."""


@dataclass
class Lowering:
    """Makes the steps of some layers.

    Attributes:
        context: What the plan is made of.
        choice: Which categories are run.
        runners: How.
        services: What they rely on.
        order: In which order the layers run.
        budgets: Category to the time for its most telling tests [s].
        steps: The steps.
        groups: The groups of layers.
        capacities: What categories share.
    """

    context: Context
    choice: Choice
    runners: Runners
    services: Services
    order: Order
    budgets: Mapping[Place, float]
    steps: list[Step] = field(default_factory=list[Step])
    groups: dict[str, Group] = field(default_factory=dict[str, Group])
    capacities: dict[str, float] = field(default_factory=dict[str, float])

    def lower(self) -> None:
        """Make all steps."""
        self.capacities["parallel"] = float(self.context.parallel)
        memory = self.context.document.execution.memory
        if memory is not None:
            self.capacities["memory"] = memory
        self.steps += service_steps(self.context, self.services, self.order)
        conflicts = self._conflicts()
        for layer in self.order.before:
            self._layer(layer, conflicts)

    def _layer(self, name: str, conflicts: Mapping[Place, dict[str, float]]) -> None:
        document, rule = self.context.document.layers[name], fail_fast(self.context, self.context.document.layers[name])
        budget = None if document.budget is None else document.budget / 1e9
        self.groups[name] = Group(budget=budget, fail_fast=rule.group, fail_fast_if=rule.condition)
        if document.parallel is not None:
            self.capacities[f"layer:{name}"] = float(min(document.parallel, self.context.parallel))
        first = tuple(Need(other, until) for other, until in self.order.before[name].items())
        if first and self.context.document.execution.delay:
            self._delay(name, first)
            first = (Need(f"delay/{name}"),)
        categories = {category.name: category for category in self.choice.categories[name]}
        groups = category_groups(document, list(categories.values()))
        previous: list[str] = []
        every: dict[str, d.CategoryDocument] = {}
        for group in groups:
            begun: list[str] = []
            for category in group:
                needs = (*first, *(Need(step, "done") for step in previous))
                steps = self._category(name, categories[category], needs, rule, conflicts)
                every |= dict.fromkeys(steps, categories[category])
                begun += steps
            previous = begun
        self._verdict(name, document, every, first)

    def _delay(self, name: str, needs: tuple[Need, ...]) -> None:
        seconds = self.context.document.execution.delay / 1e9
        work = Work("wait", {"seconds": seconds})
        self.steps.append(Step(f"delay/{name}", work, needs=needs, slots=0, expected=seconds, labels={"layer": name}))

    def _verdict(
        self, name: str, document: d.LayerDocument, steps: Mapping[str, d.CategoryDocument], first: tuple[Need, ...]
    ) -> None:
        """Add the step that judges a layer; it is left out with the layer if what the layer needs did not pass."""
        needs = (*(Need(step, "done") for step in steps), *first)
        payload = verdict_payload(name, document, steps, flaky=self.context.document.defaults.flaky)
        work = Work("verdict", payload, template=True)
        self.steps.append(Step(name, work, needs=needs, slots=0, expected=0.001, labels={"layer": name}))

    # Categories

    def _category(
        self,
        layer: str,
        category: d.CategoryDocument,
        needs: tuple[Need, ...],
        rule: FailFast,
        conflicts: Mapping[Place, dict[str, float]],
    ) -> list[str]:
        """Add the steps of a category, and return their names."""
        place = (layer, category.name)
        if place in self.choice.refused:
            return self._refused(layer, category, needs, self.choice.refused[place])
        kind, suite = self.runners[place]
        real = self.services.real[place]
        expressions = {name: f"${{steps[{json.dumps(PREFIX + name)}].output.env}}" for name in real}
        workers = self._workers(layer, category, suite)
        share = Share(workers, self.budgets.get(place), self.services.mocked[place], expressions)
        needed = [Need(step, "only_passed") for need in category.needs for step in self._steps_of(need)]
        names = self._names(place)
        usual = category.timeout or self.context.document.defaults.timeout
        timeout = None if usual is None else usual / 1e9
        expected = category.expected or usual
        self._check_programs(layer, category)
        for number, name in enumerate(names, 1):
            shard = Shard(number, len(names))
            payload, template = payload_of(
                self.context, layer, category, suite, share=share, fail_fast=rule, shard=shard
            )
            step = Step(
                name=name,
                work=Work(kind, payload, template=template),
                needs=_unique((*needs, *(Need(PREFIX + service) for service in real), *needed)),
                policy=Policy(timeout=timeout),
                resources=self._resources(layer, category, workers, conflicts[place]),
                group=layer,
                allow_failure=True,
                expected=1.0 if expected is None else expected / 1e9 / len(names),
                labels=_labels(layer, category),
            )
            self.steps.append(step)
        return names

    def _refused(self, layer: str, category: d.CategoryDocument, needs: tuple[Need, ...], why: Diagnostic) -> list[str]:
        """Add steps that say why a category is not run; the others of its layer do not end with it."""
        names = self._names((layer, category.name))
        payload = {"type": "NoLanguageModel", "diagnostics": [f"{why.message}\nhint: {why.hint}"]}
        for name in names:
            step = Step(
                name=name,
                work=Work("invalid", payload),
                needs=_unique(needs),
                slots=0,
                allow_failure=True,
                expected=0.001,
                labels={**_labels(layer, category), "why": why.message},
            )
            self.steps.append(step)
        return names

    def _names(self, place: Place) -> list[str]:
        layer, name = place
        category = next(c for c in self.choice.categories[layer] if c.name == name)
        stem, shards = f"{layer}/{name}", category.shards or 1
        return [stem] if shards == 1 else [f"{stem}/{number}" for number in range(1, shards + 1)]

    def _steps_of(self, category: str) -> list[str]:
        """Return the steps of a category in all layers that are run here."""
        return [step for place in self._places(category) for step in self._names(place)]

    def _places(self, category: str) -> list[Place]:
        return [
            (layer, category)
            for layer in self.order.before
            if any(c.name == category for c in self.choice.categories[layer])
        ]

    def _workers(self, layer: str, category: d.CategoryDocument, suite: Suite) -> int:
        """Return how many worker processes a category has, within what its layer and all layers have."""
        most = self.context.parallel
        of_layer = self.context.document.layers[layer].parallel
        most = most if of_layer is None else min(most, of_layer)
        asked = category.parallel or self.context.selection.workers or getattr(suite, "workers", 1)
        if category.parallel is None and category.pytest is not None and category.pytest.workers is not None:
            asked = category.pytest.workers
        return most if asked == "auto" else min(most, asked)

    def _resources(
        self, layer: str, category: d.CategoryDocument, workers: int, conflicts: dict[str, float]
    ) -> dict[str, float]:
        resources = {"parallel": float(self.context.parallel if category.exclusive else workers), **conflicts}
        if f"layer:{layer}" in self.capacities:
            resources[f"layer:{layer}"] = float(workers)
        if category.min_memory is not None and "memory" in self.capacities:
            resources["memory"] = min(category.min_memory, self.capacities["memory"])
        return resources

    def _check_programs(self, layer: str, category: d.CategoryDocument) -> None:
        for index, program in enumerate(category.programs):
            if shutil.which(program, path=self.context.environ.get("PATH")) is None:
                at = ("layers", layer, "categories", self.context.position(layer, category.name), "programs", index)
                text = f"`{category.name}` needs the program `{program}`, which is not on the path"
                self.context.warn("P239", text, "install it, or leave the category out", *at)

    # Conflicts

    def _conflicts(self) -> dict[Place, dict[str, float]]:
        """Return what categories take so that those that conflict never run at the same time.

        Each of one side takes a part of it, so that these can run side by side; each of the other takes all of it.
        """
        taken = {
            (layer, c.name): dict[str, float]() for layer in self.order.before for c in self.choice.categories[layer]
        }
        pairs: list[tuple[str, list[Place], list[Place]]] = []
        for layer in self.order.before:
            for category in self.choice.categories[layer]:
                for other in category.conflicts:
                    names = sorted({category.name, other})
                    pairs.append(("+".join(names), self._places(category.name), self._places(other)))
            for other in self.context.document.layers[layer].conflicts:
                if other not in self.context.document.layers:
                    own = [(layer, c.name) for c in self.choice.categories[layer]]
                    there = [place for place in self._places(other) if place not in own]
                    pairs.append((f"{layer}+{other}", own, there))
        for name, ones, others in pairs:
            resource = f"conflict:{name}"
            if ones and others and ones != others and resource not in self.capacities:
                self._exclude(resource, ones, others, taken)
        return taken

    def _exclude(
        self, resource: str, ones: list[Place], others: list[Place], taken: dict[Place, dict[str, float]]
    ) -> None:
        counts = [sum(len(self._names(place)) for place in side) for side in (ones, others)]
        whole = float(max(counts))
        self.capacities[resource] = whole
        wide = 0 if counts[0] >= counts[1] else 1
        for side, places in enumerate((ones, others)):
            for place in places:
                taken[place][resource] = 1.0 if side == wide and min(counts) >= 1 else whole


def _unique(needs: Sequence[Need]) -> tuple[Need, ...]:
    """Return needs once each; one that asks for more counts."""
    found: dict[str, Need] = {}
    for need in needs:
        if need.step not in found or need.until != "done":
            found[need.step] = need
    return tuple(found.values())


def _labels(layer: str, category: d.CategoryDocument) -> dict[str, str]:
    tags = {"tags": ",".join(category.tags)} if category.tags else {}
    return {"layer": layer, "category": category.name, **tags}
