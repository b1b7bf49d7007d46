"""How results of tests are shown: as lines, as JUnit XML, as JSON."""

import io
import json
from xml.etree import ElementTree as ET

import pytest

from podium.events import (
    AttemptFinished,
    AttemptStarted,
    Failure,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    TestsFinished,
)
from podium.protocols import Record
from podium.sinks.junit import JUnit
from podium.sinks.lines import Lines
from podium.sinks.report import JsonReport
from podium.sinks.tally import Tally
from podium.sinks.test_lines import total_in_words
from podium.test_results import TestCounts, TestResult

RESULTS = (
    TestResult("a.py::fine", "passed", 0.5),
    TestResult("a.py::slow", "passed", 2.0),
    TestResult("a.py::bad", "failed", 0.25, "AssertionError: 1 == 2", "def bad():\n>   assert 1 == 2", file="a.py"),
    TestResult("a.py::left", "skipped", message="not here"),
    TestResult("a.py::odd", "passed", 0.1, "failed at first", attempts=2, flaky=True),
    TestResult("a.py::known", "failed", 0.1, "known", quarantined=True),
)


def events(*batches):
    numbered = [
        RunStarted(1, run="0" * 8 + "-run", work="layers", name="mine", definition="", steps=1, slots=1),
        AttemptStarted(1, step="fast/unit", number=1, token=1),
        *(TestsFinished(2, step="fast/unit", token=1, results=batch, total=6) for batch in batches),
        AttemptFinished(
            3_000_000,
            step="fast/unit",
            token=1,
            outcome="failed",
            duration=3.0,
            failure=Failure("Tests", "1 of 5 tests did not pass"),
        ),
        StepFinished(3_000_000, step="fast/unit", outcome="failed"),
        RunFinished(3_000_000, outcome="failed", counts={"failed": 1}, duration=3.0),
    ]
    return [Record(number, event) for number, event in enumerate(numbered, 1)]


def shown(sink, records):
    for record in records:
        sink.emit("run", [record])
    sink.close()


def test_lines_show_what_did_not_pass_at_once_with_all_it_says_and_again_at_the_end():
    stream = io.StringIO()
    shown(Lines(stream), events(RESULTS[:3], RESULTS[3:]))
    text = stream.getvalue()
    first, again = (text.index("failed     fast/unit: a.py::bad"), text.rindex("failed     fast/unit: a.py::bad"))
    assert first < text.index(">   assert 1 == 2") < again
    assert text[again:].splitlines()[1] == "  AssertionError: 1 == 2"
    assert "flaky      fast/unit: a.py::odd  0.10 s  (2 attempts)" in text
    assert "(in quarantine)" in text
    assert "slowest:\n    2.00 s  fast/unit: a.py::slow\n" in text
    assert "mine failed: 6 tests, 3 passed (1 flaky), 2 failed, 1 skipped, 1 of them in quarantine in 3.00 s" in text
    assert "a.py::fine" not in text


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (TestCounts(), "no tests"),
        (TestCounts(passed=1), "1 test, 1 passed"),
        (TestCounts(passed=1192), "1,192 tests, 1,192 passed"),
        (TestCounts(passed=3, timed_out=2, xfailed=1), "6 tests, 3 passed, 2 timed out, 1 xfailed"),
        (
            TestCounts(passed=3, failed=2, flaky=1, quarantined=1),
            "5 tests, 3 passed (1 flaky), 2 failed, 1 of them in quarantine",
        ),
    ],
)
def test_totals_are_the_number_of_tests_and_what_they_came_to(counts, words):
    assert total_in_words(counts) == words


def test_the_last_result_of_a_test_counts():
    tally = Tally()
    tally.take("run", events(RESULTS[:3], (TestResult("a.py::bad", "passed", flaky=True, attempts=2),)))
    assert (tally.tests.passed, tally.tests.failed, tally.tests.flaky) == (3, 0, 1)
    assert tally.steps["fast/unit"].tests.bad == {}


def interrupted(*, batches, again):
    """Return the records of a run that was interrupted after some batches of results, and resumed with others."""

    def attempt(token, outcome, results):
        yield AttemptStarted(1, step="fast/unit", number=token, token=token)
        yield from (TestsFinished(2, step="fast/unit", token=token, results=batch) for batch in results)
        yield AttemptFinished(3, step="fast/unit", token=token, outcome=outcome, duration=1.0)
        yield StepFinished(3, step="fast/unit", outcome=outcome)
        yield RunFinished(3, outcome=outcome, counts={outcome: 1}, duration=1.0)

    story = [
        RunStarted(1, run="0" * 8 + "-run", work="layers", name="mine", definition="", steps=1, slots=1),
        *attempt(1, "cancelled", batches),
        RunResumed(4, engine="h:1:1"),
        *attempt(2, "passed", again),
    ]
    return [Record(number, event) for number, event in enumerate(story, 1)]


def test_a_test_that_passed_before_an_interruption_and_again_after_it_counts_once():
    one, other, third = (TestResult(name, "passed", 1.0) for name in "abc")
    bad = TestResult("b", "failed", 0.5)
    tally = Tally()
    tally.take("run", interrupted(batches=[(one,), (bad,)], again=[(one, other), (third,)]))
    tests = tally.steps["fast/unit"].tests
    assert (tests.counts.passed, tests.counts.total, tests.bad) == (3, 3, {})
    assert [result.id for result in tests.slowest] == ["a", "b", "c"]


def test_a_flaky_test_that_is_run_again_is_as_flaky_as_its_last_result_says():
    first = TestResult("a", "passed", attempts=2, flaky=True)
    tally = Tally()
    tally.take("run", interrupted(batches=[(first,)], again=[(TestResult("a", "passed"),)]))
    tests = tally.steps["fast/unit"].tests
    assert (tests.counts.passed, tests.counts.flaky, tests.flaky) == (1, 0, {})


def test_how_far_a_suite_is_follows_from_the_tests_that_are_done():
    tally = Tally()
    tally.take("run", events(RESULTS[:3])[:3])
    assert tally.steps["fast/unit"].done == pytest.approx(0.5)


def test_junit_has_a_case_for_every_test(tmp_path):
    path = tmp_path / "junit.xml"
    shown(JUnit(path), events(RESULTS))
    suite = ET.parse(path).getroot().find("testsuite")
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases == {
        "a.py::fine": [],
        "a.py::slow": [],
        "a.py::bad": ["failure"],
        "a.py::left": ["skipped"],
        "a.py::odd": [],
        "a.py::known": ["skipped"],
    }
    assert suite.get("failures") == "1"


def layers(results, *, outcome="passed", failure=None, verdict="passed", why=None):
    """Return the records of a run of a layer with a service, a suite and its verdict."""

    def done(step, token, outcome, failure=None):
        yield AttemptFinished(2, step=step, token=token, outcome=outcome, duration=1.0, failure=failure)
        yield StepFinished(2, step=step, outcome=outcome)

    story = [
        RunStarted(1, run="0" * 8 + "-run", work="layers", name="mine", definition="", steps=4, slots=1),
        AttemptStarted(1, step="service/web", number=1, token=1),
        AttemptStarted(1, step="fast/unit", number=1, token=2),
        TestsFinished(2, step="fast/unit", token=2, results=results, total=len(results)),
        *done("fast/unit", 2, outcome, failure),
        *done("service/web", 1, "passed"),
        AttemptStarted(2, step="fast", number=1, token=3),
        *done("fast", 3, verdict, why),
        StepFinished(2, step="delay/slow", outcome="passed"),
        RunFinished(3, outcome=verdict, counts={verdict: 4}, duration=3.0),
    ]
    return [Record(number, event) for number, event in enumerate(story, 1)]


def suite_of(path, records):
    shown(JUnit(path), records)
    return ET.parse(path).getroot().find("testsuite")


def named(suite):
    return [(case.get("classname"), case.get("name"), [one.tag for one in case]) for case in suite.iter("testcase")]


def test_junit_of_layers_that_pass_has_their_tests_and_nothing_else(tmp_path):
    suite = suite_of(tmp_path / "junit.xml", layers(RESULTS[:2]))
    assert named(suite) == [("fast/unit", "a.py::fine", []), ("fast/unit", "a.py::slow", [])]
    assert suite.get("tests") == "2"


def test_junit_says_beside_the_tests_why_a_layer_failed_whose_failing_tests_it_shows(tmp_path):
    records = layers(
        RESULTS[:3],
        outcome="failed",
        verdict="failed",
        why=Failure("Criteria", "1 failed of 3; 66.7% passed, the least is 90.0%"),
    )
    suite = suite_of(tmp_path / "junit.xml", records)
    assert [tags for _, _, tags in named(suite)] == [[], [], ["failure"]]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert suite.findtext("system-err") == "fast: 1 failed of 3; 66.7% passed, the least is 90.0%"


def test_junit_shows_a_layer_that_did_not_pass_though_all_its_tests_did(tmp_path):
    why = Failure("Criteria", "unit failed by its own criteria")
    suite = suite_of(tmp_path / "junit.xml", layers(RESULTS[:2], verdict="failed", why=why))
    assert named(suite)[2:] == [("mine", "fast", ["failure"])]
    assert suite.get("failures") == "1"
    assert suite.find("system-err") is None


def test_junit_shows_a_suite_that_failed_though_only_tests_in_quarantine_did(tmp_path):
    suite = suite_of(
        tmp_path / "junit.xml",
        layers(RESULTS[-1:], outcome="errored", failure=Failure("Crashed", "gone"), verdict="errored"),
    )
    assert named(suite) == [("fast/unit", "a.py::known", ["skipped"]), ("mine", "fast/unit", ["error"])]


def test_junit_tells_of_a_suite_that_failed_though_its_tests_did_not(tmp_path):
    path = tmp_path / "junit.xml"
    shown(JUnit(path), events(RESULTS[:1]))
    cases = [case.get("name") for case in ET.parse(path).getroot().find("testsuite")]
    assert cases == ["a.py::fine", "fast/unit"]


def test_json_has_counts_and_what_did_not_pass():
    stream = io.StringIO()
    shown(JsonReport(stream), events(RESULTS))
    report = json.loads(stream.getvalue())
    assert report["tests"] == {"total": 6, "passed": 3, "failed": 2, "skipped": 1, "flaky": 1, "quarantined": 1}
    (case,) = report["cases"]
    assert [result["id"] for result in case["not_passed"]] == ["a.py::bad", "a.py::known"]
    assert case["flaky"] == ["a.py::odd"]
