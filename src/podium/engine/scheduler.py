"""Which ready step starts next: longest remaining path first, within slots and resource capacities."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from heapq import heappop, heappush

from podium.plan.graph import Plan, dependents_of, topological


class Scheduler:
    """Orders ready steps and keeps account of slots and resources.

    Steps are known by their index in the plan. Among the ready steps the one with the longest remaining path (by
    expected durations) starts first; ties go to the one written first. A step that asks for more of a resource than is
    free waits for it and holds it: later steps that want the same resource queue behind it, so a large step is not
    starved by small ones. Steps that do not want that resource pass by.

    Args:
        plan: The plan, whose resources were checked when it was made.
    """

    def __init__(self, plan: Plan) -> None:
        self._steps = plan.steps
        self._free_slots = plan.slots
        self._free = {name: _exact(amount) for name, amount in plan.capacities.items()}
        self._rank = _remaining_path(plan)
        self._heap: list[tuple[float, int]] = []
        self._queued: set[int] = set()
        self._held: dict[str, list[tuple[float, int]]] = {}
        self._wave, self._open_waves = _waves(plan) if plan.strict_waves else ({}, [])
        self._first_open = 0
        self._later: dict[int, list[int]] = {}

    def offer(self, index: int) -> None:
        """Take a step that could start now."""
        if self._open_waves and self._wave[index] > self._current_wave():
            self._later.setdefault(self._wave[index], []).append(index)
            return
        self._queued.add(index)
        heappush(self._heap, (self._rank[index], index))

    def withdraw(self, index: int) -> None:
        """Forget an offered step."""
        self._queued.discard(index)

    def picks(self) -> Iterator[int]:
        """Yield steps to start now, taking a slot and the resources for each."""
        heap = self._heap
        while heap and self._free_slots > 0:
            entry = heappop(heap)
            index = entry[1]
            if index not in self._queued:
                continue
            resources = self._steps[index].resources
            if resources:
                short = self._short_of(resources)
                if short is not None:
                    heappush(self._held.setdefault(short, []), entry)
                    continue
                for name, amount in resources.items():
                    self._free[name] -= _exact(amount)
            self._queued.remove(index)
            self._free_slots -= 1
            yield index

    def release(self, index: int) -> None:
        """Give back the slot and the resources of a step whose attempt is over."""
        self._free_slots += 1
        for name, amount in self._steps[index].resources.items():
            self._free[name] += _exact(amount)
            for entry in self._held.pop(name, ()):
                heappush(self._heap, entry)

    def done(self, index: int) -> None:
        """Note that a step has its outcome; with strict waves this may open the next wave."""
        if not self._open_waves:
            return
        self._open_waves[self._wave[index]] -= 1
        current = self._current_wave()
        for wave in [wave for wave in self._later if wave <= current]:
            for later in self._later.pop(wave):
                self.offer(later)

    def _short_of(self, resources: dict[str, float]) -> str | None:
        for name, amount in resources.items():
            if name in self._held or self._free[name] < _exact(amount):
                return name
        return None

    def _current_wave(self) -> int:
        while self._first_open < len(self._open_waves) and not self._open_waves[self._first_open]:
            self._first_open += 1
        return self._first_open


def _exact(amount: float) -> Decimal:
    """Return an amount as it was written, so that three times 0.1 is given back as 0.3."""
    return Decimal(repr(amount))


def _remaining_path(plan: Plan) -> list[float]:
    """Return for every step minus the longest path from its start to the end of the plan [s]."""
    dependents = dependents_of(plan.steps)
    remaining: dict[str, float] = {}
    for step in reversed(topological(plan.steps)):
        behind = max((remaining[name] for name in dependents[step.name]), default=0.0)
        remaining[step.name] = behind + step.expected
    return [-remaining[step.name] for step in plan.steps]


def _waves(plan: Plan) -> tuple[dict[int, int], list[int]]:
    index_of = {step.name: index for index, step in enumerate(plan.steps)}
    waves = plan.waves()
    wave_of = {index_of[name]: wave for wave, names in enumerate(waves) for name in names}
    return wave_of, [len(names) for names in waves]
