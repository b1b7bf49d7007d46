"""Events per second of the kernel, beside SimPy and a bare heap, on the traffic of `bench.traffic`.

An event is a message that arrived, in every system alike, however many internal events that took. SimPy with stores
runs a fifth of the time, because it takes long; rates are compared, round by round. CPU time of
the run, without setting up.

    python -m bench kernel
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from bench.common import Row, absent, at_least, at_most, cpu_seconds, environment
from bench.traffic import END, SYSTEMS

NEEDS = {"simpy callbacks": "simpy", "simpy stores": "simpy"}
SHORT = {"simpy stores": 5}
"""System to the divisor of the time it runs."""

_BASELINE = "import podium.sim.kernel"
_RUN = "from bench.traffic import Podium; Podium().run({end})"
_PEAK = "; from bench.common import peak_mb; print(peak_mb())"


def measure(*, quick: bool = False) -> dict:
    end, rounds = (END // 10, 1) if quick else (END, 5)
    missing = {name: absent(module) for name, module in NEEDS.items()}
    systems = [name for name in SYSTEMS if not missing.get(name)]
    events: dict[str, int] = {}
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(rounds):
        for name in systems:
            system = SYSTEMS[name]()
            until = end // SHORT.get(name, 1)
            spent, _ = cpu_seconds(lambda run=system.run, until=until: run(until))
            arrived = [node.received for node in system.nodes]
            _check(name, until, arrived)
            events[name] = sum(arrived)
            rates[name].append(events[name] / spent)
    rate = {name: statistics.median(found) for name, found in rates.items()}
    faster = {
        name: statistics.median(own / other for own, other in zip(rates["podium"], found, strict=True))
        for name, found in rates.items()
    }
    rows: list[Row] = [
        {
            "system": name,
            "events": events.get(name),
            "events per CPU s": rate.get(name),
            "podium is faster by": faster.get(name),
            "note": missing.get(name) or "",
        }
        for name in SYSTEMS
    ]
    memory = max(0.0, _peak(_RUN.format(end=end)) - _peak(_BASELINE))
    rows.append({"memory of podium's run": "peak above the imported kernel", "MB": memory})
    return {
        "name": "kernel",
        "rows": rows,
        "targets": [
            at_least("events per CPU second", 800_000, rate["podium"]),
            at_least("times SimPy with callbacks", 1.2, faster.get("simpy callbacks")),
            at_least("times SimPy with stores", 5, faster.get("simpy stores")),
            at_most("memory of the run [MB]", 20, memory),
        ],
    }


_arrivals: dict[int, list[int]] = {}


def _check(name: str, until: int, arrived: list[int]) -> None:
    """Refuse to compare systems that did not deliver the same messages, counted per node by the bare heap."""
    if until not in _arrivals:
        reference = SYSTEMS["heapq alone"]()
        reference.run(until)
        _arrivals[until] = [node.received for node in reference.nodes]
    if arrived != _arrivals[until]:
        raise AssertionError(f"{name} delivered {sum(arrived)} messages, not as expected {sum(_arrivals[until])}")


def _peak(program: str) -> float:
    """Return the median peak memory of a program in processes of its own [MB]."""
    command = [sys.executable, "-c", program + _PEAK]
    done = [subprocess.run(command, capture_output=True, text=True, check=True, env=environment()) for _ in range(3)]
    return statistics.median(float(one.stdout) for one in done)
