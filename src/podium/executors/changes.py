"""What of a project's files is not as it was: since the last full run of its tests, or since a revision of git."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Lock

import msgspec

from podium.errors import EnvironmentProblemError, UsageError
from podium.plan.impact import Impact, impact_of
from podium.protocols import content_digest

SEEN = Path(".podium") / "seen.json"
"""Where a project keeps what its last full run saw, relative to its folder."""

_PRUNED = frozenset(
    {".git", ".hg", ".svn", ".podium", "__pycache__", "node_modules", ".tox", ".nox", ".venv", "site-packages"}
    | {".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".eggs", "htmlcov", ".ipynb_checkpoints"}
)
"""Folders that hold nothing a person wrote for this project."""
_LEFTOVERS = ("*.pyc", "*.log", "*.tmp", "*.swp", "*~", ".coverage", ".coverage.*", "coverage.xml", ".DS_Store")
_CODE = (".py", ".so", ".pyd")
"""Files that count even if git ignores them: they are what runs."""
_WHOLE = 16 << 20
"""Files up to this size are compared by content, larger ones by size and time [byte]."""
_GIT_TIMEOUT = 60.0


class Snapshot(dict[str, str]):
    """What a project's files held: path to a digest.

    Args:
        digests: By path.
        taken_us: When the first file was looked at, 0 if that is not known [us since the Unix epoch].
    """

    def __init__(self, digests: Mapping[str, str], taken_us: int) -> None:
        super().__init__(digests)
        self.taken_us = taken_us


def impact_since(project: Path, since: str = "", now: Mapping[str, str] | None = None) -> Impact | None:
    """Find out what may be affected by what changed.

    Args:
        project: The project's folder.
        since: A revision of git; empty: what the last full run saw.
        now: What the files hold, if somebody has looked already; see `snapshot`.

    Returns:
        None if there is nothing to compare with: no full run is remembered.

    Raises:
        UsageError: No such revision (U450), or the project is in no repository of git (U451).
    """
    before = None if since else remembered(project)
    if not since and before is None:
        return None
    now = snapshot(project) if now is None else now
    changed = _changed_since_revision(project, since) if before is None else differing(before, now)
    since_us = 0 if before is None else before.taken_us
    key = content_digest(msgspec.json.encode((_told(str(project)), since_us, sorted(changed), now)))
    with _LOCK:  # suites that begin together wait for one answer
        if key not in _ANSWERS:
            _ANSWERS.clear()
            _ANSWERS[key] = msgspec.structs.replace(impact_of(project, now, changed), since_us=since_us)
        return _ANSWERS[key]


_LOCK = Lock()
_ANSWERS: dict[str, Impact] = {}


class Impacts:
    """What may be affected by what changed, looked up once for all suites of a run.

    Args:
        project: The project's folder.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._lock = Lock()
        self._run = ""
        self._found: dict[str, Impact | None] = {}

    def since(self, run: str, revision: str = "") -> Impact | None:
        """Return what `impact_since` found for a run; other suites that ask meanwhile wait for the same answer.

        Args:
            run: Whose suites ask; a new run looks anew.
            revision: A revision of git; empty: what the last full run saw.

        Raises:
            UsageError: As `impact_since`.
        """
        with self._lock:
            if run != self._run:
                self._run, self._found = run, {}
            if revision not in self._found:
                self._found[revision] = impact_since(self._project, revision)
            return self._found[revision]


def changed_files(project: Path, since: str = "") -> list[str] | None:
    """Return the files that changed, came or went, sorted; none if there is nothing to compare with.

    Args:
        project: The project's folder.
        since: A revision of git; empty: what the last full run saw.

    Raises:
        UsageError: No such revision (U450), or the project is in no repository of git (U451).
    """
    if since:
        return sorted(_changed_since_revision(project, since))
    before = remembered(project)
    return None if before is None else sorted(differing(before, snapshot(project)))


def snapshot(project: Path) -> Snapshot:
    """Return what a project's files hold. To be taken before the tests of a full run begin."""
    digests = Snapshot({}, time.time_ns() // 1000)
    for file in project_files(project):
        path, name = project / file, _told(file)
        try:
            stat = path.stat()
            large = stat.st_size > _WHOLE
            digests[name] = f"{stat.st_size} {stat.st_mtime_ns}" if large else content_digest(path.read_bytes())
        except FileNotFoundError:
            continue
        except OSError as error:
            digests[name] = f"not readable: {error.strerror}"
    return digests


def differing(before: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    """Return the paths whose files are not the same in both, or are in one only."""
    return {path for path in {*before, *now} if before.get(path) != now.get(path)}


def remember(project: Path, seen: Snapshot) -> None:
    """Keep what a full run saw, in place of what was kept before; whole or not at all.

    Raises:
        EnvironmentProblemError: It cannot be written (E502).
    """
    path = project / SEEN
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(msgspec.json.encode(_Seen(dict(seen), taken_us=seen.taken_us)))
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        text = f"{path} cannot be written: {error.strerror or error}"
        raise EnvironmentProblemError(text, code="E502", hint="make the folder writable") from error


def remembered(project: Path) -> Snapshot | None:
    """Return what the last full run saw; none if there was none, or what was kept cannot be read."""
    try:
        seen = msgspec.json.decode((project / SEEN).read_bytes(), type=_Seen)
    except (OSError, msgspec.DecodeError):
        return None
    return Snapshot(seen.files, seen.taken_us) if seen.version == _VERSION else None


_VERSION = 1


class _Seen(msgspec.Struct, frozen=True):
    files: dict[str, str]
    version: int = _VERSION
    taken_us: int = 0


def project_files(project: Path) -> Iterator[str]:
    """Yield the files people wrote, relative to the project: no caches, no environments, no leftovers of runs.

    What git ignores counts only if it is code. They are named as `os.fsdecode` does, to be opened by these names.
    """
    kept = _kept_by_git(project)
    for file in _walk(project):
        if kept is None or file in kept or file.endswith(_CODE):
            yield file


def _walk(project: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(project):
        if folder != str(project) and "pyvenv.cfg" in files:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name not in _PRUNED and not name.endswith(".egg-info"))
        inside = Path(folder).relative_to(project)
        for name in sorted(files):
            if not any(fnmatchcase(name, pattern) for pattern in _LEFTOVERS):
                yield (inside / name).as_posix()


def _kept_by_git(project: Path) -> frozenset[str] | None:
    """Return the files git does not ignore; none if it does not look after the project, or is not there."""
    found = _git(project, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    return None if found is None else frozenset(_paths(found))


def _changed_since_revision(project: Path, since: str) -> set[str]:
    if _git(project, "rev-parse", "--git-dir") is None:
        hint = "leave the revision out to compare with what the last full run saw"
        raise UsageError(f"{project} is in no repository of git, so there is no `{since}`", code="U451", hint=hint)
    revision = _git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{since}^{{commit}}")
    if revision is None:
        raise UsageError(f"`{since}` is no revision of git in {project}", code="U450", hint="`git log` shows them")
    compared = ("diff", "--name-only", "--no-renames", "--relative", "-z", revision.decode().strip(), "--", ".")
    listed = _git(project, *compared)
    others = _git(project, "ls-files", "--others", "--exclude-standard", "-z")
    if listed is None or others is None:
        raise EnvironmentProblemError(f"git cannot compare with `{since}`", hint="`git status` says why")
    new = {*_paths(listed), *_paths(others)}
    return {_told(file) for file in new if _PRUNED.isdisjoint(file.split("/"))}


def _told(path: str) -> str:
    r"""Return a path as it is compared, kept and shown: bytes that are not UTF-8 are written as `\xe9`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _paths(output: bytes) -> list[str]:
    return [os.fsdecode(path) for path in output.split(b"\0") if path]


def _git(project: Path, *arguments: str) -> bytes | None:
    """Return what git says; none if it fails or is not there."""
    command = ["git", "-C", str(project), "-c", "core.fsmonitor=false", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        ended = subprocess.run(
            command, capture_output=True, timeout=_GIT_TIMEOUT, check=False, stdin=subprocess.DEVNULL, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout if ended.returncode == 0 else None
