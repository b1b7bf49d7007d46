"""Ask agents on the command line: several at once, then in waves. Here a line of Python stands for the agent.

python examples/05-agents/agents.py
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from podium.api.spawning import SpawnTask, collect, spawn_parallel_tracked

TOOL = f"""#!{sys.executable}
import sys
print("I was asked:", sys.stdin.read().replace(chr(10), " / "))
"""

SUBGOALS = [
    {"subgoal_index": 1, "description": "Read the log", "depends_on": []},
    {"subgoal_index": 2, "description": "Read the code", "depends_on": []},
    {"subgoal_index": 3, "description": "Explain the crash", "depends_on": [1, 2]},
]


async def together(tool: str) -> None:
    """Three prompts, two at once, told line by line."""
    tasks = [SpawnTask(f"Review part {part}", agent="reviewer") for part in "ABC"]
    results, metadata = await spawn_parallel_tracked(tasks, 2, stagger_delay=0.2, on_progress=print, tool=tool)
    for result in results:
        print(result.output)
    print(f"{sum(result.success for result in results)} of {metadata['total_tasks']} passed")


async def in_waves(tool: str) -> None:
    """The third is told what the first two found."""
    found = await collect(SUBGOALS, {3: "debugger"}, stagger_delay=0, tool=tool)
    for output in found.agent_outputs:
        print(f"{output.subgoal_index} ({output.agent_id}): {output.summary}")


def main() -> None:
    """Make the tool, and ask it. A real one, such as `claude`, needs no making."""
    with tempfile.TemporaryDirectory() as folder:
        tool = Path(folder) / "agent"
        tool.write_text(TOOL, encoding="utf-8")
        tool.chmod(0o755)
        asyncio.run(together(str(tool)))
        asyncio.run(in_waves(str(tool)))


if __name__ == "__main__":
    main()
