"""Suites of pytest that go wrong: tests that crash, hang, eat memory; projects that are broken."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.integration.pytest_bench import run, with_bench, write
from tests.processes import gone

from podium.executors.pytest_ahead import start_host

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("os._exit(7)", "exited with code 7"),
        ("os._exit(0)", "exited with code 0"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("os.closerange(3, 4096); assert 0", "its pipe for results was closed"),
    ],
)
def test_a_test_that_ends_its_worker_is_errored_and_the_rest_goes_on(tmp_path, how, said):
    text = f"""
        import os
        def test_before(): pass
        def test_crashes(): {how}
        def test_after(): pass
        def test_fails(): assert 0
        def test_last(): pass
        """
    ran = run(tmp_path, {"test_a.py": text, "test_b.py": "def test_it(): pass\n"})
    crashed = ran.results["test_a.py::test_crashes"]
    assert crashed.outcome == "errored"
    assert crashed.message.startswith("the worker crashed: ")
    assert said in crashed.message
    assert ran.outcomes == {
        "test_before": "passed",
        "test_crashes": "errored",
        "test_after": "passed",
        "test_fails": "failed",
        "test_last": "passed",
        "test_it": "passed",
    }
    assert len(ran.all) == 6
    if "SIGSEGV" in said:
        assert "test_crashes" in crashed.details, "the stack at the crash"


def test_tests_that_all_crash_come_to_an_end(tmp_path):
    text = """
        import os, pytest
        @pytest.mark.parametrize("n", range(12))
        def test_it(n): os._exit(1)
        """
    ran = run(tmp_path, {"test_it.py": text})
    assert ran.counts == {"errored": 12}
    assert ran.kind == ("errored", "TestsFailed")


@pytest.mark.parametrize("blocked", [False, True])
def test_a_test_that_hangs_is_ended_and_the_rest_goes_on(tmp_path, blocked):
    block = "signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))" if blocked else "pass"
    text = f"""
        import signal, subprocess, time
        def test_before(): pass
        def test_hangs():
            {block}
            subprocess.Popen(["sleep", "1000"], start_new_session=True)
            time.sleep(1000)
        def test_after(): pass
        """
    ran = run(tmp_path, {"test_it.py": text}, timeout=1.0)
    assert ran.outcomes == {"test_before": "passed", "test_hangs": "timed_out", "test_after": "passed"}
    hung = ran.one("test_hangs")
    assert hung.message == "it took longer than 1 s"
    assert hung.duration >= 1.0
    assert ran.kind == ("failed", "TestsFailed")
    if not blocked:
        assert "in test_hangs" in hung.details, "where it was"


def test_the_time_limit_is_for_one_test(tmp_path):
    text = """
        import pytest, time
        @pytest.mark.parametrize("n", range(8))
        def test_it(n): time.sleep(0.3)
        """
    assert run(tmp_path, {"test_it.py": text}, timeout=1.5).counts == {"passed": 8}


def test_what_goes_wrong_when_tests_are_chosen_is_not_put_down_to_pytest(tmp_path):
    class Broken:
        def tests(self, origin):
            raise ValueError("the history is broken")

    ran = run(tmp_path, {"test_it.py": "def test_it(): pass\n"}, {"history": Broken()})
    assert ran.kind == ("errored", "ValueError")
    assert ran.finished.failure.message == "could not look after the suite: the history is broken"


@pytest.mark.parametrize("words", [b"{\n", b'{"found": 1}\n', b"\xff\n"])
def test_what_nobody_understands_on_the_line_of_the_host_is_told(tmp_path, words):
    conftest = f"""
        import os, stat
        for number in range(3, 64):
            try:
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    os.write(number, {words!r})
            except OSError:
                pass
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": "def test_it(): pass\n"})
    assert ran.kind == ("errored", "Talk")
    assert ran.finished.failure.message.startswith("the host of pytest said something unexpected: ")


@pytest.mark.parametrize("what", ["podium.runtime.resource_watch.ResourceWatch.start", "asyncio.open_connection"])
def test_an_attempt_that_cannot_begin_closes_its_socket(tmp_path, monkeypatch, what):
    sockets = []

    def started(*arguments, **options):
        group, ours = start_host(*arguments, **options)
        sockets.append(ours)
        return group, ours

    def refuses(*_, **__):
        raise RuntimeError("no more threads")

    monkeypatch.setattr("podium.executors.pytest_run.start_host", started)
    monkeypatch.setattr(what, refuses)
    assert run(tmp_path, {"test_it.py": "def test_it(): pass\n"}).kind == ("errored", "RuntimeError")
    assert [one.fileno() for one in sockets] == [-1]


def test_a_test_that_eats_memory_fails_and_the_rest_goes_on(tmp_path):
    text = """
        def test_before(): pass
        def test_eats():
            held = []
            while True: held.append(bytearray(1 << 24))
        def test_after(): assert len(bytearray(1 << 20))
        """
    ran = run(tmp_path, {"test_it.py": text}, limits={"memory": 1 << 29})
    assert ran.outcomes["test_before"] == ran.outcomes["test_after"] == "passed"
    assert ran.one("test_eats").outcome in {"failed", "errored"}
    assert "MemoryError" in ran.one("test_eats").message


def test_a_session_fixture_that_fails_errors_what_needs_it(tmp_path):
    conftest = """
        import pytest
        @pytest.fixture(scope="session")
        def base(): raise ConnectionError("no database")
        """
    text = """
        import pytest
        @pytest.mark.parametrize("n", range(10))
        def test_needs(base, n): pass
        def test_does_not(): pass
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": text})
    assert ran.counts == {"errored": 10, "passed": 1}
    assert ran.kind == ("errored", "TestsFailed")
    assert "no database" in ran.one("test_needs[3]").message


@pytest.mark.parametrize("fork", [True, False])
def test_no_tests_never_pass(tmp_path, fork):
    for files, args in [({}, {}), ({"test_it.py": "def test_it(): pass"}, {"keyword": "other"})]:
        ran = run(tmp_path, files, fork=fork, **args)
        assert ran.kind == ("errored", "NoTests")
    assert run(tmp_path, {}, selection={"only": ["x"]}).kind == ("skipped", "NothingSelected")


def test_what_cannot_be_collected_is_errored_and_nothing_else_is_run(tmp_path):
    files = {"test_a.py": "import no_such_module\n", "test_b.py": "def test_it(): pass\n"}
    ran = run(tmp_path, files)
    assert {name: result.outcome for name, result in ran.results.items()} == {"test_a.py": "errored"}
    assert ran.kind == ("errored", "TestsFailed")
    assert "no_such_module" in ran.one("test_a.py").details
    ran = run(tmp_path, {}, args=("--continue-on-collection-errors",))
    assert {name: result.outcome for name, result in ran.results.items()} == {
        "test_a.py": "errored",
        "test_b.py::test_it": "passed",
    }


@pytest.mark.parametrize(
    ("files", "args", "kind", "said"),
    [
        ({"conftest.py": "import no_such_module"}, (), "UsageError", "no_such_module"),
        ({}, ("--no-such-option",), "UsageError", "no-such-option"),
        ({}, ("no_such_file.py",), "UsageError", "no_such_file.py"),
        ({"conftest.py": "def pytest_collection_finish(): 1 / 0"}, (), "InternalError", "ZeroDivisionError"),
        ({"conftest.py": "import os; os._exit(3)"}, (), "Crashed", "exited with code 3"),
        ({"conftest.py": "import os; os.kill(os.getpid(), 11)"}, (), "Crashed", "SIGSEGV"),
        ({"pytest.ini": "[pytest]\nminversion = 99\n"}, (), "UsageError", "99"),
    ],
)
def test_a_broken_project_is_errored_and_says_why(tmp_path, files, args, kind, said):
    ran = run(tmp_path, {"test_it.py": "def test_it(): pass", **files}, args=args)
    assert ran.kind == ("errored", kind)
    assert said in ran.finished.failure.message
    assert ran.all == []


def test_an_interpreter_without_pytest_is_said(tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    python.chmod(0o755)
    ran = run(tmp_path, {"test_it.py": "def test_it(): pass"}, python=str(python))
    assert ran.kind == ("errored", "NoPytest")
    assert f"pytest is not installed for {python}" in ran.finished.failure.message


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"python": "/no/such/python"}, "CannotStart"),
        ({"cwd": "no/such/folder"}, "CannotStart"),
        ({"workers": 0}, "CannotStart"),
        ({"workers": "two"}, "BadPayload"),
    ],
)
def test_what_cannot_be_started_is_said_at_once(tmp_path, payload, kind):
    assert run(tmp_path, {}, **payload).kind == ("errored", kind)


def test_pytest_exit_in_a_test_ends_the_suite(tmp_path):
    text = """
        import pytest
        def test_a(): pass
        def test_b(): pytest.exit("enough")
        def test_c(): pass
        """
    ran = run(tmp_path, {"test_it.py": text}, workers=1)
    assert ran.outcomes == {"test_a": "passed"}
    assert ran.kind == ("errored", "Interrupted")
    assert ran.counts["left_out"] == 2


def test_an_exit_code_without_a_failed_test_fails(tmp_path):
    conftest = "def pytest_sessionfinish(session): session.exitstatus = 9\n"
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": "def test_it(): pass\n"})
    assert ran.counts == {"passed": 1}
    assert ran.kind == ("failed", "ExitCode")


STOPPED = """
    import os, pathlib, pytest, time
    HERE = pathlib.Path(__file__).parent
    @pytest.fixture(scope="session")
    def kept():
        yield
        (HERE / f"torn-down-{os.getpid()}").touch()
    def test_first(kept): pass
    def test_long(kept):
        (HERE / f"pid-{os.getpid()}").touch()
        time.sleep(1000)
    def test_never(kept): pass
    """


@pytest.mark.parametrize("fork", [True, False])
def test_a_suite_that_is_stopped_tears_its_fixtures_down(tmp_path, fork):
    write(tmp_path, {"test_it.py": STOPPED})

    async def body(bench):
        bench.start(workers=1, fork=fork)
        while not list(tmp_path.glob("pid-*")):
            await until_next_look()
        bench.executor.stop(1, force=False)
        return await bench.finish()

    ran = with_bench(tmp_path, body)
    (pid,) = [int(path.name.partition("-")[2]) for path in tmp_path.glob("pid-*")]
    assert ran.kind == ("cancelled", "Cancelled")
    assert (tmp_path / f"torn-down-{pid}").exists()
    assert gone(pid)
    assert ran.outcomes == {"test_first": "passed"}
    assert ran.counts == {"passed": 1, "left_out": 2, "not_run": 2}
    assert ran.notes.endswith("`test_it.py::test_long` was broken off\n2 of 3 tests not run")


def test_a_suite_that_is_stopped_before_its_tests_are_known_says_so(tmp_path):
    text = """
        import pathlib, time
        (pathlib.Path(__file__).parent / "collecting").touch()
        time.sleep(1000)
        """
    write(tmp_path, {"test_it.py": text})

    async def body(bench):
        bench.start(workers=1)
        while not (tmp_path / "collecting").exists():
            await until_next_look()
        bench.executor.stop(1, force=False)
        return await bench.finish()

    ran = with_bench(tmp_path, body)
    assert (ran.counts, ran.notes) == ({}, "how many tests were not run is not known")


async def until_next_look():
    await asyncio.sleep(0.01)


def test_a_suite_that_is_killed_leaves_nothing(tmp_path):
    text = """
        import os, pathlib, signal, subprocess, time
        def test_it():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            here = pathlib.Path(__file__).parent
            (here / f"pid-{child.pid}").touch()
            (here / f"pid-{os.getpid()}").touch()
            time.sleep(1000)
        """
    write(tmp_path, {"test_it.py": text})

    async def body(bench):
        bench.start()
        while len(list(tmp_path.glob("pid-*"))) < 2:
            await until_next_look()
        bench.executor.stop(1, force=True)
        return await bench.finish()

    ran = with_bench(tmp_path, body)
    assert ran.kind == ("cancelled", "Cancelled")
    assert all(gone(int(path.name.partition("-")[2])) for path in tmp_path.glob("pid-*"))


def test_a_host_that_is_killed_leaves_no_worker(tmp_path):
    text = """
        import os, pathlib, time
        def test_it():
            (pathlib.Path(__file__).parent / f"pid-{os.getpid()}-{os.getppid()}").touch()
            time.sleep(1000)
        """
    write(tmp_path, {"test_it.py": text})

    async def body(bench):
        bench.start()
        while not list(tmp_path.glob("pid-*")):
            await until_next_look()
        (path,) = tmp_path.glob("pid-*")
        worker, host = map(int, path.name.split("-")[1:])
        os.kill(host, signal.SIGKILL)
        return worker, await bench.finish()

    worker, ran = with_bench(tmp_path, body)
    assert ran.kind == ("errored", "Crashed")
    assert "SIGKILL" in ran.finished.failure.message
    assert gone(worker)


def test_processes_that_tests_leave_behind_are_ended(tmp_path):
    text = """
        import os, pathlib, subprocess, pytest, time
        @pytest.mark.parametrize("session", [True, False])
        def test_starts(session):
            child = subprocess.Popen(["sleep", "1000"], start_new_session=session)
            (pathlib.Path(__file__).parent / f"pid-{child.pid}").touch()
        def test_forks():
            pid = os.fork()
            if pid == 0:
                time.sleep(1000)
            (pathlib.Path(__file__).parent / f"pid-{pid}").touch()
        def test_comes_back_from_a_fork(): os.fork()
        def test_after(): pass
        """
    ran = run(tmp_path, {"test_it.py": text})
    assert ran.counts == {"passed": 5}
    pids = [int(path.name.partition("-")[2]) for path in tmp_path.glob("pid-*")]
    assert len(pids) == 3
    assert all(map(gone, pids))


def test_descriptors_do_not_add_up(tmp_path):
    write(tmp_path, {"test_it.py": "def test_it(): pass"})

    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    run(tmp_path, {})
    before = descriptors()
    for _ in range(3):
        assert run(tmp_path, {}).kind == ("passed", None)
    assert descriptors() == before
