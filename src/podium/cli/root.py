"""The group of all commands; a command's module is imported when it is used, so `podium --help` stays fast."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from podium import __version__
from podium.errors import ExitCode, PodiumError, UsageError

COMMANDS = {
    "run": "Run scenarios, a workflow or a checklist.",
    "test": "Run the tests of a project, in layers.",
    "plan": "Check them and print what would run.",
    "resume": "Continue a run that was killed or cancelled.",
    "rerun": "Run what did not pass as a new run.",
    "cancel": "Ask a run to end, and undo what it did.",
    "kill": "End a run at once.",
    "signal": "Tell a run something its steps wait for.",
    "approve": "Answer a step that waits for an approval.",
    "why": "Say what a step waits for, or why it failed.",
    "serve": "Take workflows over HTTP and conduct many at once.",
    "replay": "Show a run again from its record.",
    "list": "List runs, newest first.",
    "status": "What is under way, queued, and done in the background.",
    "show": "Show a run, or one of its cases.",
    "stats": "Pass rates, durations and flaky cases over runs.",
    "compare": "What changed from one run to another.",
    "export": "Write a run as campaign JSON, JUnit or logs.",
    "clean": "Delete old runs.",
    "verify": "Run a scenario twice and compare every event.",
    "explain": "Explain an error code.",
    "schema": "Print the JSON Schema of a document.",
    "doctor": "Check this machine and the store.",
    "init": "Write a first scenario to start from.",
    "completion": "Print the completion script of a shell.",
}
"""Command to the line that `--help` shows; the module `podium.cli.commands.NAME` holds it."""


_COMPLETING = "_PODIUM_COMPLETE"
"""Set by the completion scripts; click answers it."""
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(click.Group):
    """A group that knows its commands by name and loads them when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module and return the command."""
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"podium.cli.commands.{cmd_name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command, or say which one may have been meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            close = get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean `{close[0]}`?" if close else "`podium --help` lists the commands"
            raise click.UsageError(f"there is no command `{name}`\nhint: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, no_args_is_help=False, context_settings=_SETTINGS)
@click.version_option(__version__, "-V", "--version", message="podium %(version)s")
def root() -> None:
    """Conducts tests, simulations and workflows: one engine, one journal.

    Start with `podium init`, then `podium run scenarios`.
    """


def run(arguments: Sequence[str]) -> int:  # noqa: PLR0911 (one per kind of end)
    """Run the command line and return its exit code; whatever goes wrong is said in words on stderr."""
    try:
        if not arguments and _COMPLETING not in os.environ:
            _say(root.make_context("podium", [], resilient_parsing=True).get_help())
            return ExitCode.USAGE
        result = root.main(list(arguments), prog_name="podium", standalone_mode=False)
    except click.exceptions.Abort:
        return ExitCode.INTERRUPTED
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        _say(_usage(error).render())
        return ExitCode.USAGE
    except PodiumError as error:
        _say(error.render())
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the last place where anything can be said)
        return _internal(error)
    return int(result or 0)


def _usage(error: click.ClickException) -> UsageError:
    """Return what click found wrong as an error like all others."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    message, _, hint = _message(error).partition("\nhint: ")
    command = context.command_path if context is not None else "podium"
    return UsageError(message, hint=hint or f"`{command} --help` shows how it is used")


def _message(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        known = {name.lstrip("-"): name for name in error.possibilities or ()}
        close = get_close_matches(error.option_name.lstrip("-"), known, n=1)
        hint = f"\nhint: did you mean `{known[close[0]]}`?" if close else ""
        return f"there is no option `{error.option_name}`{hint}"
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{error.param.param_type_name} `{_name(error.param)}` is missing"
    text = error.message if isinstance(error, click.BadParameter) else error.format_message()
    text = (text[:1].lower() + text[1:]).rstrip(".")
    if isinstance(error, click.BadParameter) and error.param is not None:
        return f"`{_name(error.param)}`: {text}"
    return text


def _name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return next((name for name in parameter.opts if name.startswith("--")), parameter.opts[0])
    return parameter.metavar or (parameter.name or "").upper()


def _internal(error: Exception) -> int:
    if os.environ.get("PODIUM_DEBUG"):
        _say("".join(traceback.format_exception(error)))
    place = traceback.extract_tb(error.__traceback__)[-1]
    _say(
        f"error[X900]: {type(error).__name__}: {error} (in {place.name}, {place.filename}:{place.lineno})\n"
        "hint: this is a defect of Podium; PODIUM_DEBUG=1 shows where it comes from"
    )
    return ExitCode.INTERNAL


def _say(text: str) -> None:
    click.echo(text, err=True)
