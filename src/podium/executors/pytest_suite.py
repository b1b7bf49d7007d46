"""An executor that runs suites of pytest: one collection, and workers forked from it.

The tests run in the project's own interpreter, see `podium.executors.pytest_host`; this side chooses tests, orders
them by what is known from earlier runs, and decides what they come to.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from podium.events import Failure
from podium.executors import judging
from podium.executors.pytest_python import python_of
from podium.executors.pytest_run import PytestRun, why_no_such_suite
from podium.plan.suites import PytestSuite
from podium.protocols import Attempt, Finished, ReportTo, TestHistory


class PytestExecutor:
    """Runs suites of pytest, each in a process group of its own.

    Args:
        owner: Label of the processes, see `podium.runtime.ownership`; by default this process.
        cwd: Where relative working directories begin; by default this process's.
        history: What is known of tests from earlier runs.
        today: Returns the date, `YYYY-MM-DD`, by which quarantines end.
    """

    def __init__(
        self,
        owner: str | None = None,
        cwd: str | None = None,
        history: TestHistory | None = None,
        today: Callable[[], str] | None = None,
    ) -> None:
        self._owner = owner
        self._project = Path(cwd or ".").absolute()
        self._history = history
        self._today = today or judging.today
        self._running: dict[int, PytestRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(4, "pytest")
        self._closing = False

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Start pytest; what cannot be started is reported at once."""
        try:
            suite = msgspec.convert(attempt.work.payload, PytestSuite)
        except msgspec.ValidationError as error:
            report(attempt.token, Finished("errored", failure=Failure("BadPayload", str(error))))
            return
        folder = self._project / suite.cwd
        wrong = "the executor is closed" if self._closing else why_no_such_suite(suite, folder)
        if wrong:
            report(attempt.token, Finished("errored", failure=Failure("CannotStart", wrong)))
            return
        ours, theirs = socket.socketpair()
        run = PytestRun(
            attempt,
            suite,
            self._project,
            tally_today=self._today(),
            history=self._history,
            threads=self._threads,
            tell=lambda told: None if self._closing else report(attempt.token, told),
        )
        try:
            run.launch(python_of(suite.python, folder, _environment(suite)), self._owner, theirs.fileno())
        except (OSError, ValueError) as error:
            ours.close()
            failure = Failure("CannotStart", f"cannot start the project's Python: {error}")
            report(attempt.token, Finished("errored", failure=failure))
            return
        finally:
            theirs.close()
        self._running[attempt.token] = run
        task = asyncio.get_running_loop().create_task(self._attend(attempt.token, run, ours, report))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, token: int, *, force: bool) -> None:
        """Interrupt pytest as Ctrl-C would, or kill it with all it started."""
        run = self._running.get(token)
        if run is not None:
            run.stop(force=force)

    async def close(self) -> None:
        """Kill all suites and wait until they are dead."""
        self._closing = True
        for token in self._running:
            self.stop(token, force=True)
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()

    async def _attend(self, token: int, run: PytestRun, ours: socket.socket, report: ReportTo) -> None:
        try:
            finished = await run.carry_out(ours)
        except Exception as error:  # noqa: BLE001 (the attempt must have an end)
            failure = Failure(type(error).__name__, f"could not look after the suite: {error}")
            finished = Finished("errored", failure=failure)
        finally:
            del self._running[token]
        if not self._closing:
            report(token, finished)


def _environment(suite: PytestSuite) -> dict[str, str]:
    return {**os.environ, **suite.variables}
