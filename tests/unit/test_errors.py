"""How findings are shown."""

import pytest

from podium.errors import Diagnostic, Span


def excerpt(text, column, length):
    """Return the source line and the line of carets under it, both without their gutter."""
    shown = Diagnostic("D175", "m", None, Span("f.yaml", 7, column, text, length)).render().splitlines()
    assert shown[1] == f"  --> f.yaml:7:{column}"
    assert shown[3].startswith("  7| ")
    return shown[3][5:], shown[4][5:]


def test_a_line_of_120_columns_is_shown_as_it_is():
    text = "name: " + "x" * 114
    assert excerpt(text, 7, 114) == (text, " " * 6 + "^" * 114)


def test_of_a_longer_line_120_columns_are_shown_from_its_beginning():
    text, carets = excerpt("name: " + "x" * 3000, 7, 3000)
    assert text == "name: " + "x" * 111 + "..."
    assert carets == " " * 6 + "^" * 114


def test_a_place_far_along_a_line_is_shown_with_what_is_around_it():
    text, carets = excerpt("a" * 1000 + "here" + "b" * 1000, 1001, 4)
    assert text == "..." + "a" * 37 + "here" + "b" * 73 + "..."
    assert carets == " " * 40 + "^^^^"


def test_a_place_at_the_end_of_a_long_line_is_shown_with_what_is_before_it():
    text, carets = excerpt("a" * 1000 + "here", 1001, 4)
    assert text == "..." + "a" * 113 + "here"
    assert carets == " " * 116 + "^^^^"


@pytest.mark.parametrize("column", [1, 2, 39, 41, 44, 500, 881, 960, 999, 1000])
def test_the_caret_stands_under_the_place_wherever_the_line_is_cut(column):
    line = "." * (column - 1) + "x" + "." * (1000 - column)
    text, carets = excerpt(line, column, 1)
    assert len(text) == 120
    assert text.index("x") == carets.index("^")


def test_a_place_behind_the_end_of_a_long_line_has_one_caret():
    text, carets = excerpt("a" * 200, 201, 1)
    assert (len(text), carets) == (120, " " * 120 + "^")
