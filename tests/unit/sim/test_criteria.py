import operator
from itertools import groupby
from math import inf, isnan, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.model.scenario import Criterion, Threshold
from podium.sim.comparisons import OPERATORS, badness
from podium.sim.criteria import Criteria, condition, monitor_of

SECOND = 1_000_000_000
KINDS = ("always", "eventually", "within", "at_end")
COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def criterion(kind, op="<", value=10.0, **options):
    return Criterion("c", kind, Threshold("N.x", op, value), **options)


def judge(watched, *values, times=None, end=None):
    """Return the verdict on a signal that has the given values at 0, 1, 2, ... s."""
    times = times or [index * SECOND for index in range(len(values))]
    end = end if end is not None else times[-1] if times else 0
    now = {}
    criteria = Criteria([monitor_of(watched, lambda: now["value"])])
    for time, value in zip(times, values, strict=True):
        now["value"] = value
        criteria.watch(time, end=time == end)
    return criteria.verdicts(end)[0]


@pytest.mark.parametrize(
    ("kind", "values", "outcome"),
    [
        ("always", (1, 9, 9.9), "passed"),
        ("always", (1, 10, 1), "failed"),
        ("eventually", (11, 9, 11), "passed"),
        ("eventually", (11, 10, 11), "failed"),
        ("within", (1, 11, 11, 1), "passed"),
        ("within", (1, 11, 11, 11, 1), "failed"),
        ("at_end", (11, 11, 1), "passed"),
        ("at_end", (1, 1, 11), "failed"),
    ],
)
def test_each_kind_can_pass_and_can_fail(kind, values, outcome):
    assert judge(criterion(kind, limit_ns=2 * SECOND), *values).outcome == outcome


@pytest.mark.parametrize("kind", KINDS)
def test_a_criterion_that_was_never_evaluated_is_errored(kind):
    verdict = judge(criterion(kind))
    assert (verdict.outcome, verdict.evaluations, verdict.worst, verdict.margin) == ("errored", 0, None, None)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_window_in_which_nothing_was_evaluated_is_errored(kind):
    between = criterion(kind, start_ns=SECOND // 4, end_ns=SECOND // 2)
    assert judge(between, 1, 1, 1).outcome == "errored"
    assert judge(criterion(kind, start_ns=3 * SECOND), 1, 1, 1).outcome == "errored"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("signal", "value", "unit"),
    [
        ("SAT1.battery.temperature", 65.0, "degC"),
        ("SAT1.battery.soc", 0.4, ""),
        ("G.received", 3.0, ""),
        ("SAT1.mode", "nominal", ""),
        ("N.unknown", 1.0, ""),
    ],
)
def test_a_verdict_knows_the_unit_of_its_values_and_does_not_store_it(kind, signal, value, unit):
    watched = Criterion("c", kind, Threshold(signal, "==", value))
    verdict = judge(watched, value, value)
    assert verdict.unit == ("s" if kind == "within" else unit)
    assert judge(watched).unit == verdict.unit
    assert "unit" not in msgspec.to_builtins(verdict)


def test_a_value_that_was_not_read_at_the_very_end_is_no_evidence_for_the_end():
    monitor = monitor_of(criterion("at_end"), lambda: 1.0)
    monitor.watch(2 * SECOND)
    assert monitor.verdict(3 * SECOND).outcome == "errored"
    assert monitor.verdict(2 * SECOND).outcome == "passed"


@pytest.mark.parametrize(
    ("op", "values", "reported"),
    [
        ("<", (8, 10, 12, 12, 9), (12, 2, -2, 1)),
        ("<=", (8, 10, 12, 12, 9), (12, 2, -2, 2)),
        (">", (12, 10, 8, 8, 11), (8, 2, -2, 1)),
        (">=", (12, 10, 8, 8, 11), (8, 2, -2, 2)),
        ("==", (10, 10, 7, 12, 10), (7, 2, -3, 2)),
        ("!=", (14, 7, 9, 10, 10), (10, 3, 0, 3)),
    ],
)
def test_always_reports_the_worst_value_its_time_its_margin_and_the_first_violation(op, values, reported):
    verdict = judge(criterion("always", op), *values)
    assert verdict.outcome == "failed"
    assert (verdict.worst, verdict.worst_at_s, verdict.margin, verdict.first_violation_s) == reported
    assert verdict.evaluations == 5


@pytest.mark.parametrize(
    ("op", "values", "worst", "at", "margin"),
    [
        ("<", (1, 9, 3), 9, 1, 1),
        ("<=", (1, 10, 3), 10, 1, 0),
        (">", (19, 11, 13), 11, 1, 1),
        (">=", (19, 10, 13), 10, 1, 0),
        ("==", (10, 10, 10), 10, 0, 0),
        ("!=", (19, 9, 13), 9, 1, 1),
    ],
)
def test_always_that_passed_reports_how_close_it_came(op, values, worst, at, margin):
    verdict = judge(criterion("always", op), *values)
    assert (verdict.outcome, verdict.first_violation_s) == ("passed", None)
    assert (verdict.worst, verdict.worst_at_s, verdict.margin) == (worst, at, margin)


@pytest.mark.parametrize(
    ("op", "values", "best", "at", "margin"),
    [
        ("<", (12, 7, 9), 7, 1, 3),
        (">", (8, 13, 11), 13, 1, 3),
        ("==", (12, 10, 10), 10, 1, 0),
        ("!=", (10, 4, 12), 4, 1, 6),
    ],
)
def test_eventually_reports_the_best_value_and_when_it_first_did_not_hold(op, values, best, at, margin):
    verdict = judge(criterion("eventually", op), *values)
    assert (verdict.outcome, verdict.first_violation_s) == ("passed", 0)
    assert (verdict.worst, verdict.worst_at_s, verdict.margin) == (best, at, margin)


def test_eventually_that_failed_has_no_positive_margin():
    assert judge(criterion("eventually"), 14, 12, 13).margin == -2
    assert judge(criterion("eventually"), 14, 10, 13).margin == 0


def test_at_end_reports_the_last_value():
    verdict = judge(criterion("at_end"), 20, 1, 13)
    assert (verdict.worst, verdict.worst_at_s, verdict.margin, verdict.evaluations) == (13, 2, -3, 1)
    assert verdict.first_violation_s == 2


@pytest.mark.parametrize("op", ["==", "<=", ">="])
@pytest.mark.parametrize("kind", ["always", "eventually", "at_end"])
def test_a_margin_of_nothing_is_no_negative_zero(kind, op):
    assert str(judge(criterion(kind, op), 10.0).margin) == "0.0"


def test_within_reports_the_longest_violation_its_beginning_and_what_was_left_of_the_limit():
    verdict = judge(criterion("within", limit_ns=4 * SECOND), 1, 11, 1, 11, 11, 11, 1, 11, 11, 1)
    assert (verdict.outcome, verdict.worst, verdict.worst_at_s, verdict.margin) == ("passed", 3, 3, 1)
    assert (verdict.first_violation_s, verdict.evaluations) == (1, 10)


def test_within_passes_at_exactly_the_limit_and_fails_one_nanosecond_later():
    watched = criterion("within", limit_ns=2 * SECOND)
    assert judge(watched, 11, 1, times=[0, 2 * SECOND]).outcome == "passed"
    late = judge(watched, 11, 1, times=[0, 2 * SECOND + 1])
    assert (late.outcome, late.margin) == ("failed", pytest.approx(-1e-9, rel=1e-6))


@pytest.mark.parametrize(("limit", "outcome"), [(1, "failed"), (2, "errored"), (3, "errored")])
def test_a_violation_still_open_at_the_end_fails_only_if_it_is_too_long_already(limit, outcome):
    verdict = judge(criterion("within", limit_ns=limit * SECOND), 1, 11, 11, 11)
    assert (verdict.outcome, verdict.worst, verdict.worst_at_s, verdict.margin) == (outcome, 2, 1, limit - 2)


def test_an_open_violation_does_not_excuse_an_earlier_one_that_was_too_long():
    assert judge(criterion("within", limit_ns=SECOND), 11, 11, 11, 1, 11).outcome == "failed"


def test_a_violation_is_measured_to_the_end_of_the_window_only():
    watched = criterion("within", limit_ns=2 * SECOND, end_ns=2 * SECOND)
    verdict = judge(watched, 1, 11, 11, 11, 11, 11)
    assert (verdict.outcome, verdict.worst, verdict.evaluations) == ("errored", 1, 3)


@pytest.mark.parametrize(
    ("start", "end", "outcome", "evaluations"),
    [(0, None, "failed", 6), (2, None, "failed", 4), (3, None, "passed", 3), (0, 1, "passed", 2), (0, 2, "failed", 3)],
)
def test_a_window_includes_both_its_ends_and_nothing_else(start, end, outcome, evaluations):
    watched = criterion("always", start_ns=start * SECOND, end_ns=None if end is None else end * SECOND)
    verdict = judge(watched, 1, 1, 11, 1, 1, 1)
    assert (verdict.outcome, verdict.evaluations) == (outcome, evaluations)


def test_what_would_satisfy_eventually_outside_its_window_does_not_count():
    assert judge(criterion("eventually", start_ns=2 * SECOND), 1, 1, 11, 11).outcome == "failed"
    assert judge(criterion("eventually", end_ns=SECOND), 11, 11, 1, 1).outcome == "failed"


@pytest.mark.parametrize(
    ("kind", "op", "words", "reported"),
    [
        ("always", "==", ("nominal", "safe", "nominal"), ("failed", "safe", 1, 1)),
        ("always", "==", ("nominal", "nominal"), ("passed", "nominal", 0, None)),
        ("always", "!=", ("safe", "nominal"), ("failed", "nominal", 1, 1)),
        ("eventually", "==", ("safe", "safe"), ("failed", "safe", 0, 0)),
        ("eventually", "==", ("safe", "nominal"), ("passed", "nominal", 1, 0)),
        ("at_end", "==", ("nominal", "safe"), ("failed", "safe", 1, 1)),
        ("at_end", "==", ("safe", "nominal"), ("passed", "nominal", 1, None)),
    ],
)
def test_words_are_compared_and_have_no_margin(kind, op, words, reported):
    verdict = judge(criterion(kind, op, "nominal"), *words)
    assert (verdict.outcome, verdict.worst, verdict.worst_at_s, verdict.first_violation_s) == reported
    assert verdict.margin is None


def test_within_measures_words_too():
    watched = criterion("within", "==", "nominal", limit_ns=SECOND)
    assert judge(watched, "nominal", "safe", "nominal").outcome == "passed"
    assert judge(watched, "nominal", "safe", "safe", "nominal").margin == -1


@pytest.mark.parametrize("op", list(COMPARE))
def test_nothing_that_is_no_number_holds(op):
    assert OPERATORS[op](nan, 10.0) is False


@pytest.mark.parametrize("op", list(COMPARE))
@pytest.mark.parametrize("kind", ["always", "eventually", "at_end", "within"])
def test_a_signal_that_is_no_number_fails_every_criterion(kind, op):
    verdict = judge(criterion(kind, op, limit_ns=SECOND), nan, nan, nan)
    assert (verdict.outcome, verdict.first_violation_s) == ("failed", 2 if kind == "at_end" else 0)
    if kind != "within":
        assert (verdict.worst, verdict.margin) == (None, None)


def test_one_value_that_is_no_number_is_the_worst_of_always():
    verdict = judge(criterion("always"), 1, nan, 50)
    assert (verdict.outcome, verdict.worst, verdict.worst_at_s, verdict.margin) == ("failed", None, 1, None)
    assert verdict.first_violation_s == 1


def test_one_value_that_is_no_number_does_not_keep_eventually_from_passing():
    verdict = judge(criterion("eventually"), nan, 7, nan)
    assert (verdict.outcome, verdict.worst, verdict.margin) == ("passed", 7, 3)


def test_all_criteria_are_judged_independently_and_keep_their_order():
    values = {"x": 1.0}
    watched = [criterion("at_end"), criterion("always", ">"), criterion("within"), criterion("eventually")]
    criteria = Criteria([monitor_of(c, lambda: values["x"]) for c in watched])
    criteria.watch(0, end=False)
    assert criteria.holding() == [True, False, True, True]
    assert [verdict.evaluations for verdict in criteria.verdicts(SECOND)] == [0, 1, 1, 1]
    criteria.watch(SECOND, end=True)
    verdicts = criteria.verdicts(SECOND)
    assert [verdict.kind for verdict in verdicts] == ["at_end", "always", "within", "eventually"]
    assert [verdict.outcome for verdict in verdicts] == ["passed", "failed", "passed", "passed"]
    assert [verdict.evaluations for verdict in verdicts] == [1, 2, 2, 2]


def test_the_condition_is_written_in_the_unit_of_the_signal():
    assert condition(criterion("always", ">=", 0.4)) == "N.x >= 0.4"
    assert condition(criterion("always", "==", "nominal")) == "N.x == nominal"


@pytest.mark.parametrize(("op", "word"), [("==", "safe"), ("!=", "safe")])
def test_words_hold_or_do_not(op, word):
    score = badness(Threshold("N.mode", op, word))
    assert sorted({score("safe"), score("nominal")}) == [-1.0, 1.0]


# A plain reference: the whole signal is there, and every question is asked of it as a whole.


def reference(watched, samples, end):
    """Return (outcome, worst, worst_at, first) by looking at all samples `(time, value)` at once."""
    limit, op = watched.threshold.value, watched.threshold.op
    last = end if watched.end_ns is None else min(end, watched.end_ns)
    inside = [(t, v) for t, v in samples if watched.start_ns <= t <= last]
    if watched.kind == "at_end":
        inside = [(t, v) for t, v in samples if t == end]
    if not inside:
        return ("errored", None, None, None)
    holds = [not isnan(v) and COMPARE[op](v, limit) for _, v in inside]
    first = next((t for (t, _), held in zip(inside, holds, strict=True) if not held), None)
    if watched.kind == "within":
        return (*reference_within(watched, inside, holds, last), first)
    beyond = [reference_distance(op, v, limit) for _, v in inside]
    if watched.kind == "eventually":
        outcome, extreme = any(holds), min(beyond)
    else:
        outcome, extreme = all(holds), max(beyond)
    at, worst = inside[beyond.index(extreme)]
    if isnan(worst):
        worst = None
        at = None if watched.kind == "eventually" else at
    return ("passed" if outcome else "failed", worst, at, first)


def reference_distance(op, value, limit):
    if isnan(value):
        return inf
    signed = {"<": value - limit, "<=": value - limit, ">": limit - value, ">=": limit - value}
    return signed.get(op, abs(value - limit) * (1 if op == "==" else -1))


def reference_within(watched, inside, holds, last):
    lengths = []
    closed = True
    for held, group in groupby(range(len(inside)), key=holds.__getitem__):
        indices = list(group)
        if not held:
            closed = indices[-1] + 1 < len(inside)
            until = inside[indices[-1] + 1][0] if closed else last
            lengths.append((until - inside[indices[0]][0], inside[indices[0]][0]))
    longest = max((length for length, _ in lengths), default=0)
    outcome = "failed" if longest > watched.limit_ns else "passed" if closed else "errored"
    at = next(start for length, start in lengths if length == longest) if longest else None
    return outcome, longest / 1e9, at


@st.composite
def watched_signals(draw):
    gaps = draw(st.lists(st.integers(1, 4), min_size=1, max_size=12))
    times = [sum(gaps[:index]) * SECOND // 2 for index in range(len(gaps))]
    number = st.integers(-3, 3).map(float)
    values = draw(st.lists(number | st.just(nan), min_size=len(gaps), max_size=len(gaps)))
    moment = st.integers(0, times[-1] // SECOND + 1).map(lambda second: second * SECOND)
    watched = criterion(
        draw(st.sampled_from(KINDS)),
        draw(st.sampled_from(list(COMPARE))),
        draw(number),
        limit_ns=draw(moment),
    )
    if watched.kind != "at_end":
        watched = msgspec.structs.replace(watched, start_ns=draw(moment), end_ns=draw(st.none() | moment))
    return watched, list(zip(times, values, strict=True))


@given(watched_signals())
def test_verdicts_equal_those_of_a_plain_reference(case):
    watched, samples = case
    end = samples[-1][0]
    verdict = judge(watched, *(value for _, value in samples), times=[time for time, _ in samples], end=end)
    outcome, worst, at, first = reference(watched, samples, end)
    assert verdict.outcome == outcome
    assert verdict.worst == worst
    assert verdict.worst_at_s == (None if at is None else at / 1e9)
    assert verdict.first_violation_s == (None if first is None else first / 1e9)
    if watched.kind == "within":
        assert verdict.margin == (None if worst is None else pytest.approx(watched.limit_ns / 1e9 - worst))
    elif worst is not None:
        assert verdict.margin == -reference_distance(watched.threshold.op, worst, watched.threshold.value)
        assert (verdict.margin >= 0) or verdict.outcome == "failed"
