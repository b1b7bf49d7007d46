import io
import json

import pytest

from podium.sinks.report import JsonReport


def report_of(story, stream=None):
    stream = stream or io.StringIO()
    story.feed(JsonReport(stream))
    return json.loads(stream.getvalue(), parse_constant=pytest.fail)


def test_a_finished_run(story):
    story.begin().case("a", output={"x": 1}).case("b", "failed", 2.5, ("Criteria", "1 of 2", "more"))
    story.done("c", "skipped", "`b` failed").finish("failed", passed=1, failed=1, skipped=1, errored=0)
    assert report_of(story) == {
        "run": "019b7e9a-1111-7222-8333-0123456789ab",
        "name": "nominal",
        "work": "campaign",
        "outcome": "failed",
        "counts": {"passed": 1, "failed": 1, "skipped": 1},
        "duration": 12.3,
        "started": "2026-01-02T12:04:05.000007Z",
        "cases": [
            {"name": "a", "outcome": "passed", "attempts": 1, "duration": 1.0, "output": {"x": 1}},
            {
                "name": "b",
                "outcome": "failed",
                "attempts": 1,
                "duration": 2.5,
                "failure": {"type": "Criteria", "message": "1 of 2", "details": "more"},
            },
            {"name": "c", "outcome": "skipped", "attempts": 0, "duration": None, "reason": "`b` failed"},
        ],
    }


def test_an_unfinished_run(story):
    story.begin().start("a")
    report = report_of(story)
    assert report["outcome"] is None
    assert report["counts"] == {}
    assert report["cases"] == [{"name": "a", "outcome": None, "attempts": 1, "duration": None}]


def test_cancelled_and_resumed(story):
    story.begin().cancel().done("a", "cancelled", "x").finish("cancelled", cancelled=1).resume()
    assert report_of(story)["cases"] == [{"name": "a", "outcome": None, "attempts": 0, "duration": None}]
    story.case("a").finish(duration=1, passed=1)
    report = report_of(story)
    assert (report["outcome"], report["counts"], report["duration"]) == ("passed", {"passed": 1}, 13.3)


def test_numbers_json_does_not_have_are_null(story):
    output = {"x": [float("nan"), 1.5, (float("inf"),)], 3: -float("inf"), "n": {"y": float("nan")}}
    story.begin().case(output=output)
    assert report_of(story)["cases"][0]["output"] == {"x": [None, 1.5, [None]], "3": None, "n": {"y": None}}


def test_any_text_on_any_stream(story):
    story.begin("ü\x1b").case("日[x]", "errored", failure=("E", "\x00\ud800"))
    below = io.BytesIO()
    stream = io.TextIOWrapper(below, encoding="ascii")
    story.feed(JsonReport(stream))
    report = json.loads(below.getvalue())
    assert report["name"] == "ü\x1b"
    assert report["cases"][0]["name"] == "日[x]"
    assert report["cases"][0]["failure"]["message"] == "\x00\ud800"


def test_it_is_written_once(story):
    stream = io.StringIO()
    story.begin().feed(JsonReport(stream)).close()
    json.loads(stream.getvalue())


def test_no_records_no_text(story):
    stream = io.StringIO()
    story.feed(JsonReport(stream))
    assert stream.getvalue() == ""
