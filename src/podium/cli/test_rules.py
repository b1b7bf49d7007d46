"""Which options of `podium test` go together: one that could not do anything is an error, never ignored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import click

from podium.cli.test_options import FORMATS
from podium.errors import UsageError

_RESUMED = "resume_from"
_ALONE: dict[str, tuple[frozenset[str], str]] = {
    "show_layers": (frozenset({"config", "format_"}), "it lists what the file says"),
    "list_categories": (frozenset({"config", "format_"}), "it lists what the file says"),
    "show_category_stats": (frozenset({"config", "format_", "store"}), "it shows what is in the store"),
    "status": (frozenset({"background_results", "format_", "store"}), "`podium status` has options of its own"),
    "background_results": (frozenset({"status", "format_", "store"}), "`podium status` has options of its own"),
    "kill_background": (frozenset({"store"}), "it ends a run and does nothing else"),
}
"""Option that does something else than to run tests, to those that mean something beside it, and why no others do."""
_OF_RESUMED = frozenset({"junit", "format_", "store"})
_WITH_PATHS = ("config", "use_layers", "layers", "categories", "mode", "max_parallel_layers")
_OF_THE_QUEUE = ("background_timeout", "background_retries", "background_priority")
_OF_WHAT_RUNS_HERE = ("junit", "verbose", "progress_mode", "no_progress_streaming", "format_")
_OF_PYTEST = ("python", "no_fork", "no_coverage", "timeout", "only_changed", "since")
_QUIET = ("rich", "silent", "json")
"""Ways to show a run that do not say everything."""

Given = Mapping[str, str]
"""Parameters that were given, to how they are written."""


def given_options(context: click.Context) -> dict[str, str]:
    """Return the parameters that stand on the command line, each with the option a message may name."""
    on_the_line = click.core.ParameterSource.COMMANDLINE
    return {
        parameter.name or "": written(parameter)
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is on_the_line
        and context.params.get(parameter.name or "") not in (None, ())
    }


def written(parameter: click.Parameter) -> str:
    """Return how people write a parameter: its first long name."""
    if isinstance(parameter, click.Option):
        return next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])
    return parameter.metavar or (parameter.name or "").upper()


def check_together(given: Given, asked: Mapping[str, Any], format_: str) -> None:
    """Refuse options that contradict each other, or that could not do anything.

    Args:
        given: What stands on the command line.
        asked: The values of all options.
        format_: What standard output gets.

    Raises:
        UsageError: The first that was found (U400).
    """
    for finding in (*_beside_others(given, asked), *_shown(given, asked, format_)):
        raise finding


def check_resumed(given: Given) -> None:
    """Refuse options that say how tests are run when a run goes on, which was planned when it began.

    Raises:
        UsageError: There is one (U400).
    """
    for name in given.keys() - _OF_RESUMED - {_RESUMED}:
        hint = "a run goes on as it was planned; `podium test` without --resume-from plans anew"
        raise _no_effect(given[name], f"{given[_RESUMED]} RUN", hint)


def check_planned(
    given: Given, *, here: Collection[str] | None, queued: Collection[str] | None, is_shown_only: bool
) -> None:
    """Refuse options that have nothing to act on in what was planned.

    Args:
        given: What stands on the command line.
        here: Kinds of work of what runs here; None: nothing does.
        queued: Kinds of work of what is queued; None: nothing is.
        is_shown_only: The plan is shown, and nothing runs.

    Raises:
        UsageError: There is one (U400).
    """
    if queued is None:
        for name in _OF_THE_QUEUE:
            if name in given:
                raise UsageError(f"{given[name]} means nothing: nothing is queued", hint="add --background-e2e")
    if here is None:
        hint = "leave it out, or choose layers that run here; `podium status` shows what is queued"
        for name in (_RESUMED, *(() if is_shown_only else _OF_WHAT_RUNS_HERE)):
            if name in given:
                raise UsageError(f"{given[name]} means nothing: everything is queued, and nothing runs here", hint=hint)
    if "pytest" not in {*(here or ()), *(queued or ())}:
        for name in _OF_PYTEST:
            if name in given:
                text = f"{given[name]} means nothing: none of these categories is run by pytest"
                raise UsageError(text, hint="leave it out, or choose other categories")


def _beside_others(given: Given, asked: Mapping[str, Any]) -> Iterator[UsageError]:
    for name, (fitting, why) in _ALONE.items():
        if name in given:
            for other in [other for other in given if other not in fitting and other != name]:
                yield _no_effect(given[other], given[name], f"{why}; leave one of them out")
    if "paths" in given:
        for other in [other for other in _WITH_PATHS if other in given]:
            yield _no_effect(given[other], "PATHS", "paths are run on their own, without layers; leave one of them out")
    mode = asked["fail_fast_mode"]
    if asked["fast_fail"] and mode not in (None, "first_failure"):
        text = f"--fast-fail and --fail-fast-mode {mode} contradict each other"
        yield UsageError(text, hint="--fast-fail is --fail-fast-mode first_failure; leave one of them out")


def _shown(given: Given, asked: Mapping[str, Any], format_: str) -> Iterator[UsageError]:
    """Yield what is wrong with how a run is to be shown."""
    mode = asked["progress_mode"]
    shown = format_ if mode is None else FORMATS[mode]
    if mode is not None and "format_" in given and (format_ != shown) and (format_ != "text" or shown == "jsonl"):
        hint = "both say what standard output gets: --progress-mode json is --format jsonl; leave one of them out"
        yield UsageError(f"--format {format_} and --progress-mode {mode} contradict each other", hint=hint)
    if asked["no_progress_streaming"] and (shown == "jsonl" or mode in ("simple", "rich")):
        other = f"--progress-mode {mode}" if mode is not None else f"--format {format_}"
        hint = f"{other} shows a run while it goes on; leave one of them out"
        yield UsageError(f"--no-progress-streaming and {other} contradict each other", hint=hint)
    if asked["verbose"]:
        text_only = "it says more in plain lines; leave one of them out"
        if mode in _QUIET:
            yield _no_effect("--verbose", f"--progress-mode {mode}", text_only)
        if format_ != "text":
            yield _no_effect("--verbose", f"--format {format_}", text_only)
        if asked["no_progress_streaming"]:
            yield _no_effect("--verbose", "--no-progress-streaming", text_only)


def _no_effect(option: str, other: str, hint: str) -> UsageError:
    return UsageError(f"{option} has no effect with {other}", hint=hint)
