"""Simulated time against wall time: absolute deadlines, so that delays do not add up and results never change."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

_SLICE_S = 0.002
"""Wall time between two deadlines [s]: short against what a person sees, long against the cost of a sleep."""


class Pace(msgspec.Struct, frozen=True):
    """How well a run kept its speed.

    Attributes:
        speed: Simulated seconds per wall second, achieved.
        lateness_p99_ms: 99th percentile of how late a deadline was reached [ms].
        lateness_max_ms: The latest [ms].
    """

    speed: float
    lateness_p99_ms: float
    lateness_max_ms: float


class Pacer:
    """Runs a simulation at a speed.

    Args:
        speed: Simulated seconds per wall second; None: as fast as possible.
        monotonic: Returns wall time [s].
        sleep: Waits for a time [s].
    """

    def __init__(
        self, speed: float | None, *, monotonic: Callable[[], float], sleep: Callable[[float], object]
    ) -> None:
        self._speed = speed
        self._monotonic = monotonic
        self._sleep = sleep

    def drive(self, run: Callable[[int], None], until: int, *, step: int, progress: Callable[[int], object]) -> Pace:
        """Call `run(time)` with growing times up to `until`, none before its deadline.

        Args:
            run: Advances the simulation to a time [ns].
            until: Where to end [ns].
            step: Shortest useful advance [ns].
            progress: Called with the simulated time now and then [ns].

        Returns:
            How well the speed was kept.
        """
        start = self._monotonic()
        if self._speed is None or until == 0:
            slices = 20
            for index in range(1, slices + 1):
                run(until * index // slices)
                progress(until * index // slices)
            elapsed = self._monotonic() - start
            return Pace(until / 1e9 / elapsed if elapsed else 0.0, 0.0, 0.0)
        slice_ns = max(step, int(self._speed * _SLICE_S * 1e9) // step * step)
        lateness: list[float] = []
        next_report = start
        time = 0
        while time < until:
            time = min(until, time + slice_ns)
            deadline = start + time / 1e9 / self._speed
            while (remaining := deadline - self._monotonic()) > 0:
                self._sleep(remaining)
            run(time)
            now = self._monotonic()
            lateness.append(now - deadline)
            if now >= next_report:
                progress(time)
                next_report = now + 0.2
        progress(until)
        lateness.sort()
        elapsed = self._monotonic() - start
        return Pace(
            until / 1e9 / elapsed if elapsed else 0.0,
            1e3 * lateness[int(0.99 * (len(lateness) - 1))],
            1e3 * lateness[-1],
        )
