"""Runs inside of runs: one that a step of another run started belongs to that step, and is nobody's `latest`.

Where a run belongs stands in its options under `OPTION`, so that it is in the journal like all else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from podium.history import RunRow

OPTION = "within"
"""Option of runs that were started by a step of another run of the same store."""
IS_WITHIN = f"json_type(options, '$.{OPTION}.run') IS NOT NULL"
"""Condition of such runs in SQL."""


class Surrounding(msgspec.Struct, frozen=True):
    """What a run was started by.

    Attributes:
        run: Id of the surrounding run.
        step: Its step.
    """

    run: str
    step: str = ""


def surrounding_in(environ: Mapping[str, str]) -> Surrounding | None:
    """Return the step that a process was started for, as its environment tells; None: by none."""
    run = environ.get("PODIUM_RUN", "")
    return Surrounding(run, environ.get("PODIUM_STEP", "")) if run else None


def surrounding_of(row: RunRow) -> Surrounding | None:
    """Return what a run was started by; None: by no step of a run of its store."""
    try:
        return msgspec.convert(row.options.get(OPTION), Surrounding)
    except msgspec.ValidationError:
        return None


def placed(options: Mapping[str, Any], surrounding: Surrounding | None) -> dict[str, Any]:
    """Return a run's options with where it belongs; what they say of another run's place is left out."""
    kept = {key: value for key, value in options.items() if key != OPTION}
    return kept if surrounding is None else {**kept, OPTION: msgspec.to_builtins(surrounding)}
