"""What services leave on a machine when Podium is killed, and how it is found and removed.

A service has a record in a folder of this user, made before anything of it exists: who owns it, and what of a
container engine it uses. Its processes keep the record open, which marks them even if they overwrite their
environment, as Redis does, or leave their session. Beside the record is the service's temporary folder.
The guard of a killed Podium removes all of it, or else the next start (`reap`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Literal

from podium.errors import EnvironmentProblemError
from podium.runtime import ownership

Uses = Literal["container", "compose"]
"""What a service has in a container engine."""

_PATIENCE = 5.0
"""How long processes are given to die [s]."""
_MODE = 0o711
"""Of the folder of records: users a service changes to may pass, and see nothing."""
_SETTLING = 0.3
"""How far apart looks at a container engine are that may still be carrying out what it was asked [s]."""
_KEPT = 7 * 86400.0
"""How long it is remembered that a container engine was not there when something was to be removed [s]."""
_UNREADABLE = 3600.0
"""How old a record is that is not merely being written [s]."""

_CONTAINERS = (("ps", "--all"), ("rm", "--force", "--volumes"))
_OF_ENGINE = {
    "container": ("label=podium.id={}", (_CONTAINERS,)),
    "compose": (
        "label=com.docker.compose.project=podium-{}",
        (_CONTAINERS, (("network", "ls"), ("network", "rm")), (("volume", "ls"), ("volume", "rm", "--force"))),
    ),
}
"""How to find what a service has in a container engine, and what lists and removes it."""


class Claim:
    """A place of its own for a service: a record, and a temporary folder.

    Args:
        owner: Label of the owner, see `podium.runtime.ownership`.

    Attributes:
        id: Unique on the machine, 8 hex digits.
        folder: The temporary folder; only this user may enter it.

    Raises:
        EnvironmentProblemError: The folder cannot be made (E535).
    """

    def __init__(self, owner: str) -> None:
        self.id = uuid.uuid4().hex[:8]
        self._owner = owner
        root = _root()
        self.folder = root / self.id
        try:
            self._record = _written(root, f"{self.id}.json", json.dumps({"owner": owner}))
            self.folder.mkdir(0o700)
        except OSError as error:
            text = f"cannot make a folder for a service in {root}: {error.strerror}"
            raise EnvironmentProblemError(text, code="E535", hint="set TMPDIR to a folder you can write to") from error

    @property
    def project(self) -> str:
        """Name of its Compose project."""
        return f"podium-{self.id}"

    def use(self, uses: Uses) -> None:
        """Write down that something is going to be in a container engine, the one this process uses now."""
        environment = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
        changed = self._record.with_suffix(".new")
        changed.write_text(json.dumps({"owner": self._owner, "uses": uses, "environment": environment}), "utf-8")
        changed.replace(self._record)

    @contextlib.contextmanager
    def mark(self) -> Generator[int]:
        """Yield a descriptor whose inheritance marks processes of the service."""
        fd = os.open(self._record, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def kill(self) -> bool:
        """Kill the processes that are marked, and return whether they are dead; takes a while."""
        return _kill_holders(self._record)

    def release(self, *, settle: bool = False) -> bool:
        """Remove what is left; takes a while.

        Args:
            settle: A container engine may still be making what it was asked for.

        Returns:
            Whether nothing is left.
        """
        return _remove(self._record, settle=settle)


def reap() -> list[str]:
    """Remove what services left whose owner is gone, and return their ids; one look into a folder if there are none."""
    return [path.stem for path in _records() if _is_orphan(path) and _remove(path, settle=False)]


def remove_owned(owner: str) -> None:
    """Remove everything of the services with this owner, who is gone."""
    for path in _records():
        if _read(path).get("owner") == owner:
            _remove(path, settle=True)


def _root() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"podium-{user}"


def _written(root: Path, name: str, content: str) -> Path:
    """Write a record; the folder of records may be removed by another process at any moment while it is empty."""
    for _ in range(100):
        with contextlib.suppress(FileExistsError):
            root.mkdir(_MODE)
        with contextlib.suppress(FileNotFoundError):
            _check(root)
            (root / name).write_text(content, encoding="utf-8")
            return root / name
    raise FileNotFoundError(2, "it is removed again and again")


def _check(root: Path) -> None:
    """Refuse a folder that somebody else made, who could make us remove what is not ours."""
    about = root.lstat()
    if root.is_symlink() or not root.is_dir() or (hasattr(os, "getuid") and about.st_uid != os.getuid()):
        text = f"{root} is not a folder of this user"
        raise EnvironmentProblemError(text, code="E535", hint="remove it, or set TMPDIR to another folder")
    if stat.S_IMODE(about.st_mode) != _MODE:
        root.chmod(_MODE)


def _records() -> list[Path]:
    root = _root()
    try:
        found = sorted(path for path in root.iterdir() if path.suffix == ".json")
        if found:
            _check(root)
    except (OSError, EnvironmentProblemError):
        return []
    return found


def _read(path: Path) -> dict[str, Any]:
    """Return a record; nothing if it is being written, or gone."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _is_orphan(path: Path) -> bool:
    record = _read(path)
    if not record:
        return _age(path) > _UNREADABLE
    return not ownership.is_alive(record["owner"])


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path, *, settle: bool) -> bool:
    """Remove a record with all that belongs to it; what could not be removed keeps the record."""
    record = _read(path)
    clean = _kill_holders(path)
    if record.get("uses"):
        clean &= _remove_from_engine(record, path.stem, settle=settle) or _age(path) > _KEPT
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    clean &= not path.with_suffix("").exists()
    if clean:
        path.unlink(missing_ok=True)
        path.with_suffix(".new").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are in it
            path.parent.rmdir()
    return clean


def _kill_holders(path: Path) -> bool:
    """Kill the processes that keep a record open until there are none, and those killed are really dead."""
    if sys.platform != "linux":
        return True
    deadline = time.monotonic() + _PATIENCE
    killed: set[int] = set()
    clean = 0
    while time.monotonic() < deadline:
        holders = _holders(os.path.realpath(path))
        for pid in holders:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        killed = {pid for pid in killed.union(holders) if _is_dying(pid)}
        clean = 0 if holders or killed else clean + 1
        if clean == 2:  # noqa: PLR2004 (one may have been born while the other was looked at)
            return True
        time.sleep(0 if clean else 0.002)
    return False


def _is_dying(pid: int) -> bool:
    """Return whether a killed process is still about to end: its files leave /proc before they are closed."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
    except OSError:
        return False


def _holders(target: str) -> list[int]:
    found: list[int] = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):  # noqa: PTH208 (a Path per process)
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            names = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208
            if any(_link(f"/proc/{pid}/fd/{name}") == target for name in names):
                found.append(pid)
    return found


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 (many of them)
    except OSError:
        return ""


def _remove_from_engine(record: Mapping[str, Any], identifier: str, *, settle: bool) -> bool:
    """Remove containers, and the networks and volumes of a Compose project; return whether none is left."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    environment = others | record["environment"]
    label, removals = _OF_ENGINE[record["uses"]]
    looks = 3 if settle else 1
    clean = 0
    deadline = time.monotonic() + 6 * _PATIENCE
    while clean < looks:
        found = False
        for listing, removal in removals:
            names = _docker((*listing, "--quiet", "--filter", label.format(identifier)), environment)
            if names is None or time.monotonic() > deadline:
                return False
            if names:
                found = True
                _docker((*removal, *names), environment)
        clean = 0 if found else clean + 1
        if 0 < clean < looks:
            time.sleep(_SETTLING)
    return True


def _docker(arguments: tuple[str, ...], environment: Mapping[str, str]) -> list[str] | None:
    """Return the words `docker` answers, None if it cannot be asked."""
    try:
        answer = subprocess.run(
            ["docker", *arguments],  # noqa: S607 (which one is the user's choice)
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.split() if answer.returncode == 0 else None
