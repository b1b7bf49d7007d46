"""Suites of pytest: what is told of tests that are unusual."""

import sys
from pathlib import Path

import pytest
from tests.integration.pytest_bench import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")


def test_text_that_is_no_unicode_ends_neither_the_suite_nor_the_talk(tmp_path):
    ran = run(
        tmp_path,
        {
            "test_text.py": r"""
                import warnings
                import pytest

                def test_says_it():
                    warnings.warn("\ud801 warned")
                    raise ValueError("\ud800 said")

                def test_prints_it():
                    print("\ud802 printed".encode("utf-8", "surrogatepass"))
                    raise ValueError("\udcff")

                def test_skips_with_it(): pytest.skip("\ud803 skipped")

                @pytest.mark.xfail(reason="\ud804 known")
                def test_expects_it(): assert 0

                @pytest.mark.parametrize("x", [1], ids=["\ud805"])
                def test_is_called_so(x): assert x == 2

                def test_passes(): pass
            """
        },
    )
    assert ran.kind == ("failed", "TestsFailed")
    assert (ran.counts["failed"], ran.counts["skipped"], ran.counts["xfailed"], ran.counts["passed"]) == (3, 1, 1, 1)
    assert ran.one("test_says_it").message == r"ValueError: \ud800 said"
    assert r"ValueError: \ud800 said" in ran.one("test_says_it").details
    assert ran.one("test_skips_with_it").message == r"\ud803 skipped"
    assert ran.one("test_expects_it").message == r"\ud804 known"
    assert r"\ud801 warned" in ran.finished.artifacts["warnings"].decode()


def test_a_file_that_says_what_is_no_unicode_when_it_is_collected_is_told(tmp_path):
    ran = run(tmp_path, {"test_text.py": r'raise ValueError("\ud800 said")', "test_ok.py": "def test_ok(): pass"})
    assert ran.one("test_text.py").message == r"not collected: ValueError: \ud800 said"


def test_a_missing_fixture_is_named(tmp_path):
    ran = run(tmp_path, {"test_it.py": "def test_it(nothing_like_it): pass"})
    assert ran.one("test_it").message == "in set-up: fixture 'nothing_like_it' not found"


def test_files_of_the_same_name_are_told_apart_in_the_message(tmp_path):
    ran = run(tmp_path, {"one/test_it.py": "def test_it(): pass", "two/test_it.py": "def test_it(): pass"})
    message = ran.one("two/test_it.py").message
    assert message.startswith("not collected: import file mismatch: imported module 'test_it' has")
    assert "HINT" not in message


def test_colours_in_a_message_are_left_out(tmp_path):
    ran = run(tmp_path, {"test_it.py": r'def test_it(): raise ValueError("\x1b[31mred\x1b[0m alert")'})
    assert ran.one("test_it").message == "ValueError: red alert"


def test_the_first_line_of_a_traceback_is_indented_as_the_others(tmp_path):
    ran = run(tmp_path, {"test_it.py": "def test_it():\n    number = 1\n    assert number == 2\n"})
    lines = ran.one("test_it").details.splitlines()
    assert lines[:3] == ["    def test_it():", "        number = 1", ">       assert number == 2"]


def test_a_call_of_exit_is_told_with_its_reason(tmp_path):
    ran = run(
        tmp_path,
        {"test_it.py": "import pytest\ndef test_a(): pass\ndef test_b(): pytest.exit('enough')\ndef test_c(): pass"},
    )
    assert ran.finished.outcome == "errored"
    assert "pytest.exit was called: enough" in ran.notes


def test_it_is_told_how_often_tests_were_run(tmp_path):
    files = {"test_it.py": "def test_it(): pass"}
    ran = run(tmp_path, files, selection={"repeat": 3})
    assert ran.outcomes == {"test_it": "passed"}
    assert "the tests were run 3 times" in ran.notes


def test_it_is_told_after_how_many_runs_a_test_failed(tmp_path):
    files = {
        "test_it.py": f"""
            from pathlib import Path

            def test_it():
                file = Path({str(tmp_path / "times")!r})
                times = len(file.read_text()) + 1 if file.exists() else 1
                file.write_text("x" * times)
                assert times < 3
        """
    }
    ran = run(tmp_path, files, workers=1, selection={"repeat": 9, "until_fail": True})
    assert ran.outcomes == {"test_it": "failed"}
    assert "the tests were run 3 times" in ran.notes
    assert len(Path(tmp_path / "times").read_text()) == 3


def test_tries_of_a_plugin_that_keeps_their_reports_back_are_counted(tmp_path):
    """As pytest-rerunfailures does in a worker if pytest-xdist is not there: it numbers the reports it gives."""
    ran = run(
        tmp_path,
        {
            "conftest.py": """
                from _pytest.runner import runtestprotocol

                def pytest_runtest_protocol(item, nextitem):
                    for number in range(3):
                        reports = runtestprotocol(item, nextitem=nextitem, log=False)
                        if number == 2 or not any(report.failed for report in reports):
                            for report in reports:
                                report.rerun = number
                                item.ihook.pytest_runtest_logreport(report=report)
                            return True
            """,
            "test_it.py": """
                times = []

                def test_second():
                    times.append(1)
                    assert len(times) == 2

                def test_first(): pass
            """,
        },
    )
    second, first = ran.one("test_second"), ran.one("test_first")
    assert (second.outcome, second.attempts, second.flaky) == ("passed", 2, True)
    assert (first.outcome, first.attempts, first.flaky) == ("passed", 1, False)


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_a_test_of_which_only_the_set_up_is_run_has_not_passed(tmp_path, option):
    ran = run(tmp_path, {"test_it.py": "def test_it(tmp_path): assert 0"}, args=(option,))
    assert ran.outcomes == {"test_it": "skipped"}
    assert ran.one("test_it").message == "only its set-up was run"


def test_a_warning_that_is_no_unicode_when_a_file_is_collected_is_told(tmp_path):
    ran = run(tmp_path, {"test_it.py": r"import warnings; warnings.warn('\ud800 said')" + "\ndef test_it(): pass"})
    assert ran.kind == ("passed", None)
    assert r"\ud800 said" in ran.finished.artifacts["warnings"].decode()
