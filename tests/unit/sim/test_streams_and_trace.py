import json
from math import exp, nextafter, sqrt
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.sim import trace as module
from podium.sim.streams import Stream
from podium.sim.trace import Difference, Entry, Trace, first_difference

COUNT = 50_000


def draws(count, seed, *name):
    stream = Stream(seed, *name)
    return [stream.random() for _ in range(count)]


def test_the_first_draws_of_a_stream_are_the_same_on_every_machine_and_python():
    assert draws(3, 0, "SAT1", "attitude") == [0.9366982510873569, 0.6768296603686346, 0.08551312989364168]
    assert draws(3, 2**63, "ü") == [0.747576652878642, 0.28470641905994665, 0.28354929978520593]
    assert draws(1, 0) == [0.6081286698289655]


def test_the_first_draws_of_every_distribution_are_the_same_up_to_the_mathematics_library():
    stream = Stream(7, "x")
    assert stream.uniform(-2, 3) == -1.2005245124738537
    assert stream.exponential(4) == pytest.approx(0.04050470355608721, rel=1e-14)
    assert stream.normal(10, 2) == pytest.approx(12.077409320859886, rel=1e-14)


def test_a_stream_depends_on_its_seed_and_every_part_of_its_name():
    names = [(1, "A", "b"), (2, "A", "b"), (1, "A", "c"), (1, "B", "b"), (1, "A"), (1, "Ab"), (1, "b", "A"), (1,)]
    names += [(11, "A"), (1, "1", "A"), (-1, "A", "b"), (1, "A", "b", "")]
    assert len({draws(1, *name)[0] for name in names}) == len(names)


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=60))
def test_how_much_is_drawn_elsewhere_changes_no_stream(order):
    streams = {name: Stream(3, name) for name in "abc"}
    seen = {name: [] for name in "abc"}
    for name in order:
        seen[name].append(streams[name].random())
    for name, values in seen.items():
        assert values == draws(len(values), 3, name)


def test_streams_with_neighbouring_names_and_seeds_are_not_correlated():
    first = draws(COUNT, 1, "SAT1")
    for other in (draws(COUNT, 1, "SAT2"), draws(COUNT, 2, "SAT1"), [*first[1:], 0.5]):
        correlation = fmean((x - 0.5) * (y - 0.5) for x, y in zip(first, other, strict=True)) * 12
        assert abs(correlation) < 4 / sqrt(COUNT)


def test_a_uniform_number_has_the_moments_and_bounds_of_theory():
    stream = Stream(1, "uniform")
    values = [stream.uniform(-3.0, 5.0) for _ in range(COUNT)]
    assert -3.0 <= min(values) < -2.99
    assert 4.99 < max(values) < 5.0
    assert fmean(values) == pytest.approx(1.0, abs=4 * sqrt(64 / 12 / COUNT))
    assert pvariance(values) == pytest.approx(64 / 12, abs=4 * 64 * sqrt(1 / 180 / COUNT))


def test_an_exponential_number_has_the_moments_and_tail_of_theory():
    stream = Stream(1, "exponential")
    values = [stream.exponential(2.0) for _ in range(COUNT)]
    assert min(values) >= 0.0
    assert fmean(values) == pytest.approx(0.5, abs=4 * 0.5 / sqrt(COUNT))
    assert pvariance(values) == pytest.approx(0.25, abs=4 * 0.25 * sqrt(8 / COUNT))
    tail = exp(-2.0)
    assert sum(value > 1.0 for value in values) / COUNT == pytest.approx(tail, abs=4 * sqrt(tail * (1 - tail) / COUNT))


def test_a_normal_number_has_the_moments_and_tails_of_theory():
    stream = Stream(1, "normal")
    values = [(stream.normal(10.0, 3.0) - 10.0) / 3.0 for _ in range(COUNT)]
    assert fmean(values) == pytest.approx(0.0, abs=4 / sqrt(COUNT))
    assert pvariance(values) == pytest.approx(1.0, abs=4 * sqrt(2 / COUNT))
    assert fmean(value**3 for value in values) == pytest.approx(0.0, abs=4 * sqrt(15 / COUNT))
    assert fmean(value**4 for value in values) == pytest.approx(3.0, abs=4 * sqrt(96 / COUNT))
    inside = 0.6826894921
    assert sum(abs(x) < 1 for x in values) / COUNT == pytest.approx(inside, abs=4 * sqrt(inside * (1 - inside) / COUNT))


def test_a_normal_number_takes_two_draws_and_an_exponential_one():
    stream = Stream(1, "x")
    stream.normal(0.0, 1.0)
    stream.exponential(1.0)
    stream.uniform(0.0, 1.0)
    assert stream.random() == draws(5, 1, "x")[4]


@pytest.mark.parametrize("draw", [0.0, nextafter(1.0, 0.0)])
def test_the_extreme_draws_give_finite_numbers(draw):
    stream = Stream(1)
    stream.random = lambda: draw
    assert 0.0 <= stream.exponential(1.0) < 40.0
    assert abs(stream.normal(0.0, 1.0)) < 9.0


ENTRIES = [(1, "SAT1", "fault", ("power", 0.1, None)), (2, "", "end", ())]


def fingerprint(entries):
    trace = Trace()
    for entry in entries:
        trace.record(*entry)
    return trace.fingerprint()


def lines(entries):
    kept = []
    trace = Trace(kept.append)
    for entry in entries:
        trace.record(*entry)
    return kept


def test_the_fingerprint_is_the_same_on_every_machine_and_python():
    assert fingerprint([]) == "cae66941d9efbd404e4d88758ea67670"
    assert fingerprint(ENTRIES) == "7f77b0ecedcfa8fb37fe571b89f09968"


@pytest.mark.parametrize(
    "changed",
    [
        [(2, "SAT1", "fault", ("power", 0.1, None)), ENTRIES[1]],
        [(1, "SAT2", "fault", ("power", 0.1, None)), ENTRIES[1]],
        [(1, "SAT1", "fall", ("power", 0.1, None)), ENTRIES[1]],
        [(1, "SAT1", "fault", ("powe", 0.1, None)), ENTRIES[1]],
        [(1, "SAT1", "fault", ("power", 0.1, False)), ENTRIES[1]],
        [(1, "SAT1", "fault", ("power", nextafter(0.1, 1.0), None)), ENTRIES[1]],
        [(1, "SAT1", "fault", ("power", 0.1)), ENTRIES[1]],
        [ENTRIES[1], ENTRIES[0]],
        [ENTRIES[0]],
        [*ENTRIES, ENTRIES[1]],
    ],
    ids=["time", "node", "event", "word", "value", "last bit", "fewer values", "order", "shorter", "longer"],
)
def test_the_fingerprint_changes_with_everything_that_is_recorded(changed):
    assert fingerprint(changed) != fingerprint(ENTRIES)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-1e400, 1e400]))
def test_the_last_bit_of_a_float_changes_the_fingerprint(value, towards):
    neighbour = nextafter(value, towards)
    if abs(neighbour) < float("inf"):
        assert fingerprint([(0, "A", "x", (value,))]) != fingerprint([(0, "A", "x", (neighbour,))])
    assert fingerprint([(0, "A", "x", (value,))]) == fingerprint([(0, "A", "x", (value,))])


def test_zero_and_minus_zero_and_one_and_one_point_zero_differ():
    prints = {fingerprint([(0, "A", "x", (value,))]) for value in (0.0, -0.0, 0, 1, 1.0, True, "1", None)}
    assert len(prints) == 8


def test_words_cannot_move_from_one_field_or_entry_to_another():
    assert fingerprint([(0, "AB", "C")]) != fingerprint([(0, "A", "BC")])
    assert fingerprint([(0, 'A","B', "C")]) != fingerprint([(0, "A", "B", "C")])
    assert fingerprint([(0, "A", "x\n"), (1, "A", "y")]) != fingerprint([(0, "A", "x"), (1, "A", "y")])


@given(
    st.lists(st.tuples(st.integers(0, 9), st.text(max_size=3), st.text(max_size=3)), max_size=20),
    st.integers(0, 60),
    st.sets(st.integers(0, 20)),
)
def test_the_fingerprint_does_not_depend_on_when_entries_are_digested(entries, block, looks):
    trace = Trace()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        for index, entry in enumerate(entries):
            trace.record(*entry)
            if index in looks:
                assert trace.fingerprint() == fingerprint(entries[: index + 1])
    assert trace.fingerprint() == fingerprint(entries)
    assert trace.fingerprint() == fingerprint(entries)


def test_a_long_trace_does_not_stay_in_memory():
    trace = Trace()
    for time in range(20_000):
        trace.record(time, "SAT1", "telemetry", (0.1,))
        assert trace._size <= 1 << 16
    assert len(trace._pending) < 5000


def test_keeping_the_entries_changes_no_fingerprint_and_loses_nothing():
    kept = []
    trace = Trace(kept.append)
    for entry in ENTRIES:
        trace.record(*entry)
    assert trace.fingerprint() == fingerprint(ENTRIES)
    assert [json.loads(line) for line in kept] == [[1, "SAT1", "fault", ["power", 0.1, None]], [2, "", "end", []]]
    assert not any(b"\n" in line for line in kept)


def test_equal_records_have_no_difference():
    assert first_difference(lines(ENTRIES), iter(lines(ENTRIES))) is None
    assert first_difference([], []) is None


def test_the_first_of_several_differences_is_found():
    other = [ENTRIES[0], (3, "SAT2", "end", (1.5,)), (9, "", "x")]
    assert first_difference(lines([*ENTRIES, ENTRIES[0]]), lines(other)) == Difference(
        1, Entry(2, "", "end", []), Entry(3, "SAT2", "end", [1.5])
    )


def test_a_difference_in_the_last_bit_is_shown_in_full():
    value = nextafter(0.1, 1.0)
    difference = first_difference(lines([(0, "A", "x", 0.1)]), lines([(0, "A", "x", value)]))
    assert difference is not None
    assert (difference.first.values, difference.second.values) == (0.1, value)


def test_a_record_that_ends_early_differs_where_it_ends():
    short, long = lines(ENTRIES[:1]), lines(ENTRIES)
    assert first_difference(short, long) == Difference(1, None, Entry(2, "", "end", []))
    assert first_difference(long, short) == Difference(1, Entry(2, "", "end", []), None)
