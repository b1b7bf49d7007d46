"""Which test files are nearest to what changed: they come first, because they are the first that may fail."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from pathlib import PurePosixPath

from podium.plan.impact import Impact

_PER_IMPORT = 0.1
"""How much one import between takes from the likeness of names."""
_MOST_CHANGED = 50
"""If more files changed, their names say nothing."""


def nearness(impact: Impact | None, files: Iterable[str]) -> dict[str, float]:
    """Return test files with how near they are to what changed: the higher the nearer, those that nothing affects last.

    Tests of a module are usually named after it, so the likeness of names counts, and less with every import between.

    Args:
        impact: Of what changed; None: not known.
        files: Test files, relative to the project.
    """
    if impact is None or impact.everything or not impact.changed:
        return {}
    names = [_bare(file) for file in impact.changed if file.endswith(".py")][:_MOST_CHANGED]
    found: dict[str, float] = {}
    for file in set(files):
        if not impact.touches(file):
            found[file] = -1e9
            continue
        likeness = max((SequenceMatcher(None, name, _bare(file)).ratio() for name in names), default=0.0)
        found[file] = round(likeness, 1) - _PER_IMPORT * impact.affected.get(file, 0)
    return found


def _bare(file: str) -> str:
    """Return the name of a file without what only says that it is a test."""
    name = PurePosixPath(file).stem.strip("_")
    if name == "init":
        name = PurePosixPath(file).parent.name
    return name.removeprefix("test_").removesuffix("_test").removesuffix("_tests")
