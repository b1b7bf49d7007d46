"""Suites of pytest: what single tests come to, and that it is what pytest itself says."""

import json
import os
import subprocess
import sys

import pytest
from tests.integration.pytest_bench import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

EVERYTHING = """
    import unittest, warnings
    import pytest

    def test_passes(): pass

    def test_fails():
        print("some output")
        left, right = [1, 2], [1, 3]
        assert left == right

    def test_raises(): raise OSError("gone")

    def test_skips(): pytest.skip("not today")

    @pytest.mark.skipif(True, reason="never")
    def test_skipped_by_mark(): pass

    @pytest.mark.xfail(reason="known")
    def test_xfails(): assert 0

    @pytest.mark.xfail(run=False, reason="too slow")
    def test_xfails_without_running(): assert 0

    @pytest.mark.xfail
    def test_xpasses(): pass

    @pytest.mark.xfail(strict=True, reason="it must fail")
    def test_xpasses_strictly(): pass

    @pytest.fixture
    def broken(): raise RuntimeError("no set-up")

    def test_cannot_be_set_up(broken): pass

    @pytest.fixture
    def broken_after():
        yield
        raise RuntimeError("no tear-down")

    def test_passes_and_cannot_be_torn_down(broken_after): pass

    def test_fails_and_cannot_be_torn_down(broken_after): assert 0

    @pytest.fixture
    def skipping(): pytest.skip("in set-up")

    def test_skipped_by_fixture(skipping): pass

    class TestOld(unittest.TestCase):
        def setUp(self): self.x = 1
        def test_passes(self): self.assertEqual(self.x, 1)
        def test_fails(self): self.assertEqual(self.x, 2)
        @unittest.skip("old")
        def test_skips(self): pass
        @unittest.expectedFailure
        def test_expected(self): self.fail()
        @unittest.expectedFailure
        def test_unexpected(self): pass

    def test_subtests(subtests):
        for number in range(3):
            with subtests.test("part", number=number):
                assert number != 1

    def test_good_subtests(subtests):
        with subtests.test("part"): pass

    @pytest.mark.parametrize("text", ["a/b", "a[b]", "a::b", "ü", "\\n", " "])
    def test_strange(text): assert text != "a[b]"

    def doctested():
        '''
        >>> 1 + 1
        3
        '''
"""

WANTED = {
    "test_passes": "passed",
    "test_fails": "failed",
    "test_raises": "failed",
    "test_skips": "skipped",
    "test_skipped_by_mark": "skipped",
    "test_xfails": "xfailed",
    "test_xfails_without_running": "xfailed",
    "test_xpasses": "xpassed",
    "test_xpasses_strictly": "failed",
    "test_cannot_be_set_up": "errored",
    "test_passes_and_cannot_be_torn_down": "errored",
    "test_fails_and_cannot_be_torn_down": "failed",
    "test_skipped_by_fixture": "skipped",
    "TestOld::test_passes": "passed",
    "TestOld::test_fails": "failed",
    "TestOld::test_skips": "skipped",
    "TestOld::test_expected": "xfailed",
    "TestOld::test_unexpected": "failed",
    "test_subtests": "failed",
    "test_good_subtests": "passed",
    "test_strange[a/b]": "passed",
    "test_strange[a[b]]": "failed",
    "test_strange[a::b]": "passed",
    "test_strange[\\xfc]": "passed",
    "test_strange[\\n]": "passed",
    "test_strange[ ]": "passed",
    "test_everything.doctested": "failed",
}


@pytest.mark.parametrize("fork", [True, False])
def test_every_way_a_test_can_end(tmp_path, fork):
    ran = run(tmp_path, {"test_everything.py": EVERYTHING}, args=("--doctest-modules",), fork=fork)
    assert ran.outcomes == WANTED
    assert ran.kind == ("failed", "TestsFailed")
    assert len(ran.all) == len(WANTED), "every test has one result"
    assert sum(ran.counts.values()) == ran.output["total"] == len(WANTED)
    assert ("2 forked workers" in ran.output["runner"]) is fork


def test_a_failure_is_told_as_pytest_prints_it(tmp_path):
    ran = run(tmp_path, {"test_everything.py": EVERYTHING})
    failed = ran.one("test_fails")
    assert failed.message.startswith("assert [1, 2] == [1, 3]") or failed.message.startswith("AssertionError")
    assert "At index 1 diff: 2 != 3" in failed.details
    assert "Captured stdout call" in failed.details
    assert "some output" in failed.details
    assert (failed.file, failed.line) == ("test_everything.py", 7)
    assert failed.worker in {1, 2}
    assert failed.finished_us > 0
    assert "[XPASS(strict)] it must fail" in ran.one("test_xpasses_strictly").message
    assert ran.one("test_skips").message == "not today"
    assert ran.one("test_xfails").message == "known"
    assert "no set-up" in ran.one("test_cannot_be_set_up").message
    assert "no tear-down" in ran.one("test_passes_and_cannot_be_torn_down").message
    assert "At index 1 diff: 2 != 3" in ran.stdout, "the parent shows failures"


def test_markers_are_known(tmp_path):
    text = """
        import pytest
        pytestmark = pytest.mark.slow
        @pytest.mark.smoke
        class TestIt:
            @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.one), 2])
            def test_it(self, n): assert n == 2
        """
    ini = {"pytest.ini": "[pytest]\nmarkers =\n  slow\n  smoke\n  one\n"}
    ran = run(tmp_path, {"test_it.py": text, **ini})
    assert ran.one("[1]").markers == ("one", "parametrize", "slow", "smoke")
    assert ran.one("[2]").markers == ("parametrize", "slow", "smoke")
    assert run(tmp_path, {}, criteria={"critical": ("one",), "max_failures": 9, "min_pass_rate": 0}).kind[0] == "failed"
    assert run(tmp_path, {}, criteria={"max_failures": 9, "min_pass_rate": 0}).kind[0] == "passed"


@pytest.mark.parametrize("fork", [True, False])
def test_words_that_make_no_test_critical_are_told(tmp_path, fork):
    text = "import pytest\n@pytest.mark.filterwarnings\ndef test_pay(): pass\ndef test_b(): assert 0\n"
    criteria = {"critical": ("zork", "filterwarnings", "test_pay"), "max_failures": 9, "min_pass_rate": 0}
    ran = run(tmp_path, {"test_it.py": text}, criteria=criteria, fork=fork)
    assert ran.output["uncritical"] == ["zork"]
    unselected = run(tmp_path, {}, criteria=criteria, selection={"only": ["test_it.py::test_b"]}, fork=fork)
    assert unselected.output["uncritical"] == ["zork"]
    broken = run(tmp_path, {"test_it.py": "import nothing_of_the_kind"}, criteria=criteria, fork=fork)
    assert "uncritical" not in broken.output


def test_failures_of_critical_tests_are_counted_for_others_to_know(tmp_path):
    text = "def test_pay(): assert 0\ndef test_b(): assert 0\n"
    assert run(tmp_path, {"test_it.py": text}, early_end={"critical": ("pay",)}).output["critical_failures"] == 1
    assert "critical_failures" not in run(tmp_path, {}, early_end={"critical": ("zork",)}).output


def test_warnings_are_counted_and_kept(tmp_path):
    text = """
        import warnings
        warnings.warn("from collection")
        def test_one(): warnings.warn("from a test")
        def test_two(): warnings.warn("from another test", FutureWarning)
        """
    ran = run(tmp_path, {"test_it.py": text})
    assert "3 warnings" in ran.notes
    kept = ran.finished.artifacts["warnings"].decode()
    assert "UserWarning: from collection" in kept
    assert "FutureWarning: from another test" in kept


def test_megabytes_of_output_are_cut_in_the_middle(tmp_path):
    text = """
        def test_it():
            print("begin" + "x" * 5_000_000)
            assert False, "the end"
        """
    ran = run(tmp_path, {"test_it.py": text})
    result = ran.one("test_it")
    assert 30_000 < len(result.details) < 34_000
    assert "characters left out" in result.details
    assert "the end" in result.message


def test_output_of_two_workers_is_not_mixed(tmp_path):
    text = """
        import pytest, sys
        @pytest.mark.parametrize("n", range(200))
        def test_it(n):
            print(f"<{n}>")
            print(f"[{n}]", file=sys.stderr)
            assert False
        """
    ran = run(tmp_path, {"test_a.py": text, "test_b.py": text})
    assert ran.counts == {"failed": 400}
    for result in ran.all:
        number = result.id.partition("[")[2].rstrip("]")
        assert result.details.count("Captured stdout call") == 1
        assert f"\n<{number}>" in result.details
        assert f"\n[{number}]" in result.details


def test_a_module_of_5000_tests_is_shared_by_the_workers(tmp_path):
    text = """
        import pytest
        @pytest.mark.parametrize("n", range(5000))
        def test_it(n): assert n != 4321
        """
    ran = run(tmp_path, {"test_it.py": text})
    assert ran.counts == {"passed": 4999, "failed": 1}
    assert {result.worker for result in ran.all} == {1, 2}
    assert ran.one("[4321]").outcome == "failed"


def test_fixtures_are_set_up_once_per_worker_and_torn_down(tmp_path):
    text = """
        import os, pytest, pathlib
        LOG = pathlib.Path(__file__).parent / "log"
        def log(*words):
            with LOG.open("a") as file: print(*words, os.getpid(), file=file)
        class TestOne:
            @pytest.fixture(scope="class", autouse=True)
            def of_class(self, of_module):
                log("class up", __name__); yield; log("class down", __name__)
            @pytest.mark.parametrize("n", range(20))
            def test_it(self, n, of_session): pass
        @pytest.fixture(scope="module")
        def of_module(of_session): log("module up", __name__); yield; log("module down", __name__)
        """
    conftest = """
        import os, pathlib, pytest
        LOG = pathlib.Path(__file__).parent / "log"
        @pytest.fixture(scope="session")
        def of_session():
            with LOG.open("a") as file: print("session up", os.getpid(), file=file)
            yield
            with LOG.open("a") as file: print("session down", os.getpid(), file=file)
        """
    names = {f"test_{name}.py": text for name in "abcdef"}
    ran = run(tmp_path, {"conftest.py": conftest, **names})
    assert ran.counts == {"passed": 120}
    lines = (tmp_path / "log").read_text().splitlines()
    ups = [line for line in lines if " up" in line]
    assert len(ups) == len(set(ups)), "each at most once per worker"
    assert sorted(line.replace(" up", " down") for line in ups) == sorted(line for line in lines if " down" in line)
    assert len([line for line in ups if line.startswith("session")]) <= 2


def test_tests_that_depend_on_their_order_in_a_module_pass(tmp_path):
    text = """
        import time
        SEEN = []
        def make(n):
            def test():
                time.sleep(0.02)
                assert SEEN == list(range(n))
                SEEN.append(n)
            return test
        for n in range(20):
            globals()[f"test_{n:02}"] = make(n)
        """
    ran = run(tmp_path, {"test_a.py": text, "test_b.py": text})
    assert ran.counts == {"passed": 40}
    assert ran.kind == ("passed", None)
    assert all(result.attempts == 1 and not result.flaky for result in ran.all)


def test_what_tests_change_stays_in_their_worker(tmp_path):
    text = """
        import os
        def test_changes(tmp_path):
            os.chdir(tmp_path)
            os.environ.clear()
            os.environ["HOME"] = "/"
        def test_goes_on(tmp_path): assert tmp_path.is_dir()
        def test_fails_elsewhere(): assert 0
        """
    ran = run(tmp_path, {f"test_{name}.py": text for name in "abcd"})
    assert ran.counts == {"passed": 8, "failed": 4}


def test_temporary_folders_of_workers_are_apart(tmp_path):
    text = """
        import pytest
        @pytest.mark.parametrize("n", range(50))
        def test_it(n, tmp_path, tmp_path_factory):
            assert not list(tmp_path.iterdir())
            (tmp_path / "x").touch()
            assert tmp_path_factory.mktemp("same", numbered=True).is_dir()
        """
    ran = run(tmp_path, {f"test_{name}.py": text for name in "ab"})
    assert ran.counts == {"passed": 100}


def test_files_are_chosen_by_patterns(tmp_path):
    test = "def test_it(): pass\n"
    files = {"test_a.py": test, "sub/test_b.py": test, "sub/test_c.py": test, "sub/deep/test_d.py": test}
    assert set(run(tmp_path, files, exclude=("sub/*_c.py",)).results) == {
        "test_a.py::test_it",
        "sub/test_b.py::test_it",
        "sub/deep/test_d.py::test_it",
    }
    assert set(run(tmp_path, {}, include=("sub/*",), exclude=("test_d.py",)).results) == {
        "sub/test_b.py::test_it",
        "sub/test_c.py::test_it",
    }
    assert set(run(tmp_path, {}, paths=("sub/deep",)).results) == {"sub/deep/test_d.py::test_it"}


def test_markers_and_keywords_are_passed_on(tmp_path):
    text = """
        import pytest
        @pytest.mark.skipif(False, reason="no")
        def test_marked(): pass
        def test_plain(): pass
        """
    assert list(run(tmp_path, {"test_it.py": text}, markers="skipif").outcomes) == ["test_marked"]
    assert list(run(tmp_path, {}, keyword="plain").outcomes) == ["test_plain"]


def test_ids_and_outcomes_equal_those_of_pytest(tmp_path):
    ran = run(tmp_path, {"deep/er/test_everything.py": EVERYTHING, "pytest.ini": "[pytest]\n"}, cwd="deep")
    plugin = """
        import json, os
        seen = {}
        def pytest_runtest_logreport(report):
            seen.setdefault(report.nodeid, []).append([report.when, report.outcome, hasattr(report, "wasxfail")])
        def pytest_sessionfinish(): json.dump(seen, open(os.environ["SEEN"], "w"))
        """
    (tmp_path / "recording.py").write_text("\n".join(line[8:] for line in plugin.splitlines()))
    seen = tmp_path / "seen.json"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "recording", "-p", "no:cacheprovider"],
        cwd=tmp_path / "deep",
        env={**os.environ, "SEEN": str(seen), "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    plain = json.loads(seen.read_text())
    assert set(plain) == set(ran.results)
    for name, reports in plain.items():
        failed = any(outcome == "failed" for _, outcome, _ in reports)
        assert failed == (ran.results[name].outcome in {"failed", "errored"}), name


def test_results_of_the_node_outside_of_the_folder_are_relative_to_it(tmp_path):
    ran = run(
        tmp_path,
        {"tests/test_it.py": "def test_it(): pass", "sub/keep": "", "pytest.ini": "[pytest]\n"},
        cwd="sub",
        paths=("../tests",),
    )
    (result,) = ran.all
    assert (result.id, result.file) == ("tests/test_it.py::test_it", "../tests/test_it.py")


def test_one_short_test_needs_one_worker(tmp_path):
    ran = run(tmp_path, {"test_it.py": "def test_it(): pass"}, workers=8)
    assert ran.output.get("workers", 1) == 1
    assert ran.output["runner"].endswith(", 1 forked worker")
    assert ran.kind == ("passed", None)


def test_files_that_skip_themselves_are_noted(tmp_path):
    files = {
        "test_a.py": "import pytest\npytest.importorskip('no_such_module')\ndef test_it(): pass\n",
        "test_b.py": "def test_it(): pass\n",
    }
    ran = run(tmp_path, files)
    assert list(ran.results) == ["test_b.py::test_it"]
    assert "1 file skipped as a whole: test_a.py: could not import 'no_such_module'" in ran.notes
