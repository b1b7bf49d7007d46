"""Public test suites as material: fetched once, pinned by hash, run as their projects run them.

`prepare` makes a folder with one virtual environment and the sources of all projects; it is kept in the folder
`PODIUM_TEST_CACHE` names, by default `podium/tests` in the user's cache, under a name that changes with everything it
is made of. The environment has the released packages for their metadata; the sources in `REAL_SUITE_SOURCE` come before
them on the path of its Python, so that a copy of a project can be changed and tested without touching anything else.

    python -m tests.real_suites     # prepare, print where, and run each suite with plain pytest
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent
LOCK = _HERE / "real_suites.lock"
PLUGIN = _HERE / "real_suites_plugin.py"
_SOURCE_FIRST = (
    'import os, sys; os.environ.get("REAL_SUITE_SOURCE") and sys.path.insert(0, os.environ["REAL_SUITE_SOURCE"])\n'
)


class UnavailableError(RuntimeError):
    """The suites cannot be fetched here."""


@dataclass(frozen=True)
class Project:
    """A released source archive with its tests.

    Attributes:
        name: Name in the package index.
        version: Pinned, as in the lock file.
        sha256: Digest of the source archive.
        package: Folder of the import package in the archive.
        tests: How many tests there are, about.
        small: A suite of a few seconds.
        clock: Pattern of the parts of ids that tell the time of day, and so are never the same twice.
    """

    name: str
    version: str
    sha256: str
    package: str
    tests: int
    small: bool = True
    clock: str = ""

    @property
    def folder(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}"

    def stopped(self, outcomes: dict[str, str]) -> dict[str, str]:
        """Return outcomes with zeros where ids tell the time of day, to be compared with those of another run."""
        if not self.clock:
            return outcomes
        return {re.sub(self.clock, lambda m: re.sub(r"\d", "0", m[0]), name): got for name, got in outcomes.items()}


PROJECTS = (
    Project(
        "marshmallow",
        "4.4.0",
        "9e6ffa8511012ca89732324c1c253efd7b4d35632dcbdf80aa793fe01804af3e",
        "src/marshmallow",
        1192,
        clock=r"test_invalid_datetime_deserialization\[[-: \d]{19}\]",
    ),
    Project("jinja2", "3.1.6", "0137fb05990d35f1275a587e9aee6d56da821fc83491a0fb838183be43f66d6d", "src/jinja2", 909),
    Project("click", "8.5.1", "9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4", "src/click", 2459),
    Project(
        "werkzeug", "3.1.9", "55ca7c70a75689be937aa27f8ff4b018f06ff4838fc73045560bf0f5a1291060", "src/werkzeug", 981
    ),
    Project(
        "more-itertools",
        "11.2.1",
        "cbf08fd0af284dc69718b9b76a8e6203df624d70209ea511e4219d350c856f63",
        "more_itertools",
        765,
        small=False,
    ),
    Project(
        "packaging",
        "26.3",
        "94edc256424af38762eb31306eed28beb9f0efc50a8837492c9d6fd6004aed79",
        "src/packaging",
        62423,
        small=False,
    ),
    Project(
        "networkx",
        "3.6.1",
        "26b7c357accc0c8cde558ad486283728b65b6a95d85ee1cd66bafab4c8168509",
        "networkx",
        6209,
        small=False,
    ),
)


@dataclass(frozen=True)
class Ran:
    """What a run of a suite came to.

    Attributes:
        outcomes: Node id to outcome.
        wall: From the start of the process to its end [s].
        first_bad: From the start of the process until the first test that did not pass was reported [s].
        exit_code: Of the process.
    """

    outcomes: dict[str, str]
    wall: float
    first_bad: float | None
    exit_code: int


@dataclass(frozen=True)
class Workplace:
    """A prepared folder."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    def source(self, project: Project) -> Path:
        """Return where the project lies; it must not be changed."""
        return self.folder / "projects" / project.folder

    def copy(self, project: Project, parent: Path) -> Path:
        """Return a copy of the project that may be changed, in a new folder under `parent`."""
        return Path(shutil.copytree(self.source(project), parent / project.name, symlinks=True))


def environment(project: Project, folder: Path, **more: str) -> dict[str, str]:
    """Return the variables under which the tests of a copy see the sources of that copy."""
    left_out = ("PYTEST_", "COV_", "PYTHONDONTWRITEBYTECODE")  # what is compiled once stays compiled
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, "REAL_SUITE_SOURCE": str((folder / project.package).parent), **more}


def plain_pytest(place: Workplace, project: Project, folder: Path, *args: str, limit: float = 900) -> Ran:
    """Run the suite of a copy with pytest itself, and `-n` and the like in `args` with pytest-xdist."""
    results = folder.parent / f"{project.name}.results.json"
    results.unlink(missing_ok=True)
    command = [str(place.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "real_suites_plugin", *args]
    began, started = time.time(), time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(project, folder, REAL_SUITES_RESULTS=str(results)),
        timeout=limit,
        check=False,
        capture_output=True,
        text=True,
    )
    wall = time.monotonic() - started
    if not results.exists():
        raise RuntimeError(f"{project.name}: pytest ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr}")
    found = json.loads(results.read_text())
    first_bad = found["first_bad"]
    return Ran(
        project.stopped(found["outcomes"]), wall, None if first_bad is None else first_bad - began, done.returncode
    )


def cache_folder() -> Path:
    """Return where prepared folders are kept."""
    named = os.environ.get("PODIUM_TEST_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podium/tests"


def prepare() -> Workplace:
    """Return the prepared folder of this Python; the first time it is made, which takes the package index.

    Raises:
        UnavailableError: Something cannot be fetched, or is not what was pinned.
    """
    made_of = [
        LOCK.read_bytes(),
        PLUGIN.read_bytes(),
        _SOURCE_FIRST.encode(),
        " ".join(project.sha256 for project in PROJECTS).encode(),
    ]
    made_of.append(f"{sys.version} {sysconfig.get_platform()} {sys.base_prefix}".encode())
    parent = cache_folder()
    folder = parent / f"suites-{hashlib.sha256(b''.join(made_of)).hexdigest()[:16]}"
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the interpreters of a test matrix may prepare at the same time
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder)
            (folder / "ready").touch()
    return Workplace(folder)


def pinned(name: str) -> str:
    """Return the version of a package in the environment."""
    found = re.search(rf"^{re.escape(name)}==(\S+)", LOCK.read_text(), re.MULTILINE)
    assert found is not None, name
    return found[1]


def _make(folder: Path) -> None:
    python = folder / "venv" / "bin" / "python"
    archives = folder / "archives"
    _call(sys.executable, "-m", "venv", folder / "venv")
    _call(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCK)
    packages = Path(_call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (packages / "real_suite_source.pth").write_text(_SOURCE_FIRST)
    shutil.copy(PLUGIN, packages)
    for project in PROJECTS:
        wanted = folder / "archive.txt"
        wanted.write_text(f"{project.name}=={project.version} --hash=sha256:{project.sha256}\n")
        # pip asks an archive for its metadata; the backends for that are in the environment, pinned like the rest
        download = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
        _call(python, "-m", "pip", *download, "--require-hashes", "-r", wanted, "-d", archives)
        with tarfile.open(archives / f"{project.folder}.tar.gz") as archive:
            archive.extractall(folder / "projects", filter="data")
    _call(python, "-m", "compileall", "-qq", folder / "projects", ok=(0, 1))  # some have files that are no Python


def _call(*command: str | Path, ok: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode not in ok:
        raise UnavailableError(
            f"{' '.join(map(str, command[:4]))} … ended with {done.returncode}: {done.stderr[-800:]}"
        )
    return done.stdout


def _main() -> None:
    import tempfile

    place = prepare()
    print(place.folder)
    with tempfile.TemporaryDirectory() as parent:
        for project in PROJECTS:
            if sys.argv[1:] and project.name not in sys.argv[1:]:
                continue
            ran = plain_pytest(place, project, place.copy(project, Path(parent)))
            print(f"{project.name:15} {ran.wall:6.1f} s  {dict(Counter(ran.outcomes.values()))}", flush=True)


if __name__ == "__main__":
    _main()
