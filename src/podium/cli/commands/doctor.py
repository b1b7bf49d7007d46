"""`podium doctor`: is this machine fit to run Podium?"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import click

from podium import __version__
from podium.cli.options import format_option, store_option
from podium.cli.output import print_json
from podium.errors import ExitCode, PodiumError

Check = Callable[[], str]
_OLDEST_SQLITE = (3, 37)


@click.command("doctor")
@format_option("text", "json")
@store_option
def command(*, format_: str, store: Path | None) -> int:
    """Check this machine and the store; exits 5 if something is missing."""
    checks: dict[str, Check] = {
        "podium": lambda: __version__,
        "python": lambda: f"{platform.python_version()} at {sys.executable}",
        "platform": lambda: f"{platform.system()} {platform.machine()}",
        "processors": lambda: str(os.cpu_count()),
        "yaml": _yaml,
        "sqlite": _sqlite,
        "workers": _workers,
        "containers": _containers,
        "store": lambda: _store(store),
    }
    found: list[dict[str, str]] = []
    for name, check in checks.items():
        try:
            found.append({"check": name, "state": "ok", "found": check()})
        except (PodiumError, OSError, RuntimeError, sqlite3.Error) as error:
            text = error.render() if isinstance(error, PodiumError) else str(error)
            found.append({"check": name, "state": "problem", "found": text})
    if format_ == "json":
        print_json(found)
    else:
        for row in found:
            click.echo(f"{row['state']:<8}{row['check']:<11} {row['found']}")
    return ExitCode.ENVIRONMENT if any(row["state"] == "problem" for row in found) else ExitCode.PASSED


def _yaml() -> str:
    import yaml  # noqa: PLC0415

    parser = "C parser" if yaml.__with_libyaml__ else "pure Python parser, about ten times slower"
    return f"PyYAML {yaml.__version__}, {parser}"


def _sqlite() -> str:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise RuntimeError(f"SQLite {sqlite3.sqlite_version} is too old: STRICT tables need 3.37")
    return sqlite3.sqlite_version


def _workers() -> str:
    """Start a real worker process group and see it end."""
    from podium.runtime.process_group import ProcessGroup  # noqa: PLC0415

    group = ProcessGroup([sys.executable, "-c", "print('ready')"])
    try:
        code = group.wait(30.0)
        if code != 0:
            raise RuntimeError(f"a worker process ended with {code}: {group.tail()}")
    finally:
        group.kill()
        group.close()
    return "processes start and end"


def _containers() -> str:
    """Ask the container engine; only services that are containers need one, so that its absence is no problem."""
    from podium.runtime.services.docker import versions  # noqa: PLC0415

    try:
        engine, compose = versions()
    except PodiumError as error:
        return f"none ({error}); services that are containers cannot be run"
    return f"Docker {engine}, Compose: {compose}"


def _store(path: Path | None) -> str:
    from podium.session import Session  # noqa: PLC0415

    with Session.open(path) as session:
        count = len(session.store.runs())
        session.store.check()
        return f"{session.store.path}, {count} runs, integrity ok"
