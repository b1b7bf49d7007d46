"""What all readers of reports have in common: what they return, how they fail, how they word it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from podium.test_results import TestCounts, TestResult

LONGEST_DETAILS = 1 << 14
"""How much is kept of what a report says about a test that did not pass [characters]."""

_LONGEST_LINE = 300
_LONGEST_ID = 1000
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ReportError(ValueError):
    """A report is not what its format says, or ends too early.

    Args:
        message: What is wrong.
        line: Where, from 1; 0: not in one place.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


class Reading(msgspec.Struct, frozen=True):
    """What a report says.

    Attributes:
        results: What tests came to, with different ids.
        unnamed: Tests of which only the number and the outcome are known.
        notes: What a person should know about the report.
        format: Which format it was read as.
    """

    results: tuple[TestResult, ...] = ()
    unnamed: TestCounts = msgspec.field(default_factory=TestCounts)
    notes: tuple[str, ...] = ()
    format: str = ""

    @property
    def counts(self) -> TestCounts:
        """How many tests came to what, those without a name included."""
        counts = msgspec.structs.replace(self.unnamed)
        counts.add(self.results)
        return counts


def unique(results: Iterable[TestResult], others: Sequence[str] = ()) -> list[TestResult]:
    """Return the results with ids that differ.

    Args:
        results: As the report has them.
        others: For each result another id, which is taken where several have the same; where that does not help
            either, the second gets ` #2`, and so on.
    """
    results = list(results)
    ids = [result.id for result in results]
    if others:
        counted = Counter(ids)
        ids = [id_ if counted[id_] == 1 else other for id_, other in zip(ids, others, strict=True)]
    taken = set(ids)
    seen: Counter[str] = Counter()
    found: list[TestResult] = []
    for id_, result in zip(ids, results, strict=True):
        seen[id_] += 1
        if seen[id_] > 1:
            numbered = f"{id_} #{seen[id_]}"
            while numbered in taken:
                seen[id_] += 1
                numbered = f"{id_} #{seen[id_]}"
            taken.add(numbered)
            found.append(msgspec.structs.replace(result, id=numbered))
        else:
            found.append(result if id_ == result.id else msgspec.structs.replace(result, id=id_))
    return found


def name_of(text: str, otherwise: str) -> str:
    """Return the name of a test on one line, and not without end."""
    return " ".join(_CONTROL.sub("", text).split())[:_LONGEST_ID] or otherwise


def one_line(*texts: str) -> str:
    """Return the first line that says anything."""
    for text in texts:
        for line in text.splitlines():
            if said := _CONTROL.sub("", line).strip():
                return said[:_LONGEST_LINE]
    return ""


def details_of(*texts: str) -> str:
    """Return texts one below the other without colours; if they are long, the beginning and the end of each."""
    most = LONGEST_DETAILS // max(1, len(texts))
    kept = [_shortened(_CONTROL.sub("", text).strip("\n"), most) for text in texts]
    return "\n".join(text for text in kept if text.strip())


def without_colours(text: str) -> str:
    """Return a text without what terminals understand."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def seconds(value: object, scale: float = 1.0) -> float:
    """Return a duration [s], 0 if it is none.

    Args:
        value: A number, or text such as `1,234.5`, where the comma groups, or `0,25`, where it does not.
        scale: How many seconds one of its units has.
    """
    try:
        number = float(_decimal(value) if isinstance(value, str) else value) * scale  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _decimal(text: str) -> str:
    text = text.strip()
    if "." in text or re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+", text):
        return text.replace(",", "")
    return text.replace(",", ".", 1)


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[podium: {len(text) - 2 * half} characters left out]\n{text[-half:]}"
