import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.model.units import UnitError, format_duration, parse_duration_ns, parse_quantity, split_unit


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1200s", 1_200_000_000_000),
        ("20 min", 1_200_000_000_000),
        ("5 ms", 5_000_000),
        ("1.5 h", 5_400_000_000_000),
        ("2d", 172_800_000_000_000),
        ("10us", 10_000),
        ("3 ns", 3),
        (" 1e3 s ", 1_000_000_000_000),
        ("+.5s", 500_000_000),
        ("0.1 s", 100_000_000),
        ("0 s", 0),
    ],
)
def test_durations_are_exact_nanoseconds(text, ns):
    assert parse_duration_ns(text) == ns


@pytest.mark.parametrize("value", [1200, "1200", " 1200 "])
def test_a_bare_number_is_no_duration(value):
    with pytest.raises(UnitError, match="has no unit") as caught:
        parse_duration_ns(value)
    assert caught.value.hint == "write 1200 s"


def test_a_bare_number_gets_the_base_unit_of_its_dimension_as_hint():
    with pytest.raises(UnitError) as caught:
        parse_quantity(500, "length")
    assert caught.value.hint == "write 500 km"


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("20 mins", "min"), ("20 S", "s"), ("3 sec", "s"), ("3 hours", "h"), ("1 milliseconds", "ms")],
)
def test_a_wrong_unit_is_answered_with_the_nearest_and_the_possible_units(text, suggestion):
    with pytest.raises(UnitError, match="unknown unit") as caught:
        parse_duration_ns(text)
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"did you mean {suggestion}? ")
    assert caught.value.hint.endswith("duration takes s, d, h, min, ms, us, ns")


def test_a_unit_without_resemblance_gets_no_suggestion():
    with pytest.raises(UnitError) as caught:
        parse_quantity("3 furlong", "voltage")
    assert caught.value.hint == "voltage takes V, mV"


def test_a_unit_of_another_dimension_is_refused():
    with pytest.raises(UnitError, match="'3 km' has the unknown unit 'km'"):
        parse_duration_ns("3 km")


def test_a_dimensionless_number_takes_no_unit():
    assert parse_quantity(2, "dimensionless") == 2
    with pytest.raises(UnitError, match="has the unit 'm'") as caught:
        parse_quantity("2 m", "dimensionless")
    assert caught.value.hint == "write the number without a unit"


def test_a_fraction_of_a_nanosecond_is_refused():
    with pytest.raises(UnitError, match="not a whole number of nanoseconds"):
        parse_duration_ns("1.5 ns")


def test_a_negative_duration_is_refused():
    with pytest.raises(UnitError, match="'-1 s' is negative"):
        parse_duration_ns("-1 s")
    with pytest.raises(UnitError, match="is negative"):
        parse_quantity("-1 ms", "duration")


@pytest.mark.parametrize(
    "value", ["nan s", "inf s", ".inf s", "", "s", "1,5 s", "1 2 s", "\u0661 s", None, True, [1], {}]
)
def test_what_is_no_quantity_is_refused(value):
    with pytest.raises(UnitError):
        parse_duration_ns(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "nan", "inf", True, None])
def test_a_ratio_is_a_finite_number(value):
    with pytest.raises(UnitError):
        parse_quantity(value, "ratio")


@pytest.mark.parametrize(
    "text", ["1e999999999 s", "1e-999999999 s", "1e99999999999999999999 s", "1" * 9999 + " s", 10**4000]
)
def test_huge_numbers_are_refused_with_a_short_message(text):
    with pytest.raises(UnitError) as caught:
        parse_duration_ns(text)
    assert len(str(caught.value)) < 150


def test_an_integer_too_long_to_be_shown_is_refused():
    with pytest.raises(UnitError, match="out of range"):
        parse_quantity(10**5000, "ratio")


@pytest.mark.parametrize(
    ("value", "dimension", "expected"),
    [
        ("90 min", "duration", 5400),
        ("500 ns", "duration", 5e-7),
        ("700 km", "length", 700),
        ("5 m", "length", 0.005),
        ("5 cm", "length", 0.00005),
        ("5 mm", "length", 0.000005),
        ("-40 degC", "temperature", -40),
        ("21.5 °C", "temperature", 21.5),
        ("0 K", "temperature", -273.15),
        ("212 degF", "temperature", 100),
        ("-40 degF", "temperature", -40),
        ("98.6 deg", "angle", 98.6),
        ("1 rad", "angle", 57.29577951308232),
        ("30 arcmin", "angle", 0.5),
        ("-0.5 deg/s", "angle rate", -0.5),
        ("2rad/s", "angle rate", 114.59155902616465),
        ("40 %", "ratio", 0.4),
        ("0.4", "ratio", 0.4),
        (0.4, "ratio", 0.4),
        (1, "ratio", 1),
        ("8 bit/s", "data rate", 8),
        ("9.6 kbit/s", "data rate", 9600),
        ("2 Mbit/s", "data rate", 2e6),
        ("1 Gbit/s", "data rate", 1e9),
        ("1 B/s", "data rate", 8),
        ("1 B", "data size", 1),
        ("1 kB", "data size", 1000),
        ("1 KiB", "data size", 1024),
        ("1 MB", "data size", 1e6),
        ("1 MiB", "data size", 1048576),
        ("1 W", "power", 1),
        ("250 mW", "power", 0.25),
        ("1.2 kW", "power", 1200),
        ("3.3 V", "voltage", 3.3),
        ("-5 mV", "voltage", -0.005),
        ("1e-7", "dimensionless", 1e-7),
    ],
)
def test_quantities_come_in_the_base_unit_of_their_dimension(value, dimension, expected):
    assert parse_quantity(value, dimension) == expected


def test_splitting_keeps_the_digits_as_written():
    number, unit = split_unit(" 1.50 km/h ")
    assert (str(number), unit) == ("1.50", "km/h")
    assert split_unit("-3") == (-3, "")
    assert split_unit("km") is None
    assert split_unit("") is None


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"),
        (1, "1 ns"),
        (1_500, "1.5 us"),
        (1_234_567, "1234.567 us"),
        (1_234_567_890, "1234567.89 us"),
        (5_000_000, "5 ms"),
        (1_500_000_000, "1.5 s"),
        (1_050_000_000, "1.05 s"),
        (1_234_500_000, "1234.5 ms"),
        (90_000_000_000, "90 s"),
        (1_200_000_000_000, "20 min"),
        (5_400_000_000_000, "90 min"),
        (7_200_000_000_000, "2 h"),
        (86_400_000_000_000, "1 d"),
        (-1_500_000_000, "-1.5 s"),
    ],
)
def test_durations_are_shown_in_the_largest_unit_that_reads_well(ns, text):
    assert format_duration(ns) == text


@given(
    st.integers(0)
    | st.builds(lambda n, unit: n * unit, st.integers(0, 10**6), st.sampled_from([10**6, 10**9, 60 * 10**9]))
)
def test_a_shown_duration_is_read_back_exactly(ns):
    assert parse_duration_ns(format_duration(ns)) == ns


@given(
    st.text() | st.integers() | st.floats() | st.none(),
    st.sampled_from(["duration", "temperature", "ratio", "data size", "dimensionless"]),
)
def test_reading_anything_gives_a_finite_number_or_a_unit_error(value, dimension):
    with contextlib.suppress(UnitError):
        assert math.isfinite(parse_quantity(value, dimension))


@given(st.from_regex(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,25})? ?(ns|s|d|km)?", fullmatch=True))
def test_reading_any_number_gives_nanoseconds_or_a_unit_error(text):
    with contextlib.suppress(UnitError):
        assert parse_duration_ns(text) >= 0
