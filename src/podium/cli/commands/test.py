"""`podium test`: the tests of a project, in layers."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import click

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
from podium.cli.options import format_option, store_option
from podium.cli.output import say, sinks_for
from podium.cli.test_options import Several, choice_options, refused_options, run_options
from podium.errors import ExitCode, NothingSelectedError, PlanError, UsageError
from podium.plan.graph import Plan
from podium.protocols import Sink
from podium.server.background import enqueue, ensure_daemon
from podium.session import RunSummary, Session
from podium.sinks.tally import short_id
from podium.sinks.writing import how_long

_RUN = re.compile(r"latest|[0-9a-f]{4,}(?:-[0-9a-f-]+)?")
_LOOK_EVERY = 0.2
"""How often queued runs are looked at while they are waited for [s]."""
_CODES = {
    frozenset({"NoTests"}): ExitCode.NOTHING_SELECTED,
    frozenset({"NoPytest", "CannotStart"}): ExitCode.ENVIRONMENT,
    frozenset({"UsageError", "Selection"}): ExitCode.USAGE,
}
"""Why suites came to nothing to the exit code, if that is all that is wrong."""
_FORMATS = {"json": "jsonl", "simple": "lines", "rich": "board", "silent": "silent"}


@click.command("test")
@click.argument("paths", nargs=-1)
@choice_options
@run_options
@click.option("--background-e2e", is_flag=True, help="Queue the layers in the background and return at once.")
@click.option("--queue-e2e", is_flag=True, help="The same, and run nothing here, whatever is chosen.")
@click.option("--background-category", "background_categories", cls=Several, multiple=True, help="Only these of them.")
@click.option(
    "--background-timeout", type=click.FloatRange(min=0, min_open=True), help="Longest duration of them [min]."
)
@click.option("--background-retries", type=click.IntRange(min=0), default=0, help="Runs more if they do not pass.")
@click.option("--background-priority", type=int, default=1, help="Lower numbers begin first.")
@click.option("--orchestration-status", "--background-status", "status", is_flag=True, help="As `podium status`.")
@click.option("--background-results", type=click.IntRange(min=0), help="As `podium status --results N`.")
@click.option("--kill-background", metavar="RUN", help="As `podium kill RUN`.")
@click.option("--show-layers", is_flag=True, help="List the layers and exit.")
@click.option("--list-categories", is_flag=True, help="List the categories and exit.")
@click.option("--show-category-stats", is_flag=True, help="Durations and outcomes of categories so far, and exit.")
@click.option("--validate", is_flag=True, help="Check the file and what it names, and exit.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and exit.")
@click.option("--progress-mode", type=click.Choice([*_FORMATS]), help="How a run is shown while it goes on.")
@click.option("--no-progress-streaming", is_flag=True, help="Show the run only when it is over.")
@click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit XML to this file.")
@click.option("-v", "--verbose", is_flag=True, help="Say everything about what did not pass.")
@format_option("text", "json", "jsonl")
@store_option
@refused_options
@click.pass_context
def command(context: click.Context, *, format_: str, store: Path | None, **asked: Any) -> int:
    """Run the tests of the project, in layers: of its layers.yaml, or as they are found without one.

    With PATHS (files, folders, ids of tests), only these, without layers.

    Exit codes: 0 all passed, 1 some did not, 2 wrong usage or invalid files, 4 no tests, 5 the machine lacks
    something, 130 interrupted.

    \b
    podium test                                  all layers that are not in the background
    podium test --mode fast_feedback             what a developer waits for
    podium test --mode nightly --real-services
    podium test --categories unit api -x
    podium test --only-changed --budget 2min
    podium test --background-e2e --real-llm      queue the long ones; podium status shows them
    """  # noqa: D301 (click keeps the lines after this character as they are)
    given = context.get_parameter_source("parallel") is click.core.ParameterSource.COMMANDLINE
    asked["workers"] = asked["parallel"] if given else None
    other = _other_command(context, asked, format_, store)
    if other is not None:
        return other
    project = find_project(asked["config"], asked["paths"])
    if asked["show_layers"] or asked["list_categories"]:
        for warning in project.loaded.warnings:
            say(warning.render())
        shown = print_layer_list if asked["show_layers"] else print_category_list
        shown(project, format_)
        return ExitCode.PASSED
    if asked["show_category_stats"]:
        from podium.cli.commands.stats import command as stats  # noqa: PLC0415

        name = project.loaded.document.name
        return context.invoke(stats, limit=100, name=name, workflow=None, format_=_data(format_), store=store)
    if asked["dry_run"] or asked["validate"]:
        asked["allow_prod"] = True  # nothing runs
    here = _planned_here(project, asked) if _runs_here(asked) else None
    apart = _planned_apart(project, asked) if _is_queued(asked) else None
    if asked["dry_run"] or asked["validate"]:
        for found in (here, apart):
            if found is not None:
                print_layers(project, found, format_)
        return ExitCode.PASSED
    return _Run(project, asked, format_, store).of(here, apart)


def _other_command(context: click.Context, asked: dict[str, Any], format_: str, store: Path | None) -> int | None:
    """Do what another command does, if that was asked for."""
    shown = _data(format_)
    if asked["status"] or asked["background_results"] is not None:
        from podium.cli.commands.status import command as status  # noqa: PLC0415

        results = 10 if asked["background_results"] is None else asked["background_results"]
        return context.invoke(
            status, results=results, category=None, since=None, start=False, format_=shown, store=store
        )
    if asked["kill_background"]:
        from podium.cli.commands.kill import command as kill  # noqa: PLC0415

        return context.invoke(kill, run=asked["kill_background"], why="killed by hand", store=store)
    if asked["resume_from"] and _is_run(asked["resume_from"], store):
        from podium.cli.commands.resume import command as resume  # noqa: PLC0415

        return context.invoke(
            resume,
            run=asked["resume_from"],
            take_over=False,
            junit=asked["junit"],
            format_=format_,
            store=store,
        )
    return None


def _data(format_: str) -> str:
    return "json" if format_ == "jsonl" else format_


def _is_run(text: str, store: Path | None) -> bool:
    """Return whether a text names a run of the store; else it is a layer or a category."""
    if not _RUN.fullmatch(text):
        return False
    with Session.open(store) as session:
        try:
            session.store.run(text)
        except UsageError:
            return False
    return True


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
    """

    def __init__(self, project: Project, asked: dict[str, Any], format_: str, store: Path | None) -> None:
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
            summary = session.run(here.plan, sinks=self._sinks())
            if full is not None and not summary.interrupted:
                full.is_over(summary.run)
            if here.background_wait_s is not None:
                _wait(session, runs, here.background_wait_s)
            if session.store.tasks():
                ensure_daemon(session)
            return _exit_code(session, summary)

    def _is_full(self, plan: Plan) -> bool:
        return is_full(self._project.loaded.document, plan, self._asked)

    def _queue(self, session: Session, plan: Plan) -> str:
        asked = self._asked
        minutes = asked["background_timeout"]
        category = ",".join(dict.fromkeys(step.labels["category"] for step in plan.steps if "category" in step.labels))
        run = enqueue(
            session,
            plan,
            category=category,
            priority=asked["background_priority"],
            timeout=None if minutes is None else minutes * 60.0,
            retries=asked["background_retries"],
            beside=True,
        )
        ensure_daemon(session)
        say(f"queued {short_id(run)}: {plan.name} ({category})\nnext: podium status")
        return run

    def _sinks(self) -> list[Sink]:
        asked = self._asked
        format_ = _FORMATS.get(asked["progress_mode"] or "", self._format)
        if asked["no_progress_streaming"] and format_ == "text":
            format_ = "silent"
        return sinks_for(format_, junit=asked["junit"], verbose=asked["verbose"])


def _wait(session: Session, runs: list[str], longest: float) -> None:
    """Wait until queued runs are over, but not too long, and say what they came to."""
    deadline = time.monotonic() + longest
    for run in runs:
        while session.store.run(run).outcome is None and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        outcome = session.store.run(run).outcome
        said = outcome.replace("_", " ") if outcome else f"not over after {how_long(longest)}; podium status shows it"
        say(f"in the background: {short_id(run)} {said}")


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
