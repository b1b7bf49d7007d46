"""The pace of a group: how far apart its steps start."""

from __future__ import annotations

from collections import deque

from podium.plan.policy import Group


class Pace:
    """Tells when the next step of a group may start.

    Args:
        group: Its stagger and rate.
    """

    def __init__(self, group: Group) -> None:
        self._group = group
        self._starts: deque[float] = deque(maxlen=max(1, group.starts))

    def started(self, now: float) -> float | None:
        """Take in a start and return when the next one may be, None if at once [s]."""
        self._starts.append(now)
        allowed = now + self._group.stagger
        if self._group.starts and len(self._starts) == self._group.starts:
            allowed = max(allowed, self._starts[0] + self._group.per)
        return allowed if allowed > now else None
