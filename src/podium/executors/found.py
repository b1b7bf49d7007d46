"""What a suite holds, and what of it is run: the words between runners and the choice of tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec


class FoundTest(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A test that was found and not run yet.

    Attributes:
        id: Name of the test, unique in its suite.
        file: Where it is written, relative to the working directory of the suite.
        line: Line in that file, from 1; 0: not known.
        markers: Names of its markers or tags.
    """

    id: str
    file: str = ""
    line: int = 0
    markers: tuple[str, ...] = ()


class Chosen(msgspec.Struct, frozen=True):
    """Which of the tests that were found are run.

    Attributes:
        ids: Those that are run, in the order in which they were found.
        left_out: How many are not run.
        notes: Why, for a person.
    """

    ids: tuple[str, ...]
    left_out: int = 0
    notes: tuple[str, ...] = ()


def distinct(names: Sequence[str]) -> Sequence[str]:
    """Return names with those that repeat numbered: `a`, `a#2`. What two tests come to is not to be taken for one's."""
    if len(set(names)) == len(names):
        return names
    taken, seen, found = set(names), Counter[str](), list[str]()
    for name in names:
        seen[name] += 1
        other = name
        while seen[name] > 1 and (other := f"{name}#{seen[name]}") in taken:
            seen[name] += 1
        taken.add(other)
        found.append(other)
    return found
