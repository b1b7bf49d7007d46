"""A forked worker: runs tests it takes from the board, in the process that inherited the collected tests."""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from .board import Board
from .processes import BROKEN_PIPE, write_down
from .records import BAD, PASSED, record_of, sendable

_MOST_WARNINGS = 100
_FAREWELL = 10.0
"""How long what tests registered with `atexit` may take at the end of a worker [s]."""


class Task:
    """What a worker has to know, besides what it inherits.

    Attributes:
        slot: Which place among the workers it takes, from 0.
        name: What plugins are told it is called: `gw0` and so on.
        positions: Position to index of the test.
        firsts: Position to that of the first test of its module.
        fd: Pipe for results.
        dump: File for tracebacks.
        memory: Limit of private memory, None if there is none [byte].
        every_report: Hand in the reports of tests that passed, too.
        wanted: Node ids whose reports are handed in anyway.
        count: How many workers there are.
        counts_failures: It ends after as many failures as `--maxfail` says; otherwise only its parent does.
    """

    def __init__(self, slot: int, name: str, positions: Sequence[int], firsts: Sequence[int]) -> None:
        self.slot = slot
        self.name = name
        self.positions = positions
        self.firsts = firsts
        self.fd = -1
        self.dump: Any = None
        self.memory: int | None = None
        self.every_report = False
        self.wanted: frozenset[str] = frozenset()
        self.count = 1
        self.counts_failures = True


class Worker:
    """Runs tests and hands in what they came to.

    Args:
        session: The session that collected them.
        board: What is to be run.
        task: What is special about this worker.
    """

    def __init__(self, session: pytest.Session, board: Board, task: Task) -> None:
        self.session = session
        self.board = board
        self.task = task
        self.keeps_all = task.every_report
        self.pid = os.getpid()
        self.reports: list[Any] = []
        self._position: int = 0
        self._next: int | None = None
        self._resolved = False
        self._waited = 0.0
        self._unbroken_from = -1
        self._warned: dict[Any, int] = {}
        self._teardown: Callable[[Any], None] = session._setupstate.teardown_exact  # type: ignore[attr-defined]

    def run(self) -> None:
        """Run tests until there are none left."""
        self.session._setupstate.teardown_exact = self._teardown_late  # type: ignore[attr-defined]
        try:
            position = self.board.first(self.task.slot)
            while position is not None:
                position = self._one(position)
        except pytest.exit.Exception as error:
            self._break_off()
            self.send(["exit", str(error), getattr(error, "returncode", None)])
        except KeyboardInterrupt:
            if self.board.running(self.task.slot) is not None:
                item = self.session.items[self.task.positions[self._position]]
                self.send(["note", f"`{item.nodeid}` was broken off"])
            self._break_off()
            self.send(["interrupted"])
        finally:
            self.session._setupstate.teardown_exact = self._teardown  # type: ignore[attr-defined]
            try:
                self._teardown(None)
            except BaseException as error:  # noqa: BLE001 (there is no test left to put this to)
                self.send(["note", f"tear-down at the end of a worker failed: {type(error).__name__}: {error}"])

    def send(self, message: Any) -> None:
        """Hand something in."""
        self._write(_line(message))

    def warned(self, category: str, text: str, place: str) -> None:
        """Hand in a warning, each only once."""
        key = (category, sendable(text), place)
        count = self._warned[key] = self._warned.get(key, 0) + 1
        if count == 1 and len(self._warned) <= _MOST_WARNINGS:
            self.send(["warning", *key])

    def _break_off(self) -> None:
        """End without a result for the test that is under way, here and in all workers."""
        self.board.stop()
        self.board.finish(self.task.slot)

    def _one(self, position: int) -> int | None:
        """Run a test and return the position of the next."""
        task, board = self.task, self.board
        if self._unbroken_from < 0 or position != self._position + 1:
            self._unbroken_from = position
        self._position, self._resolved, self._waited = position, False, 0.0
        item = self.session.items[task.positions[position]]
        self.reports = []
        board.begin(task.slot, position)
        # Which test is next is known only when this one is torn down: until then, others may take what is left.
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=item)
        if os.getpid() != self.pid:  # a child that a test forked came back from it
            os._exit(0)
        self._hand_in(item, position)
        board.finish(task.slot)
        if not self._resolved:
            self._resolve()
        return self._next

    def _hand_in(self, item: Any, position: int) -> None:
        record = record_of(self.reports)
        duration = max(0.0, record.duration - self._waited)
        wanted = self.task.every_report or item.nodeid in self.task.wanted
        if record.outcome == PASSED and record.tries == 1 and not wanted:
            self._write(b"[%d,%d,%d]\n" % (position, int(duration * 1e6), record.ended_us))
            return
        keep = wanted or record.outcome != PASSED
        alone = record.outcome in BAD and self.task.firsts[position] < self._unbroken_from
        fields = list(record._replace(duration=duration))
        try:
            line = _line(["test", position, fields, self._serial() if keep else [], alone])
        except Exception as error:  # noqa: BLE001 (what the project's values do when they are written out)
            problem = f"{type(error).__name__}: {error}"
            self.send(["note", f"plugins were told only what `{item.nodeid}` came to, not its reports: {problem}"])
            line = _line(["test", position, fields, [], alone])
        self._write(line)

    def _serial(self) -> list[Any]:
        config = self.session.config
        return [config.hook.pytest_report_to_serializable(config=config, report=report) for report in self.reports]

    def _teardown_late(self, nextitem: Any) -> None:
        __tracebackhide__ = True
        if os.getpid() != self.pid:  # a child that a test forked came back from it: it must not take anything
            os._exit(0)
        why = self.session.shouldfail or self.session.shouldstop
        if nextitem is None or why:
            self._next, self._resolved = None, True
            if why:
                self.board.stop()
                self.send(["stopping", str(why), bool(self.session.shouldfail)])
            self._teardown(None)
            return
        if not self._resolved:
            self._resolve()
        following = None if self._next is None else self.session.items[self.task.positions[self._next]]
        self._teardown(following)

    def _resolve(self) -> None:
        self._next, self._waited = self.board.claim(self.task.slot)
        self._resolved = True

    def _write(self, data: bytes) -> None:
        if os.getpid() != self.pid:
            return
        try:
            unsent = memoryview(data)
            while unsent:
                unsent = unsent[os.write(self.task.fd, unsent) :]
        except OSError:  # the host is gone, or the test has closed all descriptors
            os._exit(BROKEN_PIPE)


def _line(message: Any) -> bytes:
    return json.dumps(message, default=repr).encode("ascii") + b"\n"


def settle(session: pytest.Session, task: Task) -> None:
    """Make a forked process a worker: its own output, its own folder, its own signals, its own limit."""
    config = session.config
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    write_down(task.dump)
    os.environ["PYTEST_XDIST_WORKER"] = task.name
    os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(task.count)
    config.workerinput = {"workerid": task.name, "workercount": task.count}  # type: ignore[attr-defined]
    if not task.counts_failures:
        config.option.maxfail = 0
    _mute(config)
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.start_global_capturing()
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None and getattr(factory, "_basetemp", None) is not None:
        mine = factory._basetemp / f"popen-{task.name}"
        mine.mkdir(mode=0o700, exist_ok=True)
        factory._basetemp = factory._given_basetemp = mine
    _limit_memory(task.memory)
    _forget_farewells()
    gc.enable()


class _Mute:
    """Takes the place of a plugin: has what it has, and no hooks."""

    def __init__(self, plugin: Any) -> None:
        self.__dict__["_plugin"] = plugin

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plugin, name)


def _mute(config: pytest.Config) -> None:
    """Take those plugins out of a worker that show or keep results, which the parent does."""
    manager = config.pluginmanager
    for name, plugin in manager.list_name_plugin():
        if plugin is not None and (name == "terminalreporter" or type(plugin).__module__ == "_pytest.junitxml"):
            manager.unregister(plugin)
            if name == "terminalreporter":
                manager.register(_Mute(plugin), name)


def _interrupted(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _limit_memory(limit: int | None) -> None:
    if limit is None:
        return
    import resource  # noqa: PLC0415 (not everywhere)

    used = 0
    try:
        with open("/proc/self/status", "rb") as status:
            used = next((int(line.split()[1]) * 1024 for line in status if line.startswith(b"VmData:")), 0)
    except OSError:
        pass
    limit = max(limit, used + (32 << 20))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def save_coverage() -> None:
    """Write down what coverage.py measured in this process, for the parent to combine."""
    coverage = sys.modules.get("coverage")
    current = coverage.Coverage.current() if coverage is not None else None
    if current is not None:
        current.stop()
        current.save()


def _forget_farewells() -> None:
    """Leave to the parent what was registered with `atexit` in it, as `multiprocessing` does in what it forks."""
    atexit._clear()  # pyright: ignore[reportPrivateUsage]
    finalize: Any = weakref.finalize
    for one in list(getattr(finalize, "_registry", ())):
        one.atexit = False
    finalize._registered_with_atexit = False  # the next that is made registers them all again


def take_farewell(config: pytest.Config) -> None:
    """Call what tests registered with `atexit` in this process.

    No test is under way whose limit would end this, and one of these functions may wait for ever: after a while the
    process is killed.
    """
    if not atexit._ncallbacks():  # pyright: ignore[reportPrivateUsage]
        return
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    try:
        if capture is not None:
            capture.stop_global_capturing()
        sys.unraisablehook = sys.__unraisablehook__  # pytest's own keeps what it is told for a test that never comes
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, _FAREWELL)
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    except BaseException as error:  # noqa: BLE001 (Python prints it, and ends as it would have without)
        sys.stderr.write(f"at the end of a worker: {type(error).__name__}: {error}\n")
