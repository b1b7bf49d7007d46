"""Running the layers that `podium test` was asked for, here and in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from podium.cli.full_run import FullRun, is_full
from podium.cli.layers import (
    LayersPlan,
    Project,
    background_wanted,
    find_project,
    planned_layers,
    print_category_list,
    print_layer_list,
    print_layers,
    selection_of,
)
from podium.cli.named_things import what_is_missing
from podium.cli.output import say, sinks_for
from podium.cli.quarantine import tell_unmatched
from podium.cli.queued import queue_layers, wait_for
from podium.cli.test_options import FORMATS
from podium.cli.test_rules import Given, check_planned
from podium.errors import Diagnostic, ExitCode, NothingSelectedError, PlanError, UsageError
from podium.executors.pytest_ahead import Ahead
from podium.history import StepRow
from podium.model.layers import LayersDocument
from podium.plan.graph import Plan
from podium.plan.suites import SuiteOutput
from podium.protocols import Sink
from podium.server.background import ensure_daemon
from podium.session import RunSummary, Session

_CODES = {
    frozenset({"NoTests"}): ExitCode.NOTHING_SELECTED,
    frozenset({"NoPytest", "CannotStart"}): ExitCode.ENVIRONMENT,
    frozenset({"UsageError", "Selection"}): ExitCode.USAGE,
}
"""Why suites came to nothing to the exit code, if that is all that is wrong."""
_CHANGED = ("only_changed", "since")
_NARROWING = ("pattern", "budget", "resume_from")
_CHOICES = ("mode", "layers", "categories", "use_layers", *_CHANGED, *_NARROWING)
"""Options with which a person says what runs, and so knows what does not."""


def test_layers(asked: dict[str, Any], given: Given, format_: str, store: Path | None, ahead: Ahead | None) -> int:
    """Plan what was asked for, show or run it, and return the exit code.

    Args:
        asked: The options of `podium test`.
        given: Those that stand on the command line.
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
    is_shown_only = asked["dry_run"] or asked["validate"]
    missing = _missing(project, asked) if asked["validate"] else []
    try:
        here = _planned_here(project, asked) if _runs_here(asked) else None
        apart = _planned_apart(project, asked) if _is_queued(asked) else None
    except PlanError as error:
        raise PlanError([*error.diagnostics, *missing]) from error
    if missing:
        raise PlanError(missing)
    _check_planned(project, given, here, apart, is_shown_only=is_shown_only)
    if is_shown_only:
        for found in (here, apart):
            if found is not None:
                print_layers(project, found, format_)
        return ExitCode.PASSED
    return _Run(project, asked, format_, store, ahead).of(here, apart)


def _missing(project: Project, asked: dict[str, Any]) -> list[Diagnostic]:
    environment = selection_of(asked).environment
    return what_is_missing(project.loaded, project.folder, environment, real_services=asked["real_services"])


def _is_queued(asked: dict[str, Any]) -> bool:
    return bool(asked["background_e2e"] or asked["queue_e2e"] or asked["background_categories"])


def _runs_here(asked: dict[str, Any]) -> bool:
    """Return whether anything runs in the foreground; background layers alone are queued alone."""
    if asked["queue_e2e"]:
        return False
    named = asked["mode"] or asked["layers"] or asked["categories"] or asked["use_layers"] or asked["paths"]
    return bool(named) or not _is_queued(asked)


def _planned_here(project: Project, asked: dict[str, Any]) -> LayersPlan:
    """Return the plan of what runs in the foreground.

    Raises:
        UsageError: It does not have what it is to begin with (U400).
    """
    with_background = False if _is_queued(asked) else background_wanted(asked)
    found = planned_layers(project, {**asked, "start_at": asked["resume_from"], "with_background": with_background})
    if asked["resume_from"]:
        _check_start(project, found, asked["resume_from"])
    return found


def _check_start(project: Project, found: LayersPlan, start: str) -> None:
    plans = [plan for plan in (found.plan, found.background_plan) if plan is not None]
    labels = [step.labels for plan in plans for step in plan.steps]
    if any(start in (one.get("layer"), one.get("category")) for one in labels):
        return
    homes = [
        name
        for name, layer in project.loaded.document.layers.items()
        if name == start or any(category.name == start for category in layer.categories)
    ]
    if all(project.loaded.document.layers[name].background for name in homes):
        text = f"`{start}` is in the background, and no layer in the background runs here"
        raise UsageError(text, hint=f"`podium test --layers {homes[0]} --resume-from {start}` runs it here")
    text = f"nothing can begin with `{start}`: it is not among what runs here"
    raise UsageError(text, hint=f"choose its layer, too: --layers {homes[0]}; --dry-run shows what would run")


def _check_planned(
    project: Project, given: Given, here: LayersPlan | None, apart: LayersPlan | None, *, is_shown_only: bool
) -> None:
    """Refuse options that nothing that was planned heeds."""
    queued = [plan for plan in (apart and apart.plan, here and here.background_plan) if plan is not None]
    check_planned(
        given,
        here=None if here is None else {step.work.kind for step in here.plan.steps},
        queued={step.work.kind for plan in queued for step in plan.steps} if queued else None,
        is_shown_only=is_shown_only,
    )
    mode = project.loaded.document.execution.mode
    if "max_parallel_layers" in given and mode != "parallel":
        text = f"{given['max_parallel_layers']} has no effect: layers follow each other with `execution.mode: {mode}`"
        say(Diagnostic("P240", text, "say mode: parallel, or leave it out", severity="warning").render())


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
            full = self._full_run(session, here.plan)
            summary = session.run(here.plan, sinks=self._sinks(), ahead=self._ahead)
            steps = session.store.steps(summary.run)
            if full is not None and not summary.interrupted:
                full.is_over(summary.run, steps)
            tell_unmatched(self._project.loaded, here.environment, here.plan, steps, self._asked["pattern"] or "")
            if here.background_wait_s is not None:
                wait_for(session, runs, here.background_wait_s)
            if session.store.tasks():
                ensure_daemon(session)
            code = _exit_code(here.plan, steps, summary, self._asked)
            self._say_what_was_not_run(here.plan)
            return code

    def _say_what_was_not_run(self, plan: Plan) -> None:
        """Name the layers that were left out if neither a file nor an option says so."""
        asked = self._asked
        is_text = self._shown_as not in ("json", "jsonl")
        if is_text and self._project.is_found and not _is_queued(asked) and not any(asked[name] for name in _CHOICES):
            text = _not_run(self._project.loaded.document, plan)
            if text:
                say(text)

    def _full_run(self, session: Session, plan: Plan) -> FullRun | None:
        if not is_full(self._project.loaded.document, plan, self._asked):
            return None
        return FullRun(session, self._project.folder, plan, self._asked)

    def _queue(self, session: Session, plan: Plan) -> str:
        asked = self._asked
        return queue_layers(
            session,
            plan,
            priority=asked["background_priority"],
            timeout_min=asked["background_timeout"],
            retries=asked["background_retries"],
        )

    @property
    def _shown_as(self) -> str:
        """How the run is shown, in the words of `podium.cli.output.sinks_for`."""
        asked = self._asked
        format_ = FORMATS.get(asked["progress_mode"] or "", self._format)
        return "silent" if asked["no_progress_streaming"] and format_ == "text" else format_

    def _sinks(self) -> list[Sink]:
        return sinks_for(self._shown_as, junit=self._asked["junit"], verbose=self._asked["verbose"])


def _not_run(document: LayersDocument, plan: Plan) -> str:
    """Return which layers a plan leaves out and the commands that run them; empty if there are none."""
    there = {step.labels.get("layer") for step in plan.steps}
    left = {name: layer for name, layer in document.layers.items() if name not in there}
    if not left:
        return ""
    what = "it" if len(left) == 1 else "them"
    names = (f"{name} ({'in the background' if layer.background else 'on request'})" for name, layer in left.items())
    ways = [f"podium test --layers {' '.join(left)} runs {what} here"]
    if all(layer.background for layer in left.values()):
        ways.insert(0, f"podium test --background-e2e queues {what}")
    return f"not run: {', '.join(names)}; {', '.join(ways)}"


def _exit_code(plan: Plan, found: Sequence[StepRow], summary: RunSummary, asked: Mapping[str, Any]) -> int:
    """Return the exit code of a run; one in which no test was found is no pass, and nothing that failed."""
    categories = {step.name for step in plan.steps if "category" in step.labels}  # a service that passed tested nothing
    selected = any(step.outcome != "skipped" for step in found if step.name in categories)
    if summary.exit_code == ExitCode.PASSED and not selected:
        only_changed = any(asked[name] for name in _CHANGED) and not any(asked[name] for name in _NARROWING)
        why = "since nothing that changed concerns them" if only_changed else "so nothing can have passed"
        say(f"none of the tests was selected, {why}")
        return ExitCode.NOTHING_SELECTED
    if summary.exit_code != ExitCode.FAILED:
        return summary.exit_code
    steps = [step for step in found if step.outcome not in ("passed", "skipped")]
    failures = {step.failure.type for step in steps if step.failure is not None}
    causes = failures - {"Incomplete", "Cancelled"}  # layers say only that, and suites that --fast-fail ended
    if causes == {"NoTests"}:
        what = "tests were found and none was run" if any(map(_found_tests, steps)) else "no tests were found"
        say(f"{what}, so nothing can have passed")
    for kinds, code in _CODES.items():
        if causes and causes <= kinds:
            return code
    return summary.exit_code


def _found_tests(step: StepRow) -> bool:
    """Return whether a suite that ran no test knows of some."""
    try:
        return msgspec.convert(step.output, SuiteOutput).counts.get("left_out", 0) > 0
    except msgspec.ValidationError:  # it is no suite, or was not run
        return False
