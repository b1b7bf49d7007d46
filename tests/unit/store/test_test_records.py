"""What the store keeps about single tests: a history that outlives the runs, and what did not simply pass in each."""

import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.errors import StoreError
from podium.events import AttemptStarted, RunFinished, RunStarted, StepFinished, TestsFinished
from podium.history import RECENT
from podium.store import Store
from podium.store.database import migrations
from podium.test_results import TEST_OUTCOMES, TestResult

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


class Run:
    """A run that is written event by event."""

    def __init__(self, store, name, at=0):
        self.store, self.name, self.at, self.seq = store, name, at, 1
        self.add(RunStarted(at_us=self.now, run=name, work="layers", name="n", definition="0", steps=1, slots=1))

    @property
    def now(self):
        return START + self.at * SECOND

    def add(self, *events):
        self.store.append(self.name, self.seq, events)
        self.seq += len(events)

    def tests(self, *results, step="unit", origin="", at=None):
        self.at = self.at if at is None else at
        token = 2
        self.add(
            AttemptStarted(at_us=self.now, step=step, number=1, token=token),
            TestsFinished(at_us=self.now, step=step, token=token, results=results, origin=origin),
        )
        return self

    def end(self):
        self.add(
            StepFinished(at_us=self.now, step="unit", outcome="passed"),
            RunFinished(at_us=self.now, outcome="passed", counts={}, duration=1.0),
        )
        return self


def result(name="a", outcome="passed", duration=1.0, **more):
    return TestResult(name, outcome, duration, **more)


def rows(store):
    """Return the tables about tests as they stand in the file."""
    store.test_rows()
    tables = ("test", "test_outcome", "test_news")
    return {name: sorted(store._connection.execute(f"SELECT * FROM {name}")) for name in tables}


def recent(store, name="a"):
    return {row.id: row.recent for row in store.test_rows()}[name]


def test_the_history_of_a_test_counts_runs_and_says_when_it_last_ran_and_did_not_pass(store):
    Run(store, "r1", at=10).tests(result()).end()
    Run(store, "r2", at=20).tests(result(outcome="failed")).end()
    Run(store, "r3", at=30).tests(result(flaky=True)).end()
    record = store.tests("")["a"]
    assert (record.runs, record.failures, record.flaky, record.outcome) == (3, 1, 1, "passed")
    assert (record.last_us, record.last_bad_us) == (START + 30 * SECOND, START + 20 * SECOND)
    assert recent(store) == ".F~"


def test_a_test_that_says_when_it_ended_is_believed(store):
    Run(store, "r1", at=10).tests(result(outcome="errored", finished_us=START + 7)).end()
    record = store.tests("")["a"]
    assert (record.last_us, record.last_bad_us) == (START + 7, START + 7)


@pytest.mark.parametrize(
    ("outcome", "runs", "failures", "sign"),
    [
        ("passed", 1, 0, "."),
        ("failed", 1, 1, "F"),
        ("errored", 1, 1, "E"),
        ("timed_out", 1, 1, "T"),
        ("skipped", 0, 0, "s"),
        ("xfailed", 1, 0, "x"),
        ("xpassed", 1, 0, "X"),
    ],
)
def test_every_outcome_counts_as_what_it_is(store, outcome, runs, failures, sign):
    Run(store, "r1").tests(result(outcome=outcome)).end()
    record = store.tests("")["a"]
    assert (record.runs, record.failures, record.outcome, recent(store)) == (runs, failures, outcome, sign)


def test_the_expected_duration_is_a_mean_at_first_and_then_follows_recent_runs(store):
    durations = [4.0, 2.0, 3.0]
    for number, duration in enumerate(durations):
        Run(store, f"r{number}").tests(result(duration=duration)).end()
    assert store.tests("")["a"].duration == pytest.approx(sum(durations) / 3)
    for number in range(20):
        Run(store, f"new{number}").tests(result(duration=10.0)).end()
    assert store.tests("")["a"].duration == pytest.approx(10.0, rel=0.01)


def test_what_was_skipped_or_could_not_be_told_does_not_change_the_expected_duration(store):
    Run(store, "r1").tests(result(outcome="skipped", duration=0.001)).end()
    Run(store, "r2").tests(result(outcome="errored", duration=0.001)).end()
    assert store.tests("")["a"].duration == 0.0
    Run(store, "r3").tests(result(duration=8.0)).end()
    Run(store, "r4").tests(result(outcome="errored", duration=0.001)).end()
    assert store.tests("")["a"].duration == 8.0


def test_of_many_runs_the_last_are_kept_one_by_one(store):
    for number in range(RECENT + 5):
        Run(store, f"r{number}").tests(result(outcome="failed" if number < 6 else "passed")).end()
    assert recent(store) == "F" + "." * (RECENT - 1)
    assert store.tests("")["a"].failures == 6


def test_tests_of_different_origins_do_not_mix(store):
    run = Run(store, "r1")
    run.tests(result(duration=1.0), origin="")
    run.tests(result(duration=5.0), result("b"), origin="backend", step="backend").end()
    assert {name: record.duration for name, record in store.tests("").items()} == {"a": 1.0}
    assert {name: record.duration for name, record in store.tests("backend").items()} == {"a": 5.0, "b": 1.0}
    assert store.tests("elsewhere") == {}


def test_results_of_a_run_under_way_or_left_by_a_crash_count_as_soon_as_somebody_asks(store, path):
    run = Run(store, "r1").tests(result(), result("b", "failed"))
    assert set(store.tests("")) == {"a", "b"}
    assert [test.result.id for test in store.not_passed("r1")] == ["b"]
    run.tests(result("c", "failed"))
    with closing(Store.open(path)) as other:
        assert [row.id for row in other.test_rows(troubled=True)] == ["b", "c"]
    run.end()
    assert {name: record.runs for name, record in store.tests("").items()} == {"a": 1, "b": 1, "c": 1}


def test_tests_that_simply_pass_leave_no_row_in_their_run(store):
    Run(store, "r1").tests(*(result(outcome, outcome) for outcome in TEST_OUTCOMES), result("flaky", flaky=True)).end()
    found = {test.result.id: test.result for test in store.not_passed("r1")}
    assert list(found) == sorted({*TEST_OUTCOMES, "flaky"} - {"passed"})
    assert found["flaky"].flaky
    assert found["failed"].outcome == "failed"


def test_what_did_not_pass_comes_with_all_that_was_said_of_it(store):
    said = result(outcome="failed", message="1 != 2", details="line 1\nline 2", file="t.py", line=7, markers=("slow",))
    Run(store, "r1").tests(said, origin="backend", step="api").end()
    (test,) = store.not_passed("r1")
    assert (test.step, test.origin, test.result) == ("api", "backend", said)
    assert store.not_passed("r2") == []


def test_the_latest_result_of_a_test_counts_and_earlier_passes_stand(store):
    run = Run(store, "r1").tests(result("a"), result("b", "failed"), result("c", "failed"), result("d", "skipped"))
    run.tests(result("b", duration=2.0), result("c", "errored"), result("d"), at=5).end()
    found = store.results_of("r1")
    assert {name: one.outcome for (_, name), one in found.items()} == {
        "a": "passed",
        "b": "passed",
        "c": "errored",
        "d": "passed",
    }
    assert {name for (_, name), one in found.items() if one.flaky} == {"b"}
    assert found["unit", "b"].duration == 2.0
    assert [(test.result.id, test.result.flaky) for test in store.not_passed("r1")] == [("b", True), ("c", False)]


def test_a_test_that_failed_once_in_a_run_stays_flaky_though_it_passes_twice(store):
    run = Run(store, "r1").tests(result(outcome="failed"))
    for at in range(3):
        run.tests(result(), at=at)
    run.end()
    assert store.results_of("r1")["unit", "a"].flaky
    assert [test.result.flaky for test in store.not_passed("r1")] == [True]


def test_the_same_test_in_two_steps_has_two_results(store):
    run = Run(store, "r1").tests(result(outcome="failed"), step="slow")
    run.tests(result(), step="fast").end()
    assert {place: one.outcome for place, one in store.results_of("r1").items()} == {
        ("slow", "a"): "failed",
        ("fast", "a"): "passed",
    }
    assert list(store.results_of("r1", "fast")) == [("fast", "a")]
    assert [test.step for test in store.not_passed("r1")] == ["slow"]
    assert store.tests("")["a"].flaky == 0


def test_deleting_a_run_takes_its_outcomes_and_leaves_the_history(store):
    Run(store, "r1").tests(result(outcome="failed")).end()
    Run(store, "crashed").tests(result("b", "failed"))
    Run(store, "r2", at=1000).tests(result()).end()
    store.delete_runs(START + 500 * SECOND, is_running=lambda _row: False)
    assert store.not_passed("r1") == store.not_passed("crashed") == []
    assert store.results_of("r1") == {}
    assert store._connection.execute("SELECT count(*) FROM test_outcome").fetchone() == (0,)
    assert (store.tests("")["a"].runs, store.tests("")["b"].failures) == (2, 1)


def test_rebuilding_keeps_what_was_learned_from_runs_that_are_deleted(store):
    Run(store, "r1").tests(result(outcome="failed"), result("gone")).end()
    Run(store, "r2", at=1000).tests(result(), result("new")).end()
    store.delete_runs(START + 500 * SECOND, is_running=lambda _row: False)
    before = store.test_rows()
    store.rebuild()
    assert store.test_rows() == before
    assert [row.id for row in before] == ["a", "gone", "new"]


def test_rebuilding_restores_what_was_damaged(store):
    Run(store, "r1").tests(result(outcome="failed"), result("b", flaky=True)).end()
    Run(store, "r2", at=5).tests(result(), result("b")).end()
    written = rows(store)
    store._connection.execute("UPDATE test SET failures = 0, duration = 99")
    store._connection.execute("DELETE FROM test_outcome WHERE id = 'b'")
    assert rows(store) != written
    store.rebuild()
    assert rows(store) == written


def test_a_store_of_an_earlier_version_learns_from_what_comes(path):
    with closing(sqlite3.connect(path)) as old:
        for script in migrations()[:2]:
            old.executescript(script)
        old.execute("PRAGMA user_version = 2")
    with closing(Store.open(path)) as store:
        Run(store, "r1").tests(result()).end()
        assert set(store.tests("")) == {"a"}


def test_a_batch_without_results_changes_nothing(store):
    Run(store, "r1").tests().end()
    assert rows(store) == {"test": [], "test_outcome": [], "test_news": []}


def test_a_file_that_refuses_is_a_store_error_and_what_is_new_is_not_lost(store):
    Run(store, "r1").tests(result(outcome="failed"))
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError) as caught:
        store.tests("")
    assert caught.value.diagnostics[0].code == "E515"
    store._connection.execute("PRAGMA query_only = OFF")
    assert store.tests("")["a"].failures == 1


batches = st.lists(
    st.builds(
        result,
        st.sampled_from("abcd"),
        st.sampled_from(TEST_OUTCOMES),
        st.floats(0.0, 100.0),
        flaky=st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.lists(batches, min_size=1, max_size=3), st.booleans()), min_size=1, max_size=3))
def test_rebuilt_tables_are_as_they_were_however_results_were_batched_and_whenever_they_were_asked_for(runs):
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, folder)
        store = stack.enter_context(closing(Store.open(folder / "a.db")))
        single = stack.enter_context(closing(Store.open(folder / "b.db")))
        for number, (batches, ends) in enumerate(runs):
            here, there = Run(store, f"r{number}", at=100 * number), Run(single, f"r{number}", at=100 * number)
            for at, batch in enumerate(batches):
                here.tests(*batch, at=100 * number + at)
                for one in batch:
                    there.tests(one, at=100 * number + at)
                    single.tests("")
            if ends:
                here.end()
                there.end()
        written = rows(store)
        assert rows(single)["test"] == written["test"]
        expected = {
            run: {(test.step, test.origin, test.result) for test in store.not_passed(run)} for run in ("r0", "r1")
        }
        for run, tests in expected.items():
            assert {(test.step, test.origin, test.result) for test in single.not_passed(run)} == tests
            for step, _, told in tests:
                assert store.results_of(run)[step, told.id] == told
        store.rebuild()
        assert rows(store) == written
