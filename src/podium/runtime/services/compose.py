"""A service that is made of the containers of a Compose file."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from podium.errors import EnvironmentProblemError
from podium.plan.service_placeholders import filled_before, values_of
from podium.plan.services import Health, Service
from podium.runtime.services.child import Child
from podium.runtime.services.container import describe_end, health_words, why
from podium.runtime.services.docker import Docker
from podium.runtime.services.runner import Claimed, Surroundings, Tell

_BETWEEN_LOOKS = 1.0
"""How often it is looked whether all containers still run [s]."""
_PATIENCE = "3600"
"""How long Compose lets containers end before it kills them [s]; the engine's grace is what counts."""
_SERVICE = "com.docker.compose.service"


class Compose(Claimed):
    """The containers of a Compose file, as a project of their own.

    A port given as 0 is a free one of the host, known to the file by a variable of `env` such as
    `PORT: ${port.web}`. Any other is a port inside, which the file has to publish; on which port of the host is found
    out. A container that ends with code 0, as those do that prepare something, is not missed while others run.
    Unless something else is said about its health, it is up when all containers run, and are healthy if they have a
    health check. Each ends by the signal the file says.

    Args:
        service: What it is.
        around: Where it runs.
    """

    kind: ClassVar[str] = "compose"
    is_proxied: ClassVar[bool] = True
    usual_health: ClassVar[Health | None] = Health(container=True)

    def __init__(self, service: Service, around: Surroundings) -> None:
        super().__init__(service, around, (name for name, inside in service.ports.items() if not inside))
        self._docker = Docker(around.owner)
        self._compose: tuple[str, ...] = ()
        self._is_up = False
        self._containers: list[str] = []
        self._logs: Child | None = None

    async def start(self, tell: Tell) -> Service:
        """Start what the file says; images that are missing are pulled or built as it says."""
        service = filled_before(self._service, values_of(self.ports, self.folder))
        file = self._around.path(service.compose)
        if not self._around.has_file(service.compose):
            text = f"Compose file {file} of service `{service.name}` not found"
            raise EnvironmentProblemError(text, code="E533")
        program = await self._docker.compose()
        self._compose = (*program, "--project-name", self._claim.project, "--file", file)
        self._service = service
        tell("starting containers; images that are missing are pulled or built first")
        self._held.release()
        self._claim.use("compose")
        chosen = [service.compose_service] if service.compose_service else []
        said = await self._docker.run("up", "--detach", *chosen, program=self._compose, env=service.env)
        if said.code:
            text = f"Compose cannot start service `{service.name}`: {why(said.output)}"
            self._around.log.write(said.output.encode())
            raise EnvironmentProblemError(text, code="E533", hint=f"try `{' '.join(program)} --file {file} up`")
        self._is_up = True
        await self._find()
        follow = [*self._compose, "logs", "--follow", "--no-color"]
        self._logs = Child(follow, self._around.log, env=service.env, owner=self._around.owner)
        return service

    async def ended(self) -> str:
        """Return which of the containers ended, and how."""
        while True:
            found = await self._docker.inspect(self._containers)
            for container in found:
                if container["State"]["Status"] in ("exited", "dead") and self._is_missed(container):
                    return f"container `{_name(container)}` {describe_end(container['State'])}"
            if len(found) < len(self._containers):
                return "containers were removed"
            if all(container["State"]["Status"] == "exited" for container in found):
                return "all its containers have ended"
            await asyncio.sleep(_BETWEEN_LOOKS)

    async def look(self) -> str:
        """Return which container is not up, or not healthy by its own health check."""
        for container in await self._docker.inspect(self._containers):
            state = container["State"]
            words = health_words(state) if "Health" in state and state["Status"] == "running" else ""
            if state["Status"] not in ("running", "exited"):
                words = f"it is {state['Status']}"
            if words:
                return f"container `{_name(container)}`: {words}"
        return ""

    async def ask(self) -> None:
        """Stop the containers in the order the file gives them."""
        await self._docker.run("stop", "--timeout", _PATIENCE, program=self._compose, env=self._service.env)

    async def close(self) -> bool:
        """Remove containers, networks and volumes of the project."""
        clean = await self._release(settle=not self._is_up)
        dead = await self._logs.close() if self._logs is not None else True
        return clean and dead

    async def _find(self) -> None:
        """Find out which containers there are, and where they are reached."""
        label = f"label=com.docker.compose.project={self._claim.project}"
        said = await self._docker.run("ps", "--all", "--quiet", "--filter", label)
        self._containers = said.output.split()
        found = await self._docker.inspect(self._containers)
        of_service = [one for one in found if self._service.compose_service in ("", _name(one))]
        for name, inside in self._service.ports.items():
            if inside:
                self.ports[name] = self._published(inside, of_service)
        self.ports = {name: self.ports[name] for name in self._service.ports}

    def _published(self, inside: int, containers: list[dict[str, Any]]) -> int:
        for container in containers:
            for published in container["NetworkSettings"]["Ports"].get(f"{inside}/tcp") or ():
                return int(published["HostPort"])
        text = f"port {inside} of service `{self._service.name}` is not published by its Compose file"
        raise EnvironmentProblemError(text, code="E533", hint=f'write `ports: ["127.0.0.1::{inside}"]` there')

    def _is_missed(self, container: dict[str, Any]) -> bool:
        return bool(container["State"]["ExitCode"]) or _name(container) == self._service.compose_service


def _name(container: dict[str, Any]) -> str:
    return container["Config"]["Labels"].get(_SERVICE, container["Name"])
