"""Named workers that take runs, the least loaded first."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from podium.errors import UsageError


class WorkerState(msgspec.Struct):
    """One worker.

    Attributes:
        capacity: How many runs it takes at once.
        healthy: Whether it takes any.
        runs: Those it has.
    """

    capacity: int
    healthy: bool = True
    runs: list[str] = []

    @property
    def has_room(self) -> bool:
        """Whether it takes another run."""
        return self.healthy and len(self.runs) < self.capacity

    @property
    def load(self) -> float:
        """How full it is, 0..1."""
        return len(self.runs) / self.capacity


class Workers:
    """Assigns runs to the worker that is least loaded for its capacity; ties go to the one named first.

    Args:
        capacities: Worker name to its capacity, at least 1.

    Raises:
        UsageError: A capacity is below 1.
    """

    def __init__(self, capacities: Mapping[str, int]) -> None:
        self._workers: dict[str, WorkerState] = {}
        for name, capacity in capacities.items():
            self.add(name, capacity)

    def add(self, name: str, capacity: int) -> None:
        """Take in a worker.

        Raises:
            UsageError: It is there already, or its capacity is below 1.
        """
        if capacity < 1:
            raise UsageError(f"worker `{name}` needs a capacity of at least 1, not {capacity}")
        if name in self._workers:
            raise UsageError(f"there is a worker `{name}` already", hint="give another name")
        self._workers[name] = WorkerState(capacity)

    def remove(self, name: str) -> list[str]:
        """Take a worker out and return its runs, which move to the others as far as those have room.

        Raises:
            UsageError: There is no such worker.
        """
        left = self._worker(name).runs
        del self._workers[name]
        for run in left:
            self.assign(run)
        return left

    def set_health(self, name: str, *, healthy: bool) -> None:
        """Let a worker take runs or not; those it has stay.

        Raises:
            UsageError: There is no such worker.
        """
        self._worker(name).healthy = healthy

    def assign(self, run: str) -> str | None:
        """Return the worker that takes a run, the one that has it already, or None if none has room."""
        for name, worker in self._workers.items():
            if run in worker.runs:
                return name
        free = [name for name, worker in self._workers.items() if worker.has_room]
        if not free:
            return None
        chosen = min(free, key=lambda name: self._workers[name].load)
        self._workers[chosen].runs.append(run)
        return chosen

    def complete(self, run: str) -> None:
        """Note that a run has ended; if that leaves the workers out of balance, runs move."""
        for worker in self._workers.values():
            if run in worker.runs:
                worker.runs.remove(run)
        self._rebalance()

    def states(self) -> dict[str, WorkerState]:
        """Return the workers by name."""
        return dict(self._workers)

    def is_balanced(self, threshold: float = 0.3) -> bool:
        """Return whether no worker's load is further from the mean than this part of it."""
        loads = [worker.load for worker in self._workers.values() if worker.healthy]
        mean = sum(loads) / len(loads) if loads else 0.0
        return not mean or all(abs(load - mean) / mean <= threshold for load in loads)

    def _rebalance(self) -> None:
        """Move runs from the fullest to the emptiest worker while that brings them closer."""
        while True:
            healthy = [worker for worker in self._workers.values() if worker.healthy]
            if len(healthy) < 2:  # noqa: PLR2004 (one has nobody to share with)
                return
            fullest = max(healthy, key=lambda worker: worker.load)
            emptiest = min(healthy, key=lambda worker: worker.load)
            moved = (len(emptiest.runs) + 1) / emptiest.capacity
            if not emptiest.has_room or moved >= fullest.load:
                return
            emptiest.runs.append(fullest.runs.pop())

    def _worker(self, name: str) -> WorkerState:
        if name not in self._workers:
            hint = f"workers: {', '.join(self._workers)}"
            raise UsageError(f"there is no worker `{name}`", code="U419", hint=hint)
        return self._workers[name]
