"""An executor for services: what tests need, brought up before them and down after them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import msgspec

from podium.errors import PodiumError
from podium.events import Failure
from podium.executors.attending import Attending
from podium.plan.service_placeholders import filled_after, values_of
from podium.plan.services import Service, ServiceOutput
from podium.protocols import Attempt, Finished, Progressed, Ready, ReportTo
from podium.runtime import ownership
from podium.runtime.services.child import to_the_end
from podium.runtime.services.compose import Compose
from podium.runtime.services.container import Container
from podium.runtime.services.health import check_of, until_up
from podium.runtime.services.process import Process, signal_of
from podium.runtime.services.runner import Runner, Running, Surroundings

_DEFAULT_INTERVAL = 0.1
_LARGEST_PORT = 65535


class _StoppedError(Exception):
    """The service was told to end."""


class _EndedError(Exception):
    """The service ended on its own."""


class ServiceExecutor:
    """Brings services up, says when they are ready, and keeps them until they are told to end.

    Args:
        owner: Label of the processes and containers, see `podium.runtime.ownership`; by default this process.
        cwd: Where relative paths begin; by default this process's working directory.
    """

    def __init__(self, owner: str | None = None, cwd: str | None = None) -> None:
        self._owner = owner or ownership.identity()
        self._cwd = cwd
        self._attending = Attending("service")

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Begin to bring the service up."""
        try:
            service = _service(attempt.work.payload)
        except (msgspec.ValidationError, ValueError) as error:
            report(attempt.token, Finished("errored", failure=Failure("BadPayload", str(error))))
            return
        if self._attending.is_closing:
            failure = Failure("CannotStart", "the executor is closed")
            report(attempt.token, Finished("errored", failure=failure))
            return
        try:
            around = Surroundings(self._owner, self._cwd, attempt.run, attempt.step)
        except OSError as error:
            text = f"no temporary file for what service `{service.name}` writes: {error.strerror}"
            report(attempt.token, Finished("errored", failure=Failure("CannotStart", text)))
            return
        run = _Run(service, attempt.token, around, self._attending.unless_closing(report))
        self._attending.begin(attempt.token, run, report)

    def stop(self, token: int, *, force: bool) -> None:
        """Ask the service to end, or kill it with all that belongs to it."""
        self._attending.stop(token, force=force)

    async def close(self) -> None:
        """Kill all services and wait until nothing of them is left; nothing more is reported."""
        await self._attending.close()


class _Run:
    """One attempt under way.

    States:
        starting -> waiting    the runner has started it
        waiting -> up          it is healthy: `Ready` is reported
        any -> stopping        it is told to end: it is asked to, once it was started, unless by force
        any -> closed          it ended, or has to; nothing of it is left: `Finished` is the result

    Args:
        service: What it is.
        token: Of the attempt.
        around: Where it runs.
        report: Takes `Progressed` and `Ready`.
    """

    def __init__(self, service: Service, token: int, around: Surroundings, report: ReportTo) -> None:
        self._service = service
        self._token = token
        self._around = around
        self._report = report
        self._stopped = asyncio.Event()
        self._forced = asyncio.Event()
        self._words = "it was not started yet"
        self._output: Any = None

    def stop(self, *, force: bool) -> None:
        """Have it end."""
        self._stopped.set()
        if force:
            self._forced.set()

    async def carry_out(self) -> Finished:
        """Bring the service up and down, and return what that came to."""
        try:
            finished = _with_last_words(await self._live(), self._around.log.tail())
            log = await asyncio.to_thread(self._around.log.content)
            return msgspec.structs.replace(finished, artifacts={"log": log} if log else {})
        finally:
            self._around.log.close()

    async def _live(self) -> Finished:
        try:
            runner = self._runner()
        except PodiumError as error:
            return self._refused(error)
        try:
            finished = await self._up_and_down(runner)
        finally:
            clean = await to_the_end(runner.close())
        if clean:
            return finished
        before = finished.failure
        details = f"{before.type}: {before.message}\n{before.details}" if before else ""
        text = f"something of service `{self._service.name}` could not be removed"
        return Finished("errored", finished.output, Failure("LeftBehind", text, details))

    def _runner(self) -> Runner:
        service = self._service
        signal_of(service)
        if service.argv:
            return Process(service, self._around)
        if service.image:
            return Container(service, self._around)
        return Compose(service, self._around) if service.compose else Running(service)

    async def _up_and_down(self, runner: Runner) -> Finished:
        name = self._service.name
        try:
            service = await self._unless_stopped(runner.start(self._tell))
            self._words = "its health was not looked at yet"
            try:
                self._output = await self._unless_stopped(self._become_ready(runner, service))
                self._tell_ready()
                raise _EndedError(await self._unless_stopped(runner.ended()))
            except _StoppedError:
                await self._ask_to_end(runner)
        except PodiumError as error:
            return self._refused(error)
        except _EndedError as ended:
            if self._output is not None:
                return self._failed("errored", "ServiceDied", f"service `{name}` died: {ended}")
            return self._failed("errored", "ServiceNotUp", f"service `{name}` ended before it was up: {ended}")
        except _StoppedError:
            pass
        if self._output is not None:
            return Finished("passed", self._output)
        return self._failed("cancelled", "ServiceNotUp", f"service `{name}` is not up: {self._words}")

    async def _become_ready(self, runner: Runner, service: Service) -> Any:
        """Wait until the service is healthy, and return what it hands to what needs it."""
        around = self._around
        service = filled_after(service, values_of(runner.ports, runner.folder))
        check = check_of(
            service.health or runner.usual_health,
            look=runner.look,
            env={**service.env, **service.exports},
            cwd=around.path(service.cwd),
            owner=around.owner,
            is_proxied=runner.is_proxied,
        )
        interval = service.health.interval if service.health is not None else _DEFAULT_INTERVAL
        first, how = await _first_of(runner.ended(), until_up(check, interval, self._wait_for))
        if first == 0:
            raise _EndedError(how)
        return msgspec.structs.asdict(ServiceOutput(runner.kind, runner.ports, service.exports))

    async def _ask_to_end(self, runner: Runner) -> None:
        """Ask the service to end, and wait until it has, or has to be killed."""

        async def end() -> None:
            with contextlib.suppress(PodiumError):  # then it cannot be asked
                await runner.ask()
                await runner.ended()

        if runner.kind != "running":
            await _first_of(end(), self._forced.wait())

    async def _unless_stopped(self, work: Coroutine[Any, Any, Any]) -> Any:
        first, value = await _first_of(work, self._stopped.wait())
        if first != 0:
            raise _StoppedError
        return value

    def _refused(self, error: PodiumError) -> Finished:
        """Return the end of a service that cannot be brought up, or that can no longer be looked after."""
        kind = "ServiceNotUp" if self._output is None else "ServiceDied"
        return self._failed("errored", kind, str(error), error.render())

    def _failed(self, outcome: Any, kind: str, message: str, more: str = "") -> Finished:
        return Finished(outcome, self._output, Failure(kind, message, more or message))

    def _tell(self, line: str) -> None:
        self._report(self._token, Progressed(message=line))

    def _tell_ready(self) -> None:
        self._report(self._token, Ready(self._output))

    def _wait_for(self, words: str) -> None:
        self._words = words
        self._tell(f"not up yet: {words}")


def _service(payload: Any) -> Service:
    """Return what a payload says.

    Raises:
        ValueError: It is no service, of several kinds at once, or with impossible ports.
    """
    service = payload if isinstance(payload, Service) else msgspec.convert(payload, Service)
    kinds = [name for name in ("argv", "image", "compose") if getattr(service, name)]
    if len(kinds) > 1:
        raise ValueError(f"service `{service.name}` has {' and '.join(f'`{kind}`' for kind in kinds)}; one is possible")
    for name, number in service.ports.items():
        if not 0 <= number <= _LARGEST_PORT:
            raise ValueError(f"port `{name}` of service `{service.name}` is {number}; the largest is {_LARGEST_PORT}")
    return service


def _with_last_words(finished: Finished, tail: str) -> Finished:
    """Return the end of a service with what it wrote last."""
    if finished.failure is None or not tail:
        return finished
    failure = msgspec.structs.replace(finished.failure, details=f"{finished.failure.details}\n\n{tail}")
    return msgspec.structs.replace(finished, failure=failure)


async def _first_of(*works: Coroutine[Any, Any, Any]) -> tuple[int, Any]:
    """Return which coroutine came to an end first, and what it came to; the others are cancelled and over by then."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        number, task = next((number, task) for number, task in enumerate(tasks) if task.done())
        return number, task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
