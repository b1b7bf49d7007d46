"""Tests that are known not to pass: which of them are excused today, and which excuse is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from fnmatch import fnmatchcase

from podium.errors import Diagnostic, Span
from podium.plan.suites import Quarantined


def active(quarantine: Iterable[Quarantined], today: date) -> tuple[str, ...]:
    """Return the patterns of the tests that do not count today; the last day counts in full."""
    return tuple(entry.test for entry in quarantine if (until := _day(entry.until)) is not None and today <= until)


def excuses(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether the test of an id is among the patterns.

    A pattern is the id itself, its beginning up to `::`, `/` or `[`, or as in `fnmatch`; since ids of pytest hold
    brackets, text that is equal fits whatever `fnmatch` makes of it.
    """
    plain = frozenset(patterns)
    wild = tuple(pattern for pattern in patterns if any(sign in pattern for sign in "*?["))
    beginnings = tuple(f"{pattern}{sign}" for pattern in patterns if pattern for sign in ("::", "/", "["))

    def is_excused(test: str) -> bool:
        if test in plain or test.startswith(beginnings):
            return True
        return any(fnmatchcase(test, pattern) or fnmatchcase(test, _literal(pattern)) for pattern in wild)

    return is_excused


def over(quarantine: Sequence[Quarantined], today: date, spans: Sequence[Span | None] = ()) -> list[Diagnostic]:
    """Return a warning for every excuse that is over, or whose last day is no date, so that it never began.

    Args:
        quarantine: What the document says.
        today: The day it is.
        spans: Where each entry stands, if that is known.
    """
    places = [*spans, *[None] * (len(quarantine) - len(spans))]
    findings: list[Diagnostic] = []
    for entry, span in zip(quarantine, places, strict=True):
        until = _day(entry.until)
        if until is None:
            text = f"quarantine of `{entry.test}`: `{entry.until}` is no date, so the test counts"
            findings.append(Diagnostic("U454", text, "write the last day as YYYY-MM-DD", span, "warning"))
        elif until < today:
            why = f" ({entry.reason})" if entry.reason else ""
            text = f"quarantine of `{entry.test}`{why} ended on {until}; today is {today}, and the test counts"
            findings.append(Diagnostic("U453", text, "correct the test, or set a new last day", span, "warning"))
    return findings


def unmatched(quarantine: Iterable[Quarantined], tests: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns that fit none of the tests, given by their ids; none if no test is known."""
    patterns = tuple(dict.fromkeys(entry.test for entry in quarantine))
    known = tuple(tests) if patterns else ()
    return tuple(pattern for pattern in patterns if known and not any(map(excuses((pattern,)), known)))


def _literal(pattern: str) -> str:
    """Return the pattern with brackets taken for themselves."""
    return pattern.replace("[", "[[]")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
