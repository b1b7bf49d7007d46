"""From a document of layers to a plan: which layers run, in what order, with which services.

`podium.plan.layer_choice` says which, `podium.plan.layer_order` in what order, `podium.plan.layers_lowering` makes the
steps. What is wrong is reported all at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec

from podium.errors import Diagnostic, NothingSelectedError, PlanError
from podium.model import layers as d
from podium.model.findings import in_order
from podium.model.layers_checks import longest
from podium.model.layers_graph import priority_of
from podium.model.layers_loading import LoadedLayers
from podium.model.layers_merging import environment_name
from podium.plan.graph import Plan
from podium.plan.layer_choice import Choice, Place, check_environment, check_numbers, choose
from podium.plan.layer_context import Context, FindRunner, Runner
from podium.plan.layer_fail_fast import fail_fast
from podium.plan.layer_llm import without_model
from podium.plan.layer_order import Order, category_groups, order_of
from podium.plan.layer_phases import phases_of
from podium.plan.layer_selection import LayerSelection
from podium.plan.layer_services import services_of
from podium.plan.layer_suites import runner_of
from podium.plan.layers_lowering import Lowering, Runners
from podium.plan.quarantine import over
from podium.plan.suites import Quarantined
from podium.storable import file_name

_USUAL_WEIGHT = 60.0
"""Share of a budget that a category without a duration gets, as if it took so long [s]."""


class LayersPlan(msgspec.Struct, frozen=True):
    """A plan of layers, and what a person wants to know before it runs.

    Attributes:
        plan: Its steps; without the layers in the background if these have a plan of their own.
        phases: Layers that may run at the same time, in order, without those in the background.
        category_phases: The same for categories, as `LAYER/CATEGORY`.
        estimated_s: Sum of the longest durations of the phases [s].
        background: Layers in the background, in order; they do not count in the estimate.
        background_plan: Their plan, if it is to run apart.
        background_wait_s: How long to wait for that when all else is over [s]; None: as the caller likes.
        services: Services in the order in which they start.
        environment: One name of the environment; empty: none.
        by_category: Categories were asked for, so phases of categories tell more.
        warnings: What a person should know.
    """

    plan: Plan
    phases: tuple[tuple[str, ...], ...]
    category_phases: tuple[tuple[str, ...], ...]
    estimated_s: float
    background: tuple[str, ...] = ()
    background_plan: Plan | None = None
    background_wait_s: float | None = None
    services: tuple[str, ...] = ()
    environment: str = ""
    by_category: bool = False
    warnings: tuple[Diagnostic, ...] = ()


def plan_layers(
    loaded: LoadedLayers,
    *,
    project: Path,
    selection: LayerSelection | None = None,
    find: FindRunner | None = None,
    environ: Mapping[str, str] | None = None,
    processors: int | None = None,
    program: Sequence[str] = (sys.executable, "-m", "podium"),
    today: date | None = None,
) -> LayersPlan:
    """Return the plan of layers.

    Args:
        loaded: A document of layers that was read.
        project: The project's folder, where suites run.
        selection: What was asked for; None: everything.
        find: Finds how a category is run that does not say it; None: as `podium.plan.discovery` does.
        environ: Variables of the process; None: those of this one.
        processors: How many processors there are; None: those of this machine.
        program: What runs Podium, for categories of scenarios and workflows.
        today: For excuses that are over; None: the day it is.

    Raises:
        PlanError: What was asked for is not there (P230 to P234), may not be (P235, P236), lacks a language model
            (P237), is no number that makes sense (P242), or a category has no runner (P238).
        NothingSelectedError: Nothing is left to be run (U404).
    """
    selection = selection or LayerSelection()
    check_numbers(selection)
    check_environment(selection, loaded.environments)
    selection = msgspec.structs.replace(selection, environment=environment_name(selection.environment))
    document, placed = loaded.in_environment(selection.environment)
    context = Context(
        document=document,
        placed=placed,
        documented=loaded.documented,
        selection=selection,
        project=project,
        environ=os.environ if environ is None else environ,
        processors=processors or os.cpu_count() or 1,
        program=tuple(program),
        find=find or _discovered,
    )
    known = [Quarantined(entry.test, entry.until, entry.reason) for entry in document.quarantine]
    spans = [placed.span("quarantine", position) for position in range(len(known))]
    context.findings.extend(over(known, today or date.today(), spans))  # noqa: DTZ011 (the day people have)
    choice = choose(document, selection)
    runners = _runners(context, choice)
    choice.refused = _refused(context, choice)
    return _plan(loaded, context, choice, runners)


def _plan(loaded: LoadedLayers, context: Context, choice: Choice, runners: Runners) -> LayersPlan:
    document, selection = context.document, context.selection
    holds_up = {name for name in choice.categories if fail_fast(context, document.layers[name]).word != "disabled"}

    def ordered(names: Sequence[str]) -> Order:
        return order_of(document, choice, names, at_once=selection.layers_at_once, holds_up=holds_up)

    order = ordered(list(choice.categories))
    apart: Plan | None = None
    background = order.background if len(order.background) < len(choice.categories) else []
    if background and (selection.background_apart or choice.mode.is_apart):
        _tell_apart(context, choice, background)
        foreground = [name for name in choice.categories if name not in background]
        apart = _steps(loaded, context, choice, runners, ordered(background))
        order = ordered(foreground)
    plan = _steps(loaded, context, choice, runners, order)
    errors = [finding for finding in context.findings if finding.severity == "error"]
    if errors:
        raise PlanError(in_order(list(dict.fromkeys(errors))))
    categories = _category_phases(context, choice, order)
    in_use = {step.labels["service"] for p in (plan, apart) if p for step in p.steps if step.role == "service"}
    started = [name for name in services_of(context, choice.categories).started if name in in_use]
    return LayersPlan(
        plan=plan,
        phases=tuple(map(tuple, order.phases)),
        category_phases=tuple(tuple(f"{layer}/{name}" for layer, name in phase) for phase in categories),
        estimated_s=_estimate(context, choice, order, categories),
        background=tuple(background),
        background_plan=apart,
        background_wait_s=choice.mode.waits if apart is not None else None,
        services=tuple(started),
        environment=selection.environment,
        by_category=choice.by_category,
        warnings=tuple(dict.fromkeys([*loaded.warnings, *choice.notes, *in_order(context.findings)])),
    )


def _steps(loaded: LoadedLayers, context: Context, choice: Choice, runners: Runners, order: Order) -> Plan:
    """Return the plan of some layers."""
    execution, selection = context.document.execution, context.selection
    listed = {
        name: [category for category in choice.categories[name] if (name, category.name) not in choice.refused]
        for name in order.before
    }
    budgets = _budgets(context, choice, order)
    lowering = Lowering(context, choice, runners, services_of(context, listed), order, budgets)
    lowering.lower()
    limits = (selection.deadline, choice.mode.budget, None if execution.budget is None else execution.budget / 1e9)
    return Plan.of(
        loaded.document.name,
        lowering.steps,
        work="layers",
        slots=context.parallel,
        capacities=lowering.capacities,
        deadline=next((limit for limit in limits if limit is not None), None),
        groups=lowering.groups,
        options={
            "paths": [file_name(path) for path in loaded.paths],
            "folder": file_name(str(context.project.resolve())),
            **_options(selection),
        },
    )


def _options(selection: LayerSelection) -> dict[str, object]:
    """Return what was asked for, as far as it is not the usual."""
    usual, given = LayerSelection(), msgspec.to_builtins(selection)
    kept = {key: value for key, value in given.items() if value != msgspec.to_builtins(getattr(usual, key))}
    return {"selection": kept} if kept else {}


def _runners(context: Context, choice: Choice) -> Runners:
    """Return how categories are run; those of documented files for which nothing is found are left out.

    Raises:
        PlanError: A category has no runner (P238).
        NothingSelectedError: No category is left, or one that was asked for has no tests.
    """
    runners: dict[Place, tuple[str, object]] = {}
    for layer, categories in choice.categories.items():
        for category in tuple(categories):
            at = ("layers", layer, "categories", context.position(layer, category.name), "name")
            runner = runner_of(context, layer, category)
            if runner is not None:
                runners[layer, category.name] = runner
                if context.selection.pattern and runner[0] != "pytest":
                    text = f"a pattern has no effect on `{layer}/{category.name}`, which pytest does not run"
                    context.warn("P240", text, "all its tests are run", *at)
                continue
            text = f"nothing in the project looks like the tests of `{layer}/{category.name}`"
            if category.name in context.selection.categories:
                raise NothingSelectedError(text, hint="add tests, or say in a file with kind: layers how they are run")
            if context.documented:
                context.warn("P238", f"{text}, so it is not run", "add tests, or a file with kind: layers", *at)
                categories.remove(category)
            else:
                context.fail("P238", text, "give it pytest, command, shell or run", *at)
    errors = [finding for finding in context.findings if finding.severity == "error"]
    if errors:
        raise PlanError(in_order(errors))
    for layer in [name for name, categories in choice.categories.items() if not categories]:
        del choice.categories[layer]
    if not choice.categories:
        hint = "; ".join(finding.message for finding in context.findings[:3])
        raise NothingSelectedError("no valid layers selected for execution", hint=hint)
    return runners  # pyright: ignore[reportReturnType]


def _refused(context: Context, choice: Choice) -> dict[Place, Diagnostic]:
    """Return the categories that cannot be run for want of a language model; the others are run all the same.

    Raises:
        PlanError: No category that was asked for can be run (P237).
    """
    found = without_model(context, choice)
    selection = context.selection
    layers = selection.layers or choice.mode.layers or tuple(choice.categories)
    asked = [
        (layer, category.name)
        for layer in choice.categories
        for category in choice.categories[layer]
        if layer in layers
        and (not selection.categories or category.name in selection.categories)
        and (not selection.tags or set(selection.tags) & set(category.tags))
    ]
    if found and found.keys() >= set(asked):
        raise PlanError(in_order(list(found.values())))
    for finding in found.values():
        text = f"{finding.message}, so it is not run and counts as errored"
        context.findings.append(replace(finding, message=text, severity="warning"))
    return found


def _discovered(name: str, project: Path) -> Runner | None:
    from podium.plan.discovery import find_category  # noqa: PLC0415 (only if a category does not say how it is run)

    return find_category(name, project)


def _tell_apart(context: Context, choice: Choice, background: Sequence[str]) -> None:
    """Say what is not kept between plans that run apart."""
    hint = "run it in the same plan to keep the order"
    there = {*background, *(category.name for name in background for category in choice.categories[name])}
    for name in choice.categories:
        layer = context.document.layers[name]
        if name in background:
            for index, other in enumerate(layer.needs):
                text = f"`{name}` runs apart and at once, though it needs `{other}`"
                context.warn("P243", text, hint, "layers", name, "needs", index)
        for index, other in enumerate(layer.conflicts):
            if (name in background) != (other in there):
                text = f"`{name}` conflicts with `{other}`, and they are in plans that run apart"
                context.warn("P243", text, hint, "layers", name, "conflicts", index)


# Estimates


def _weight(category: d.CategoryDocument) -> float:
    """Return how long a category takes, as far as its document says it [s]."""
    return (category.expected or category.timeout or 0) / 1e9


def _estimate(context: Context, choice: Choice, order: Order, categories: Sequence[Sequence[tuple[str, str]]]) -> float:
    if choice.by_category:
        by_place = {(layer, c.name): c for layer, listed in choice.categories.items() for c in listed}
        return sum(max(_weight(by_place[place]) for place in phase) for phase in categories)
    return sum(max(_layer_estimate(context, name) for name in phase) for phase in order.phases)


def _layer_estimate(context: Context, name: str) -> float:
    layer = context.document.layers[name]
    if layer.budget is not None:
        return layer.budget / 1e9
    timed = [c.model_copy(update={"timeout": c.expected or c.timeout}) for c in layer.categories]
    return longest(layer.model_copy(update={"categories": timed})) / 1e9


def _category_phases(context: Context, choice: Choice, order: Order) -> list[list[Place]]:
    """Return categories that may run at the same time, in order."""
    names = [name for phase in order.phases for name in phase]
    by_key: dict[str, Place] = {}
    before: dict[str, set[str]] = {}
    conflicts: set[frozenset[str]] = set()
    alone: set[str] = set()
    keys = {(layer, c.name): f"{layer}/{c.name}" for layer in names for c in choice.categories[layer]}
    for layer in names:
        earlier: set[str] = {key for (home, _), key in keys.items() if home in order.all_before(layer)}
        done: set[str] = set()
        for group in category_groups(context.document.layers[layer], choice.categories[layer]):
            for category in group:
                before[f"{layer}/{category}"] = earlier | done
            done |= {f"{layer}/{category}" for category in group}
        for category in choice.categories[layer]:
            key = keys[layer, category.name]
            by_key[key] = (layer, category.name)
            before[key] |= {other for (_, name), other in keys.items() if name in category.needs}
            conflicts |= {frozenset((key, other)) for (_, name), other in keys.items() if name in category.conflicts}
            if category.exclusive:
                alone.add(key)
    ranks = {(layer, c.name): priority_of(c.priority) for layer in names for c in choice.categories[layer]}
    listed = sorted(by_key, key=lambda key: (ranks[by_key[key]], by_key[key][1], key))
    return [[by_key[key] for key in phase] for phase in phases_of(listed, before, conflicts, alone=alone)]


def _budgets(context: Context, choice: Choice, order: Order) -> dict[Place, float]:
    """Return the time for the most telling tests of each category: phases share it by how long they take [s]."""
    total = context.selection.budget
    if total is None:
        return {}
    by_place = {(layer, c.name): c for layer in order.before for c in choice.categories[layer]}
    everything = Order(order.before, [list(order.before)], [])
    phases = _category_phases(context, choice, everything)
    weights = [max(_weight(by_place[place]) or _USUAL_WEIGHT for place in phase) for phase in phases]
    return {
        place: total * weight / sum(weights) for phase, weight in zip(phases, weights, strict=True) for place in phase
    }
