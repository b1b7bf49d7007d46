import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.analysis.statistics import Statistics, summarise
from podium.events import OUTCOMES
from podium.history import RunRow, StepRow


def run(run_id="r1", outcome="passed", *, definition="d"):
    return RunRow(
        id=run_id,
        work="campaign",
        name="c",
        parent=None,
        definition=definition,
        steps=1,
        slots=1,
        seed=0,
        options={},
        engine="",
        started_us=0,
        finished_us=None,
        outcome=outcome,
        counts={},
        duration=None,
    )


def step(run="r1", name="case", outcome="passed", *, at=0, duration=1.0, output=None):
    return StepRow(run=run, name=name, outcome=outcome, attempts=1, finished_us=at, duration=duration, output=output)


def margins(*values):
    return {"criteria": [{"name": f"c{number}", "margin": value} for number, value in enumerate(values)]}


def case(steps, runs=(), name="case"):
    (found,) = [one for one in summarise(runs, steps).by_case if one.name == name]
    return found


def test_runs_and_cases_are_counted_by_outcome():
    statistics = summarise(
        [run("r1"), run("r2", "failed"), run("r3", None), run("r4")],
        [step("r1"), step("r2", outcome="failed"), step("r2", "other"), step("r4", outcome="skipped")],
    )
    assert statistics.runs == {"passed": 2, "failed": 1, "unfinished": 1}
    assert statistics.cases == {"passed": 2, "failed": 1, "skipped": 1}
    assert statistics.pass_rate == 0.5


def test_an_empty_history_has_a_pass_rate_of_zero():
    assert summarise([], []) == Statistics({}, {}, 0.0, (), (), ())


def test_a_case_has_its_own_pass_rate():
    steps = [step("r1"), step("r2", outcome="errored"), step("r3"), step("r4"), step("r1", "other", "failed")]
    found = case(steps)
    assert (found.runs, found.passed, found.pass_rate) == (4, 3, 0.75)
    assert case(steps, name="other").pass_rate == 0.0


def test_durations_have_median_and_95th_percentile():
    found = case([step(duration=float(seconds)) for seconds in reversed(range(100))])
    assert (found.median_s, found.p95_s) == (49.5, 95.0)


def test_a_case_that_never_ran_has_no_durations():
    statistics = summarise([run()], [step(outcome="skipped", duration=None)])
    assert (statistics.by_case[0].median_s, statistics.by_case[0].p95_s) == (None, None)
    assert statistics.longest == ()


def test_the_last_outcome_is_of_the_one_that_finished_last():
    assert case([step(at=2, outcome="failed"), step(at=3, outcome="timed_out"), step(at=1)]).last_outcome == "timed_out"


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a2", "a10", "b1"],
        ["one[seed=2]", "one[seed=10]", "one[seed=100]", "two[seed=1]"],
        ["1.yaml", "02.yaml", "2.yaml", "10.yaml", "x.yaml"],
        ["s[p=0.05]", "s[p=0.25]", "s[p=0.5]", "s[p=1]", "s[p=1.5]", "s[p=12]"],
        ["7", "7a", "a"],
        ["n" + "9" * 5000, "n1" + "0" * 5000],
    ],
)
def test_cases_are_in_natural_order(names):
    for given_ in (names, names[::-1]):
        found = summarise([run()], [step(name=name) for name in given_])
        assert [one.name for one in found.by_case] == names
        assert list(found.longest) == names
        flaky = [step(name=name, outcome=outcome) for name in given_ for outcome in ("passed", "failed")]
        assert list(summarise([run()], flaky).flaky) == names


@given(st.lists(st.text("a1.0[=²٣", max_size=8), unique=True))
def test_any_names_have_an_order_that_does_not_depend_on_where_they_came_from(names):
    found = [
        [one.name for one in summarise([], [step(name=name) for name in given_]).by_case]
        for given_ in (names, names[::-1])
    ]
    assert found[0] == found[1]
    assert sorted(found[0]) == sorted(names)


def test_the_worst_margins_are_the_smallest_of_all_runs_each_criterion_for_itself():
    steps = [step(output=margins(4.0, None)), step(output=margins(9.0, -2)), step(output="text"), step()]
    assert case(steps).worst_margins == {"c0": 4.0, "c1": -2.0}


def test_a_case_without_margins_has_no_worst_margins():
    assert case([step(output=margins(None)), step(output={"criteria": 3})]).worst_margins == {}


def test_the_longest_cases_come_longest_first():
    steps = [step(name=name, duration=seconds) for name, seconds in [("b", 2.0), ("a", 2.0), ("c", 9.0), ("d", 1.0)]]
    assert summarise([], steps).longest == ("c", "a", "b", "d")
    assert summarise([], steps, longest=2).longest == ("c", "a")


@pytest.mark.parametrize(
    ("outcomes", "flaky"),
    [
        (["passed", "failed"], True),
        (["passed", "timed_out"], True),
        (["passed", "passed"], False),
        (["failed", "errored"], False),
        (["passed", "skipped", "cancelled"], False),
    ],
)
def test_a_case_is_flaky_if_it_passed_and_did_not_under_the_same_definition(outcomes, flaky):
    runs = [run(f"r{number}") for number in range(len(outcomes))]
    statistics = summarise(runs, [step(one.id, outcome=outcome) for one, outcome in zip(runs, outcomes, strict=True)])
    assert statistics.by_case[0].flaky is flaky
    assert statistics.flaky == (("case",) if flaky else ())


def test_a_case_that_changed_with_its_definition_is_not_flaky():
    runs = [run("r1", definition="before"), run("r2", definition="after")]
    assert not case([step("r1"), step("r2", outcome="failed")], runs).flaky


def test_steps_of_unknown_runs_do_not_make_a_case_flaky():
    assert not case([step("x"), step("y", outcome="failed")]).flaky


def test_statistics_survive_json():
    statistics = summarise([run()], [step(output=margins(1.5)), step(name="b", outcome="skipped", duration=None)])
    assert msgspec.json.decode(msgspec.json.encode(statistics), type=Statistics) == statistics


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(OUTCOMES), st.none() | st.floats(0, 1e6))))
def test_the_cases_add_up(history):
    statistics = summarise([], [step(name=name, outcome=outcome, duration=d) for name, outcome, d in history])
    assert sum(statistics.cases.values()) == sum(one.runs for one in statistics.by_case) == len(history)
    assert statistics.cases.get("passed", 0) == sum(one.passed for one in statistics.by_case)
    assert [one.name for one in statistics.by_case] == sorted({name for name, _, _ in history})
    for one in statistics.by_case:
        assert one.median_s is None or one.median_s <= one.p95_s
