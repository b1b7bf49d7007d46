"""Write docs/performance.md from the results: `python -m bench.report bench/results.json > docs/performance.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HEAD = """# Performance

Measured by `make bench`, which writes [bench/results.json](../bench/results.json); this page is made of it by
`python -m bench.report bench/results.json`. Peers are measured in the same run, on the same machine, in rounds, and
medians are shown: look at ratios, not at absolute numbers. What each system does exactly is said at the head of its
file in `bench/`.

| machine | {cpus} x {cpu} |
|---|---|
| system | {system} |
| Python | {python} |
| peers | {peers} |
"""


def main() -> None:
    document = json.loads(Path(sys.argv[1]).read_text())
    machine = document["machine"]
    peers = ", ".join(f"{name} {version or 'absent'}" for name, version in machine["peers"].items())
    print(HEAD.format(**{**machine, "peers": peers}))
    for result in document["results"]:
        name = result["name"]
        print(f"## {name.capitalize()}\n\n`python -m bench {name}`, {result['took_s']:.0f} s.\n")
        print(grid(result["rows"]) + "\n")
        if result["targets"]:
            print(grid(result["targets"]) + "\n")


def grid(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as Markdown tables, one for each set of columns."""
    parts: list[str] = []
    columns: list[str] = []
    for row in rows:
        if list(row) != columns:
            columns = list(row)
            parts += ([""] if parts else []) + [line(columns), "|" + "---|" * len(columns)]
        parts.append(line([cell(row[column]) for column in columns]))
    return "\n".join(parts)


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
