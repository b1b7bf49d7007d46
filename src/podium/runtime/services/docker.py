"""The container engine, through its command line: `docker`, and `docker compose` or `docker-compose`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from podium.errors import EnvironmentProblemError
from podium.runtime.services.child import Answer, answer

_NO_ENGINE = "start Docker, or let DOCKER_HOST say where it is"
_NO_DOCKER = "install Docker, on Debian the package `docker.io`"
_NO_COMPOSE = "install the Compose plugin of Docker, on Debian the package `docker-compose`"
_NOT_REACHED = (
    "Cannot connect to the Docker daemon",
    "error during connect",
    "permission denied while trying to connect",
)


class Docker:
    """Asks the container engine that `DOCKER_HOST` and Docker's own configuration name.

    Args:
        owner: Label of the processes it starts, see `podium.runtime.ownership`.
    """

    def __init__(self, owner: str | None = None) -> None:
        self._owner = owner

    async def run(
        self,
        *arguments: str,
        program: Sequence[str] = ("docker",),
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        whole: bool = False,
    ) -> Answer:
        """Return what a command came to.

        Args:
            arguments: After the program.
            program: `docker` or Compose.
            env: Variables added.
            cwd: Working directory.
            whole: It is not killed when the caller is cancelled, as the engine would go on without saying.

        Raises:
            EnvironmentProblemError: There is no such program, or no engine (E530).
        """
        try:
            said = await answer([*program, *arguments], env=env, cwd=cwd, owner=self._owner, whole=whole)
        except (OSError, ValueError) as error:
            text = f"cannot start `{program[0]}`: {getattr(error, 'strerror', None) or error}"
            raise EnvironmentProblemError(text, code="E530", hint=_NO_DOCKER) from error
        if said.code and any(words in said.output for words in _NOT_REACHED):
            text = f"cannot reach the container engine at {endpoint()}"
            raise EnvironmentProblemError(text, code="E530", hint=_NO_ENGINE)
        return said

    async def inspect(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return what the engine knows of containers; those that are gone are left out.

        Raises:
            EnvironmentProblemError: The engine cannot be reached (E530).
        """
        said = await self.run("inspect", "--type", "container", "--format", "{{json .}}", *names)
        return [json.loads(line) for line in said.output.splitlines() if line.startswith("{")]

    async def pull(self, image: str) -> None:
        """Fetch an image from its registry.

        Raises:
            EnvironmentProblemError: It cannot be had (E532), or the engine cannot be reached (E530).
        """
        pulled = await self.run("pull", "--quiet", image)
        if pulled.code:
            text = f"image `{image}` is not on this machine and cannot be pulled: {pulled.last_line}"
            hint = "look at the name of the image, or load it with `docker load` or `docker build`"
            raise EnvironmentProblemError(text, code="E532", hint=hint)

    async def has_image(self, image: str) -> bool:
        """Return whether an image is on this machine.

        Raises:
            EnvironmentProblemError: The engine cannot be reached (E530).
        """
        return not (await self.run("image", "inspect", "--format", "{{.Id}}", image)).code

    async def compose(self) -> tuple[str, ...]:
        """Return the program that understands Compose files.

        Raises:
            EnvironmentProblemError: There is none (E531).
        """
        for program in (("docker", "compose"), ("docker-compose",)):
            try:
                said = await answer([*program, "version"], owner=self._owner)
            except OSError:
                continue
            if not said.code:
                return program
        text = "neither `docker compose` nor `docker-compose` works"
        raise EnvironmentProblemError(text, code="E531", hint=_NO_COMPOSE)


def endpoint() -> str:
    """Return where the container engine is, as far as the environment says."""
    return os.environ.get("DOCKER_HOST") or "its usual place"


def versions() -> tuple[str, str]:
    """Return what there is of a container engine and of Compose, for a person.

    Raises:
        EnvironmentProblemError: There is no engine (E530).
    """

    async def ask() -> tuple[str, str]:
        docker = Docker()
        engine = await docker.run("version", "--format", "{{.Server.Version}}")
        if engine.code:
            raise EnvironmentProblemError(f"`docker version` failed: {engine.last_line}", code="E530", hint=_NO_ENGINE)
        try:
            compose = " ".join(await docker.compose())
        except EnvironmentProblemError as error:
            compose = error.diagnostics[0].message
        return engine.last_line, compose

    return asyncio.run(ask())
