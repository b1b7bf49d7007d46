"""What the commands say about single tests of runs that are in the store."""

import contextlib

import msgspec
import pytest

from podium.events import AttemptFinished, AttemptStarted, RunFinished, RunStarted, StepFinished, TestsFinished
from podium.plan.graph import Plan, Step
from podium.protocols import Work, content_digest
from podium.store import Store
from podium.test_results import TestResult

AT_US = 1_700_000_000_000_000


class Runs:
    """Writes runs with tests into the store of the folder in which the command runs."""

    def __init__(self, podium):
        self.store = Store.open(podium.folder / ".podium" / "podium.db")
        self.count = 0

    def add(self, results, *, parent=None, origin=""):
        """Write a run; its tests are given as id to outcome or result."""
        self.count += 1
        run, at_us = f"0190000{self.count}-0000-7000-8000-00000000000{self.count}", AT_US + self.count * 10**9
        plan = msgspec.json.encode(Plan.of("suite", [Step(name="unit", work=Work("value", {"value": 1}))]))
        digest = content_digest(plan)
        tests = tuple(
            one if isinstance(one, TestResult) else TestResult(name, one, 0.5, message="" if one == "passed" else "why")
            for name, one in results.items()
        )
        events = [
            RunStarted(
                at_us=at_us,
                run=run,
                work="layers",
                name="suite",
                definition=digest,
                steps=1,
                slots=1,
                parent=parent,
            ),
            AttemptStarted(at_us=at_us, step="unit", number=1, token=2),
            TestsFinished(at_us=at_us, step="unit", token=2, results=tests, origin=origin),
            AttemptFinished(at_us=at_us, step="unit", token=2, outcome="passed", duration=1.0),
            StepFinished(at_us=at_us, step="unit", outcome="passed"),
            RunFinished(at_us=at_us, outcome="passed", counts={"passed": 1}, duration=1.0),
        ]
        self.store.append(run, 1, events, {digest: plan})
        return run

    def close(self):
        self.store.close()


@pytest.fixture
def runs(podium):
    with contextlib.closing(Runs(podium)) as runs:
        yield runs


def test_show_lists_the_tests_that_did_not_pass_and_counts_the_others(podium, runs):
    flaky = TestResult("d", "passed", 0.5, message="failed first", flaky=True)
    quarantined = TestResult("e", "failed", 0.5, message="known", quarantined=True)
    runs.add({"a": "passed", "b": "failed", "c": "skipped", "d": flaky, "e": quarantined})
    lines = podium("show", "--tests").output.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["failed", "flaky", "failed"]
    assert lines[1].split()[-3:] == ["unit", "b", "why"]
    assert "(in quarantine)" in lines[3]
    assert lines[-1] == "5 tests, 2 passed (1 flaky), 2 failed, 1 skipped, 1 of them in quarantine"


def test_show_gives_every_test_as_data(podium, runs):
    run = runs.add({"a": "passed", "b": "failed"})
    found = podium("show", run, "--tests", "--format", "json").json
    assert [(test["step"], test["id"], test["outcome"]) for test in found] == [
        ("unit", "a", "passed"),
        ("unit", "b", "failed"),
    ]
    assert podium("show", run, "unit", "--tests", "--format", "json").json == found
    podium.refused("show", run, "nonsense", "--tests", error="U414")


def test_a_run_without_tests_says_so(podium, runs):
    runs.add({})
    assert podium("show", "--tests").output == "no tests\n"


def test_compare_names_tests_that_are_newly_failing_still_failing_and_fixed(podium, runs):
    runs.add({"a": "passed", "b": "failed", "c": "failed", "d": "passed", "e": "passed"})
    runs.add({"a": "failed", "b": "passed", "c": "failed", "d": "passed", "f": "passed"})
    lines = podium("compare", code=1).output.splitlines()
    assert "newly failing unit  a  passed -> failed" in lines
    assert "still failing unit  c  failed -> failed" in lines
    assert "fixed         unit  b  failed -> passed" in lines
    assert lines[-1] == "tests: 1 newly failing, 1 fixed, 1 still failing, 1 new, 1 gone"
    found = podium("compare", "--format", "json", code=1).json
    assert found["has_regression"]
    assert found["tests"]["counts"]["gone"] == 1


def test_compare_of_a_rerun_does_not_miss_what_it_was_not_to_run(podium, runs):
    first = runs.add({"a": "passed", "b": "failed"})
    second = runs.add({"b": "passed"}, parent=first)
    assert podium("compare", first, second, "--format", "json").json["tests"]["counts"] == {"fixed": 1}


def test_stats_lists_flaky_tests_the_least_reliable_first(podium, runs):
    for a, b in (("passed", "passed"), ("failed", "passed"), ("passed", "failed"), ("failed", "passed")):
        runs.add({"a": a, "b": b, "c": "passed"}, origin="backend")
    lines = podium("stats", "--flaky").output.splitlines()
    assert [line.split()[-2:] for line in lines[1:3]] == [[".F.F", "a"], ["..F.", "b"]]
    assert [test["id"] for test in podium("stats", "--flaky", "--format", "json").json] == ["a", "b"]
    podium.refused("stats", "--flaky", "--name", "suite", error="U400")


def test_stats_without_a_flaky_test_says_so(podium, runs):
    runs.add({"a": "passed", "b": "failed"})
    ended = podium("stats", "--flaky")
    assert ended.output == ""
    assert "no test has passed and failed" in ended.errors


def test_clean_takes_the_results_of_runs_and_leaves_the_history(podium, runs):
    runs.add({"a": "failed"})
    podium("clean", "--older-than", "1d")
    assert runs.store.runs() == []
    assert runs.store.tests("")["a"].failures == 1
