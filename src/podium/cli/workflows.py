"""What `podium run` and `podium plan` do with a workflow or a checklist."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import click
import msgspec

from podium.cli import options
from podium.cli.options import Decorator
from podium.cli.output import print_json, print_table, say
from podium.cli.words import numbered
from podium.errors import NothingSelectedError, UsageError
from podium.plan.graph import Plan

_KIND = re.compile(rb"^(?:kind|\"kind\"|'kind')\s*:\s*[\"']?(workflow|layers)\b", re.MULTILINE)
_KIND_IN_BRACES = re.compile(rb"[{,\s][\"']?kind[\"']?\s*:\s*[\"']?(workflow|layers)\b")
_LOOKED_AT = 65_536
_CAMPAIGN_ONLY = ("speed", "seeds", "assignments", "sweeps", "timeout", "attempts", "memory", "campaign_json")
_CHECKLIST_ONLY = ("tick", "stagger", "policy", "tool", "no_fallback")
WORKFLOW_PARAMETERS = ("inputs", *_CHECKLIST_ONLY)
"""What `workflow_options` adds to a command's parameters."""

Kind = Literal["campaign", "workflow", "checklist", "layers"]


def workflow_options(function: Any) -> Any:
    """Add the options that concern workflows and checklists."""
    decorators: tuple[Decorator, ...] = (
        click.option("-i", "--input", "inputs", metavar="NAME=VALUE", multiple=True, help="An input of a workflow."),
        click.option("--tick", is_flag=True, help="Tick the boxes of a checklist's tasks that pass."),
        click.option("--stagger", type=options.duration, default="5s", help="Between starts of a checklist's agents."),
        click.option("--policy", default="patient", show_default=True, help="Preset for a checklist's tasks."),
        click.option("--tool", help="Program that works on a checklist's tasks."),
        click.option("--no-fallback", is_flag=True, help="Do not ask without an agent when the agent fails."),
    )
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def kind_of(paths: Sequence[Path]) -> Kind:
    """Return what is to be run.

    Raises:
        UsageError: A workflow or a checklist stands among other paths.
    """
    kinds: list[Kind] = [_kind_of(path) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        if kind != "campaign" and len(paths) > 1:
            what = "a file of layers" if kind == "layers" else f"a {kind}"
            raise UsageError(f"`{path}` is {what}, which is run alone", hint="run it with a command of its own")
    return kinds[0]


def _kind_of(path: Path) -> Kind:
    if path.suffix.lower() in (".md", ".markdown") and path.is_file():
        return "checklist"
    try:
        with path.open("rb") as file:
            text = file.read(_LOOKED_AT).removeprefix(codecs.BOM_UTF8)
        found = (_KIND_IN_BRACES if text.lstrip().startswith(b"{") else _KIND).search(text)
        return cast("Kind", found[1].decode()) if found else "campaign"
    except OSError:
        return "campaign"  # whose discovery says what is wrong


def refuse_options(context: click.Context, kind: Kind) -> None:
    """Refuse options that mean nothing for what is run.

    Raises:
        UsageError: One was given.
    """
    refused: dict[Kind, tuple[str, ...]] = {
        "workflow": (*_CAMPAIGN_ONLY, *_CHECKLIST_ONLY),
        "checklist": (*_CAMPAIGN_ONLY, "inputs"),
        "campaign": (*_CHECKLIST_ONLY, "inputs"),
        "layers": (*_CAMPAIGN_ONLY, *_CHECKLIST_ONLY, "inputs", "seed"),
    }
    wrong = refused[kind]
    for parameter in context.command.params:
        if parameter.name in wrong and _is_given(context, parameter.name):
            raise UsageError(
                f"{parameter.opts[-1]} means nothing for {'layers' if kind == 'layers' else f'a {kind}'}",
                hint="leave it out",
            )


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def planned_workflow(
    path: Path,
    kind: Kind,
    context: click.Context,
    *,
    inputs: Sequence[str],
    parallel: int,
    seed: int | None,
    deadline: float | None,
    **asked: Any,
) -> Plan:
    """Return the plan of a workflow or a checklist; its warnings are printed.

    Raises:
        DocumentError: The file is invalid.
        NothingSelectedError: Every task of the checklist is done.
    """
    slots = parallel if _is_given(context, "parallel") else None
    if kind == "workflow":
        from podium.model.expressions import Cel  # noqa: PLC0415
        from podium.plan.workflow import plan_workflow  # noqa: PLC0415

        found = plan_workflow(path, inputs=parse_inputs(inputs), expressions=Cel(), slots=slots)
    else:
        from podium.plan.presets import preset  # noqa: PLC0415
        from podium.plan.tasks import plan_tasks  # noqa: PLC0415

        found = plan_tasks(
            path,
            slots=slots or 4,
            stagger=asked["stagger"],
            policy=preset(asked["policy"]),
            tool=asked["tool"],
            fallback=not asked["no_fallback"],
        )
        if found.done and not found.plan.steps:
            raise NothingSelectedError(f"all tasks in `{path}` are done", hint="untick one to do it again")
    for warning in found.warnings:
        say(warning.render())
    plan = found.plan
    recorded = {**plan.options, "folder": str(path.absolute().parent), "cwd": str(Path.cwd())}
    return msgspec.structs.replace(
        plan, seed=plan.seed if seed is None else seed, deadline=deadline or plan.deadline, options=recorded
    )


def parse_inputs(texts: Sequence[str]) -> dict[str, Any]:
    """Return the inputs of `NAME=VALUE`, each value as YAML would read it.

    Raises:
        UsageError: One is not of this form, or given twice.
    """
    from podium.model.yaml_loader import load_yaml  # noqa: PLC0415

    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            why = "is given twice" if name in found else "is no input"
            raise UsageError(f"`{text}` {why}", hint="write NAME=VALUE, such as --input amount=3")
        read = cast("dict[str, Any]", load_yaml(f"value: {value}", f"--input {name}").value)
        found[name] = read["value"]
    return found


def print_workflow(plan: Plan, format_: str) -> None:
    """Print the steps of a plan by wave: what could run side by side if all took equally long."""
    if format_ != "text":
        print_json({**msgspec.to_builtins(plan), "waves": plan.waves()})
        return
    by_name = {step.name: step for step in plan.steps}
    rows: list[tuple[object, ...]] = []
    for number, names in enumerate(plan.waves(), 1):
        for name in names:
            step = by_name[name]
            kind = step.work.kind + (", teardown" if step.role == "teardown" else "")
            needs = ", ".join(need.step for need in step.needs)
            notes = [f"when {step.when}"] if step.when else []
            notes += [f"for each of {step.for_each}"] if step.for_each else []
            notes += ["undone on failure"] if step.compensation else []
            rows.append((number, name, kind, needs, ", ".join(notes)))
    print_table(("WAVE ", "STEP", "KIND", "NEEDS", "NOTES"), rows)
    waves = len(plan.waves())
    click.echo(f"{numbered(len(plan.steps), 'step')} in {numbered(waves, 'wave')}, {plan.slots} at once")


def tick_passed(session: Any, run: str, plan: Plan, path: Path) -> None:
    """Tick the boxes of the tasks that passed."""
    from podium.model.tasks_md import tick  # noqa: PLC0415

    descriptions = {step.name: step.labels["description"] for step in plan.steps}
    passed = {step.name: descriptions[step.name] for step in session.store.steps(run) if step.outcome == "passed"}
    if passed:
        tick(path, passed)
        say(f"ticked {numbered(len(passed), 'box').replace('boxs', 'boxes')} in {os.fspath(path)}")
