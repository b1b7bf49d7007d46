"""Steps per second of the engine, journalled, beside other ways of running the same graphs in the same run.

    python -m bench engine

Graphs of no-op steps: a fan-out (one root, all others need it), a random layered DAG (each step needs up to three of
the layer before), a chain. Podium journals every event to SQLite (WAL, survives `kill -9`). The peers:

- asyncio: a task per step over `graphlib.TopologicalSorter`, nothing kept.
- asyncio_sqlite: the same, every turn's outcomes committed to SQLite together.
- dask: `distributed.Client(processes=False)`, futures that depend on futures.
- ray: tasks that depend on object references.

Every measurement has a process of its own and takes wall time, for disks and other processes are part of it. Dask runs
3,000 steps at most, because it takes long; rates are compared.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from graphlib import TopologicalSorter
from pathlib import Path

from bench.common import ROOT, Row, absent, environment, peak_mb

Graph = dict[str, list[str]]


def fan_out(count: int) -> Graph:
    return {"root": [], **{f"s{n}": ["root"] for n in range(count - 1)}}


def layered(count: int, width: int = 100) -> Graph:
    draw = random.Random(1)
    graph: Graph = {}
    for n in range(count):
        layer = n // width
        before = range((layer - 1) * width, layer * width)
        graph[f"s{n}"] = [f"s{need}" for need in draw.sample(before, 3)] if layer else []
    return graph


def chain(count: int) -> Graph:
    return {f"s{n}": [f"s{n - 1}"] if n else [] for n in range(count)}


SHAPES = {"fan_out": fan_out, "layered": layered, "chain": chain}


def podium(graph: Graph, *, memory: bool = False) -> dict[str, float]:
    from podium.engine import Dispatcher, LoopClock
    from podium.executors.inline import InlineExecutor
    from podium.plan.graph import Need, Plan, Step
    from podium.protocols import Finished, Work
    from podium.store import Store

    work, passed = Work("noop"), Finished("passed")
    first: list[float] = []

    def noop(_payload: object) -> Finished:
        if not first:
            first.append(time.perf_counter())
        return passed

    with tempfile.TemporaryDirectory() as directory:
        store = Store.open(Path(directory) / "bench.db")
        started = time.perf_counter()
        steps = [Step(name, work, tuple(Need(need) for need in needs)) for name, needs in graph.items()]
        plan = Plan.of("bench", steps, slots=256)
        planned = time.perf_counter()

        async def run() -> None:
            dispatcher = Dispatcher(
                "bench", plan, journal=store, executors={"noop": InlineExecutor({"noop": noop})}, clock=LoopClock()
            )
            summary = await dispatcher.run()
            assert summary.counts == {"passed": len(graph)}

        asyncio.run(run())
        ended = time.perf_counter()
        store.close()
    return {
        "steps_per_s": len(graph) / (ended - planned),
        "planning_s": planned - started,
        "first_step_s": first[0] - started,
    }


async def _walk(graph: Graph, commit) -> None:
    async def noop(name: str) -> str:
        return name

    sorter = TopologicalSorter(graph)
    sorter.prepare()
    running: set[asyncio.Task[str]] = set()
    while sorter.is_active():
        running |= {asyncio.ensure_future(noop(name)) for name in sorter.get_ready()}
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        names = [task.result() for task in done]
        commit(names)
        sorter.done(*names)


def raw_asyncio(graph: Graph) -> dict[str, float]:
    started = time.perf_counter()
    asyncio.run(_walk(graph, lambda _names: None))
    return {"steps_per_s": len(graph) / (time.perf_counter() - started)}


def asyncio_sqlite(graph: Graph) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        connection = sqlite3.connect(Path(directory) / "bench.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE done (name TEXT PRIMARY KEY, outcome TEXT) STRICT, WITHOUT ROWID")

        def commit(names: list[str]) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO done VALUES (?, 'passed')", [(name,) for name in names])
            connection.execute("COMMIT")

        started = time.perf_counter()
        asyncio.run(_walk(graph, commit))
        ended = time.perf_counter()
        connection.close()
    return {"steps_per_s": len(graph) / (ended - started)}


def dask(graph: Graph) -> dict[str, float]:
    from distributed import Client

    def noop(*_needs: object) -> int:
        return 1

    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        started = time.perf_counter()
        futures: dict[str, object] = {}
        for name in TopologicalSorter(graph).static_order():
            futures[name] = client.submit(noop, *[futures[need] for need in graph[name]], pure=False)
        client.gather(list(futures.values()))
        ended = time.perf_counter()
    return {"steps_per_s": len(graph) / (ended - started)}


def ray(graph: Graph) -> dict[str, float]:
    import ray as peer

    peer.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

    @peer.remote
    def noop(*_needs: object) -> int:
        return 1

    peer.get(noop.remote())
    started = time.perf_counter()
    references: dict[str, object] = {}
    for name in TopologicalSorter(graph).static_order():
        references[name] = noop.remote(*[references[need] for need in graph[name]])
    peer.get(list(references.values()))
    ended = time.perf_counter()
    peer.shutdown()
    return {"steps_per_s": len(graph) / (ended - started)}


RUNNERS = {"podium": podium, "asyncio": raw_asyncio, "asyncio_sqlite": asyncio_sqlite, "dask": dask, "ray": ray}
NEEDS = {"dask": "distributed", "ray": "ray"}


def once(runner: str, shape: str, steps: int) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    variables = {**environment(), "RAY_DEDUP_LOGS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    command = [sys.executable, "-m", "bench.bench_engine", runner, shape, str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{runner} failed on {shape}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(*, quick: bool = False) -> dict:
    steps, rounds, large_steps = (500, 1, 5000) if quick else (10_000, 3, 100_000)
    missing = {name: absent(module) for name, module in NEEDS.items()}
    runners = [name for name in RUNNERS if not missing.get(name)]
    counts = {name: min(steps, 3000) if name == "dask" else steps for name in RUNNERS}
    rates: dict[str, dict[str, list[float]]] = {name: {shape: [] for shape in SHAPES} for name in runners}
    first_step: list[float] = []
    for _ in range(rounds):
        for shape in SHAPES:
            for name in runners:
                measured = once(name, shape, counts[name])
                rates[name][shape].append(measured["steps_per_s"])
                if name == "podium":
                    first_step.append(measured["first_step_s"])
    large = once("podium", "layered", large_steps)
    rows: list[Row] = [
        {
            "steps per s": name,
            "steps": counts[name],
            **{shape: statistics.median(rates[name][shape]) if name in rates else None for shape in SHAPES},
            "note": missing.get(name) or "",
        }
        for name in RUNNERS
    ]
    rows.append({"podium": f"first of {steps} steps begins after", "s": statistics.median(first_step)})
    rows.append({"podium": f"layered, {large_steps} steps", **large})
    return {"name": "engine", "rows": rows, "targets": []}


def main() -> None:
    runner, shape, steps = sys.argv[1:]
    measured = RUNNERS[runner](SHAPES[shape](int(steps)))
    print(json.dumps({**measured, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
