"""What the commands about campaigns share: their options, printing a plan, writing files of a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from podium.cli import options
from podium.cli.output import print_json, print_table, say
from podium.cli.words import numbered
from podium.errors import DocumentError, UsageError
from podium.model.overrides import parse_assignment
from podium.model.units import format_duration
from podium.plan.campaign import Campaign, CampaignOptions, parse_seeds, parse_sweep, plan_campaign
from podium.session import Session


def campaign_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the paths and options from which a campaign is planned."""
    for decorate in reversed(
        (
            click.option(
                "-p", "--parallel", type=options.number, default="auto", help="Cases at once; one per processor."
            ),
            click.option("--speed", type=options.speed, default="max", help="Simulated seconds per second, or max."),
            click.option(
                "--seed",
                type=click.IntRange(min=0),
                help="Draw each case's seed from this one, whatever its file says.",
            ),
            click.option("--seeds", metavar="A..B", help="Run every case once with each of these seeds; or 1,5,9."),
            click.option(
                "--set", "assignments", metavar="KEY=VALUE", multiple=True, help="Set a value of the documents."
            ),
            click.option("--sweep", "sweeps", metavar="KEY=A,B,C", multiple=True, help="Run with each of the values."),
            click.option("--timeout", type=options.limit, help="Longest duration of one case, such as 30s."),
            click.option("--deadline", type=options.limit, help="Longest duration of the whole run."),
            click.option("--attempts", type=click.IntRange(min=1), default=1, help="Tries of a case that errors."),
            click.option("--memory", type=options.size, help="Memory one case may use, such as 512MiB."),
        )
    ):
        function = decorate(function)
    return function


def planned(
    *,
    paths: tuple[Path, ...],
    parallel: int,
    speed: float,
    seed: int | None,
    seeds: str | None,
    assignments: tuple[str, ...],
    sweeps: tuple[str, ...],
    timeout: float | None,
    deadline: float | None,
    attempts: int,
    memory: int | None,
    strict: bool,
) -> Campaign:
    """Return the campaign that was asked for; its warnings are printed.

    Raises:
        DocumentError: Every file is invalid, or with `strict` one of them.
    """
    if seed is not None and seeds is not None:
        raise UsageError("--seed and --seeds exclude each other", hint="--seeds gives every case each of its seeds")
    assigned, swept = dict(map(parse_assignment, assignments)), _swept(sweeps)
    if (seed is not None or seeds is not None) and "seed" in {**assigned, **swept}:
        raise UsageError("the seed is given twice", hint="use one of --seed, --seeds, and seed in --set or --sweep")
    both = sorted(assigned.keys() & swept.keys())
    if both:
        raise UsageError(f"`{both[0]}` is both set and swept", code="U422", hint="use one of --set and --sweep for it")
    campaign = plan_campaign(
        paths,
        CampaignOptions(
            parallel=parallel,
            speed=None if math.isinf(speed) else speed,
            seed=seed,
            seeds=() if seeds is None else parse_seeds(seeds),
            assignments=assigned,
            sweeps=swept,
            timeout=timeout,
            deadline=deadline,
            attempts=attempts,
            memory_bytes=memory,
        ),
    )
    errors = [finding for error in campaign.invalid.values() for finding in error.diagnostics]
    if strict and (errors or campaign.warnings):
        raise DocumentError([*errors, *campaign.warnings])
    for warning in campaign.warnings:
        say(warning.render())
    if errors:
        invalid = DocumentError(errors)
        if all(step.work.kind == "invalid" for step in campaign.plan.steps):
            raise invalid
        say(invalid.render())
    return campaign


def _swept(sweeps: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in sweeps:
        key, values = parse_sweep(text)
        if key in found:
            hint = f"write all values in one, such as --sweep {key}={','.join((*found[key], *values))}"
            raise UsageError(f"`{key}` is swept twice", code="U422", hint=hint)
        found[key] = values
    return found


def print_plan(campaign: Campaign, format_: str) -> None:
    """Print the cases of a campaign."""
    plan = campaign.plan
    if format_ != "text":
        print_json(plan)
        return
    rows: list[tuple[object, ...]] = []
    for step in plan.steps:
        if step.work.kind == "invalid":
            rows.append((step.name, "invalid", None, None, None))
            continue
        scenario = step.work.payload["scenario"]
        duration = format_duration(scenario["duration_ns"])
        rows.append((step.name, duration, len(scenario["nodes"]), len(scenario["criteria"]), scenario.get("seed", 0)))
    print_table(("CASE", "SIMULATED ", "NODES ", "CRITERIA ", "SEED "), rows)
    click.echo(f"{numbered(len(plan.steps), 'case')}, {plan.slots} at once")


def write_campaign_json(session: Session, run: str, folder: Path) -> Path:
    """Write the campaign file of a run and return its path."""
    from podium.analysis.campaign_json import campaign_document, write_campaign  # noqa: PLC0415

    row = session.store.run(run)
    paths = {step.name: step.labels["file"] for step in session.plan_of(run).steps if "file" in step.labels}
    return write_campaign(folder, campaign_document(row, session.store.steps(run), paths=paths))


def write_logs(session: Session, run: str, folder: Path) -> list[Path]:
    """Write the artifacts of every case below a folder and return their paths."""
    from podium.store.export import write_artifacts  # noqa: PLC0415

    return write_artifacts(session.store, run, folder)
