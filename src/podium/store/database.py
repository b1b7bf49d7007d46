"""Opening an SQLite file: pragmas, migrations, and errors a person can act on."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Generator
from importlib import resources
from pathlib import Path
from typing import Literal

from podium.errors import EnvironmentProblemError, StoreError

Durability = Literal["normal", "full"]
"""`normal` survives the death of the process at any moment, `full` also that of the machine."""

_SYNCHRONOUS = {"normal": "NORMAL", "full": "FULL"}
_PATIENCE = 30.0
"""How long to wait for another process that holds the file [s]."""


def migrations() -> list[str]:
    """Return the migration scripts in order; the schema version of a file is how many it has had."""
    folder = resources.files("podium.store") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def connect(path: Path, *, durability: Durability) -> sqlite3.Connection:
    """Open the file, creating it and its directory if need be, and bring its schema up to date.

    Raises:
        EnvironmentProblemError: It cannot be created or written (E501).
        StoreError: It was written by a later version (E513), or is no store (E514).
    """
    path = path.absolute()  # so that no name means something else to SQLite, as `:memory:` does
    _make_directory(path)
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE)
    except sqlite3.OperationalError as error:
        raise _cannot_write(path, error) from error
    try:
        _check_tables(connection, path)  # before anything in the file changes
        _use_write_ahead_log(connection)
        for pragma in (
            f"synchronous = {_SYNCHRONOUS[durability]}",
            "foreign_keys = ON",
            "wal_autocheckpoint = 4000",
            "cache_size = -16000",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        _migrate(connection, path)
    except sqlite3.OperationalError as error:
        connection.close()
        raise _cannot_write(path, error) from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _no_store(path, str(error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Write all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo the transaction, unless SQLite has already done so, as it does when the disk is full."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the journal mode; SQLite itself does not wait here for another process that does the same."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    scripts = migrations()
    if _version(connection) == len(scripts):
        return
    with transaction(connection):
        version = _version(connection)  # again, as another process may have been first
        if version > len(scripts):
            raise StoreError(
                f"{path} has schema version {version}, and this version of Podium knows up to {len(scripts)}",
                code="E513",
                hint="use the Podium that wrote it, or name another file with --store",
            )
        for script in scripts[version:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(scripts)}")


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that another program made."""
    connection.execute("BEGIN")  # both answers from one moment, as another process may be migrating
    version = _version(connection)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.execute("COMMIT")
    if (tables and not version) or (version and "run_key" not in tables):
        raise _no_store(path, "it is a database of another program")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


def _make_directory(path: Path) -> None:
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if folder.name == ".podium" and not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise _cannot_write(path, error) from error


def _no_store(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is not a store: {why}", code="E514", hint="name another file with --store, or move this one away"
    )


def _cannot_write(path: Path, error: Exception) -> EnvironmentProblemError:
    return EnvironmentProblemError(
        f"the store {path} cannot be written: {error}",
        code="E501",
        hint="name a file in a directory you can write to with --store or PODIUM_STORE",
    )
