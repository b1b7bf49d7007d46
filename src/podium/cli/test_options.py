"""Options of `podium test`: which tests, how, and how to show them. `podium plan` shares those that say which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from podium.cli import options
from podium.errors import UsageError

MODES = ("fast_feedback", "nightly", "background", "hybrid", "commit", "ci", "weekend", "development")
FAIL_FAST_MODES = (
    "disabled",
    "first_failure",
    "category_failure",
    "critical_failure",
    "threshold_based",
    "smart_adaptive",
    "dependency_aware",
)

FORMATS = {"json": "jsonl", "simple": "lines", "rich": "board", "silent": "silent"}
"""How a run may be shown while it goes on to what standard output gets, see `podium.cli.output.sinks_for`."""

_MODES_REFUSED = {
    "websocket": "there is no WebSocket of another program to write to; `--format jsonl` is a stream of everything "
    "that happens",
    "log": "every run is recorded; `podium export --logs FOLDER` writes what its steps printed, and `simple` is one "
    "line for everything that happens",
    "console": "`rich` is the board on a terminal, `simple` are plain lines",
}
"""Documented ways to show a run that are not taken, and why."""

REFUSED = {
    "--window-size": "there are no windows: every finished test is in the journal, so a run goes on where it ended; "
    "`--budget` limits the time",
    "--disable-auto-split": "nothing is split before it runs: workers take tests as they become free",
    "--splitting-strategy": "nothing is split before it runs: workers take the longest tests first and share the rest",
    "--enable-monitoring": "every run is recorded; `podium stats` and `podium status` show it",
    "--websocket-thread-id": "there is no WebSocket of another program to write to; `--format jsonl` is a stream of "
    "everything that happens",
    "--master-orchestration": "there is one engine, and it conducts every run",
}
"""Documented options that mean nothing here, and why."""


CHOICE_PARAMETERS = (
    "mode",
    "layers",
    "categories",
    "use_layers",
    "env",
    "exclude_env",
    "allow_prod",
    "real_services",
    "real_llm",
    "config",
)
"""What `choice_options` adds to a command's parameters."""


class ProgressMode(click.Choice[str]):
    """A way to show a run; documented ones that are not taken are refused with a reason."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word, or say why it is not taken."""
        if value in _MODES_REFUSED:
            raise UsageError(f"--progress-mode {value} is not taken", hint=_MODES_REFUSED[value])
        return super().convert(value, param, ctx)


class Several(click.Option):
    """An option that takes all words up to the next option: `--categories unit api`."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the option's parser take the words behind it, too."""
        super().add_to_parser(parser, ctx)
        for name in self.opts:
            own = parser._long_opt.get(name)  # noqa: SLF001 (the only way to take more words than one)
            if own is not None:
                own.process = _taking_all(own)


def _taking_all(own: Any) -> Callable[[Any, Any], None]:
    def process(value: Any, state: Any) -> None:
        words = [*state.opts.get(own.dest, ()), value]
        while state.rargs and not state.rargs[0].startswith("-"):
            words.append(state.rargs.pop(0))
        state.opts[own.dest] = words
        state.order.append(own.obj)

    return process


def _names(_context: click.Context, _parameter: click.Parameter, words: Any) -> tuple[str, ...]:
    return tuple(name for word in words or () for name in word.split(",") if name)


def _refuse(_context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value:
        name = parameter.opts[0]
        raise UsageError(f"{name} is not taken", hint=REFUSED[name])


def several(*names: str, help: str, **more: Any) -> Callable[..., Any]:  # noqa: A002 (click's word)
    """Return an option for names: several words, with commas or blanks between them."""
    return click.option(*names, cls=Several, multiple=True, metavar="NAME ...", callback=_names, help=help, **more)


def _decorated(function: Any, decorators: tuple[Callable[..., Any], ...]) -> Any:
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def choice_options(function: Any) -> Any:
    """Add the options that say which layers, categories and tests are meant, and in which environment."""
    return _decorated(
        function,
        (
            click.option(
                "--mode", "--execution-mode", "mode", metavar="MODE", help=f"One of {', '.join(MODES)}, or of the file."
            ),
            several("--layers", "--layer", "layers", help="These layers and those they need."),
            several(
                "--categories",
                "--category",
                "categories",
                help="These categories and those they need; of --layers, if given.",
            ),
            click.option("--use-layers", is_flag=True, help="All layers that are not in the background."),
            click.option("--env", metavar="NAME", help="Environment: test, dev, staging, prod, or one of the file."),
            several("--exclude-env", help="Environments in which nothing may run."),
            click.option("--allow-prod", is_flag=True, help="Run in production, too."),
            click.option("--real-services", is_flag=True, help="Start real services where the file has mocks."),
            click.option("--real-llm", is_flag=True, help="Use real language models where the file has mocks."),
            click.option("--config", type=options.existing_path, help="Layers file, or folder with documented ones."),
        ),
    )


def run_options(function: Any) -> Any:
    """Add the options that say how tests are run."""
    return _decorated(
        function,
        (
            click.option("-k", "--pattern", metavar="EXPRESSION", help="Only tests that pytest's -k would select."),
            click.option(
                "--only-changed", is_flag=True, help="Only tests that changes since the last full run may affect."
            ),
            click.option("--since", metavar="REV", help="Likewise, but since this revision of git."),
            click.option("--budget", type=options.limit, help="Only the most telling tests that fit, such as 2min."),
            click.option(
                "-p",
                "--parallel",
                "--workers",
                "--max-workers",
                "parallel",
                type=options.number,
                is_flag=False,
                flag_value="auto",
                default="auto",
                help="Worker processes; one per processor.",
            ),
            click.option("--max-parallel-layers", type=click.IntRange(min=1), help="Layers at once."),
            click.option("--timeout", type=options.limit, help="Longest duration of one test, such as 30s."),
            click.option("--deadline", type=options.limit, help="Longest duration of the whole run."),
            click.option("--retries", type=click.IntRange(min=0), help="Tries more for a test that does not pass."),
            click.option("--repeat", type=click.IntRange(min=1), default=1, help="Run every test so many times."),
            click.option(
                "--until-fail", is_flag=True, help="Repeat until a test fails (at most --repeat times, or 1,000)."
            ),
            click.option(
                "-x",
                "--fast-fail",
                is_flag=True,
                help="End the run at the first test that does not pass; other suites are stopped.",
            ),
            click.option(
                "--fail-fast-mode", type=click.Choice(FAIL_FAST_MODES), help="When a failure ends more than itself."
            ),
            click.option(
                "--resume-from", metavar="NAME", help="Go on with a run, or begin with this layer or category."
            ),
            click.option("--python", metavar="PROGRAM", help="The project's interpreter."),
            click.option("--no-fork", is_flag=True, help="Do not fork workers after one collection."),
            click.option("--no-coverage", is_flag=True, help="Measure no coverage, whatever the project asks for."),
            click.option("--cypress-headed", is_flag=True, help="Show the browser of Cypress."),
            click.option("--cypress-browser", metavar="NAME", help="Browser of Cypress."),
        ),
    )


def refused_options(function: Any) -> Any:
    """Add documented options that are refused with a reason."""
    flags = {"--disable-auto-split", "--enable-monitoring", "--master-orchestration"}
    return _decorated(
        function,
        tuple(
            click.option(name, hidden=True, expose_value=False, is_flag=name in flags, callback=_refuse)
            for name in REFUSED
        ),
    )
