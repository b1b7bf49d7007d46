"""What the four kinds of service have in common, and the simplest of them: what is running already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, Protocol

from podium.errors import EnvironmentProblemError
from podium.plan.service_placeholders import filled_before, values_of
from podium.plan.services import Health, Service
from podium.runtime.services.leftovers import Claim
from podium.runtime.services.log import Log
from podium.runtime.services.ports import HeldPorts

Tell = Callable[[str], None]
"""Takes a line for a person."""


class Surroundings:
    """Where a service runs.

    Args:
        owner: Label of the owner, see `podium.runtime.ownership`.
        cwd: Where relative paths begin.
        run: Run id.
        step: Step name.

    Attributes:
        log: Takes what it writes.
        labels: What its containers are labelled with.
        variables: What its processes find in their environment.
    """

    def __init__(self, owner: str, cwd: str | None, run: str, step: str) -> None:
        self.owner = owner
        self.labels = {"podium.owner": owner, "podium.run": run, "podium.service": step}
        self.variables = {"PODIUM_RUN": run, "PODIUM_STEP": step}
        self.log = Log()
        self._cwd = cwd

    def path(self, text: str) -> str:
        """Return a path as it is meant."""
        return str(Path(self._cwd or "", text).absolute())

    def has_file(self, text: str) -> bool:
        """Return whether there is a file."""
        return Path(self.path(text)).is_file()


class Runner(Protocol):
    """Brings one service up and down.

    Attributes:
        kind: `process`, `container`, `compose` or `running`.
        is_proxied: Something else accepts connections in its place, and closes them while it is not up.
        usual_health: How its health is found out if nothing is said about it.
        ports: Name to the port of the host; complete once it was started.
    """

    kind: ClassVar[str]
    is_proxied: ClassVar[bool]
    usual_health: ClassVar[Health | None]
    ports: dict[str, int]

    @property
    def folder(self) -> str:
        """The temporary folder, empty if there is none."""
        ...

    async def start(self, tell: Tell) -> Service:
        """Start the service; a caller who is cancelled calls `close`.

        Returns:
            It, with what it takes to start it filled in.

        Raises:
            PodiumError: It cannot be started.
        """
        ...

    async def ended(self) -> str:
        """Return how it ended, when it has."""
        ...

    async def look(self) -> str:
        """Return what its container engine says is not well with it, empty if nothing is.

        Raises:
            PodiumError: There is nobody to ask.
        """
        ...

    async def ask(self) -> None:
        """Ask it to end."""
        ...

    async def close(self) -> bool:
        """Kill it and remove all that belongs to it; return whether nothing is left."""
        ...


class Running:
    """A service that is running already, and goes on; its ports are those it has.

    Args:
        service: What it is.
    """

    kind: ClassVar[str] = "running"
    is_proxied: ClassVar[bool] = False
    usual_health: ClassVar[Health | None] = None

    def __init__(self, service: Service) -> None:
        self._service = service
        self.ports = dict(service.ports)

    @property
    def folder(self) -> str:
        """Nothing."""
        return ""

    async def start(self, tell: Tell) -> Service:
        """Do nothing."""
        del tell
        return filled_before(self._service, values_of(self.ports, self.folder))

    async def ended(self) -> str:
        """Never return: nobody says when it ends."""
        await asyncio.Event().wait()
        return ""

    async def look(self) -> str:
        """Refuse."""
        raise no_container(self._service.name)

    async def ask(self) -> None:
        """Leave it alone."""

    async def close(self) -> bool:
        """Leave it alone."""
        return True


def no_container(name: str) -> EnvironmentProblemError:
    """Return what is said of a service whose health a container engine does not know."""
    text = f"service `{name}` is no container, which alone has a health check of its own"
    return EnvironmentProblemError(text, code="E537", hint="look at its health by `tcp`, `http` or `command`")


class Claimed:
    """Base of services Podium starts: a place of their own on the machine, and ports held until they take them.

    Args:
        service: What it is.
        around: Where it runs.
        free: Names of its ports that are to be free ones of the host.
    """

    usual_health: ClassVar[Health | None] = None

    def __init__(self, service: Service, around: Surroundings, free: Iterable[str]) -> None:
        self._service = service
        self._around = around
        self._held = HeldPorts(free)
        self.ports: dict[str, int] = self._held.numbers
        try:
            self._claim = Claim(around.owner)
        except BaseException:
            self._held.release()
            raise

    @property
    def folder(self) -> str:
        """The temporary folder."""
        return str(self._claim.folder)

    async def _release(self, *, settle: bool = False) -> bool:
        """Give ports and place back; return whether nothing is left there."""
        self._held.release()
        return await asyncio.to_thread(self._claim.release, settle=settle)
