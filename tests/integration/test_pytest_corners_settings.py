"""Suites of pytest: what a project's own settings ask for is done by forked workers, or by one process."""

import sys

import pytest
from tests.integration.pytest_bench import run
from tests.integration.test_pytest_plugins import MANY, with_xdist

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

SECOND_TIME = """
    from pathlib import Path
    def test_it(request):
        seen = request.config.rootpath / "seen"
        first = not seen.exists()
        seen.touch()
        assert not first
    """


@pytest.mark.parametrize("asked", ["-n2", "-n 2 --dist loadfile", "--tx 2*popen --dist load", "-d --tx popen"])
def test_workers_are_forked_though_the_settings_ask_for_xdist(tmp_path, asked):
    with_xdist()
    ran = run(tmp_path, {"pytest.ini": f"[pytest]\naddopts = {asked}\n", "test_it.py": MANY})
    assert ran.counts == {"passed": 39, "failed": 1}
    assert ran.output["runner"].endswith("2 forked workers")
    assert "pytest-xdist is not used: workers are forked instead" in ran.notes


def test_tests_are_tried_again_though_the_settings_ask_for_xdist(tmp_path):
    with_xdist()
    ran = run(tmp_path, {"pytest.ini": "[pytest]\naddopts = -n2\n", "test_it.py": SECOND_TIME}, retries=1)
    assert ran.one("test_it").attempts == 2
    assert ran.one("test_it").flaky


def test_tests_are_tried_again_without_forking_though_the_settings_ask_for_xdist(tmp_path):
    with_xdist()
    files = {"pytest.ini": "[pytest]\naddopts = -n2\n", "test_it.py": SECOND_TIME}
    ran = run(tmp_path, files, retries=1, fork=False)
    assert ran.one("test_it").attempts == 2
    assert "pytest-xdist is not used: it cannot do all that is asked for" in ran.notes


def test_xdist_runs_tests_when_this_run_asks_for_it(tmp_path):
    with_xdist()
    files = {"pytest.ini": "[pytest]\naddopts = -n1\n", "test_it.py": MANY}
    ran = run(tmp_path, files, args=("-n", "2"))
    assert ran.counts == {"passed": 39, "failed": 1}
    assert ran.output["runner"].endswith("pytest-xdist")


def test_groups_of_xdist_are_left_to_it(tmp_path):
    with_xdist()
    ran = run(tmp_path, {"pytest.ini": "[pytest]\naddopts = -n2 --dist loadgroup\n", "test_it.py": MANY})
    assert ran.output["runner"].endswith("pytest-xdist")


def test_settings_may_have_xdist_switched_off(tmp_path):
    ran = run(tmp_path, {"pytest.ini": "[pytest]\naddopts = -p no:xdist\n", "test_it.py": MANY})
    assert ran.counts == {"passed": 39, "failed": 1}
    assert "xdist" not in ran.notes


@pytest.mark.parametrize(
    ("option", "more", "fork"),
    [("--stepwise", "", True), ("--stepwise", " -n2", True), ("--stepwise", "", False), ("--sw-skip", "", True)],
)
def test_an_option_that_needs_one_process_has_one(tmp_path, option, more, fork):
    with_xdist()
    folder = tmp_path / "project"
    text = "def test_a(): assert 0\ndef test_b(): assert 0\ndef test_c(): assert 0"
    files = {"pytest.ini": f"[pytest]\naddopts = {option}{more}\ncache_dir = cache\n", "test_it.py": text}
    ran = run(folder, files, args=("-p", "cacheprovider", "-p", "stepwise"), fork=fork)
    expected = ["test_a", "test_b"] if option == "--sw-skip" else ["test_a"]
    assert list(ran.outcomes) == expected
    assert ran.output["runner"].endswith("one process")


def test_the_message_of_a_plugin_that_lets_pytest_fail_is_told(tmp_path):
    conftest = """
        def pytest_sessionfinish(session):
            session.exitstatus = 1
        def pytest_terminal_summary(terminalreporter):
            terminalreporter.write_line("FAIL Required test coverage of 90% not reached. Total coverage: 40.00%")
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": "def test_it(): pass"})
    assert ran.kind == ("failed", "ExitCode")
    expected = "FAIL Required test coverage of 90% not reached. Total coverage: 40.00%"
    assert ran.finished.failure.message == f"pytest exited with code 1, though no test failed: {expected}"


def test_the_last_line_is_told_when_pytest_fails_without_a_word(tmp_path):
    conftest = "def pytest_sessionfinish(session): session.exitstatus = 1"
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": "def test_it(): pass"})
    assert ran.kind == ("failed", "ExitCode")
    assert "though no test failed: 1 passed in" in ran.finished.failure.message


def test_coverage_that_is_too_low_is_told(tmp_path):
    pytest.importorskip("pytest_cov", reason="pytest-cov is not installed")
    files = {
        "pytest.ini": "[pytest]\naddopts = --cov=code_of_it --cov-fail-under=99\npythonpath = .\n",
        "code_of_it.py": "def no():\n    return 1\n\ndef yes():\n    return 2\n",
        "test_it.py": "import code_of_it\ndef test_it(): code_of_it.yes()",
    }
    ran = run(tmp_path, files)
    assert ran.kind == ("failed", "ExitCode")
    assert "Required test coverage of 99% not reached" in ran.finished.failure.message
