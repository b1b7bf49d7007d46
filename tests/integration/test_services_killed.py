"""Whatever Podium is doing when it is killed, nothing of its services is left."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest
from tests.real_services import (
    IMAGE,
    alive,
    compose,
    docker,  # noqa: F401 (a fixture)
    engine,  # noqa: F401 (a fixture)
    left_in,
    listens,
    place,  # noqa: F401 (a fixture)
    postgres_service,
    program,
    until,
)

from podium.runtime import ownership
from podium.runtime.services import leftovers

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="what an open file marks is found on Linux"),
    pytest.mark.usefixtures("place"),
]

OWNER = """
import asyncio, contextlib, json, sys
from podium.executors.service import ServiceExecutor
from podium.protocols import Attempt, Progressed, Ready, Work
from podium.runtime import ownership
from podium.runtime.guard import Guard
label = ownership.label("run")
def report(token, report):
    if isinstance(report, Ready):
        print(json.dumps({"ready": report.output}), flush=True)
    else:
        print(json.dumps({"said": report.message if isinstance(report, Progressed) else repr(report)}), flush=True)
async def main(payload):
    executor = ServiceExecutor(owner=label)
    executor.start(Attempt("run", "service", 1, 1, Work("service", payload), "key"), report)
    await asyncio.sleep(600)
with Guard(label) if sys.argv[1] == "guarded" else contextlib.nullcontext():
    asyncio.run(main(json.loads(sys.argv[2])))
"""
WAITS = [sys.executable, "-c", "import time; time.sleep(600)"]


class Owner:
    """A process with a service and, if it is guarded, a guard."""

    def __init__(self, payload, *, guarded=True):
        command = [sys.executable, "-c", OWNER, "guarded" if guarded else "alone", json.dumps(payload)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.kill()

    def ready(self):
        """Return the output of the service that is up."""
        for line in self.process.stdout:
            if "ready" in (said := json.loads(line)):
                return said["ready"]
            assert "Finished" not in said["said"], said
        raise AssertionError("the owner ended")

    def said(self, text):
        """Wait until the owner says something."""
        assert any(text in line for line in self.process.stdout)

    def kill(self):
        """Kill the owner and return its guard and other children."""
        children = psutil.Process(self.process.pid).children() if self.process.poll() is None else []
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        return children


def clean(place, *, text=None):  # noqa: F811
    return until(lambda: not alive(text or str(place)) and left_in(place) == [])


CLOBBERS = "redis-server --port ${port} --daemonize yes --dir ${folder}; exec sleep 619"
RUNNING = {
    "redis": {
        "name": "cache",
        "argv": ["redis-server", "--port", "${port}", "--dir", "${folder}"],
        "ports": {"p": 0},
        "health": {"tcp": "127.0.0.1:${port}"},
    },
    "daemon": {
        "name": "cache",
        "argv": ["sh", "-c", CLOBBERS],
        "ports": {"p": 0},
        "health": {"tcp": "127.0.0.1:${port}"},
    },
}


@pytest.mark.parametrize("name", RUNNING)
def test_killed_while_redis_runs_the_guard_leaves_nothing(name, place):  # noqa: F811
    """It overwrites its environment, so that its label cannot be read."""
    program("redis-server")
    with Owner(RUNNING[name]) as owner:
        port = owner.ready()["ports"]["p"]
        assert left_in(place)
        assert listens(port)
        owner.kill()
        assert clean(place)
        assert not listens(port)


def test_killed_while_postgresql_runs_the_guard_leaves_nothing(place):  # noqa: F811
    with Owner(postgres_service()) as owner:
        port = owner.ready()["ports"]["sql"]
        owner.kill()
        assert clean(place)
        assert not listens(port)


def test_killed_while_postgresql_is_initialised_the_guard_leaves_nothing(place):  # noqa: F811
    with Owner(postgres_service()) as owner:
        owner.said("not up yet")
        assert until(lambda: alive("initdb"))
        owner.kill()
        assert clean(place)


def test_killed_while_health_is_looked_at_the_guard_leaves_nothing(place):  # noqa: F811
    health = {"command": ["sh", "-c", "sleep 620; false"]}
    with Owner({"name": "x", "argv": [*WAITS, str(place)], "health": health}) as owner:
        assert until(lambda: alive("sleep 620") or alive("620"))
        owner.kill()
        assert clean(place)
        assert until(lambda: not alive("620"))


def test_without_a_guard_the_next_start_removes_what_is_left(place):  # noqa: F811
    program("redis-server")
    with Owner(RUNNING["daemon"], guarded=False) as owner:
        port = owner.ready()["ports"]["p"]
        assert leftovers.reap() == [], "its owner is alive"
        owner.kill()
        assert listens(port)
        ownership.reap_orphans()
        assert len(leftovers.reap()) == 1
        assert not listens(port)
        assert left_in(place) == []
        assert leftovers.reap() == []


def test_what_is_running_already_outlives_a_killed_podium(place):  # noqa: F811
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        with Owner({"name": "there", "health": {"tcp": f"127.0.0.1:{port}"}}) as owner:
            owner.ready()
            guards = owner.kill()
            psutil.wait_procs(guards, timeout=30)
        assert listens(port)


CONTAINER = {
    "name": "web",
    "image": IMAGE,
    "command": ["sh", "-c", "cd /tmp; exec httpd -f -p 80"],
    "ports": {"http": 80},
    "health": {"tcp": "127.0.0.1:${port}"},
}
COMPOSE = f"""
services:
  web:
    image: {IMAGE}
    command: httpd -f -p 80
    ports: ["127.0.0.1::80"]
    volumes: ["kept:/data"]
  other:
    image: {IMAGE}
    command: sleep 600
volumes:
  kept:
"""


def test_killed_while_a_container_runs_the_guard_leaves_none(place, engine):  # noqa: F811
    with Owner(CONTAINER) as owner:
        port = owner.ready()["ports"]["http"]
        assert len(engine.left()) == 1
        owner.kill()
        assert until(lambda: engine.left() == [])
        assert clean(place, text="podium-web-")
        assert not listens(port)


@pytest.mark.parametrize("delay", [0.0, 0.15, 0.3])
def test_killed_while_a_container_starts_the_guard_leaves_none(delay, place, engine):  # noqa: F811
    """The moments only spread the kill over the start; whenever it comes, nothing may be left."""
    with Owner(CONTAINER | {"health": {"command": ["false"]}}) as owner:
        assert until(lambda: left_in(place))
        time.sleep(delay)
        guards = owner.kill()
        psutil.wait_procs(guards, timeout=60)
        assert left_in(place) == []
        assert engine.left() == []


def test_without_a_guard_the_next_start_removes_the_container(place, engine):  # noqa: F811
    with Owner(CONTAINER, guarded=False) as owner:
        owner.ready()
        owner.kill()
        assert len(engine.left()) == 1
        assert len(leftovers.reap()) == 1
        assert engine.left() == []
        assert left_in(place) == []


@pytest.fixture
def compose_file(tmp_path):
    """A Compose file of two services, one with a volume."""
    compose()
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    return {"name": "stack", "compose": str(file), "ports": {"http": 80}}


def test_killed_while_compose_runs_the_guard_leaves_nothing(place, engine, compose_file):  # noqa: F811
    with Owner(compose_file) as owner:
        owner.ready()
        assert len(engine.left()) == 4, "two containers, a network and a volume"
        owner.kill()
        assert until(lambda: engine.left() == [])
        assert clean(place, text="podium-")


@pytest.mark.parametrize("things", [1, 4])
def test_killed_while_compose_starts_the_guard_leaves_nothing(things, place, engine, compose_file):  # noqa: F811
    """It is killed as soon as the network is there, and as soon as the second container is."""
    with Owner(compose_file) as owner:
        assert until(lambda: len(engine.left()) >= things)
        guards = owner.kill()
        psutil.wait_procs(guards, timeout=60)
        assert engine.left() == []
        assert left_in(place) == []


def test_an_engine_that_is_not_there_keeps_the_record_until_it_is(place, engine, monkeypatch):  # noqa: F811
    with Owner(CONTAINER, guarded=False) as owner:
        owner.ready()
        owner.kill()
    with monkeypatch.context() as changed:
        changed.setattr(leftovers, "_docker", lambda *_: None)
        assert leftovers.reap() == []
        assert len(left_in(place)) == 1
    assert len(leftovers.reap()) == 1
