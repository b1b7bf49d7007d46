"""Suites of pytest: what the hooks and the summary of the parent see of tests that ran in workers."""

import sys

import pytest
from tests.integration.pytest_bench import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

TESTS = """
    import pytest
    def test_good(): print("what it printed")
    def test_skips(record_property):
        record_property("key", "value")
        pytest.skip("no base")
    @pytest.mark.skip(reason="not now")
    def test_marked(): pass
    @pytest.mark.xfail(reason="known")
    def test_known(): assert 0
    @pytest.mark.xfail
    def test_better(): pass
    """
COUNTS = {"passed": 1, "skipped": 2, "xfailed": 1, "xpassed": 1}


@pytest.mark.parametrize("options", ["-ra", "-rs", "-rA", "-rP", "-rp", "-v", "-vv -ra", "--durations=3", "-q -rN"])
def test_the_summary_of_pytest_shows_what_it_is_asked_for(tmp_path, options):
    ran = run(tmp_path, {"test_it.py": TESTS, "pytest.ini": f"[pytest]\naddopts = {options}\n"}, workers=2)
    assert (ran.kind, ran.counts) == (("passed", None), COUNTS)
    assert ("no base" in ran.stdout) == (options in {"-ra", "-rs", "-rA", "-v", "-vv -ra"})
    assert ("PASSED test_it.py::test_good" in ran.stdout) == (options in {"-rA", "-rp"})


def test_reports_in_hooks_are_as_without_workers(tmp_path):
    conftest = """
        def pytest_runtest_logreport(report):
            hash((report.location, *map(tuple, report.sections), *report.user_properties))
            if report.skipped and not hasattr(report, "wasxfail"):
                path, line, why = report.longrepr
                hash(report.longrepr)
        """
    ran = run(tmp_path, {"test_it.py": TESTS, "conftest.py": conftest}, workers=2)
    assert (ran.kind, ran.counts) == (("passed", None), COUNTS)


@pytest.mark.parametrize("hook", ["pytest_terminal_summary(config)", "pytest_sessionfinish(session)"])
def test_the_reports_of_tests_that_passed_are_there_at_the_end(tmp_path, hook):
    config = "config" if "config" in hook else "session.config"
    conftest = f"""
        import pathlib
        def {hook}:
            reporter = {config}.pluginmanager.getplugin("terminalreporter")
            seen = [(r.nodeid, r.when, r.passed, r.duration >= 0) for r in reporter.stats["passed"]]
            pathlib.Path(__file__).with_name("seen").write_text(repr(seen))
        """
    ran = run(tmp_path, {"test_it.py": TESTS, "conftest.py": conftest}, workers=2)
    assert (ran.kind, ran.counts) == (("passed", None), COUNTS)
    assert (tmp_path / "seen").read_text() == "[('test_it.py::test_good', 'call', True, True)]"
