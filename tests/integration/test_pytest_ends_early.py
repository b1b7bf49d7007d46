"""Suites of pytest that end before everything has run: what is counted, what is tried again, what the host tells."""

import sys

import pytest
from tests.integration.pytest_bench import run
from tests.integration.test_pytest_corners_settings import SECOND_TIME
from tests.integration.test_pytest_plugins import with_xdist

from podium.executors import pytest_run
from podium.executors.pytest_outcome import HostEnd

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

FORKED = pytest.mark.parametrize("fork", [True, False])
IN_ONE_PROCESS = ("-p", "no:xdist")
FIVE = """
    import pytest
    @pytest.mark.parametrize("n", range(5))
    def test_it(n): assert n != 1
    """
LEAVES = """
    from pathlib import Path
    import pytest
    def test_one(): pass
    def test_leaves(request):
        seen = request.config.rootpath / "seen"
        if seen.exists(): pytest.exit("stop", returncode=0)
        seen.touch()
    """


class _End(HostEnd, frozen=True):
    broken_off: bool | None = None


class _Message(pytest_run._Message, frozen=True):
    end: _End | None = None


@pytest.fixture
def broken_off(monkeypatch):
    """What the host says at its end, once for each that there was."""
    said = []
    conclusion = pytest_run.conclusion

    def listen(suite, seen):
        said.append(seen.end.broken_off)
        return conclusion(suite, seen)

    monkeypatch.setattr(pytest_run, "_Message", _Message)
    monkeypatch.setattr(pytest_run, "conclusion", listen)
    return said


@FORKED
@pytest.mark.parametrize("setting", ["-x", "--maxfail=1"])
def test_tests_are_tried_again_though_the_settings_end_the_suite_at_the_first_failure(tmp_path, fork, setting):
    files = {"pytest.ini": f"[pytest]\naddopts = {setting}\n", "test_it.py": SECOND_TIME}
    ran = run(tmp_path, files, retries=2, fork=fork, args=IN_ONE_PROCESS)
    assert ran.kind == ("passed", None)
    assert (ran.one("test_it").attempts, ran.one("test_it").flaky) == (2, True)


@FORKED
def test_only_failures_that_are_final_count_for_the_limit_of_the_settings(tmp_path, fork, broken_off):
    files = {"pytest.ini": "[pytest]\naddopts = --maxfail=2\n", "test_it.py": f"{SECOND_TIME}\n    def test_bad(): 1/0"}
    ran = run(tmp_path, files, retries=1, fork=fork, args=IN_ONE_PROCESS)
    assert ran.outcomes == {"test_it": "passed", "test_bad": "failed"}
    assert ran.one("test_bad").attempts == 2
    assert broken_off == [False]


@FORKED
def test_the_limit_of_the_settings_holds_for_the_last_tries(tmp_path, fork, broken_off):
    text = "def test_one(): 1/0\ndef test_two(): 1/0\ndef test_three(): 1/0\n"
    files = {"pytest.ini": "[pytest]\naddopts = -x\n", "test_it.py": text}
    ran = run(tmp_path, files, retries=1, fork=fork, workers=1, args=IN_ONE_PROCESS)
    assert {name: ran.one(name).attempts for name in ran.outcomes} == {"test_one": 2, "test_two": 1, "test_three": 1}


@FORKED
@pytest.mark.parametrize("timeout", [None, 10.0])
def test_the_host_tells_that_repetitions_were_broken_off(tmp_path, fork, timeout, broken_off):
    settings = {"selection": {"repeat": 5}, "fork": fork, "timeout": timeout, "workers": 1, "args": IN_ONE_PROCESS}
    run(tmp_path, {"test_it.py": LEAVES}, **settings)
    run(tmp_path, {"test_it.py": "def test_it(): pass\n"}, **settings)
    assert broken_off == [True, False]


@FORKED
def test_repetitions_until_one_fails_are_not_broken_off_by_it(tmp_path, fork, broken_off):
    settings = {"selection": {"repeat": 5, "until_fail": True}, "fork": fork, "args": IN_ONE_PROCESS}
    run(tmp_path, {"test_it.py": FIVE}, **settings)
    assert broken_off == [False]


@FORKED
def test_the_host_tells_that_the_settings_ended_the_suite(tmp_path, fork, broken_off):
    files = {"pytest.ini": "[pytest]\naddopts = -x\n", "test_it.py": FIVE}
    run(tmp_path, files, fork=fork, workers=1, args=IN_ONE_PROCESS)
    run(tmp_path, {"test_it.py": "def test_good(): pass\ndef test_bad(): assert 0\n"}, fork=fork, workers=1)
    assert broken_off == [True, False]


def test_the_host_tells_that_the_settings_ended_what_xdist_runs(tmp_path, broken_off):
    with_xdist()
    many = FIVE.replace("range(5)", "range(200)")
    ran = run(tmp_path, {"pytest.ini": "[pytest]\naddopts = -x\n", "test_it.py": many}, fork=False)
    assert ran.output["runner"].endswith("pytest-xdist")
    run(tmp_path, {"pytest.ini": "", "test_it.py": FIVE}, fork=False)
    assert broken_off == [True, False]


def test_the_host_tells_that_a_test_made_xdist_leave_others_out(tmp_path, broken_off):
    with_xdist()
    text = f"{FIVE}\n    def test_leaves(): pytest.exit('stop', returncode=0)\n    def test_last(): pass"
    run(tmp_path, {"test_it.py": text}, fork=False)
    assert broken_off == [True]


@FORKED
def test_repeated_tests_end_at_the_first_final_failure(tmp_path, fork, broken_off):
    text = "import time\ndef test_it():\n    time.sleep(0.1)\n    assert 0\n"
    settings = {"retries": 1, "max_failures": 1, "selection": {"repeat": 40}}
    ran = run(tmp_path, {"test_it.py": text}, **settings, fork=fork, args=IN_ONE_PROCESS)
    times = int(ran.one("test_it").message.split()[4])
    assert 1 <= times < 20
    assert "ended early: 1 test did not pass" in ran.notes
    assert broken_off == [True]
