"""Runs a conductor and its HTTP side until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import uvicorn

from podium.errors import EnvironmentProblemError, ExitCode
from podium.executors.registry import ALL_KINDS, executors_for
from podium.protocols import Executor
from podium.runtime import ownership
from podium.runtime.guard import Guard
from podium.server.app import Api
from podium.server.conductor import Conductor
from podium.session import Session

_SCOPE = "server"
_LAST_ANSWERS = 1
"""How long requests under way are waited for when stopping [s]."""


def serve(
    *,
    host: str,
    port: int,
    token: str,
    hosts: tuple[str, ...],
    folder: Path,
    limit: int,
    slots: int,
    workers: Mapping[str, int],
    patience: float,
    store: Path | None,
    say: Callable[[str], None],
) -> int:
    """Serve until SIGINT or SIGTERM; what is not over then is taken up by the next server.

    Args:
        host: Address to listen on.
        port: 0: any free one.
        token: Bearer token of every request; empty: none.
        hosts: Names under which the server may be addressed; empty: any.
        folder: Where documents and their functions are, and where commands run.
        limit: How many runs are under way at most.
        slots: How many steps are under way at most, over all runs.
        workers: Worker name to capacity.
        patience: How long to wait for steps when stopping [s].
        store: File of the store; None: that of the working directory.
        say: Tells a person something.

    Raises:
        EnvironmentProblemError: The port cannot be had (E520).
    """
    label = ownership.label(_SCOPE)
    memory = max(1 << 30, psutil.virtual_memory().total * 3 // 4 // slots)
    where = str(folder.resolve())

    def make() -> dict[str, Executor]:
        return executors_for(ALL_KINDS, owner=label, memory_bytes=memory, import_from=(where,), cwd=where)

    async def main() -> None:
        conductor = Conductor(session, executors=make, limit=limit, slots=slots, workers=workers)
        api = Api(conductor, session, folder=folder, token=token, hosts=hosts)
        config = uvicorn.Config(
            api.app(), log_level="warning", lifespan="off", access_log=False, timeout_graceful_shutdown=_LAST_ANSWERS
        )
        server = _Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.stop)
        await conductor.start()
        say(f"podium serves on http://{host}:{listening.getsockname()[1]}; Ctrl-C stops it")
        try:
            await server.serve(sockets=[listening])
        finally:
            say("podium stops: waiting for the steps under way")
            await conductor.stop(patience)

    with Session.open(store) as session, _listen(host, port) as listening, Guard(label):
        asyncio.run(main())
    return ExitCode.PASSED


class _Server(uvicorn.Server):
    """A server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self):  # noqa: ANN202 (that of the base class)
        """Take over no signals."""
        yield

    def stop(self) -> None:
        """Take no more requests."""
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise EnvironmentProblemError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", code="E520", hint="choose another --port"
        ) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so only for sockets it makes itself
    return listening
