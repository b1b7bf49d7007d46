"""A service that is a process of this machine."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import ClassVar

from podium.errors import EnvironmentProblemError
from podium.plan.service_placeholders import filled_before, values_of
from podium.plan.services import Service
from podium.runtime.process_group import describe_exit
from podium.runtime.services.child import Child
from podium.runtime.services.runner import Claimed, Surroundings, Tell, no_container


class Process(Claimed):
    """A program that stays in the foreground, with all it starts.

    Args:
        service: What it is.
        around: Where it runs.
    """

    kind: ClassVar[str] = "process"
    is_proxied: ClassVar[bool] = False

    def __init__(self, service: Service, around: Surroundings) -> None:
        super().__init__(service, around, service.ports)
        self._child: Child | None = None

    async def start(self, tell: Tell) -> Service:
        """Start the program."""
        del tell
        service = filled_before(self._service, values_of(self.ports, self.folder))
        self._held.release()
        around = self._around
        cwd = around.path(service.cwd)
        env = service.env | around.variables
        try:
            with self._claim.mark() as mark:
                self._child = Child(service.argv, around.log, env=env, cwd=cwd, owner=around.owner, mark=mark)
        except (OSError, ValueError) as error:
            raise EnvironmentProblemError(_why_not_started(error, service.argv[0], cwd), code="E533") from error
        if service.memory is not None:
            _limit_memory(self._child.pid, service.memory)
        return service

    async def ended(self) -> str:
        """Return how the program ended."""
        child = self._started
        await child.ended.wait()
        child.catch_up()
        stays = "; a service has to stay in the foreground" if child.code == 0 else ""
        return describe_exit(child.code) + stays

    async def look(self) -> str:
        """Refuse."""
        raise no_container(self._service.name)

    async def ask(self) -> None:
        """Send the signal it ends by."""
        self._started.ask(signal_of(self._service))

    async def close(self) -> bool:
        """Kill it with all it started, wherever that is."""
        dead = True
        if self._child is not None:
            marked = await asyncio.to_thread(self._claim.kill)
            dead = await self._child.close() and marked
        return await self._release() and dead

    @property
    def _started(self) -> Child:
        assert self._child is not None
        return self._child


def signal_of(service: Service) -> signal.Signals:
    """Return the signal that asks a service to end.

    Raises:
        EnvironmentProblemError: There is no such signal (E538).
    """
    try:
        return signal.Signals[service.stop_signal]
    except KeyError as error:
        text = f"service `{service.name}` is to be stopped by `{service.stop_signal}`, which is no signal"
        raise EnvironmentProblemError(text, code="E538", hint="write for example `SIGTERM` or `SIGINT`") from error


def _limit_memory(pid: int, memory: int) -> None:
    """Limit the address space of a process and of what it starts, where the system can."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415  (not everywhere)

        try:
            resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))
        except OSError:  # it has ended, or a lower limit holds
            return


def _why_not_started(error: OSError | ValueError, program: str, cwd: str) -> str:
    if isinstance(error, OSError) and error.filename == cwd:
        return f"cannot start {program!r} in {cwd!r}: {error.strerror}"
    why = error.strerror if isinstance(error, OSError) else str(error)
    return f"cannot start {program!r}: {why}"
