"""What a suite of pytest came to, from its results and the way its host ended."""

from __future__ import annotations

import re

import msgspec

from podium.events import Failure, Outcome
from podium.executors.judging import described, is_critical, judge, uncritical
from podium.executors.pytest_tally import Tally
from podium.executors.verdict import UNKNOWN_REST, numbers
from podium.plan.quarantine import unmatched
from podium.plan.suites import PytestSuite, SuiteOutput
from podium.protocols import Finished
from podium.runtime.process_group import describe_exit
from podium.test_results import TestResult

_SOME_FAILED, _INTERRUPTED, _NO_TESTS = 1, 2, 5
_REFUSALS = {
    3: ("InternalError", "pytest had an internal error"),
    4: ("UsageError", "pytest refused its arguments"),
}
"""Exit codes of pytest with which nothing it said before counts."""
_LONGEST_MESSAGE = 300


class HostEnd(msgspec.Struct, frozen=True):
    """What the host says last.

    Attributes:
        code: Exit code of pytest.
        errors: Of what could not be collected: node id, message, details.
        notes: What a person should know.
        warnings: One line each.
        warned: How many there were.
        runner: How tests were run, in words.
        workers: How many workers there were.
        seconds: Phase to duration [s].
        broken_off: Not every test was run, or not as often as was asked for.
    """

    code: int
    errors: list[tuple[str, str, str]] = []
    notes: list[str] = []
    warnings: list[str] = []
    warned: int = 0
    runner: str = ""
    workers: int = 1
    seconds: dict[str, float] = {}
    broken_off: bool = False

    def results(self) -> list[TestResult]:
        """Return what could not be collected as results."""
        return [
            TestResult(node or ".", "errored", message=f"not collected: {message}", details=details, file=node)
            for node, message, details in self.errors
        ]


class Seen(msgspec.Struct, frozen=True):
    """What is known of an attempt at its end.

    Attributes:
        tally: Results.
        end: What the host said last, None if it said nothing.
        broken: Why nothing could be run, or not to the end.
        not_started: The interpreter, if it ended before the host was there to hear what it is to do.
        limit: What it used too much of.
        early: Why it was ended early.
        stopping: It was asked to stop.
        code: Exit code of the host's process.
        left_out: How many tests were not selected.
        notes: What a person should know.
        printed: End of standard output.
        complained: End of standard error.
    """

    tally: Tally
    end: HostEnd | None
    broken: Failure | None
    limit: Failure | None
    not_started: str
    early: str
    stopping: bool
    code: int
    left_out: int
    notes: tuple[str, ...]
    printed: str
    complained: str


def _nothing_was_selected(suite: PytestSuite, seen: Seen) -> str:
    """Return that none of the tests was meant, if all is well; nothing if that is not so."""
    troubled = seen.broken or seen.limit or seen.early or seen.stopping or (seen.end is not None and seen.end.errors)
    if seen.tally.chosen or seen.tally.counts.total or troubled:
        return ""
    if seen.left_out:
        return f"none of {seen.left_out} tests is selected"
    # Files that are not looked into have an unknown number of tests, and so have those that pytest-xdist collects.
    nothing = suite.narrowed and seen.end is not None and seen.end.code == _NO_TESTS
    return f"no test is selected by `{suite.narrowed}`" if nothing else ""


def _uncritical(seen: Seen) -> tuple[str, ...]:
    """Return the words that make none of the tests critical, nothing if not all tests are known."""
    tally = seen.tally
    if tally.found:
        return uncritical(tally.uncritical, tally.found)
    all_ran = bool(tally.counts.total) and not (seen.end is None or seen.stopping or seen.early or seen.limit)
    return tally.uncritical if all_ran else ()


def _is_complete(seen: Seen, missing: int) -> bool:
    """Return whether every test that was selected was found and has ended."""
    end = seen.end
    if (
        end is None
        or end.errors
        or end.broken_off
        or missing
        or seen.broken
        or seen.limit
        or seen.early
        or seen.stopping
    ):
        return False
    # How many tests there should be is not known where pytest-xdist runs them: then only a green end says it was all.
    return end.code == 0 or (end.code == _SOME_FAILED and bool(seen.tally.found))


def conclusion(suite: PytestSuite, seen: Seen) -> Finished:
    """Return what an attempt came to, without its artifacts."""
    counts = seen.tally.counts
    missing = max(0, seen.tally.chosen - seen.tally.done)
    counts.left_out += seen.left_out + missing
    counts.not_run += missing
    bad = [test for test in seen.tally.bad if test.counts_as_bad]
    critical = [test.id for test in bad if is_critical(test, suite.criteria.critical)]
    outcome, message = judge(counts, critical, suite.criteria, flaky_is_bad=suite.flaky == "failed")
    end = seen.end or HostEnd(seen.code)
    notes = [*seen.notes, *end.notes]
    if end.warned:
        notes.append(f"{end.warned} warning{'' if end.warned == 1 else 's'}, see the artifact `warnings`")
    if seen.early and (missing or end.broken_off):
        notes.append(f"ended early: {seen.early}")
    if missing:
        notes.append(f"{missing} of {seen.tally.chosen} tests not run")
    elif (seen.stopping or seen.limit) and not seen.tally.found and not counts.total:
        notes.append(UNKNOWN_REST)
    if counts.total and counts.skipped == counts.total:
        notes.append("all tests were skipped")
    output = SuiteOutput(
        counts=numbers(counts, len(critical)),
        total=counts.total,
        workers=end.workers,
        runner=end.runner or "pytest",
        notes=tuple(dict.fromkeys(notes)),
        seconds={phase: round(seconds, 3) for phase, seconds in end.seconds.items()},
        unmatched=() if end.errors else unmatched(suite.quarantine, (test.id for test in seen.tally.found)),
        uncritical=() if end.errors or suite.narrowed else _uncritical(seen),
        critical_failures=sum(is_critical(test, suite.early_end.critical) for test in bad),
        complete=_is_complete(seen, missing),
    )
    built = msgspec.json.decode(msgspec.json.encode(output))
    unselected = _nothing_was_selected(suite, seen)
    if unselected:
        return Finished("skipped", built, Failure("NothingSelected", unselected))
    if seen.stopping:
        return Finished("cancelled", built, Failure("Cancelled", "asked to stop"))
    problem = _problem(seen, missing)
    partial = suite.criteria.allow_partial and counts.total > 0 and (problem is None or problem.type in _PARTIAL)
    if problem is not None and not (partial and outcome == "passed") and not _explained(outcome, problem):
        decided: Outcome = "failed" if problem.type == "ExitCode" else "errored"
        return Finished(decided, built, problem)
    if outcome != "passed":
        return Finished(
            outcome, built, Failure("TestsFailed" if counts.total else "NoTests", message, described(seen.tally.bad))
        )
    return Finished("passed", built)


_COMPLAINTS = (
    (r"^INTERNALERROR> E? *(?=\w+(Error|Exception|Exit)\b)", -1),
    (r"^E   +", -1),
    (r"^[\w.() -]+: error: ", 0),
    (r"^ERROR: ", 0),
)
"""How lines begin in which pytest says what is wrong, and which of them says most."""
_VERDICTS = re.compile(r"^(?:FAIL|FAILED|ERROR)[: ].*", re.MULTILINE)
"""Lines in which plugins say at the end why pytest fails, as pytest-cov does."""
_PARTIAL = frozenset({"Crashed", "Incomplete", "Interrupted", "MemoryLimit", "ProcessLimit", "EndedEarly"})
_NOT_OVER_FAILURES = frozenset({"Incomplete", "EndedEarly", "Interrupted", "ExitCode"})


def _explained(outcome: Outcome, problem: Failure) -> bool:
    """Return whether results say more about a suite than that it ended early."""
    return outcome != "passed" and problem.type in _NOT_OVER_FAILURES


def _problem(seen: Seen, missing: int) -> Failure | None:
    """Return what speaks against a suite besides its results."""
    ending = "\n".join(part for part in (seen.printed.strip(), seen.complained.strip()) if part)
    if seen.limit is not None or seen.broken is not None:
        given = seen.limit or seen.broken
        assert given is not None
        return given if given.details else msgspec.structs.replace(given, details=ending)
    if seen.not_started:
        ended = describe_exit(seen.code)
        text = f"{seen.not_started} is no Python that can run the tests: {ended} before it answered"
        return Failure("CannotStart", text, ending, seen.code)
    if seen.end is None:
        return Failure("Crashed", f"pytest ended before its end: {describe_exit(seen.code)}", ending, seen.code)
    code = seen.end.code
    if code in _REFUSALS:
        kind, words = _REFUSALS[code]
        return Failure(kind, _complaint(seen) or words, ending, code)
    if seen.early:
        return Failure("EndedEarly", f"{seen.early}; {missing} tests were not run") if missing else None
    return _oddity(seen, seen.end, missing, ending)


def _oddity(seen: Seen, end: HostEnd, missing: int, ending: str) -> Failure | None:
    """Return what does not fit together at the end of a suite that went its way."""
    counts, code = seen.tally.counts, end.code
    if code == _INTERRUPTED and not end.errors:
        return Failure("Interrupted", _last(seen.printed) or "the tests interrupted pytest", ending, code)
    if missing and counts.total:
        return Failure("Incomplete", f"{missing} of {seen.tally.chosen} tests were not run", ending, code)
    if end.broken_off and counts.total and not counts.bad:
        return Failure(
            "Incomplete", "it was broken off before every test had run as often as was asked for", ending, code
        )
    nothing_bad = not (counts.failed + counts.errored + counts.timed_out + counts.flaky)
    if code not in {0, _NO_TESTS} and nothing_bad and counts.total:
        why = _last_complaint(seen)
        return Failure("ExitCode", f"pytest exited with code {code}, though no test failed: {why}", ending, code)
    return None


def _complaint(seen: Seen) -> str:
    """Return the line in which pytest says what is wrong."""
    lines = [line.strip() for line in f"{seen.complained}\n{seen.printed}".splitlines()]
    for mark, place in _COMPLAINTS:
        found = [line.removeprefix("INTERNALERROR>").strip() for line in lines if re.search(mark, line)]
        if found:
            return re.sub(mark, "", found[place]).strip()[:_LONGEST_MESSAGE]
    return _last(seen.complained) or _last(seen.printed)


def _last_complaint(seen: Seen) -> str:
    """Return what a plugin says that lets pytest fail at its end, or the last line of all."""
    found = _VERDICTS.findall(f"{seen.complained}\n{seen.printed}")
    return found[-1].strip()[:_LONGEST_MESSAGE] if found else _last(seen.printed) or _last(seen.complained)


def _last(text: str) -> str:
    lines = [line.strip(" !=") for line in text.splitlines() if line.strip(" !=")]
    return lines[-1][:_LONGEST_MESSAGE] if lines else ""
