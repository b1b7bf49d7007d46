"""What pytest, Jest and Vitest print for people: numbers are believed, names are not made up."""

import pytest

from podium.executors.reports.reading import ReportError
from podium.executors.reports.text import read_jest_text, read_pytest_text
from podium.test_results import TestCounts

PYTEST = """\
============================= test session starts ==============================
collected 18 items / 2 deselected

tests/test_a.py::test_one PASSED                                         [  5%]
tests/test_a.py::TestB::test_two[a b] FAILED                             [ 10%]
tests/test_a.py::test_three SKIPPED (no network)                         [ 15%]

=================================== FAILURES ===================================
E   assert 1 == 2
=========================== short test summary info ============================
FAILED tests/test_a.py::TestB::test_two[a b] - assert 1 == 2
ERROR tests/test_b.py - ImportError: no module named x
SKIPPED [1] tests/test_a.py:9: no network
XFAIL tests/test_c.py::test_known - bug 7
==== 1 failed, 12 passed, 1 skipped, 2 deselected, 1 xfailed, 3 warnings, 1 error in 3.21s ====
"""

JEST = """\
PASS src/b.test.js
FAIL src/a.test.js (5.2 s)
  ● math > divides

    expect(received).toBe(expected)

  ● top level
FAIL src/c.test.js
  ● Test suite failed to run

    Cannot find module './gone'

Summary of all failing tests
FAIL src/a.test.js
  ● math > divides

Test Suites: 2 failed, 1 passed, 3 total
Tests:       2 failed, 1 skipped, 2 todo, 47 passed, 52 total
Snapshots:   0 total
Time:        6.1 s
""".replace(" > ", " \u203a ")

VITEST = """\
 \x1b[32m✓\x1b[39m src/b.test.ts (3 tests) 4ms
 FAIL  src/a.test.ts > math > divides
AssertionError: expected 1 to be 2
 FAIL  |web| src/c.test.ts > draws

 Test Files  2 failed | 1 passed (3)
      Tests  2 failed | 8 passed | 1 skipped | 1 todo (12)
   Duration  1.02s
"""


def test_pytest_has_numbers_of_all_and_names_of_some():
    reading = read_pytest_text(PYTEST.encode())
    assert {r.id: (r.outcome, r.message) for r in reading.results} == {
        "tests/test_a.py::test_one": ("passed", ""),
        "tests/test_a.py::TestB::test_two[a b]": ("failed", "assert 1 == 2"),
        "tests/test_a.py::test_three": ("skipped", ""),
        "tests/test_b.py": ("errored", "ImportError: no module named x"),
        "tests/test_c.py::test_known": ("xfailed", "bug 7"),
    }
    assert reading.counts == TestCounts(passed=12, failed=1, errored=1, skipped=1, xfailed=1, left_out=2)
    assert reading.unnamed == TestCounts(passed=11, left_out=2)
    assert reading.notes == ("11 of 16 tests are only counted: what was printed does not name them",)


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("12 passed, 3 failed in 0.12s", TestCounts(passed=12, failed=3)),
        (
            "\x1b[32m===== \x1b[1m5 passed\x1b[0m, 1 xpassed in 61.00s (0:01:01) =====\x1b[0m",
            TestCounts(passed=5, xpassed=1),
        ),
        ("2 errors in 0.50s", TestCounts(errored=2)),
        ("===== no tests ran in 0.01s =====", TestCounts()),
        ("1 deselected in 0.01s", TestCounts(left_out=1)),
    ],
)
def test_summaries_of_pytest(line, counts):
    assert read_pytest_text(line.encode()).counts == counts


def test_workers_of_pytest_write_the_outcome_first():
    reading = read_pytest_text(b"[gw0] [ 50%] PASSED t/test_a.py::test_x \n1 passed in 0.1s\n")
    assert [(r.id, r.outcome) for r in reading.results] == [("t/test_a.py::test_x", "passed")]


def test_several_summaries_are_added_up_so_that_none_hides_a_failure():
    reading = read_pytest_text(b"== 1 failed in 0.1s ==\n== 9 passed in 0.2s ==\n")
    assert reading.counts == TestCounts(passed=9, failed=1)
    assert "2 summaries were added up" in reading.notes


def test_there_are_never_more_names_than_the_summary_counts():
    text = b"FAILED t/test_a.py::test_x - in some captured output\n== 1 passed in 0.1s ==\n"
    assert read_pytest_text(text).counts == TestCounts(passed=1)
    assert read_pytest_text(text).results == ()


def test_jest_names_tests_that_failed_and_files_that_could_not_be_run():
    reading = read_jest_text(JEST.encode())
    assert {r.id: r.outcome for r in reading.results} == {
        "math \u203a divides": "failed",
        "top level": "failed",
        "src/c.test.js": "errored",
    }
    assert reading.counts == TestCounts(passed=47, failed=2, errored=1, skipped=3)


def test_vitest_names_tests_that_failed():
    reading = read_jest_text(VITEST.encode())
    assert {r.id for r in reading.results} == {"src/a.test.ts > math > divides", "src/c.test.ts > draws"}
    assert reading.counts == TestCounts(passed=8, failed=2, skipped=2)


def test_files_that_failed_without_a_test_are_an_error():
    reading = read_jest_text(b"Test Suites: 1 failed, 1 total\nTests:       0 total\n")
    assert reading.counts == TestCounts(errored=1)
    reading = read_jest_text(b" Test Files  1 failed (1)\n      Tests  no tests\n")
    assert reading.counts == TestCounts(errored=1)


def test_nothing_is_nothing():
    assert read_jest_text(b"Tests:       0 total\n").counts == TestCounts()


def test_without_a_summary_there_is_no_report():
    with pytest.raises(ReportError, match="no summary such as"):
        read_pytest_text(b"FAILED tests/test_a.py::test_x\n")
    with pytest.raises(ReportError, match="no summary such as"):
        read_jest_text("  ● math \u203a divides\n".encode())
