"""Shards of a suite: every test once, about the same duration, the same cut everywhere."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from podium.executors.found import FoundTest
from podium.executors.sharding import shard_of

suites = st.dictionaries(
    st.tuples(st.integers(0, 12), st.integers(0, 40)), st.floats(0.001, 100, allow_nan=False), max_size=80
)


def suite_of(suite):
    found = [FoundTest(f"m{module}.py::test_{number}", f"m{module}.py") for module, number in suite]
    return found, dict(zip((test.id for test in found), suite.values(), strict=True))


@settings(deadline=None)
@given(suite=suites, count=st.integers(1, 9))
def test_every_test_is_in_exactly_one_shard_in_the_order_given(suite, count):
    found, durations = suite_of(suite)
    shards = [shard_of(found, durations, number, count) for number in range(1, count + 1)]
    assert sorted(test.id for shard in shards for test in shard) == sorted(durations)
    for shard in shards:
        assert [test for test in found if test in shard] == shard


@settings(deadline=None)
@given(suite=suites, count=st.integers(1, 9), seed=st.integers())
def test_the_cut_does_not_depend_on_the_order_in_which_tests_are_found(suite, count, seed):
    found, durations = suite_of(suite)
    mixed = random.Random(seed).sample(found, len(found))
    for number in range(1, count + 1):
        mine = {test.id for test in shard_of(found, durations, number, count)}
        assert {test.id for test in shard_of(mixed, durations, number, count)} == mine


@settings(deadline=None)
@given(suite=suites, count=st.integers(1, 9))
def test_no_shard_is_longer_than_a_fair_share_and_the_longest_piece(suite, count):
    found, durations = suite_of(suite)
    fair = sum(durations.values()) / count
    modules: dict[str, float] = {}
    for test in found:
        modules[test.file] = modules.get(test.file, 0.0) + durations[test.id]
    longest = max(durations.values(), default=0.0)
    piece = max([longest, *(min(length, fair) for length in modules.values())], default=0.0)
    for number in range(1, count + 1):
        shard = shard_of(found, durations, number, count)
        assert sum(durations[test.id] for test in shard) <= (fair + piece) * 1.000001


@settings(deadline=None)
@given(suite=suites, count=st.integers(1, 9))
def test_modules_that_fit_a_shard_stay_whole(suite, count):
    found, durations = suite_of(suite)
    fair = sum(durations.values()) / count
    homes: dict[str, set[int]] = {}
    length: dict[str, float] = {}
    for number in range(1, count + 1):
        for test in shard_of(found, durations, number, count):
            homes.setdefault(test.file, set()).add(number)
            length[test.file] = length.get(test.file, 0.0) + durations[test.id]
    assert all(len(homes[module]) == 1 for module in homes if length[module] < fair * 0.999999)


def test_a_module_longer_than_a_shard_is_shared_out():
    found, durations = suite_of({(0, number): 1.0 for number in range(100)})
    assert [len(shard_of(found, durations, number, 4)) for number in (1, 2, 3, 4)] == [25, 25, 25, 25]


def test_tests_that_take_no_time_are_shared_out_too():
    found, durations = suite_of({(module, 0): 0.0 for module in range(12)})
    assert [len(shard_of(found, durations, number, 4)) for number in (1, 2, 3, 4)] == [3, 3, 3, 3]


def test_tests_without_a_file_are_kept_together_by_their_id():
    found = [FoundTest(f"shop.Cart::{number}") for number in range(5)] + [FoundTest(f"shop.Pay::{n}") for n in range(5)]
    durations = {test.id: 1.0 for test in found}
    assert {test.id.partition("::")[0] for test in shard_of(found, durations, 1, 2)} in ({"shop.Cart"}, {"shop.Pay"})
