"""Which test files a change may affect, and which failures a selection by changes would have missed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import msgspec

from podium.errors import Diagnostic
from podium.plan.impact_graph import CONFIGURATION, ImportGraph
from podium.plan.impact_imports import Mentions, mentions
from podium.protocols import TestRecord
from podium.test_results import BAD, TestResult

_DOCUMENTATION = (".md", ".rst", ".adoc")
_PICTURES = (".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp")
_ASIDE = (
    "LICENSE*",
    "LICENCE*",
    "COPYING*",
    "NOTICE*",
    "AUTHORS*",
    "CHANGES*",
    "CHANGELOG*",
    "CODEOWNERS",
    "CITATION.cff",
    ".gitignore",
    ".gitattributes",
    ".editorconfig",
    ".pre-commit-config.yaml",
    ".gitlab-ci.yml",
)
_ASIDE_FOLDERS = frozenset({".github", ".gitlab", ".circleci", ".vscode", ".idea"})
_FEW = 3
_OPEN = BAD | {"skipped"}
"""Outcomes after which a test is run again, whatever changed."""


class Impact(msgspec.Struct, frozen=True):
    """What a change may affect.

    Attributes:
        changed: Files that are not as they were, also those that came or went; relative to the project.
        affected: Python files that changed, or may execute code of one that did, to how many imports are between.
        known: Python files of which that is known.
        everything: Why everything may be affected; empty: it may not.
        since_us: When the full run began that was compared with, 0: not known, or none [us since the Unix epoch].
    """

    changed: tuple[str, ...]
    affected: dict[str, int] = {}
    known: frozenset[str] = frozenset()
    everything: str = ""
    since_us: int = 0

    def touches(self, file: str) -> bool:
        """Tell whether a file of tests may come to something else now; yes, if nothing is known of it."""
        return bool(self.everything) or file in self.affected or file not in self.known

    def settled(self, record: TestRecord | None) -> bool:
        """Tell whether a test came to something in the full run that was compared with, or later, and did not fail.

        Args:
            record: What is known of it; none: it was never run.
        """
        return record is not None and record.outcome not in _OPEN and record.last_us >= self.since_us

    @property
    def in_words(self) -> str:
        """The changed files, in a few words."""
        shown = ", ".join(self.changed[:_FEW])
        more = len(self.changed) - _FEW
        return f"{shown} and {more} more" if more > 0 else shown or "nothing"


def impact_of(project: Path, files: Iterable[str], changed: Iterable[str]) -> Impact:
    """Find out what a change may affect.

    Changed files other than Python and documentation affect everything. Documentation, and what only serves the
    platform a project is kept on, affects files that mention it.

    Args:
        project: The project's folder.
        files: Its files, relative to it.
        changed: Those that changed, came or went.
    """
    differing = tuple(sorted(set(changed)))
    if not differing:
        return Impact((), known=frozenset(file for file in files if file.endswith(".py")))
    everything = _beyond_python(differing, files := frozenset(files))
    if everything:
        return Impact(differing, everything=f"{everything} is neither Python nor documentation")
    python = {file for file in (*files, *differing) if file.endswith(".py")}
    named = {file: _mentions(project / file, there=file in files) for file in python}
    configuration = {name: _text(project / name) for name in CONFIGURATION if name in files}
    moved = [file for file in differing if file.endswith("__init__.py")]
    documents = [file for file in differing if not file.endswith(".py")]
    begun = [file for file in differing if file in python]
    begun += [file for file, one in named.items() if documents and _reads(one, documents)]
    affected = ImportGraph(named, configuration, moved).affected(begun)
    return Impact(differing, affected, frozenset(file for file in python if file in files))


class Missed(msgspec.Struct, frozen=True):
    """A test that began to fail with a change, and would not have been run for it.

    Attributes:
        test: Its id.
        file: Where it is written.
        changed: What changed, in words.
    """

    test: str
    file: str
    changed: str

    @property
    def finding(self) -> Diagnostic:
        """The same as a warning."""
        text = f"`{self.test}` fails since {self.changed} changed, and --only-changed would have left it out"
        return Diagnostic(
            "U452", text, "run all tests before a release; say how the test depends on it", None, "warning"
        )


def missed(
    impact: Impact, results: Iterable[TestResult], records: Mapping[str, TestRecord], *, folder: str = ""
) -> list[Missed]:
    """Return the tests that began to fail and that `impact` does not touch.

    Args:
        impact: Of what changed since the last full run.
        results: What the tests came to now.
        records: What they came to before; a test that is not settled by its record would have been run.
        folder: Working directory of the suite, relative to the project.
    """
    return [
        Missed(result.id, file, impact.in_words)
        for result in results
        if result.counts_as_bad and impact.settled(records.get(result.id))
        if (file := place_in_project(folder, result.file)) and not impact.touches(file)
    ]


def place_in_project(folder: str, file: str) -> str:
    """Return a file, given relative to a folder, relative to the project; empty if it is not in it, or not known."""
    if not file:
        return ""
    parts: list[str] = []
    for part in PurePosixPath(folder, file).parts:
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "" if parts[:1] == ["/"] else "/".join(parts)


def _beyond_python(changed: Collection[str], files: frozenset[str]) -> str:
    """Return a changed file from which nobody knows what depends on it; empty if there is none."""
    packages = {file.removesuffix("__init__.py") for file in (*files, *changed) if file.endswith("/__init__.py")}
    for file in changed:
        if file.endswith(".py"):
            if file == "setup.py":
                return file
            continue
        path = PurePosixPath(file)
        in_package = any(f"{folder}/" in packages for folder in map(str, path.parents))
        if in_package or not _is_aside(path):
            return file
    return ""


def _is_aside(path: PurePosixPath) -> bool:
    if path.suffix.lower() in _DOCUMENTATION or not _ASIDE_FOLDERS.isdisjoint(path.parts[:1]):
        return True
    if path.suffix.lower() in _PICTURES and path.parts[0] in {"doc", "docs"}:
        return True
    return len(path.parts) == 1 and any(fnmatchcase(path.name, pattern) for pattern in _ASIDE)


def _reads(names: Mentions, documents: Collection[str]) -> bool:
    """Tell whether a file mentions one of these by name, by a pattern or by a folder."""
    pieces = {piece for word in names.words for piece in word.split("/")}
    patterns = [piece for piece in pieces if "*" in piece and piece.strip("*")]
    for document in documents:
        parts = PurePosixPath(document).parts
        if not pieces.isdisjoint(parts) or any(fnmatchcase(parts[-1], pattern) for pattern in patterns):
            return True
    return False


def _mentions(path: Path, *, there: bool) -> Mentions:
    """Return what a file names; nothing is known of one that is there under a name which is not UTF-8."""
    try:
        return mentions(path.read_bytes())
    except FileNotFoundError:
        return Mentions(readable=not there)
    except OSError:
        return Mentions(readable=False)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
