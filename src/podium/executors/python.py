"""Calls a function of people's own code in a worker process."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import io
import os
import signal
from collections.abc import Callable, Coroutine, Generator
from types import FrameType, ModuleType
from typing import Any, Self

import msgspec

from podium.executors.results import (
    Call,
    CallError,
    Context,
    arguments,
    progress_through,
    raised,
    returned,
)
from podium.protocols import Finished
from podium.storable import encodable

OUTPUT = "output"
"""Name of the artifact with what the function printed."""


def call(payload: Any, progress: Callable[[float | None, str], None]) -> Finished:
    """Call a function; one that is a coroutine runs under an event loop of its own.

    What it prints becomes an artifact; what programs it starts write does not. Asked to stop, a function is interrupted
    where it is, and a coroutine is cancelled.

    Args:
        payload: A `Call` as plain values.
        progress: Told how far the function is, if it says so.

    Returns:
        `passed` with what it returned, or what its exception comes to.
    """
    wanted = msgspec.convert(payload, Call)
    printed = io.StringIO()
    with _Stop() as stop, contextlib.redirect_stdout(printed):
        try:
            finished = returned(_call(wanted, _context(progress), stop))
        except MemoryError:  # the worker knows its limit
            raise
        except BaseException as error:
            if stop.wanted:
                stop.interrupt()  # a coroutine was cancelled instead
                raise
            finished = raised(error)
    text = encodable(printed.getvalue()).encode()
    return msgspec.structs.replace(finished, artifacts={OUTPUT: text}) if text else finished


class _Stop:
    """Notes SIGTERM, and hands it to a coroutine as its cancellation while one runs."""

    def __init__(self) -> None:
        self.wanted = False
        self._before: Any = None
        self._cancel: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._terminated)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    @contextlib.contextmanager
    def cancelling(self) -> Generator[None]:
        """Cancel the task under way instead of interrupting it; interrupt afterwards."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            loop.call_soon_threadsafe(task.cancel)

        self._cancel = cancel
        try:
            if self.wanted:
                cancel()
            yield
        finally:
            self._cancel = None

    def interrupt(self, number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Do what the worker does on SIGTERM."""
        if callable(self._before):
            self._before(number, frame)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True
        if self._cancel is not None:
            self._cancel()
        else:
            self.interrupt(number, frame)


def _call(wanted: Call, context: Context, stop: _Stop) -> Any:
    function = _find(wanted.callable)
    value = function(**arguments(function, wanted.callable, wanted.args, context))
    return asyncio.run(_cancellable(value, stop)) if inspect.iscoroutine(value) else value


async def _cancellable(end: Coroutine[Any, Any, Any], stop: _Stop) -> Any:
    with stop.cancelling():
        return await end


def _find(target: str) -> Any:
    """Return what `module:name` stands for.

    Raises:
        CallError: There is no such module, or nothing of that name in it.
    """
    module, colon, path = target.partition(":")
    if not colon or not path or not module or module.startswith("."):
        raise CallError("NotFound", f"{target!r} is not of the form module:name")
    found: Any = _import(module)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise CallError("NotFound", f"module {module} has no {path}") from error
    return found


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, but one that it needs is not
        raise CallError("NotFound", f"there is no module {module}") from error


def _context(progress: Callable[[float | None, str], None]) -> Context:
    environment = os.environ
    return Context(
        run=environment.get("PODIUM_RUN", ""),
        step=environment.get("PODIUM_STEP", ""),
        attempt=int(environment.get("PODIUM_ATTEMPT", "1")),
        idempotency_key=environment.get("PODIUM_IDEMPOTENCY_KEY", ""),
        progress=progress_through(progress),
    )
