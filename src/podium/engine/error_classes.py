"""What kind of error a failure is, so that rules can be written for kinds."""

from __future__ import annotations

import re
from typing import Literal

from podium.events import Failure

ErrorClass = Literal["rate_limit", "permanent", "timeout", "circuit_open", "resource", "transient", "unknown"]
"""`permanent`: trying again cannot help. `resource`: memory, disk or descriptors are short. `transient`: may pass."""

_BY_TYPE: dict[str, ErrorClass] = {
    "Timeout": "timeout",
    "Silence": "timeout",
    "TotalTimeout": "timeout",
    "TimeoutError": "timeout",
    "CircuitOpen": "circuit_open",
    "MemoryError": "resource",
    "BadPayload": "permanent",
    "BadArguments": "permanent",
    "NotFound": "permanent",
    "NotCallable": "permanent",
    "CannotStart": "permanent",
    "ExpressionError": "permanent",
}
_TEXTS: dict[ErrorClass, tuple[str, ...]] = {
    "rate_limit": (r"rate.?limit", r"\b429\b", "too many requests", r"quota.?exceeded"),
    "permanent": (
        r"authentication.?failed",
        "unauthori[sz]ed",
        "forbidden",
        "permission denied",
        r"\b40[134]\b",
        "not found",
        "no such file",
        r"model.?not.?(available|found)",
        r"invalid.?(api.?key|request|model)",
    ),
    "timeout": (r"timed?.?out", "deadline exceeded"),
    "resource": ("out of memory", "cannot allocate", "no space left", "too many open files", "ENOMEM|ENOSPC|EMFILE"),
    "transient": (
        r"connection.?(refused|reset|error|aborted|closed)",
        "ECONN|EPIPE",
        r"API.?error",
        "temporar",
        "unavailable",
        "try again",
        r"\b50[0234]\b",
        "network",
    ),
}
_BY_TEXT: list[tuple[ErrorClass, re.Pattern[str]]] = [
    (kind, re.compile("|".join(texts), re.IGNORECASE)) for kind, texts in _TEXTS.items()
]
_LOOKED_AT = 4096


def error_class(failure: Failure | None) -> ErrorClass:
    """Return the kind of a failure, by its type, else by the first kind of which its text speaks."""
    if failure is None:
        return "unknown"
    known = _BY_TYPE.get(failure.type)
    if known is not None:
        return known
    text = f"{failure.type} {failure.message} {failure.details[-_LOOKED_AT:]}"
    kinds: list[ErrorClass] = [kind for kind, pattern in _BY_TEXT if pattern.search(text)]
    return kinds[0] if kinds else "unknown"
