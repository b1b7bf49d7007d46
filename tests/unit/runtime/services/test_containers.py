"""What is said about containers, and how they are asked for."""

import asyncio
import os

import pytest

from podium.errors import EnvironmentProblemError
from podium.runtime.services.container import describe_end, health_words, slug, why
from podium.runtime.services.docker import Docker, versions


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"ExitCode": 0}, "exited with code 0"),
        ({"ExitCode": 3}, "exited with code 3"),
        ({"ExitCode": 137}, "killed by SIGKILL"),
        ({"ExitCode": 143}, "killed by SIGTERM"),
        ({"ExitCode": 255}, "killed by signal 127"),
        ({"ExitCode": 127, "Error": "exec: not found"}, "exec: not found"),
        ({"ExitCode": 137, "OOMKilled": True}, "killed as it needed more memory than it may use, 64 bytes"),
    ],
)
def test_how_a_container_ended_is_said_in_words(state, words):
    assert describe_end(state, 64) == words


def test_without_a_limit_of_its_own_a_container_may_still_need_too_much():
    assert describe_end({"OOMKilled": True}) == "killed as it needed more memory than it may use"


@pytest.mark.parametrize(
    ("health", "words"),
    [
        ({"Status": "healthy", "Log": [{"Output": "fine"}]}, ""),
        ({"Status": "starting"}, "its health check says `starting`"),
        ({"Status": "starting", "Log": []}, "its health check says `starting`"),
        (
            {"Status": "unhealthy", "Log": [{"Output": "first"}, {"Output": " no\n table "}]},
            "its health check says `unhealthy`: no table",
        ),
        ({"Status": "unhealthy", "Log": [{"Output": "x" * 999}]}, f"its health check says `unhealthy`: {'x' * 200}"),
    ],
)
def test_what_a_health_check_says_is_said_in_one_line(health, words):
    assert health_words({"Health": health}) == words


@pytest.mark.parametrize(
    ("name", "text"),
    [("db", "db"), ("Web Server!", "web-server"), ("ä/ö", "service"), ("", "service"), ("x" * 99, "x" * 32)],
)
def test_names_become_names_of_containers(name, text):
    assert slug(name) == text


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", "it does not say why"),
        ("one\ntwo\n", "one"),
        ("Creating x ... error\n\nERROR: for x  no such image\n", "ERROR: for x  no such image"),
        ("warning\nError response from daemon: no\nsee help\n", "Error response from daemon: no"),
    ],
)
def test_the_reason_is_found_in_what_docker_says(output, line):
    assert why(output) == line


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Makes programs that answer as they are told, and nothing else is found."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(name, script):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return make


def code_of(coroutine):
    with pytest.raises(EnvironmentProblemError) as caught:
        asyncio.run(coroutine)
    return caught.value.diagnostics[0].code


def test_the_plugin_is_preferred_to_the_old_program(programs):
    programs("docker-compose", "echo 1.29")
    programs("docker", "exit 1")
    assert asyncio.run(Docker().compose()) == ("docker-compose",)
    programs("docker", 'test "$1 $2" = "compose version"')
    assert asyncio.run(Docker().compose()) == ("docker", "compose")


def test_without_either_there_is_no_compose(programs):
    assert code_of(Docker().compose()) == "E531"
    programs("docker", "exit 1")
    assert code_of(Docker().compose()) == "E531"


@pytest.mark.parametrize(
    "said",
    [
        "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
        "Got permission denied while trying to connect to the Docker daemon socket",
        "error during connect: Get http://x: no such host",
    ],
)
def test_an_engine_that_is_not_reached_is_told_from_one_that_refuses(programs, said):
    programs("docker", f"echo '{said}' >&2; exit 1")
    assert code_of(Docker().run("ps")) == "E530"
    programs("docker", "echo 'no such thing' >&2; exit 2")
    answer = asyncio.run(Docker().run("ps"))
    assert (answer.code, answer.last_line) == (2, "no such thing")


def test_without_docker_there_is_no_engine(programs):
    del programs
    assert code_of(Docker().run("ps")) == "E530"


def test_versions_are_those_of_the_engine_and_of_compose(programs):
    programs("docker", 'test "$1" = version && echo 20.10')
    assert versions() == ("20.10", "neither `docker compose` nor `docker-compose` works")
    programs("docker-compose", "exit 0")
    assert versions() == ("20.10", "docker-compose")
    programs("docker", "echo broken; exit 1")
    with pytest.raises(EnvironmentProblemError, match="`docker version` failed: broken"):
        versions()


def test_containers_that_are_gone_are_left_out(programs):
    programs("docker", """echo '{"Name": "a"}'; echo 'Error: No such container: b' >&2; exit 1""")
    assert asyncio.run(Docker().inspect(["a", "b"])) == [{"Name": "a"}]


def test_what_must_not_be_interrupted_goes_on_when_its_caller_is_cancelled(programs, tmp_path):
    programs("docker", f"echo > {tmp_path}/begun; read line < {tmp_path}/go; echo done > {tmp_path}/done")
    os.mkfifo(tmp_path / "go")

    async def main():
        task = asyncio.create_task(Docker().run("create", whole=True))
        while not os.path.exists(tmp_path / "begun"):  # noqa: ASYNC110, ASYNC240, PTH110
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.to_thread((tmp_path / "go").write_text, "now\n")
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (tmp_path / "done").read_text() == "done\n"
