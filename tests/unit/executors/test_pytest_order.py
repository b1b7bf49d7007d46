from hypothesis import given
from hypothesis import strategies as st

from podium.executors.found import FoundTest
from podium.executors.pytest_order import arrange
from podium.protocols import TestRecord


def found_in(*files):
    return [FoundTest(f"{file}::test_{number}", file) for number, file in enumerate(files)]


def test_modules_stay_together_and_the_longest_comes_first():
    tests = found_in("a", "a", "b", "b", "b", "c")
    records = {test.id: TestRecord({"a": 0.5, "b": 0.1, "c": 5.0}[test.file], "passed") for test in tests}
    arrangement = arrange(tests, records, 2)
    assert arrangement.chunks == ((5, 6), (0, 2), (2, 5))
    assert arrangement.workers == 2
    assert abs(arrangement.expected - 6.3) < 1e-9


def test_modules_in_which_a_test_did_not_pass_come_before_all_others():
    tests = found_in("a", "b", "b", "c")
    records = {test.id: TestRecord(10.0, "passed") for test in tests}
    records["b::test_2"] = TestRecord(0.1, "timed_out")
    records["a::test_0"] = TestRecord(0.1, "skipped")
    assert arrange(tests, records, 1).chunks == ((1, 3), (3, 4), (0, 1))


def test_unknown_tests_count_as_the_median_of_the_others():
    tests = found_in("a", "b", "b", "c", "d")
    records = {"a::test_0": TestRecord(2.5, "passed"), "c::test_3": TestRecord(9.0, "passed")}
    assert arrange(tests, records | {"d::test_4": TestRecord(0.5, "passed")}, 2).chunks == (
        (3, 4),
        (1, 3),
        (0, 1),
        (4, 5),
    )
    assert arrange(tests, records, 2).expected == 0.0


def test_a_test_that_takes_most_of_the_time_is_taken_out_of_its_module():
    tests = found_in(*"aaaaabb")
    records = {test.id: TestRecord(0.1, "passed") for test in tests}
    records["a::test_3"] = TestRecord(9.0, "passed")
    assert arrange(tests, records, 2).chunks == ((3, 4), (0, 3), (5, 7), (4, 5))
    assert arrange(tests, records, 1).chunks == ((0, 5), (5, 7))


def test_few_or_short_tests_get_one_worker():
    assert arrange(found_in("a", "b", "c"), {}, 8).workers == 1
    many = found_in(*"abcdefgh")
    assert arrange(many, {}, 4).workers == 4
    assert arrange(many, {test.id: TestRecord(0.01, "passed") for test in many}, 4).workers == 1
    assert arrange(many, {test.id: TestRecord(0.1, "passed") for test in many}, 4).workers == 4
    assert arrange(many, {}, 100).workers == 8
    assert arrange([], {}, 3).chunks == ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.floats(0, 100), st.booleans()), max_size=60))
def test_every_test_is_in_one_chunk_and_no_chunk_crosses_modules(drawn):
    tests = found_in(*[file for file, _, _ in drawn])
    records = {
        test.id: TestRecord(duration, "failed" if bad else "passed")
        for test, (_, duration, bad) in zip(tests, drawn, strict=True)
        if duration is not None
    }
    arrangement = arrange(tests, records, 3)
    places = [place for start, end in arrangement.chunks for place in range(start, end)]
    assert sorted(places) == list(range(len(tests)))
    for start, end in arrangement.chunks:
        assert len({test.file for test in tests[start:end]}) == 1
        assert start < end
    bad = [
        any(drawn[place][2] and drawn[place][1] is not None for place in range(*chunk)) for chunk in arrangement.chunks
    ]
    assert bad == sorted(bad, reverse=True)
