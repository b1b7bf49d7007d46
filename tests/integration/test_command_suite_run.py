"""Suites in a run: the engine's limits, the journal's events, the layer's verdict."""

import sys

import pytest

from podium.events import AttemptFinished, TestsFinished
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Policy
from podium.protocols import Work
from podium.session import Session

pytestmark = [pytest.mark.once, pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")]


def suite(name, line, **more):
    policy = more.pop("policy", Policy())
    work = Work("suite", {"shell": line, "report": "tap", **more})
    return Step(f"layer/{name}", work, policy=policy, allow_failure=True)


def layer(steps, criteria=None):
    reference = "steps['layer/{0}'].{1}"
    counts = "${{steps['layer/{0}'].output != null ? steps['layer/{0}'].output.counts : null}}"
    names = [step.name.removeprefix("layer/") for step in steps]
    payload = {
        "criteria": criteria or {},
        "outcomes": {name: f"${{{reference.format(name, 'outcome')}}}" for name in names},
        "counts": {name: counts.format(name) for name in names},
    }
    needs = tuple(Need(step.name, "done") for step in steps)
    return Step("layer", Work("verdict", payload, template=True), needs=needs, slots=0)


def run(tmp_path, *steps, criteria=None):
    """Return how the run ended, its events, and how its steps ended."""
    with Session.open(tmp_path / "store.db") as session:
        plan = Plan.of("tests", [*steps, layer(steps, criteria)], work="layers", options={"folder": str(tmp_path)})
        summary = session.run(plan)
        events = [record.event for record in session.store.read(summary.run)]
    ended = {event.step: event for event in events if isinstance(event, AttemptFinished)}
    return summary, events, ended


def outcomes_of(events):
    found = [event for event in events if isinstance(event, TestsFinished)]
    return {result.id: result.outcome for event in found for result in event.results}


def test_the_layer_is_judged_by_the_tests_of_its_suites(tmp_path):
    unit = suite("unit", "echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1")
    api = suite("api", "echo 1..2; echo ok 1 - c; echo ok 2 - d")
    summary, events, ended = run(tmp_path, unit, api)
    assert summary.outcome == "failed"
    assert outcomes_of(events) == {"a": "passed", "b": "failed", "c": "passed", "d": "passed"}
    assert (ended["layer/unit"].outcome, ended["layer"].outcome) == ("failed", "failed")
    summary, *_ = run(tmp_path, unit, api, criteria={"min_pass_rate": 0.75, "max_failures": 1})
    assert summary.outcome == "passed"


def test_of_a_suite_that_takes_too_long_what_it_had_come_to_counts(tmp_path):
    line = "printf '1..3\\nok 1 - a\\nok 2 - b\\n'; sleep 600"
    slow = suite("slow", line, policy=Policy(timeout=1.0, grace=0.2))
    summary, events, ended = run(tmp_path, slow)
    assert outcomes_of(events) == {"a": "passed", "b": "passed"}
    assert (summary.outcome, ended["layer/slow"].outcome) == ("errored", "timed_out")
    assert ended["layer"].failure.message == "slow timed out"
    summary, *_ = run(tmp_path, slow, criteria={"allow_partial": True})
    assert summary.outcome == "passed"


def test_a_critical_test_fails_the_layer_of_lenient_criteria(tmp_path):
    lenient = {"min_pass_rate": 0.0, "max_failures": 9}
    line = "echo 1..2; echo ok 1 - a; echo not ok 2 - login; exit 1"
    assert run(tmp_path, suite("unit", line, criteria=lenient), criteria=lenient)[0].outcome == "passed"
    critical = {**lenient, "critical": ["login"]}
    assert run(tmp_path, suite("unit", line, criteria=critical), criteria=critical)[0].outcome == "failed"
