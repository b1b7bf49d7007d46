"""Services that are containers or Compose files, with a real container engine."""

import asyncio
import json
import os
import sys
import urllib.request

import pytest
from tests.real_services import (
    IMAGE,
    alive,
    compose,
    docker,  # noqa: F401 (a fixture)
    end_of,
    engine,  # noqa: F401 (a fixture)
    left_in,
    listens,
    missing,
    place,  # noqa: F401 (a fixture)
    until,
    with_services,
)

from podium.protocols import Progressed, Ready
from podium.runtime.services.docker import versions

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX"),
    pytest.mark.usefixtures("place"),
]

SERVES = "echo serving; echo hello > /tmp/index.html; cd /tmp; exec httpd -f -p 80"
WEB = {
    "name": "Web Server",
    "image": IMAGE,
    "command": ["sh", "-c", SERVES],
    "ports": {"http": 80},
    "exports": {"URL": "http://127.0.0.1:${port.http}/"},
    "health": {"tcp": "127.0.0.1:${port}"},
}


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def shell(line, **more):
    return {"name": "c", "image": IMAGE, "command": ["sh", "-c", line], **more}


def failure(end):
    return end.outcome, end.failure.type, end.failure.message


def test_a_container_is_reached_by_its_port_on_this_machine_and_removed(place, engine):  # noqa: F811
    async def body(bench):
        bench.start(1, **WEB)
        output = await bench.ready(1)
        port = output["ports"]["http"]
        assert output == {"kind": "container", "ports": {"http": port}, "env": {"URL": f"http://127.0.0.1:{port}/"}}
        assert await asyncio.to_thread(get, output["env"]["URL"]) == b"hello\n"
        (container,) = json.loads("".join(engine("inspect", *engine.left())))
        labels = {name: text for name, text in container["Config"]["Labels"].items() if name.startswith("podium.")}
        assert container["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
        end = await bench.stop(1)
        return labels, port, end

    labels, port, end = with_services(body, owner="1:1-1/run-id")
    assert labels.pop("podium.id").isalnum()
    assert labels == {"podium.owner": "1:1-1/run-id", "podium.run": "run-id", "podium.service": "service1"}
    assert (end.outcome, end.artifacts) == ("passed", {"log": b"serving\n"})
    assert not listens(port)
    assert (left_in(place), alive("podium-web-server-")) == ([], [])


@pytest.mark.usefixtures("engine")
def test_a_published_port_behind_which_nothing_listens_yet_is_not_up():
    """The engine accepts connections before the container does."""

    async def body(bench):
        line = "while ! test -e /tmp/go; do sleep 0.02; done; exec httpd -f -p 80"
        bench.start(1, **shell(line, name="late", ports={"http": 80}, health=WEB["health"]))
        told = await bench.message(1, "not up yet: connection closed at once at 127.0.0.1:")
        assert not any(isinstance(report, Ready) for report in bench.reports[1])
        end = await bench.stop(1)
        return told.removeprefix("not up yet: "), end

    told, end = with_services(body)
    assert failure(end) == ("cancelled", "ServiceNotUp", f"service `late` is not up: {told}")


def test_a_container_has_its_variables_mounts_and_memory(engine, tmp_path):  # noqa: F811
    (tmp_path / "given").write_text("from outside")
    line = "cat /data/given; echo; echo $WHERE; exec sleep 600"
    given = {"env": {"WHERE": "${port.a} ${folder}"}, "mounts": {"given": "/data/given:ro"}, "memory": 32 << 20}

    async def body(bench):
        bench.start(1, **shell(line, ports={"a": 0}, **given))
        port = (await bench.ready(1))["ports"]["a"]
        (container,) = json.loads("".join(engine("inspect", *engine.left())))
        assert container["HostConfig"]["Memory"] == 32 << 20
        assert f"{port}/tcp" in container["HostConfig"]["PortBindings"], "0 inside is the same number"
        return port, await bench.stop(1)

    port, end = with_services(body, cwd=str(tmp_path))
    first, second = end.artifacts["log"].decode().splitlines()
    assert first == "from outside"
    assert second.startswith(f"{port} /tmp/pd-")


@pytest.mark.usefixtures("engine")
def test_a_container_that_ends_before_it_is_up_says_how():
    end = end_of(shell("echo no config >&2; exit 7", health={"command": ["false"], "interval": 600}))
    assert failure(end) == ("errored", "ServiceNotUp", "service `c` ended before it was up: exited with code 7")
    assert end.failure.details.endswith("no config\n")
    assert end.artifacts == {"log": b"no config\n"}


def test_a_container_that_dies_later_is_errored(engine):  # noqa: F811
    async def body(bench):
        bench.start(1, **shell("exec sleep 600"))
        await bench.ready(1)
        engine("kill", *engine.left())
        return await bench.end(1)

    assert failure(with_services(body)) == ("errored", "ServiceDied", "service `c` died: killed by SIGKILL")


def test_a_container_that_somebody_removes_has_died(engine):  # noqa: F811
    async def body(bench):
        bench.start(1, **shell("exec sleep 600"))
        await bench.ready(1)
        engine("rm", "--force", *engine.left())
        return await bench.end(1)

    assert failure(with_services(body))[1:] == ("ServiceDied", "service `c` died: its container was removed")


def test_a_container_that_ignores_being_asked_is_killed_by_force(engine):  # noqa: F811
    async def body(bench):
        bench.start(1, **shell("trap '' TERM; echo deaf; while :; do sleep 1; done"))
        await bench.ready(1)
        bench.executor.stop(1, force=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.end(1), 0.5)
        assert len(engine.left()) == 1
        return await bench.stop(1, force=True)

    assert with_services(body).outcome == "passed"


@pytest.mark.usefixtures("engine")
def test_the_signal_a_container_ends_by_can_be_chosen():
    async def body(bench):
        line = "trap 'echo INT; exit' INT; trap 'echo TERM; exit' TERM; while :; do sleep 0.05; done"
        bench.start(1, **shell(line, stop_signal="SIGINT"))
        await bench.ready(1)
        return await bench.stop(1)

    assert with_services(body).artifacts == {"log": b"INT\n"}


def test_the_health_check_of_an_image_is_asked(engine):  # noqa: F811
    check = 'HEALTHCHECK --interval=200ms --retries=1 CMD test -e /tmp/up || (echo "cold"; exit 1)'
    engine.load("podium-test-checked", check)

    async def body(bench):
        line = "sleep 1; touch /tmp/up; exec sleep 600"
        service = {**shell(line), "image": "podium-test-checked", "health": {"container": True}}
        bench.start(1, **service)
        await bench.ready(1)
        lines = [report.message for report in bench.reports[1] if isinstance(report, Progressed)]
        await bench.stop(1)
        return lines

    lines = with_services(body)
    assert lines[0].startswith("not up yet: its health check says `")
    assert "not up yet: its health check says `unhealthy`: cold" in lines


@pytest.mark.usefixtures("engine")
def test_an_image_without_health_check_cannot_be_asked():
    end = end_of(shell("exec sleep 600", health={"container": True}))
    assert end.failure.message == f"image `{IMAGE}` has no health check"
    assert end.failure.details.startswith("error[E537]: ")


@pytest.mark.usefixtures("engine")
def test_an_image_that_is_missing_is_pulled_and_it_is_said_why():
    async def body(bench):
        bench.start(1, name="x", image="127.0.0.1:9/no/such:1")
        end = await bench.end(1)
        return bench.reports[1][0], end

    told, end = with_services(body)
    assert told == Progressed(message="pulling image `127.0.0.1:9/no/such:1`, which is not on this machine")
    assert end.failure.message.startswith(
        "image `127.0.0.1:9/no/such:1` is not on this machine and cannot be pulled: Error response from daemon: "
    )
    assert end.failure.details.startswith("error[E532]: ")


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("service", "words"),
    [
        (shell("true", command=["no-such-program"]), "exited with code 127"),
        (shell("true", mounts={"/no/such": "/data"}), "service `c` mounts /no/such, which does not exist"),
        (shell("true", memory=1), "refuses to create service `c`: Error response from daemon: Minimum memory limit"),
        ({"name": "x", "image": "Not An Image"}, "cannot be pulled: "),
    ],
)
def test_what_the_engine_refuses_is_an_error_in_its_words(service, words, place):  # noqa: F811
    end = end_of({**service})
    assert words in end.failure.message
    assert end.outcome == "errored"
    assert left_in(place) == []


def test_stopped_while_it_starts_a_container_is_not_left(engine, place):  # noqa: F811
    async def body(bench):
        ends = []
        for token in range(4):
            bench.start(token, **WEB)
            await asyncio.sleep(token * 0.1)
            bench.executor.stop(token, force=bool(token % 2))
            ends.append((await bench.end(token)).outcome)
        return set(ends) - {"cancelled", "passed"}

    assert with_services(body) == set()
    assert left_in(place) == []


def test_closing_the_executor_removes_containers_at_once(engine, place):  # noqa: F811
    async def body(bench):
        bench.start(1, **shell("trap '' TERM; while :; do sleep 1; done"))
        bench.start(2, **WEB | {"health": {"command": ["false"]}})
        await bench.ready(1)
        await bench.message(2, "not up yet")

    with_services(body)
    assert engine.left() == []
    assert left_in(place) == []


def test_without_an_engine_a_container_is_refused_with_a_hint(monkeypatch, place):  # noqa: F811
    if not any(os.access(f"{folder}/docker", os.X_OK) for folder in os.environ["PATH"].split(os.pathsep)):
        missing("docker")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/none.sock")
    for service in (WEB, {"name": "y", "image": IMAGE}):
        end = end_of(service)
        assert end.failure.details.startswith("error[E530]: ")
    with pytest.raises(Exception, match="cannot reach the container engine at unix:///"):
        versions()


def test_without_docker_a_container_and_a_compose_file_are_refused_with_a_hint(monkeypatch, tmp_path, place):  # noqa: F811
    (tmp_path / "compose.yaml").write_text("services: {}")
    monkeypatch.setenv("PATH", str(tmp_path))
    end = end_of(WEB)
    assert end.failure.message == "cannot start `docker`: No such file or directory"
    assert "hint: install Docker" in end.failure.details
    end = end_of({"name": "s", "compose": str(tmp_path / "compose.yaml")})
    assert end.failure.details.startswith("error[E531]: ")
    assert left_in(place) == []


# Compose

STACK = f"""
version: "3.7"
services:
  web:
    image: {IMAGE}
    command: sh -c "mkdir -p /tmp/www; echo $$WORD > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www"
    environment: {{WORD: "${{WORD:-nothing}}"}}
    ports: ["127.0.0.1::80"]
    depends_on: [base]
    init: true
  base:
    image: {IMAGE}
    command: sh -c "echo base is here; exec sleep 600"
    volumes: ["kept:/data"]
    init: true
  other:
    image: {IMAGE}
    command: sleep 600
    init: true
volumes:
  kept:
"""


def stack(tmp_path, text=STACK, **more):
    compose()
    (tmp_path / "compose.yaml").write_text(text)
    return {"name": "stack", "compose": "compose.yaml", **more}


def names(engine):  # noqa: F811
    return sorted(engine("ps", "--format", '{{.Label "com.docker.compose.service"}}'))


def test_a_compose_file_is_a_project_of_its_own_and_removed_with_its_volumes(engine, tmp_path, place):  # noqa: F811
    service = stack(
        tmp_path,
        ports={"web": 80},
        env={"WORD": "given"},
        exports={"URL": "http://127.0.0.1:${port.web}/"},
        health={"http": "http://127.0.0.1:${port}/"},
    )

    async def body(bench):
        bench.start(1, **service)
        bench.start(2, **service)
        one, two = await bench.ready(1), await bench.ready(2)
        assert one["ports"] != two["ports"]
        assert await asyncio.to_thread(get, one["env"]["URL"]) == b"given\n"
        assert names(engine) == ["base", "base", "other", "other", "web", "web"]
        ends = [await bench.stop(2), await bench.stop(1)]
        return one["kind"], ends

    kind, ends = with_services(body, cwd=str(tmp_path))
    assert kind == "compose"
    assert [end.outcome for end in ends] == ["passed", "passed"]
    assert all(b"base is here" in end.artifacts["log"] for end in ends)
    assert (left_in(place), alive("podium-")) == ([], [])


def test_one_service_of_a_compose_file_is_started_with_what_it_depends_on(engine, tmp_path):  # noqa: F811
    async def body(bench):
        bench.start(1, **stack(tmp_path, compose_service="web", ports={"web": 80}, health={"container": True}))
        await bench.ready(1)
        found = names(engine)
        await bench.stop(1, force=True)
        return found

    assert with_services(body, cwd=str(tmp_path)) == ["base", "web"]


@pytest.mark.usefixtures("engine")
def test_a_compose_file_is_up_when_its_containers_are_healthy(tmp_path):
    text = f"""
version: "3.7"
services:
  checked:
    image: {IMAGE}
    command: sh -c "sleep 1; touch /tmp/up; exec sleep 600"
    healthcheck: {{test: ["CMD", "test", "-e", "/tmp/up"], interval: 1s}}
"""

    async def body(bench):
        bench.start(1, **stack(tmp_path, text))
        told = await bench.message(1, "not up yet")
        await bench.ready(1)
        await bench.stop(1, force=True)
        return told

    told = with_services(body, cwd=str(tmp_path))
    assert told == "not up yet: container `checked`: its health check says `starting`"


def test_a_port_of_the_host_can_be_given_to_a_compose_file(engine, tmp_path):  # noqa: F811
    text = STACK.replace("127.0.0.1::80", "127.0.0.1:$PORT:80")

    async def body(bench):
        given = {"env": {"PORT": "${port.web}"}, "ports": {"web": 0}, "health": {"tcp": "127.0.0.1:${port}"}}
        bench.start(1, **stack(tmp_path, text, **given))
        port = (await bench.ready(1))["ports"]["web"]
        assert listens(port)
        return await bench.stop(1, force=True)

    assert with_services(body, cwd=str(tmp_path)).outcome == "passed"


def test_a_container_of_a_compose_file_that_dies_is_named(engine, tmp_path):  # noqa: F811
    async def body(bench):
        bench.start(1, **stack(tmp_path))
        await bench.ready(1)
        engine("kill", *engine("ps", "--quiet", "--filter", "label=com.docker.compose.service=base"))
        return await bench.end(1)

    end = with_services(body, cwd=str(tmp_path))
    assert failure(end) == ("errored", "ServiceDied", "service `stack` died: container `base` killed by SIGKILL")


def test_a_container_of_a_compose_file_that_only_prepares_something_is_not_missed(engine, tmp_path):  # noqa: F811
    text = STACK.replace("exec sleep 600", "exit 0")

    async def body(bench):
        bench.start(1, **stack(tmp_path, text))
        await bench.ready(1)
        assert names(engine) == ["other", "web"]
        return await bench.stop(1, force=True)

    assert with_services(body, cwd=str(tmp_path)).outcome == "passed"


def test_a_compose_file_all_of_whose_containers_have_ended_is_not_up(engine, tmp_path):  # noqa: F811
    text = f"services: {{one: {{image: {IMAGE}, command: 'true'}}}}"
    end = end_of_stack(tmp_path, text, health={"command": ["false"]})
    assert failure(end)[1:] == ("ServiceNotUp", "service `stack` ended before it was up: all its containers have ended")


def end_of_stack(tmp_path, text, **more):
    async def body(bench):
        bench.start(1, **stack(tmp_path, text, **more))
        return await bench.end(1)

    return with_services(body, cwd=str(tmp_path))


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("services: [", {}, "Compose cannot start service `stack`: "),
        ("services: {a: {image: '127.0.0.1:9/no/such'}}", {}, "Compose cannot start service `stack`: "),
        (STACK, {"ports": {"db": 5432}}, "port 5432 of service `stack` is not published by its Compose file"),
        (STACK, {"env": {"A": "${port}"}, "ports": {"web": 80}}, "there are: `${folder}`"),
        (STACK, {"compose_service": "nope"}, "Compose cannot start service `stack`: "),
        (STACK, {"compose": "nope.yaml"}, "nope.yaml of service `stack` not found"),
    ],
)
def test_what_compose_refuses_is_an_error_in_its_words(text, more, words, tmp_path, place):  # noqa: F811
    end = end_of_stack(tmp_path, text, **more)
    assert failure(end)[:2] == ("errored", "ServiceNotUp")
    assert words in end.failure.message
    assert left_in(place) == []


def test_stopped_while_compose_starts_nothing_is_left(engine, tmp_path, place):  # noqa: F811
    async def body(bench):
        bench.start(1, **stack(tmp_path))
        await bench.message(1, "starting containers")
        assert await asyncio.to_thread(until, engine.left)
        return await bench.stop(1)

    end = with_services(body, cwd=str(tmp_path))
    assert failure(end) == ("cancelled", "ServiceNotUp", "service `stack` is not up: it was not started yet")
    assert left_in(place) == []
