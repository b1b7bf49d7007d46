"""Functions that workflow steps call in worker processes."""
# ruff: noqa: A002 (actions take `input`)

import os
import time
from pathlib import Path


def note(input, context):
    """Write down that a step began; the one that is to be held waits the first time."""
    path = Path(input["log"])
    with path.open("a") as log:
        log.write(f"{context.step}\n")
    if input.get("hold") == context.step and path.read_text().split().count(context.step) == 1:
        time.sleep(30)
    return {"step": context.step, "pid": os.getpid()}


def undo(input, results, context):
    with Path(input["log"]).open("a") as log:
        log.write(f"undo {sorted(results)}\n")


def fail(results):
    raise RuntimeError(f"after {sorted(results)}")
