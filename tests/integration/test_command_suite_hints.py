"""What is said of a command without results that can be read."""

import sys

import pytest
from tests.integration.suites import run_suite

pytestmark = [pytest.mark.once, pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")]

WAYS_OUT = "say report: {path: FILE} if it writes a file, and report: {format: exit_code} if it has no report"


@pytest.mark.parametrize("shell", ["true", "echo hello"])
def test_without_a_format_the_ways_out_are_told(tmp_path, shell):
    told = run_suite(tmp_path, shell=shell)
    assert (told.outcome, told.failure.details) == ("errored", WAYS_OUT)


def test_what_the_command_wrote_last_is_told_beside_them(tmp_path):
    told = run_suite(tmp_path, shell="echo oh no >&2; exit 3")
    assert told.failure.message.endswith("the command exited with code 3")
    assert told.failure.details.startswith(WAYS_OUT)
    assert "oh no" in told.failure.details


def test_with_a_format_they_are_not(tmp_path):
    assert run_suite(tmp_path, shell="echo hello", report="tap").failure.details == ""


def test_a_bad_report_is_told_once_and_others_below_it(tmp_path):
    one = run_suite(tmp_path, shell="echo '<testsuite>' > a.xml", report_path="*.xml")
    assert (one.failure.message.partition(":")[0], one.failure.details) == ("a.xml", "")
    two = run_suite(tmp_path, shell="for f in a b; do echo '<testsuite>' > $f.xml; done", report_path="*.xml")
    assert (two.failure.message.partition(":")[0], two.failure.details.partition(":")[0]) == ("a.xml", "b.xml")
