"""What `podium test` and `podium plan` share: finding the layers of a project, planning them, printing the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from podium.cli.output import print_json, print_table, say
from podium.cli.words import numbered
from podium.errors import NothingSelectedError, UsageError
from podium.model.layers import LayerDocument
from podium.model.layers_loading import DOCUMENTED_NAMES, LoadedLayers, load_layers, load_layers_text
from podium.plan.graph import Plan, Step
from podium.plan.layer_selection import LayerSelection
from podium.plan.layers import LayersPlan, plan_layers
from podium.protocols import Work
from podium.sinks.writing import how_long

LAYERS_FILE = "layers.yaml"
_PLACES = (LAYERS_FILE, "podium/layers.yaml", "config", "tests/config", "test_framework/config")
_ENVIRONMENT = "test"
"""Where tests run if nobody says it."""
_MANY = 1000
"""How often tests are repeated until one fails, if nobody says how often."""


class Project(msgspec.Struct, frozen=True):
    """A project and its layers.

    Attributes:
        folder: Where it is.
        loaded: Its layers.
        source: Where they are from, in words.
        is_found: There is no file: they follow from the tests the project has.
    """

    folder: Path
    loaded: LoadedLayers
    source: str
    is_found: bool = False


def find_project(config: Path | None, paths: Sequence[str] = ()) -> Project:
    """Return the project of the working directory: its layers file, or layers derived from the tests it has.

    Args:
        config: Layers file, or folder with documented files; by default looked for here and in the folders above.
        paths: Files, folders or ids of tests that are run on their own, without layers.

    Raises:
        DocumentError: The file is invalid.
        NothingSelectedError: There are no tests.
    """
    here = Path.cwd()
    if paths:
        return Project(here, load_layers_text(_document_of(paths), "the command line"), "the command line")
    if config is not None:
        folder = (config if config.is_dir() else config.parent).resolve()
        is_elsewhere = here.resolve() not in (folder, *folder.parents) and folder not in here.resolve().parents
        return Project(folder if is_elsewhere else here, load_layers(config), str(config))
    for folder in (here, *here.parents):
        for name in (*_PLACES, *DOCUMENTED_NAMES):
            place = folder / name
            if place.is_file() or (place.is_dir() and any((place / file).is_file() for file in DOCUMENTED_NAMES)):
                shown = place.relative_to(here) if folder == here else place
                return Project(folder, load_layers(shown), str(shown))
    return _derived(here)


def _derived(folder: Path) -> Project:
    from podium.plan.discovery import derive  # noqa: PLC0415 (only without a file)
    from podium.plan.discovery_document import layers_document  # noqa: PLC0415

    derived = derive(folder)
    if not derived:
        hint = "go to a folder with tests, or write a file with kind: layers"
        raise NothingSelectedError(f"there are no tests in {folder}", hint=hint)
    text = layers_document(derived, folder.name or "tests")
    loaded = load_layers_text(text, f"{LAYERS_FILE} of podium init")
    return Project(folder, loaded, "what was found here", is_found=True)


def _document_of(paths: Sequence[str]) -> str:
    for path in paths:
        if not Path(path.partition("::")[0]).exists():
            hint = "name files, folders or ids of tests that are there; -k selects by name"
            raise UsageError(f"there is no `{path}`", code="U430", hint=hint)
    category = {"name": "tests", "parallel": "auto", "pytest": {"paths": list(paths)}}
    document = {"kind": "layers", "name": Path.cwd().name or "tests", "layers": {"tests": {"categories": [category]}}}
    return msgspec.json.encode(document).decode()


def selection_of(asked: Mapping[str, Any]) -> LayerSelection:
    """Return what the options of a command ask for; those a command lacks are as if they were not given."""
    repeat = asked.get("repeat", 1)
    until_fail = asked.get("until_fail", False)
    return LayerSelection(
        mode=asked["mode"] or "",
        layers=asked["layers"],
        categories=asked["categories"],
        start_at=asked.get("start_at") or "",
        environment=asked["env"] or _ENVIRONMENT,
        excluded_environments=asked["exclude_env"],
        allow_production=asked["allow_prod"],
        real_services=asked["real_services"],
        real_llm=asked["real_llm"],
        background_apart=asked.get("background_apart", False),
        with_background=asked.get("with_background"),
        fail_fast=asked.get("fail_fast_mode") or ("first_failure" if asked.get("fast_fail") else ""),
        parallel=asked.get("parallel"),
        workers=asked.get("workers"),
        layers_at_once=asked.get("max_parallel_layers"),
        pattern=asked.get("pattern") or "",
        test_timeout=asked.get("timeout"),
        retries=asked.get("retries"),
        budget=asked.get("budget"),
        deadline=asked.get("deadline"),
        changed=bool(asked.get("only_changed") or asked.get("since")),
        since=asked.get("since") or "",
        repeat=_MANY if until_fail and repeat == 1 else repeat,
        until_fail=until_fail,
        python=asked.get("python") or "",
        fork=not asked.get("no_fork"),
    )


def background_wanted(asked: Mapping[str, Any]) -> bool | None:
    """Return whether layers in the background run with the others: not unless something was chosen.

    None means as the document says.
    """
    chosen = asked["mode"] or asked["layers"] or asked["categories"] or asked.get("paths")
    return None if chosen else False


def planned_layers(project: Project, asked: Mapping[str, Any]) -> LayersPlan:
    """Return the plan of what was asked for; its warnings are printed.

    Raises:
        PlanError: Something that was asked for is not there.
        NothingSelectedError: Nothing is left to run.
    """
    found = plan_layers(project.loaded, project=project.folder, selection=selection_of(asked))
    for warning in found.warnings:
        say(warning.render())
    return msgspec.structs.replace(
        found,
        plan=_with_flags(found.plan, project, asked),
        background_plan=found.background_plan and _with_flags(found.background_plan, project, asked),
    )


def _with_flags(plan: Plan, project: Project, asked: Mapping[str, Any]) -> Plan:
    """Return a plan with what its document cannot say: where it runs, coverage, the browser of Cypress."""
    cypress = ["--headed"] if asked.get("cypress_headed") else []
    cypress += ["--browser", asked["cypress_browser"]] if asked.get("cypress_browser") else []
    coverage = not asked.get("no_coverage")
    steps = [_step_with_flags(step, coverage=coverage, cypress=cypress) for step in plan.steps]
    if cypress and steps == list(plan.steps):
        raise UsageError(
            "none of these categories runs Cypress", hint="leave --cypress-headed and --cypress-browser out"
        )
    recorded = {**plan.options, "folder": str(project.folder.absolute()), "cwd": str(project.folder.absolute())}
    return msgspec.structs.replace(plan, steps=tuple(steps), options=recorded)


def _step_with_flags(step: Step, *, coverage: bool, cypress: list[str]) -> Step:
    payload = step.work.payload
    if step.work.kind == "pytest" and not coverage:
        payload = {**payload, "coverage": False}
    elif step.work.kind == "suite" and cypress and any("cypress" in word for word in payload.get("argv", ())):
        payload = {**payload, "argv": [*payload["argv"], *cypress]}
    else:
        return step
    work = Work(step.work.kind, payload, step.work.template)
    return msgspec.structs.replace(step, work=work)


def print_layers(project: Project, found: LayersPlan, format_: str) -> None:
    """Print what would run, in which order, and how long it may take."""
    if format_ != "text":
        print_json({**msgspec.to_builtins(found), "source": project.source})
        return
    click.echo(f"layers from {project.source}")
    _print_steps(found.plan)
    if found.background_plan is not None:
        click.echo(f"\nin the background: {', '.join(found.background)}")
        _print_steps(found.background_plan)
    phases = _phases(found)
    click.echo(f"\nphases: {' > '.join(' + '.join(phase) for phase in phases)}")
    longest = f"at most {how_long(found.estimated_s)}" if found.estimated_s else "without a limit"
    click.echo(f"{numbered(len(phases), 'phase')}, {longest}")
    shown = {name for phase in found.phases for name in phase}
    beside = [name for name in found.background if name not in shown]
    if beside and found.background_plan is None:
        click.echo(f"in the background of the same run, not counted: {', '.join(beside)}")


def _phases(found: LayersPlan) -> Sequence[Sequence[str]]:
    """Return what may run at the same time, in order: layers, or categories if these were asked for.

    Categories go by their names alone, as they were asked for, unless two layers have one of the same name.
    """
    if not found.by_category:
        return found.phases
    names = [place.rpartition("/")[2] for phase in found.category_phases for place in phase]
    if len(set(names)) < len(names):
        return found.category_phases
    return [[place.rpartition("/")[2] for place in phase] for phase in found.category_phases]


def _print_steps(plan: Plan) -> None:
    rows: list[tuple[object, ...]] = []
    for number, names in enumerate(plan.waves(), 1):
        steps = {step.name: step for step in plan.steps}
        for step in (steps[name] for name in names):
            needs = ", ".join(need.step for need in step.needs)
            limit = how_long(step.policy.timeout) if step.policy.timeout is not None else None
            rows.append((number, step.name, step.work.kind, limit, needs, step.labels.get("why", "")))
    print_table(("WAVE ", "STEP", "KIND", "LIMIT ", "NEEDS", "WHY"), rows)


def print_layer_list(project: Project, format_: str) -> None:
    """Print the layers there are, with their categories."""
    document = project.loaded.document
    if format_ != "text":
        print_json(
            {
                name: layer.model_dump(exclude_defaults=True)
                for name, layer in document.layers.items()
                if not _lists_the_rest(project, layer)
            }
        )
        return
    rows = [
        (
            name,
            how_long(layer.budget / 1e9) if layer.budget else None,
            layer.mode,
            "yes" if layer.background else "",
            ", ".join(layer.needs),
            ", ".join(category.name for category in layer.categories),
        )
        for name, layer in document.layers.items()
        if not _lists_the_rest(project, layer)
    ]
    click.echo(f"layers from {project.source}")
    print_table(("LAYER", "BUDGET ", "MODE", "BACKGROUND", "NEEDS", "CATEGORIES"), rows)


def _lists_the_rest(project: Project, layer: LayerDocument) -> bool:
    """Return whether a layer stands for the categories that no layer of documented files lists."""
    return project.loaded.documented and layer.on_request


def print_category_list(project: Project, format_: str) -> None:
    """Print the categories there are, by layer; those of no layer have none."""
    document = project.loaded.document
    if format_ != "text":
        print_json(
            {
                "" if _lists_the_rest(project, layer) else name: [
                    category.model_dump(exclude_defaults=True) for category in layer.categories
                ]
                for name, layer in document.layers.items()
            }
        )
        return
    click.echo("CATEGORIES")
    rows = [
        (
            category.name,
            None if _lists_the_rest(project, layer) else layer_name,
            category.priority,
            how_long(category.timeout / 1e9) if category.timeout else None,
            ", ".join(category.needs),
            ", ".join(dict.fromkeys([*layer.services, *category.services])),
            category.description,
        )
        for layer_name, layer in document.layers.items()
        for category in layer.categories
    ]
    print_table(("CATEGORY", "LAYER", "PRIORITY ", "LIMIT ", "NEEDS", "SERVICES", "DESCRIPTION"), rows)
