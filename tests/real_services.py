"""Real things for tests of services: a place for them, a container engine, PostgreSQL, and an executor to try.

What is absent skips the test by name, or fails it if `PODIUM_REQUIRE_ALL` is set.
"""

import contextlib
import functools
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from tests.executor_bench import Bench, conduct

from podium.executors.service import ServiceExecutor
from podium.protocols import Ready, Work

IMAGE = "podium-test-busybox"
SHELL_TOOLS = ("sh", "httpd", "sleep", "echo", "cat", "test", "kill", "touch", "true", "false", "mkdir")


def missing(what):
    """Skip a test as something is not there, or fail it where everything has to be."""
    if os.environ.get("PODIUM_REQUIRE_ALL"):
        pytest.fail(f"PODIUM_REQUIRE_ALL is set, and there is no {what}")
    pytest.skip(f"there is no {what}")


def program(name):
    """Return the path of a program, or skip."""
    return shutil.which(name) or missing(name)


def postgres():
    """Return the folder of PostgreSQL's programs, or skip."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return str(found[-1].parent)
    return str(Path(program("initdb")).parent)


def as_postgres():
    """Return what a command line begins with to run as somebody whom PostgreSQL accepts, as it refuses root."""
    return "setpriv --reuid=postgres --regid=postgres --clear-groups" if os.getuid() == 0 else ""


def postgres_service(**changes):
    """Return a service that makes a database and serves it."""
    bin_ = postgres()
    owner = "chown postgres ${folder} && cd ${folder} && " if as_postgres() else ""
    script = (
        f"{owner} {as_postgres()} {bin_}/initdb -D ${{folder}}/data -U test --auth trust --no-sync >/dev/null "
        f"&& exec {as_postgres()} {bin_}/postgres -D ${{folder}}/data -p ${{port}} -k ${{folder}} -c fsync=off"
    )
    return {
        "name": "database",
        "argv": ["sh", "-c", script],
        "ports": {"sql": 0},
        "exports": {"DATABASE_URL": "postgresql://test@127.0.0.1:${port.sql}/postgres"},
        "health": {"command": [f"{bin_}/pg_isready", "-q", "-h", "127.0.0.1", "-p", "${port}"]},
        "stop_signal": "SIGINT",
        **changes,
    }


@pytest.fixture
def place(monkeypatch, tmp_path_factory):
    """A folder for temporary files that users a service changes to may pass, with a short name as sockets need it."""
    tmp_path_factory.getbasetemp()  # of all tests, so not in here
    folder = Path(tempfile.mkdtemp(prefix="pd-", dir="/tmp"))
    folder.chmod(0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def left_in(place):
    """Return the names of what services left in a place; pytest and others may have files there."""
    return sorted(str(path.relative_to(place)) for path in place.glob("podium-*/*"))


class Docker:
    """A container engine."""

    def __init__(self, environment):
        self.environment = os.environ | environment

    def __call__(self, *arguments, feed=None):
        done = subprocess.run(
            ["docker", *arguments], input=feed, capture_output=True, env=self.environment, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().split()

    def load(self, name, *changes):
        """Make an image of a statically linked shell."""
        options = [part for change in changes for part in ("--change", change)]
        self("import", *options, "-", name, feed=_shell())

    def left(self):
        """Return the containers, networks and volumes that Podium's services left."""
        containers = self("ps", "--all", "--quiet", "--filter", "label=podium.id")
        projects = self("ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project")
        things = [self(kind, "ls", "--format", "{{.Name}}") for kind in ("network", "volume")]
        return [*containers, *projects, *(name for names in things for name in names if name.startswith("podium-"))]


@functools.cache
def compose():
    """Skip if nothing understands Compose files."""
    for command in (["docker", "compose", "version"], ["docker-compose", "version"]):
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return
    missing("Compose")


@functools.cache
def _shell():
    busybox = Path(program("busybox"))
    if subprocess.run(["ldd", busybox], capture_output=True, check=False).returncode == 0:
        missing("statically linked busybox")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
        for name in SHELL_TOOLS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name in ("tmp", "data"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(folder)
    return packed.getvalue()


def _reaches(environment):
    asked = subprocess.run(
        ["docker", "version"], env=os.environ | environment, capture_output=True, check=False, timeout=60
    )
    return asked.returncode == 0


@pytest.fixture(scope="session")
def docker():
    """The machine's container engine, or one that is started for the tests; it has an image with a shell."""
    program("docker")
    with contextlib.ExitStack() as stack:
        environment = {} if _reaches({}) else stack.enter_context(_own_engine())
        engine = Docker(environment)
        engine.load(IMAGE, 'CMD ["sh", "-c", "echo nothing to do"]')
        yield engine


@contextlib.contextmanager
def _own_engine():
    if not (shutil.which("dockerd") and os.getuid() == 0):
        missing("container engine")
    folder = Path(tempfile.mkdtemp(prefix="pd-engine-", dir="/tmp"))
    host = f"unix://{folder}/docker.sock"
    paths = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid"}
    arguments = [part for option, name in paths.items() for part in (option, str(folder / name))]
    with (folder / "log").open("wb") as log:
        engine = subprocess.Popen(["dockerd", *arguments, "-H", host], stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not _reaches({"DOCKER_HOST": host}):
            if engine.poll() is not None or time.monotonic() > deadline:
                missing("container engine that starts: " + (folder / "log").read_text()[-2000:])
            time.sleep(0.05)
        yield {"DOCKER_HOST": host}
    finally:
        engine.terminate()
        engine.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def engine(docker, monkeypatch):
    """The container engine, which this process uses too; nothing of Podium's may be left in it."""
    if "DOCKER_HOST" in docker.environment:
        monkeypatch.setenv("DOCKER_HOST", docker.environment["DOCKER_HOST"])
    yield docker
    assert docker.left() == []


class Services(Bench):
    """Services under way."""

    patience = 60

    def start(self, token, **payload):
        """Start a service."""
        self.begin(token, Work("service", payload), step="service")

    async def ready(self, token):
        """Return the output of a service that is up."""

        def found():
            return [report for report in self.reports[token] if isinstance(report, Ready)]

        await self.until(lambda: found() or self.ends(token))
        assert found(), self.reports[token]
        return found()[0].output

    async def stop(self, token, *, force=False):
        """Stop a service and return its end."""
        self.executor.stop(token, force=force)
        return await self.end(token)


def with_services(body, **options):
    """Return what a coroutine comes to that is given a bench."""
    return conduct(body, lambda: Services(ServiceExecutor(**options)))


def end_of(payload):
    """Return the end of a service that comes to an end on its own."""

    async def body(bench):
        bench.start(1, **payload)
        return await bench.end(1)

    return with_services(body)


def python(code, **more):
    """Return a service that runs Python code."""
    return {"name": "py", "argv": [sys.executable, "-c", code], **more}


def listens(port):
    """Return whether something accepts connections at a port of this machine."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def alive(text):
    """Return the processes that have a text in their arguments."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            running = process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
            if running and any(text in argument for argument in process.cmdline()):
                found.append(process.pid)
    return found


def until(condition, seconds=30):
    """Return whether something becomes true that another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
