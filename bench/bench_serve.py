"""How fast `podium serve` takes in workflows, begins and ends them, and in how much memory.

    python -m bench serve

A server of its own, as a person starts it but for the store, which is new: `podium serve --port 0`. Clients in threads
of this process, one connection each, hand in workflows as fast as they are accepted. A workflow is a sequence of steps:
of `value` steps, which show what the engine costs, or of the command `true`, which shows what processes cost.

- workflows_per_s: from the first request to the last `RunFinished`.
- answer: from a request to its answer, which comes when the run is in the journal.
- begun, first_step, finished: from acceptance (`RunStarted`) to `RunResumed`, to the first `AttemptStarted`, to
  `RunFinished`, all read from the journal. They grow with what is handed in at once, which waits for its turn.
- peak memory: the largest that was resident of the server, and of the server and its children together, in looks every
  50 ms. Pages that processes share count in each; children that live for less than a look may be missed.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psutil

from bench.common import Row, environment

STEPS = 10
CLIENTS = 8
VARIANTS = {"value": {"value": 1}, "command": {"command": ["true"]}}
_LOOK = 0.05
_PATIENCE = 120.0


def document(variant: str) -> str:
    """Return a workflow as JSON, which is YAML."""
    steps = [{"name": f"s{number}", **VARIANTS[variant]} for number in range(STEPS)]
    return json.dumps({"kind": "workflow", "name": f"bench_{variant}", "order": "sequence", "steps": steps})


@contextmanager
def server(folder: Path, store: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Start a server, give its process and port, and stop it."""
    command = [sys.executable, "-m", "podium", "serve", "--port", "0", "--folder", str(folder), "--store", str(store)]
    log = folder / "server.log"
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment()) as process:
        try:
            yield psutil.Process(process.pid), _port(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        found = re.search(r"http://[^ ;]*:(\d+)", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.02)
    raise RuntimeError(f"the server does not come up:\n{log.read_text()[-2000:]}")


class Memory(threading.Thread):
    """Looks at the memory of a process and its children until told to stop."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._over = threading.Event()
        self.server_mb = 0.0
        self.all_mb = 0.0
        self.processes = 0

    def run(self) -> None:
        while not self._over.wait(_LOOK):
            try:
                total, seen = self._process.memory_info().rss, 1
                children = self._process.children(recursive=True)
            except psutil.Error:
                return
            self.server_mb = max(self.server_mb, total / 1e6)
            for process in children:
                try:
                    total += process.memory_info().rss
                    seen += 1
                except psutil.Error:
                    continue
            self.all_mb = max(self.all_mb, total / 1e6)
            self.processes = max(self.processes, seen)

    def stop(self) -> None:
        self._over.set()
        self.join()


def hand_in(port: int, body: bytes, workflows: int, clients: int) -> tuple[list[float], list[str]]:
    """Hand in workflows from so many clients at once; return how long each answer took [s], and the ids of the runs."""
    numbers = count()
    answers: list[float] = []
    runs: list[str] = []
    errors: list[BaseException] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        try:
            while next(numbers) < workflows:
                started = time.perf_counter()
                connection.request("POST", "/workflows", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                data = response.read()
                answers.append(time.perf_counter() - started)
                runs.append(_accepted(response.status, data))
        except BaseException as error:  # noqa: BLE001 (raised by the caller)
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return answers, runs


def _accepted(status: int, data: bytes) -> str:
    if status != 202:
        raise RuntimeError(f"status {status}: {data.decode()[:500]}")
    return json.loads(data)["run"]


def wait_until_idle(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    deadline = time.monotonic() + _PATIENCE
    idle = 0
    while idle < 2:  # a run between the queue and its conductor is in neither number for a moment
        if time.monotonic() > deadline:
            raise RuntimeError(f"runs are still under way after {_PATIENCE:.0f} s")
        time.sleep(0.1)
        connection.request("GET", "/health")
        health = json.loads(connection.getresponse().read())
        idle = 0 if health["running"] or health["queued"] else idle + 1
    connection.close()


def once(variant: str, workflows: int, clients: int) -> dict[str, float]:
    """Run one measurement against a server of its own."""
    body = json.dumps({"document": document(variant)}).encode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = folder / "bench.db"
        with server(folder, store) as (process, port):
            hand_in(port, json.dumps({"document": document("value")}).encode(), 1, 1)  # imports what comes late
            wait_until_idle(port)
            memory = Memory(process)
            memory.start()
            began_us = time.time_ns() // 1000
            answers, runs = hand_in(port, body, workflows, clients)
            wait_until_idle(port)
            memory.stop()
        found = _journal(store, runs)
    finished = [times["finished"] for times in found]
    elapsed = (max(finished) - began_us) / 1e6

    def since_accepted(what: str) -> list[float]:
        return [(times[what] - times["accepted"]) / 1e3 for times in found]

    return {
        "workflows_per_s": workflows / elapsed,
        "answer_p95_ms": quantile([answer * 1e3 for answer in answers], 0.95),
        "begun_p50_ms": quantile(since_accepted("begun"), 0.5),
        "begun_p95_ms": quantile(since_accepted("begun"), 0.95),
        "first_step_p50_ms": quantile(since_accepted("first_step"), 0.5),
        "first_step_p95_ms": quantile(since_accepted("first_step"), 0.95),
        "finished_p95_ms": quantile(since_accepted("finished"), 0.95),
        "server_peak_mb": memory.server_mb,
        "all_peak_mb": memory.all_mb,
        "processes": memory.processes,
    }


def _journal(store: Path, runs: Sequence[str]) -> list[dict[str, int]]:
    """Return when what happened in each run [us], having checked that all steps passed, in their order."""
    from podium.events import AttemptStarted, RunFinished, RunResumed, RunStarted, StepFinished
    from podium.store import Store

    found: list[dict[str, int]] = []
    kept = Store.open(store)
    for run in runs:
        times: dict[str, int] = {}
        passed: list[str] = []
        for record in kept.read(run):
            match record.event:
                case RunStarted(at_us=at_us):
                    times["accepted"] = at_us
                case RunResumed(at_us=at_us):
                    times.setdefault("begun", at_us)
                case AttemptStarted(at_us=at_us):
                    times.setdefault("first_step", at_us)
                case StepFinished(step=step, outcome="passed"):
                    passed.append(step)
                case RunFinished(at_us=at_us, outcome="passed"):
                    times["finished"] = at_us
                case _:
                    pass
        if passed != [f"s{number}" for number in range(STEPS)] or "finished" not in times:
            raise RuntimeError(f"run {run} did not pass: {passed}")
        found.append(times)
    kept.close()
    return found


def quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that this part of all does not exceed."""
    return sorted(values)[max(0, -int(-part * len(values) // 1) - 1)]


def measure(*, quick: bool = False) -> dict:
    workflows, rounds = (10, 1) if quick else (100, 3)
    found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant in VARIANTS:
            found[variant].append(once(variant, workflows, CLIENTS))
    rows: list[Row] = []
    for variant, rounds_of in found.items():
        median = {name: statistics.median(one[name] for one in rounds_of) for name in rounds_of[0]}
        rows.append(
            {
                "serve": variant,
                "workflows": workflows,
                "steps": STEPS,
                "clients": CLIENTS,
                **median,
                "processes": max(int(one["processes"]) for one in rounds_of),
            }
        )
    return {"name": "serve", "rows": rows, "targets": []}
