"""When processes may run that are to use a share of the processors."""

from __future__ import annotations


class Throttle:
    """Decides when processes may run so that they use their share of the processors and no more.

    A bucket fills with processor time at the rate that is allowed, up to what is allowed in one second, and is drawn
    from by what they use. When it is empty they are held, until there is a tenth of a second's worth in it again.

    Args:
        share: Of all processors, 0..1.
        processors: How many there are.
    """

    def __init__(self, share: float, processors: int) -> None:
        self._rate = share * processors
        self._room = self._rate
        self._held = False
        self._before: tuple[float, float] | None = None

    def may_run(self, now: float, used: float) -> bool:
        """Return whether the processes may run until the next look.

        Args:
            now: Time on a scale that does not go back [s].
            used: Processor time they have used in all [s].
        """
        if self._before is not None:
            then, used_then = self._before
            drawn = max(0.0, used - used_then)  # what a lost process has used is lost with it
            self._room = min(self._rate, self._room + (now - then) * self._rate - drawn)
        self._before = now, used
        self._held = self._room < (0.1 * self._rate if self._held else 0.0)
        return not self._held
