"""One attempt at a suite of pytest: the talk with its host, from the job to the last result."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from podium.errors import PodiumError
from podium.events import Failure
from podium.executors.changes import Impacts
from podium.executors.early_end import EarlyEnding
from podium.executors.found import FoundTest, distinct
from podium.executors.nearness import nearness
from podium.executors.pytest_ahead import Ahead, start_host
from podium.executors.pytest_order import Arrangement, arrange
from podium.executors.pytest_outcome import HostEnd, Seen, conclusion
from podium.executors.pytest_tally import Tally, Try
from podium.executors.selecting import select
from podium.executors.streams import Stream, left_behind, noticing_exit, text_of
from podium.plan.impact import Impact, place_in_project
from podium.plan.suites import PytestSuite, Selection
from podium.protocols import Attempt, Finished, Report, Tested, TestHistory
from podium.runtime.resource_watch import ResourceWatch
from podium.test_results import TestResult

_LARGEST_MESSAGE = 1 << 30
_IN_ONE_REPORT = 2000


class _Found(msgspec.Struct, frozen=True):
    """What was collected.

    Attributes:
        files: Their paths.
        tests: For every test its id, number of its file, line and markers.
        deselected: How many other tests expressions or plugins left out.
    """

    files: list[str]
    tests: list[tuple[str, int, int, tuple[str, ...]]]
    deselected: int = 0


class _Message(msgspec.Struct, frozen=True):
    """What the host says; one of these is given."""

    found: _Found | None = None
    tests: list[Try] = []
    again: str | None = None
    broken: str = ""
    message: str = ""
    end: HostEnd | None = None


class PytestRun:
    """One attempt under way.

    Args:
        attempt: What the engine asks for.
        suite: Its payload.
        project: Where relative working directories begin.
        tally_today: The date, by which quarantines end.
        history: What is known of tests from earlier runs.
        impacts: What may be affected by what changed.
        threads: Where what takes a while is done.
        tell: Called with reports.
    """

    def __init__(
        self,
        attempt: Attempt,
        suite: PytestSuite,
        project: Path,
        *,
        tally_today: str,
        history: TestHistory | None,
        impacts: Impacts,
        threads: ThreadPoolExecutor,
        tell: Callable[[Report], None],
    ) -> None:
        self._attempt = attempt
        self._suite = suite
        self._project = project
        self._history = history
        self._impacts = impacts
        self._threads = threads
        self._tell = tell
        self._tally = Tally(suite, tally_today)
        self._ending = EarlyEnding(suite.early_end, suite.max_failures)
        self._watch = ResourceWatch(suite.limits, self._exceeded, run=attempt.run)
        self._exited = asyncio.Event()
        self._stopping = False
        self._early = ""
        self._limit: Failure | None = None
        self._broken: Failure | None = None
        self._end: HostEnd | None = None
        self._not_started = ""
        self._notes: list[str] = []
        self._left_out = 0
        self._impact: Future[Impact | None] | None = None
        self._has_spoken = False
        self._writer: asyncio.StreamWriter | None = None

    def launch(self, python: str, owner: str | None, ahead: Ahead | None) -> None:
        """Start the host.

        Args:
            python: The project's interpreter.
            owner: Label of the processes.
            ahead: One that may already wait.

        Raises:
            OSError: It cannot be started.
        """
        self._python = python
        cwd = self._project / self._suite.cwd
        env = {
            name: value for name, value in self._suite.variables.items() if not _is_for_tests(name)
        } | self._watch.env
        waiting = None if ahead is None else ahead.take(python, cwd, owner, env)
        self._group, self._socket = waiting or start_host(python, str(cwd), owner=owner, env=env)
        assert self._group.stdout is not None
        assert self._group.stderr is not None
        self._streams = Stream(self._group.stdout, []), Stream(self._group.stderr, [])

    def stop(self, *, force: bool) -> None:
        """Interrupt the host and its workers, or kill them."""
        self._stopping = True
        self._watch.release()
        if self._exited.is_set():
            return
        if force:
            self._group.strike()
        else:
            self._group.terminate()

    async def carry_out(self) -> Finished:
        """Talk to the host until it has ended, and return what the suite came to."""
        loop = asyncio.get_running_loop()
        try:
            self._watch.start()
            self._impact = self._threads.submit(self._look_at_changes)  # while pytest collects
            reader, self._writer = await asyncio.open_connection(sock=self._socket, limit=_LARGEST_MESSAGE)
            self._send(self._job(fork=self._suite.fork, reason=""))
            with _reading(self._streams), noticing_exit(self._group, self._exited):
                talk = asyncio.create_task(self._talk(reader))
                await self._exited.wait()
                # A process that a test left behind may hold the other end; what the host said is in the socket.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(talk), 0.2)
                dead = await loop.run_in_executor(self._threads, self._group.kill)
                await talk
            return self._conclude(dead=dead)
        finally:
            self._exited.set()
            try:
                await loop.run_in_executor(self._threads, self._release)
            finally:
                (self._socket if self._writer is None else self._writer).close()

    def _release(self) -> None:
        self._watch.stop()
        self._group.kill()
        self._group.close()
        for stream in self._streams:
            stream.close()

    async def _talk(self, reader: asyncio.StreamReader) -> None:
        """Take messages until the host is gone."""
        try:
            while (message := await self._next(reader)) is not None:
                await self._hear(message)
        except Exception as error:
            self._broken = Failure(type(error).__name__, f"could not look after the suite: {error}")
            self._group.strike()
            raise

    async def _next(self, reader: asyncio.StreamReader) -> _Message | None:
        """Return the next message; none if the host is gone, or nobody understands what it says."""
        try:
            line = await reader.readline()
            if not line.endswith(b"\n"):
                return None
            self._has_spoken = True
            return msgspec.json.decode(line, type=_Message)
        except (ConnectionError, msgspec.DecodeError, ValueError) as error:
            self._misunderstood(error)
            return None

    def _misunderstood(self, error: Exception) -> None:
        if self._end is not None:  # it has said all it had to say, and was not there to hear the last word
            return
        if not self._has_spoken and isinstance(error, ConnectionError):  # it has not even read what it is to do
            self._not_started = self._python
            return
        self._broken = Failure("Talk", f"the host of pytest said something unexpected: {error}")
        self._group.strike()

    async def _hear(self, message: _Message) -> None:
        if message.found is not None:
            loop = asyncio.get_running_loop()
            self._send(await loop.run_in_executor(self._threads, self._plan_for, message.found))
        elif message.tests:
            self._announce(self._tally.take(message.tests))
            self._end_early(self._tally.ended)
        elif message.again is not None:
            self._send(self._job(fork=False, reason=message.again))
        elif message.broken:
            self._broken = Failure(message.broken, self._explained(message.broken, message.message))
        elif message.end is not None:
            self._end = message.end

    def _explained(self, kind: str, message: str) -> str:
        return f"pytest is not installed for {self._python}: {message}" if kind == "NoPytest" else message

    def _job(self, *, fork: bool, reason: str) -> dict[str, Any]:
        suite = self._suite
        args = [*suite.paths, *suite.args]
        if suite.markers:
            args += ["-m", suite.markers]
        if suite.keyword:
            args += ["-k", suite.keyword]
        if suite.max_failures == 1 and not suite.retries and not suite.quarantine:
            args.append("--maxfail=1")  # its workers end at once, not when they are told
        memory = suite.limits.most_memory
        return {
            "variables": {name: value for name, value in suite.variables.items() if _is_for_tests(name)}
            | self._attempt.variables,
            "args": args,
            "include": suite.include,
            "exclude": suite.exclude,
            "workers": max(1, suite.workers),
            "fork": fork,
            "reason": reason,
            "xdist": self._may_use_xdist(),
            "timeout": suite.timeout,
            "memory": None if memory is None else memory // max(1, suite.workers),
            "coverage": suite.coverage,
        }

    def _may_use_xdist(self) -> bool:
        """Return whether pytest-xdist could do all that is asked for: it runs every test once, in its own order."""
        suite, usual = self._suite, Selection()
        selection = msgspec.structs.replace(suite.selection, since="")
        return selection == usual and not suite.retries and not suite.timeout and not self._attempt.passed_tests

    def _plan_for(self, found: _Found) -> dict[str, Any]:
        """Choose among what was collected. Takes a while: not for the event loop's thread."""
        suite = self._suite
        names = distinct([test[0] for test in found.tests])
        tests = [
            FoundTest(name, found.files[file], line, markers)
            for name, (_, file, line, markers) in zip(names, found.tests, strict=True)
        ]
        self._tally.found = tests
        records = self._history.tests(suite.origin) if self._history is not None else {}
        try:
            chosen = select(tests, suite, records, project=self._project, impact_since=self._impact_since)
        except PodiumError as error:
            self._broken = Failure("Selection", str(error))
            return {"run": None}
        self._left_out = chosen.left_out
        if suite.narrowed:  # otherwise the suite is made of what its expressions select
            self._left_out += found.deselected
            if found.deselected and not tests:
                self._notes.append(f"{suite.narrowed}: none of {found.deselected} tests selected")
        self._notes += chosen.notes
        ids = set(chosen.ids)
        before = ids & self._attempt.passed_tests if suite.selection.repeat == 1 else frozenset[str]()
        order = [index for index, test in enumerate(tests) if test.id in ids and test.id not in before]
        if before:
            self._tally.counts.passed += len(before)
            they = (
                "1 test passed in an earlier attempt and was"
                if len(before) == 1
                else (f"{len(before)} tests passed in an earlier attempt and were")
            )
            self._notes.append(f"{they} not run again")
        self._tally.chosen = len(order)
        if not order:
            return {"run": None}
        arranged = [tests[index] for index in order]
        arrangement = arrange(arranged, records, max(1, suite.workers), self._near(arranged))
        passed = [
            (index, records[test.id].duration if test.id in records else 0.0)
            for index, test in enumerate(tests)
            if test.id in before
        ]
        return {"run": {**self._plan(order, arrangement, len(tests)), "passed": passed}}

    def _near(self, tests: list[FoundTest]) -> dict[str, float]:
        """Return test files of this suite with how near they are to what changed since the last full run."""
        folder = self._suite.cwd
        places = {test.file: place_in_project(folder, test.file) for test in tests}
        near = nearness(self._impact.result() if self._impact is not None else None, places.values())
        return {file: near[place] for file, place in places.items() if place in near}

    def _look_at_changes(self) -> Impact | None:
        try:
            return self._impact_since("")
        except PodiumError:  # the order is no reason to fail
            return None

    def _impact_since(self, revision: str) -> Impact | None:
        return self._impacts.since(self._attempt.run, revision)

    def _plan(self, order: list[int], arrangement: Arrangement, total: int) -> dict[str, Any]:
        selection = self._suite.selection
        return {
            "order": None if len(order) == total else order,
            "chunks": arrangement.chunks,
            "workers": arrangement.workers,
            "retries": self._suite.retries,
            "repeat": max(1, selection.repeat),
            "until_fail": selection.until_fail,
        }

    def _announce(self, results: list[TestResult]) -> None:
        """Report results."""
        for begin in range(0, len(results), _IN_ONE_REPORT):
            batch = tuple(results[begin : begin + _IN_ONE_REPORT])
            self._tell(Tested(batch, self._tally.chosen, self._suite.origin))

    def _end_early(self, results: list[TestResult]) -> None:
        """End the suite if results are bad enough."""
        why = None if self._early else self._ending.take(results)
        if why:
            self._early = why
            self._send({"stop": why})

    def _exceeded(self, failure: Failure) -> None:
        self._limit = failure
        self._group.strike()

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    def _conclude(self, *, dead: bool) -> Finished:
        """Report the last results and return what the suite came to."""
        for stream in self._streams:
            stream.read_rest()
        stdout, stderr = self._streams
        code = self._group.poll() or 0
        errors = self._end.results() if self._end is not None else []
        self._announce(self._tally.add(errors) + self._tally.rest())
        seen = Seen(
            tally=self._tally,
            end=self._end,
            broken=self._broken,
            not_started=self._not_started,
            limit=self._limit,
            early=self._early,
            stopping=self._stopping,
            code=code,
            left_out=self._left_out,
            notes=tuple(self._notes),
            printed=text_of(stdout.tail),
            complained=text_of(stderr.tail),
        )
        finished = conclusion(self._suite, seen)
        if not dead:
            finished = left_behind(finished)
        warnings = "\n".join(self._end.warnings).encode() if self._end is not None else b""
        artifacts = {"stdout": stdout.artifact(), "stderr": stderr.artifact(), "warnings": warnings}
        return msgspec.structs.replace(finished, artifacts={name: data for name, data in artifacts.items() if data})


def _is_for_tests(variable: str) -> bool:
    """Return whether only tests read an environment variable, and no interpreter when it starts."""
    return variable.startswith("TEST_")


@contextlib.contextmanager
def _reading(streams: Sequence[Stream]) -> Generator[None]:
    """Take what pytest prints as it comes."""
    loop = asyncio.get_running_loop()

    def readable(stream: Stream) -> None:
        if stream.read() == b"":
            loop.remove_reader(stream.pipe.fileno())

    for stream in streams:
        loop.add_reader(stream.pipe.fileno(), readable, stream)
    try:
        yield
    finally:
        for stream in streams:
            loop.remove_reader(stream.pipe.fileno())


def why_no_such_suite(suite: PytestSuite, folder: Path) -> str:
    """Return why a suite cannot be started, nothing if it may be."""
    if not folder.is_dir():
        return f"{str(folder)!r} is not a directory" if folder.exists() else f"directory {str(folder)!r} not found"
    if suite.workers < 1:
        return f"`workers` is {suite.workers}, at least 1 is needed"
    return ""
