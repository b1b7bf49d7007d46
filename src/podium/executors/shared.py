"""Executors for the attempts of many runs, whose tokens would collide."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from podium.protocols import Attempt, Executor, Finished, Lost, Report, ReportTo


class SharedExecutor:
    """Gives every attempt of every run a token of its own.

    Args:
        executor: What carries the attempts out; closed with this.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.active = 0
        self._last_token = 0

    def next_token(self) -> int:
        """Return a token that no other attempt here has."""
        self._last_token += 1
        return self._last_token

    async def close(self) -> None:
        """Close the executor."""
        await self.executor.close()


class RunExecutor:
    """The executor of one run, which hands its attempts on to executors that other runs use too.

    Args:
        choose: Returns what carries out the next attempt of a kind of work.
    """

    def __init__(self, choose: Callable[[str], SharedExecutor]) -> None:
        self._choose = choose
        self._active: dict[int, tuple[SharedExecutor, int]] = {}

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Hand the attempt on."""
        shared = self._choose(attempt.work.kind)
        token = shared.next_token()
        self._active[attempt.token] = shared, token
        shared.active += 1

        def report_back(_token: int, result: Report) -> None:
            if isinstance(result, Finished | Lost) and self._active.pop(attempt.token, None) is not None:
                shared.active -= 1
            report(attempt.token, result)

        try:
            shared.executor.start(msgspec.structs.replace(attempt, token=token), report_back)
        except BaseException:
            if self._active.pop(attempt.token, None) is not None:
                shared.active -= 1
            raise

    def stop(self, token: int, *, force: bool) -> None:
        """Stop the attempt."""
        if token in self._active:
            shared, theirs = self._active[token]
            shared.executor.stop(theirs, force=force)

    async def close(self) -> None:
        """Kill what is under way for this run."""
        for token in tuple(self._active):
            self.stop(token, force=True)
