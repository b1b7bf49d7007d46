"""Cut a suite into shards of about the same duration, the same way on every machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from heapq import heapify, heapreplace

from podium.executors.found import FoundTest

_PIECES = 4
"""A module that is longer than a shard should be is cut into so many pieces for each shard it fills."""


def shard_of(tests: Sequence[FoundTest], durations: Mapping[str, float], number: int, count: int) -> list[FoundTest]:
    """Return the tests of one shard, in the order given.

    Whole modules are dealt out, the longest first, each to the shard that has least to do; a module longer than a shard
    should be is cut. Every test is in exactly one shard, whatever the order in which the tests were found.

    Args:
        tests: All of them.
        durations: Id to how long it takes [s].
        number: Which shard, from 1.
        count: How many shards there are.
    """
    loads = [(0.0, 0, index) for index in range(count)]
    heapify(loads)
    mine: set[str] = set()
    for duration, piece in sorted(_pieces(tests, durations, count), key=lambda one: (-one[0], one[1])):
        load, held, index = loads[0]
        heapreplace(loads, (load + duration, held + len(piece), index))
        if index == number - 1:
            mine.update(piece)
    return [test for test in tests if test.id in mine]


def _pieces(
    tests: Sequence[FoundTest], durations: Mapping[str, float], count: int
) -> list[tuple[float, tuple[str, ...]]]:
    """Return modules, or parts of long ones: duration and ids."""
    modules: dict[str, set[str]] = {}
    for test in tests:
        modules.setdefault(test.file or test.id.partition("::")[0], set()).add(test.id)
    fair = sum(durations[name] for ids in modules.values() for name in sorted(ids)) / count
    pieces: list[tuple[float, tuple[str, ...]]] = []
    for name in sorted(modules):
        ids = sorted(modules[name])
        whole = sum(durations[one] for one in ids)
        if whole <= fair or len(ids) == 1:
            pieces.append((whole, tuple(ids)))
        else:
            pieces += _cut(ids, durations, math.ceil(whole / fair * _PIECES))
    return pieces


def _cut(ids: Sequence[str], durations: Mapping[str, float], count: int) -> list[tuple[float, tuple[str, ...]]]:
    """Return at most so many pieces of about the same duration, each of tests that follow one another."""
    whole = sum(durations[name] for name in ids)
    pieces: dict[int, list[str]] = {}
    begun = 0.0
    for name in ids:
        pieces.setdefault(int((begun + durations[name] / 2) / whole * count), []).append(name)
        begun += durations[name]
    return [(sum(durations[name] for name in piece), tuple(piece)) for piece in pieces.values()]
