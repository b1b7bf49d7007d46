"""What a service step has to do: payload of the kind `service`."""

from __future__ import annotations

from podium.plan.policy import Value


class Health(Value, frozen=True):
    """How to find out whether a service is up; one of the first four is given.

    Attributes:
        tcp: `host:port` that accepts a connection; `${port}` and `${port.NAME}` stand for allocated ports.
        http: URL that answers with a status below 400.
        command: Program and arguments that exit with 0.
        container: The container's own health check.
        interval: Between two looks [s].
    """

    tcp: str = ""
    http: str = ""
    command: tuple[str, ...] = ()
    container: bool = False
    interval: float = 0.2


class Service(Value, frozen=True):
    """Payload of kind `service`. One of `argv`, `image`, `compose` is given; without, it is running already.

    In strings of `argv`, `env`, `exports` and `health`, `${port}` stands for the first allocated port of the host,
    `${port.NAME}` for a named one, and `${folder}` for a temporary folder of the service, which is deleted after it.

    Attributes:
        name: What a person calls it.
        argv: Process: program and arguments.
        image: Container: its image.
        compose: Compose file.
        compose_service: Which service of it; empty: all.
        command: Container: arguments after the image.
        ports: Name to the port inside the container; for a process 0. A free port of the host is allocated for each.
        env: Variables of the service.
        exports: Variables handed to what needs the service.
        mounts: Container: host path to path inside.
        health: How to find out whether it is up; without, a process is up once it has not ended for a moment.
        stop_signal: What asks it to end.
        cwd: Working directory of a process.
        memory: What it may use [byte].
    """

    name: str
    argv: tuple[str, ...] = ()
    image: str = ""
    compose: str = ""
    compose_service: str = ""
    command: tuple[str, ...] = ()
    ports: dict[str, int] = {}
    env: dict[str, str] = {}
    exports: dict[str, str] = {}
    mounts: dict[str, str] = {}
    health: Health | None = None
    stop_signal: str = "SIGTERM"
    cwd: str = ""
    memory: int | None = None


class ServiceOutput(Value, frozen=True):
    """Output of a service that is ready.

    Attributes:
        kind: `process`, `container`, `compose` or `running`.
        ports: Name to the port of the host.
        env: Variables for what needs the service.
    """

    kind: str
    ports: dict[str, int] = {}
    env: dict[str, str] = {}
