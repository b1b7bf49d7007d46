"""What `go test -json` prints: tests, subtests, panics, builds that fail."""

import json

import pytest

from podium.executors.reports.go_json import read_go_json
from podium.executors.reports.reading import ReportError

P = "example.com/a"


def event(action, test="", **more):
    named = {"Test": test} if test else {}
    return json.dumps({"Time": "2026-01-01T00:00:00Z", "Action": action, "Package": P, **named, **more})


def out(text, test=""):
    return event("output", test, Output=text + "\n")


def read(*lines, **options):
    return read_go_json("\n".join(lines).encode(), **options)


def outcomes(*lines, **options):
    return {r.id.removeprefix(f"{P}::"): r.outcome for r in read(*lines, **options)}


def test_tests_that_pass_fail_and_are_skipped():
    passed, failed, skipped = read(
        event("start"),
        event("run", "TestA"), out("=== RUN   TestA", "TestA"), event("pass", "TestA", Elapsed=0.25),
        event("run", "TestB"), out("=== RUN   TestB", "TestB"), out("    a_test.go:9: got 1", "TestB"),
        out("--- FAIL: TestB (0.00s)", "TestB"), event("fail", "TestB", Elapsed=0),
        event("run", "TestC"), out("    a_test.go:12: no network", "TestC"), event("skip", "TestC"),
        out("FAIL"), event("fail", Elapsed=0.3),
    )  # fmt: skip
    assert (passed.id, passed.outcome, passed.duration) == (f"{P}::TestA", "passed", 0.25)
    assert (failed.outcome, failed.message) == ("failed", "a_test.go:9: got 1")
    assert "--- FAIL: TestB" in failed.details
    assert (skipped.outcome, skipped.message) == ("skipped", "a_test.go:12: no network")


def test_subtests_count_and_not_the_test_around_them():
    assert outcomes(
        event("run", "T"), event("run", "T/x"), event("run", "T/x/y"),
        event("pass", "T/x/y"), event("pass", "T/x"), event("run", "T/z"), event("fail", "T/z"), event("fail", "T"),
        event("fail"),
    ) == {"T/x/y": "passed", "T/z": "failed"}  # fmt: skip


def test_a_test_around_others_that_failed_on_its_own_account_counts():
    assert outcomes(event("pass", "T/x"), event("fail", "T"), event("fail")) == {"T/x": "passed", "T": "failed"}


def test_a_test_that_did_not_end_is_an_error_with_the_panic():
    lines = event("run", "T"), out("panic: boom"), out("goroutine 1 [running]:"), event("fail", Elapsed=0.1)
    (result,) = read(*lines)
    assert (result.id, result.outcome, result.message) == (f"{P}::T", "errored", "it did not end: panic: boom")


def test_a_test_that_ran_when_time_was_up_has_timed_out():
    before = event("run", "A"), event("pass", "A"), event("run", "B")
    panic = out("panic: test timed out after 1s", "B"), out("\trunning tests:\n\t\tB (1s)", "B")
    assert outcomes(*before, *panic, event("fail", "B"), event("fail")) == {"A": "passed", "B": "timed_out"}
    assert outcomes(event("run", "B"), out("panic: test timed out after 1s"), event("fail")) == {"B": "timed_out"}


def test_a_package_that_fails_without_a_test_that_did_is_an_error():
    printed = out("exit status 3"), out("leak found")
    (result, package) = read(event("run", "T"), event("pass", "T"), *printed, event("fail"))
    assert result.outcome == "passed"
    assert (package.id, package.outcome) == (P, "errored")
    assert package.message == "the package failed, no test of it failed: leak found"


def test_a_build_that_fails_is_an_error_with_what_the_compiler_said():
    where = f"{P} [{P}.test]"
    lines = [
        json.dumps({"ImportPath": where, "Action": "build-output", "Output": f"# {where}\n"}),
        json.dumps({"ImportPath": where, "Action": "build-output", "Output": "./a.go:3:1: undefined: x\n"}),
        json.dumps({"ImportPath": where, "Action": "build-fail"}),
        event("start"), out(f"FAIL\t{P} [build failed]"), event("fail", FailedBuild=where),
    ]  # fmt: skip
    for events in (lines, [line.replace("FailedBuild", "Older") for line in lines]):
        (package,) = read(*events)
        assert package.message == "the package failed, it was not built: ./a.go:3:1: undefined: x"


def test_older_versions_print_the_compiler_among_the_events():
    (package,) = read("# example.com/a", "./a.go:3:1: undefined: x", out(f"FAIL\t{P} [build failed]"), event("fail"))
    assert (package.outcome, package.message[:33]) == ("errored", "the package failed, it was not bu")


def test_packages_without_tests_are_no_tests():
    assert outcomes(event("start"), out(f"?   \t{P}\t[no test files]"), event("skip")) == {}
    assert outcomes(event("start"), event("pass")) == {}


def test_a_report_that_ends_too_early_is_an_error_unless_that_is_known():
    lines = event("run", "A"), event("pass", "A"), event("run", "B"), '{"Action":"out'
    assert outcomes(*lines) == {"A": "passed", "B": "errored"}
    assert outcomes(*lines, partial=True) == {"A": "passed"}
    assert outcomes(event("start")) == {P: "errored"}
    assert outcomes(event("start"), partial=True) == {}
    assert outcomes(event("start"), event("run", "A"), event("pass", "A")) == {"A": "passed", P: "errored"}


def test_much_output_is_kept_at_its_end():
    printed = [out(f"line {n} " + "x" * 1000, "T") for n in range(100)]
    (result,) = read(event("run", "T"), *printed, event("fail", "T"), event("fail"))
    assert "line 99" in result.details
    assert len(result.details) < 20_000


@pytest.mark.parametrize("text", [b"", b"hello", b'{"a": 1}', b"{" * 100_000])
def test_what_has_no_event_is_refused(text):
    with pytest.raises(ReportError, match="there is no event in it"):
        read_go_json(text)
