"""An executor that runs a command that runs tests, and reads their results.

The command is believed as far as there is evidence: a report it wrote after it began, or what it printed. A report in
which all passed does not count if the command itself ended as if something had not. A command cannot be told which
tests to run: what was asked for beyond that is in the notes of its output.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from podium.events import Failure
from podium.executors.attending import Attending
from podium.executors.command import CommandExecutor
from podium.executors.judging import described, is_critical, judge, today, uncritical, with_quarantine
from podium.executors.reports.reading import Reading, name_of
from podium.executors.suite_reports import Evidence, Seen, files_now, read_files, read_printed
from podium.executors.suite_tries import Turn, Turns, only_these, passed_before, tried_again, what_it_cannot
from podium.executors.verdict import UNKNOWN_REST, numbers
from podium.plan.quarantine import unmatched
from podium.plan.suites import CommandSuite, SuiteOutput
from podium.protocols import Attempt, Finished, Report, ReportTo, Tested, Work
from podium.runtime.resource_watch import ResourceWatch
from podium.test_results import TestResult

_IN_ONE_REPORT = 500
_ENDED_EARLY = frozenset({"Signal", "MemoryLimit", "ProcessLimit"})
_LIMITS = frozenset({"MemoryLimit", "ProcessLimit"})
_BEFORE_IT_RAN = frozenset({"CannotStart", "BadPayload"})


class CommandSuiteExecutor:
    """Runs commands that run tests, each in a process group of its own.

    Args:
        owner: Label of the processes, see `podium.runtime.ownership`; by default this process.
        cwd: Where relative working directories begin; by default this process's.
    """

    def __init__(self, owner: str | None = None, cwd: str | None = None) -> None:
        self._commands = CommandExecutor(owner=owner, cwd=cwd)
        self._cwd = Path(cwd or ".")
        self._threads = ThreadPoolExecutor(2, "reports")
        self._attending = Attending("suite")

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Begin the attempt; a payload that makes no sense is reported at once."""
        try:
            suite = msgspec.convert(attempt.work.payload, CommandSuite)
        except msgspec.ValidationError as error:
            report(attempt.token, Finished("errored", failure=Failure("BadPayload", str(error))))
            return
        if self._attending.is_closing:
            failure = Failure("CannotStart", "the executor is closed")
            report(attempt.token, Finished("errored", failure=failure))
            return
        report_on = self._attending.unless_closing(report)
        run = _Run(attempt, suite, self._cwd / suite.cwd, report_on, commands=self._commands, threads=self._threads)
        self._attending.begin(attempt.token, run, report)

    def stop(self, token: int, *, force: bool) -> None:
        """Ask the command to end, or kill it; what it has reported until then is read."""
        self._attending.stop(token, force=force)

    async def close(self) -> None:
        """Kill all commands and wait until they are dead."""
        await self._attending.close()
        await self._commands.close()
        self._threads.shutdown()


class _Run:
    """One attempt under way."""

    def __init__(
        self,
        attempt: Attempt,
        suite: CommandSuite,
        folder: Path,
        report: ReportTo,
        *,
        commands: CommandExecutor,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.token = attempt.token
        self._attempt = attempt
        self._suite = suite
        self._folder = folder
        self._report = report
        self._commands = commands
        self._threads = threads
        self._today = today()
        self._watch: ResourceWatch | None = None
        self._exceeded: Failure | None = None
        self._stopping = False
        self._seconds: dict[str, float] = {"run": 0.0, "read": 0.0}

    def stop(self, *, force: bool) -> None:
        """Ask the command to end, or kill it; it is not run again."""
        self._stopping = True
        if self._watch is not None:  # a process that is held could not end
            self._watch.release()
        self._commands.stop(self.token, force=force)

    async def carry_out(self) -> Finished:
        """Run the command as often as it is to be repeated, and return what it came to."""
        selection = self._suite.selection
        turn = await self._turn()
        if not _has_run(turn.finished):
            return turn.finished
        turns = Turns(turn)
        for _ in range(selection.repeat - 1):
            if self._stopping or turn.evidence.problem is not None or (selection.until_fail and turn.failing):
                break
            turn = await self._turn()
            turns.add(turn)
        return self._finished(turns.together())

    async def _turn(self) -> Turn:
        """Run the command, again if tests did not pass and may be retried."""
        finished, evidence = await self._try()
        notes = [*evidence.reading.notes]
        results, problem = list(evidence.reading.results), evidence.problem
        for _ in range(self._suite.retries):
            if self._stopping or problem is not None or not any(map(self._is_bad, results)):
                break
            if evidence.reading.unnamed.total:
                notes.append("not tried again: the report does not name all tests")
                break
            finished_again, again = await self._try()
            if again.problem is not None:  # then what it reports excuses nothing
                problem = again.problem
                notes.append(f"when it was tried again: {problem.message}")
                break
            finished, results = finished_again, tried_again(results, again.reading.results)
        failing = evidence.reading.unnamed.bad > 0 or any(self._is_bad(one) or one.flaky for one in results)
        reading = msgspec.structs.replace(evidence.reading, results=tuple(results))
        return Turn(finished, Evidence(reading, problem), failing, tuple(notes))

    async def _try(self) -> tuple[Finished, Evidence]:
        """Run the command once, and read what it has reported."""
        loop = asyncio.get_running_loop()
        before = await loop.run_in_executor(self._threads, files_now, self._folder, self._suite.report_path)
        if self._stopping:
            return Finished("cancelled"), Evidence()
        began = time.monotonic()
        finished = await self._run_command()
        ended = time.monotonic()
        evidence = await loop.run_in_executor(self._threads, self._evidence, finished, before, ended - began)
        self._seconds["run"] += ended - began
        self._seconds["read"] += time.monotonic() - ended
        return finished, evidence

    async def _run_command(self) -> Finished:
        loop = asyncio.get_running_loop()
        over: asyncio.Future[Finished] = loop.create_future()

        def passed_on(token: int, reported: Report) -> None:
            if not isinstance(reported, Finished):
                self._report(token, reported)
            elif not over.done():
                over.set_result(reported)

        def exceeded(failure: Failure) -> None:
            self._exceeded = failure
            self._commands.stop(self.token, force=True)

        watch = self._watch = ResourceWatch(self._suite.limits, exceeded, run=self._attempt.run)
        payload = {
            "argv": self._suite.argv,
            "shell": self._suite.shell,
            "env": self._suite.variables | _shard(self._suite) | watch.env,
            "cwd": self._suite.cwd,
            "output": "none",
            "exit_codes": self._suite.exit_codes,
        }
        work = Work("command", payload)
        self._commands.start(msgspec.structs.replace(self._attempt, work=work), passed_on)
        try:
            if not over.done():
                watch.start()
            return await over
        finally:
            self._watch = None
            await loop.run_in_executor(self._threads, watch.stop)

    def _evidence(self, finished: Finished, before: Seen, duration: float) -> Evidence:
        """Read what the command has reported. Takes a while: not for the event loop's thread."""
        suite, failure = self._suite, finished.failure
        if not _has_run(finished):
            return Evidence(problem=failure)
        problem = self._exceeded or (failure if finished.outcome == "errored" else None)
        partial = self._stopping or problem is not None
        if suite.report == "exit_code":
            evidence = Evidence() if partial else Evidence(_exit_code(suite, finished, duration))
        elif suite.report_path:
            evidence = read_files(suite, self._folder, before, partial=partial)
        else:
            evidence = read_printed(suite, self._folder, finished.artifacts, partial=partial)
        if problem is None and evidence.problem is None and failure is not None and not self._stopping:
            problem = _unexplained(evidence.reading, failure)
        elif problem is None and evidence.problem is not None and failure is not None:
            text = f"{evidence.problem.message}; the command {failure.message}"
            more = "\n".join(text for text in (evidence.problem.details, failure.details) if text)
            problem = Failure(evidence.problem.type, text, more, failure.exit_code)
        return Evidence(evidence.reading, problem or evidence.problem)

    def _finished(self, turn: Turn) -> Finished:
        """Report all results and return what they come to together."""
        finished, evidence, notes = turn.finished, turn.evidence, [*turn.notes, *what_it_cannot(self._suite)]
        suite, problem, unnamed = self._suite, evidence.problem, evidence.reading.unnamed
        results, left_out = only_these(evidence.reading.results, suite.selection.only)
        ids = [result.id for result in evidence.reading.results]
        if suite.selection.repeat == 1:  # a test that passed once has not passed every time
            results = passed_before(results, self._attempt.passed_tests)
        results = [with_quarantine(result, suite.quarantine, self._today) for result in results]
        counts = msgspec.structs.replace(unnamed, left_out=unnamed.left_out + left_out)
        counts.add(results)
        for begin in range(0, len(results), _IN_ONE_REPORT):
            batch = tuple(results[begin : begin + _IN_ONE_REPORT])
            self._report(self.token, Tested(batch, counts.total, suite.origin))
        bad = [test for test in results if test.counts_as_bad]
        critical = [test.id for test in bad if is_critical(test, suite.criteria.critical)]
        outcome, message = judge(counts, critical, suite.criteria, flaky_is_bad=suite.flaky == "failed")
        partial = outcome == "passed" and suite.criteria.allow_partial
        if partial and problem is not None and problem.type in _ENDED_EARLY:
            notes, problem = [*notes, f"it ended early: {problem.message}"], None
        if self._stopping:
            notes.append(UNKNOWN_REST)
        if suite.criteria.critical and unnamed.total:
            notes.append("it is not known which of its tests are critical")
        if counts.total and counts.skipped == counts.total:
            notes.append("all tests were skipped")
        all_known = not (self._stopping or problem or unnamed.total)
        output = SuiteOutput(
            counts=numbers(counts, len(critical)),
            total=counts.total,
            runner=f"command, {evidence.reading.format or suite.report}",
            notes=tuple(dict.fromkeys(notes)),
            seconds={phase: round(seconds, 3) for phase, seconds in self._seconds.items()},
            unmatched=unmatched(suite.quarantine, ids) if all_known else (),
            uncritical=uncritical(suite.criteria.critical, evidence.reading.results) if all_known else (),
            critical_failures=sum(is_critical(test, suite.early_end.critical) for test in bad),
            complete=all_known,
        )
        told = Finished("passed", msgspec.json.decode(msgspec.json.encode(output)), None, finished.artifacts)
        if self._stopping:
            return msgspec.structs.replace(told, outcome="cancelled", failure=Failure("Cancelled", "asked to stop"))
        if problem is not None and (outcome != "failed" or problem.type in _LIMITS):
            return msgspec.structs.replace(told, outcome="errored", failure=problem)
        if outcome != "passed":
            failure = Failure("TestsFailed" if counts.total else "NoTests", message, described(results, problem))
            return msgspec.structs.replace(told, outcome=outcome, failure=failure)
        return told

    def _is_bad(self, result: TestResult) -> bool:
        return with_quarantine(result, self._suite.quarantine, self._today).counts_as_bad


def _has_run(finished: Finished) -> bool:
    return finished.failure is None or finished.failure.type not in _BEFORE_IT_RAN


def _shard(suite: CommandSuite) -> dict[str, str]:
    """Return the variables by which runners know their share of the tests; the others count from 0.

    Source: https://bazel.build/reference/test-encyclopedia and https://google.github.io/googletest/advanced.html.
    """
    number, shards = suite.selection.shard
    if shards == 1:
        return {}
    return {
        "PODIUM_SHARD": str(number),
        "PODIUM_SHARDS": str(shards),
        "TEST_SHARD_INDEX": str(number - 1),
        "TEST_TOTAL_SHARDS": str(shards),
        "GTEST_SHARD_INDEX": str(number - 1),
        "GTEST_TOTAL_SHARDS": str(shards),
    }


def _exit_code(suite: CommandSuite, finished: Finished, duration: float) -> Reading:
    """Return the command itself as the only test."""
    name = name_of(suite.shell or shlex.join(suite.argv), "command")
    failure = finished.failure
    if failure is None:
        return Reading((TestResult(name, "passed", duration),))
    return Reading((TestResult(name, "failed", duration, failure.message, failure.details),))


def _unexplained(reading: Reading, failure: Failure) -> Failure | None:
    """Return what is wrong with an exit code that no test accounts for."""
    counts = reading.counts
    if counts.failed + counts.errored + counts.timed_out:
        return None
    tests = f"no test of {counts.total} failed" if counts.total else "no test was run"
    return Failure("ExitCode", f"the command {failure.message}, though {tests}", failure.details, failure.exit_code)
