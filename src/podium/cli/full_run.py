"""A run of everything: what it saw is what later runs compare with, and what it found checks what they would skip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from podium.cli.output import say
from podium.errors import Diagnostic, EnvironmentProblemError
from podium.executors.changes import impact_since, remember, remembered, snapshot
from podium.history import StepRow
from podium.model.layers import LayersDocument
from podium.plan.graph import Plan
from podium.plan.impact import Impact, missed
from podium.plan.suites import SuiteOutput
from podium.protocols import TestRecord
from podium.session import Session

_NARROWING = ("paths", "pattern", "budget", "resume_from", "fast_fail")
_CHANGED = ("only_changed", "since")


def is_full(document: LayersDocument, plan: Plan, asked: Mapping[str, Any]) -> bool:
    """Return whether a plan may run every test of every layer that is neither in the background nor only on request.

    With `--only-changed`, it may come to that, too; see `FullRun.is_over`.
    """
    if any(asked[name] for name in _NARROWING):
        return False
    there = {(step.labels["layer"], step.labels["category"]) for step in plan.steps if "category" in step.labels}
    return all(
        (name, category.name) in there
        for name, layer in document.layers.items()
        if not layer.background and not layer.on_request
        for category in layer.categories
    )


class FullRun:
    """Takes in what there is before a run that may be full, and compares afterwards.

    Args:
        session: Its store knows the tests.
        folder: The project.
        plan: What is about to run.
        asked: The options.
    """

    def __init__(self, session: Session, folder: Path, plan: Plan, asked: Mapping[str, Any]) -> None:
        self._session = session
        self._folder = folder
        self._suites = {
            step.name: (step.work.payload.get("origin", ""), step.work.payload.get("cwd", ""))
            for step in plan.steps
            if step.work.kind == "pytest"
        }
        self._seen = snapshot(folder)
        chooses = any(asked[name] for name in _CHANGED)
        self._impact: Impact | None = None if chooses else impact_since(folder, now=self._seen)
        self._records: dict[str, dict[str, TestRecord]] = {}
        if self._impact is not None and not self._impact.everything:
            origins = {origin for origin, _ in self._suites.values()}
            self._records = {origin: session.store.tests(origin) for origin in origins}

    def is_over(self, run: str, steps: Sequence[StepRow]) -> None:
        """Say which tests `--only-changed` would have missed, and remember what this run saw if it left no test out.

        Args:
            run: The run.
            steps: What it came to.
        """
        if self._records and self._impact is not None:
            bad = self._session.store.not_passed(run)
            for step, (origin, folder) in self._suites.items():
                results = [test.result for test in bad if test.step == step]
                for one in missed(self._impact, results, self._records[origin], folder=folder):
                    say(one.finding.render())
        complete = {step.name for step in steps if _left_nothing_out(step)}
        if complete.issuperset(self._suites):
            self._remember()

    def _remember(self) -> None:
        try:
            remember(self._folder, self._seen)
        except EnvironmentProblemError as error:
            with_what = "nothing" if remembered(self._folder) is None else "nothing newer"
            text = f"{error.diagnostics[0].message}, so --only-changed will have {with_what} to compare with"
            say(Diagnostic("E502", text, severity="warning").render())


def _left_nothing_out(step: StepRow) -> bool:
    """Return whether a suite of pytest ran all its tests, whatever they came to."""
    try:
        output = msgspec.convert(step.output, SuiteOutput)
    except msgspec.ValidationError:  # it was not run
        return False
    return output.complete and output.total > 0 and not output.counts.get("left_out", 0)
