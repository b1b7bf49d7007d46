"""Which of several named workers takes the next workflow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.errors import UsageError

_USUAL = ("worker_1", "worker_2", "worker_3")


class NoWorkerError(UsageError, ValueError):
    """No worker can take another workflow."""


@dataclass
class _Worker:
    capacity: int | None
    is_healthy: bool = True
    load: int = 0

    @property
    def room(self) -> float:
        """For how many more workflows."""
        return (math.inf if self.capacity is None else self.capacity - self.load) if self.is_healthy else 0.0


class LoadBalancer:
    """Assigns workflows to workers, each to the one with the least load for its capacity.

    Workflows stay where they are until `rebalance`; when one is completed, the next go where there is room.

    Args:
        workers: Names of workers, or name to capacity: how many workflows it takes at once; None: no limit.

    Raises:
        UsageError: A capacity is below 1, or a name stands twice (U400).
    """

    def __init__(self, workers: Sequence[str] | Mapping[str, int | None] = _USUAL) -> None:
        self._workers: dict[str, _Worker] = {}
        self._assigned: dict[str, str] = {}
        for name in workers:
            self.add_worker(name, workers[name] if isinstance(workers, Mapping) else None)

    def assign_workflow(self, workflow_id: str) -> str:
        """Return the worker of a workflow; among equals the one added first.

        The same workflow has the same worker again, unless that is no longer healthy.

        Args:
            workflow_id: The workflow.

        Raises:
            NoWorkerError: All workers are full or unhealthy, or there are none (U400).
        """
        before = self._assigned.get(workflow_id)
        if before is not None and self._workers[before].is_healthy:
            return before
        name = self._least_loaded(workflow_id)
        self.complete_workflow(workflow_id)
        self._assigned[workflow_id] = name
        self._workers[name].load += 1
        return name

    def complete_workflow(self, workflow_id: str) -> None:
        """Take a workflow from its worker, which has room for another one; one that is not known changes nothing."""
        name = self._assigned.pop(workflow_id, None)
        if name is not None:
            self._workers[name].load -= 1

    def get_worker_load(self, name: str) -> int:
        """Return how many workflows a worker has.

        Raises:
            UsageError: There is no such worker (U419).
        """
        return self._worker(name).load

    def get_load_distribution(self) -> dict[str, int]:
        """Return worker to how many workflows it has."""
        return {name: worker.load for name, worker in self._workers.items()}

    def is_balanced(self, threshold: float = 0.3) -> bool:
        """Return whether no healthy worker's load differs from the mean by more than a part of it.

        Args:
            threshold: The part, relative to the mean. Loads are relative to capacities.
        """
        loads = [self._relative(worker) for worker in self._workers.values() if worker.is_healthy]
        mean = sum(loads) / len(loads) if loads else 0.0
        return not mean or all(abs(load - mean) <= threshold * mean + 1e-12 for load in loads)

    def rebalance(self) -> dict[str, str]:
        """Move workflows from the fullest to the emptiest worker while that brings them closer.

        Returns:
            Each workflow that moved, with its new worker.
        """
        moved: dict[str, str] = {}
        while True:
            able = {name: self._relative(worker) for name, worker in self._workers.items() if worker.is_healthy}
            if not able:
                return moved
            fullest, emptiest = max(able, key=lambda name: able[name]), min(able, key=lambda name: able[name])
            target = self._workers[emptiest]
            after = able[emptiest] + self._share(target)
            if target.room <= 0 or after >= able[fullest]:
                return moved
            workflow = next(one for one, at in reversed(self._assigned.items()) if at == fullest)
            self._workers[fullest].load -= 1
            target.load += 1
            moved[workflow] = self._assigned[workflow] = emptiest

    def add_worker(self, name: str, capacity: int | None = None) -> None:
        """Take in a worker.

        Args:
            name: Its name.
            capacity: How many workflows it takes at once; None: no limit.

        Raises:
            UsageError: It is there already, or the capacity is below 1 (U400).
        """
        if name in self._workers:
            raise UsageError(f"there is a worker `{name}` already")
        if capacity is not None and capacity < 1:
            raise UsageError(f"the capacity of worker `{name}` must be at least 1, not {capacity}")
        self._workers[name] = _Worker(capacity)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return worker to its `capacity`, whether it is `healthy`, and its `workflows`."""
        return {
            name: {
                "capacity": worker.capacity,
                "healthy": worker.is_healthy,
                "workflows": [workflow for workflow, at in self._assigned.items() if at == name],
            }
            for name, worker in self._workers.items()
        }

    def remove_worker(self, name: str, *, overfill: bool = False) -> dict[str, str]:
        """Remove a worker, move its workflows to others, and return each of them with its new worker.

        Args:
            name: The worker.
            overfill: Give the others more than they have room for, rather than refuse.

        Raises:
            UsageError: There is no such worker (U419).
            NoWorkerError: The others have no room for all of its workflows (U400); nothing has changed.
        """
        worker = self._worker(name)
        workflows = [workflow for workflow, at in self._assigned.items() if at == name]
        others = self._others(name)
        rooms = [one.room for one in others]
        if sum(rooms) < len(workflows) and not (overfill and others):
            text = f"worker `{name}` has {len(workflows)} workflows, and the others have room for {sum(rooms):g}"
            raise NoWorkerError(text, hint="add a worker first")
        worker.is_healthy = False
        moved = {workflow: self._moved(workflow, overfill=overfill) for workflow in workflows}
        del self._workers[name]
        return moved

    def mark_unhealthy(self, name: str) -> None:
        """Give a worker no more workflows; what it has stays, and moves when it is assigned again.

        Raises:
            UsageError: There is no such worker (U419).
        """
        self._worker(name).is_healthy = False

    def mark_healthy(self, name: str) -> None:
        """Let a worker take workflows again.

        Raises:
            UsageError: There is no such worker (U419).
        """
        self._worker(name).is_healthy = True

    def _moved(self, workflow: str, *, overfill: bool) -> str:
        try:
            return self.assign_workflow(workflow)
        except NoWorkerError:
            if not overfill:
                raise
        before = self._assigned[workflow]
        chosen = min(
            (name for name in self._workers if name != before), key=lambda name: self._relative(self._workers[name])
        )
        self.complete_workflow(workflow)
        self._assigned[workflow] = chosen
        self._workers[chosen].load += 1
        return chosen

    def _others(self, name: str) -> list[_Worker]:
        return [worker for other, worker in self._workers.items() if other != name]

    def _worker(self, name: str) -> _Worker:
        if name not in self._workers:
            hint = f"workers: {', '.join(self._workers) or 'none'}"
            raise UsageError(f"there is no worker `{name}`", code="U419", hint=hint)
        return self._workers[name]

    def _relative(self, worker: _Worker) -> float:
        """Return load by capacity; a worker without a limit counts as the largest of the others."""
        return worker.load * self._share(worker)

    def _share(self, worker: _Worker) -> float:
        """Return what one workflow adds to the load."""
        largest = max((one.capacity for one in self._workers.values() if one.capacity is not None), default=1)
        return 1 / (worker.capacity or largest)

    def _least_loaded(self, workflow_id: str) -> str:
        able = [name for name, worker in self._workers.items() if worker.room > 0]
        if able:
            return min(able, key=lambda name: self._relative(self._workers[name]))
        shown = ", ".join(f"{name} {_described(worker)}" for name, worker in self._workers.items())
        raise NoWorkerError(f"no worker can take workflow `{workflow_id}`: {shown or 'there are none'}")


def _described(worker: _Worker) -> str:
    return f"has {worker.load} of {worker.capacity}" if worker.is_healthy else "is unhealthy"
