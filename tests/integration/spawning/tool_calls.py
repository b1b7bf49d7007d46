"""A tool that does what its prompt says, line by line, and what is known of its calls."""

import asyncio
import json
import sys
from pathlib import Path

from tests.processes import gone

from podium.api.spawning import RetryPolicy, SpawnPolicy, TimeoutPolicy

TOOL = f"""#!{sys.executable} -IS
import json, os, signal, sys, time
began = time.time()
asked = sys.stdin.read()
agent = sys.argv[sys.argv.index("--agent") + 1] if "--agent" in sys.argv else None
here = os.path.dirname(os.path.abspath(__file__))
counter = os.path.join(here, "count-" + "".join(filter(str.isalnum, asked))[:60])
with open(counter, "a") as file:
    file.write("x")
    file.flush()
    call = file.tell()
code = 0
for line in asked.splitlines():
    word, _, rest = line.partition(" ")
    if word == "say":
        print(rest, flush=True)
    elif word == "sleep":
        time.sleep(float(rest))
    elif word == "fail" and call <= int(rest):
        print("boom", call, file=sys.stderr)
        code = 1
    elif word == "agents-fail" and agent:
        print(agent, rest or "is broken", file=sys.stderr)
        code = 3
    elif word == "die":
        print(rest, file=sys.stderr, flush=True)
        code = 4
    elif word == "limited" and call == 1:
        print("rate limit exceeded, retry after", rest, file=sys.stderr, flush=True)
        time.sleep(30)
    elif word == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif word == "child" and os.fork() == 0:
        with open(os.path.join(here, "child"), "w") as file:
            file.write(str(os.getpid()))
        os.rename(os.path.join(here, "child"), os.path.join(here, "child-pid"))
        time.sleep(60)
with open(os.path.join(here, "calls"), "a") as file:
    file.write(json.dumps([agent, asked, began, time.time(), sys.argv[1:]]) + chr(10))
sys.exit(code)
"""
QUICK = SpawnPolicy("quick", TimeoutPolicy("fixed", timeout=20), RetryPolicy(3, base_delay=0.01))


def run(awaitable):
    async def limited():
        async with asyncio.timeout(60):
            return await awaitable

    return asyncio.run(limited())


def calls():
    """Return `(agent, prompt, began, ended, arguments)` of every call that ended by itself, in the order of ends."""
    path = Path("calls")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def at_once():
    """Return how many calls overlapped at most."""
    edges = sorted([(began, 1) for _, _, began, _, _ in calls()] + [(ended, -1) for _, _, _, ended, _ in calls()])
    most = now = 0
    for _, edge in edges:
        now += edge
        most = max(most, now)
    return most


def quick(retries=2, **how):
    return SpawnPolicy("quick", QUICK.timeout_policy, RetryPolicy(retries + 1, base_delay=0.01, **how))


async def child_born():
    while not await asyncio.to_thread(Path("child-pid").exists):  # noqa: ASYNC110 (it is another process that tells)
        await asyncio.sleep(0.02)


def child_is_dead():
    """Return whether the tool's child is dead."""
    return gone(Path("child-pid").read_text())
