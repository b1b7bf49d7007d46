"""An executor that calls a function in the engine's own process, at once: for work that takes no time."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from podium.events import Failure
from podium.protocols import Attempt, Finished, ReportTo


class InlineExecutor:
    """Calls functions directly. They block the engine while they run.

    Args:
        functions: Kind of work to function of the payload.
    """

    def __init__(self, functions: Mapping[str, Callable[[Any], Finished]]) -> None:
        self._functions = dict(functions)

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Call the function and report what it returned or raised."""
        try:
            finished = self._functions[attempt.work.kind](attempt.work.payload)
        except Exception as error:  # noqa: BLE001 (whatever the function raises is its result)
            text = str(error) or type(error).__name__
            finished = Finished("errored", failure=Failure(type(error).__name__, text, traceback.format_exc()))
        report(attempt.token, finished)

    def stop(self, token: int, *, force: bool) -> None:
        """Nothing is ever under way when the engine asks."""

    async def close(self) -> None:
        """Nothing is held."""
