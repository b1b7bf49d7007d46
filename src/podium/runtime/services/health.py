"""How to find out whether a service is up."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

from podium.errors import EnvironmentProblemError
from podium.plan.services import Health
from podium.runtime.process_group import describe_exit
from podium.runtime.services.child import answer

Check = Callable[[], Awaitable[str]]
"""Returns in words what is not well yet, empty if the service is up."""

_PATIENCE = 5.0
"""How long one look may take [s]."""
_MOMENT = 0.1
"""How long a service without health has to last [s]; how long something that is not up may hold a connection [s]."""
_MOMENT_OF_CONTAINER = 0.5
"""How long a container without health has to last, whose end is noticed later [s]."""
_SHORTEST_INTERVAL = 0.01
_FIRST_ERROR_STATUS = 400


def check_of(
    health: Health | None,
    *,
    look: Check,
    env: Mapping[str, str],
    cwd: str | None = None,
    owner: str | None = None,
    is_proxied: bool = False,
) -> Check:
    """Return what finds out whether a service is up.

    Args:
        health: With all placeholders filled in.
        look: Asks the container engine.
        env: Variables for a command.
        cwd: Working directory of a command.
        owner: Label of the processes of a command.
        is_proxied: Something else accepts connections in its place, and closes them while it is not up.
    """
    lasts = functools.partial(_lasts, _MOMENT_OF_CONTAINER if is_proxied else _MOMENT)
    if health is None:
        return lasts
    if health.tcp:
        host, port = _address(health.tcp)
        return lambda: _connects(host, port, is_proxied=is_proxied)
    if health.http:
        return lambda: _answers(health.http)
    if health.command:
        return lambda: _passes(health.command, env, cwd, owner)
    return look if health.container else lasts


async def until_up(check: Check, interval: float, tell: Callable[[str], None]) -> None:
    """Look until a service is up.

    Args:
        check: Finds out.
        interval: Between two looks [s].
        tell: Takes what is not well yet, whenever that changes.
    """
    before = ""
    while words := await _in_time(check):
        if words != before:
            before = words
            tell(words)
        await asyncio.sleep(max(interval, _SHORTEST_INTERVAL))


async def _in_time(check: Check) -> str:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await check()
    except TimeoutError:
        return f"no answer within {_PATIENCE:g} s"


async def _lasts(moment: float) -> str:
    await asyncio.sleep(moment)
    return ""


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        hint = "write for example `127.0.0.1:${port}`"
        raise EnvironmentProblemError(f"health `tcp: {text}` is not `host:port`", code="E537", hint=hint)
    return host.removeprefix("[").removesuffix("]"), int(port)


async def _connects(host: str, port: int, *, is_proxied: bool) -> str:
    where = f"{host}:{port}"
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return f"connection refused at {where}"
    except socket.gaierror as error:
        return f"host `{host}` not known: {error.strerror}"
    except OSError as error:
        return f"no connection at {where}: {_words(error)}"
    try:
        if is_proxied and await _is_closed(reader):
            return f"connection closed at once at {where}"
    finally:
        writer.transport.abort()
    return ""


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    """Return whether the other side closes a connection within a moment, without having said anything."""
    try:
        async with asyncio.timeout(_MOMENT):
            return not await reader.read(1)
    except TimeoutError:
        return False
    except OSError:
        return True


async def _answers(url: str) -> str:
    import httpx  # noqa: PLC0415  (only for what needs it)

    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as client:
            answered = await client.get(url)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        hint = "write for example `http://127.0.0.1:${port}/`"
        text = f"health `http: {url}` cannot be asked: {error}"
        raise EnvironmentProblemError(text, code="E537", hint=hint) from error
    except httpx.ConnectError as error:
        return f"no connection for GET {url}: {error}"
    except httpx.HTTPError as error:
        return f"GET {url}: {error or type(error).__name__}"
    if answered.status_code < _FIRST_ERROR_STATUS:
        return ""
    return f"GET {url} was answered with status {answered.status_code}"


async def _passes(command: tuple[str, ...], env: Mapping[str, str], cwd: str | None, owner: str | None) -> str:
    try:
        said = await answer(command, env=env, cwd=cwd, owner=owner)
    except (OSError, ValueError) as error:
        text = f"cannot start the health command {command[0]!r}: {_words(error)}"
        raise EnvironmentProblemError(text, code="E537") from error
    if not said.code:
        return ""
    return f"`{command[0]}` {describe_exit(said.code)}" + (f": {said.last_line[:200]}" if said.last_line else "")


def _words(error: OSError | ValueError) -> str:
    return (os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "") or str(error)
