"""Which format a report has; and whatever bytes come, a reader returns results or says that it cannot."""

import json
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.executors.reports.detect import detect, read_report
from podium.executors.reports.reading import ReportError
from podium.test_results import TEST_OUTCOMES

FORMATS = ["auto", "junit", "tap", "ctrf", "go", "pytest", "jest"]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("<?xml version='1.0'?>\n<!-- x -->\n<testsuites/>", "", "junit"),
        ("\ufeff<testsuite/>", "", "junit"),
        ("<html/>", "", "auto"),
        ("<html/>", "report.xml", "junit"),
        ("", "report.XML", "junit"),
        ("", "a.tap", "tap"),
        ("", "report.json", "auto"),
        ("TAP version 14\n", "", "tap"),
        ("starting\nok 1 - a\n1..1\n", "", "tap"),
        ("1..0 # SKIP no display\n", "", "tap"),
        ("ok, all is well\n", "", "auto"),
        ('{"reportFormat": "CTRF", "results": {"tests": []}}', "out.json", "ctrf"),
        ('{"name": "x"}', "out.json", "auto"),
        ('{"Time":"t","Action":"run","Package":"p","Test":"T"}\n', "", "go"),
        ('# p\n{"Action":"build-output"}\n', "", "go"),
        ("x\n==== 3 passed in 0.1s ====\n", "", "pytest"),
        ("no tests ran in 0.01s\n", "", "pytest"),
        ("\x1b[1mTests:\x1b[22m       \x1b[32m1 passed\x1b[39m, 1 total\n", "", "jest"),
        ("      Tests  1 passed (1)\n", "", "jest"),
        ("hello", "", "auto"),
    ],
)
def test_the_format_is_found_by_content_and_then_by_name(text, name, expected):
    assert detect(text.encode(), name) == expected


def test_utf_16_is_found_too():
    assert detect("<?xml version='1.0' encoding='utf-16'?><testsuite/>".encode("utf-16")) == "junit"


@pytest.mark.parametrize(("text", "message"), [(b" \n", "the report is empty"), (b"hello", "of no known format")])
def test_what_is_of_no_format_is_refused(text, message):
    with pytest.raises(ReportError, match=message):
        read_report(text)


def test_a_reading_says_which_format_it_was():
    assert read_report(b"1..1\nok 1\n").format == "tap"


def test_tap_of_one_file_of_many_has_its_name():
    (result,) = read_report(b"1..1\nok 1 - x\n", name="a.tap", one_of_many=True).results
    assert result.id == "a.tap > x"
    (result,) = read_report(b"<testsuite><testcase name='x'/></testsuite>", name="a.xml", one_of_many=True).results
    assert result.id == "x"


PIECES = st.sampled_from(
    [
        b"<testsuites>", b"<testsuite name='s' errors='1'>", b"<testcase name='a' time='1,0'>", b"</testcase>",
        b"<failure message='m'>", b"</failure>", b"<skipped/>", b"<system-out>", b"</testsuite>", b"<!DOCTYPE x [",
        b"<![CDATA[", b"]]>", b"&lt;", b"<!-- ", b" -->", b"TAP version 13\n", b"1..3\n", b"1..0 # SKIP\n",
        b"ok 1 - a\n",
        b"not ok", b" # TODO", b"    ", b"  ---\n", b"  ...\n", b"Bail out!\n", b"# Subtest: x\n", b"t/a.t ..\n",
        b'{"Action":"run","Package":"p","Test":"T"}\n', b'{"Action":"fail","Package":"p"}\n',
        b'{"Action":"output","Package":"p","Output":"panic: x\\n"}\n', b'{"results":{"tests":[',
        b'{"name":"a","status":"passed"}',
        b"]}}", b",", b"1 failed, 2 passed in 0.1s\n", b"FAILED t/a.py::x - y\n", b"Tests:       1 failed, 2 total\n",
        b"\n", b"\xff", b"\0", b"9" * 30, b"Test Suites: 1 failed\n", " ● x\n".encode(),
    ]
)  # fmt: skip


@given(
    st.one_of(st.binary(), st.lists(st.one_of(PIECES, st.binary(max_size=3)), max_size=30).map(b"".join)),
    st.sampled_from(FORMATS),
    st.booleans(),
)
def test_garbage_is_refused_and_nothing_else_happens(data, report, partial):
    try:
        reading = read_report(data, report, partial=partial)
    except ReportError:
        return
    ids = [result.id for result in reading.results]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    assert all(result.outcome in TEST_OUTCOMES and result.duration >= 0 for result in reading.results)
    assert reading.counts.total == len(ids) + reading.unnamed.total


LETTERS = st.characters(
    min_codepoint=33, max_codepoint=0x2FF, exclude_characters="#\\\x7f", exclude_categories=["C", "Z"]
)
NAMES = st.text(LETTERS, min_size=1, max_size=12).filter(lambda name: not name[0].isdigit() and name[0] != "-")
TESTS = st.dictionaries(NAMES, st.sampled_from(["passed", "failed", "skipped"]), max_size=8)


@given(TESTS)
def test_what_is_written_as_junit_is_read_the_same(tests):
    inner = {"passed": "", "failed": "<failure message='m'/>", "skipped": "<skipped/>"}
    cases = "".join(f"<testcase name={quoteattr(name)}>{inner[outcome]}</testcase>" for name, outcome in tests.items())
    results = read_report(f"<testsuites>{cases}</testsuites>".encode(), "junit").results
    assert {r.id: r.outcome for r in results} == tests


@given(TESTS)
def test_what_is_written_as_tap_is_read_the_same(tests):
    words = {"passed": ("ok", ""), "failed": ("not ok", ""), "skipped": ("ok", " # SKIP")}
    lines = [
        f"{words[outcome][0]} {n} - {name}{words[outcome][1]}" for n, (name, outcome) in enumerate(tests.items(), 1)
    ]
    text = "\n".join([f"1..{len(tests)}", *lines])
    assert {r.id: r.outcome for r in read_report(text.encode(), "tap").results} == tests


@given(TESTS)
def test_what_is_written_as_ctrf_is_read_the_same(tests):
    listed = [{"name": name, "status": outcome} for name, outcome in tests.items()]
    data = json.dumps({"results": {"tests": listed}}).encode()
    assert {r.id: r.outcome for r in read_report(data).results} == tests


@given(TESTS)
def test_what_is_written_by_go_is_read_the_same(tests):
    words = {"passed": "pass", "failed": "fail", "skipped": "skip"}
    tests = {name.replace("/", "_"): outcome for name, outcome in tests.items()}
    events = [{"Action": words[outcome], "Package": "p", "Test": name} for name, outcome in tests.items()]
    events.append({"Action": "fail" if "failed" in tests.values() else "pass", "Package": "p"})
    data = "\n".join(map(json.dumps, events)).encode()
    assert {r.id.removeprefix("p::"): r.outcome for r in read_report(data, "go").results} == tests
