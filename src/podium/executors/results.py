"""What executors that run Python code share: how a function is called, and what its end comes to."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import inspect
import math
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Protocol

import msgspec

from podium.events import Failure
from podium.protocols import Attempt, Finished, ReportTo
from podium.storable import DEEPEST, encodable, is_too_deep

_CALLERS = {
    str(Path(str(file)).parent)
    for file in (__file__, asyncio.__file__, concurrent.futures.__file__, importlib.__file__)
}
"""Directories of the code between a worker and the function it calls."""

STOPPED = Finished("cancelled", failure=Failure("Cancelled", "asked to stop"))


class Call(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Payload of a step that calls a Python function.

    Attributes:
        callable: The function: `module:name` for `python`, the name it is registered under for `local`.
        args: Its keyword arguments.
    """

    callable: str
    args: dict[str, Any] = {}


class Progress(Protocol):
    """Tells the engine that the attempt is alive."""

    def __call__(self, done: float | None = None, message: str = "") -> None:
        """Report the fraction done, 0..1, if known, and one line for a person."""
        ...


@dataclass(frozen=True)
class Context:
    """What a function is told about its attempt, if it has a parameter `context`.

    Attributes:
        run: Run id.
        step: Step name.
        attempt: Attempt number, from 1.
        idempotency_key: The same for every attempt of the step in this run.
        progress: Reports progress.
    """

    run: str
    step: str
    attempt: int
    idempotency_key: str
    progress: Progress


class CallError(Exception):
    """A function cannot be called.

    Args:
        kind: Type of the failure: `NotFound`, `NotCallable` or `BadArguments`.
        message: In words.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def progress_through(tell: Callable[[float | None, str], None]) -> Progress:
    """Return a progress function for people's code, which refuses values of other types at once."""

    def progress(done: float | None = None, message: str = "") -> None:
        tell(None if done is None else float(done), str(message))

    return progress


def arguments(function: Any, name: str, args: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Return the keyword arguments of a call, with `progress` and `context` if the function wants them.

    Raises:
        CallError: It cannot be called, or not with these arguments.
    """
    if not callable(function):
        raise CallError("NotCallable", f"{name} is of type {type(function).__name__}, which cannot be called")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return dict(args)
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    offered = {"progress": context.progress, "context": context}
    wanted = {key for key, parameter in signature.parameters.items() if parameter.kind in by_name}
    given = {key: value for key, value in offered.items() if key in wanted} | dict(args)
    try:
        signature.bind(**given)
    except TypeError as error:
        raise CallError("BadArguments", f"{name}: {error}") from error
    return given


def returned(value: Any, artifacts: Mapping[str, bytes] | None = None) -> Finished:
    """Return `passed` with a value as output, or `errored` if it is no JSON value and cannot be made one."""
    try:
        output = msgspec.to_builtins(value, str_keys=True, enc_hook=_plain)
        why = f"lists and mappings are nested deeper than {DEEPEST}" if is_too_deep(output) else ""
        output = msgspec.msgpack.decode(msgspec.msgpack.encode(output))  # as a worker would hand it over: no tuples
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        output, why = None, str(error)
    if why:
        failure = Failure("NoJson", encodable(f"{_type_name(value)} is no JSON value: {why}"))
        return Finished("errored", failure=failure, artifacts=dict(artifacts or {}))
    return Finished("passed", output=output, artifacts=dict(artifacts or {}))


def raised(error: BaseException, artifacts: Mapping[str, bytes] | None = None) -> Finished:
    """Return what an exception comes to: `failed` for an assertion, `passed` for `sys.exit(0)`, else `errored`."""
    kept = dict(artifacts or {})
    if isinstance(error, CallError):
        return Finished("errored", failure=Failure(error.kind, encodable(str(error))), artifacts=kept)
    if isinstance(error, SystemExit):
        return _exited(error.code, kept)
    outcome = "failed" if isinstance(error, AssertionError) else "errored"
    failure = Failure(
        type=type(error).__name__,
        message=encodable(_in_words(error)),
        details=encodable(_traceback(error)),
        retry_after=_retry_after(error),
    )
    return Finished(outcome, failure=failure, artifacts=kept)


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    for plain in (str, int, float):  # also the subclasses of libraries, such as numpy's float64
        if isinstance(value, plain):
            return plain(value)
    raise TypeError(f"{_type_name(value)} cannot be converted")


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _exited(code: Any, artifacts: dict[str, bytes]) -> Finished:
    if code is None or code == 0:
        return Finished("passed", artifacts=artifacts)
    number, message = (code, f"exited with code {code}") if isinstance(code, int) else (1, str(code))
    failure = Failure("SystemExit", encodable(message), exit_code=number)
    return Finished("errored", failure=failure, artifacts=artifacts)


def _in_words(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (people's classes may fail in any way)
        text = ""
    if not text and isinstance(error, AssertionError):
        frames = traceback.extract_tb(error.__traceback__)
        text = (frames[-1].line or "") if frames else ""
    return text or type(error).__name__


def _traceback(error: BaseException) -> str:
    """Return the traceback from the function on, without the code that called it."""
    first = _first_of_function(error.__traceback__)
    try:
        return "".join(traceback.TracebackException(type(error), error, first).format())
    except Exception:  # noqa: BLE001 (people's classes may fail in any way)
        return "".join(traceback.format_tb(first))


def _first_of_function(first: TracebackType | None) -> TracebackType | None:
    frame = first
    while frame is not None and _is_caller(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    return frame or first


def _is_caller(file: str) -> bool:
    return file.startswith("<frozen importlib") or str(Path(file).parent) in _CALLERS


def _retry_after(error: BaseException) -> float | None:
    value = getattr(error, "retry_after", None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


class Tasks:
    """Attempts as asyncio tasks, each of which returns the end of its attempt."""

    def __init__(self) -> None:
        self._running: dict[int, asyncio.Task[Finished]] = {}

    def __contains__(self, token: int) -> bool:
        return token in self._running

    def start(self, attempt: Attempt, report: ReportTo, end: Coroutine[Any, Any, Finished]) -> None:
        """Run a coroutine and report what it returns."""
        task = asyncio.get_running_loop().create_task(end, name=f"{attempt.run}/{attempt.step}")
        self._running[attempt.token] = task
        task.add_done_callback(lambda task: self._over(attempt.token, task, report))

    def stop(self, token: int) -> None:
        """Cancel a task; it is reported as cancelled when it has ended."""
        if task := self._running.get(token):
            task.cancel()

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended; they are not reported."""
        tasks = list(self._running.values())
        self._running.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _over(self, token: int, task: asyncio.Task[Finished], report: ReportTo) -> None:
        error = None if task.cancelled() else task.exception()
        if self._running.pop(token, None) is None:
            return
        if task.cancelled():
            report(token, STOPPED if task.cancelling() else raised(asyncio.CancelledError("cancelled by itself")))
        else:
            report(token, task.result() if error is None else raised(error))
