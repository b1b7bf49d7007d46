"""What needs what among layers, categories and services, and what comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from podium.model.layers import PRIORITIES


def priority_of(priority: str | int) -> int:
    """Return a priority as a number, 1 first."""
    return PRIORITIES[priority] if isinstance(priority, str) else priority


def circle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return names that need each other in a circle, the first again at the end; empty if there is none."""
    left = {name: [need for need in of if need in needs] for name, of in needs.items()}
    while free := [name for name, of in left.items() if not any(need in left for need in of)]:
        for name in free:
            del left[name]
    if not left:
        return []
    path = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(next(need for need in left[path[-1]] if need in left))
    return path[path.index(path[-1]) :]


def needed_by(name: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """Return all that something needs, directly or through others."""
    found: set[str] = set()
    open_ = list(needs.get(name, ()))
    while open_:
        need = open_.pop()
        if need not in found:
            found.add(need)
            open_ += needs.get(need, ())
    return found
