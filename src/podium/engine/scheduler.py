"""Which ready step starts next: longest remaining path first, within slots, resources and the pace of groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from heapq import heappop, heappush

from podium.engine.shared_slots import SharedSlots
from podium.plan.graph import Plan, Step, dependents_of, topological

_Entry = tuple[float, int]


class Scheduler:
    """Orders ready steps and keeps account of slots and resources.

    Steps are known by their index. Among the ready steps the one with the longest remaining path (by expected
    durations) starts first; ties go to the one written first. A step that asks for more of a resource than is free
    waits for it and holds it: later steps that want the same resource queue behind it, so a large step is not starved
    by small ones. Steps that do not want that resource pass by. A step whose group is paused waits without a slot.

    Args:
        plan: The plan, whose resources were checked when it was made.
        shared: Slots it shares with other runs, besides its own.
        wake: Called when some of those may be free.
    """

    def __init__(self, plan: Plan, shared: SharedSlots | None = None, wake: Callable[[], None] = lambda: None) -> None:
        self._shared = shared
        self._wake = wake
        self._steps: list[Step] = list(plan.steps)
        self._free_slots = plan.slots
        self._free = {name: _exact(amount) for name, amount in plan.capacities.items()}
        self._rank = _remaining_path(plan)
        self._heap: list[_Entry] = []
        self._slotless: list[_Entry] = []
        self._queued: set[int] = set()
        self._held: dict[str, list[_Entry]] = {}
        self._paused: dict[str, list[_Entry]] = {}
        self._wave, self._open_waves = _waves(plan) if plan.strict_waves else ({}, [])
        self._first_open = 0
        self._later: dict[int, list[int]] = {}

    def add(self, step: Step, *, like: int | None = None) -> None:
        """Take in a step that is not in the plan; it ranks like another, else first.

        Args:
            step: The step; its index is the next.
            like: Index of the other.
        """
        self._steps.append(step)
        self._rank.append(self._rank[like] if like is not None else float("-inf"))

    def declare(self, resource: str, amount: float) -> None:
        """Take in a resource that is not in the plan."""
        self._free.setdefault(resource, _exact(amount))

    def offer(self, index: int) -> None:
        """Take a step that could start now."""
        if self._open_waves and self._wave.get(index, 0) > self._current_wave():
            self._later.setdefault(self._wave[index], []).append(index)
            return
        self._queued.add(index)
        self._push((self._rank[index], index))

    def withdraw(self, index: int) -> None:
        """Forget an offered step."""
        self._queued.discard(index)

    def pause(self, group: str) -> None:
        """Let no step of a group start until `resume`."""
        self._paused.setdefault(group, [])

    def resume(self, group: str) -> None:
        """Let the steps of a group start again."""
        for entry in self._paused.pop(group, ()):
            self._push(entry)

    def picks(self) -> Iterator[int]:
        """Yield steps to start now, taking the slots and the resources for each."""
        for heap in (self._slotless, self._heap):
            while heap and (self._free_slots > 0 or heap is self._slotless):
                entry = heappop(heap)
                index = entry[1]
                if index not in self._queued:
                    continue
                slots = self._steps[index].slots
                if self._shared is not None and not self._shared.take(slots, self._wake):
                    heappush(heap, entry)
                    break
                if not self._takes(entry):
                    self._give(slots)
                else:
                    self._queued.remove(index)
                    yield index

    def release(self, index: int) -> None:
        """Give back the slots and the resources of a step whose attempt is over."""
        step = self._steps[index]
        self._free_slots += step.slots
        self._give(step.slots)
        for name, amount in step.resources.items():
            self._free[name] += _exact(amount)
            for entry in self._held.pop(name, ()):
                self._push(entry)

    def done(self, index: int) -> None:
        """Note that a step has its outcome; with strict waves this may open the next wave."""
        if not self._open_waves or index not in self._wave:
            return
        self._open_waves[self._wave[index]] -= 1
        current = self._current_wave()
        for wave in [wave for wave in self._later if wave <= current]:
            for later in self._later.pop(wave):
                self.offer(later)

    def _give(self, slots: int) -> None:
        if self._shared is not None and slots:
            self._shared.give(slots)

    def _push(self, entry: _Entry) -> None:
        heappush(self._heap if self._steps[entry[1]].slots else self._slotless, entry)

    def _takes(self, entry: _Entry) -> bool:
        """Take slots and resources of a step, or put it where it waits for them."""
        step = self._steps[entry[1]]
        if step.group and step.group in self._paused:
            self._paused[step.group].append(entry)
            return False
        if step.resources:
            short = self._short_of(step.resources)
            if short is not None:
                heappush(self._held.setdefault(short, []), entry)
                return False
            for name, amount in step.resources.items():
                self._free[name] -= _exact(amount)
        self._free_slots -= step.slots
        return True

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
