"""Files that never replace another and appear complete or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_new(folder: Path, stem: str, data: bytes) -> Path:
    """Write `STEM.json`, or `STEM_2.json`, … if the name is taken, and return the path; the folder is made if need be.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{stem}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path = _publish(temporary, folder, stem)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(folder)
    return path


def _publish(temporary: Path, folder: Path, stem: str) -> Path:
    """Give the file the first name that is free, and return it."""
    path = folder / f"{stem}.json"
    number = 1
    while not _claim(temporary, path):
        number += 1
        path = folder / f"{stem}_{number}.json"
    return path


def _claim(temporary: Path, path: Path) -> bool:
    """Give the file a name and return True, or False if the name is taken.

    A file system without hard links gets an empty file first, so that no one else takes the name.
    """
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError:
        return _reserve_and_replace(temporary, path)
    return True


def _reserve_and_replace(temporary: Path, path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    try:
        temporary.replace(path)
    except OSError:
        path.unlink()
        raise
    return True


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
