"""Random numbers: one named stream for each purpose, so that no draw shifts another."""

from __future__ import annotations

from hashlib import blake2b
from math import cos, log, pi, sqrt
from random import Random


class Stream:
    """A stream of random numbers that depends on its name only.

    Args:
        seed: Seed of the run.
        name: What the stream is for, part by part, such as `("SAT1", "attitude")`.
    """

    __slots__ = ("random",)

    def __init__(self, seed: int, *name: str) -> None:
        digest = blake2b("\x1f".join((str(seed), *name)).encode(), digest_size=16).digest()
        self.random = Random(int.from_bytes(digest, "big")).random  # noqa: S311 (not for secrets)
        """Return the next number, uniform in [0, 1)."""

    def uniform(self, low: float, high: float) -> float:
        """Return a number uniform in [low, high)."""
        return low + (high - low) * self.random()

    def exponential(self, rate: float) -> float:
        """Return a waiting time of a Poisson process.

        Args:
            rate: Events per unit of time, positive.
        """
        return -log(1.0 - self.random()) / rate

    def normal(self, mean: float, deviation: float) -> float:
        """Return a normally distributed number (Box and Muller 1958), from two draws."""
        radius = sqrt(-2.0 * log(1.0 - self.random()))
        return mean + deviation * radius * cos(2.0 * pi * self.random())
