"""Calls Python functions that are registered in the engine's own process."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

from podium.executors.results import Call, CallError, Context, Tasks, arguments, progress_through, raised, returned
from podium.protocols import Attempt, Finished, Progressed, ReportTo

_LOOKING = 0.005
"""How often `close` looks whether functions have returned [s]; at exit no thread can be started to wait."""


class LocalExecutor:
    """Calls coroutine functions as asyncio tasks and other functions in threads.

    A coroutine must not block: the engine waits with it. A thread cannot be stopped: an attempt that is told to end is
    over when its function returns, with what that came to, and `close` waits for it. What functions print goes where
    the process prints.

    Args:
        callables: Name to the function that is called.
        threads: How many functions may run in threads at once; more wait for a thread.
    """

    def __init__(self, callables: Mapping[str, Callable[..., Any]], threads: int | None = None) -> None:
        self._callables = dict(callables)
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._tasks = Tasks()
        self._in_thread: dict[int, Future[tuple[Any, BaseException | None]]] = {}

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Begin the call."""
        self._tasks.start(attempt, report, self._carry_out(attempt, report))

    def stop(self, token: int, *, force: bool) -> None:
        """Cancel a coroutine, or a call that still waits for a thread; one that is in a thread goes on."""
        del force  # nothing can be killed here
        in_thread = self._in_thread.get(token)
        if in_thread is None or in_thread.cancel():
            self._tasks.stop(token)

    async def close(self) -> None:
        """Cancel all coroutines and wait for the functions that are in threads."""
        under_way = list(self._in_thread.values())
        await self._tasks.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        while not all(future.done() for future in under_way):  # noqa: ASYNC110 (they tell no loop)
            await asyncio.sleep(_LOOKING)

    async def _carry_out(self, attempt: Attempt, report: ReportTo) -> Finished:
        try:
            return returned(await self._call(attempt, report))
        except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 (whatever the function raises is its result)
            return raised(error)

    async def _call(self, attempt: Attempt, report: ReportTo) -> Any:
        call = msgspec.convert(attempt.work.payload, Call)
        if call.callable not in self._callables:
            known = ", ".join(sorted(self._callables)) or "nothing"
            raise CallError("NotFound", f"no function is registered as {call.callable}; known: {known}")
        function = self._callables[call.callable]
        given = arguments(function, call.callable, copy.deepcopy(call.args), self._context(attempt, report))
        if _is_coroutine_function(function):
            return await function(**given)
        value = await self._call_in_thread(attempt.token, function, given)
        return await value if inspect.iscoroutine(value) else value

    async def _call_in_thread(self, token: int, function: Callable[..., Any], given: dict[str, Any]) -> Any:
        def call() -> tuple[Any, BaseException | None]:
            try:
                return function(**given), None
            except BaseException as error:  # noqa: BLE001 (asyncio lets no StopIteration or SystemExit through)
                return None, error

        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="podium-local")
        try:
            future = self._in_thread[token] = self._pool.submit(call)
            value, error = await asyncio.wrap_future(future)
        finally:
            self._in_thread.pop(token, None)
        if error is not None:
            raise error
        return value

    def _context(self, attempt: Attempt, report: ReportTo) -> Context:
        loop = asyncio.get_running_loop()

        def tell(done: float | None, message: str) -> None:
            if attempt.token in self._tasks:
                report(attempt.token, Progressed(done, message))

        def tell_from_anywhere(done: float | None, message: str) -> None:
            loop.call_soon_threadsafe(tell, done, message)

        return Context(
            run=attempt.run,
            step=attempt.step,
            attempt=attempt.number,
            idempotency_key=attempt.idempotency_key,
            progress=progress_through(tell_from_anywhere),
        )


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
