"""Services that are processes, or running already: up, down, and what is said of those that are not up."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from tests.processes import gone
from tests.real_services import (
    Services,
    alive,
    end_of,
    left_in,
    listens,
    place,  # noqa: F401 (a fixture)
    postgres,
    postgres_service,
    program,
    python,
    with_services,
)

from podium.executors.service import ServiceExecutor
from podium.protocols import Attempt, Finished, Progressed, Ready, Work
from podium.runtime.services import leftovers

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX"),
    pytest.mark.usefixtures("place"),
]

SERVER = [sys.executable, "-m", "http.server", "${port}", "--bind", "127.0.0.1"]
WEB = {
    "name": "web",
    "argv": SERVER,
    "ports": {"http": 0},
    "exports": {"URL": "http://127.0.0.1:${port.http}/"},
    "health": {"http": "http://127.0.0.1:${port}/"},
}
WAITS = "import time; time.sleep(600)"


def content(path):
    return Path(path).read_text()


def failure(end):
    return end.outcome, end.failure.type, end.failure.message


def test_a_service_is_ready_when_it_answers_and_passes_when_it_is_stopped(place):  # noqa: F811
    async def body(bench):
        bench.start(1, **WEB)
        output = await bench.ready(1)
        port = output["ports"]["http"]
        assert output == {"kind": "process", "ports": {"http": port}, "env": {"URL": f"http://127.0.0.1:{port}/"}}
        assert listens(port)
        end = await bench.stop(1)
        assert not listens(port)
        assert [type(report) for report in bench.reports[1] if not isinstance(report, Progressed)] == [Ready, Finished]
        return output, end

    output, end = with_services(body)
    assert (end.outcome, end.output, end.failure) == ("passed", output, None)
    assert b'"GET / HTTP/1.1" 200' in end.artifacts["log"]
    assert left_in(place) == []


def test_postgresql_is_initialised_started_used_and_leaves_nothing(place):  # noqa: F811
    psql = f"{postgres()}/psql"

    async def body(bench):
        bench.start(1, **postgres_service())
        output = await bench.ready(1)
        query = [psql, output["env"]["DATABASE_URL"], "-Atc", "select 6 * 7"]
        asked = await asyncio.to_thread(subprocess.run, query, capture_output=True, text=True, check=True)
        assert alive(str(place))
        return asked.stdout, await bench.stop(1)

    answer, end = with_services(body)
    assert answer == "42\n"
    assert end.outcome == "passed"
    assert b"received fast shutdown request" in end.artifacts["log"]
    assert b"database system is shut down" in end.artifacts["log"]
    assert (alive(str(place)), left_in(place)) == ([], [])


@pytest.mark.parametrize("health", [{"tcp": "127.0.0.1:${port}"}, {"command": ["redis-cli", "-p", "${port}", "ping"]}])
def test_redis_is_used_by_an_exported_variable(health, place):  # noqa: F811
    program("redis-server")

    async def body(bench):
        argv = ["redis-server", "--port", "${port}", "--dir", "${folder}", "--unixsocket", "${folder}/redis.sock"]
        exports = {"SOCKET": "${folder}/redis.sock"}
        bench.start(1, name="cache", argv=argv, ports={"redis": 0}, exports=exports, health=health)
        output = await bench.ready(1)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(output["env"]["SOCKET"])
            connection.sendall(b"SET key value\r\nGET key\r\n")
            said = connection.makefile("rb")
            assert [said.readline() for _ in range(3)] == [b"+OK\r\n", b"$5\r\n", b"value\r\n"]
            said.close()
        return await bench.stop(1)

    assert with_services(body).outcome == "passed"
    assert left_in(place) == []


def test_three_services_at_once_have_ports_and_folders_of_their_own(place):  # noqa: F811
    async def body(bench):
        for token in (1, 2, 3):
            bench.start(token, **WEB | {"ports": {"http": 0, "more": 0}, "exports": {"FOLDER": "${folder}"}})
        outputs = [await bench.ready(token) for token in (1, 2, 3)]
        assert len(left_in(place)) == 6
        assert len({port for output in outputs for port in output["ports"].values()}) == 6
        assert len({output["env"]["FOLDER"] for output in outputs}) == 3
        return [(await bench.stop(token)).outcome for token in (1, 2, 3)]

    assert with_services(body) == ["passed"] * 3
    assert left_in(place) == []


def test_without_health_a_service_is_ready_once_it_has_lasted_a_moment():
    async def body(bench):
        bench.start(1, **python(WAITS))
        assert await bench.ready(1) == {"kind": "process", "ports": {}, "env": {}}
        return await bench.stop(1)

    assert with_services(body).outcome == "passed"
    assert failure(end_of(python("import sys; sys.exit(4)")))[1] == "ServiceNotUp"


def test_a_service_that_dies_at_start_says_how_and_ends_the_wait_at_once():
    code = "import sys; print('no such table', file=sys.stderr); sys.exit(1)"
    end = end_of(python(code, ports={"http": 0}, health={"tcp": "127.0.0.1:${port}", "interval": 600}))
    assert failure(end) == (
        "errored",
        "ServiceNotUp",
        "service `py` ended before it was up: exited with code 1",
    )
    assert end.failure.details.endswith("no such table\n")
    assert end.artifacts == {"log": b"no such table\n"}


def test_a_service_that_leaves_the_foreground_is_told_to_stay_there():
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    end = end_of(python(code, ports={"http": 0}, health={"tcp": "127.0.0.1:${port}"}))
    assert failure(end)[2].endswith("exited with code 0; a service has to stay in the foreground")


def test_a_service_that_dies_later_is_errored_with_its_exit():
    async def body(bench):
        code = "import os, pathlib, time\npathlib.Path('${folder}/pid').write_text(str(os.getpid()))\ntime.sleep(600)"
        ready = {"command": ["test", "-s", "${folder}/pid"]}
        bench.start(1, **python(code, name="db", exports={"FOLDER": "${folder}"}, health=ready))
        output = await bench.ready(1)
        os.kill(int(content(output["env"]["FOLDER"] + "/pid")), signal.SIGSEGV)
        return output, await bench.end(1)

    output, end = with_services(body)
    assert failure(end) == ("errored", "ServiceDied", "service `db` died: killed by SIGSEGV")
    assert end.output == output


@pytest.mark.parametrize(
    ("health", "words"),
    [
        ({"tcp": "127.0.0.1:${port}"}, r"connection refused at 127.0.0.1:\d+"),
        ({"tcp": "localhost:${port}"}, r"no connection at localhost:\d+: .*|connection refused at localhost:\d+"),
        ({"http": "http://127.0.0.1:${port}/up"}, r"no connection for GET http://127.0.0.1:\d+/up: .+"),
        ({"command": ["sh", "-c", "echo not yet; exit 3"]}, "`sh` exited with code 3: not yet"),
        ({"command": ["false"]}, "`false` exited with code 1"),
    ],
)
def test_stopped_before_it_is_up_a_service_says_what_its_health_said(health, words):
    async def body(bench):
        bench.start(1, **python(WAITS, name="slow", ports={"x": 0}, health=health))
        line = await bench.message(1, "not up yet")
        end = await bench.stop(1)
        assert not any(isinstance(report, Ready) for report in bench.reports[1])
        return line.removeprefix("not up yet: "), end

    said, end = with_services(body)
    assert re.fullmatch(words, said)
    assert failure(end) == ("cancelled", "ServiceNotUp", f"service `slow` is not up: {said}")
    assert end.failure.details == f"service `slow` is not up: {said}"


def test_an_error_status_is_not_up_and_another_is():
    code = """if True:
        import http.server, pathlib
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(302 if pathlib.Path('${folder}/warm').exists() else 503)
                self.end_headers()
                pathlib.Path('${folder}/warm').touch()
        http.server.HTTPServer(('127.0.0.1', ${port}), Handler).serve_forever()
    """

    async def body(bench):
        bench.start(1, **python(code, ports={"http": 0}, health=WEB["health"]))
        output = await bench.ready(1)
        lines = [report.message for report in bench.reports[1] if isinstance(report, Progressed)]
        url = f"http://127.0.0.1:{output['ports']['http']}/"
        return lines[-1] == f"not up yet: GET {url} was answered with status 503"

    assert with_services(body)


def test_a_service_that_ignores_being_asked_is_killed_by_force():
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {WAITS}"

    async def body(bench):
        ready = {"command": ["test", "-e", "${folder}/up"]}
        bench.start(1, **python(code.replace("print", "open('${folder}/up', 'w'); print"), health=ready))
        await bench.ready(1)
        bench.executor.stop(1, force=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bench.end(1), 0.3)
        return await bench.stop(1, force=True)

    end = with_services(body)
    assert (end.outcome, end.artifacts) == ("passed", {"log": b"deaf\n"})


def test_the_signal_a_service_ends_by_can_be_chosen():
    code = """if True:
        import signal, sys, time
        def note(number, frame):
            print(signal.Signals(number).name, flush=True)
            sys.exit(0)
        signal.signal(signal.SIGINT, note)
        signal.signal(signal.SIGTERM, note)
        open('${folder}/up', 'w').close()
        time.sleep(600)
    """

    async def body(bench):
        ready = {"command": ["test", "-e", "${folder}/up"]}
        bench.start(1, **python(code, stop_signal="SIGINT", health=ready))
        await bench.ready(1)
        return await bench.stop(1)

    assert with_services(body).artifacts == {"log": b"SIGINT\n"}


SCATTERS = f"""if True:
    import os, pathlib, subprocess, sys, time
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); {WAITS}"
    def begin(**how):
        child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, **how)
        child.stdout.readline()
        return str(child.pid)
    mark = [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{{fd}}")]
    mark = [fd for fd in mark if fd > 2 and os.readlink(f"/proc/self/fd/{{fd}}").endswith(".json")]
    bare = dict(env={{"PATH": os.environ["PATH"]}}, start_new_session=True, pass_fds=mark)
    pids = begin(), begin(start_new_session=True), begin(**bare)
    pathlib.Path("${{folder}}/new").write_text(" ".join(pids))
    os.rename("${{folder}}/new", "${{folder}}/pids")
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what an open file marks is found on Linux")
def test_daemons_a_service_leaves_are_dead_with_it_even_without_their_label():
    async def body(bench):
        ready = {"command": ["test", "-e", "${folder}/pids"]}
        bench.start(1, **python(SCATTERS, health=ready, exports={"PIDS": "${folder}/pids"}))
        pids = content((await bench.ready(1))["env"]["PIDS"]).split()
        assert (await bench.stop(1)).outcome == "passed"
        return [gone(pid) for pid in pids]

    assert with_services(body) == [True, True, True]


@pytest.mark.skipif(sys.platform != "linux", reason="what an open file marks is found on Linux")
def test_a_daemon_that_overwrites_its_environment_dies_with_its_service(place):  # noqa: F811
    """Redis shows its state where its environment was, and has left the session."""
    program("redis-server")
    line = "redis-server --port ${port} --daemonize yes --dir ${folder}; exec sleep 600"

    async def body(bench):
        bench.start(1, name="d", argv=["sh", "-c", line], ports={"r": 0}, health={"tcp": "127.0.0.1:${port}"})
        port = (await bench.ready(1))["ports"]["r"]
        end = await bench.stop(1)
        return end.outcome, listens(port)

    assert with_services(body) == ("passed", False)
    assert left_in(place) == []


def test_what_a_service_writes_is_kept_in_whole_lines():
    code = """if True:
        import sys
        for _ in range(3000):
            print("o" * 50, flush=True)
            print("e" * 50, file=sys.stderr)
        sys.exit(2)
    """
    log = end_of(python(code)).artifacts["log"]
    assert sorted(set(log.split(b"\n"))) == [b"", b"e" * 50, b"o" * 50]
    assert log.count(b"\n") == 6000


def test_a_port_is_held_until_its_service_starts_and_not_given_again_soon():
    async def body(bench):
        seen = set()
        for token in range(20):
            bench.start(token, **python(WAITS, ports={"a": 0, "b": 0}))
            seen |= set((await bench.ready(token))["ports"].values())
            await bench.stop(token, force=True)
        return len(seen)

    assert with_services(body) == 40


def test_paths_begin_at_the_folder_of_the_executor(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "ok").touch()

    async def body(bench):
        bench.start(1, name="x", argv=["sh", "-c", "test -e ok && exec sleep 600"], cwd="below")
        await bench.ready(1)
        return (await bench.stop(1)).outcome

    assert with_services(body, cwd=str(tmp_path)) == "passed"


def test_a_service_knows_its_variables_and_those_of_the_attempt():
    code = "import os; print(os.environ['A'], os.environ['PODIUM_RUN'], os.environ['PODIUM_STEP']); raise SystemExit(1)"
    end = end_of(python(code, env={"A": "${port.x}"}, ports={"x": 0}))
    port, run, step = end.artifacts["log"].split()
    assert port.isdigit()
    assert (run, step) == (b"run-id", b"service1")


def test_a_health_command_has_the_variables_and_the_folder_of_its_service(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "there").touch()
    health = {"command": ["sh", "-c", 'test -e there && test "$A" = ${port} && test "$B" = x']}

    async def body(bench):
        given = {"env": {"A": "${port}"}, "exports": {"B": "x"}, "ports": {"p": 0}, "cwd": "below"}
        bench.start(1, **python(WAITS, health=health, **given))
        return await bench.ready(1)

    assert with_services(body, cwd=str(tmp_path))["env"] == {"B": "x"}


def test_a_service_that_needs_more_memory_than_it_may_use_dies():
    if sys.platform != "linux":
        pytest.skip("the address space is limited on Linux")
    code = "import time; time.sleep(0.3); x = bytearray(1 << 30)"
    end = end_of(python(code, memory=1 << 29, health={"command": ["false"]}))
    assert failure(end)[1] == "ServiceNotUp"
    assert "MemoryError" in end.failure.details


@pytest.mark.parametrize(
    ("payload", "code", "words"),
    [
        ({"argv": ["no-such-program"]}, "E533", "cannot start 'no-such-program': No such file or directory"),
        ({"argv": ["true"], "cwd": "/no/such"}, "E533", "cannot start 'true' in '/no/such': No such file or directory"),
        ({"argv": ["a\0b"]}, "E533", "null byte"),
        (
            {"argv": ["echo", "${nope}"], "ports": {"a": 0}},
            "E534",
            "unknown placeholder `${nope}` in `command` of service `s`; there are: `${port}`, `${port.a}`, `${folder}`",
        ),
        ({"argv": ["sleep", "9"], "exports": {"A": "${port}"}}, "E534", "there are: `${folder}`"),
        ({"exports": {"A": "${folder}"}}, "E534", "there are: none"),
        ({"argv": ["sleep", "9"], "health": {"tcp": "nowhere"}}, "E537", "`tcp: nowhere` is not `host:port`"),
        ({"argv": ["sleep", "9"], "health": {"http": "ftp://x"}}, "E537", "`http: ftp://x` cannot be asked"),
        ({"argv": ["sleep", "9"], "health": {"command": ["no-such"]}}, "E537", "health command 'no-such'"),
        ({"argv": ["sleep", "9"], "health": {"container": True}}, "E537", "is no container"),
        ({"health": {"container": True}}, "E537", "is no container"),
        ({"argv": ["sleep", "9"], "stop_signal": "SIGNOPE"}, "E538", "`SIGNOPE`, which is no signal"),
    ],
)
def test_what_cannot_be_is_an_error_with_a_code(payload, code, words, place):  # noqa: F811
    end = end_of({"name": "s", **payload})
    assert failure(end)[:2] == ("errored", "ServiceNotUp")
    assert words in end.failure.message
    assert end.failure.details.startswith(f"error[{code}]: ")
    assert left_in(place) == []


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"name": "x", "argv": "sh"},
        {"name": "x", "argv": ["a"], "image": "b"},
        {"name": "x", "ports": {"a": 65536}},
    ],
)
def test_a_wrong_payload_is_errored(payload):
    async def body(bench):
        ends = []
        bench.executor.start(Attempt("r", "s", 1, 1, Work("service", payload), "k"), lambda _, end: ends.append(end))
        return ends

    (end,) = with_services(body)
    assert (end.outcome, end.failure.type) == ("errored", "BadPayload")


def test_a_folder_for_services_that_somebody_else_made_is_refused(place):  # noqa: F811
    (place / "elsewhere").mkdir()
    (place / f"podium-{os.getuid()}").symlink_to(place / "elsewhere")
    end = end_of(python(WAITS))
    assert end.failure.details.startswith("error[E535]: ")


def test_what_is_running_already_is_looked_at_and_left_alone():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        service = {
            "name": "there",
            "ports": {"db": port},
            "exports": {"URL": "db://127.0.0.1:${port.db}"},
            "health": {"tcp": "127.0.0.1:${port}"},
        }

        async def body(bench):
            bench.start(1, **service)
            output = await bench.ready(1)
            return output, await bench.stop(1)

        output, end = with_services(body)
        assert output == {"kind": "running", "ports": {"db": port}, "env": {"URL": f"db://127.0.0.1:{port}"}}
        assert (end.outcome, end.artifacts) == ("passed", {})
        assert listens(port)


def test_what_should_be_running_already_is_waited_for():
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]

        async def body(bench):
            bench.start(1, name="late", health={"tcp": f"127.0.0.1:{port}", "interval": 0.01})
            await bench.message(1, f"connection refused at 127.0.0.1:{port}")
            server.listen()
            return await bench.ready(1)

        assert with_services(body) == {"kind": "running", "ports": {}, "env": {}}


def test_a_health_check_that_does_not_come_back_is_given_up(monkeypatch):
    monkeypatch.setattr("podium.runtime.services.health._PATIENCE", 0.1)

    async def body(bench):
        bench.start(1, **python(WAITS, health={"command": ["sleep", "617"]}))
        assert await bench.message(1, "not up yet") == "not up yet: no answer within 0.1 s"
        await bench.stop(1)

    with_services(body)
    assert alive("617") == []


def test_closing_the_executor_leaves_nothing_and_reports_nothing(place):  # noqa: F811
    async def body(bench):
        bench.start(1, **python(f"import signal; signal.signal(15, signal.SIG_IGN); {WAITS} # {place}"))
        bench.start(2, **python(f"{WAITS} # {place}", health={"command": ["sleep", "618"]}))
        await bench.ready(1)
        await bench.executor.close()
        bench.start(3, **WEB)
        assert (await bench.end(3)).failure.type == "CannotStart"
        return [type(report) for token in (1, 2) for report in bench.reports[token]]

    assert with_services(body) == [Ready]
    assert (alive(str(place)), alive("618"), left_in(place)) == ([], [], [])


def test_a_cancelled_loop_leaves_nothing(place):  # noqa: F811
    async def main():
        bench = Services(ServiceExecutor())
        bench.start(1, **python(f"{WAITS} # {place}"))
        bench.start(2, **python(f"{WAITS} # {place}", health={"command": ["false"]}))
        await bench.ready(1)
        await bench.message(2, "not up yet")
        assert len(alive(str(place))) == 2

    asyncio.run(main())
    assert (alive(str(place)), left_in(place)) == ([], [])


def test_without_pidfd_a_thread_notices_the_end(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert failure(end_of(python("raise SystemExit(3)")))[1] == "ServiceNotUp"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
def test_after_many_services_there_is_no_zombie_no_thread_and_no_open_descriptor():
    def descriptors():
        return sorted(path.name for path in Path("/proc/self/fd").iterdir())

    async def body(bench):
        async def some(first, count):
            for token in range(first, first + count):
                code = "raise SystemExit(1)" if token % 3 == 0 else WAITS
                health = {"command": ["true"]} if token % 2 else {"tcp": "127.0.0.1:${port}"}
                bench.start(token, **python(code, ports={"x": 0}, health=health))
                bench.executor.stop(token, force=token % 5 == 0)
                await bench.end(token)

        await some(0, 4)
        before = descriptors()
        await some(10, 30)
        assert descriptors() == before
        assert [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE] == []
        assert not [thread for thread in threading.enumerate() if thread.name == "service exit"]

    with_services(body)


def test_what_cannot_be_removed_is_said_with_what_went_before(monkeypatch):
    release = leftovers.Claim.release
    monkeypatch.setattr(leftovers.Claim, "release", lambda claim, **how: release(claim, **how) and False)
    end = end_of(python("raise SystemExit(3)", health={"command": ["false"]}))
    assert failure(end) == ("errored", "LeftBehind", "something of service `py` could not be removed")
    assert "ServiceNotUp: service `py` ended before it was up: exited with code 3" in end.failure.details


def test_an_attempt_has_an_end_and_leaves_nothing_whatever_happens(monkeypatch, place):  # noqa: F811
    def fails(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr("podium.executors.service.check_of", fails)
    end = end_of(python(f"{WAITS} # {place}"))
    assert failure(end) == ("errored", "RuntimeError", "could not look after the service: broken")
    assert (alive(str(place)), left_in(place)) == ([], [])


def test_stopping_what_is_not_under_way_does_nothing():
    async def body(bench):
        bench.executor.stop(77, force=True)
        bench.start(1, **python(WAITS))
        await bench.stop(1)
        bench.executor.stop(1, force=True)
        return len([report for report in bench.reports[1] if isinstance(report, Finished)])

    assert with_services(body) == 1


def test_a_service_without_a_folder_for_temporary_files_is_refused(place):  # noqa: F811
    shutil.rmtree(place)
    try:
        place.write_text("in the way")
        end = end_of(python(WAITS))
        text = "no temporary file for what service `py` writes: Not a directory"
        assert failure(end) == ("errored", "CannotStart", text)
    finally:
        place.unlink()
        place.mkdir()


def test_the_time_a_service_needs_to_end_does_not_hold_up_another():
    async def body(bench):
        deaf = f"import signal; signal.signal(15, signal.SIG_IGN); open('${{folder}}/up', 'w'); {WAITS}"
        bench.start(1, **python(deaf, health={"command": ["test", "-e", "${folder}/up"]}))
        await bench.ready(1)
        bench.executor.stop(1, force=False)
        bench.start(2, **python(WAITS))
        await bench.ready(2)
        assert (await bench.stop(2)).outcome == "passed"
        assert not any(isinstance(report, Finished) for report in bench.reports[1])
        await bench.stop(1, force=True)

    began = time.monotonic()
    with_services(body)
    assert time.monotonic() - began < 30
