"""TAP 12 to 14: plans, directives, diagnostics, subtests, and what is missing."""

from textwrap import dedent

import pytest

from podium.executors.reports.reading import ReportError
from podium.executors.reports.tap import in_file, read_tap


def read(text, **options):
    return read_tap(dedent(text).encode(), **options)


def outcomes(text, **options):
    return [(result.id, result.outcome) for result in read(text, **options)]


def test_a_plan_and_tests_with_and_without_numbers_and_names():
    assert outcomes("""\
        1..5
        ok 1 - adds
        not ok 2 divides
        ok
        ok 4
        ok - last
    """) == [("adds", "passed"), ("divides", "failed"), ("test 3", "passed"), ("test 4", "passed"), ("last", "passed")]


def test_the_plan_may_come_last():
    assert outcomes("ok 1 a\nok 2 b\n1..2\n") == [("a", "passed"), ("b", "passed")]


def test_directives_in_any_case():
    results = read("""\
        TAP version 14
        1..6
        ok 1 - a # SKIP no network
        not ok 2 - b # todo later
        ok 3 - c # TODO: done
        ok 4 - d \\# SKIP is in its name
        ok 5 # skipped
        not ok 6 - e # SKIP and yet it failed
    """)
    assert [(r.id, r.outcome, r.message) for r in results] == [
        ("a", "skipped", "no network"),
        ("b", "xfailed", "later"),
        ("c", "xpassed", "done"),
        ("d # SKIP is in its name", "passed", ""),
        ("test 5", "skipped", ""),
        ("e", "failed", "and yet it failed"),
    ]


def test_diagnostics_tell_duration_place_and_message():
    slow, failed, placed = read("""\
        TAP version 13
        1..3
        ok 1 - slow
          ---
          duration_ms: 1500.5
          ...
        not ok 2 - failed
          ---
          duration_ms: 2
          location: '/src/a.test.mjs:4:1'
          error: 'it''s wrong'
          stack: |-
            at a
            at b
          ...
        not ok 3 - placed
          ---
          message: "other"
          at:
            file: b.js
            line: 12
          ...
    """)
    assert (slow.duration, slow.details) == (1.5005, "")
    assert (failed.duration, failed.message, failed.file, failed.line) == (0.002, "it's wrong", "/src/a.test.mjs", 4)
    assert failed.details.splitlines()[-2:] == ["  at a", "  at b"]
    assert (placed.message, placed.file, placed.line) == ("other", "b.js", 12)


def test_comments_after_a_failed_test_are_its_details():
    failed, passed = read("1..2\nnot ok 1 - a\n#   Failed test 'a'\n#   at t/a.t line 3.\nok 2 - b\n# fine\n")
    assert (failed.message, failed.details) == ("Failed test 'a'", "  Failed test 'a'\n  at t/a.t line 3.")
    assert passed.details == ""


def test_a_diagnostic_block_may_look_like_tests():
    assert outcomes("1..1\nnot ok 1 - a\n  ---\n  out: |\n    ok 2 - b\n  not ok: 3\n  ...\n") == [("a", "failed")]


def test_a_diagnostic_block_that_is_cut_off_ends_with_its_indentation():
    assert outcomes("1..2\nnot ok 1 - a\n  ---\n  x: 1\nok 2 - b\n") == [("a", "failed"), ("b", "passed")]


def test_tests_of_subtests_count_and_not_the_test_around_them():
    assert outcomes("""\
        TAP version 14
        1..2
        # Subtest: outer
            # Subtest: inner
                ok 1 - a
                not ok 2 - b
                1..2
            not ok 1 - inner
            ok 2 - c
            1..2
        not ok 1 - outer
        ok 2 - d
    """) == [("outer > inner > a", "passed"), ("outer > inner > b", "failed"), ("outer > c", "passed"), ("d", "passed")]


def test_a_test_around_others_that_failed_on_its_own_account_counts():
    assert outcomes("    ok 1 - a\n    1..1\nnot ok 1 - outer\n1..1\n") == [
        ("outer > a", "passed"),
        ("outer", "failed"),
    ]


def test_a_subtest_that_is_expected_to_fail_expects_it_of_its_tests():
    assert outcomes("    not ok 1 - a\n    1..1\nnot ok 1 - outer # TODO\n1..1\n") == [("outer > a", "xfailed")]


def test_missing_tests_of_a_subtest_are_errors():
    assert outcomes("    1..2\n    ok 1 - a\nok 1 - outer\n1..1\n") == [
        ("outer > a", "passed"),
        ("outer > test 2", "errored"),
    ]


def test_missing_tests_of_the_plan_are_errors():
    results = read("1..3\nok 1 - a\n")
    assert [(r.id, r.outcome) for r in results] == [("a", "passed"), ("test 2", "errored"), ("test 3", "errored")]
    assert results[1].message == "it was planned, as one of 3, and is not in the report"


def test_more_tests_than_planned_are_an_error():
    assert outcomes("1..1\nok 1 - a\nok 2 - b\n")[-1] == ("plan", "errored")


def test_a_huge_plan_takes_no_huge_memory():
    results = read("1..999999999\nok 1\n")
    assert len(results) == 1002
    assert (results[-1].id, results[-1].message) == ("plan", "999999999 tests were planned, 1 are in the report")


def test_without_a_plan_nothing_says_that_it_is_complete():
    assert outcomes("ok 1 - a\n") == [("a", "passed"), ("plan", "errored")]
    assert outcomes("ok 1 - a\n", partial=True) == [("a", "passed")]
    assert outcomes("1..9\nok 1 - a\n", partial=True) == [("a", "passed")]


def test_bail_out_is_an_error_and_so_are_the_tests_that_did_not_come():
    assert outcomes("1..2\nok 1 - a\nBail out! no database\n") == [
        ("a", "passed"),
        ("Bail out!", "errored"),
        ("test 2", "errored"),
    ]
    assert read("Bail out! no database\n")[0].message == "no database"


def test_a_plan_of_nothing_says_why():
    (skipped,) = read("1..0 # SKIP no display\n")
    assert (skipped.id, skipped.outcome, skipped.message) == ("all tests", "skipped", "SKIP no display")
    assert read("1..0\n") == []


def test_the_test_runner_of_node_says_how_a_test_failed():
    text = "1..2\nnot ok 1 - a\n  ---\n  failureType: 'testTimeoutFailure'\n  ...\n"
    text += "not ok 2 - b\n  ---\n  failureType: 'cancelledByParent'\n  ...\n"
    assert outcomes(text) == [("a", "timed_out"), ("b", "errored")]


def test_a_duration_may_stand_behind_the_name():
    a, b = read("1..2\nok 1 - a # time=12.5ms\nok 2 - b # SKIP why # time=2s\n")
    assert (a.id, a.duration) == ("a", 0.0125)
    assert (b.outcome, b.message, b.duration) == ("skipped", "why", 2.0)


def test_what_prove_prints_is_the_tap_of_one_file_after_the_other():
    text = """\
        t/a.t ..
        1..2
        ok 1 - one
        not ok 2 - two
        Dubious, test returned 1 (wstat 256, 0x100)
        Failed 1/2 subtests
        t/b.t .. skipped: no network
        t/long-c.t ....
        1..1
        ok 1 - one
        ok
        t/d.t ..
        1..1
        ok 1 - one
        Dubious, test returned 3 (wstat 768, 0x300)
        All 1 subtests passed

        Test Summary Report
        -------------------
        t/a.t (Wstat: 256 (exited 1) Tests: 2 Failed: 1)
        Files=4, Tests=4,  0 wallclock secs
        Result: FAIL
    """
    assert outcomes(text) == [
        ("t/a.t > one", "passed"),
        ("t/a.t > two", "failed"),
        ("t/b.t", "skipped"),
        ("t/long-c.t > one", "passed"),
        ("t/d.t > one", "passed"),
        ("t/d.t > exit code", "errored"),
    ]


def test_names_of_files_tell_tests_of_several_files_apart():
    (result,) = in_file("a.tap", read("1..1\nok 1 - x\n"))
    assert (result.id, result.file) == ("a.tap > x", "a.tap")


def test_the_same_name_twice_gets_a_number():
    assert outcomes("1..3\nok 1 - a\nok 2 - a\nok 3 - a #2\n") == [
        ("a", "passed"),
        ("a #3", "passed"),
        ("a #2", "passed"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is no TAP: it has neither a plan nor a test"),
        ("hello\n", "this is no TAP: it has neither a plan nor a test"),
        ("TAP version 15\n1..0\n", "line 1: TAP version 15 is not known; 12, 13 and 14 are"),
        ("1..1\nok 1\n1..2\n", "line 3: there is a second plan"),
    ],
)
def test_what_is_not_tap_is_refused(text, message):
    with pytest.raises(ReportError) as caught:
        read(text)
    assert str(caught.value) == message
