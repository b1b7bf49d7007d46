"""An executor that puts a prompt to a coding agent on the command line, such as `claude`."""

from __future__ import annotations

import os
import re
from typing import Any, Literal

import msgspec

from podium.events import Failure
from podium.executors.command import CommandExecutor, not_found
from podium.model.context import prompt_with_context, prompt_with_outputs
from podium.protocols import Attempt, Finished, Report, ReportTo, Work

TOOL_VARIABLE = "PODIUM_AGENT_TOOL"
DEFAULT_TOOL = "claude"
TERMINATION_PATTERNS = tuple(
    f"(?i){pattern}"
    for pattern in (
        r"rate.?limit",
        r"\b429\b",
        r"connection.?(refused|reset|error)",
        r"ECONNRESET",
        r"API.?error",
        r"authentication.?failed",
        r"model.?not.?available",
        r"quota.?exceeded",
        r"invalid.?api.?key",
        r"unauthorized",
        r"forbidden",
    )
)
"""What an agent writes to standard error when it will not get any further."""

_RETRY_AFTER = re.compile(r"(?i)(?:retry|try again)[ _-]*(?:after|in)\W{0,4}(\d{1,9}(?:\.\d{1,9})?) ?(ms|min|m|h)?")
_SECONDS = {"ms": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0}


class Dependency(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What something that came first came to.

    Attributes:
        id: What it is called.
        outcome: How it ended.
        output: JSON value.
        error: Why it did not pass: `type` and `message`.
    """

    id: str
    outcome: str
    output: Any = None
    error: dict[str, Any] | None = None


class Agent(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Payload of a step of kind `agent`.

    Attributes:
        prompt: What it is asked, on its standard input.
        agent: Which of its agents is asked; None: its usual one.
        tool: Program; None: `PODIUM_AGENT_TOOL`, then the configuration, then `claude`.
        env: Variables added to the environment.
        cwd: Working directory.
        output: Whether its standard output is text or a JSON value.
        args: More arguments.
        stop_on: Regular expressions that end it when found in a line of standard error.
        model: Which model it uses; None: its usual one.
        context: What came first; added to the prompt.
        context_as: As a list of dependencies with what each came to, or only the outputs of those that passed.
    """

    prompt: str
    agent: str | None = None
    tool: str | None = None
    env: dict[str, str] = {}
    cwd: str = ""
    output: Literal["text", "json"] = "text"
    args: tuple[str, ...] = ()
    stop_on: tuple[str, ...] = TERMINATION_PATTERNS
    model: str | None = None
    context: tuple[Dependency, ...] = ()
    context_as: Literal["dependencies", "outputs"] = "dependencies"

    def asked(self) -> str:
        """Return the prompt with its context."""
        told = prompt_with_context if self.context_as == "dependencies" else prompt_with_outputs
        return told(self.prompt, [msgspec.structs.asdict(dependency) for dependency in self.context])

    def options(self) -> list[str]:
        """Return the arguments of the tool."""
        agent = ["--agent", self.agent] if self.agent else []
        model = ["--model", self.model] if self.model else []
        return ["-p", *agent, *model, *self.args]


class AgentExecutor:
    """Runs agents as commands.

    Args:
        commands: Runs them.
        tool: Program for prompts that name none, unless the environment does.
    """

    def __init__(self, commands: CommandExecutor, tool: str | None = None) -> None:
        self._commands = commands
        self._tool = tool

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Start the tool with the prompt on its standard input."""
        try:
            agent = msgspec.convert(attempt.work.payload, Agent)
        except msgspec.ValidationError as error:
            report(attempt.token, Finished("errored", failure=Failure("BadPayload", str(error))))
            return
        tool = agent.tool or os.environ.get(TOOL_VARIABLE) or self._tool or DEFAULT_TOOL
        missing = Failure("CannotStart", not_found(tool))

        def passed_on(token: int, reported: Report) -> None:
            if isinstance(reported, Finished) and reported.failure == missing:
                reported = Finished("errored", failure=Failure("CannotStart", f"Tool '{tool}' not found"))
            report(token, _with_hint(reported))

        payload = {
            "argv": [tool, *agent.options()],
            "env": agent.env,
            "cwd": agent.cwd,
            "stdin": agent.asked(),
            "output": agent.output,
            "stop_on": agent.stop_on,
        }
        work = Work("command", payload)
        self._commands.start(msgspec.structs.replace(attempt, work=work), passed_on)

    def stop(self, token: int, *, force: bool) -> None:
        """Ask the agent to end, or kill its process group."""
        self._commands.stop(token, force=force)

    async def close(self) -> None:
        """Kill all agents, and every other command, and wait until they are dead."""
        await self._commands.close()


def _with_hint(reported: Report) -> Report:
    """Return the report with how long the agent asks to be left alone, if it says so."""
    failure = reported.failure if isinstance(reported, Finished) else None
    if failure is None:
        return reported
    hints = _RETRY_AFTER.findall(f"{failure.message}\n{failure.details}")
    if not hints:
        return reported
    amount, unit = hints[-1]
    failure = msgspec.structs.replace(failure, retry_after=float(amount) * _SECONDS.get(unit.lower(), 1.0))
    return msgspec.structs.replace(reported, failure=failure)
