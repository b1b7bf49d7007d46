"""An executor that runs suites of pytest: one collection, and workers forked from it.

The tests run in the project's own interpreter, see `podium.executors.pytest_host`; this side chooses tests, orders
them by what is known from earlier runs, and decides what they come to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from podium.events import Failure
from podium.executors import judging
from podium.executors.attending import Attending
from podium.executors.changes import Impacts
from podium.executors.pytest_ahead import Ahead
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
        ahead: An interpreter that was started for the first suite.
    """

    def __init__(
        self,
        owner: str | None = None,
        cwd: str | None = None,
        history: TestHistory | None = None,
        today: Callable[[], str] | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        self._ahead = ahead
        self._owner = owner
        self._project = Path(cwd or ".").absolute()
        self._history = history
        self._impacts = Impacts(self._project)
        self._today = today or judging.today
        self._attending = Attending("suite")
        self._threads = ThreadPoolExecutor(4, "pytest")

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Start pytest; what cannot be started is reported at once."""
        try:
            suite = msgspec.convert(attempt.work.payload, PytestSuite)
        except msgspec.ValidationError as error:
            report(attempt.token, Finished("errored", failure=Failure("BadPayload", str(error))))
            return
        folder = self._project / suite.cwd
        wrong = "the executor is closed" if self._attending.is_closing else why_no_such_suite(suite, folder)
        if wrong:
            report(attempt.token, Finished("errored", failure=Failure("CannotStart", wrong)))
            return
        run = PytestRun(
            attempt,
            suite,
            self._project,
            tally_today=self._today(),
            history=self._history,
            impacts=self._impacts,
            threads=self._threads,
            tell=partial(self._attending.unless_closing(report), attempt.token),
        )
        try:
            run.launch(python_of(suite.python, folder, _environment(suite)), self._owner, self._ahead)
        except (OSError, ValueError) as error:
            failure = Failure("CannotStart", f"cannot start the project's Python: {error}")
            report(attempt.token, Finished("errored", failure=failure))
            return
        self._attending.begin(attempt.token, run, report)

    def stop(self, token: int, *, force: bool) -> None:
        """Interrupt pytest as Ctrl-C would, or kill it with all it started."""
        self._attending.stop(token, force=force)

    async def close(self) -> None:
        """Kill all suites and wait until they are dead."""
        await self._attending.close()
        self._threads.shutdown()


def _environment(suite: PytestSuite) -> dict[str, str]:
    return {**os.environ, **suite.variables}
