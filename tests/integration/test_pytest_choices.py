"""Suites of pytest: which tests are run, in which order, how often, and what that makes of the suite."""

import sys

import pytest
from tests.integration.pytest_bench import History, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

COUNTED = """
    import pathlib, pytest
    HERE = pathlib.Path(__file__).parent
    def count(name):
        with (HERE / name).open("a") as file: file.write("x")
        return len((HERE / name).read_text())
    """


def counted(*lines):
    return COUNTED + "\n".join(f"    {line}" for line in ("", *lines))


@pytest.mark.parametrize("fork", [True, False])
def test_a_test_that_passes_when_it_is_tried_again_is_flaky(tmp_path, fork):
    text = counted(
        "def test_good(): count('good')",
        "def test_flaky(): assert count('flaky') == 3",
        "def test_bad():",
        "    count('bad')",
        "    assert 0",
    )
    ran = run(tmp_path, {"test_it.py": text}, retries=2, fork=fork)
    assert ran.outcomes == {"test_good": "passed", "test_flaky": "passed", "test_bad": "failed"}
    assert (ran.one("test_flaky").flaky, ran.one("test_flaky").attempts) == (True, 3)
    assert (ran.one("test_bad").flaky, ran.one("test_bad").attempts) == (False, 3)
    assert (tmp_path / "good").read_text() == "x", "what passed is not run again"
    assert (tmp_path / "bad").read_text() == "xxx"
    assert ran.counts == {"passed": 2, "failed": 1, "flaky": 1}
    assert len(ran.all) == 3


def test_flaky_tests_count_as_the_suite_says(tmp_path):
    text = counted("def test_flaky(): assert count('flaky') % 2 == 0")
    assert run(tmp_path, {"test_it.py": text}, retries=1).kind == ("passed", None)
    assert run(tmp_path, {}, retries=1, flaky="failed").kind == ("failed", "TestsFailed")


def test_a_test_is_tried_again_in_a_fresh_worker(tmp_path):
    text = counted(
        "STATE = []",
        "def test_it():",
        "    STATE.append(1)",
        "    assert count('it') == 2 and STATE == [1]",
    )
    assert run(tmp_path, {"test_it.py": text}, retries=1).one("test_it").flaky


def test_a_crash_and_a_hang_are_tried_again(tmp_path):
    text = counted(
        "import os, time",
        "def test_crash(): count('crash') == 1 and os._exit(1)",
        "def test_hang(): count('hang') == 1 and time.sleep(1000)",
    )
    ran = run(tmp_path, {"test_it.py": text}, retries=1, timeout=1.0)
    assert ran.counts == {"passed": 2, "flaky": 2}


def test_the_suite_ends_after_so_many_failures(tmp_path):
    text = """
        import pytest, time
        @pytest.mark.parametrize("n", range(400))
        def test_it(n):
            time.sleep(0.02)
            assert n >= 3
        """
    ran = run(tmp_path, {"test_it.py": text}, max_failures=3, workers=1)
    assert ran.kind == ("failed", "TestsFailed")
    assert ran.counts["failed"] == 3
    assert ran.counts["left_out"] > 100
    assert ran.counts["not_run"] == ran.counts["left_out"] == 400 - ran.counts["passed"] - 3
    assert "ended early: 3 tests did not pass" in ran.notes


@pytest.mark.parametrize("fork", [True, False])
def test_maxfail_of_pytest_works(tmp_path, fork):
    text = """
        import pytest
        @pytest.mark.parametrize("n", range(100))
        def test_it(n): assert 0
        """
    ran = run(tmp_path, {"test_it.py": text}, args=("-x",), workers=1, fork=fork)
    assert ran.counts == {"failed": 1, "left_out": 99, "not_run": 99}
    assert ran.kind == ("failed", "TestsFailed")


def test_only_the_tests_that_are_named_are_run(tmp_path):
    text = """
        import pytest
        @pytest.mark.parametrize("n", ["a", "b[c]"])
        def test_it(n): pass
        def test_other(): assert 0
        """
    only = ("test_it.py::test_it[b[c]]", "test_it.py::test_gone")
    ran = run(tmp_path, {"test_it.py": text}, selection={"only": only})
    assert list(ran.results) == ["test_it.py::test_it[b[c]]"]
    assert ran.counts == {"passed": 1, "left_out": 2}
    assert "test_gone" in ran.notes


def test_shards_share_the_tests(tmp_path):
    text = """
        import pytest
        @pytest.mark.parametrize("n", range(30))
        def test_it(n): pass
        """
    files = {f"test_{name}.py": text for name in "abc"}
    shards = [run(tmp_path, files, selection={"shard": (number, 3)}) for number in (1, 2, 3)]
    names = [name for ran in shards for name in ran.results]
    assert len(names) == len(set(names)) == 90
    assert all(ran.results for ran in shards)


def test_tests_are_repeated(tmp_path):
    text = counted(
        "def test_good(): count('good')",
        "def test_sometimes(): assert count('sometimes') != 4",
    )
    ran = run(tmp_path, {"test_it.py": text}, selection={"repeat": 5})
    assert len(ran.all) == 2, "one result for each test"
    assert (tmp_path / "good").read_text() == "xxxxx"
    assert ran.one("test_good").outcome == "passed"
    assert ran.one("test_sometimes").outcome == "failed"
    assert ran.one("test_sometimes").message.startswith("failed in 1 of 5 repetitions")


@pytest.mark.parametrize("fork", [True, False])
def test_tests_are_repeated_until_one_fails(tmp_path, fork):
    text = counted("def test_sometimes(): assert count('sometimes') != 4")
    ran = run(tmp_path, {"test_it.py": text}, selection={"repeat": 100, "until_fail": True}, fork=fork)
    assert (tmp_path / "sometimes").read_text() == "xxxx"
    assert ran.one("test_sometimes").message.startswith("failed in 1 of 4 repetitions")
    assert ran.kind == ("failed", "TestsFailed")


def test_what_passed_in_an_earlier_attempt_is_not_run_again(tmp_path):
    text = counted("def test_good(): count('good')", "def test_new(): pass")
    passed = frozenset({"test_it.py::test_good", "test_it.py::test_gone"})
    ran = run(tmp_path, {"test_it.py": text, "test_other.py": "def test_bad(): assert 0"}, passed=passed)
    assert not (tmp_path / "good").exists()
    assert ran.outcomes == {"test_bad": "failed", "test_new": "passed"}
    assert ran.counts == {"passed": 2, "failed": 1}
    assert "1 test passed in an earlier attempt and was not run again" in ran.notes
    everything = passed | {"test_other.py::test_bad", "test_it.py::test_new"}
    again = run(tmp_path, {}, passed=everything)
    assert again.kind == ("passed", None)
    assert "3 tests passed in an earlier attempt and were not run again" in again.notes


def test_tests_in_quarantine_do_not_count_until_the_day_is_over(tmp_path):
    text = """
        import pytest
        @pytest.mark.parametrize("n", [1, 2])
        def test_known(n): assert n == 2
        def test_good(): pass
        """
    quarantine = [{"test": "*::test_known*", "until": "2030-05-01"}]
    ran = run(tmp_path, {"test_it.py": text}, {"today": lambda: "2030-05-01"}, quarantine=quarantine)
    assert ran.kind == ("passed", None)
    assert ran.counts == {"passed": 2, "failed": 1, "quarantined": 1}
    assert [result.quarantined for result in ran.all if result.outcome == "failed"] == [True]
    assert run(tmp_path, {}, {"today": lambda: "2030-05-02"}, quarantine=quarantine).kind[0] == "failed"


def test_modules_that_failed_last_time_come_first_then_the_longest(tmp_path):
    text = """
        import pathlib
        def test_it():
            with (pathlib.Path(__file__).parent / "order").open("a") as file: print(__name__, file=file)
        """
    history = History()
    for name, duration, outcome in [("a", 1, "passed"), ("b", 3, "passed"), ("c", 0.1, "failed"), ("d", 2, "passed")]:
        history.add(f"test_{name}.py::test_it", duration, outcome)
    files = {f"test_{name}.py": text for name in "abcde"}
    ran = run(tmp_path, files, {"history": history}, workers=1)
    assert ran.counts == {"passed": 5}
    order = (tmp_path / "order").read_text().split()
    assert order[:3] == ["test_c", "test_b", "test_d"]


def test_durations_are_measured(tmp_path):
    text = """
        import time, pytest
        @pytest.fixture
        def slow():
            time.sleep(0.1)
            yield
            time.sleep(0.1)
        def test_it(slow): time.sleep(0.1)
        """
    duration = run(tmp_path, {"test_it.py": text}).one("test_it").duration
    assert duration >= 0.3


@pytest.mark.parametrize("options", [{}, {"fork": False}, {"fork": False, "timeout": 60}])
def test_until_fail_ends_at_a_failure_that_a_retry_covers(tmp_path, options):
    text = counted("def test_it(): assert count('runs') != 2")
    selection = {"repeat": 100, "until_fail": True}
    ran = run(tmp_path, {"test_it.py": text}, retries=1, selection=selection, args=("-p", "no:xdist"), **options)
    assert (ran.kind, len((tmp_path / "runs").read_text())) == (("passed", None), 3)
    assert ran.one("test_it").message == "passed only when it was tried again in 1 of 2 repetitions"


COLLECTING = """
    import pytest

    class Case(pytest.Item):
        def runtest(self): assert self.text == "good"

    class File(pytest.File):
        def collect(self):
            for line in self.path.read_text().split():
                case = Case.from_parent(self, name="case")
                case.text = line
                yield case

    def pytest_collect_file(file_path, parent):
        if file_path.suffix == ".case": return File.from_parent(parent, path=file_path)
    """


def test_tests_with_the_same_id_each_have_a_result(tmp_path):
    ran = run(tmp_path, {"conftest.py": COLLECTING, "a.case": "bad good bad good"})
    assert ran.counts == {"passed": 2, "failed": 2}
    found = {result.id: result.outcome for result in ran.all}
    assert found == {
        "a.case::case": "failed",
        "a.case::case#2": "passed",
        "a.case::case#3": "failed",
        "a.case::case#4": "passed",
    }


def test_of_tests_that_are_repeated_none_is_left_out_because_it_passed_before(tmp_path):
    text = counted("def test_it(): assert count('runs') < 3")
    ran = run(tmp_path, {"test_it.py": text}, selection={"repeat": 4}, passed=frozenset({"test_it.py::test_it"}))
    assert ran.one("test_it").message.startswith("failed in 2 of 4 repetitions")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_relies_on_tests_that_passed_in_an_earlier_attempt_runs_after_them_again(tmp_path, workers):
    text = """
        SEEN = []
        def test_1(): SEEN.append(1)
        def test_2(): SEEN.append(2)
        def test_3(): assert SEEN == [1, 2]
        def test_4(): assert SEEN == [4]
        """
    passed = frozenset({"test_it.py::test_1", "test_it.py::test_2"})
    ran = run(tmp_path, {"test_it.py": text}, passed=passed, workers=workers)
    assert ran.outcomes == {"test_3": "passed", "test_4": "failed"}
    assert ran.counts == {"passed": 3, "failed": 1}
    assert "2 tests failed apart from those before in their module, and ran again after these" in ran.notes


def test_what_relies_on_tests_that_take_long_is_told(tmp_path):
    conftest = """
        import sys
        sys.modules["_podium_pytest_host.forked"]._CONFIRMING = 0.3
        """
    text = """
        import time
        SEEN = []
        def test_1(): SEEN.append(1)
        def test_2(): time.sleep(1)
        def test_3(): assert SEEN == [1]
        """
    files = {"test_it.py": text, "conftest.py": conftest}
    ran = run(tmp_path, files, passed=frozenset({"test_it.py::test_1"}))
    assert ran.outcomes == {"test_2": "passed", "test_3": "failed"}
    assert "1 test failed apart from those before in their module, which take long to run again" in ran.notes
