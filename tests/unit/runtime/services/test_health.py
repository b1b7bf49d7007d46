"""Whether a service is up."""

import asyncio
import contextlib
import socket
from contextlib import closing

import pytest

from podium.errors import EnvironmentProblemError
from podium.plan.services import Health
from podium.runtime.services import health
from podium.runtime.services.health import check_of, until_up


async def engine_says():
    return "its engine is asked"


def look(about, **more):
    return asyncio.run(check_of(about, look=engine_says, env={}, **more)())


def serve(handle, about, **more):
    """Return what a look at a server says that handles connections in this way."""

    async def main():
        handled = asyncio.Event()

        async def close_after(reader, writer):
            with contextlib.suppress(OSError):
                await handle(reader, writer)
            writer.transport.abort()
            handled.set()

        server = await asyncio.start_server(close_after, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        said = await check_of(about(port), look=engine_says, env={}, **more)()
        await handled.wait()
        server.close()
        await server.wait_closed()
        return said.replace(str(port), "PORT")

    return asyncio.run(main())


def tcp(port):
    return Health(tcp=f"127.0.0.1:{port}")


def http(port):
    return Health(http=f"http://127.0.0.1:{port}/up")


async def closes_at_once(_reader, _writer):
    pass


async def waits(reader, _writer):
    await reader.read()


async def greets(reader, writer):
    writer.write(b"220 ready\r\n")
    await reader.read()


def answers(status):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\nLocation: /\r\n\r\n".encode())
        await writer.drain()

    return handle


def test_a_port_that_accepts_a_connection_is_up():
    assert serve(waits, tcp) == ""
    assert serve(closes_at_once, tcp) == ""


@pytest.mark.parametrize(
    ("handle", "said"),
    [(waits, ""), (greets, ""), (closes_at_once, "connection closed at once at 127.0.0.1:PORT")],
)
def test_behind_something_that_accepts_in_its_place_the_connection_has_to_last(handle, said):
    assert serve(handle, tcp, is_proxied=True) == said


def test_a_port_nobody_listens_at_is_not_up():
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        assert look(tcp(port)) == f"connection refused at 127.0.0.1:{port}"
        assert look(http(port)).startswith(f"no connection for GET http://127.0.0.1:{port}/up: ")


@pytest.mark.parametrize(("status", "said"), [(200, ""), (204, ""), (302, ""), (399, ""), (400, 400), (503, 503)])
def test_a_status_below_400_is_up(status, said):
    said = said and f"GET http://127.0.0.1:PORT/up was answered with status {said}"
    assert serve(answers(status), http) == said


def test_what_is_no_http_is_not_up():
    assert serve(closes_at_once, http).startswith("GET http://127.0.0.1:PORT/up: ")


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert serve(answers(200), http) == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("true",), ""),
        (("false",), "`false` exited with code 1"),
        (("sh", "-c", "echo one; echo two >&2; echo; kill -9 $$"), "`sh` killed by SIGKILL: two"),
    ],
)
def test_a_command_that_exits_with_0_is_up(command, said):
    assert look(Health(command=command)) == said


def test_a_command_has_variables_and_a_folder(tmp_path):
    (tmp_path / "there").touch()
    command = Health(command=("sh", "-c", 'test -e there && test "$A" = b'))
    assert asyncio.run(check_of(command, look=engine_says, env={"A": "b"}, cwd=str(tmp_path))()) == ""


def test_the_container_engine_is_asked_if_that_is_wanted():
    assert look(Health(container=True)) == "its engine is asked"


def test_without_health_lasting_is_enough():
    assert look(None) == ""
    assert look(Health()) == ""
    assert look(None, is_proxied=True) == ""


@pytest.mark.parametrize("text", ["", "5432", ":5432", "host:", "host:x", "host:0", "host:65536", "host:-1", "host:٣"])
def test_what_is_no_address_is_refused(text):
    if not text:
        text = "host"
    with pytest.raises(EnvironmentProblemError, match="is not `host:port`") as caught:
        check_of(Health(tcp=text), look=engine_says, env={})
    assert caught.value.diagnostics[0].code == "E537"


def test_an_address_may_be_of_ip_6():
    assert health._address("[::1]:80") == ("::1", 80)
    assert health._address("localhost:65535") == ("localhost", 65535)


def test_a_host_that_is_not_known_is_not_up():
    assert look(Health(tcp="no-such-host.invalid:80")).startswith("host `no-such-host.invalid` not known: ")


@pytest.mark.parametrize(
    "about", [Health(http="no url"), Health(http="ftp://x/"), Health(command=("no-such-program",))]
)
def test_what_cannot_be_asked_is_refused(about):
    with pytest.raises(EnvironmentProblemError) as caught:
        look(about)
    assert caught.value.diagnostics[0].code == "E537"


def test_it_is_looked_until_nothing_is_wrong_and_only_changes_are_told():
    said = iter(["a", "a", "b", "b", "a", ""])
    told = []

    async def check():
        return next(said)

    asyncio.run(until_up(check, 0.0, told.append))
    assert told == ["a", "b", "a"]
    assert list(said) == []


def test_a_look_that_takes_too_long_is_given_up_and_tried_again(monkeypatch):
    monkeypatch.setattr(health, "_PATIENCE", 0.01)
    waits = iter([600, 600, 0])
    told = []

    async def check():
        await asyncio.sleep(next(waits))
        return ""

    asyncio.run(until_up(check, 0.0, told.append))
    assert told == ["no answer within 0.01 s"]
