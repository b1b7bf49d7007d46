"""What must hold, watched during the whole run. A criterion that was never evaluated is `errored`, not passed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import inf, isnan
from typing import Literal, NamedTuple

from podium.model.scenario import Criterion, Verdict
from podium.model.signals import unit_of
from podium.sim.comparisons import OPERATORS, badness
from podium.sim.node import Signal


class _Judged(NamedTuple):
    outcome: Literal["passed", "failed", "errored"]
    worst: float | str | None
    worst_at: int | None
    margin: float | None


class Monitor(ABC):
    """Watches one criterion on one signal; a class per kind.

    Args:
        criterion: What must hold; its signal without wildcard.
        read: Reads the signal.
    """

    __slots__ = ("_badness", "_extreme", "_extreme_at", "_first", "_holds", "_limit", "_read", "count", "criterion")

    def __init__(self, criterion: Criterion, read: Signal) -> None:
        self.criterion = criterion
        self.count = 0
        self._read = read
        self._limit = criterion.threshold.value
        self._holds = OPERATORS[criterion.threshold.op]
        self._badness: Callable[[float], float] = badness(criterion.threshold)
        self._extreme: float | str | None = None
        self._extreme_at: int | None = None
        self._first: int | None = None

    @abstractmethod
    def watch(self, now: int) -> None:
        """Evaluate the condition now [ns]."""

    def holds_now(self) -> bool:
        """Return whether the condition holds at this moment, without counting as an evaluation."""
        return self._holds(self._read(), self._limit)

    @abstractmethod
    def judge(self, end: int) -> _Judged:
        """Return what the evaluations came to, at the end of the window [ns]."""

    def verdict(self, end: int) -> Verdict:
        """Return what the criterion came to.

        Args:
            end: End of the run [ns].
        """
        criterion = self.criterion
        if not self.count:
            return Verdict(criterion.name, criterion.kind, condition(criterion), "errored")
        judged = self.judge(end if criterion.end_ns is None else min(end, criterion.end_ns))
        return Verdict(
            name=criterion.name,
            kind=criterion.kind,
            condition=condition(criterion),
            outcome=judged.outcome,
            worst=judged.worst,
            worst_at_s=_seconds(judged.worst_at),
            margin=judged.margin,
            first_violation_s=_seconds(self._first),
            evaluations=self.count,
        )

    def _value_judged(self, *, passed: bool) -> _Judged:
        value = self._extreme
        if not isinstance(value, str) and value is not None and isnan(value):
            value = None
        distance = None if value is None or isinstance(value, str) else 0.0 - self._badness(value)
        return _Judged("passed" if passed else "failed", value, self._extreme_at, distance)


class Always(Monitor):
    """The condition holds at every instant of the window."""

    __slots__ = ("_worst",)

    def __init__(self, criterion: Criterion, read: Signal) -> None:
        super().__init__(criterion, read)
        self._worst = -inf

    def watch(self, now: int) -> None:
        """Keep the worst value and the first violation."""
        value = self._read()
        self.count += 1
        score = self._badness(value)  # pyright: ignore[reportArgumentType] (a word has a score of its own)
        if score > self._worst:
            self._worst = score
            self._extreme = value
            self._extreme_at = now
        if not score < 0.0 and not self._holds(value, self._limit):  # NaN does not hold either
            if self._first is None:
                self._first = now
            if isnan(score) and self._worst < inf:
                self._worst = inf
                self._extreme = value
                self._extreme_at = now

    def judge(self, end: int) -> _Judged:  # noqa: ARG002 (other kinds need it)
        """Passed if it never did not hold."""
        return self._value_judged(passed=self._first is None)


class Eventually(Monitor):
    """The condition holds at least once in the window."""

    __slots__ = ("_best", "_held")

    def __init__(self, criterion: Criterion, read: Signal) -> None:
        super().__init__(criterion, read)
        self._best = inf
        self._held = False

    def watch(self, now: int) -> None:
        """Keep the best value."""
        value = self._read()
        self.count += 1
        if self._holds(value, self._limit):
            self._held = True
        elif self._first is None:
            self._first = now
        score = self._badness(value)  # pyright: ignore[reportArgumentType]
        if score < self._best:
            self._best = score
            self._extreme = value
            self._extreme_at = now

    def judge(self, end: int) -> _Judged:  # noqa: ARG002
        """Passed if it held once."""
        return self._value_judged(passed=self._held)


class AtEnd(Monitor):
    """The condition holds at the end of the run."""

    __slots__ = ()

    def watch(self, now: int) -> None:
        """Keep the last value."""
        self._extreme = self._read()
        self._extreme_at = now
        self.count += 1
        if self._first is None and not self._holds(self._extreme, self._limit):
            self._first = now

    def judge(self, end: int) -> _Judged:
        """Passed if it holds for the last value; not evaluated at the very end is no evidence."""
        if self._extreme_at != end:
            return self._value_judged(passed=False)._replace(outcome="errored")
        return self._value_judged(passed=self._holds(self._extreme, self._limit))


class Within(Monitor):
    """Whenever the condition does not hold, it holds again after at most the limit."""

    __slots__ = ("_longest", "_longest_at", "_since")

    def __init__(self, criterion: Criterion, read: Signal) -> None:
        super().__init__(criterion, read)
        self._since: int | None = None
        self._longest = 0
        self._longest_at: int | None = None

    def watch(self, now: int) -> None:
        """Measure how long it does not hold."""
        self.count += 1
        if not self._holds(self._read(), self._limit):
            if self._since is None:
                self._since = now
                if self._first is None:
                    self._first = now
        elif self._since is not None:
            self._measure(now)
            self._since = None

    def judge(self, end: int) -> _Judged:
        """Passed if no violation was too long; one still open at the end and not yet too long proves nothing."""
        if self._since is not None:
            self._measure(end)
        limit = self.criterion.limit_ns
        longest = self._longest / 1e9
        closed = self._since is None
        outcome = "failed" if self._longest > limit else "passed" if closed else "errored"
        return _Judged(outcome, longest, self._longest_at, limit / 1e9 - longest)

    def _measure(self, now: int) -> None:
        assert self._since is not None
        if now - self._since > self._longest:
            self._longest = now - self._since
            self._longest_at = self._since


_KINDS: dict[str, type[Monitor]] = {"always": Always, "eventually": Eventually, "within": Within, "at_end": AtEnd}


class Criteria:
    """All criteria of a scenario.

    Args:
        monitors: One per criterion.
    """

    def __init__(self, monitors: Sequence[Monitor]) -> None:
        self._monitors = tuple(monitors)
        last = [m for m in monitors if isinstance(m, AtEnd)]
        windowed = [m for m in monitors if m not in last and _has_window(m.criterion)]
        self._always_on = [m.watch for m in monitors if m not in last and m not in windowed]
        self._windowed = windowed
        self._last = last

    def watch(self, now: int, *, end: bool) -> None:
        """Evaluate those that are due.

        Args:
            now: Simulated time [ns].
            end: Whether this is the end of the run.
        """
        for watch in self._always_on:
            watch(now)
        for monitor in self._windowed:
            criterion = monitor.criterion
            if criterion.start_ns <= now and (criterion.end_ns is None or now <= criterion.end_ns):
                monitor.watch(now)
        if end:
            for monitor in self._last:
                monitor.watch(now)

    def holding(self) -> list[bool]:
        """Return for each criterion whether its condition holds at this moment."""
        return [monitor.holds_now() for monitor in self._monitors]

    def verdicts(self, end: int) -> tuple[Verdict, ...]:
        """Return what each criterion came to.

        Args:
            end: End of the run [ns].
        """
        return tuple(monitor.verdict(end) for monitor in self._monitors)


def monitor_of(criterion: Criterion, read: Signal) -> Monitor:
    """Return the monitor for a criterion's kind."""
    return _KINDS[criterion.kind](criterion, read)


def condition(criterion: Criterion) -> str:
    """Return the condition in words, in the signal's own unit."""
    threshold = criterion.threshold
    value = threshold.value if isinstance(threshold.value, str) else f"{threshold.value:.12g}"
    unit = unit_of(threshold.signal.partition(".")[2])
    return f"{threshold.signal} {threshold.op} {value} {unit}".rstrip()


def _has_window(criterion: Criterion) -> bool:
    return criterion.start_ns > 0 or criterion.end_ns is not None


def _seconds(time: int | None) -> float | None:
    return None if time is None else time / 1e9
