"""Run the measurements, print a table each, and write one JSON.

python -m bench [kernel] [scenario] [campaign] [engine] [workflows] [serve] [suites] [--json FILE] [--quick]
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from pathlib import Path

from bench.common import machine, table

NAMES = ("kernel", "scenario", "campaign", "engine", "workflows", "serve", "suites")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="What Podium costs, beside what else there is."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; by default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--quick", action="store_true", help="small and once: shows that it runs, not how fast")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    facts = machine()
    print(f"{facts['cpus']} x {facts['cpu']}, Python {facts['python']}, podium {facts['podium']}")
    print("peers:", ", ".join(f"{name} {version or 'absent'}" for name, version in facts["peers"].items()))
    results = []
    for name in options.names or NAMES:
        started = time.monotonic()
        result = importlib.import_module(f"bench.bench_{name}").measure(quick=options.quick)
        results.append({**result, "took_s": round(time.monotonic() - started, 1)})
        print(f"\n{name} ({results[-1]['took_s']:.0f} s)\n{table(result['rows'])}", flush=True)
        if result["targets"]:
            print(table(result["targets"]), flush=True)
    if options.json:
        document = {"machine": facts, "quick": options.quick, "results": results}
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
