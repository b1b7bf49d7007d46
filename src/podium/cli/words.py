"""How the commands put what the store knows into words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from podium.session import Session
from podium.store import RunRow


def outcome_of(session: Session, row: RunRow) -> str:
    """Return a run's outcome, or `running`, or `interrupted` if its process is gone."""
    if row.outcome is not None:
        return row.outcome
    if not row.engine:
        return "queued"
    return "running" if session.is_running(row) else "interrupted"


def counts_in_words(counts: Mapping[str, int]) -> str:
    """Return `3 passed, 1 timed out`."""
    return ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in counts.items() if number)


def noun_of(row: RunRow) -> str:
    """Return what the parts of a run are called."""
    return "case" if row.work == "campaign" else "step"


def numbered(number: int, noun: str) -> str:
    """Return `1 case`, `2 cases`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def no_runs(name: str | None) -> str:
    """Return what there is to say where no run is found: none at all, or none of this name."""
    if name is None:
        return "no runs yet\nhint: `podium run FOLDER` makes one"
    return f"there is no run of the name `{name}`\nhint: `podium list` shows the runs there are"


def local_time(us: int) -> str:
    """Return a moment in local time, to the second."""
    return datetime.fromtimestamp(us / 1e6, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
