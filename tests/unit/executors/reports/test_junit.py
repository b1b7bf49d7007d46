"""JUnit XML: every dialect comes to the same words, and what is not JUnit XML is refused."""

import pytest

from podium.executors.reports.junit import read_junit
from podium.executors.reports.reading import LONGEST_DETAILS, ReportError


def read(xml, **options):
    return read_junit(xml.encode() if isinstance(xml, str) else xml, **options)


def only(xml):
    (result,) = read(f"<testsuite name='s'>{xml}</testsuite>")
    return result


def outcomes(xml, **options):
    return {result.id: result.outcome for result in read(xml, **options)}


SUREFIRE = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="com.x.AppTest" time="1,234.5" tests="4"
    errors="1" skipped="1" failures="1">
  <properties><property name="java.version" value="21"/></properties>
  <testcase name="adds" classname="com.x.AppTest" time="1,200.25"/>
  <testcase name="fails" classname="com.x.AppTest" time="0.01">
    <failure message="expected: 1" type="org.opentest4j.AssertionFailedError"><![CDATA[expected: 1
	at com.x.AppTest.fails(AppTest.java:12)]]></failure>
    <system-out><![CDATA[hello]]></system-out>
    <system-err>oh</system-err>
  </testcase>
  <testcase name="breaks" classname="com.x.AppTest">
    <error type="java.lang.IllegalStateException">boom</error></testcase>
  <testcase name="off" classname="com.x.AppTest"><skipped message="not now"/></testcase>
</testsuite>"""


def test_the_four_outcomes_with_durations_messages_and_output():
    adds, fails, breaks, off = read(SUREFIRE)
    assert (adds.id, adds.outcome, adds.duration) == ("com.x.AppTest::adds", "passed", 1200.25)
    assert (fails.outcome, fails.message) == ("failed", "expected: 1")
    assert fails.details == "expected: 1\n\tat com.x.AppTest.fails(AppTest.java:12)\nhello\noh"
    assert (breaks.outcome, breaks.message) == ("errored", "boom")
    assert (off.outcome, off.message) == ("skipped", "not now")


def test_what_a_test_that_passed_printed_is_not_kept():
    assert only("<testcase name='a'><system-out>much</system-out></testcase>").details == ""


def test_tests_that_were_tried_again_are_flaky_if_they_passed_in_the_end():
    stack = "<stackTrace>at X</stackTrace><system-out>o</system-out>"
    flaky = only(f"<testcase name='a'><flakyFailure message='m'>{stack}</flakyFailure><flakyError/></testcase>")
    assert (flaky.outcome, flaky.flaky, flaky.attempts) == ("passed", True, 3)
    failed = only("<testcase name='a'><failure message='m'/><rerunFailure message='n'/></testcase>")
    assert (failed.outcome, failed.flaky, failed.attempts, failed.message) == ("failed", False, 2, "m")
    rerun = only("<testcase name='a'><rerunFailure message='n'/></testcase>")
    assert (rerun.outcome, rerun.flaky, rerun.attempts) == ("passed", True, 2)


def test_jest_repeats_the_name_as_the_class():
    assert only("<testcase classname='sum adds' name='sum adds'/>").id == "sum adds"


def test_the_test_runner_of_node_names_suites_not_classes():
    xml = """<testsuites>
      <testcase name="adds" time="0.005" classname="test"/>
      <testsuite name="group"><testcase name="adds" classname="test"/>
        <testsuite name="inner"><testcase name="adds" classname="test"/></testsuite></testsuite>
      <testcase name="todo" classname="test"><skipped type="todo" message="true"/><failure message="x"/></testcase>
      <testcase name="done" classname="test"><skipped type="todo" message="true"/></testcase>
      <testcase name="slow" classname="test"><failure type="testTimeoutFailure" message="timed out"/></testcase>
    </testsuites>"""
    assert outcomes(xml) == {
        "adds": "passed",
        "group::adds": "passed",
        "group::inner::adds": "passed",
        "todo": "xfailed",
        "done": "xpassed",
        "slow": "timed_out",
    }


def test_ctest_says_in_an_attribute_that_a_test_is_disabled_and_a_missing_program_is_an_error():
    xml = """<testsuite name="(empty)" tests="5" failures="1" disabled="1" skipped="2">
      <testcase name="good" classname="good" time="0.1" status="run"><system-out></system-out></testcase>
      <testcase name="bad" classname="bad" status="fail"><failure message=""/><system-out>a
last words</system-out></testcase>
      <testcase name="off" classname="off" status="disabled"><system-out>Disabled</system-out></testcase>
      <testcase name="skip" classname="skip" status="notrun"><skipped message="SKIP_RETURN_CODE=4"/></testcase>
      <testcase name="gone" classname="gone" status="notrun"><skipped message="Unable to find executable"/></testcase>
    </testsuite>"""
    good, bad, off, skip, gone = read(xml)
    assert [test.outcome for test in (good, bad, off, skip, gone)] == [
        "passed", "failed", "skipped", "skipped", "errored"
    ]  # fmt: skip
    assert bad.message == "last words"


def test_googletest_has_several_failures_in_a_test_and_a_result_attribute():
    xml = """<testsuites tests="3"><testsuite name="S">
      <testcase name="A" classname="S" status="run" result="completed">
        <failure message="first" type=""/><failure message="second" type=""/></testcase>
      <testcase name="DISABLED_B" classname="S" status="notrun" result="suppressed"/>
      <testcase name="C" classname="S" status="run" result="skipped"/></testsuite></testsuites>"""
    a, b, c = read(xml)
    assert (a.message, a.details) == ("first", "first\nsecond")
    assert (b.outcome, c.outcome) == ("skipped", "skipped")


@pytest.mark.parametrize("attribute", ["status", "result"])
@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("fail", "failed"), ("errored", "errored"), ("Aborted", "errored"), ("broken", "errored"),
        ("crashed", "errored"), ("cancelled", "errored"), ("canceled", "errored"), ("interrupted", "errored"),
        ("incomplete", "errored"), ("inconclusive", "errored"), ("timeout", "timed_out"), ("TimedOut", "timed_out"),
        ("timed_out", "timed_out"), ("ignored", "skipped"), ("run", "passed"), ("completed", "passed"),
    ],
)  # fmt: skip
def test_words_for_what_a_test_came_to_that_has_no_element(attribute, word, outcome):
    assert only(f"<testcase name='a' {attribute}='{word}'/>").outcome == outcome


def test_of_two_words_the_worse_counts():
    assert only("<testcase name='a' status='failed' result='timeout'/>").outcome == "timed_out"
    assert only("<testcase name='a' status='skipped' result='error'/>").outcome == "errored"


def test_pytest_writes_expected_failures_as_skipped():
    xfail = only("<testcase name='a'><skipped type='pytest.xfail' message='known'/></testcase>")
    assert (xfail.outcome, xfail.message) == ("xfailed", "known")
    assert (
        only("<testcase name='a'><skipped type='pytest.skip' message='why'>x.py:3: why</skipped></testcase>").message
        == "why"
    )


@pytest.mark.parametrize(
    "element",
    [
        "<failure type='test timeout'/>",
        "<error type='org.junit.runners.model.TestTimedOutException'/>",
        "<failure message='Timeout'/>",
    ],
)
def test_a_test_that_ran_out_of_time_says_so_in_its_type(element):
    assert only(f"<testcase name='a'>{element}</testcase>").outcome == "timed_out"


def test_a_timeout_in_what_is_tested_is_a_failure():
    assert only("<testcase name='a'><failure type='requests.ConnectTimeout'/></testcase>").outcome == "failed"


def test_the_file_is_that_of_the_test_or_of_a_suite_around_it():
    xml = """<testsuites><testsuite name="Root Suite" file="cypress/a.cy.js"><testsuite name="login">
      <testcase name="works" classname="works" file="" /><testcase name="b" classname="c" file="x.py" line="7"/>
      <testcase name="d" classname="c" line="junk"/>
    </testsuite></testsuite></testsuites>"""
    works, b, d = read(xml)
    assert (works.file, b.file, b.line, d.file, d.line) == ("cypress/a.cy.js", "x.py", 7, "cypress/a.cy.js", 0)


def test_playwright_has_a_suite_per_file_and_the_project_as_host():
    xml = """<testsuites id="" name="" tests="2" failures="1" skipped="0" errors="0" time="1.5">
      <testsuite name="login.spec.ts" hostname="chromium" tests="2" failures="1" time="1.2" errors="0">
        <testcase name="login > works" classname="login.spec.ts" time="0.5"></testcase>
        <testcase name="login > fails" classname="login.spec.ts" time="0.7">
          <failure message="login.spec.ts:7:5 fails" type="FAILURE"><![CDATA[  [chromium] > login.spec.ts:7:5

    Error: expect(locator).toBeVisible() failed]]></failure>
          <system-out><![CDATA[[[ATTACHMENT|trace.zip]]]]></system-out>
        </testcase></testsuite></testsuites>"""
    works, fails = read(xml)
    assert (works.id, works.outcome) == ("login.spec.ts::login > works", "passed")
    assert (fails.outcome, fails.message) == ("failed", "login.spec.ts:7:5 fails")
    assert "toBeVisible() failed" in fails.details


def test_nextest_names_binaries_and_keeps_every_try():
    xml = """<testsuites name="nextest-run" tests="2" failures="1" errors="0">
      <testsuite name="crate::bin" tests="2" disabled="0" errors="0" failures="1">
        <testcase name="t::flaky" classname="crate::bin" time="0.01">
          <flakyFailure timestamp="2026" time="0.01" message="panicked" type="test failure">x</flakyFailure></testcase>
        <testcase name="t::slow" classname="crate::bin" time="2.0">
          <failure type="test timeout"/><rerunFailure type="test timeout"/></testcase>
      </testsuite></testsuites>"""
    flaky, slow = read(xml)
    assert (flaky.id, flaky.outcome, flaky.flaky, flaky.attempts) == ("crate::bin::t::flaky", "passed", True, 2)
    assert (slow.outcome, slow.flaky, slow.attempts) == ("timed_out", False, 2)


def test_tags_become_markers_without_repetition():
    properties = "<property name='tag' value='slow, ui'/><property name='cmake_labels' value='ui;db'/>"
    xml = f"<testcase name='a'><properties>{properties}<property name='owner' value='me'/></properties></testcase>"
    assert only(xml).markers == ("slow", "ui", "db")


def test_ids_are_different():
    xml = """<testsuites>
      <testsuite name="one"><testcase classname="c" name="a"/><testcase classname="c" name="b"/></testsuite>
      <testsuite name="two"><testcase classname="c" name="a"/><testcase classname="c" name="a"/></testsuite>
    </testsuites>"""
    assert list(outcomes(xml)) == ["one::c::a", "c::b", "two::c::a", "two::c::a #2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.25", 0.25), ("1,234.5", 1234.5), ("1,234", 1234.0), ("0,25", 0.25), ("0,125", 0.125), ("", 0.0),
        ("soon", 0.0), ("-1", 0.0), ("nan", 0.0), ("inf", 0.0), ("1e400", 0.0),
    ],
)  # fmt: skip
def test_durations(text, expected):
    assert only(f"<testcase name='a' time='{text}'/>").duration == expected


def test_an_error_of_a_suite_itself_is_a_result():
    (result,) = read("<testsuite name='s'><error message='no database'>trace</error></testsuite>")
    assert (result.id, result.outcome, result.message, result.details) == (
        "s",
        "errored",
        "no database",
        "no database\ntrace",
    )


def test_failures_that_are_counted_and_not_named_are_an_error_of_the_suite_that_counts_them():
    xml = """<testsuites errors="1"><testsuite name="all" errors="1"><testsuite name="s" tests="1" errors="1"/>
      <testsuite name="t" failures="0"><testcase name="a"/></testsuite></testsuite></testsuites>"""
    assert outcomes(xml) == {"all::s": "errored", "all::t::a": "passed"}


def test_a_suite_that_counts_what_it_names_has_no_other_error():
    assert outcomes("<testsuite name='s' failures='1'><testcase name='a'><failure/></testcase></testsuite>") == {
        "s::a": "failed"
    }


@pytest.mark.parametrize("root", ["testsuites", "testrun"])
def test_failures_that_only_the_root_counts_are_an_error(root):
    suite = "<testsuite name='s'><testcase name='a'/></testsuite>"
    results = read(f"<{root} name='all' failures='1' errors='2'>{suite}</{root}>")
    assert [(result.id, result.outcome) for result in results] == [("s::a", "passed"), ("all", "errored")]
    assert results[1].message == "the report counts 3 tests that did not pass, and names none"
    assert outcomes(f"<{root} failures='1'/>") == {"report": "errored"}


def test_failures_that_the_root_counts_beyond_those_that_are_named_are_an_error():
    bad = "<testcase name='b'><failure/></testcase>"
    results = read(f"<testsuites failures='3'><testsuite name='s' failures='1'>{bad}</testsuite></testsuites>")
    assert [(result.id, result.outcome) for result in results] == [("s::b", "failed"), ("report", "errored")]
    assert results[1].message == "the report counts 3 tests that did not pass, and accounts for 1"


ONE_BAD = "<testsuite failures='1'><testcase name='a'><error/></testcase></testsuite>"


@pytest.mark.parametrize(
    ("counted", "inside"),
    [
        (1, "<testcase name='a'><error/></testcase>"),
        (2, "<testsuite name='s'><testcase name='a'><failure/><error/></testcase></testsuite>"),
        (1, "<testcase name='a'><skipped type='todo'/><failure/></testcase>"),
        (1, "<testcase name='a' status='failed'/>"),
        (3, "<testsuite name='s' failures='3'/>"),
        (1, "<testsuite name='s'><error message='no database'/></testsuite>"),
        (2, f"<testsuite failures='1'>{ONE_BAD}</testsuite>"),
        (2, "<testsuite failures='1' errors='1'><testcase name='a'><error/></testcase></testsuite>"),
    ],
)
def test_failures_that_the_root_counts_and_cases_or_suites_account_for_are_not_counted_twice(counted, inside):
    assert len(read(f"<testsuites failures='{counted}'>{inside}</testsuites>")) == 1


def test_a_report_that_ends_before_its_root_does_is_not_held_to_what_the_root_counts():
    assert outcomes("<testsuites failures='1'><testsuite name='s'><testcase name='a'/>", partial=True) == {
        "s::a": "passed"
    }


def test_long_output_is_kept_at_both_ends():
    result = only(f"<testcase name='a'><failure message='m'>begin{'x' * LONGEST_DETAILS * 3}end</failure></testcase>")
    assert result.details.startswith("mbegin") or result.details.startswith("m\nbegin")
    assert result.details.endswith("xend")
    assert "characters left out" in result.details
    assert len(result.details) < 1.1 * LONGEST_DETAILS


def test_colours_and_line_ends_stay_out_of_ids_and_messages():
    result = only("<testcase name='a&#10;  b'><failure message='x'/></testcase>")
    assert result.id == "s::a b"
    assert only("<testcase name='a'><failure>\n\n  why \nmore</failure></testcase>").message == "why"


def test_namespaces_and_encodings_make_no_difference():
    xml = "<?xml version='1.0' encoding='UTF-16'?><j:testsuites xmlns:j='urn:j'><j:testcase name='ä'/></j:testsuites>"
    assert [result.id for result in read(xml.encode("utf-16"))] == ["ä"]


def test_an_empty_report_has_no_results():
    assert read("<testsuites/>") == []


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "line 1: this is no XML: no element found"),
        ("<html><body/></html>", "this is no JUnit report: its root element is `html`"),
        ("<testsuite>\n<testcase name='a'>\n", "line 3: this is no XML: no element found"),
        ("<testsuite>\n</testsuites>", "line 2: this is no XML: mismatched tag"),
        ("<testsuite><testcase name='&x;'/></testsuite>", "line 1: this is no XML: undefined entity"),
        ("<?xml version='1.0' encoding='klingon'?><testsuite/>", "this is no XML"),
        ("\udc80".encode("utf-8", "surrogatepass"), "this is no XML"),
    ],
)
def test_what_is_not_junit_is_refused_with_its_line(xml, message):
    with pytest.raises(ReportError) as caught:
        read(xml)
    assert message in str(caught.value)


BOMB = """<?xml version="1.0"?><!-- x --><!DOCTYPE lolz [<!ENTITY a "lol">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<testsuite><testcase name="&c;"/></testsuite>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_document_type_declaration_is_refused_before_anything_is_expanded(encoding):
    text = BOMB.replace("?>", " encoding='utf-16'?>", 1) if "16" in encoding else BOMB
    with pytest.raises(ReportError, match="document type declaration"):
        read(text.encode(encoding), partial=True)


def test_an_external_entity_is_refused(tmp_path):
    (tmp_path / "secret").write_text("secret")
    doctype = f"<!DOCTYPE t [<!ENTITY x SYSTEM '{(tmp_path / 'secret').as_uri()}'>]>"
    xml = f"{doctype}<testsuite><testcase name='&x;'/></testsuite>"
    with pytest.raises(ReportError, match="document type declaration"):
        read(xml)


def test_a_test_may_speak_of_document_types():
    assert (
        only("<testcase name='a'><failure><![CDATA[<!DOCTYPE html>]]></failure></testcase>").message
        == "<!DOCTYPE html>"
    )


def test_of_a_report_that_ends_too_early_the_tests_before_the_end_can_be_had():
    cut = SUREFIRE[: SUREFIRE.index('<testcase name="off"')]
    assert list(outcomes(cut, partial=True).values()) == ["passed", "failed", "errored"]
    with pytest.raises(ReportError, match="no element found"):
        read(cut)


def test_depth_makes_no_difference():
    depth = 20_000
    xml = "<testsuite name='s'>" * depth + "<testcase name='a'/>" + "</testsuite>" * depth
    (result,) = read(xml)
    assert result.outcome == "passed"
    assert len(result.id) < 2100
