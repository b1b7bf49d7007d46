"""An executor that runs commands: programs with arguments, or lines for the shell.

Each attempt is a process group of its own. It is over when the program it began with has ended; whatever that left
behind is then killed, and confirmed dead before the result is reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import msgspec

from podium.events import Failure
from podium.executors.attending import Attending
from podium.executors.streams import LARGEST_STREAM, Stream, left_behind, noticing_exit, text_of
from podium.protocols import Attempt, Finished, Progressed, ReportTo
from podium.runtime.process_group import ProcessGroup, describe_exit

__all__ = ["LARGEST_OUTPUT", "LARGEST_STREAM", "Command", "CommandExecutor", "not_found"]

LARGEST_OUTPUT = 1 << 20
"""How much of standard output becomes the output value [byte]."""

_CHUNK = 1 << 16
_LONGEST_MESSAGE = 200
_BETWEEN_REPORTS = 0.2


class Command(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Payload of a step of kind `command`; either `argv` or `shell` is given.

    Attributes:
        argv: Program and arguments.
        shell: A line for `/bin/sh -c`.
        env: Variables added to the environment.
        cwd: Working directory.
        stdin: Text for standard input.
        output: What becomes of standard output: its text without the final newline, the JSON value it is, the list of
            its lines, or nothing.
        exit_codes: Those that pass.
        stop_on: Regular expressions. A line of standard error in which one is found ends the command, which fails.
    """

    argv: tuple[str, ...] = ()
    shell: str = ""
    env: dict[str, str] = {}
    cwd: str = ""
    stdin: str = ""
    output: Literal["text", "json", "lines", "none"] = "text"
    exit_codes: tuple[int, ...] = (0,)
    stop_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be carried out."""
        if bool(self.argv) == bool(self.shell):
            raise ValueError("either `argv` or `shell` must be given")
        for pattern in self.stop_on:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"`stop_on`: {pattern!r} is no regular expression: {error}") from error

    def arguments(self) -> tuple[str, ...]:
        """Return the program with its arguments."""
        return self.argv or ("/bin/sh", "-c", self.shell)


class _Run:
    """One attempt under way.

    Args:
        command: What is run.
        group: Its processes.
        threads: Where it is waited until they are dead.
        tell: Called with the last line written, as a sign of life.
    """

    def __init__(
        self, command: Command, group: ProcessGroup, threads: ThreadPoolExecutor, tell: Callable[[str], None]
    ) -> None:
        assert group.stdout is not None
        assert group.stderr is not None
        self.command = command
        self.group = group
        self.stdout = Stream(group.stdout, [])
        self.stderr = Stream(group.stderr, [re.compile(pattern) for pattern in command.stop_on])
        self.exited = asyncio.Event()
        self.stopping = False
        self._threads = threads
        self._tell = tell

    def streams(self) -> tuple[Stream, Stream]:
        """Return standard output and standard error."""
        return self.stdout, self.stderr

    def stop(self, *, force: bool) -> None:
        """Ask the program to end, or kill its process group."""
        if self.exited.is_set():
            return
        self.stopping = True
        if force:
            self.group.strike()
        else:
            self.group.terminate()

    async def carry_out(self) -> Finished:
        """Stay with the program until it has ended, and return what that came to."""
        try:
            with _feeding(self), _reading(self, _Reporter(self._tell)), noticing_exit(self.group, self.exited):
                await self.exited.wait()
        finally:
            self.exited.set()
            finished = await asyncio.get_running_loop().run_in_executor(self._threads, self._conclude)
        return finished

    def _conclude(self) -> Finished:
        """Kill what is left and return what the attempt came to. Takes a while: not for the event loop's thread."""
        try:
            dead = self.group.kill()
            for stream in self.streams():
                stream.read_rest()
            finished = _result(self)
            if not dead:
                finished = left_behind(finished)
            artifacts = {"stdout": self.stdout.artifact(), "stderr": self.stderr.artifact()}
            return msgspec.structs.replace(finished, artifacts={name: data for name, data in artifacts.items() if data})
        finally:
            self.group.close()
            for stream in self.streams():
                stream.close()


class _Reporter:
    """Passes signs of life on, but not too many.

    Args:
        tell: Called with a line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._next = 0.0
        self._waiting: asyncio.TimerHandle | None = None
        self._stream: Stream | None = None

    def heard(self, stream: Stream) -> None:
        """Tell the last line of a stream, now or soon."""
        self._stream = stream
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._next:
                self._now()
            else:
                self._waiting = loop.call_at(self._next, self._now)

    def close(self) -> None:
        """Tell nothing more."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _now(self) -> None:
        self._waiting = None
        self._next = asyncio.get_running_loop().time() + _BETWEEN_REPORTS
        if self._stream is not None:
            self._tell(self._stream.last_line())


class CommandExecutor:
    """Runs commands, each in a process group of its own.

    Args:
        owner: Label of the processes, see `podium.runtime.ownership`; by default this process.
        cwd: Working directory of commands that name none, and where relative ones begin; by default this process's.
    """

    def __init__(self, owner: str | None = None, cwd: str | None = None) -> None:
        self._owner = owner
        self._cwd = cwd
        self._attending = Attending("command")
        self._threads = ThreadPoolExecutor(4, "command")

    def start(self, attempt: Attempt, report: ReportTo) -> None:
        """Start the program; what cannot be started is reported at once."""
        try:
            command = msgspec.convert(attempt.work.payload, Command)
        except msgspec.ValidationError as error:
            report(attempt.token, Finished("errored", failure=Failure("BadPayload", str(error))))
            return
        cwd = os.path.join(self._cwd or "", command.cwd) or None  # noqa: PTH118 (a Path would lose the emptiness)
        report_on = self._attending.unless_closing(report)

        def tell(line: str) -> None:
            report_on(attempt.token, Progressed(message=line))

        try:
            run = _Run(command, self._spawn(command, attempt, cwd), self._threads, tell)
        except (OSError, ValueError) as error:
            message = _why_not_started(error, command, cwd)
            report(attempt.token, Finished("errored", failure=Failure("CannotStart", message)))
            return
        self._attending.begin(attempt.token, run, report)

    def stop(self, token: int, *, force: bool) -> None:
        """Ask the command to end, or kill its process group."""
        self._attending.stop(token, force=force)

    async def close(self) -> None:
        """Kill all commands and wait until they are dead."""
        await self._attending.close()
        self._threads.shutdown()

    def _spawn(self, command: Command, attempt: Attempt, cwd: str | None) -> ProcessGroup:
        if self._attending.is_closing:
            raise ValueError("the executor is closed")
        return ProcessGroup(
            command.arguments(),
            env=command.env | attempt.variables,
            cwd=cwd,
            owner=self._owner,
            pipes=True,
            feed=bool(command.stdin),
        )


@contextlib.contextmanager
def _feeding(run: _Run) -> Generator[None]:
    """Feed standard input without ever waiting, for as long as the program takes it."""
    pipe = run.group.stdin
    if pipe is None:
        yield
        return
    loop = asyncio.get_running_loop()
    fd = pipe.fileno()
    unsent = memoryview(run.command.stdin.encode("utf-8", "backslashreplace"))

    def done() -> None:
        if not pipe.closed:
            loop.remove_writer(fd)
            pipe.close()

    def writable() -> None:
        nonlocal unsent
        try:
            unsent = unsent[os.write(fd, unsent[:_CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:  # the program does not want it
            unsent = unsent[:0]
        if not unsent:
            done()

    loop.add_writer(fd, writable)
    try:
        yield
    finally:
        done()


@contextlib.contextmanager
def _reading(run: _Run, reporter: _Reporter) -> Generator[None]:
    """Take what the program writes as it comes, and end it when it says something it must not."""
    loop = asyncio.get_running_loop()

    def readable(stream: Stream) -> None:
        data = stream.read()
        if data == b"":
            loop.remove_reader(stream.pipe.fileno())
        elif data:
            reporter.heard(stream)
            if stream.match is not None:
                run.group.strike()

    for stream in run.streams():
        loop.add_reader(stream.pipe.fileno(), readable, stream)
    try:
        yield
    finally:
        reporter.close()
        for stream in run.streams():
            loop.remove_reader(stream.pipe.fileno())


def _why_not_started(error: OSError | ValueError, command: Command, cwd: str | None) -> str:
    """Return in words why a program could not be started."""
    program = command.arguments()[0]
    if cwd is not None and not Path(cwd).is_dir():
        return f"{cwd!r} is not a directory" if Path(cwd).exists() else f"directory {cwd!r} not found"
    if isinstance(error, FileNotFoundError):
        path = os.path.join(cwd or "", program) if os.sep in program else program  # noqa: PTH118 (text, as given)
        if shutil.which(path, path=command.env.get("PATH")):
            return f"program {program!r} names an interpreter that was not found"
        return not_found(program)
    if isinstance(error, PermissionError):
        return f"program {program!r} is not executable"
    if isinstance(error, OSError) and error.errno is not None:
        hint = " (does it begin with `#!`?)" if error.errno == errno.ENOEXEC else ""
        return f"cannot start {program!r}: {os.strerror(error.errno)}{hint}"
    return f"cannot start {program!r}: {error}"


def not_found(program: str) -> str:
    """Return what is said of a program that does not exist."""
    return f"program {program!r} not found"


def _result(run: _Run) -> Finished:
    """Return what an attempt came to whose processes are all dead."""
    code = run.group.poll() or 0
    if run.stderr.match is not None:
        return _with_details(run, "failed", "Pattern", run.stderr.match, code)
    passed = code in run.command.exit_codes
    finished = _output(run) if passed else None
    if finished is not None and (finished.outcome == "passed" or not run.stopping):
        return finished
    if run.stopping:
        return _with_details(run, "cancelled", "Cancelled", "asked to stop", None)
    if code < 0:
        return _with_details(run, "errored", "Signal", describe_exit(code), None)
    return _with_details(run, "failed", "ExitCode", describe_exit(code), code)


def _with_details(run: _Run, outcome: Any, kind: str, message: str, code: int | None) -> Finished:
    details = text_of(run.stderr.tail)
    return Finished(outcome, failure=Failure(kind, message, details, code))


def _output(run: _Run) -> Finished:
    """Return the result of a command that passed, unless its output is not what it should be."""
    content = run.stdout.content(LARGEST_OUTPUT)
    total = run.stdout.size + run.stdout.dropped
    kind = run.command.output
    if kind == "none":
        return Finished("passed")
    if kind == "json":
        return _json(content, total)
    mark = f"[podium: cut, {total} bytes in all]" if total > len(content) else None
    if kind == "lines":
        lines = [line.removesuffix("\r") for line in text_of(content).split("\n")]
        return Finished("passed", lines[: -1 if lines[-1] == "" else None] + ([mark] if mark else []))
    return Finished("passed", f"{text_of(content)}\n{mark}" if mark else text_of(content).removesuffix("\n"))


def _json(content: bytes, total: int) -> Finished:
    if total > len(content):
        message = f"standard output has {total} bytes; JSON output may have {LARGEST_OUTPUT}"
        return Finished("errored", failure=Failure("OutputTooLarge", message))
    try:
        return Finished("passed", msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        start = text_of(content[:_LONGEST_MESSAGE])
        failure = Failure("NoJson", f"standard output is not JSON: {error}", start)
        return Finished("errored", failure=failure)
