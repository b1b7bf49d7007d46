"""What every measurement shares: rounds, targets, tables, memory, facts about the machine."""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEERS = ("simpy", "dask", "distributed", "ray", "dbos", "prefect", "luigi", "parsl", "wfcommons")

Row = dict[str, Any]


def absent(module: str) -> str | None:
    """Return what to do about a peer that is not installed, or None if it is."""
    return None if importlib.util.find_spec(module) else f"absent: pip install {module}"


def at_least(what: str, target: float, measured: float | None) -> Row:
    return _target(f"{what}, at least", target, measured, met=measured is not None and measured >= target)


def at_most(what: str, target: float, measured: float | None) -> Row:
    return _target(f"{what}, at most", target, measured, met=measured is not None and measured <= target)


def _target(what: str, target: float, measured: float | None, *, met: bool) -> Row:
    return {"what": what, "target": target, "measured": measured, "met": met if measured is not None else None}


def cpu_seconds(action: Callable[[], object]) -> tuple[float, Any]:
    """Return the CPU time of an action, after what lies about was collected, and what it returned."""
    gc.collect()
    started = time.process_time()
    result = action()
    return time.process_time() - started, result


def interleaved(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median of each case, having measured each once per round, so that noise falls on all alike."""
    values: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            values[name].append(case())
    return {name: statistics.median(found) for name, found in values.items()}


def peak_mb() -> float:
    """Return the most memory this process had resident [MB].

    `ru_maxrss` of a child starts at what its parent had when it forked, so on Linux the kernel's own mark is read.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        divisor = 1e6 if platform.system() == "Darwin" else 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / divisor
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def environment() -> dict[str, str]:
    """Return the environment of a child that imports `bench` and the same `podium`."""
    import podium

    source = Path(podium.__file__).parent.parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(source)])}


def machine() -> Row:
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_model(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "podium": _version("podium"),
        "peers": {name: _version(name) for name in PEERS},
    }


def _version(name: str) -> str | None:
    """Return the version of what is installed; `podium` may also be imported from its sources."""
    if absent(name):
        return None
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "from sources"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def table(rows: Sequence[Row]) -> str:
    """Return rows as aligned text; a new header stands wherever the columns change."""
    lines: list[str] = []
    start = 0
    while start < len(rows):
        columns = list(rows[start])
        end = start
        while end < len(rows) and list(rows[end]) == columns:
            end += 1
        cells = [columns, *[[_text(row[column]) for column in columns] for row in rows[start:end]]]
        widths = [max(len(line[n]) for line in cells) for n in range(len(columns))]
        numeric = [any(isinstance(row[column], int | float) for row in rows[start:end]) for column in columns]
        lines += [
            "  "
            + "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(line, widths, numeric, strict=True)
            ).rstrip()
            for line in cells
        ]
        start = end
    return "\n".join(lines)


def _text(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "NO"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
