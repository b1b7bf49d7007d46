"""A service that is a container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from podium.errors import EnvironmentProblemError
from podium.plan.service_placeholders import filled_before, values_of
from podium.plan.services import Service
from podium.runtime.process_group import describe_exit
from podium.runtime.services.child import Child
from podium.runtime.services.docker import Docker
from podium.runtime.services.process import signal_of
from podium.runtime.services.runner import Claimed, Surroundings, Tell

_LOG_OPTIONS = ("--log-driver", "json-file", "--log-opt", "max-size=16m", "--log-opt", "max-file=2")
"""So that what it writes can be followed, and does not fill the disk, whatever the engine does by default."""
_KILLED_BY = 128
"""What the exit code of a container has added to the number of the signal that killed it."""


class Container(Claimed):
    """A container with its ports published on 127.0.0.1.

    Port 0 inside means the same number inside as on the host, for what tells its clients where it is.

    Args:
        service: What it is.
        around: Where it runs.
    """

    kind: ClassVar[str] = "container"
    is_proxied: ClassVar[bool] = True

    def __init__(self, service: Service, around: Surroundings) -> None:
        super().__init__(service, around, service.ports)
        self._docker = Docker(around.owner)
        self._name = f"podium-{slug(service.name)}-{self._claim.id}"
        self._logs: Child | None = None

    async def start(self, tell: Tell) -> Service:
        """Make and start the container; an image that is missing is pulled first."""
        service = filled_before(self._service, values_of(self.ports, self.folder))
        arguments = self._arguments(service)
        if not await self._docker.has_image(service.image):
            tell(f"pulling image `{service.image}`, which is not on this machine")
            await self._docker.pull(service.image)
        self._claim.use("container")
        await self._ask_for("create", "--pull", "never", *arguments)
        self._held.release()
        await self._ask_for("start", self._name)
        log = self._around.log
        self._logs = Child(["docker", "logs", "--follow", self._name], log, owner=self._around.owner)
        return service

    async def ended(self) -> str:
        """Return how the container ended."""
        assert self._logs is not None
        await self._logs.ended.wait()
        self._logs.catch_up()
        state = await self._state()
        if state is None:
            return "its container was removed"
        if state.get("Running"):
            return "the container engine was lost"
        return describe_end(state, self._service.memory)

    async def look(self) -> str:
        """Return what the image's health check says."""
        state = await self._state()
        if state is None:
            return "its container was removed"
        if "Health" not in state:
            text = f"image `{self._service.image}` has no health check"
            raise EnvironmentProblemError(text, code="E537", hint="look at its health by `tcp`, `http` or `command`")
        return health_words(state)

    async def ask(self) -> None:
        """Send the signal it ends by."""
        await self._docker.run("kill", "--signal", signal_of(self._service).name, self._name)

    async def close(self) -> bool:
        """Remove the container with its volumes."""
        clean = await self._release()
        dead = await self._logs.close() if self._logs is not None else True
        return clean and dead

    def _arguments(self, service: Service) -> list[str]:
        labels = {**self._around.labels, "podium.id": self._claim.id}
        options = ["--name", self._name, "--init", *_LOG_OPTIONS]
        options += [part for name, text in labels.items() for part in ("--label", f"{name}={text}")]
        for name, number in self.ports.items():
            options += ["--publish", f"127.0.0.1:{number}:{service.ports[name] or number}"]
        options += [part for name, text in service.env.items() for part in ("--env", f"{name}={text}")]
        options += [part for mount in service.mounts.items() for part in ("--mount", self._mount(*mount))]
        if service.memory is not None:
            options += ["--memory", str(service.memory)]
        return [*options, "--", service.image, *service.command]

    def _mount(self, outside: str, inside: str) -> str:
        path = self._around.path(outside)
        if not Path(path).exists():
            text = f"service `{self._service.name}` mounts {path}, which does not exist"
            raise EnvironmentProblemError(text, code="E533", hint="a mount is `path on this machine: path inside`")
        target, colon, mode = inside.rpartition(":")
        if not colon:
            target, mode = inside, ""
        return f'type=bind,"source={path}","target={target}"' + (",readonly" if mode == "ro" else "")

    async def _ask_for(self, *arguments: str) -> None:
        """Have the engine do something, and wait until it has even if the caller is cancelled."""
        said = await self._docker.run(*arguments, whole=True)
        if said.code:
            text = f"the container engine refuses to {arguments[0]} service `{self._service.name}`: {why(said.output)}"
            raise EnvironmentProblemError(text, code="E533")

    async def _state(self) -> dict[str, Any] | None:
        found = await self._docker.inspect([self._name])
        return found[0]["State"] if found else None


def slug(name: str) -> str:
    """Return a name as containers may have it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32] or "service"


def why(output: str) -> str:
    """Return the line of what `docker` said that tells why it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if line.lower().startswith(("error", "docker: error"))]
    return (told or lines or ["it does not say why"])[0]


def describe_end(state: Mapping[str, Any], memory: int | None = None) -> str:
    """Return how a container ended in words, from its state."""
    if state.get("OOMKilled"):
        return "killed as it needed more memory than it may use" + (f", {memory} bytes" if memory is not None else "")
    code = int(state.get("ExitCode") or 0)
    return state.get("Error") or describe_exit(_KILLED_BY - code if code > _KILLED_BY else code)


def health_words(state: Mapping[str, Any]) -> str:
    """Return what a container's own health check says, empty if it is healthy."""
    health = state["Health"]
    if health["Status"] == "healthy":
        return ""
    looks: list[dict[str, Any]] = health.get("Log") or [{}]
    said = " ".join(str(looks[-1].get("Output", "")).split())[:200]
    return f"its health check says `{health['Status']}`" + (f": {said}" if said else "")
