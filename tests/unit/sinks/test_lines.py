import io

import pytest

from podium.model.scenario import Verdict
from podium.sinks.lines import ClosingLines, Lines, verdict_line
from podium.sinks.writing import how_long, printable


def text_of(story, **options):
    stream = io.StringIO()
    story.feed(Lines(stream, **options))
    return stream.getvalue()


def test_all_passed(story):
    story.begin("nominal", steps=2, slots=4).case("a", duration=0.123).case("b", duration=75.4)
    story.finish(passed=2)
    assert text_of(story) == (
        "nominal: 2 cases, 4 slots, run 456789ab\n"
        "passed     a  0.12 s\n"
        "passed     b  1 min 15 s\n"
        "\n"
        "nominal passed: 2 passed in 12.3 s\n"
    )


def test_line_by_line_is_the_same_as_at_once(story, hot):
    stream = io.StringIO()
    lines = Lines(stream)
    story.sinks.append(lines)
    story.begin().start("a")
    assert stream.getvalue() == "nominal: 2 cases, 2 slots, run 456789ab\n"
    story.end("a", "failed", output=hot).done("a", "failed").case("b").finish("failed", failed=1, passed=1)
    lines.close()
    lines.close()
    assert stream.getvalue() == text_of(story)


def test_a_failing_case_says_which_criteria_failed(story, hot):
    story.begin(steps=1, slots=1).case("thermal", "failed", 2.5, ("Criteria", "1 of 2 criteria failed"), hot)
    story.finish("failed", failed=1)
    assert text_of(story) == (
        "nominal: 1 case, 1 slot, run 456789ab\n"
        "failed     thermal  2.50 s\n"
        "  SAT1.battery.temperature < 65  worst 81.3 at 118.2 s, first violated at 84.1 s\n"
        "\n"
        "nominal failed: 1 failed in 12.3 s\n"
        "next: podium show 456789ab\n"
        "      podium rerun 456789ab\n"
    )


def test_an_errored_case_says_why(story):
    failure = ("ValueError", "bad\nmore", "Traceback\n  line 1\n\n  line 2\n")
    story.begin().case("a", "errored", failure=failure).case("b", "timed_out", failure=("Timeout", "took too long"))
    story.finish("errored", errored=1, timed_out=1)
    assert text_of(story) == (
        "nominal: 2 cases, 2 slots, run 456789ab\n"
        "errored    a  1.00 s\n"
        "  ValueError: bad\n"
        "timed out  b  1.00 s\n"
        "  Timeout: took too long\n"
        "\n"
        "nominal errored: 1 errored, 1 timed out in 12.3 s\n"
        "next: podium show 456789ab\n"
        "      podium rerun 456789ab\n"
    )
    assert text_of(story, verbose=True).splitlines()[1:8] == [
        "errored    a  1.00 s",
        "  ValueError: bad",
        "    more",
        "    Traceback",
        "      line 1",
        "",
        "      line 2",
    ]


def test_a_retry_is_one_line_and_the_case_another(story):
    story.begin().start().end(outcome="errored", failure=("OSError", "busy")).retry(delay=1.5).case()
    story.finish(passed=1)
    assert text_of(story).splitlines()[1:3] == [
        "retry      a  attempt 2 in 1.50 s, after OSError: busy",
        "passed     a  1.00 s  (2 attempts)",
    ]


def test_a_lost_worker_is_one_line(story):
    story.begin().start().lose().retry(delay=0, reason="lost").start().lose(reason="gone")
    story.done("a", "errored", "lost its worker 2 times, last: gone").finish("errored", errored=1)
    assert text_of(story).splitlines()[1:5] == [
        "lost       a  attempt 1: killed by signal 9",
        "lost       a  attempt 2: gone",
        "errored    a  0.00 s  (2 attempts)",
        "  lost its worker 2 times, last: gone",
    ]


def test_cancel_and_resume(story):
    story.begin(steps=2, slots=1).start("a").cancel().done("b", "cancelled", "Ctrl-C")
    story.end("a", "cancelled", failure=("Cancelled", "stopped by cancel")).done("a", "cancelled", "Ctrl-C")
    story.finish("cancelled", cancelled=2)
    cancelled = (
        "nominal: 2 cases, 1 slot, run 456789ab\n"
        "cancelled by user: Ctrl-C; waiting for what runs\n"
        "cancelled  b  Ctrl-C\n"
        "cancelled  a  1.00 s  Ctrl-C\n"
    )
    assert text_of(story) == (cancelled + "\nnominal cancelled: 2 cancelled in 12.3 s\nnext: podium resume 456789ab\n")
    story.resume().case("a").case("b").finish(duration=1, passed=2)
    assert text_of(story) == (
        cancelled + "resumed: run 456789ab, 0 of 2 cases done\n"
        "passed     a  1.00 s  (2 attempts)\n"
        "passed     b  1.00 s\n"
        "\n"
        "nominal passed: 2 passed in 13.3 s\n"
    )


def test_cancelled_after_a_failure_shows_both_ways_on(story):
    story.begin().case("a", "failed", failure=("ExitCode", "exit code 1")).cancel(force=True)
    story.done("b", "cancelled", "Ctrl-C").finish("cancelled", failed=1, cancelled=1)
    assert text_of(story).splitlines()[3:] == [
        "cancelled by user: Ctrl-C; killing what runs",
        "cancelled  b  Ctrl-C",
        "",
        "nominal cancelled: 1 failed, 1 cancelled in 12.3 s",
        "next: podium show 456789ab",
        "      podium resume 456789ab",
    ]


def test_a_skipped_case_says_why(story):
    story.begin().done("b", "skipped", "`a` failed")
    assert text_of(story).splitlines()[1] == "skipped    b  `a` failed"


def test_a_journal_that_ends_before_anything_finished(story):
    story.begin().start("a")
    assert text_of(story) == (
        "nominal: 2 cases, 2 slots, run 456789ab\n"
        "\n"
        "nominal not finished: 2 outstanding in 0.00 s\n"
        "next: podium show 456789ab\n"
    )


def test_a_run_without_steps(story):
    story.begin("", steps=0, work="plan").finish(duration=0)
    assert text_of(story) == (
        "run 456789ab: 0 steps, 2 slots, run 456789ab\n\nrun 456789ab passed: 0 steps in 0.00 s\n"
    )


def closing_line(story, sink=Lines):
    stream = io.StringIO()
    story.feed(sink(stream))
    return stream.getvalue().splitlines()[-1]


@pytest.mark.parametrize("sink", [Lines, ClosingLines])
def test_layers_of_which_everything_was_skipped_did_not_pass_in_the_closing_line(story, sink):
    story.begin(work="layers").done("fast/unit", "skipped", "none of 6 tests is selected").done("fast", "skipped")
    assert closing_line(story.finish(skipped=2), sink) == "nominal skipped: 2 steps skipped in 12.3 s"


def test_layers_of_which_only_a_service_was_not_skipped_did_not_pass_in_the_closing_line(story):
    story.begin(work="layers").case("service/web").done("fast/unit", "skipped").done("fast", "skipped")
    story.finish(passed=1, skipped=2)
    assert closing_line(story) == "nominal skipped: 1 step passed, 2 skipped in 12.3 s"


def test_layers_of_which_something_was_run_passed(story):
    story.begin(work="layers").case("fast/unit").case("fast").done("slow/e2e", "skipped").done("slow", "skipped")
    assert closing_line(story.finish(passed=2, skipped=2)) == "nominal passed: 2 steps passed, 2 skipped in 12.3 s"


def test_layers_that_were_resumed_passed_though_what_was_left_was_skipped(story):
    story.begin(work="layers")
    story.records.clear()  # the sink joins at the resumption
    story.resume().done("slow/e2e", "skipped").done("slow", "skipped").finish(passed=2, skipped=2)
    assert "passed" in closing_line(story).split(":")[0]


def test_a_workflow_of_which_everything_was_skipped_passed(story):
    story.begin(work="workflow").done("a", "skipped").done("b", "skipped")
    assert closing_line(story.finish(skipped=2)) == "nominal passed: 2 skipped in 12.3 s"


def test_layers_without_results_of_tests_count_steps_and_say_so(story):
    story.begin(work="layers").case("fast/unit", "errored").case("fast", "errored").finish("errored", errored=2)
    text = text_of(story)
    assert "\nnominal errored: 2 steps errored in 12.3 s\n" in text


def test_no_records_no_text(story):
    assert text_of(story) == ""


def test_a_sink_that_joins_at_the_resumption(story):
    story.resume().case("b").finish(passed=3)
    assert text_of(story) == (
        "resumed: run 456789ab\npassed     b  1.00 s\n\nrun 456789ab passed: 3 passed in 12.3 s\n"
    )


def test_nothing_in_a_run_controls_the_terminal(story):
    story.begin("n\x1b[2J").case("x[red]\r\n", "errored", failure=("E", "\x1b[31mred\x07\u202e ü 日本 \ud800", ""))
    story.cancel("why\x9b").finish("errored", errored=1)
    lines = text_of(story).split("\n")
    assert lines[:5] == [
        "n\\x1b[2J: 2 cases, 2 slots, run 456789ab",
        "errored    x[red]\\r\\n  1.00 s",
        "  E: \\x1b[31mred\\x07\\u202e ü 日本 \\ud800",
        "cancelled by user: why\\x9b; waiting for what runs",
        "",
    ]


def test_a_stream_of_another_encoding_gets_escapes(story):
    story.begin("ü 日").case()
    below = io.BytesIO()
    story.feed(Lines(io.TextIOWrapper(below, encoding="ascii")))
    assert below.getvalue().startswith(b"\\xfc \\u65e5: 2 cases")


def test_spaces_and_joiners_stay_as_they_are():
    assert printable("a\u00a0b \u0645\u06cc\u200c\u062e") == "a\u00a0b \u0645\u06cc\u200c\u062e"
    assert printable("a\tb\u2028c\u200b") == "a\\tb\\u2028c\\u200b"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (9.99, "9.99 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_durations(seconds, text):
    assert how_long(seconds) == text


@pytest.mark.parametrize(
    ("kind", "outcome", "values", "text"),
    [
        ("always", "errored", {}, "never evaluated"),
        ("always", "passed", {"worst": 64.0, "worst_at_s": 3.0}, "worst 64 at 3 s"),
        ("always", "failed", {"worst": "safe\x07", "worst_at_s": 0.1}, "worst safe\\x07 at 0.1 s"),
        (
            "eventually",
            "failed",
            {"worst": 66.0, "worst_at_s": 3.0, "first_violation_s": 0.0},
            "never held, closest 66 at 3 s",
        ),
        ("eventually", "passed", {"worst": 60.0, "worst_at_s": 3.0}, "best 60 at 3 s"),
        ("at_end", "failed", {"worst": 66.0, "worst_at_s": 600.0}, "ended with 66 at 600 s"),
        ("at_end", "passed", {"worst": 60.0, "worst_at_s": 600.0}, "ended with 60 at 600 s"),
        ("at_end", "errored", {"worst": 60.0, "worst_at_s": 5.0}, "not evaluated at the end, last 60 at 5 s"),
        (
            "within",
            "failed",
            {"worst": 12.5, "worst_at_s": 84.1, "margin": -2.5},
            "did not hold for 12.5 s from 84.1 s on, 2.5 s too long",
        ),
        ("within", "passed", {"worst": 0.0, "margin": 10.0}, "always held"),
        ("within", "passed", {"worst": 3.0, "worst_at_s": 1.0}, "did not hold for 3 s from 1 s on"),
        (
            "within",
            "errored",
            {"worst": 3.0, "worst_at_s": 597.0},
            "still did not hold at the end, for 3 s from 597 s on",
        ),
    ],
)
def test_what_was_found_depends_on_the_kind(kind, outcome, values, text):
    verdict = Verdict("n", kind, "S.t < 65", outcome, evaluations=1 if values else 0, **values)
    assert verdict_line(verdict) == f"S.t < 65  {text}"


def test_a_verdict_without_findings_is_its_condition():
    assert verdict_line(Verdict("n", "other", "S.t < 65", "failed", evaluations=1)) == "S.t < 65"
