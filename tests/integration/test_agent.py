"""Agents are commands: what they are called with, and when they are ended. The tools here are scripts."""

import asyncio
import re
import sys
import time

import pytest

from podium.executors.agent import TERMINATION_PATTERNS, TOOL_VARIABLE, AgentExecutor
from podium.executors.command import CommandExecutor
from podium.protocols import Attempt, Finished, Progressed, Work

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

ECHO = """#!/bin/sh
echo "$0"; for word in "$@"; do echo "<$word>"; done; echo "$MORE $PODIUM_STEP"; cat
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Make a tool from a script, found on the path."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv(TOOL_VARIABLE, raising=False)

    def make(name, script):
        path = tmp_path / name
        path.write_text(script)
        path.chmod(0o755)
        return str(path)

    return make


def ask(payload, *, tool=None, then=None):
    """Return the reports of one attempt; `then` is called with the executor after the first."""
    reports = []

    async def main():
        agents = AgentExecutor(CommandExecutor(), tool)
        over = asyncio.Event()

        def take(token, report):
            assert token == 7
            reports.append(report)
            if then is not None and len(reports) == 1:
                then(agents)
            if not isinstance(report, Progressed):
                over.set()

        try:
            agents.start(Attempt("run", "step", 1, 7, Work("agent", payload), "key"), take)
            async with asyncio.timeout(20):
                await over.wait()
        finally:
            await agents.close()

    asyncio.run(main())
    return reports


def lines(payload, **how):
    end = ask(payload, **how)[-1]
    assert end.outcome == "passed"
    return end.output.splitlines()


def test_the_prompt_is_standard_input_of_the_usual_tool(tool):
    path = tool("claude", ECHO)
    assert lines({"prompt": "do ${this} 'now'\nplease"}) == [path, "<-p>", " step", "do ${this} 'now'", "please"]


def test_agent_and_arguments_are_passed_on(tool, tmp_path):
    tool("claude", "#!/bin/sh\npwd -P\n" + ECHO)
    payload = {"prompt": "p", "agent": "reviewer", "args": ["--model", "a b"], "env": {"MORE": "m"}, "cwd": "/"}
    assert lines(payload)[:1] + lines(payload)[2:] == [
        "/", "<-p>", "<--agent>", "<reviewer>", "<--model>", "<a b>", "m step", "p",
    ]  # fmt: skip


def test_which_tool_is_taken(tool, monkeypatch):
    paths = {name: tool(name, ECHO) for name in ("claude", "configured", "environment", "given")}

    def taken(**more):
        return lines({"prompt": "p", **more}, tool="configured")[0]

    assert taken() == paths["configured"]
    monkeypatch.setenv(TOOL_VARIABLE, "environment")
    assert taken() == paths["environment"]
    assert taken(tool="given") == paths["given"]


def test_output_can_be_json(tool):
    tool("claude", "#!/bin/sh\necho '{\"score\": 5}'")
    assert ask({"prompt": "", "output": "json"}) == [
        Progressed(message='{"score": 5}'),
        Finished("passed", {"score": 5}, artifacts={"stdout": b'{"score": 5}\n'}),
    ]


def test_a_tool_that_does_not_exist_is_errored(tool, tmp_path):
    (end,) = ask({"prompt": "p", "tool": "no-such-tool"})
    assert (end.outcome, end.failure.type) == ("errored", "CannotStart")
    assert end.failure.message == "Tool 'no-such-tool' not found"
    (end,) = ask({"prompt": "p", "tool": "true", "cwd": str(tmp_path / "none")})
    assert end.failure.message == f"directory '{tmp_path}/none' not found"


@pytest.mark.parametrize("payload", [{}, {"prompt": 1}, {"prompt": "p", "output": "lines"}, {"prompt": "p", "x": 1}, 5])
def test_a_wrong_payload_is_errored(payload):
    (end,) = ask(payload)
    assert (end.outcome, end.failure.type) == ("errored", "BadPayload")


def test_an_agent_that_gets_no_further_is_ended(tool):
    tool("claude", "#!/bin/sh\necho working >&2\necho 'Error: 429 Too Many Requests' >&2\nsleep 60")
    began = time.monotonic()
    end = ask({"prompt": "p"})[-1]
    assert (end.outcome, end.failure.type) == ("failed", "Pattern")
    assert end.failure.message == "Error: 429 Too Many Requests"
    assert time.monotonic() - began < 5


def test_what_ends_an_agent_can_be_said(tool):
    tool("claude", "#!/bin/sh\necho 'rate limit' >&2\necho done")
    assert ask({"prompt": "p", "stop_on": []})[-1].outcome == "passed"
    assert ask({"prompt": "p", "stop_on": ["Rate"]})[-1].outcome == "passed"
    assert ask({"prompt": "p", "stop_on": ["^rate"]})[-1].failure.type == "Pattern"


@pytest.mark.parametrize(
    "line",
    ["Rate limit reached", "ratelimit", "HTTP 429", "connection refused", "Connection-Reset by peer", "econnreset",
     "API Error: 529", "Authentication failed", "model not available", "QUOTA EXCEEDED", "Invalid API key",
     "401 Unauthorized", "403 Forbidden"],
)  # fmt: skip
def test_lines_that_end_an_agent(line):
    assert any(re.search(pattern, line) for pattern in TERMINATION_PATTERNS)


@pytest.mark.parametrize("line", ["14290 tokens", "reading src/connection.py", "the model is available", "no errors"])
def test_lines_that_do_not(line):
    assert not any(re.search(pattern, line) for pattern in TERMINATION_PATTERNS)


def test_asked_to_stop_an_agent_is_cancelled(tool):
    tool("claude", "#!/bin/sh\necho thinking\nsleep 60")
    for force in (False, True):
        end = ask({"prompt": "p"}, then=lambda agents, force=force: agents.stop(7, force=force))[-1]
        assert (end.outcome, end.failure.type) == ("cancelled", "Cancelled")
