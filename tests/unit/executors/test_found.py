"""Names of tests that were found."""

from hypothesis import given
from hypothesis import strategies as st

from podium.executors.found import distinct


def test_names_that_repeat_are_numbered():
    assert distinct(["a", "b", "a", "a#2", "a"]) == ["a", "b", "a#3", "a#2", "a#4"]


@given(st.lists(st.sampled_from(["a", "b", "a#2", "a#3", "b#2#2"]), max_size=12))
def test_all_names_are_different_and_the_first_of_each_stays(names):
    found = distinct(names)
    assert len(set(found)) == len(found) == len(names)
    for name in set(names):
        assert found[names.index(name)] == name
    assert all(new == old or new.startswith(f"{old}#") for new, old in zip(found, names, strict=True))
