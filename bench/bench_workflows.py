"""Steps per second on the graphs of workflows, beside workflow systems in the same run.

    python -m bench workflows

Graphs of no-op steps: a chain, a fan-out and a random layered DAG as in `bench_engine`, and those of two scientific
workflows as `wfcommons` grows them from real ones: Montage (mosaics of the sky) and Epigenomics (a genome's state).
Only who needs whom is used of them. The systems:

- podium: every event journalled to SQLite (WAL, survives `kill -9`), as the command line does it.
- podium_full: the same, and every commit waits for the disk (survives a power cut), as those of dbos do.
- dbos: a workflow that calls its steps one after another, in topological order, each kept in SQLite as dbos opens it
  (rollback journal, waits for the disk); for steps that do nothing that is its quickest way.
- dbos_queue: a workflow per step through its queue, which looks every 20 ms rather than every second; the fan-out only.
- prefect: tasks in threads that wait for one another, its own temporary server, kept in SQLite; the server is told in
  the background, and most is kept only after the flow has ended.
- luigi: its local scheduler, one worker; what is complete is known in memory.
- parsl: apps in threads that take futures, nothing kept.
- dask: `distributed.Client(processes=False)`, futures that depend on futures, nothing kept.
- ray: tasks that depend on object references, nothing kept.
- asyncio: a task per step over `graphlib.TopologicalSorter`, nothing kept.

Every system has a process of its own in each round, in which it runs one graph after the other, and takes wall time,
from the graph to the end of the last step: what a system starts once (server, cluster, database) is not counted,
telling it the graph is. Afterwards it is checked that every step ran once and after all that it needs. Rates are
compared, for not every system gets through the large graphs in reasonable time: `steps` says how many each was given at
most; where a graph would be the one of another column then, it is left out.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

from bench.bench_engine import Graph, _walk, chain, fan_out, layered
from bench.common import Row, absent, environment

_LIMIT_S = 120.0
_SMALL = 1000
_POLL = 0.02
_MARK = "measured "

VARIABLES = {
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def grown(recipe: str, count: int) -> Graph:
    """Return the graph of about so many tasks that `wfcommons` grows, the same every time."""
    import numpy as np
    import wfcommons

    logging.disable(logging.WARNING)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 (the one that wfcommons draws from)
    kind = getattr(wfcommons, f"{recipe}Recipe")
    workflow = wfcommons.WorkflowGenerator(kind.from_num_tasks(count)).build_workflow()
    return {name: sorted(workflow.predecessors(name)) for name in workflow.nodes}


SHAPES = {
    "chain": chain,
    "fan_out": fan_out,
    "layered": layered,
    "montage": partial(grown, "Montage"),
    "epigenomics": partial(grown, "Epigenomics"),
}
GROWN = ("montage", "epigenomics")


# What each runner returns: when it began and ended, and either the steps in the order in which they ran, or the length
# of the longest path to each step, which it computed from those of its needs.
Ran = list[str]
Depths = dict[str, int]
Result = tuple[float, float, Ran | Depths]


def podium(graph: Graph, *, durability: Literal["normal", "full"] = "normal") -> Result:
    from podium.engine import Dispatcher, LoopClock
    from podium.events import AttemptStarted
    from podium.executors.inline import InlineExecutor
    from podium.plan.graph import Need, Plan, Step
    from podium.protocols import Finished, Work
    from podium.store import Store

    work, passed = Work("noop"), Finished("passed")
    store = Store.open(Path("bench.db"), durability=durability)
    started = time.perf_counter()
    steps = [Step(name, work, tuple(Need(need) for need in needs)) for name, needs in graph.items()]
    plan = Plan.of("bench", steps, slots=256)

    async def run() -> None:
        executor = InlineExecutor({"noop": lambda _payload: passed})
        dispatcher = Dispatcher("bench", plan, journal=store, executors={"noop": executor}, clock=LoopClock())
        await dispatcher.run()

    asyncio.run(run())
    ended = time.perf_counter()
    ran = [record.event.step for record in store.read("bench") if isinstance(record.event, AttemptStarted)]
    store.close()
    return started, ended, ran


def _dbos() -> None:
    from dbos import DBOS

    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{Path('dbos.sqlite').resolve()}",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )


def dbos(graph: Graph) -> Result:
    from dbos import DBOS

    ran: Ran = []
    _dbos()

    @DBOS.step()
    def noop(name: str) -> None:
        ran.append(name)

    @DBOS.workflow()
    def run() -> None:
        for name in TopologicalSorter(graph).static_order():
            noop(name)

    DBOS.launch()
    started = time.perf_counter()
    run()
    ended = time.perf_counter()
    DBOS.destroy(destroy_registry=True)
    return started, ended, ran


def dbos_queue(graph: Graph) -> Result:
    """Run a graph of two layers."""
    from dbos import DBOS

    ran: Ran = []
    _dbos()

    @DBOS.step()
    def noop(name: str) -> None:
        ran.append(name)

    @DBOS.workflow()
    def one(name: str) -> None:
        noop(name)

    def run(names: Iterable[str]) -> None:
        for handle in [DBOS.enqueue_workflow("bench", one, name) for name in names]:
            handle.get_result(polling_interval_sec=_POLL)

    DBOS.launch()
    DBOS.register_queue("bench", worker_concurrency=16, polling_interval_sec=_POLL)
    run(["first"])  # its thread for the queue begins within a second
    ran.clear()
    started = time.perf_counter()
    run(name for name, needs in graph.items() if not needs)
    run(name for name, needs in graph.items() if needs)
    ended = time.perf_counter()
    DBOS.destroy(destroy_registry=True)
    return started, ended, ran


def prefect(graph: Graph) -> Result:
    from prefect import flow, task
    from prefect.task_runners import ThreadPoolTaskRunner

    ran: Ran = []
    times: list[float] = []

    @task
    def noop(name: str) -> None:
        ran.append(name)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=16))
    def run(graph: Graph) -> None:
        times.append(time.perf_counter())
        futures = {}
        for name in TopologicalSorter(graph).static_order():
            futures[name] = noop.submit(name, wait_for=[futures[need] for need in graph[name]])
        for future in futures.values():
            future.result()
        times.append(time.perf_counter())

    run(graph)  # its server has started when the flow begins
    return times[0], times[1], ran


def luigi(graph: Graph) -> Result:
    import luigi as peer

    ran: Ran = []
    complete: set[str] = set()

    class Noop(peer.Task):
        name = peer.Parameter()

        def requires(self) -> list[peer.Task]:
            return [Noop(name=need) for need in graph[self.name]]

        def complete(self) -> bool:
            return self.name in complete

        def run(self) -> None:
            ran.append(self.name)
            complete.add(self.name)

    started = time.perf_counter()
    needed = {need for needs in graph.values() for need in needs}
    last = [Noop(name=name) for name in graph if name not in needed]
    peer.build(last, local_scheduler=True, workers=1, log_level="ERROR")
    ended = time.perf_counter()
    return started, ended, ran


def _depth(needs: Iterable[int]) -> int:
    return 1 + max(needs, default=0)


def parsl(graph: Graph) -> Result:
    import parsl as peer
    from parsl.config import Config
    from parsl.executors.threads import ThreadPoolExecutor

    @peer.python_app
    def noop(inputs: tuple[int, ...] = ()) -> int:
        return _depth(inputs)

    config = Config(
        executors=[ThreadPoolExecutor(max_threads=2)],
        run_dir=str(Path("parsl").resolve()),
        strategy="none",
        initialize_logging=False,
    )
    with peer.load(config):
        noop().result()
        started = time.perf_counter()
        futures = {}
        for name in TopologicalSorter(graph).static_order():
            futures[name] = noop(inputs=[futures[need] for need in graph[name]])
        depths = {name: future.result() for name, future in futures.items()}
        ended = time.perf_counter()
    return started, ended, depths


def dask(graph: Graph) -> Result:
    from distributed import Client

    def noop(*needs: int) -> int:
        return _depth(needs)

    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        client.submit(noop, pure=False).result()
        started = time.perf_counter()
        futures = {}
        for name in TopologicalSorter(graph).static_order():
            futures[name] = client.submit(noop, *[futures[need] for need in graph[name]], pure=False)
        depths = client.gather(futures)
        ended = time.perf_counter()
    return started, ended, depths


def ray(graph: Graph) -> Result:
    import ray as peer

    if not peer.is_initialized():
        peer.init(num_cpus=2, include_dashboard=False, log_to_driver=False)

    @peer.remote
    def noop(*needs: int) -> int:
        return 1 + max(needs, default=0)

    peer.get(noop.remote())
    started = time.perf_counter()
    references = {}
    for name in TopologicalSorter(graph).static_order():
        references[name] = noop.remote(*[references[need] for need in graph[name]])
    depths = dict(zip(references, peer.get(list(references.values())), strict=True))
    ended = time.perf_counter()
    return started, ended, depths


def raw_asyncio(graph: Graph) -> Result:
    ran: Ran = []
    started = time.perf_counter()
    asyncio.run(_walk(graph, ran.extend))
    return started, time.perf_counter(), ran


RUNNERS = {
    "podium": podium,
    "podium_full": partial(podium, durability="full"),
    "dbos": dbos,
    "dbos_queue": dbos_queue,
    "prefect": prefect,
    "luigi": luigi,
    "parsl": parsl,
    "dask": dask,
    "ray": ray,
    "asyncio": raw_asyncio,
}
NEEDS = {
    "dbos": "dbos",
    "dbos_queue": "dbos",
    "prefect": "prefect",
    "luigi": "luigi",
    "parsl": "parsl",
    "dask": "distributed",
    "ray": "ray",
}
MOST = {"dbos": 500, "dbos_queue": 200, "prefect": 200, "luigi": 500, "parsl": 3000, "dask": 500, "ray": 2000}
"""How many steps a system is given at most, so that it takes some seconds."""
ONLY = {"dbos_queue": ("fan_out",)}


def check(graph: Graph, found: Ran | Depths) -> None:
    """See that every step ran once, and after all that it needs.

    Raises:
        RuntimeError: It is not so.
    """
    if len(found) != len(graph) or set(found) != set(graph):
        raise RuntimeError(f"{len(found)} steps ran, {len(set(found))} different ones, of {len(graph)}")
    if isinstance(found, dict):
        for name, needs in graph.items():
            if found[name] != _depth(found[need] for need in needs):
                raise RuntimeError(f"step {name} did not have the results of what it needs")
        return
    at = {name: position for position, name in enumerate(found)}
    for name, needs in graph.items():
        for need in needs:
            if at[need] > at[name]:
                raise RuntimeError(f"step {name} ran before {need}, which it needs")


def once(runner: str, graphs: Mapping[str, Graph]) -> dict[str, float | str]:
    """Let a system run graphs, one after the other, in a process and a folder of its own.

    Returns:
        Column to steps per second, or to what went wrong.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        variables = {**environment(), **VARIABLES, "PREFECT_HOME": folder}
        for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_PROFILE"):
            variables.pop(name, None)
        given, output, errors = (Path(folder) / name for name in ("given", "output", "errors"))
        given.write_text("".join(json.dumps([column, graph]) + "\n" for column, graph in graphs.items()))
        command = [sys.executable, "-m", "bench.bench_workflows", runner]
        with given.open() as stdin, output.open("w") as stdout, errors.open("w") as stderr:
            process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=variables, cwd=folder)
            try:
                code = process.wait(_LIMIT_S)
                why = f"exit code {code}"
            except subprocess.TimeoutExpired:
                process.terminate()  # with what it started, if it can
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                why = f"not done after {_LIMIT_S:.0f} s"
        found: dict[str, float | str] = {}
        for line in output.read_text().splitlines():
            if line.startswith(_MARK):
                found |= json.loads(line.removeprefix(_MARK))
        last = (errors.read_text().strip().splitlines() or ["nothing said"])[-1][:200]
    return {column: found.get(column, f"{why}: {last}") for column in graphs}


def columns(*, quick: bool) -> dict[str, tuple[str, int]]:
    """Return column name to shape and number of steps."""
    small, large = (100, 200) if quick else (_SMALL, 10_000)
    found = {"chain": ("chain", small), "fan_out": ("fan_out", large), "layered": ("layered", large)}
    for shape in GROWN:
        found |= {f"{shape}_{small}": (shape, small), f"{shape}_{large}": (shape, large)}
    return found


def measure(*, quick: bool = False) -> dict:
    rounds = 1 if quick else 3
    cases = columns(quick=quick)
    notes: dict[str, str] = {name: missing for name, module in NEEDS.items() if (missing := absent(module))}
    no_recipes = absent("wfcommons")
    graphs: dict[tuple[str, int], Graph] = {}
    plans: dict[str, dict[str, Graph]] = {}
    for name in RUNNERS:
        plans[name] = {}
        for column, (shape, steps) in cases.items():
            most = MOST.get(name, steps)
            if name in notes or shape not in ONLY.get(name, SHAPES) or (no_recipes and shape in GROWN):
                continue
            if shape in GROWN and steps > most and any(found == shape for found, _ in _smaller(cases, steps)):
                continue  # the column of the smaller one says it
            size = min(steps, most)
            if (shape, size) not in graphs:
                graphs[shape, size] = SHAPES[shape](size)
            plans[name][column] = graphs[shape, size]
    rates = _rates(plans, rounds, notes)
    rows: list[Row] = [
        {
            "steps per s": name,
            "steps": max((len(graph) for graph in plans[name].values()), default=None),
            **{column: statistics.median(found) if (found := rates[name].get(column)) else None for column in cases},
            "note": notes.get(name, ""),
        }
        for name in RUNNERS
    ]
    rows += [
        {
            "graph": shape,
            "steps": len(graph),
            "needs": sum(map(len, graph.values())),
            "longest path": max(_depths(graph).values()),
        }
        for (shape, _), graph in sorted(graphs.items())
    ]
    if no_recipes:
        rows.append({"graph": f"montage, epigenomics: {no_recipes}"})
    return {"name": "workflows", "rows": rows, "targets": []}


def _smaller(cases: Mapping[str, tuple[str, int]], steps: int) -> list[tuple[str, int]]:
    return [case for case in cases.values() if case[1] < steps]


def _depths(graph: Graph) -> Depths:
    depths: Depths = {}
    for name in TopologicalSorter(graph).static_order():
        depths[name] = _depth(depths[need] for need in graph[name])
    return depths


def _rates(
    plans: Mapping[str, Mapping[str, Graph]], rounds: int, notes: dict[str, str]
) -> dict[str, dict[str, list[float]]]:
    """Return runner to column to what each round measured; what fails is noted and not tried again."""
    rates: dict[str, dict[str, list[float]]] = {name: {column: [] for column in plans[name]} for name in plans}
    for _ in range(rounds):
        for name in plans:
            if not rates[name]:
                continue
            found = once(name, {column: plans[name][column] for column in rates[name]})
            for column, measured in found.items():
                if isinstance(measured, str):
                    if name.startswith("podium"):
                        raise RuntimeError(f"{name} failed on {column}: {measured}")
                    notes[name] = f"absent: {column}: {measured}"
                    del rates[name][column]
                else:
                    rates[name][column].append(measured)
    return rates


def main() -> None:
    runner = sys.argv[1]
    folder = Path.cwd()
    for number, line in enumerate(sys.stdin):
        column, graph = json.loads(line)
        place = folder / str(number)
        place.mkdir()
        os.chdir(place)
        gc.collect()
        try:
            started, ended, found = RUNNERS[runner](graph)
            check(graph, found)
            measured: float | str = len(graph) / (ended - started)
        except Exception as error:  # noqa: BLE001 (it is told, and the next graph may be run)
            measured = f"{type(error).__name__}: {error}"[:200]
        print(f"\n{_MARK}{json.dumps({column: measured})}", flush=True)
    os.chdir(folder)


if __name__ == "__main__":
    main()
