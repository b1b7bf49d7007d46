"""A run of everything: what it saw is what later runs compare with, and what it found checks what they would skip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.cli.output import say
from podium.executors.changes import impact_since, remember, snapshot
from podium.model.layers import LayersDocument
from podium.plan.graph import Plan
from podium.plan.impact import Impact, missed
from podium.protocols import TestRecord
from podium.session import Session

_NARROWING = ("paths", "pattern", "only_changed", "since", "budget", "resume_from", "fast_fail")


def is_full(document: LayersDocument, plan: Plan, asked: Mapping[str, Any]) -> bool:
    """Return whether a plan runs every test of every layer that is neither in the background nor only on request."""
    if any(asked[name] for name in _NARROWING):
        return False
    there = {step.name for step in plan.steps}
    return all(
        f"{name}/{category.name}" in there
        for name, layer in document.layers.items()
        if not layer.background and not layer.on_request
        for category in layer.categories
    )


class FullRun:
    """Takes in what there is before a full run, and compares afterwards.

    Args:
        session: Its store knows the tests.
        folder: The project.
        plan: What is about to run.
    """

    def __init__(self, session: Session, folder: Path, plan: Plan) -> None:
        self._session = session
        self._folder = folder
        self._suites = {
            step.name: (step.work.payload.get("origin", ""), step.work.payload.get("cwd", ""))
            for step in plan.steps
            if step.work.kind == "pytest"
        }
        self._seen = snapshot(folder)
        self._impact: Impact | None = impact_since(folder, now=self._seen)
        self._records: dict[str, dict[str, TestRecord]] = {}
        if self._impact is not None and not self._impact.everything:
            origins = {origin for origin, _ in self._suites.values()}
            self._records = {origin: session.store.tests(origin) for origin in origins}

    def is_over(self, run: str) -> None:
        """Say which tests `--only-changed` would have missed, and remember what this run saw."""
        if self._records and self._impact is not None:
            bad = self._session.store.not_passed(run)
            for step, (origin, folder) in self._suites.items():
                results = [test.result for test in bad if test.step == step]
                for one in missed(self._impact, results, self._records[origin], folder=folder):
                    say(one.finding.render())
        remember(self._folder, self._seen)
