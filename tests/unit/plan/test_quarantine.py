"""Tests that are excused for a while."""

from datetime import date

import pytest

from podium.errors import Span
from podium.plan.quarantine import active, excuses, over, unmatched
from podium.plan.suites import Quarantined

TODAY = date(2030, 5, 2)
ENTRIES = (
    Quarantined("past", "2030-05-01", "the mail server moves"),
    Quarantined("today", "2030-05-02"),
    Quarantined("later", "2031-01-01"),
    Quarantined("wrong", "31.12.2030"),
)


def test_an_excuse_holds_until_its_last_day_is_over():
    assert active(ENTRIES, TODAY) == ("today", "later")


def test_excuses_that_are_over_or_have_no_day_are_warnings_with_their_place():
    place = Span("layers.yaml", 7, 5, "- {test: past}")
    findings = over(ENTRIES, TODAY, [place])
    assert [(one.code, one.severity, one.span) for one in findings] == [
        ("U453", "warning", place),
        ("U454", "warning", None),
    ]
    assert "`past` (the mail server moves) ended on 2030-05-01; today is 2030-05-02" in findings[0].message
    assert "`31.12.2030` is no date" in findings[1].message


@pytest.mark.parametrize(
    ("pattern", "test", "excused"),
    [
        ("tests/a.py::test_x", "tests/a.py::test_x", True),
        ("tests/a.py::test_x", "tests/a.py::test_xy", False),
        ("tests/a.py::test_x", "tests/a.py::test_x[1]", True),
        ("tests/a.py", "tests/a.py::test_x", True),
        ("tests/a.py", "tests/a.pyx::test_x", False),
        ("tests", "tests/a.py::test_x", True),
        ("test", "tests/a.py::test_x", False),
        ("*::test_mail", "tests/a.py::test_mail", True),
        ("*::test_mail", "tests/a.py::test_mail[x]", False),
        ("*::test_mail[[]*", "tests/a.py::test_mail[x]", True),
        ("*::test_mail[x-1]", "tests/a.py::test_mail[x-1]", True),
        ("a::test[1-3]", "a::test[1-3]", True),
        ("a::test?", "a::test1", True),
        ("A::test", "a::test", False),
        ("", "a::test", False),
    ],
)
def test_patterns(pattern, test, excused):
    assert excuses([pattern])(test) is excused


def test_without_patterns_nothing_is_excused():
    assert not excuses([])("a::test")


def test_patterns_that_fit_none_of_the_tests_are_found():
    entries = tuple(Quarantined(test, "2031-01-01") for test in ("a.py::x", "b.py", "*slow*", "a.py::y[1]", "a.py::z"))
    known = ("a.py::x[1]", "c.py::one_slow_test", "a.py::y[1]")
    assert unmatched(entries, known) == ("b.py", "a.py::z")
    assert unmatched(entries, iter(known)) == ("b.py", "a.py::z")


def test_without_tests_it_is_not_known_which_patterns_fit_none():
    assert unmatched((Quarantined("a.py::x", "2031-01-01"),), ()) == ()
