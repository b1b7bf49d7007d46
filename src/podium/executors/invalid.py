"""The result of a case whose document is invalid: errored, with its diagnostics."""

from __future__ import annotations

from typing import Any

from podium.events import Failure
from podium.protocols import Finished


def refuse(payload: Any) -> Finished:
    """Return `errored` with what is wrong.

    Args:
        payload: `{"code": …, "diagnostics": [rendered text, …]}`.
    """
    rendered: list[str] = payload["diagnostics"]
    first = rendered[0].splitlines()[0] if rendered else "the document is invalid"
    return Finished("errored", failure=Failure("InvalidDocument", first, "\n\n".join(rendered)))
