"""Gives an executor attempts to work on, as the engine would, and keeps what it reports."""

import asyncio

from podium.executors.command import CommandExecutor
from podium.executors.workers import WorkerPool
from podium.protocols import Attempt, Finished, Lost, Progressed, Work


class Bench:
    """An executor and what it reported of each attempt.

    Attributes:
        reports: Token of an attempt to its reports.
    """

    patience = 20
    """How long something that has to come is waited for [s]."""

    def __init__(self, executor):
        self.executor = executor
        self.reports = {}
        self.changed = asyncio.Event()

    def begin(self, token, work, step="step"):
        """Start an attempt, the third of its step."""
        self.reports[token] = []
        self.executor.start(Attempt("run-id", f"{step}{token}", 3, token, work, f"key:{token}"), self.take)

    def take(self, token, report):
        self.reports[token].append(report)
        self.changed.set()

    def ends(self, token):
        """Return the reports that end an attempt; there may be one, and nothing may follow it."""
        return [report for report in self.reports[token] if isinstance(report, (Finished, Lost))]

    async def until(self, condition):
        async with asyncio.timeout(self.patience):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def end(self, token):
        """Return how an attempt ended."""
        await self.until(lambda: self.ends(token))
        return self.reports[token][-1]

    async def message(self, token, text=""):
        """Return the first sign of life of an attempt that has a text in it."""

        def told():
            reports = self.reports[token]
            return [report for report in reports if isinstance(report, Progressed) and text in report.message]

        await self.until(lambda: told() or self.ends(token))
        assert told(), self.reports[token]
        return told()[0].message


class Commands(Bench):
    """Commands under way."""

    def start(self, token, **payload):
        self.begin(token, Work("command", payload))


class Workers(Bench):
    """Tasks in worker processes under way."""

    def start(self, token, kind, payload=None):
        self.begin(token, Work(kind, payload))


def conduct(body, make):
    """Return what a coroutine comes to that is given a bench; its executor is closed at the end."""

    async def main():
        bench = make()
        try:
            return await body(bench)
        finally:
            await bench.executor.close()
            for token, reports in bench.reports.items():
                assert bench.ends(token) in ([], reports[-1:]), "nothing follows the end"

    return asyncio.run(main())


def with_commands(body, **options):
    """Return what a coroutine comes to that starts commands."""
    return conduct(body, lambda: Commands(CommandExecutor(**options)))


def with_workers(body, targets, **options):
    """Return what a coroutine comes to that starts tasks in workers."""
    return conduct(body, lambda: Workers(WorkerPool(targets, **options)))
