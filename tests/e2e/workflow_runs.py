"""A saga, and what is seen of runs from outside."""

import time
from concurrent.futures import ThreadPoolExecutor

SAGA = """\
kind: workflow
name: saga
order: sequence
steps:
  - {{name: one, shell: "echo one >> log", compensate: {{shell: "echo undo-one >> log"}}}}
  - {{name: two, shell: "echo two >> log", compensate: {{shell: "echo undo-two >> log"}}}}
  - {{name: three, shell: "{three}", compensate: {{shell: "echo undo-three >> log"}}}}
  - {{name: four, shell: "echo four >> log"}}
teardown: [{{name: end, shell: "echo end >> log"}}]
"""
FAILS = "echo three >> log; exit 3"
HANGS = "sleep 61 & echo $! >> pids; echo three >> log; sleep 62 & echo $! >> pids; wait"
ANY = None
"""Whatever exit code a run ends with."""
DONE, UNDONE = ["one", "two", "three"], ["undo-two", "undo-one"]


def lines(podium, name="log"):
    path = podium.folder / name
    return path.read_text().splitlines() if path.exists() else []


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def events(podium, kind, run="latest"):
    return [event for event in podium("replay", run, "--format", "jsonl").events if event["kind"] == kind]


def two_at_a_time(function, cases):
    """Call a function with each of some cases, two side by side."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda case: function(*case), cases))


def why(podium, step):
    process = podium.start("why", "latest", step)
    output, _ = process.communicate(timeout=20)
    return output


def output_of(podium):
    return podium("show", "--format", "json").json["run"]["output"]
