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
    assert outcomes(*lines) == {"A": "passed", "B": "errored", P: "errored"}
    assert outcomes(*lines, partial=True) == {"A": "passed"}
    assert outcomes(event("start")) == {P: "errored"}
    assert outcomes(event("start"), partial=True) == {}
    assert outcomes(event("start"), event("run", "A"), event("pass", "A")) == {"A": "passed", P: "errored"}
    assert outcomes(event("run", "A"), event("pass", "A")) == {"A": "passed", P: "errored"}


def test_much_output_is_kept_at_its_end():
    printed = [out(f"line {n} " + "x" * 1000, "T") for n in range(100)]
    (result,) = read(event("run", "T"), *printed, event("fail", "T"), event("fail"))
    assert "line 99" in result.details
    assert len(result.details) < 20_000


@pytest.mark.parametrize("text", [b"", b"hello", b'{"a": 1}', b"{" * 100_000])
def test_what_has_no_event_is_refused(text):
    with pytest.raises(ReportError, match="there is no event in it"):
        read_go_json(text)


# The same test several times


PASSES = event("start"), event("run", "T"), event("pass", "T", Elapsed=1), event("pass")
FAILS = (
    event("start"),
    event("run", "T"),
    out("    a_test.go:9: why", "T"),
    event("fail", "T", Elapsed=3),
    event("fail"),
)
NOT_BUILT = event("start"), out(f"FAIL\t{P} [build failed]"), event("fail")


@pytest.mark.parametrize("runs", [(*FAILS, *PASSES), (*PASSES, *FAILS), (*FAILS[1:], *PASSES[1:])])
def test_a_test_that_failed_in_one_of_two_runs_has_failed(runs):
    (result,) = read(*runs)
    assert (result.id, result.outcome, result.duration) == (f"{P}::T", "failed", 2)
    assert result.message == "failed in 1 of 2 repetitions: a_test.go:9: why"
    assert "a_test.go:9: why" in result.details


def test_a_test_that_passed_in_two_runs_is_one_test_that_passed():
    (result,) = read(*PASSES, *PASSES)
    assert (result.outcome, result.message, result.duration) == ("passed", "", 1)


@pytest.mark.parametrize(
    "runs",
    [(*NOT_BUILT, *PASSES), (*PASSES, *NOT_BUILT), (*PASSES, *PASSES, *NOT_BUILT), (*PASSES[1:], *NOT_BUILT[1:])],
)
def test_a_package_that_could_not_be_built_in_one_of_several_runs_is_an_error(runs):
    results = {result.id: result for result in read(*runs)}
    assert {id_: result.outcome for id_, result in results.items()} == {f"{P}::T": "passed", P: "errored"}
    assert results[P].message == "the package failed, it was not built"


def test_a_package_that_failed_in_a_run_none_of_whose_tests_did_is_an_error():
    printed = out("leak found"), event("fail")
    assert outcomes(*FAILS, *PASSES[:-1], *printed) == {"T": "failed", P: "errored"}
    assert outcomes(*PASSES[:-1], *printed, *PASSES) == {"T": "passed", P: "errored"}


def test_a_run_that_did_not_end_is_an_error_before_and_after_one_that_did():
    under_way = event("start"), event("run", "T")
    assert outcomes(*under_way, *PASSES) == {"T": "errored", P: "errored"}
    assert outcomes(*under_way, *PASSES, partial=True) == {"T": "errored", P: "errored"}
    assert outcomes(*PASSES, *under_way) == {"T": "errored", P: "errored"}
    assert outcomes(*PASSES, *under_way, partial=True) == {"T": "passed"}


def test_a_panic_in_one_of_two_runs_is_an_error():
    assert outcomes(event("run", "T"), out("panic: boom"), event("fail"), *PASSES[1:]) == {"T": "errored"}


def test_what_is_printed_after_the_end_of_a_package_is_no_run_of_it():
    assert outcomes(*PASSES, out("bye")) == {"T": "passed"}


@pytest.mark.parametrize("ends", [("fail", "pass", "pass"), ("pass", "fail", "pass"), ("pass", "pass", "fail")])
def test_a_test_that_failed_once_with_count_has_failed(ends):
    times = [line for end in ends for line in (event("run", "T"), out(end, "T"), event(end, "T"))]
    (result,) = read(*times, event("fail"))
    assert (result.outcome, result.message) == ("failed", "failed in 1 of 3 repetitions: fail")


def test_a_test_around_others_of_which_one_failed_once_is_explained_by_it():
    first = event("run", "T"), event("run", "T/x"), event("fail", "T/x"), event("fail", "T")
    second = event("run", "T"), event("run", "T/x"), event("pass", "T/x"), event("pass", "T")
    assert outcomes(*first, *second, event("fail")) == {"T/x": "failed"}
    assert outcomes(*first, event("fail"), *second, event("pass")) == {"T/x": "failed"}


def test_a_test_that_was_skipped_in_one_run_counts_by_the_other():
    skipped = event("start"), event("run", "T"), event("skip", "T"), event("pass")
    assert outcomes(*PASSES, *skipped) == outcomes(*skipped, *PASSES) == {"T": "passed"}
    assert outcomes(*skipped, *FAILS) == {"T": "failed"}
    assert outcomes(*skipped, *skipped) == {"T": "skipped"}


def test_a_second_word_about_a_test_that_failed_does_not_make_it_better():
    assert outcomes(event("run", "T"), event("fail", "T"), event("pass", "T"), event("pass")) == {"T": "failed"}
