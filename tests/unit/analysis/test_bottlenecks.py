from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.analysis.bottlenecks import bottlenecks, critical_path, general_suggestions, slack, step_times
from podium.events import AttemptFinished, AttemptLost, AttemptScheduled, AttemptStarted, RunStarted, StepFinished
from podium.history import StepRow
from podium.plan.graph import Need, Plan, Step
from podium.protocols import Record, Work


def plan(**needs):
    """Return a plan: step name to the names it needs."""
    work = Work("value", {"value": 1})
    return Plan.of("p", [Step(name, work, needs=tuple(map(Need, before))) for name, before in needs.items()])


def at(seconds):
    return 1_000_000_000 + int(seconds * 1e6)


def started():
    return RunStarted(at_us=at(0), run="r", work="workflow", name="p", definition="d", steps=1, slots=1)


def attempt(step, begin, end, *, number=1, outcome="passed"):
    return [
        AttemptStarted(at_us=at(begin), step=step, number=number, token=number),
        AttemptFinished(at_us=at(end), step=step, token=number, outcome=outcome, duration=end - begin),
    ]


def done(step, begin, end, ready=None):
    return [*attempt(step, begin, end), StepFinished(at_us=at(end), step=step, outcome="passed")]


def records(*groups):
    events = [started(), *(event for group in groups for event in group)]
    return [Record(seq, event) for seq, event in enumerate(events, 1)]


def row(name, duration, outcome="passed"):
    return StepRow(run="old", name=name, outcome=outcome, attempts=1, finished_us=1, duration=duration)


DIAMOND = plan(a=[], b=["a"], c=["a"], d=["b", "c"])
TIMES = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 1.0}


def test_the_critical_path_and_the_slack_of_the_others():
    assert critical_path(DIAMOND, TIMES) == ["a", "b", "d"]
    assert slack(DIAMOND, TIMES) == {"a": 0, "b": 0, "c": 3, "d": 0}


def test_steps_that_were_not_done_take_no_time_and_are_not_named():
    assert critical_path(DIAMOND, {"a": 1.0, "c": 2.0}) == ["a", "c"]
    assert critical_path(DIAMOND, {}) == []
    assert critical_path(Plan("empty", ()), {}) == []
    assert slack(Plan("empty", ()), {}) == {}


@given(st.lists(st.tuples(st.floats(0, 10), st.sets(st.integers(0, 7))), min_size=1, max_size=8))
def test_the_critical_path_has_no_slack_and_is_as_long_as_the_longest(given):
    needs = {str(n): [str(need) for need in before if need < n] for n, (_, before) in enumerate(given)}
    durations = {str(n): duration for n, (duration, _) in enumerate(given)}
    ends = {}
    for name, before in needs.items():
        ends[name] = durations[name] + max((ends[need] for need in before), default=0.0)
    graph = plan(**needs)
    path, left = critical_path(graph, durations), slack(graph, durations)
    assert sum(durations[name] for name in path) == pytest.approx(max(ends.values()))
    assert all(left[name] == pytest.approx(0.0, abs=1e-9) for name in path)
    assert all(step in needs[after] for step, after in pairwise(path))
    assert min(left.values()) >= 0


def test_waiting_is_told_from_running():
    journal = records(
        done("a", 0.5, 1.5),
        attempt("b", 2, 3, outcome="failed"),
        [AttemptScheduled(at_us=at(3), step="b", number=2, not_before_us=at(5), delay=2, reason="retry")],
        attempt("b", 5, 6, number=2),
        [StepFinished(at_us=at(6), step="b", outcome="passed", attempts=2)],
    )
    a, b = step_times(plan(a=[], b=["a"], c=["b"]), journal).values()
    assert (a.ready_s, a.finished_s, a.running_s, a.waiting_s, a.attempts) == (0, 1.5, 1, 0.5, 1)
    assert (b.ready_s, b.finished_s, b.running_s, b.waiting_s, b.attempts) == (1.5, 6, 2, 2.5, 2)


def test_lost_attempts_count_as_running():
    journal = records(
        [AttemptStarted(at_us=at(1), step="a", number=1, token=1)],
        [AttemptLost(at_us=at(3), step="a", token=1, reason="killed")],
        done("a", 3, 4),
    )
    (times,) = step_times(plan(a=[]), journal).values()
    assert (times.running_s, times.waiting_s) == (3, 1)


def test_steps_that_were_left_out_are_not_named():
    skipped = [StepFinished(at_us=at(1), step="b", outcome="skipped", attempts=0)]
    journal = records(done("a", 0, 1), skipped, done("c", 1, 1.5), done("d", 1.5, 2))
    found = bottlenecks(DIAMOND, journal)
    assert found.critical_path == ("a", "c", "d")
    assert [step.times.name for step in found.steps] == ["a", "c", "d"]


def test_a_run_beside_its_history():
    journal = records(done("a", 0, 1), done("b", 1, 10), done("c", 1, 2), done("d", 10, 11))
    history = [row("b", 2.0), row("b", 4.0), row("b", 3.0), row("b", 99.0, "failed"), row("a", 1.0), row("x", 1.0)]
    found = bottlenecks(DIAMOND, journal, history)
    assert (found.duration_s, found.critical_path, found.critical_s) == (11, ("a", "b", "d"), 11)
    a, b, c, d = found.steps
    assert (b.mean_s, b.p95_s, b.is_critical, b.share) == (3, 4, True, 9 / 11)
    assert (a.mean_s, d.mean_s, d.p95_s) == (1, None, None)
    assert (c.is_critical, c.slack_s, c.share) == (False, 8, 0)
    assert found.suggestions == (
        "step `b` takes 82% of the critical path: make it faster first",
        "step `b` took 9 s, and 95 % of its earlier runs at most 4 s",
    )


def test_suggestions_about_waiting_and_about_a_chain():
    chain = plan(a=[], b=["a"], c=["b"])
    journal = records(
        done("a", 3, 4),
        attempt("b", 4, 5, outcome="failed"),
        attempt("b", 8, 9, number=2),
        [StepFinished(at_us=at(9), step="b", outcome="passed", attempts=2)],
        done("c", 9, 11),
    )
    assert bottlenecks(chain, journal).suggestions == (
        "step `a` waited 3 s to run for 1 s: give the run more slots or resources",
        "step `b` waited 3 s in 2 attempts that took 2 s: look at why it failed, or shorten its waits",
        "all 3 steps run one after another: consider parallel execution of independent steps",
    )


def test_a_run_of_which_nothing_is_done():
    found = bottlenecks(DIAMOND, records())
    assert (found.duration_s, found.critical_path, found.steps, found.suggestions) == (0, (), (), ())


def test_general_suggestions_have_thresholds():
    assert [len(general_suggestions(mean, n)) for mean, n in ((500, 10), (501, 10), (1001, 10), (1001, 11))] == [
        0,
        1,
        2,
        3,
    ]
