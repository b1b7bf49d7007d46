"""`podium test`: the tests of a project, in layers."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import click

from podium.cli.options import format_option, store_option
from podium.cli.test_options import FORMATS, ProgressMode, choice_options, refused_options, run_options, several
from podium.cli.test_rules import check_resumed, check_together, given_options
from podium.errors import UsageError

_RUN = re.compile(r"latest|[0-9a-f]{4,}(?:-[0-9a-f-]+)?")
_RUN_NOTHING = ("show_layers", "list_categories", "dry_run", "validate", "queue_e2e")
"""Options with which no test runs here."""


@click.command("test")
@click.argument("paths", nargs=-1)
@choice_options
@run_options
@click.option("--background-e2e", is_flag=True, help="Queue the layers in the background and return at once.")
@click.option("--queue-e2e", is_flag=True, help="The same, and run nothing here, whatever is chosen.")
@several("--background-category", "background_categories", help="Queue only these of them.")
@click.option(
    "--background-timeout", type=click.FloatRange(min=0, min_open=True), help="Longest duration of them [min]."
)
@click.option("--background-retries", type=click.IntRange(min=0), default=0, help="Runs more if they do not pass.")
@click.option("--background-priority", type=int, default=1, help="Of them: lower numbers begin first.")
@click.option("--orchestration-status", "--background-status", "status", is_flag=True, help="As `podium status`.")
@click.option("--background-results", type=click.IntRange(min=0), help="As `podium status --results N`.")
@click.option("--kill-background", metavar="RUN", help="As `podium kill RUN`.")
@click.option("--show-layers", is_flag=True, help="List the layers and exit.")
@click.option("--list-categories", is_flag=True, help="List the categories and exit.")
@click.option("--show-category-stats", is_flag=True, help="Durations and outcomes of categories so far, and exit.")
@click.option("--validate", is_flag=True, help="Check the file and that what it names is there, and exit.")
@click.option("--dry-run", is_flag=True, help="Print what would run, and exit.")
@click.option("--progress-mode", type=ProgressMode([*FORMATS]), help="How a run is shown while it goes on.")
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
    given = given_options(context)
    check_together(given, asked, format_)
    asked["workers"] = asked["parallel"] if "parallel" in given else None
    other = _other_command(context, asked, format_, store)
    if other is not None:
        return other
    with contextlib.ExitStack() as stack:
        ahead = None
        if not any(asked[name] for name in _RUN_NOTHING):
            from podium.executors.pytest_ahead import Ahead  # noqa: PLC0415 (before what takes longer to import)

            ahead = stack.enter_context(Ahead(asked["python"] or ""))
        from podium.cli.layer_runs import test_layers  # noqa: PLC0415 (while pytest is loaded)

        return test_layers(asked, given, format_, store, ahead)


def _other_command(context: click.Context, asked: dict[str, Any], format_: str, store: Path | None) -> int | None:
    """Do what another command does, if that was asked for."""
    shown = "json" if format_ == "jsonl" else format_
    if asked["status"] or asked["background_results"] is not None:
        from podium.cli.commands.status import command as status  # noqa: PLC0415

        results = 10 if asked["background_results"] is None else asked["background_results"]
        return context.invoke(
            status, results=results, category=None, since=None, start=False, format_=shown, store=store
        )
    if asked["show_category_stats"]:
        from podium.cli.commands.stats import command as stats  # noqa: PLC0415
        from podium.cli.layers import find_project  # noqa: PLC0415

        name = find_project(asked["config"], asked["paths"]).loaded.document.name
        return context.invoke(stats, limit=100, name=name, workflow=None, format_=shown, store=store)
    if asked["kill_background"]:
        from podium.cli.commands.kill import command as kill  # noqa: PLC0415

        return context.invoke(kill, run=asked["kill_background"], why="killed by hand", store=store)
    if asked["resume_from"] and _is_run(asked["resume_from"], store):
        from podium.cli.commands.resume import command as resume  # noqa: PLC0415

        check_resumed(given_options(context))
        return context.invoke(
            resume,
            run=asked["resume_from"],
            take_over=False,
            junit=asked["junit"],
            format_=format_,
            store=store,
        )
    return None


def _is_run(text: str, store: Path | None) -> bool:
    """Return whether a text names a run of the store; else it is a layer or a category."""
    if not _RUN.fullmatch(text):
        return False
    from podium.session import Session  # noqa: PLC0415

    with Session.open(store) as session:
        try:
            session.store.run(text)
        except UsageError:
            return False
    return True
