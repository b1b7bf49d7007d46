"""Which of the tests that were found are run."""

import subprocess
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.errors import UsageError
from podium.executors.changes import Snapshot, impact_since, remember, snapshot
from podium.executors.found import FoundTest
from podium.executors.selecting import select
from podium.plan.suites import CommandSuite, PytestSuite, Selection
from podium.protocols import TestRecord

WEEK = 7 * 24 * 3_600_000_000
FULL_RUN = 8 * WEEK
"""When the last full run of a project began [us since the Unix epoch]."""


def found_in(*names):
    return [FoundTest(f"tests/test_{name}.py::test_it", f"tests/test_{name}.py") for name in names]


def chosen(found, records=None, *, project, suite=PytestSuite, workers=None, **selection):
    more = {} if workers is None else {"workers": workers}
    return selected(found, suite(selection=Selection(**selection), **more), records or {}, project)


def selected(found, suite, records, project):
    return select(found, suite, records, project=project, impact_since=partial(impact_since, project))


def keep(project):
    """Remember what there is as what the last full run saw."""
    remember(project, Snapshot(snapshot(project), FULL_RUN))


def names(choice):
    return [test.removeprefix("tests/test_").removesuffix(".py::test_it") for test in choice.ids]


@pytest.fixture
def project(tmp_path):
    """A project with three modules, each with its tests, of which a full run has seen everything."""
    for name in "abc":
        for path, text in ((f"src/{name}.py", ""), (f"tests/test_{name}.py", f"import {name}")):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text)
    keep(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return tmp_path_factory.mktemp("empty")


def passed(*names, duration=1.0):
    return {test.id: TestRecord(duration, "passed", runs=10, last_us=WEEK * 9) for test in found_in(*names)}


def test_without_a_selection_all_tests_are_run(tmp_path):
    choice = chosen(found_in("b", "a"), project=tmp_path)
    assert (names(choice), choice.left_out, choice.notes) == (["b", "a"], 0, ())


def test_only_named_tests_are_run_in_the_order_found_and_those_gone_are_named(tmp_path):
    choice = chosen(
        found_in("a", "b", "c"), project=tmp_path, only=("tests/test_c.py::test_it", "tests/test_a.py::test_it")
    )
    assert (names(choice), choice.left_out, choice.notes) == (["a", "c"], 1, ())
    choice = chosen(found_in("a", "b"), project=tmp_path, only=("tests/test_b.py::test_it", "1", "2", "3", "4", "4"))
    assert (names(choice), choice.left_out) == (["b"], 1)
    assert choice.notes == ("4 tests are not found any more: 1, 2, 3 and 1 more",)
    choice = chosen(found_in("a"), project=tmp_path, only=("x",))
    assert (choice.ids, choice.notes) == ((), ("1 test is not found any more: x",))


def test_only_what_a_change_may_affect_is_run(project):
    (project / "src/a.py").write_text("x = 1")
    choice = chosen(found_in("a", "b", "c"), passed("a", "b", "c"), project=project, changed=True)
    assert (names(choice), choice.left_out) == (["a"], 2)
    assert choice.notes == ("2 of 3 test files cannot be affected by: src/a.py",)


def test_when_nothing_changed_nothing_but_failures_and_new_tests_is_run(project):
    records = passed("a", "b")
    records["tests/test_b.py::test_it"] = TestRecord(1.0, "failed")
    choice = chosen(found_in("a", "b", "c"), records, project=project, changed=True)
    assert names(choice) == ["b", "c"]
    why = "they failed or were skipped last time, or were not run since the last full run began"
    assert choice.notes == (
        "3 of 3 test files cannot come to anything else: no file changed",
        f"2 of their tests are run all the same: {why}",
    )


def test_a_test_that_was_skipped_last_time_is_run_whatever_changed(project):
    records = passed("a", "b", "c")
    records["tests/test_b.py::test_it"] = TestRecord(1.0, "skipped", last_us=WEEK * 9)
    assert names(chosen(found_in("a", "b", "c"), records, project=project, changed=True)) == ["b"]


def test_a_test_that_was_not_run_since_the_last_full_run_began_is_run_whatever_changed(project):
    records = passed("a", "b", "c")
    for time_us, expected in ((FULL_RUN - 1, ["b"]), (FULL_RUN, [])):
        records["tests/test_b.py::test_it"] = TestRecord(1.0, "passed", last_us=time_us)
        assert names(chosen(found_in("a", "b", "c"), records, project=project, changed=True)) == expected


def test_without_a_full_run_to_compare_with_all_tests_are_run(project):
    (project / ".podium/seen.json").unlink()
    choice = chosen(found_in("a", "b"), passed("a", "b"), project=project, changed=True)
    assert (names(choice), choice.left_out) == (["a", "b"], 0)
    why = "no full run is remembered to compare with (the next run of all tests is)"
    assert choice.notes == (f"{why}: all tests are selected",)


def test_a_change_that_may_affect_everything_selects_everything_and_says_why(project):
    (project / "pyproject.toml").write_text("")
    choice = chosen(found_in("a", "b"), passed("a", "b"), project=project, changed=True)
    assert names(choice) == ["a", "b"]
    assert choice.notes == ("all tests are selected: pyproject.toml is neither Python nor documentation",)


def test_a_suite_below_the_project_has_its_files_there(tmp_path):
    for path, text in {"back/src/a.py": "", "back/tests/test_a.py": "import a", "back/tests/test_b.py": ""}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    keep(tmp_path)
    (tmp_path / "back/src/a.py").write_text("x = 1")
    selection = Selection(changed=True)
    for folder in ("back", str(tmp_path / "back")):
        choice = selected(found_in("a", "b"), PytestSuite(cwd=folder, selection=selection), passed("a", "b"), tmp_path)
        assert names(choice) == ["a"]
    choice = selected(found_in("a", "b"), PytestSuite(cwd="/", selection=selection), passed("a", "b"), tmp_path)
    assert names(choice) == ["a", "b"]


def test_tests_of_other_languages_count_as_affected(project):
    (project / "src/a.py").write_text("x = 1")
    found = [FoundTest("adds up", "web/cart.test.js"), FoundTest("no file")]
    records = {test.id: TestRecord(1.0, "passed") for test in found}
    assert chosen(found, records, project=project, suite=CommandSuite, changed=True).left_out == 0


def test_since_compares_with_a_revision_of_git(project):
    def git(*arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", project, *identity, *arguments], check=True, capture_output=True, timeout=30)

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    (project / "src/b.py").write_text("x = 1")
    choice = chosen(found_in("a", "b", "c"), passed("a", "b", "c"), project=project, changed=True, since="HEAD")
    assert names(choice) == ["b"]
    with pytest.raises(UsageError, match="`HEAD~9` is no revision of git") as raised:
        chosen(found_in("a"), project=project, changed=True, since="HEAD~9")
    assert raised.value.diagnostics[0].code == "U450"


def test_a_shard_says_how_much_it_is(tmp_path):
    choices = [chosen(found_in(*"abcd"), project=tmp_path, shard=(number, 2)) for number in (1, 2)]
    assert sorted(name for choice in choices for name in names(choice)) == list("abcd")
    assert [choice.left_out for choice in choices] == [2, 2]
    assert choices[0].notes == ("shard 1 of 2: 2 of 4 tests",)


def test_shards_are_balanced_by_recorded_durations_and_the_median_for_the_rest(tmp_path):
    records = passed("a", duration=30.0) | passed("b", "c", duration=10.0)
    shards = [set(names(chosen(found_in(*"abcd"), records, project=tmp_path, shard=(number, 2)))) for number in (1, 2)]
    assert shards == [{"a"}, {"b", "c", "d"}]


def test_a_budget_takes_failures_then_changed_code_then_new_tests_then_short_ones(project):
    (project / "src/b.py").write_text("x = 1")
    records = passed("a", duration=3.0) | passed("b", "e", "f", duration=3.0) | passed("d", duration=1.0)
    records["tests/test_a.py::test_it"] = TestRecord(3.0, "failed", runs=10, failures=1, last_us=9, last_bad_us=9)
    for path in ("d", "e", "f"):
        (project / f"tests/test_{path}.py").write_text("")
    keep(project)
    (project / "src/b.py").write_text("x = 2")
    found = found_in(*"febdca")
    for budget, expected in ((3, "a"), (6, "ba"), (9, "bca"), (10, "bdca"), (13, "ebdca"), (16, "febdca")):
        choice = chosen(found, records, project=project, budget=float(budget))
        assert "".join(names(choice)) == expected
        assert choice.left_out == len(found) - len(expected)


def test_a_budget_says_what_it_left_out(tmp_path):
    found = [FoundTest(f"t{number}", "a.py") for number in range(1000)]
    records = {test.id: TestRecord(0.3, "passed") for test in found}
    choice = chosen(found, records, project=tmp_path, budget=56.5)
    assert choice.left_out == 812
    assert choice.notes == ("left out 812 of 1,000 tests that need about 4 min more",)


@pytest.mark.parametrize(
    ("duration", "words"), [(0.001, "1 s"), (25.0, "25 s"), (90.0, "2 min"), (5400.0, "1.5 h"), (7200.0, "2.0 h")]
)
def test_missing_time_in_words(tmp_path, duration, words):
    records = passed("a", duration=duration)
    choice = chosen(found_in("a"), records, project=tmp_path, budget=0.0)
    assert choice.notes == (f"left out 1 of 1 tests that need about {words} more",)


def test_several_workers_have_more_time_and_repetitions_need_more(tmp_path):
    found, records = found_in(*"abcd"), passed(*"abcd", duration=2.0)
    assert len(chosen(found, records, project=tmp_path, budget=4.0).ids) == 2
    assert len(chosen(found, records, project=tmp_path, budget=4.0, workers=2).ids) == 4
    assert len(chosen(found, records, project=tmp_path, budget=4.0, repeat=2).ids) == 1


def test_a_budget_without_any_record_assumes_a_duration_and_says_so(tmp_path):
    choice = chosen(found_in(*"abcd"), project=tmp_path, budget=3.0)
    assert names(choice) == ["a", "b", "c"]
    assert choice.notes[0] == "no durations are known yet: 1 s is assumed for each test"


def test_a_failure_long_ago_is_no_reason_to_go_first(tmp_path):
    records = passed("a", duration=2.0) | passed("b", duration=0.5)
    for ago, expected in ((WEEK + 1, ["b"]), (WEEK - 1, ["a"])):
        records["tests/test_a.py::test_it"] = TestRecord(
            2.0, "passed", 10, 1, last_us=WEEK * 9, last_bad_us=WEEK * 9 - ago
        )
        assert names(chosen(found_in("a", "b"), records, project=tmp_path, budget=2.0)) == expected


def test_selections_are_taken_together(project):
    (project / "src/a.py").write_text("x = 1")
    (project / "src/b.py").write_text("x = 1")
    found, records = found_in("a", "b", "c"), passed("a", "b", "c")
    choice = chosen(found, records, project=project, changed=True, shard=(1, 2), budget=1.0)
    assert (len(choice.ids), choice.left_out) == (1, 2)
    assert [note.partition(" ")[0] for note in choice.notes] == ["1", "shard"]


@settings(deadline=None)
@given(durations=st.lists(st.floats(0.0, 20.0), max_size=30), budget=st.floats(0.0, 100.0), workers=st.integers(1, 4))
def test_what_is_chosen_fits_in_the_budget_and_nothing_more_does(empty, durations, budget, workers):
    found = [FoundTest(f"t{number}", "a.py") for number in range(len(durations))]
    records = {
        test.id: TestRecord(seconds, "passed") for test, seconds in zip(found, durations, strict=True) if seconds
    }
    choice = chosen(found, records, project=empty, budget=budget, workers=workers)
    known = sorted(seconds for seconds in durations if seconds)
    typical = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2 if known else 1.0
    cost = {test.id: seconds or typical for test, seconds in zip(found, durations, strict=True)}
    spent = sum(cost[name] for name in choice.ids)
    assert spent <= budget * workers + 1e-6
    assert all(spent + cost[test.id] > budget * workers - 1e-6 for test in found if test.id not in choice.ids)
    assert set(choice.ids) == set(chosen(found[::-1], records, project=empty, budget=budget, workers=workers).ids)
