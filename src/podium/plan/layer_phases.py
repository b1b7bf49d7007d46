"""Phases: what can run at the same time, in an order that keeps needs and conflicts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def phases_of(
    names: Sequence[str],
    before: Mapping[str, Collection[str]],
    conflicts: Collection[frozenset[str]] = (),
    *,
    at_once: int | None = None,
    alone: Collection[str] = (),
) -> list[list[str]]:
    """Return names in phases: each as early as may be, those that come first in `names` before the others.

    Args:
        names: Names by importance.
        before: Name to those that have to be in an earlier phase; those that are not in `names` do not count.
        conflicts: Pairs of names that are never in one phase.
        at_once: Most names of a phase.
        alone: Names that share their phase with no other.

    Raises:
        ValueError: Names have to come before each other in a circle.
    """
    left, done = list(names), set[str]()
    known = set(names)
    phases: list[list[str]] = []
    while left:
        phase: list[str] = []
        for name in left:
            ready = done.issuperset(set(before.get(name, ())) & known)
            full = at_once is not None and len(phase) >= at_once
            apart = bool(phase) and (name in alone or any(other in alone for other in phase))
            if ready and not full and not apart and not any(frozenset((name, o)) in conflicts for o in phase):
                phase.append(name)
        if not phase:
            raise ValueError(f"{', '.join(left)} have to come before each other")
        left = [name for name in left if name not in phase]
        done.update(phase)
        phases.append(phase)
    return phases
