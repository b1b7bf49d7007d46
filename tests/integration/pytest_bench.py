"""Runs a suite of pytest by its executor, as the engine would."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from pathlib import Path
from typing import Any

from podium.executors.pytest_suite import PytestExecutor
from podium.protocols import Attempt, Finished, Progressed, Tested, TestRecord, Work
from podium.test_results import TestResult


class Ran:
    """What an attempt came to."""

    def __init__(self, finished: Finished, results: list[TestResult]) -> None:
        self.finished = finished
        self.all = results
        self.results = {result.id: result for result in results}

    @property
    def outcomes(self) -> dict[str, str]:
        """Outcomes by the part of the id after the file."""
        return {name.partition("::")[2] or name: result.outcome for name, result in self.results.items()}

    @property
    def output(self) -> dict[str, Any]:
        return self.finished.output

    @property
    def counts(self) -> dict[str, int]:
        return self.finished.output["counts"]

    @property
    def notes(self) -> str:
        return "\n".join(self.finished.output.get("notes", ()))

    @property
    def kind(self) -> tuple[str, str | None]:
        return self.finished.outcome, self.finished.failure and self.finished.failure.type

    @property
    def stdout(self) -> str:
        return self.finished.artifacts.get("stdout", b"").decode()

    def one(self, name: str) -> TestResult:
        """Return the only result whose id ends like this, or is this after the file."""
        exact = [result for key, result in self.results.items() if key.partition("::")[2] == name]
        (found,) = exact or [result for key, result in self.results.items() if key.endswith(name)]
        return found


class History:
    """What is known of tests."""

    def __init__(self, **records: tuple[float, str]) -> None:
        self.records = {}
        for name, (duration, outcome) in records.items():
            self.add(name, duration, outcome)

    def add(self, name: str, duration: float, outcome: str = "passed") -> History:
        self.records[name] = TestRecord(duration, outcome)
        return self

    def tests(self, origin: str) -> dict[str, TestRecord]:
        return self.records


def write(folder: Path, files: dict[str, str]) -> None:
    """Write the files of a project."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


class Bench:
    """An executor under way.

    Args:
        folder: The project.
        options: Further arguments of the executor.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.executor = PytestExecutor(cwd=str(folder), **options)
        self.results: list[TestResult] = []
        self.end: Finished | None = None
        self.changed = asyncio.Event()

    def start(self, passed: frozenset[str] = frozenset(), **payload: Any) -> None:
        payload = {"python": sys.executable, "workers": 2, **payload}
        payload["args"] = ("-p", "no:cacheprovider", *payload.get("args", ()))
        attempt = Attempt("run-id", "step", 1, 1, Work("pytest", payload), "key", passed_tests=passed)
        self.executor.start(attempt, self._report)

    def _report(self, token: int, report: Any) -> None:
        assert self.end is None, "nothing follows the end"
        if isinstance(report, Tested):
            self.results += report.results
        elif not isinstance(report, Progressed):
            self.end = report
        self.changed.set()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def finish(self) -> Ran:
        await self.until(lambda: self.end is not None)
        assert self.end is not None
        return Ran(self.end, self.results)


def with_bench(folder: Path, body: Any, **options: Any) -> Any:
    """Run a coroutine with an executor."""

    async def main() -> Any:
        bench = Bench(folder, **options)
        try:
            return await body(bench)
        finally:
            await bench.executor.close()

    return asyncio.run(main())


def run(folder: Path, files: dict[str, str], _options: dict[str, Any] | None = None, **payload: Any) -> Ran:
    """Run a suite that consists of these files to its end."""
    write(folder, files)

    async def body(bench: Bench) -> Ran:
        bench.start(**payload)
        return await bench.finish()

    return with_bench(folder, body, **(_options or {}))
