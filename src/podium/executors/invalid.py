"""The result of what cannot be run as it stands, such as a case with an invalid document: errored, and why."""

from __future__ import annotations

from typing import Any

from podium.events import Failure
from podium.protocols import Finished


def refuse(payload: Any) -> Finished:
    """Return `errored` with what is wrong.

    Args:
        payload: `{"code": …, "diagnostics": [rendered text, …]}`; `type` of the failure, if it is no document.
    """
    rendered: list[str] = payload["diagnostics"]
    first = rendered[0].splitlines()[0] if rendered else "the document is invalid"
    return Finished("errored", failure=Failure(payload.get("type", "InvalidDocument"), first, "\n\n".join(rendered)))
