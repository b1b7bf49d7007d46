"""CTRF JSON, as its reporters write it."""

import json

import pytest

from podium.executors.reports.ctrf import read_ctrf
from podium.executors.reports.reading import ReportError


def read(*tests, **more):
    return read_ctrf(json.dumps({"results": {"tool": {"name": "x"}, "summary": {}, "tests": tests, **more}}).encode())


def only(**test):
    (result,) = read({"name": "a", "status": "passed", **test})
    return result


def test_outcomes_with_all_that_is_known():
    results = read(
        {"name": "adds", "status": "passed", "duration": 100, "suite": ["math", "sums"], "filePath": "a.ts", "line": 3},
        {"name": "fails", "status": "failed", "message": "no\nmore", "trace": "at x", "suite": "math"},
        {"name": "off", "status": "skipped", "message": "why", "tags": ["slow", "ui"]},
        {"name": "wait", "status": "pending"},
        {"name": "odd", "status": "other"},
    )
    assert [(r.id, r.outcome) for r in results] == [
        ("math > sums > adds", "passed"),
        ("math > fails", "failed"),
        ("off", "skipped"),
        ("wait", "skipped"),
        ("odd", "errored"),
    ]
    adds, fails, off, *_ = results
    assert (adds.duration, adds.file, adds.line) == (0.1, "a.ts", 3)
    assert (fails.message, fails.details) == ("no", "no\nmore\nat x")
    assert (off.message, off.markers) == ("why", ("slow", "ui"))


def test_retries_and_flaky_tests():
    flaky = only(retries=2, flaky=True)
    assert (flaky.attempts, flaky.flaky) == (3, True)
    assert only(retryAttempts=[{"attempt": 1, "status": "failed"}]).attempts == 2
    failed = only(status="failed", flaky=True, retries=1)
    assert (failed.attempts, failed.flaky) == (2, False)


def test_a_raw_status_tells_that_time_ran_out():
    assert only(status="failed", rawStatus="timedOut").outcome == "timed_out"
    assert only(status="passed", rawStatus="timedOut").outcome == "passed"


def test_the_same_name_in_two_files_and_twice_in_one():
    same = [{"name": "a", "status": "passed", "filePath": path} for path in ("x.ts", "y.ts", "y.ts")]
    assert [r.id for r in read(*same)] == ["x.ts > a", "y.ts > a", "y.ts > a #2"]


def test_failures_that_are_counted_and_not_listed_are_an_error():
    results = read({"name": "a", "status": "passed"}, summary={"failed": 2})
    assert [(r.id, r.outcome) for r in results] == [("a", "passed"), ("summary", "errored")]
    assert len(read({"name": "a", "status": "failed"}, summary={"failed": 2})) == 1


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ({"failed": 2}, "the report counts 2 tests that did not pass, and names none"),
        ({"tests": 4, "passed": 1, "other": 3}, "the report counts 3 tests that did not pass, and names none"),
        ({"failed": 1, "other": 1}, "the report counts 2 tests that did not pass, and names none"),
        ({"tests": 5}, "the report counts 5 tests, and says of 1 what it came to"),
        ({"tests": 5, "passed": 2, "skipped": 1, "pending": 1}, "the report counts 5 tests, and says of 4 what it"),
    ],
)
def test_what_is_counted_and_not_listed_is_an_error_unless_it_passed_or_was_skipped(summary, message):
    listed, unnamed = read({"name": "a", "status": "passed"}, summary=summary)
    assert (listed.outcome, unnamed.id, unnamed.outcome) == ("passed", "summary", "errored")
    assert unnamed.message.startswith(message)


def test_tests_that_are_counted_and_not_listed_are_an_error_beside_others_that_failed():
    counted = {"tests": 4, "failed": 1, "other": 3}
    assert [result.outcome for result in read({"name": "a", "status": "failed"}, summary=counted)] == [
        "failed",
        "errored",
    ]


@pytest.mark.parametrize(
    "summary",
    [
        {"tests": 1, "passed": 1},
        {"tests": 5, "passed": 3, "skipped": 1, "pending": 1},
        {"tests": 0},
        {"tests": -3},
        {"tests": "5", "other": None},
        None,
    ],
)
def test_a_summary_by_which_nothing_is_missing_is_no_result(summary):
    assert len(read({"name": "a", "status": "passed"}, summary=summary)) == 1


def test_nothing_is_missing_of_a_list_that_is_complete_though_attempts_are_counted_too():
    counted = {"tests": 2, "failed": 3, "passed": 1}
    assert len(read({"name": "a", "status": "failed"}, {"name": "b", "status": "passed"}, summary=counted)) == 2


def test_values_of_the_wrong_type_are_passed_over():
    odd = {"duration": "1", "suite": [1, "s"], "line": "3", "tags": "x", "retries": -1, "message": 5, "filePath": None}
    result = only(**odd)
    assert (result.id, result.duration, result.line, result.markers, result.attempts) == ("s > a", 0.001, 0, (), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "this is no JSON"),
        (b'{"results": ', "this is no JSON"),
        (b"[" * 100_000, "this is no JSON"),
        (b"[]", "the report is no object"),
        (b"{}", "`results` is no object"),
        (b'{"results": {}}', "`results.tests` is no list"),
        (b'{"results": {"tests": [3]}}', "test 1 is no object"),
        (b'{"results": {"tests": [{"status": "passed"}]}}', "test 1 has no name"),
        (
            b'{"results": {"tests": [{"name": "a", "status": "great"}]}}',
            "test 1, 'a', has status 'great'; there",
        ),
        (b'{"results": {"tests": [{"name": "a"}]}}', "has status 'None'"),
    ],
)
def test_what_is_not_ctrf_is_refused(text, message):
    with pytest.raises(ReportError) as caught:
        read_ctrf(text)
    assert message in str(caught.value)
