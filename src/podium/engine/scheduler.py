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
    Of those that wait for a resource or a group, the first is tried again when there may be room, then the next.

    Args:
        plan: The plan, whose resources were checked when it was made.
        shared: Slots it shares with other runs, besides its own.
        wake: Called when some of those may be free.
    """

    def __init__(self, plan: Plan, shared: SharedSlots | None = None, wake: Callable[[], None] = lambda: None) -> None:
        self._shared = shared
        self._wake = wake
        self._taken = 0
        self._steps: list[Step] = list(plan.steps)
        self._planned = len(plan.steps)
        self._free_slots = plan.slots
        self._free = {name: _exact(amount) for name, amount in plan.capacities.items()}
        self._rank = _remaining_path(plan)
        self._heap: list[_Entry] = []
        self._slotless: list[_Entry] = []
        self._queued: set[int] = set()
        self._waiting: dict[str, list[_Entry]] = {}
        self._tried: set[int] = set()
        self._closed_groups: set[str] = set()
        self._waiting_groups: dict[str, list[_Entry]] = {}
        self._wave, self._open_waves = _waves(plan) if plan.strict_waves else ({}, [])
        self._first_open = 0
        self._later: dict[int, list[int]] = {}

    def close(self) -> None:
        """Give back the shared slots, when the run is over or left."""
        if self._shared is not None:
            self._shared.leave(self._taken, self._wake)
            self._taken = 0

    def add(self, step: Step, *, like: int | None = None) -> None:
        """Take in a step that is not in the plan; it ranks like another and belongs to its wave, else it is first.

        Args:
            step: The step; its index is the next.
            like: Index of the other.
        """
        if like is not None and like in self._wave:
            self._wave[len(self._steps)] = self._wave[like]
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
        later = self._later.get(self._wave.get(index, 0), [])
        if index in later:
            later.remove(index)
        for name in self._steps[index].resources:
            self._try_next(self._waiting, name)

    def pause(self, group: str) -> None:
        """Let no step of a group start until `resume`."""
        self._closed_groups.add(group)

    def resume(self, group: str) -> None:
        """Let the steps of a group start again."""
        self._closed_groups.discard(group)
        self._try_next(self._waiting_groups, group)

    def picks(self) -> Iterator[int]:
        """Yield steps to start now, taking the slots and the resources for each."""
        for heap in (self._slotless, self._heap):
            while heap and (self._free_slots > 0 or heap is self._slotless):
                entry = heappop(heap)
                index = entry[1]
                if index not in self._queued:
                    self._pass_on(index)
                elif not self._take_shared(index):
                    heappush(heap, entry)
                    break
                elif self._takes(entry):
                    self._queued.remove(index)
                    self._pass_on(index)
                    yield index
                else:
                    self._give_shared(index)

    def release(self, index: int) -> None:
        """Give back the slots and the resources of a step whose attempt is over."""
        step = self._steps[index]
        self._free_slots += step.slots
        self._give_shared(index)
        for name, amount in step.resources.items():
            self._free[name] += _exact(amount)
            self._try_next(self._waiting, name)

    def done(self, index: int) -> None:
        """Note that a step has its outcome; with strict waves this may open the next wave."""
        if not self._open_waves or index not in self._wave or index >= self._planned:
            return
        self._open_waves[self._wave[index]] -= 1
        current = self._current_wave()
        for wave in [wave for wave in self._later if wave <= current]:
            for later in self._later.pop(wave):
                self.offer(later)

    def _push(self, entry: _Entry) -> None:
        heappush(self._heap if self._steps[entry[1]].slots else self._slotless, entry)

    def _take_shared(self, index: int) -> bool:
        slots = self._steps[index].slots
        if self._shared is None or not slots:
            return True
        if not self._shared.take(slots, self._wake):
            return False
        self._taken += slots
        return True

    def _give_shared(self, index: int) -> None:
        slots = self._steps[index].slots
        if self._shared is not None and slots:
            self._taken -= slots
            self._shared.give(slots)

    def _takes(self, entry: _Entry) -> bool:
        """Take slots and resources of a step, or put it where it waits for them."""
        index = entry[1]
        step = self._steps[index]
        if step.group in self._closed_groups:
            heappush(self._waiting_groups.setdefault(step.group, []), entry)
            return False
        short = self._short_of(index)
        if short is not None:
            self._tried.discard(index)
            heappush(self._waiting.setdefault(short, []), entry)
            return False
        for name, amount in step.resources.items():
            self._free[name] -= _exact(amount)
        self._free_slots -= step.slots
        return True

    def _short_of(self, index: int) -> str | None:
        is_tried = index in self._tried
        for name, amount in self._steps[index].resources.items():
            if (name in self._waiting and not is_tried) or self._free[name] < _exact(amount):
                return name
        return None

    def _pass_on(self, index: int) -> None:
        """Let the next of those try that wait for the same resources or the same group."""
        self._tried.discard(index)
        step = self._steps[index]
        if step.group and step.group not in self._closed_groups:
            self._try_next(self._waiting_groups, step.group)
        for name in step.resources:
            self._try_next(self._waiting, name)

    def _try_next(self, waiting: dict[str, list[_Entry]], name: str) -> None:
        entries = waiting.get(name)
        if not entries:
            return
        entry = heappop(entries)
        if not entries:
            del waiting[name]
        self._tried.add(entry[1])
        self._push(entry)

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
    """Return the wave of each step and how many steps each wave has; services and teardown belong to none."""
    index_of = {step.name: index for index, step in enumerate(plan.steps) if step.role == "step"}
    waves = [[name for name in names if name in index_of] for names in plan.waves()]
    wave_of = {index_of[name]: wave for wave, names in enumerate(waves) for name in names}
    return wave_of, [len(names) for names in waves]
