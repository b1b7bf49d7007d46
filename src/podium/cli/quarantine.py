"""Entries of a quarantine that a run has shown to fit no test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec

from podium.cli.output import say
from podium.errors import Diagnostic
from podium.history import StepRow
from podium.model.layers_loading import LoadedLayers
from podium.plan.graph import Plan
from podium.plan.quarantine import active
from podium.plan.suites import Quarantined, SuiteOutput

_SUITES = ("pytest", "suite")


def tell_unmatched(loaded: LoadedLayers, environment: str, plan: Plan, steps: list[StepRow], pattern: str) -> None:
    """Say once which entries fit none of the tests that were found, run or not.

    That is not known, and nothing is said, if a category was not part of the run, a suite does not tell its tests, or a
    pattern left tests out before they were counted.

    Args:
        loaded: The layers.
        environment: In which the run was.
        plan: What was run.
        steps: What it came to.
        pattern: Only tests it fits were looked for.
    """
    if pattern or not any(step.work.payload.get("quarantine") for step in plan.steps if step.work.kind in _SUITES):
        return
    document, placed = loaded.in_environment(environment)
    known = [Quarantined(entry.test, entry.until, entry.reason) for entry in document.quarantine]
    places = {(name, category.name) for name, layer in document.layers.items() for category in layer.categories}
    suites = {step.name: step.labels for step in plan.steps if step.work.kind in _SUITES}
    there = {(labels["layer"], labels["category"]) for labels in suites.values()}
    if places - there:
        return
    outputs = {step.name: step.output for step in steps}
    nowhere = set(active(known, date.today()))  # noqa: DTZ011 (the day people have)
    for name in suites:
        nowhere.intersection_update(_unmatched_of(outputs.get(name)))
    for position, entry in enumerate(known):
        if entry.test in nowhere:
            text = f"quarantine of `{entry.test}`: no test of that name was found"
            hint = "correct the name, or remove the entry"
            say(Diagnostic("U456", text, hint, placed.span("quarantine", position), "warning").render())


def _unmatched_of(output: Any) -> Iterator[str]:
    try:
        yield from msgspec.convert(output, SuiteOutput).unmatched
    except msgspec.ValidationError:  # it was not run, so its tests are not known
        return
