"""Runs attempts of suites with a real executor, and keeps what it reports."""

import asyncio

from podium.events import Failure
from podium.executors.command_suite import CommandSuiteExecutor
from podium.protocols import Attempt, Finished, Progressed, Tested, Work


class Told:
    """What an attempt reported."""

    def __init__(self):
        self.reports = []

    @property
    def finished(self) -> Finished:
        (finished,) = [report for report in self.reports if isinstance(report, Finished)]
        assert self.reports[-1] is finished, "nothing follows the end"
        return finished

    @property
    def outcome(self):
        return self.finished.outcome

    @property
    def failure(self) -> Failure:
        return self.finished.failure

    @property
    def results(self):
        batches = [report for report in self.reports if isinstance(report, Tested)]
        return {result.id: result for batch in batches for result in batch.results}

    @property
    def outcomes(self):
        return {id_: result.outcome for id_, result in self.results.items()}

    @property
    def counts(self):
        return self.finished.output["counts"]

    @property
    def notes(self):
        return self.finished.output.get("notes", [])

    @property
    def lines(self):
        return [report.message for report in self.reports if isinstance(report, Progressed)]


def run_suite(project, /, *, then=None, passed_tests=frozenset(), seconds=60, **payload):
    """Return what a suite in a folder reports; `then` is called with the executor at each of its reports."""
    told = Told()

    async def main():
        executor = CommandSuiteExecutor(cwd=str(project))
        over = asyncio.Event()

        def take(token, report):
            assert token == 7
            told.reports.append(report)
            if then is not None:
                then(executor, report)
            if isinstance(report, Finished):
                over.set()

        try:
            work = Work("suite", payload)
            executor.start(Attempt("run", "layer/suite", 1, 7, work, "key", passed_tests=passed_tests), take)
            async with asyncio.timeout(seconds):
                await over.wait()
        finally:
            await executor.close()

    asyncio.run(main())
    return told
