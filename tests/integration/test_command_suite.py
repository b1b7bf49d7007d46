"""Commands that run tests: what is evidence, what is not, and what their results come to."""

import os
import sys
from pathlib import Path

import pytest
from tests.integration.suites import run_suite

from podium.events import Failure
from podium.executors.command_suite import CommandSuiteExecutor
from podium.protocols import Attempt, Progressed, Work

pytestmark = [pytest.mark.once, pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")]

PASS = "<testsuite name='s' tests='2'><testcase name='a'/><testcase name='b'/></testsuite>"
FAIL = "<testsuite name='s'><testcase name='a'/><testcase name='b'><failure message='why'/></testcase></testsuite>"


def writes(xml, then="", path="r.xml"):
    """Return a line for the shell that writes a report."""
    return f'echo "{xml}" > {path}; {then}'


def python(tmp_path, code):
    (tmp_path / "suite.py").write_text(code)
    return {"argv": [sys.executable, "suite.py"]}


# evidence


def test_a_report_in_which_all_passed(tmp_path):
    told = run_suite(tmp_path, shell=writes(PASS), report_path="*.xml", origin="web")
    assert told.outcome == "passed"
    assert told.outcomes == {"s::a": "passed", "s::b": "passed"}
    assert (told.finished.output["total"], told.counts) == (2, {"passed": 2})
    assert told.finished.output["runner"] == "command, junit"
    assert [(batch.total, batch.origin) for batch in told.reports[:-1] if not isinstance(batch, Progressed)] == [
        (2, "web")
    ]


def test_a_test_that_failed_fails_the_suite_whatever_the_exit_code(tmp_path):
    for code in (0, 1, 99):
        told = run_suite(tmp_path, shell=writes(FAIL, f"exit {code}"), report_path="r.xml", report="junit")
        assert (told.outcome, told.failure.type) == ("failed", "TestsFailed")
        assert "s::b: why" in told.failure.details
        assert told.counts == {"passed": 1, "failed": 1}


def test_a_pipe_is_no_report(tmp_path):
    told = run_suite(tmp_path, shell="mkfifo r.xml", report_path="*.xml")
    assert (told.outcome, told.failure) == ("errored", Failure("NoReport", "the command wrote no report '*.xml'"))
    assert run_suite(tmp_path, shell=writes(PASS, path="s.xml"), report_path="*.xml").counts == {"passed": 2}


def test_a_report_in_which_all_passed_is_not_believed_if_the_command_failed(tmp_path):
    told = run_suite(tmp_path, shell=writes(PASS, "echo oh >&2; exit 3"), report_path="r.xml")
    assert told.outcome == "errored"
    assert told.failure == Failure("ExitCode", "the command exited with code 3, though no test of 2 failed", "oh\n", 3)
    assert told.counts == {"passed": 2}


def test_an_exit_code_may_be_declared_to_be_a_good_one(tmp_path):
    told = run_suite(tmp_path, shell=writes(PASS, "exit 3"), report_path="r.xml", exit_codes=[0, 3])
    assert told.outcome == "passed"


def test_a_report_from_before_is_no_evidence(tmp_path):
    (tmp_path / "r.xml").write_text(PASS)
    told = run_suite(tmp_path, shell="true", report_path="*.xml")
    assert (told.outcome, told.failure.type) == ("errored", "NoReport")
    assert told.failure.message == "the command wrote no report '*.xml'; 1 from before it began do not count"
    assert told.results == {}


def test_a_report_that_is_written_again_counts_even_if_it_says_the_same(tmp_path):
    (tmp_path / "r.xml").write_text(PASS + "\n")
    assert run_suite(tmp_path, shell=writes(PASS), report_path="r.xml").outcome == "passed"


def test_only_what_was_written_is_read_and_all_of_it(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.xml").write_text(FAIL)
    line = writes(PASS, path="out/one.xml") + writes(
        "<testsuite name='t'><testcase name='c'/></testsuite>", path="out/two.xml"
    )
    told = run_suite(tmp_path, shell=line, report_path="out/**/*.xml")
    assert (told.outcome, list(told.results)) == ("passed", ["s::a", "s::b", "t::c"])


@pytest.mark.parametrize(
    ("payload", "kind", "message"),
    [
        ({"shell": "true"}, "NoReport", "the command printed nothing"),
        ({"shell": "true", "report_path": "r.xml"}, "NoReport", "the command wrote no report 'r.xml'"),
        (
            {"shell": "echo hello"},
            "BadReport",
            "the report is of no known format",
        ),
        ({"shell": "echo '1 passed in 0.1s' >&2", "report": "tap"}, "NoReport", "the command printed nothing"),
        ({"shell": "echo 1..0", "report": "tap"}, "NoTests", "no tests were run"),
        ({"shell": "echo '<testsuites/>'"}, "NoTests", "no tests were run"),
        ({"shell": "echo '<testsuite>'"}, "BadReport", "standard output: line 2: this is no XML: no element found"),
        (
            {"shell": ": > r.xml", "report_path": "r.xml"},
            "BadReport",
            "r.xml: line 1: this is no XML: no element found",
        ),
        ({"shell": "echo hello; exit 4", "report": "junit"}, "BadReport", "; the command exited with code 4"),
    ],
)
def test_without_evidence_nothing_has_passed(tmp_path, payload, kind, message):
    told = run_suite(tmp_path, **payload)
    assert (told.outcome, told.failure.type) == ("errored", kind)
    assert message in told.failure.message


def test_one_bad_report_does_not_hide_the_others(tmp_path):
    line = writes(PASS, path="one.xml") + writes("<testsuite>", path="two.xml")
    told = run_suite(tmp_path, shell=line, report_path="*.xml")
    assert (told.outcome, told.failure.type) == ("errored", "BadReport")
    assert told.failure.message.startswith("two.xml: line 2")
    assert list(told.results) == ["s::a", "s::b"]


def test_a_command_that_was_killed_is_errored_with_what_it_had_written(tmp_path):
    line = "printf '1..3\\nok 1 - a\\nok 2 - b\\n'; kill -SEGV $$"
    told = run_suite(tmp_path, shell=line, report="tap")
    assert (told.outcome, told.failure.message) == ("errored", "killed by SIGSEGV")
    assert told.outcomes == {"a": "passed", "b": "passed"}
    partial = run_suite(tmp_path, shell=line, report="tap", criteria={"allow_partial": True})
    assert (partial.outcome, partial.notes) == ("passed", ["it ended early: killed by SIGSEGV"])


def test_the_exit_code_alone_is_one_test_with_the_name_of_the_command(tmp_path):
    told = run_suite(tmp_path, argv=["sh", "-c", "exit 0"], report="exit_code")
    assert (told.outcome, told.outcomes) == ("passed", {"sh -c 'exit 0'": "passed"})
    failed = run_suite(tmp_path, shell="echo because >&2; exit 7", report="exit_code")
    (result,) = failed.results.values()
    assert (failed.outcome, result.message, result.details) == ("failed", "exited with code 7", "because\n")
    killed = run_suite(tmp_path, shell="kill -KILL $$", report="exit_code")
    assert (killed.outcome, killed.failure.type, killed.results) == ("errored", "Signal", {})


def test_what_cannot_be_started_is_told_as_of_any_command(tmp_path):
    told = run_suite(tmp_path, argv=["no-such-runner"], report="tap")
    assert (told.outcome, told.failure) == ("errored", Failure("CannotStart", "program 'no-such-runner' not found"))
    bad = run_suite(tmp_path, report="tap")
    assert (bad.failure.type, bad.failure.message) == ("BadPayload", "either `argv` or `shell` must be given")
    unknown = run_suite(tmp_path, shell="true", report="xml")
    assert (unknown.outcome, unknown.failure.type) == ("errored", "BadPayload")


def test_files_are_named_from_the_working_directory(tmp_path):
    (tmp_path / "sub").mkdir()
    xml = (
        f"<testsuite><testcase name='a' file='{tmp_path}/sub/t.js'/><testcase name='b' file='/else/t.js'/></testsuite>"
    )
    told = run_suite(tmp_path, shell=writes(xml), report_path="r.xml", cwd="sub")
    assert [result.file for result in told.results.values()] == ["t.js", "/else/t.js"]


def test_the_command_gets_the_environment_and_its_output_is_kept(tmp_path):
    told = run_suite(
        tmp_path, shell='echo "1..1"; echo "ok 1 - $COLOUR$PODIUM_STEP"', env={"COLOUR": "red"}, report="tap"
    )
    assert list(told.results) == ["redlayer/suite"]
    assert told.finished.artifacts["stdout"] == b"1..1\nok 1 - redlayer/suite\n"
    assert told.lines[-1] in {"1..1", "ok 1 - redlayer/suite"}


# what results come to


def test_quarantined_tests_are_shown_and_do_not_count_until_their_day_is_over(tmp_path):
    def suite(until):
        entry = {"test": "s::b*", "until": until}
        return run_suite(tmp_path, shell=writes(FAIL, "exit 1"), report_path="r.xml", quarantine=[entry])

    known = suite("9999-12-31")
    assert known.outcome == "passed"
    assert (known.results["s::b"].outcome, known.results["s::b"].quarantined) == ("failed", True)
    assert known.counts == {"passed": 1, "failed": 1, "quarantined": 1}
    assert suite("2020-01-01").outcome == "failed"


def test_criteria_and_critical_tests(tmp_path):
    lenient = {"min_pass_rate": 0.5, "max_failures": 1}
    suite = {"shell": writes(FAIL, "exit 1"), "report_path": "r.xml"}
    assert run_suite(tmp_path, **suite, criteria=lenient).outcome == "passed"
    critical = run_suite(tmp_path, **suite, criteria={**lenient, "critical": ["s::b"]})
    assert (critical.outcome, critical.counts["critical"]) == ("failed", 1)


def test_words_that_make_no_test_critical_are_told_if_all_tests_are_known(tmp_path):
    criteria = {"critical": ["zork", "s::b"]}
    told = run_suite(tmp_path, shell=writes(FAIL, "exit 1"), report_path="r.xml", criteria=criteria)
    assert told.finished.output["uncritical"] == ["zork"]
    stopped = run_suite(tmp_path, shell=writes(FAIL, "exit 3"), report_path="nothing.xml", criteria=criteria)
    assert "uncritical" not in stopped.finished.output
    unnamed = run_suite(tmp_path, shell="echo '=== 3 passed in 0.1s ==='", criteria=criteria)
    assert unnamed.counts == {"passed": 3}
    assert unnamed.notes[1:] == ["it is not known which of its tests are critical"]


def test_failures_of_critical_tests_are_counted_for_others_to_know(tmp_path):
    told = run_suite(
        tmp_path, shell=writes(FAIL, "exit 1"), report_path="r.xml", early_end={"critical": ["s::b", "s::a"]}
    )
    assert told.finished.output["critical_failures"] == 1


def test_tests_that_were_all_skipped_are_noted(tmp_path):
    told = run_suite(tmp_path, shell="echo 1..1; echo ok 1 '# SKIP'", report="tap")
    assert (told.counts, told.notes) == ({"skipped": 1}, ["all tests were skipped"])


FLAKY = """
import pathlib
tries = pathlib.Path("tries")
number = len(tries.read_text()) if tries.exists() else 0
tries.write_text("x" * (number + 1))
print("1..3")
print("ok 1 - good")
print("not ok 2 - flaky" if number == 0 else "ok 2 - flaky")
print("not ok 3 - bad" if number < {bad_until} else "ok 3 - bad")
"""


def test_a_command_is_run_again_while_tests_do_not_pass_and_those_that_then_do_are_flaky(tmp_path):
    told = run_suite(tmp_path, **python(tmp_path, FLAKY.format(bad_until=2)), report="tap", retries=5)
    assert (told.outcome, (tmp_path / "tries").read_text()) == ("passed", "xxx")
    assert {id_: (r.outcome, r.attempts, r.flaky) for id_, r in told.results.items()} == {
        "good": ("passed", 3, False),
        "flaky": ("passed", 3, True),
        "bad": ("passed", 3, True),
    }
    assert told.counts == {"passed": 3, "flaky": 2}


def test_retries_end_and_flaky_tests_may_count_as_failed(tmp_path):
    told = run_suite(tmp_path, **python(tmp_path, FLAKY.format(bad_until=9)), report="tap", retries=1)
    assert (told.outcome, told.counts) == ("failed", {"passed": 2, "failed": 1, "flaky": 1})
    (tmp_path / "tries").unlink()
    strict = run_suite(tmp_path, **python(tmp_path, FLAKY.format(bad_until=0)), report="tap", retries=1, flaky="failed")
    assert strict.outcome == "failed"


def test_a_retry_without_a_report_changes_nothing(tmp_path):
    line = "[ -e once ] && exit 9; touch once; echo 1..1; echo not ok 1 - a; exit 1"
    told = run_suite(tmp_path, shell=line, report="tap", retries=3)
    assert (told.outcome, told.outcomes) == ("failed", {"a": "failed"})
    assert told.notes == ["when it was tried again: the command printed nothing; the command exited with code 9"]


def test_what_is_in_quarantine_is_not_tried_again(tmp_path):
    quarantine = [{"test": "*", "until": "9999-12-31"}]
    line = "echo x >> tries; echo 1..1; echo not ok 1 - a"
    told = run_suite(tmp_path, shell=line, report="tap", retries=3, quarantine=quarantine)
    assert (told.outcome, (tmp_path / "tries").read_text()) == ("passed", "x\n")


def test_numbers_without_names_are_counted_and_not_tried_again(tmp_path):
    line = "echo 'FAILED t/test_a.py::test_x - assert 0'; echo '== 1 failed, 2 passed in 0.1s =='; exit 1"
    told = run_suite(tmp_path, shell=line, retries=3)
    assert (told.outcome, told.counts) == ("failed", {"passed": 2, "failed": 1})
    assert told.outcomes == {"t/test_a.py::test_x": "failed"}
    assert "not tried again: the report does not name all tests" in told.notes


def test_tests_that_passed_in_an_earlier_attempt_have_passed(tmp_path):
    told = run_suite(tmp_path, shell=writes(FAIL, "exit 1"), report_path="r.xml", passed_tests=frozenset({"s::b"}))
    assert (told.outcome, told.results["s::b"].flaky) == ("passed", True)


def test_a_command_runs_more_than_was_asked_for_and_says_so(tmp_path):
    suite = {"shell": writes(FAIL, "exit 1"), "report_path": "r.xml"}
    told = run_suite(tmp_path, **suite, selection={"only": ["s::a"]})
    assert (told.outcome, told.counts) == ("passed", {"passed": 1, "left_out": 1})
    assert told.notes == ["a command cannot be told which tests to run: all were run, and the others do not count"]
    nothing = run_suite(tmp_path, **suite, selection={"only": ["other"]})
    assert (nothing.outcome, nothing.failure.type) == ("errored", "NoTests")
    changed = run_suite(tmp_path, **suite, selection={"changed": True, "budget": 3.0}, timeout=1, max_failures=1)
    assert len(changed.notes) == 4


# being repeated

THIRD_FAILS = 'echo x >> turns; echo 1..1; [ $(wc -l < turns) != 3 ] || printf "not "; echo ok 1 - a'


def test_a_command_is_repeated_and_a_test_that_failed_once_has_failed(tmp_path):
    told = run_suite(tmp_path, shell=THIRD_FAILS, report="tap", selection={"repeat": 4})
    assert (told.outcome, told.counts) == ("failed", {"failed": 1})
    assert told.results["a"].message == "failed in 1 of 4 repetitions: not ok"
    assert told.notes == ["it was run 4 times"]


def test_a_command_is_repeated_until_a_test_fails(tmp_path):
    told = run_suite(tmp_path, shell=THIRD_FAILS, report="tap", selection={"repeat": 1000, "until_fail": True})
    assert (told.outcome, (tmp_path / "turns").read_text()) == ("failed", "x\n" * 3)


def test_a_command_that_says_nothing_is_not_repeated(tmp_path):
    told = run_suite(tmp_path, shell="echo x >> turns", report="tap", selection={"repeat": 4})
    assert (told.outcome, (tmp_path / "turns").read_text()) == ("errored", "x\n")


def test_a_command_that_is_stopped_is_not_repeated(tmp_path):
    line = "echo x >> turns; echo 1..1; echo ok 1 - a; [ $(wc -l < turns) != 2 ] || sleep 600"

    def then(executor, report):
        if isinstance(report, Progressed) and (tmp_path / "turns").read_text() == "x\n" * 2:
            executor.stop(7, force=True)

    told = run_suite(tmp_path, shell=line, report="tap", selection={"repeat": 9}, then=then)
    assert (told.outcome, (tmp_path / "turns").read_text()) == ("cancelled", "x\n" * 2)
    assert told.outcomes == {"a": "passed"}


def test_each_turn_has_its_retries(tmp_path):
    line = 'echo x >> turns; echo 1..1; [ $(($(wc -l < turns) % 2)) = 0 ] || printf "not "; echo ok 1 - a'
    told = run_suite(tmp_path, shell=line, report="tap", retries=1, selection={"repeat": 2})
    assert (told.outcome, told.results["a"].flaky, told.results["a"].attempts) == ("passed", True, 2)
    assert (tmp_path / "turns").read_text() == "x\n" * 4


def test_what_an_earlier_attempt_of_a_repeated_command_passed_excuses_nothing(tmp_path):
    told = run_suite(tmp_path, shell=THIRD_FAILS, report="tap", selection={"repeat": 4}, passed_tests=frozenset({"a"}))
    assert told.outcome == "failed"


def test_a_turn_that_crashes_is_told_whatever_failed_before_it(tmp_path):
    line = "echo x >> turns; echo 1..1; [ $(wc -l < turns) = 2 ] && kill -9 $$; echo not ok 1 - a"
    told = run_suite(
        tmp_path, shell=line, report="tap", selection={"repeat": 4}, criteria={"max_failures": 1, "min_pass_rate": 0.0}
    )
    assert (told.outcome, told.failure.type) == ("errored", "Signal")


def test_until_fail_ends_at_a_failure_that_a_retry_covers(tmp_path):
    line = 'echo x >> tries; echo 1..1; [ $(wc -l < tries) != 2 ] || printf "not "; echo ok 1 - a'
    told = run_suite(tmp_path, shell=line, report="tap", retries=1, selection={"repeat": 9, "until_fail": True})
    assert (told.outcome, (tmp_path / "tries").read_text()) == ("passed", "x\n" * 3)
    assert told.results["a"].message == "passed only when it was tried again in 1 of 2 repetitions"


# what goes wrong when it is tried again

FIRST_FAILS = 'echo x >> tries; echo 1..2; echo ok 1 - a; [ $(wc -l < tries) != 1 ] || printf "not "; echo ok 2 - b; '
ENDS_BADLY = {
    "Signal": "[ $(wc -l < tries) = 1 ] || kill -9 $$",
    "ExitCode": "[ $(wc -l < tries) = 1 ] || exit 7",
}


@pytest.mark.parametrize("how", ENDS_BADLY)
def test_a_retry_that_ends_badly_excuses_no_failure(tmp_path, how):
    told = run_suite(tmp_path, shell=FIRST_FAILS + ENDS_BADLY[how], report="tap", retries=1)
    assert (told.outcome, told.failure.type, told.outcomes["b"]) == ("failed", "TestsFailed", "failed")
    assert any(note.startswith("when it was tried again: ") for note in told.notes)
    (tmp_path / "tries").unlink()
    lenient = run_suite(
        tmp_path,
        shell=FIRST_FAILS + ENDS_BADLY[how],
        report="tap",
        retries=1,
        criteria={"max_failures": 1, "min_pass_rate": 0.0},
    )
    assert (lenient.outcome, lenient.failure.type) == ("errored", how)


def test_a_retry_that_cannot_start_leaves_the_results_of_the_first_try(tmp_path):
    script = tmp_path / "suite.sh"
    script.write_text('#!/bin/sh\necho "1..1"; echo "not ok 1 - a"; rm suite.sh\n')
    script.chmod(0o755)
    told = run_suite(tmp_path, argv=["./suite.sh"], report="tap", retries=1)
    assert (told.outcome, told.outcomes) == ("failed", {"a": "failed"})


def test_a_flaky_test_in_quarantine_does_not_count(tmp_path):
    suite = {"shell": writes(FAIL, "exit 1"), "report_path": "r.xml", "flaky": "failed"}
    passed_before = frozenset({"s::b"})
    told = run_suite(
        tmp_path, **suite, passed_tests=passed_before, quarantine=[{"test": "s::b", "until": "9999-12-31"}]
    )
    assert (told.outcome, told.counts) == ("passed", {"passed": 2})
    assert (told.results["s::b"].flaky, told.results["s::b"].quarantined) == (True, True)
    assert run_suite(tmp_path, **suite, passed_tests=passed_before).outcome == "failed"


# being stopped


def stop_at(line, *, force):
    def then(executor, report):
        if isinstance(report, Progressed) and line in report.message:
            executor.stop(7, force=force)

    return then


@pytest.mark.parametrize("force", [False, True])
def test_of_a_command_that_is_stopped_what_it_had_written_is_reported(tmp_path, force):
    line = "printf '1..3\\nok 1 - a\\nnot ok 2 - b\\n'; sleep 600"
    told = run_suite(tmp_path, shell=line, report="tap", retries=3, then=stop_at("not ok", force=force))
    assert (told.outcome, told.failure.type) == ("cancelled", "Cancelled")
    assert told.outcomes == {"a": "passed", "b": "failed"}
    assert told.counts == {"passed": 1, "failed": 1}


def test_of_a_file_that_ends_too_early_what_is_in_it_is_reported(tmp_path):
    line = writes("<testsuite name='s'><testcase name='a'/><testcase name='b'>", "echo written; sleep 600")
    told = run_suite(tmp_path, shell=line, report_path="r.xml", then=stop_at("written", force=True))
    assert (told.outcome, told.outcomes) == ("cancelled", {"s::a": "passed"})


def test_a_suite_may_be_stopped_before_its_command_has_begun(tmp_path):
    import asyncio

    async def main():
        executor = CommandSuiteExecutor(cwd=str(tmp_path))
        over = asyncio.Event()
        told = []

        def take(token, report):
            told.append(report)
            over.set()

        executor.start(Attempt("run", "s", 1, 3, Work("suite", {"shell": "touch began", "report": "tap"}), "key"), take)
        executor.stop(3, force=False)
        await over.wait()
        await executor.close()
        return told

    (finished,) = asyncio.run(main())
    assert finished.outcome == "cancelled"
    assert not (tmp_path / "began").exists()


def test_closing_kills_what_runs_and_reports_nothing_more(tmp_path):
    import asyncio

    async def main():
        executor = CommandSuiteExecutor(cwd=str(tmp_path))
        told = []
        began = asyncio.Event()

        def take(token, report):
            told.append(report)
            began.set()

        payload = {"shell": "echo $$; exec sleep 600", "limits": {"memory": 1 << 40}}
        executor.start(Attempt("run", "s", 1, 3, Work("suite", payload), "key"), take)
        await began.wait()
        await executor.close()
        return told

    (progressed,) = asyncio.run(main())
    assert not Path(f"/proc/{progressed.message}").exists() or sys.platform != "linux"


# limits


def test_too_much_memory_ends_the_suite_with_what_it_had_written(tmp_path):
    code = """
import os, sys
print("1..2", "ok 1 - small", sep="\\n", flush=True)
if os.fork() == 0:
    hog = bytearray(200 << 20)
    for at in range(0, len(hog), 4096):
        hog[at] = 1
    os.pause() if hasattr(os, "pause") else __import__("signal").pause()
os.wait()
"""
    told = run_suite(tmp_path, **python(tmp_path, code), report="tap", limits={"memory": 128 << 20})
    assert (told.outcome, told.failure.type) == ("errored", "MemoryLimit")
    assert told.failure.message.startswith("used ")
    assert told.failure.message.endswith(" MiB of memory, more than 128 MiB")
    assert told.outcomes == {"small": "passed"}


def test_too_many_processes_end_the_suite(tmp_path):
    line = "for i in 1 2 3 4 5 6; do sleep 600 & done; wait"
    told = run_suite(tmp_path, shell=line, report="tap", limits={"processes": 4})
    assert (told.outcome, told.failure) == ("errored", Failure("ProcessLimit", "had 7 processes at once, more than 4"))


def test_a_limit_that_was_exceeded_weighs_more_than_tests_that_failed(tmp_path):
    line = "echo 1..2; echo not ok 1 - a; sleep 600 & sleep 600 & wait"
    told = run_suite(tmp_path, shell=line, report="tap", limits={"processes": 2})
    assert (told.outcome, told.failure.type, told.outcomes) == ("errored", "ProcessLimit", {"a": "failed"})


def test_within_its_limits_a_suite_is_left_alone(tmp_path):
    limits = {"memory": 1 << 40, "processes": 1000, "cpu": 1.0}
    told = run_suite(tmp_path, shell="sleep 0.6; echo 1..1; echo ok 1", report="tap", limits=limits)
    assert told.outcome == "passed"


# shards

SHARDED = """
import os
shard, shards = int(os.environ["{index}"]) - {first}, int(os.environ["{total}"])
mine = [n for n in range(10) if n % shards == shard]
print(f"1..{{len(mine)}}")
for n in mine:
    print(f"ok - test {{n}}")
"""


@pytest.mark.parametrize(
    ("index", "first", "total"),
    [
        ("PODIUM_SHARD", 1, "PODIUM_SHARDS"),
        ("TEST_SHARD_INDEX", 0, "TEST_TOTAL_SHARDS"),
        ("GTEST_SHARD_INDEX", 0, "GTEST_TOTAL_SHARDS"),
    ],
)
def test_shards_together_cover_every_test_once(tmp_path, index, first, total):
    command = python(tmp_path, SHARDED.format(index=index, first=first, total=total))
    found = []
    for number in (1, 2, 3):
        told = run_suite(tmp_path, **command, report="tap", selection={"shard": [number, 3]})
        assert told.outcome == "passed"
        found += told.results
    assert sorted(found) == [f"test {n}" for n in range(10)]


def test_without_shards_there_are_no_variables_of_shards(tmp_path):
    told = run_suite(tmp_path, shell="env > env; echo 1..1; echo ok 1", report="tap")
    assert told.outcome == "passed"
    variables = (tmp_path / "env").read_text()
    assert "PODIUM_STEP=" in variables
    assert "SHARD" not in variables
    assert os.environ.get("PODIUM_SHARD") is None
