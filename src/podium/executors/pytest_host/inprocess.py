"""Tests that are run by this process, or by pytest-xdist, and seen through their reports."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

import pytest

from .channel import Channel
from .held import Held, order_of
from .outbox import Outbox
from .records import BAD, record_of

_BETWEEN = 0.1


class InProcess:
    """Runs tests one after the other, and takes note of reports.

    Args:
        session: The session that collected them.
        outbox: Where results go.
        channel: From which word may come to stop.
        held: Where it is noted which test is under way, if somebody sees after it.

    Attributes:
        index: Of the test under way, -1 before the first, or if pytest-xdist runs them.
    """

    def __init__(self, session: pytest.Session, outbox: Outbox, channel: Channel, held: Held | None = None) -> None:
        self._session = session
        self._outbox = outbox
        self._channel = channel
        self._held = held
        self._pid = os.getpid()
        self._reports: dict[str, list[Any]] = {}
        self.index = -1
        self._attempt = self._turn = 1
        self._last_attempt = 1
        self._bad: list[int] = []
        self._until_fail = False
        self._left_of_turn = self._turns_left = 0
        self._expected: set[str] = set()
        self._finished: set[str] = set()
        self._looked = 0.0
        self._stopped = False
        marks = [line.partition(":")[0].partition("(")[0].strip() for line in session.config.getini("markers")]
        self._marks = frozenset(marks)

    @property
    def broken_off(self) -> bool:
        """Whether some tests were not run as often as was asked for."""
        if self.index < 0 and self._expected:
            return not self._expected <= self._finished
        return bool(self._left_of_turn or (self._turns_left and not (self._until_fail and self._has_failed)))

    @property
    def _has_failed(self) -> bool:
        """Whether a test did not pass in this turn, at once or at all."""
        return bool(self._bad) or self._attempt > 1

    def expect(self, nodeids: Iterable[str]) -> None:
        """Take note of what a worker of pytest-xdist has collected."""
        self._expected.update(nodeids)

    def run(self, plan: dict[str, Any]) -> None:
        """Run tests in this process."""
        order = order_of(plan, len(self._session.items))
        self._last_attempt = plan["retries"] + 1
        self._until_fail = plan["until_fail"]
        first = attempt = 1
        pending, bad = order, []
        if "rest" in plan:  # another process has run some of it
            first, attempt, pending, bad = plan["rest"]
        for self._turn in range(first, plan["repeat"] + 1):
            self._turns_left = plan["repeat"] - self._turn
            self._left_of_turn = len(pending) if attempt == 1 else 0
            for self._attempt in range(attempt, plan["retries"] + 2):
                self._bad = bad
                self._try_all(pending)
                pending, bad = self._bad, []
                if not pending or self._stopped:
                    break
            if self._stopped or (self._until_fail and self._has_failed):
                return
            self._look()
            if self._stopped:
                return
            attempt, pending = 1, order

    def reported(self, report: Any) -> None:
        """Take a report."""
        self._reports.setdefault(report.nodeid, []).append(report)
        if report.when == "???":  # a worker of pytest-xdist crashed over it
            self.finished(report.nodeid)

    def finished(self, nodeid: str) -> None:
        """Take note that all reports of a test are there."""
        reports = self._reports.pop(nodeid, None)
        if not reports:
            return
        record = record_of(reports)
        bad = record.outcome in BAD
        if bad and self.index >= 0:
            self._bad.append(self.index)
        test: Any = self.index
        if self.index < 0:
            path, line, _ = reports[0].location
            markers = sorted(self._marks.intersection(reports[0].keywords))
            test = [nodeid, str(path), (line or 0) + 1, markers]
            self._finished.add(nodeid)
        node = getattr(getattr(reports[0], "node", None), "gateway", None)
        worker = int("".join(filter(str.isdigit, getattr(node, "id", ""))) or 0) + 1
        final = not bad or self.index < 0 or self._attempt == self._last_attempt
        self._outbox.put(test, record, worker=worker, attempt=self._attempt, turn=self._turn, final=final)
        self._outbox.flush_in_time()

    def _try_all(self, order: list[int]) -> None:
        """Run tests; what fails and is run again is not among the failures that `--maxfail` limits."""
        if self._attempt == self._last_attempt:
            self._all(order)
            return
        session = self._session
        failed, most = session.testsfailed, session.config.option.maxfail
        session.config.option.maxfail = 0
        try:
            self._all(order)
        finally:
            session.config.option.maxfail = most
        if not self._stopped:
            session.testsfailed = failed

    def _all(self, order: list[int]) -> None:
        session = self._session
        items = session.items
        for place, index in enumerate(order):
            following = items[order[place + 1]] if place + 1 < len(order) else None
            self.index = index
            self._one(items[index], following)
            if self._attempt == 1:
                self._left_of_turn -= 1
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            if following is not None:
                self._look()
            if self._stopped:
                session._setupstate.teardown_exact(None)  # type: ignore[attr-defined]
                return

    def _look(self) -> None:
        """See whether word has come to stop, if the last time was long enough ago."""
        now = time.monotonic()
        if now - self._looked > _BETWEEN:
            self._looked = now
            self._stopped = self._channel.waiting() is not None

    def _one(self, item: Any, following: Any) -> None:
        if self._held is not None:
            self._held.begin(self.index, self._attempt, self._turn)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        finally:
            if os.getpid() != self._pid:  # a child that a test forked came back from it
                os._exit(0)
            if self._held is not None:
                self._held.end()
