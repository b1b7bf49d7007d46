"""The plugin through which pytest's own session runs the tests that were chosen, in forked workers if it may."""

from __future__ import annotations

import fnmatch
import gc
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from . import safety
from .channel import Channel
from .collected import Listing
from .forked import Forked
from .inprocess import InProcess
from .outbox import Outbox
from .overseer import ASKED_FOR, Handover, Seat
from .records import capped, is_part, message_of, text_of, why_skipped

_MOST_WARNINGS = 200
_FEW = 5
_YOUNG, _ALL = 1, 2
"""Generations of the garbage collector."""


class HostPlugin:
    """Between pytest and the executor.

    Args:
        channel: To the executor.
        job: What it asked for.
        program: Path of this program, which is started anew if it must not fork.
        fd: Descriptor of the channel.
    """

    def __init__(self, channel: Channel, job: dict[str, Any], program: str, fd: int) -> None:
        self.seconds: dict[str, float] = {}
        self._channel = channel
        self._job = job
        self._program = program
        self._fd = fd
        self._held = channel.held if isinstance(channel, Seat) else None
        self._outbox = Outbox(channel) if self._held is None else Handover(channel)
        self._errors: list[list[str]] = []
        self._skipped: list[str] = []
        self._deselected = 0
        self._warnings: dict[Any, int] = {}
        self._notes: list[str] = []
        self._runner = ""
        self._workers = 1
        self._runs_nothing = False
        self._inprocess: InProcess | None = None
        self._forked: Forked | None = None
        self._collecting = 0.0
        self.worker: Any = None
        self._asks_status = True
        self._config: Any = None

    @pytest.hookimpl(hookwrapper=True)
    def pytest_load_initial_conftests(self, early_config: Any, args: list[str]) -> Generator[None]:
        """Run the tests here, though the project's settings leave them to pytest-xdist."""
        options = early_config.known_args_namespace
        why = safety.keeps_from_xdist(options, self._job)
        if why:
            safety.without_xdist(options, args)
            self._notes.append(f"pytest-xdist is not used: {why}")
        yield

    def pytest_configure(self, config: pytest.Config) -> None:
        """Note the configuration."""
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Note when collection begins."""
        self._collecting = time.monotonic()

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        """Leave out files the job does not want."""
        include, exclude = self._job["include"], self._job["exclude"]
        if not (include or exclude) or collection_path.name == "__init__.py" or not collection_path.is_file():
            return None
        try:
            path = collection_path.relative_to(config.invocation_params.dir).as_posix()
        except ValueError:
            path = collection_path.as_posix()
        if (include and not _fits(path, include)) or _fits(path, exclude):
            return True
        return None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected, or skipped itself as a whole."""
        if report.skipped:
            self._skipped.append(f"{report.nodeid}: {why_skipped(report)}")
        if report.failed:
            self._errors.append([report.nodeid, message_of(report) or "not collected", capped(text_of(report))])

    def pytest_deselected(self, items: list[Any]) -> None:
        """Count what expressions of `-k` and `-m`, or plugins, leave out."""
        self._deselected += len(items)

    def pytest_warning_recorded(self, warning_message: Any) -> None:
        """Note a warning, each only once."""
        category = getattr(warning_message.category, "__name__", str(warning_message.category))
        place = f"{warning_message.filename}:{warning_message.lineno}"
        if self.worker is not None:
            self.worker.warned(category, str(warning_message.message), place)
        else:
            self._warned(category, str(warning_message.message), place)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Take what one part of a test came to."""
        if self.worker is not None:
            if report.outcome == "passed" and is_part(report) and not (self._asks_status or self.worker.keeps_all):
                return
            if report.when == "call" or report.outcome != "passed" or self._asks_status:
                # Plugins change outcomes when they are asked for the status, as pytest's own subtests do.
                self._config.hook.pytest_report_teststatus(report=report, config=self._config)
            self.worker.reports.append(report)
        elif self._inprocess is not None:
            self._inprocess.reported(report)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Take note of the end of a test."""
        if self.worker is None and self._inprocess is not None:
            self._inprocess.finished(nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Take note of the tests that pytest-xdist is to run."""
        if self._inprocess is not None:
            self._inprocess.expect(ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> object:
        """Run what the executor chooses of what was collected."""
        config = session.config
        if safety.hands_over(config):
            self._runner = "pytest-xdist"
            if not self._job["fork"]:
                self._notes.append(f"workers were not forked: {self._job['reason'] or ASKED_FOR}")
            self._workers = int(config.getoption("numprocesses", 0) or 0) or len(config.getoption("tx", []) or []) or 1
            self._inprocess = InProcess(session, self._outbox, self._channel)
            self._without_workers(
                "which tests are run, how often, how long one may take and in which order is up to it"
            )
            return None
        self.seconds["collect"] = time.monotonic() - self._collecting
        if session.testsfailed and not config.option.continue_on_collection_errors:
            return None
        if config.option.collectonly:
            return None
        reason = "" if self._job["fork"] else self._job["reason"] or ASKED_FOR
        reason = reason or safety.why_not_fork(config)
        if reason and self._job["fork"] and self._needs_another_start(config):
            self._start_anew(reason)
        found = Listing(config).describe(session.items)
        self._channel.send({"found": {**found, "deselected": self._deselected}})
        plan = self._channel.receive()
        # All there is now is old, and need not be looked at again soon; nor may it stay frozen, because some libraries
        # ask the collector who refers to what.
        gc.freeze()
        gc.unfreeze()
        gc.enable()
        return self._run(session, plan.get("run"), reason)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Spare pytest the import of hypothesis at the end of tests that did not use it: a third of a second.

        Its plugin imports it to say in the summary which examples failed, and where it wrote what it observed.
        """
        plugins = session.config.pluginmanager
        if "hypothesis" not in sys.modules and not session.testsfailed and plugins.hasplugin("hypothesispytest"):
            plugins.unregister(name="hypothesispytest")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Spare pytest to look at everything there is when it looks for garbage, five times, at its very end.

        Where workers ran the tests, all this process did since the collection was to gather results: only what is that
        young is looked at.
        """
        gc.collect(_YOUNG if self._runs_nothing else _ALL)
        gc.freeze()

    def end(self, code: int) -> dict[str, Any]:
        """Return what is told at the very end."""
        self._outbox.flush()
        if self._skipped:
            files = f"{len(self._skipped)} file{'' if len(self._skipped) == 1 else 's'}"
            self._notes.append(f"{files} skipped as a whole: {'; '.join(self._skipped[:_FEW])}")
        warnings = [f"{place}: {category}: {text}" for category, text, place in self._warnings]
        runner = self._forked or self._inprocess
        return {
            "end": {
                "code": code,
                "errors": self._errors,
                "notes": self._notes,
                "warnings": warnings[:_MOST_WARNINGS],
                "warned": len(warnings),
                "runner": f"pytest {pytest.__version__}" + (f", {self._runner}" if self._runner else ""),
                "workers": self._workers,
                "seconds": self.seconds,
                "broken_off": runner is not None and runner.broken_off,
            }
        }

    def _run(self, session: pytest.Session, plan: dict[str, Any] | None, reason: str) -> object:
        if plan is None:  # nothing was chosen
            return True
        began = time.monotonic()
        self._asks_status = _foreign_status(session.config)
        try:
            if reason:
                self._notes.append(f"workers were not forked: {reason}")
                self._runner = "one process"
                if isinstance(self._channel, Seat):
                    self._channel.begin()
                self._inprocess = InProcess(session, self._outbox, self._channel, self._held)
                self._run_here(session, self._inprocess, plan)
            else:
                self._runs_nothing = True
                self._workers = plan["workers"]
                self._runner = f"{self._workers} forked worker{'s' if self._workers != 1 else ''}"
                self._forked = Forked(
                    session, self, outbox=self._outbox, channel=self._channel, job=self._job, said=self._said
                )
                self._forked.run(plan)
        finally:
            self._outbox.flush()
            self.seconds["run"] = time.monotonic() - began
        return True

    def _run_here(self, session: pytest.Session, inprocess: InProcess, plan: dict[str, Any]) -> None:
        try:
            inprocess.run(plan)
        except KeyboardInterrupt:
            if inprocess.index >= 0:
                self._notes.append(f"`{session.items[inprocess.index].nodeid}` was broken off")
            raise

    def _without_workers(self, what: str) -> None:
        """Note what cannot be had of another runner than forked workers."""
        self._notes.append(f"{self._runner}: {what}")

    def _said(self, entry: list[Any]) -> None:
        if entry[0] == "warning":
            self._warned(*entry[1:])
        elif entry[0] == "note" and len(self._notes) < _MOST_WARNINGS:
            self._notes.append(entry[1])

    def _warned(self, category: str, text: str, place: str) -> None:
        key = (category, text, place)
        self._warnings[key] = self._warnings.get(key, 0) + 1

    def _needs_another_start(self, config: pytest.Config) -> bool:
        """Return whether tests are to be run by pytest-xdist, or by a process that another sees after."""
        by_xdist = self._job["workers"] > 1 and self._job["xdist"] and config.pluginmanager.hasplugin("xdist")
        by_xdist = by_xdist and not safety.why_one_process(config.option)
        return by_xdist or self._job["timeout"] is not None

    def _start_anew(self, reason: str) -> None:
        """Replace this process by one that is told from the beginning not to fork."""
        self._channel.send({"again": reason})
        os.set_inheritable(self._fd, True)
        sys.stdout.flush()
        sys.stderr.flush()
        here = os.path.dirname(os.path.abspath(__file__))
        os.execv(sys.executable, [sys.executable, here, str(self._fd)])


def _foreign_status(config: pytest.Config) -> bool:
    """Return whether a plugin that is not pytest's own has a say in what reports mean."""
    return any(not safety.builtin(impl.plugin) for impl in config.hook.pytest_report_teststatus.get_hookimpls())


def _fits(path: str, patterns: list[str]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(name, pattern) for pattern in patterns)
