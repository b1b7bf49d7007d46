"""Functions of `data_pipeline.yaml`: from a CSV file into an SQLite database."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

_SAMPLE = "name,value\nnorth,20.5\nsouth,19\nnorth,21.5\n"


def extract_data(folder: str, source: str) -> dict[str, Any]:
    """Return the rows of the file; a sample is written if there is none."""
    path = Path(folder) / source
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_SAMPLE, encoding="utf-8")
    with path.open(encoding="utf-8", newline="") as file:
        return {"rows": list(csv.DictReader(file))}


def transform_data(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Return the mean value of each name."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row["name"], []).append(float(row["value"]))
    return {"rows": [{"name": name, "mean": sum(all_) / len(all_)} for name, all_ in sorted(values.items())]}


def validate_data(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Refuse what cannot be right."""
    if not rows:
        raise ValueError("there are no rows")
    wrong = [row["name"] for row in rows if not -100 <= row["mean"] <= 100]  # noqa: PLR2004 (plausible values)
    if wrong:
        raise ValueError(f"implausible: {', '.join(wrong)}")
    return {"checked": len(rows)}


def load_data(folder: str, batch: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the rows; done twice they are still there once."""
    with closing(_database(folder)) as database, database:
        database.execute("DELETE FROM means WHERE batch = ?", (batch,))
        database.executemany("INSERT INTO means VALUES (?, ?, ?)", ((batch, row["name"], row["mean"]) for row in rows))
    return {"rows": len(rows)}


def rollback_load(folder: str, batch: str) -> None:
    """Remove the rows of a batch."""
    with closing(_database(folder)) as database, database:
        database.execute("DELETE FROM means WHERE batch = ?", (batch,))


def _database(folder: str) -> sqlite3.Connection:
    database = sqlite3.connect(Path(folder) / "warehouse.db")
    database.execute("CREATE TABLE IF NOT EXISTS means (batch TEXT, name TEXT, mean REAL)")
    return database
