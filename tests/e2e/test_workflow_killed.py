"""Workflows with the real command: killed at any moment and resumed, every effect is there exactly once."""

import json
import random
import signal
import time

import pytest
from tests.e2e.workflow_runs import lines, until

COUNT = 8
GUARDED = "echo {0} >> calls; sleep 0.01; grep -qsx {1} log || echo {1} >> log; sleep 0.01"


def guarded(podium, *, fails):
    """Write a saga whose effects, forwards and backwards, are guarded by the idempotency key."""

    def effect(what):
        return GUARDED.format(what, f'"$PODIUM_IDEMPOTENCY_KEY {what}"')

    steps = [
        {"name": f"s{n}", "shell": effect(n), "compensate": {"shell": effect(f"undo-{n}"), "on": "attempted"}}
        for n in range(COUNT)
    ]
    if fails:
        steps[-1]["shell"] += "; exit 1"
    parts = {"name": "guarded", "order": "sequence", "steps": steps, "teardown": [{"name": "e", "shell": effect("e")}]}
    podium.write("guarded.yaml", json.dumps({"kind": "workflow", **parts}))


def kill_after(podium, arguments, *, more, pause):
    """Run a command, kill it a moment after some more steps were called, and return its exit code."""
    enough = len(lines(podium, "calls")) + more
    process = podium.start(*arguments)
    until(lambda: len(lines(podium, "calls")) >= enough or process.poll() is not None)
    time.sleep(pause)
    process.kill()
    process.communicate(timeout=20)
    return process


@pytest.mark.parametrize(("fails", "kills"), [(False, 3), (True, 6)])
def test_killed_at_any_moment_and_resumed_every_effect_is_there_exactly_once(podium, fails, kills, nothing_left):
    guarded(podium, fails=fails)
    draw = random.Random(kills)
    arguments, killed = ("run", "guarded.yaml"), 0
    while killed < kills:
        process = kill_after(podium, arguments, more=draw.randint(1, 3), pause=draw.uniform(0, 0.03))
        assert nothing_left(process.pid)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == fails
            break
        killed += 1
        arguments = ("resume", "latest")
    else:
        podium("resume", "latest", code=int(fails))
    assert killed > 1
    effects = [str(n) for n in range(COUNT)]
    effects += [f"undo-{n}" for n in reversed(range(COUNT))] if fails else []
    assert [line.split()[1] for line in lines(podium)] == [*effects, "e"]
    assert len(lines(podium, "calls")) <= len(lines(podium)) + killed, "what had passed was not done again"
    assert podium.runs()[0]["outcome"] == ("compensated" if fails else "passed")
