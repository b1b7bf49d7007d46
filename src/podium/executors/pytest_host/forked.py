"""Phases of forked workers: all tests, then those that failed without what came before them, then further tries."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from . import safety
from .channel import Channel
from .fleet import Done, Fleet, Phase, Terms
from .outbox import Outbox
from .records import BAD, PASSED
from .reports import made_report, with_tuples

_CONFIRMING, _CONFIRMING_SHARE = 10.0, 0.5
"""How long tests may be run again, in order, to see whether they failed because they were run apart [s]; or which share
of the time that all took together, if that is more."""


class Forked:
    """Runs the tests of a plan in forked workers.

    Args:
        session: The session that collected them.
        plugin: Its `worker` is set in workers.
        outbox: Where results go.
        channel: From which word may come to stop.
        job: What the executor asked for.
        said: Called with what workers say besides results.

    Attributes:
        broken_off: Some tests were not run as often as was asked for.
    """

    def __init__(
        self,
        session: pytest.Session,
        plugin: Any,
        *,
        outbox: Outbox,
        channel: Channel,
        job: dict[str, Any],
        said: Callable[[list[Any]], None],
    ) -> None:
        self._session = session
        self._outbox = outbox
        self._channel = channel
        self._said = said
        config = session.config
        self._every = safety.every_report(config)
        terms = Terms(job["timeout"], job["memory"], self._every, _failed_last(config))
        self._fleet = Fleet(session, plugin, terms, done=self._done, said=self._heard, pause=self._look)
        self._interrupted = self._stopped = False
        self._exit: Any = None
        self._turn = self._attempt = self._last_attempt = 1
        self._bad: dict[int, Done] = {}
        self._alone: list[int] = []
        self._only: frozenset[int] | None = None
        self._confirming = False
        self._durations: dict[int, float] = {}
        self._tried: set[int] = set()
        self._passed_before: dict[int, float] = {}
        self._begun: set[str] = set()
        self.broken_off = False
        self._passed: dict[int, Done] = {}

    def run(self, plan: dict[str, Any]) -> None:
        """Run all phases; afterwards raise what pytest would have raised."""
        count = len(self._session.items)
        order = plan["order"] if plan["order"] is not None else range(count)
        self._last_attempt = plan["retries"] + 1
        final = self._last_attempt == 1
        self._passed_before = dict(plan["passed"])
        self._begun = {self._module(index) for index in self._passed_before}
        main = Phase(order, [tuple(chunk) for chunk in plan["chunks"]], plan["workers"], final)
        self.broken_off = True
        capture: Any = self._session.config.pluginmanager.getplugin("capturemanager")
        _prepare_folder(self._session.config)
        if capture is not None:
            capture.stop_global_capturing()
        before = signal.signal(signal.SIGTERM, self._asked_to_end)
        try:
            for self._turn in range(1, plan["repeat"] + 1):
                self._run_once(main)
                if self._stopped or (plan["until_fail"] and self._has_failed):
                    break
        finally:
            signal.signal(signal.SIGTERM, before)
            self._fleet.close()
            all_turns = self._turn == plan["repeat"] or (plan["until_fail"] and self._has_failed)
            self.broken_off = not all_turns or len(self._tried) < len(main.positions)
            if capture is not None:
                capture.start_global_capturing()
        if plan["repeat"] > 1:
            self._said(["note", f"the tests were run {self._turn} time{'' if self._turn == 1 else 's'}"])
        self._tell_terminal()
        self._raise()

    @property
    def _has_failed(self) -> bool:
        """Whether a test did not pass in this turn, at once or at all."""
        return bool(self._bad) or self._attempt > 1

    def _run_once(self, main: Phase) -> None:
        self._bad, self._alone, self._attempt, self._tried = {}, [], 1, set()
        self._fleet.run(main)
        if self._alone and not self._stopped:
            self._confirm(main)
        while self._attempt < self._last_attempt and self._bad and not self._stopped:
            self._attempt += 1
            again = sorted(self._bad)
            self._bad = {}
            final = self._attempt == self._last_attempt
            self._fleet.run(Phase(again, self._by_module(again), min(main.workers, len(again)), final))

    def _confirm(self, main: Phase) -> None:
        """Run what failed apart from the tests before it once more, after them."""
        modules: dict[str, list[int]] = {}
        for index in sorted({*main.positions, *self._passed_before}):
            modules.setdefault(self._module(index), []).append(index)
        suspects = set(self._alone)
        needed: list[tuple[float, list[int]]] = []
        for module in {self._module(index) for index in suspects}:
            members = modules[module]
            until = members[: 1 + max(place for place, index in enumerate(members) if index in suspects)]
            cost = sum(self._durations.get(index, self._passed_before.get(index, 0.0)) for index in until)
            needed.append((cost, until))
        left = max(_CONFIRMING, _CONFIRMING_SHARE * sum(self._durations.values()))
        chosen: list[int] = []
        for cost, until in sorted(needed):
            left -= cost
            if left < 0:
                break
            chosen += until
        confirmed = suspects.intersection(chosen)
        for index in suspects - confirmed:
            self._final(self._bad[index])
        if confirmed != suspects:
            number = _tests(len(suspects - confirmed))
            self._said(
                ["note", f"{number} failed apart from those before in their module, which take long to run again"]
            )
        if not confirmed:
            return
        self._only, self._confirming = frozenset(confirmed), True
        chunks = self._by_module(chosen)
        try:
            self._fleet.run(Phase(chosen, chunks, min(main.workers, len(chunks)), main.final))
        finally:
            self._only, self._confirming = None, False
        number = _tests(len(confirmed))
        self._said(["note", f"{number} failed apart from those before in their module, and ran again after these"])

    def _module(self, index: int) -> str:
        return self._session.items[index].nodeid.partition("::")[0]

    def _by_module(self, order: list[int]) -> list[tuple[int, int]]:
        chunks: list[tuple[int, int]] = []
        start = 0
        for place in range(1, len(order) + 1):
            if place == len(order) or self._module(order[place]) != self._module(order[start]):
                chunks.append((start, place))
                start = place
        return chunks

    def _done(self, done: Done) -> None:
        """Take what one try at a test came to."""
        index = done.test
        if self._only is not None and index not in self._only:
            return
        self._durations[index] = done.record.duration
        if done.record.outcome not in BAD:
            self._bad.pop(index, None)
            self._put(done, final=True)
            self._show(done)
            return
        self._bad[index] = done
        if not self._confirming and (done.alone or self._module(index) in self._begun):
            self._alone.append(index)
        elif self._attempt == self._last_attempt:
            self._final(done)
            return
        self._put(done, final=False)

    def _final(self, done: Done) -> None:
        final = self._attempt == self._last_attempt
        self._put(done, final=final)
        if final:
            self._show(done)

    def _put(self, done: Done, *, final: bool) -> None:
        self._tried.add(done.test)
        self._outbox.put(
            done.test, done.record, worker=done.worker, attempt=self._attempt, turn=self._turn, final=final
        )

    def _show(self, done: Done) -> None:
        """Let the hooks of this process see what a test came to."""
        config = self._session.config
        if not done.reports:
            if done.record.outcome == PASSED and not self._every:
                self._passed[done.test] = done
                return
            self._log(made_report(self._session.items[done.test], done.record))
            return
        for data in done.reports:
            self._log(config.hook.pytest_report_from_serializable(config=config, data=with_tuples(data)))

    def _log(self, report: Any) -> None:
        self._session.config.hook.pytest_runtest_logreport(report=report)

    def _tell_terminal(self) -> None:
        """Let the summary know the tests that passed, though no hook has seen them."""
        reporter: Any = self._session.config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and self._passed:
            items = self._session.items
            passed = [made_report(items[done.test], done.record) for done in self._passed.values()]
            reporter.stats.setdefault("passed", []).extend(passed)

    def _heard(self, entry: list[Any]) -> None:
        if entry[0] == "exit":
            self._exit = pytest.exit.Exception(entry[1], entry[2])
            self._said(["note", f"pytest.exit was called: {entry[1]}"])
        elif entry[0] == "interrupted":
            self._interrupted = True
        elif entry[0] == "stopping":
            if entry[2]:
                self._session.shouldfail = entry[1]
            else:
                self._session.shouldstop = entry[1]
        else:
            self._said(entry)
            return
        self._stopped = True

    def _look(self) -> bool:
        self._outbox.flush_in_time()
        if self._channel.waiting() is not None or self._session.shouldfail or self._session.shouldstop:
            self._stopped = True
        return self._stopped

    def _asked_to_end(self, _number: int, _frame: Any) -> None:
        self._interrupted = self._stopped = True
        self._fleet.stop(interrupt=True)

    def _raise(self) -> None:
        session = self._session
        if self._exit is not None:
            raise self._exit
        if self._interrupted:
            raise KeyboardInterrupt
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)


def _tests(number: int) -> str:
    return f"{number} test{'' if number == 1 else 's'}"


def _failed_last(config: pytest.Config) -> frozenset[str]:
    """Return the tests that pytest's cache says failed last: it wants to know if they pass now."""
    plugin = config.pluginmanager.getplugin("lfplugin")
    return frozenset(getattr(plugin, "lastfailed", None) or ())


def _prepare_folder(config: pytest.Config) -> None:
    """Make the folder of temporary folders, of which each worker gets a part."""
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        factory.getbasetemp()
