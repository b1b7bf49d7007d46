"""Staying with attempts that run beside the event loop, from their beginning to the report of their end."""

from __future__ import annotations

import asyncio
from typing import Protocol

from podium.events import Failure
from podium.protocols import Finished, Report, ReportTo


class Attended(Protocol):
    """An attempt under way."""

    async def carry_out(self) -> Finished:
        """Return what it came to, when nothing of it is left."""
        ...

    def stop(self, *, force: bool) -> None:
        """Ask it to end, or kill it with all it started."""
        ...


class Attending:
    """The attempts of one executor: known by token while they are carried out, reported when they are over.

    States of an attempt:
        under way -> over    what it came to is reported; an error, if it raised an exception
        under way -> over    the executor closes: it is killed, and nothing is reported

    Args:
        what: What one is called where it is said that it could not be looked after.

    Attributes:
        is_closing: Nothing more is reported, and nothing more may begin.
    """

    def __init__(self, what: str) -> None:
        self.is_closing = False
        self._what = what
        self._under_way: dict[int, tuple[Attended, asyncio.Task[None]]] = {}

    def begin(self, token: int, attended: Attended, report: ReportTo) -> None:
        """Begin to carry an attempt out, and return at once.

        Args:
            token: Of the attempt.
            attended: What is carried out, and told to end.
            report: Takes its end.
        """
        task = asyncio.get_running_loop().create_task(self._attend(token, attended, report))
        self._under_way[token] = attended, task

    def unless_closing(self, report: ReportTo) -> ReportTo:
        """Return what hands reports on until the executor closes, for what an attempt tells while it is under way."""

        def hand_on(token: int, reported: Report) -> None:
            if not self.is_closing:
                report(token, reported)

        return hand_on

    def stop(self, token: int, *, force: bool) -> None:
        """Ask an attempt to end, or kill it; one that is over is left alone."""
        if token in self._under_way:
            attended, _task = self._under_way[token]
            attended.stop(force=force)

    async def close(self) -> None:
        """Kill all attempts and wait until they are over; they are not reported."""
        self.is_closing = True
        under_way = list(self._under_way.values())
        for attended, _task in under_way:
            attended.stop(force=True)
        if under_way:
            await asyncio.wait([task for _attended, task in under_way])

    async def _attend(self, token: int, attended: Attended, report: ReportTo) -> None:
        try:
            finished = await attended.carry_out()
        except Exception as error:  # noqa: BLE001 (the attempt must have an end)
            failure = Failure(type(error).__name__, f"could not look after the {self._what}: {error}")
            finished = Finished("errored", failure=failure)
        finally:
            del self._under_way[token]
        if not self.is_closing:
            report(token, finished)
