"""Suites of pytest that one process runs: a test that hangs or crashes costs no other its result."""

import asyncio
import os
import sys

import pytest
from tests.integration.pytest_bench import run, with_bench, write
from tests.processes import gone

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")

LIMIT = 1.0
HANGS = {
    "sleeps": "time.sleep(1000)",
    "receives": "a, b = socket.socketpair(); a.recv(1)",
    "waits_for_a_lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "swallows_what_is_raised": "deaf()",
    "blocks_signals": "signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals)); time.sleep(1000)",
    "holds_the_interpreter": "sum(itertools.repeat(0))",
    "is_stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
}


def in_one(tmp_path, files, **payload):
    """Run files in one process that is not forked after collection."""
    return run(tmp_path, files, fork=False, **{"timeout": LIMIT, **payload})


@pytest.mark.parametrize("how", HANGS)
def test_a_test_that_hangs_is_ended_and_the_rest_goes_on(tmp_path, how):
    text = f"""
        import itertools, os, signal, socket, threading, time
        def deaf():
            while True:
                try: time.sleep(1000)
                except BaseException: pass
        def test_before(): pass
        def test_fails(): assert 0
        def test_hangs():
            {HANGS[how]}
        def test_after(): pass
        """
    ran = in_one(tmp_path, {"test_a.py": text, "test_b.py": "def test_it(): pass\n"})
    assert ran.outcomes == {
        "test_before": "passed",
        "test_fails": "failed",
        "test_hangs": "timed_out",
        "test_after": "passed",
        "test_it": "passed",
    }
    assert len(ran.all) == 5
    hung = ran.one("test_hangs")
    assert hung.message == "it took longer than 1 s"
    assert hung.duration >= LIMIT
    assert hung.line == 9
    assert ran.kind == ("failed", "TestsFailed")
    if how not in {"blocks_signals", "is_stopped"}:
        assert "in test_hangs" in hung.details, "where it was"
    assert ran.output["runner"].endswith(", one process")
    assert "workers were not forked: it was asked for" in ran.notes
    assert "the process was replaced after 1 test that hung or crashed" in ran.notes


def test_without_a_test_that_hangs_one_process_runs_them_all(tmp_path):
    text = """
        import os, pathlib, pytest
        @pytest.mark.parametrize("n", range(300))
        def test_it(n): (pathlib.Path(__file__).parent / f"pid-{os.getpid()}").touch()
        """
    ran = in_one(tmp_path, {"test_it.py": text}, timeout=60.0)
    assert ran.kind == ("passed", None)
    assert ran.counts == {"passed": 300}
    assert len(list(tmp_path.glob("pid-*"))) == 1
    assert "replaced" not in ran.notes


def test_what_runs_in_threads_after_collection_has_its_limit_too(tmp_path):
    text = """
        import threading, time
        threading.Thread(target=threading.Event().wait, daemon=True, name="waits").start()
        def test_hangs(): time.sleep(1000)
        def test_after(): pass
        """
    ran = run(tmp_path, {"test_it.py": text}, timeout=LIMIT)
    assert ran.outcomes == {"test_hangs": "timed_out", "test_after": "passed"}
    assert "workers were not forked: threads were running after collection: waits" in ran.notes


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("ctypes.string_at(0)", "the process crashed: killed by SIGSEGV"),
        ("os._exit(0)", "the process crashed: exited with code 0"),
        ("os.closerange(3, 4096)", "the process crashed: exited with code 1"),
    ],
)
def test_a_test_that_ends_the_process_is_errored_and_the_rest_goes_on(tmp_path, how, said):
    text = f"""
        import ctypes, os
        def test_before(): pass
        def test_crashes(): {how}
        def test_after(): pass
        """
    ran = in_one(tmp_path, {"test_it.py": text})
    assert ran.outcomes == {"test_before": "passed", "test_crashes": "errored", "test_after": "passed"}
    assert ran.one("test_crashes").message == said
    if "SIGSEGV" in said:
        assert "in test_crashes" in ran.one("test_crashes").details


@pytest.mark.parametrize("last", ["time.sleep(1000)", "os._exit(3)"])
def test_when_the_last_test_is_the_one_nothing_is_begun_again(tmp_path, last):
    text = f"""
        import os, pathlib, time
        with (pathlib.Path(__file__).parent / "collected").open("a") as file: file.write(".")
        def test_first(): pass
        def test_last(): {last}
        """
    ran = in_one(tmp_path, {"test_it.py": text})
    assert (tmp_path / "collected").read_text() == "."
    assert ran.outcomes == {"test_first": "passed", "test_last": "timed_out" if "sleep" in last else "errored"}
    assert ran.kind[1] == "TestsFailed"
    assert ran.output["runner"] == f"pytest {pytest.__version__}, one process"
    assert "workers were not forked: it was asked for" in ran.notes
    assert "the process was replaced after 1 test" in ran.notes


def test_a_test_that_hung_is_tried_again_after_the_others(tmp_path):
    text = """
        import pathlib, time
        HERE = pathlib.Path(__file__).parent
        def note(name):
            with (HERE / "order").open("a") as file: file.write(name + " ")
        def test_a():
            note("a")
            if not (HERE / "again").exists():
                (HERE / "again").touch()
                time.sleep(1000)
        def test_b(): note("b"); assert 0
        def test_c(): note("c")
        """
    ran = in_one(tmp_path, {"test_it.py": text}, retries=1)
    assert ran.outcomes == {"test_a": "passed", "test_b": "failed", "test_c": "passed"}
    assert (ran.one("test_a").flaky, ran.one("test_a").attempts, ran.one("test_b").attempts) == (True, 2, 2)
    assert (tmp_path / "order").read_text().split() == ["a", "b", "c", "a", "b"]


def test_repetitions_go_on_where_they_were(tmp_path):
    text = """
        import pathlib, time
        HERE = pathlib.Path(__file__).parent
        def test_a():
            with (HERE / "turns").open("a") as file: file.write(".")
            if (HERE / "turns").read_text() == "..": time.sleep(1000)
        def test_b(): pass
        """
    ran = in_one(tmp_path, {"test_it.py": text}, selection={"repeat": 3})
    assert (tmp_path / "turns").read_text() == "..."
    assert ran.one("test_a").message == "failed in 1 of 3 repetitions: it took longer than 1 s"
    assert ran.outcomes == {"test_a": "timed_out", "test_b": "passed"}


def test_tests_that_are_collected_in_another_order_keep_their_results(tmp_path):
    conftest = """
        import pathlib
        def pytest_collection_modifyitems(items):
            if (pathlib.Path(__file__).parent / "turned").exists():
                items.reverse()
        """
    text = """
        import pathlib, time
        def test_a(): pass
        def test_b():
            (pathlib.Path(__file__).parent / "turned").touch()
            time.sleep(1000)
        def test_c(): assert 0
        def test_d(): pass
        """
    ran = in_one(tmp_path, {"conftest.py": conftest, "test_it.py": text})
    assert ran.outcomes == {"test_a": "passed", "test_b": "timed_out", "test_c": "failed", "test_d": "passed"}
    assert ran.one("test_c").line == 7


def test_tests_that_are_not_collected_again_are_said_not_to_have_run(tmp_path):
    text = """
        import os, pathlib, pytest, time
        @pytest.mark.parametrize("n", [os.getpid()])
        def test_other(n): pass
        def test_hangs(): time.sleep(1000)
        def test_last(): pass
        @pytest.mark.parametrize("n", [os.getpid()])
        def test_another(n): pass
        """
    ran = in_one(tmp_path, {"test_it.py": text}, criteria={"max_failures": 1, "min_pass_rate": 0.0})
    assert {name.partition("[")[0]: outcome for name, outcome in ran.outcomes.items()} == {
        "test_other": "passed",
        "test_hangs": "timed_out",
        "test_last": "passed",
    }
    assert ran.kind == ("errored", "Incomplete")
    assert ran.finished.failure.message == "1 of 4 tests were not run"


def test_the_first_failure_ends_the_suite_also_if_it_is_a_hang(tmp_path):
    text = """
        import pathlib, pytest, time
        def test_hangs(): time.sleep(1000)
        @pytest.mark.parametrize("n", range(3))
        def test_slow(n): time.sleep(0.9)
        """
    ran = in_one(tmp_path, {"test_it.py": text}, max_failures=1)
    assert ran.outcomes["test_hangs"] == "timed_out"
    assert ran.counts["left_out"] >= 2
    assert "ended early" in ran.notes


def test_what_a_test_that_hung_has_started_is_ended_before_the_rest_runs(tmp_path):
    text = """
        import os, pathlib, subprocess, time
        HERE = pathlib.Path(__file__).parent
        def test_hangs():
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            (HERE / f"pid-{child.pid}").touch()
            child.wait()
        def test_after():
            (path,) = HERE.glob("pid-*")
            pid = int(path.name.partition("-")[2])
            try:
                state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                return
            assert state == "Z"
        """
    ran = in_one(tmp_path, {"test_it.py": text})
    assert ran.outcomes == {"test_hangs": "timed_out", "test_after": "passed"}


def test_a_child_that_comes_back_from_a_fork_runs_nothing(tmp_path):
    text = """
        import os, pathlib
        def test_forks(): os.fork()
        def test_after(): (pathlib.Path(__file__).parent / f"pid-{os.getpid()}").touch()
        """
    for payload in ({"timeout": 30.0}, {"timeout": None, "workers": 1}):
        ran = in_one(tmp_path, {"test_it.py": text}, **payload)
        assert ran.counts == {"passed": 2}
        (path,) = tmp_path.glob("pid-*")
        path.unlink()


def test_a_crash_outside_of_tests_ends_the_suite(tmp_path):
    conftest = "import os, signal\ndef pytest_collection_finish(): os.kill(os.getpid(), signal.SIGSEGV)\n"
    ran = in_one(tmp_path, {"conftest.py": conftest, "test_it.py": "def test_it(): pass\n"})
    assert ran.kind == ("errored", "Crashed")
    assert "SIGSEGV" in ran.finished.failure.message


STOPPED = """
    import os, pathlib, pytest, time
    HERE = pathlib.Path(__file__).parent
    @pytest.fixture(scope="session")
    def kept():
        yield
        (HERE / f"torn-down-{os.getpid()}").touch()
    def test_first(kept): pass
    def test_long(kept):
        (HERE / f"pid-{os.getpid()}-{os.getppid()}").touch()
        time.sleep(1000)
    def test_never(kept): pass
    """


async def until_next_look():
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("force", [False, True])
def test_a_suite_that_is_stopped_leaves_nothing(tmp_path, force):
    write(tmp_path, {"test_it.py": STOPPED})

    async def body(bench):
        bench.start(fork=False, timeout=100.0)
        while not list(tmp_path.glob("pid-*")):
            await until_next_look()
        bench.executor.stop(1, force=force)
        return await bench.finish()

    ran = with_bench(tmp_path, body)
    (path,) = tmp_path.glob("pid-*")
    _, pid, parent = path.name.split("-")
    assert ran.kind == ("cancelled", "Cancelled")
    assert (tmp_path / f"torn-down-{pid}").exists() != force
    assert int(parent) != os.getpid()
    assert gone(int(pid))
    assert gone(int(parent))
    if not force:
        assert ran.outcomes == {"test_first": "passed"}
