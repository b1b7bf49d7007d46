from xml.etree import ElementTree as ET

import pytest

from podium.errors import EnvironmentProblemError, ExitCode
from podium.sinks.junit import JUnit


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reports" / "junit.xml"


def cases_of(path):
    return {case.get("name"): case for case in ET.parse(path).iter("testcase")}


def test_the_whole_file(story, hot, path):
    story.begin(steps=5).case("a", duration=0.25).case("b", "failed", 2.5, ("Criteria", "1 of 2 failed"), hot)
    story.case("c", "errored", failure=("ValueError", "bad", "Traceback\n  line"))
    story.done("d", "skipped", "`b` failed").done("e", "cancelled", "Ctrl-C")
    story.finish("failed", passed=1, failed=1, errored=1, skipped=1, cancelled=1)
    story.feed(JUnit(path))
    assert (
        path.read_text(encoding="utf-8")
        == """\
<?xml version='1.0' encoding='utf-8'?>
<testsuites name="nominal" tests="5" failures="1" errors="1" skipped="2" time="12.300">
  <testsuite name="nominal" tests="5" failures="1" errors="1" skipped="2" time="12.300">
    <testcase classname="nominal" name="a" time="0.250" />
    <testcase classname="nominal" name="b" time="2.500">
      <failure message="1 of 2 failed" type="Criteria">\
SAT1.battery.temperature &lt; 65  worst 81.3 at 118.2 s, first violated at 84.1 s
Criteria: 1 of 2 failed</failure>
      <system-out>failed   SAT1.battery.temperature &lt; 65  worst 81.3 at 118.2 s, first violated at 84.1 s
passed   SAT1.battery.soc &gt; 0.2  worst 0.31 at 600 s</system-out>
    </testcase>
    <testcase classname="nominal" name="c" time="1.000">
      <error message="bad" type="ValueError">ValueError: bad
  Traceback
    line</error>
    </testcase>
    <testcase classname="nominal" name="d" time="0.000">
      <skipped message="skipped: `b` failed" />
    </testcase>
    <testcase classname="nominal" name="e" time="0.000">
      <skipped message="cancelled: Ctrl-C" />
    </testcase>
  </testsuite>
</testsuites>
"""
    )


def test_what_xml_does_not_allow_is_escaped_and_all_else_survives(story, path):
    name = "x[red]<&>\"'\x00\ufffe ü 日本 \U0001f680"
    story.begin("n\x1b").case(name, "errored", failure=("E", "one\ntwo\x1b[31m \ud800", "\x08"))
    story.feed(JUnit(path))
    (case,) = (case for case in ET.parse(path).iter("testcase") if case.get("time") == "1.000")
    assert case.get("name") == "x[red]<&>\"'\\x00\\ufffe ü 日本 \U0001f680"
    assert case.get("classname") == "n\\x1b"
    error = case.find("error")
    assert error.get("message") == "one\ntwo\\x1b[31m \\ud800"
    assert error.text == "E: one\n  two\\x1b[31m \\ud800\n  \\x08"


def test_a_lost_case_without_result_is_an_error(story, path):
    story.begin().start().lose().done("a", "errored", "lost its worker").case("b", "timed_out")
    story.finish("errored", errored=1, timed_out=1)
    story.feed(JUnit(path))
    cases = cases_of(path)
    assert cases["a"].find("error").attrib == {"message": "lost its worker", "type": "errored"}
    assert cases["b"].find("error").attrib == {"message": "timed out", "type": "timed_out"}


def test_an_unfinished_run_is_not_green(story, path):
    story.begin(steps=4).case("a").start("b")
    story.feed(JUnit(path))
    cases = cases_of(path)
    assert list(cases) == ["a", "b", "2 cases not started"]
    assert cases["b"].find("error").get("message") == "did not finish"
    assert cases["2 cases not started"].find("error").get("message") == "the run did not finish"
    assert ET.parse(path).getroot().get("errors") == "2"


def test_a_resumed_run_has_each_case_once(story, path):
    story.begin().case("a").cancel().done("b", "cancelled", "x").finish("cancelled", passed=1, cancelled=1)
    story.resume().case("b").finish(passed=2)
    story.feed(JUnit(path))
    cases = cases_of(path)
    assert list(cases) == ["a", "b"]
    assert len(cases["b"]) == 0


def test_no_records_make_an_empty_file_in_place_of_an_old_one(story, path):
    path.parent.mkdir()
    path.write_text("old")
    story.feed(JUnit(path))
    assert ET.parse(path).getroot().get("tests") == "0"


def test_an_old_file_is_replaced_and_nothing_else_left(story, path):
    path.parent.mkdir()
    path.write_text("old")
    sink = story.begin().case().finish(passed=1).feed(JUnit(path))
    assert list(path.parent.iterdir()) == [path]
    assert "old" not in path.read_text()
    path.unlink()
    sink.close()
    assert not path.exists()


def test_the_file_is_as_readable_as_others(story, path):
    story.feed(JUnit(path))
    other = path.parent / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize("kind", ["a directory", "below a file"])
def test_a_file_that_cannot_be_written(story, tmp_path, kind):
    path = tmp_path / "x"
    if kind == "a directory":
        path.mkdir()
    else:
        path.touch()
        path /= "junit.xml"
    with pytest.raises(EnvironmentProblemError) as caught:
        story.begin().feed(JUnit(path))
    (problem,) = caught.value.diagnostics
    assert problem.code == "E502"
    assert problem.hint == "name a file in a directory you can write to"
    assert str(path) in problem.message
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert [found.name for found in tmp_path.iterdir()] == ["x"]
