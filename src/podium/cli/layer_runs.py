"""Running the layers that `podium test` was asked for, here and in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from podium.cli.full_run import FullRun, is_full
from podium.cli.layers import (
    LayersPlan,
    Project,
    find_project,
    planned_layers,
    print_category_list,
    print_layer_list,
    print_layers,
)
from podium.cli.output import say, sinks_for
from podium.cli.queued import queue_layers, wait_for
from podium.cli.test_options import FORMATS
from podium.errors import ExitCode, NothingSelectedError, PlanError
from podium.executors.pytest_ahead import Ahead
from podium.plan.graph import Plan
from podium.protocols import Sink
from podium.server.background import ensure_daemon
from podium.session import RunSummary, Session

_CODES = {
    frozenset({"NoTests"}): ExitCode.NOTHING_SELECTED,
    frozenset({"NoPytest", "CannotStart"}): ExitCode.ENVIRONMENT,
    frozenset({"UsageError", "Selection"}): ExitCode.USAGE,
}
"""Why suites came to nothing to the exit code, if that is all that is wrong."""


def test_layers(asked: dict[str, Any], format_: str, store: Path | None, ahead: Ahead | None) -> int:
    """Plan what was asked for, show or run it, and return the exit code.

    Args:
        asked: The options of `podium test`.
        format_: What standard output gets.
        store: File of the store.
        ahead: The interpreter that was started for the first suite.
    """
    project = find_project(asked["config"], asked["paths"])
    if asked["show_layers"] or asked["list_categories"]:
        for warning in project.loaded.warnings:
            say(warning.render())
        shown = print_layer_list if asked["show_layers"] else print_category_list
        shown(project, format_)
        return ExitCode.PASSED
    if asked["dry_run"] or asked["validate"]:
        asked["allow_prod"] = True  # nothing runs
    here = _planned_here(project, asked) if _runs_here(asked) else None
    apart = _planned_apart(project, asked) if _is_queued(asked) else None
    if asked["dry_run"] or asked["validate"]:
        for found in (here, apart):
            if found is not None:
                print_layers(project, found, format_)
        return ExitCode.PASSED
    return _Run(project, asked, format_, store, ahead).of(here, apart)


def _is_queued(asked: dict[str, Any]) -> bool:
    return bool(asked["background_e2e"] or asked["queue_e2e"] or asked["background_categories"])


def _runs_here(asked: dict[str, Any]) -> bool:
    """Return whether anything runs in the foreground; background layers alone are queued alone."""
    if asked["queue_e2e"]:
        return False
    named = asked["mode"] or asked["layers"] or asked["categories"] or asked["use_layers"] or asked["paths"]
    return bool(named) or not _is_queued(asked)


def _planned_here(project: Project, asked: dict[str, Any]) -> LayersPlan:
    """Return the plan of what runs in the foreground."""
    chosen = bool(asked["mode"] or asked["layers"] or asked["categories"] or asked["paths"])
    with_background = False if _is_queued(asked) or not chosen else None
    return planned_layers(project, {**asked, "start_at": asked["resume_from"], "with_background": with_background})


def _planned_apart(project: Project, asked: dict[str, Any]) -> LayersPlan:
    """Return the plan of what is queued: the layers in the background, or some of their categories."""
    layers = project.loaded.document.layers
    names = [category.name for layer in layers.values() if layer.background for category in layer.categories]
    if not names:
        hint = "say background: true of a layer"
        raise NothingSelectedError(f"no layer of {project.source} is in the background", hint=hint)
    asked = {**asked, "mode": None, "layers": (), "categories": (), "with_background": True}
    wanted = asked["background_categories"]
    for name in wanted:
        if name not in names:
            hint = f"in the background: {', '.join(names)}"
            raise PlanError(f"category `{name}` is not in the background", code="P231", hint=hint)
    if not wanted and ("background" in project.loaded.document.modes or "e2e_background" in layers):
        return planned_layers(project, {**asked, "mode": "background"})
    return planned_layers(project, {**asked, "categories": wanted or tuple(names)})


class _Run:
    """Runs a plan of layers, here and in the background.

    Args:
        project: Whose tests they are.
        asked: The options.
        format_: What standard output gets.
        store: File of the store.
        ahead: The interpreter that was started for the first suite.
    """

    def __init__(
        self, project: Project, asked: dict[str, Any], format_: str, store: Path | None, ahead: Ahead | None
    ) -> None:
        self._ahead = ahead
        self._project = project
        self._asked = asked
        self._format = format_
        self._store = store

    def of(self, here: LayersPlan | None, apart: LayersPlan | None) -> int:
        """Queue what runs apart, run the rest here, and return the exit code."""
        with Session.open(self._store) as session:
            queued = [found.plan for found in (apart,) if found is not None]
            if here is not None and here.background_plan is not None:
                queued.append(here.background_plan)
            runs = [self._queue(session, plan) for plan in queued]
            if here is None:
                return ExitCode.PASSED
            full = FullRun(session, self._project.folder, here.plan) if self._is_full(here.plan) else None
            summary = session.run(here.plan, sinks=self._sinks(), ahead=self._ahead)
            if full is not None and not summary.interrupted:
                full.is_over(summary.run)
            if here.background_wait_s is not None:
                wait_for(session, runs, here.background_wait_s)
            if session.store.tasks():
                ensure_daemon(session)
            return _exit_code(session, summary)

    def _is_full(self, plan: Plan) -> bool:
        return is_full(self._project.loaded.document, plan, self._asked)

    def _queue(self, session: Session, plan: Plan) -> str:
        asked = self._asked
        return queue_layers(
            session,
            plan,
            priority=asked["background_priority"],
            timeout_min=asked["background_timeout"],
            retries=asked["background_retries"],
        )

    def _sinks(self) -> list[Sink]:
        asked = self._asked
        format_ = FORMATS.get(asked["progress_mode"] or "", self._format)
        if asked["no_progress_streaming"] and format_ == "text":
            format_ = "silent"
        return sinks_for(format_, junit=asked["junit"], verbose=asked["verbose"])


def _exit_code(session: Session, summary: RunSummary) -> int:
    """Return the exit code of a run; one in which no test was found is no pass, and nothing that failed."""
    found = session.store.steps(summary.run)
    if summary.exit_code == ExitCode.PASSED and all(step.outcome in (None, "skipped") for step in found):
        say("none of the tests was selected, so nothing can have passed")
        return ExitCode.NOTHING_SELECTED
    if summary.exit_code != ExitCode.FAILED:
        return summary.exit_code
    steps = [step for step in found if step.outcome not in ("passed", "skipped")]
    failures = {step.failure.type for step in steps if step.failure is not None}
    causes = failures - {"Incomplete"}  # layers say only that
    if causes == {"NoTests"}:
        say("no tests were found, so nothing can have passed")
    for kinds, code in _CODES.items():
        if causes and causes <= kinds:
            return code
    return summary.exit_code
