"""Suites of pytest: hooks and plugins of the project see what they would see without Podium."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from tests.integration.pytest_bench import run, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

MANY = """
    import pytest
    @pytest.mark.parametrize("n", range(40))
    def test_it(n, record_property):
        record_property("n", n)
        assert n != 7
    """


def with_xdist():
    """Skip the test if pytest-xdist is missing, unless all must be there."""
    if os.environ.get("PODIUM_REQUIRE_ALL"):
        __import__("xdist")
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")


def test_hooks_of_the_project_see_every_report(tmp_path):
    conftest = """
        import collections, os, pytest
        PARENT = os.getpid()
        SEEN = collections.Counter()
        def pytest_runtest_logreport(report):
            if os.getpid() == PARENT: SEEN[report.when, report.outcome] += 1
        def pytest_sessionfinish(session, exitstatus):
            assert os.getpid() == PARENT, "once, in the parent"
            print("\\nSEEN", sorted(SEEN.items()), int(exitstatus), session.testscollected, session.testsfailed)
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            report.sections.append(("made by", "the project"))
            return report
        def pytest_terminal_summary(terminalreporter):
            terminalreporter.write_line(f"PASSED {len(terminalreporter.stats.get('passed', []))}")
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": MANY})
    assert ran.counts == {"passed": 39, "failed": 1}
    seen = "[(('call', 'failed'), 1), (('call', 'passed'), 39), (('setup', 'passed'), 40), "
    seen += "(('teardown', 'passed'), 40)]"
    assert f"SEEN {seen} 1 40 1" in ran.stdout
    assert "PASSED 39" in ran.stdout
    assert "1 failed, 39 passed" in ran.stdout
    assert "the project" in ran.one("[7]").details


def test_the_summary_counts_what_the_parent_has_not_seen(tmp_path):
    assert "1 failed, 39 passed" in run(tmp_path, {"test_it.py": MANY}).stdout


def test_junit_xml_of_pytest_is_complete(tmp_path):
    run(tmp_path, {"test_it.py": MANY}, args=("--junitxml=out.xml",))
    (suite,) = ET.parse(tmp_path / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("40", "1")
    values = {element.get("value") for element in suite.iter("property")}
    assert values == {str(number) for number in range(40)}


def test_a_plugin_that_changes_statuses_is_asked(tmp_path):
    conftest = """
        def pytest_report_teststatus(report, config):
            if report.when == "call" and report.nodeid.endswith("[3]"):
                report.outcome = "failed"
                report.longrepr = "the project does not like it"
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": MANY})
    assert ran.counts == {"passed": 38, "failed": 2}
    assert ran.one("[3]").message == "the project does not like it"


def test_a_project_may_order_and_leave_out_tests(tmp_path):
    conftest = """
        def pytest_collection_modifyitems(config, items):
            config.hook.pytest_deselected(items=items[30:])
            items[:] = items[:30][::-1]
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": MANY})
    assert ran.counts == {"passed": 29, "failed": 1}


def test_workers_are_known_to_fixtures_as_those_of_xdist_are(tmp_path):
    text = """
        import os, pytest
        @pytest.mark.parametrize("n", range(20))
        def test_it(n, request):
            assert request.config.workerinput["workerid"] == os.environ["PYTEST_XDIST_WORKER"]
            assert os.environ["PYTEST_XDIST_WORKER"].startswith("gw")
        """
    assert run(tmp_path, {"test_it.py": text}).kind == ("passed", None)


def test_the_cache_of_last_failures_is_kept(tmp_path):
    text = MANY + "\n    def test_more(): pass\n"
    run(tmp_path, {"test_it.py": text}, args=("-p", "cacheprovider"))
    again = run(tmp_path, {}, args=("-p", "cacheprovider", "--lf"))
    assert list(again.outcomes) == ["test_it[7]"]
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")


def test_coverage_equals_that_of_pytest_alone(tmp_path):
    code = "\n".join(f"def f{n}(x):\n    if x:\n        return {n}\n    return -1\n" for n in range(20))
    text = """
        import pytest, code_under_test
        @pytest.mark.parametrize("n", range(15))
        def test_it(n): assert getattr(code_under_test, f"f{n}")(n % 3) is not None
        """
    files = {"code_under_test.py": code, "test_a.py": text, "test_b.py": text.replace("range(15)", "range(10, 18)")}
    write(tmp_path, files)
    args = ("--cov=code_under_test", "--cov-branch", "--cov-report=term")
    plain = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = re.findall(r"^code_under_test.*$", plain.stdout, re.MULTILINE)
    ran = run(tmp_path, {}, args=args)
    assert re.findall(r"^code_under_test.*$", ran.stdout, re.MULTILINE) == wanted != []
    assert ran.kind == ("passed", None)
    assert "2 forked workers" in ran.output["runner"]
    below = run(tmp_path, {}, args=(*args, "--cov-fail-under=100"))
    assert below.kind == ("failed", "ExitCode")
    assert run(tmp_path, {}, args=(*args, "--cov-fail-under=100"), coverage=False).kind == ("passed", None)


def test_threads_that_are_alive_after_collection_forbid_to_fork(tmp_path):
    conftest = """
        import threading
        threading.Thread(target=threading.Event().wait, name="of the project", daemon=True).start()
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": MANY}, args=("-p", "no:xdist"))
    assert ran.counts == {"passed": 39, "failed": 1}
    assert "of the project" in ran.notes
    assert ran.output["runner"].endswith("one process")


def test_a_suite_may_say_that_workers_are_not_forked(tmp_path):
    ran = run(tmp_path, {"test_it.py": MANY}, fork=False, args=("-p", "no:xdist"))
    assert ran.counts == {"passed": 39, "failed": 1}
    assert ran.output["runner"].endswith("one process")


def test_xdist_runs_tests_where_workers_may_not_be_forked(tmp_path):
    with_xdist()
    conftest = """
        import threading
        threading.Thread(target=threading.Event().wait, name="of the project", daemon=True).start()
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": MANY})
    assert ran.counts == {"passed": 39, "failed": 1}
    assert ran.output["runner"].endswith("pytest-xdist")
    assert "of the project" in ran.notes
    assert {result.worker for result in ran.all} == {1, 2}


def test_output_that_is_not_captured_goes_to_standard_output(tmp_path):
    text = """
        import pytest
        @pytest.mark.parametrize("n", range(20))
        def test_it(n): print(f"<{n}>")
        """
    ran = run(tmp_path, {"test_it.py": text}, args=("-s",))
    assert all(f"<{number}>" in ran.stdout for number in range(20))  # what two workers print may be mixed


@pytest.mark.parametrize(("body", "imported"), [("pass", "False"), ("assert 0", "True")])
def test_hypothesis_is_imported_at_the_end_only_if_it_may_have_something_to_say(tmp_path, body, imported):
    conftest = """
        import sys
        def pytest_unconfigure():
            with open("told", "w") as file:
                file.write(str("hypothesis" in sys.modules))
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": f"def test_it(): {body}\ndef test_other(): pass\n"})
    assert set(ran.outcomes) == {"test_it", "test_other"}
    assert (tmp_path / "told").read_text() == imported
