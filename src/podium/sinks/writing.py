"""How texts, durations and outcomes are written for people."""

from __future__ import annotations

from unicodedata import category

_WORD_WIDTH = 9  # `timed out`, `cancelled`
_JOINERS = "\u200c\u200d"  # invisible, harmless, and needed to write some languages


def printable(text: str) -> str:
    """Return text that cannot control a terminal: control and format characters are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(char if _is_harmless(char) else char.encode("unicode_escape").decode() for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or category(char) == "Zs" or char in _JOINERS


def for_stream(text: str, encoding: str | None) -> str:
    """Return text a stream of this encoding can write: other characters are shown as escapes."""
    name = encoding or "utf-8"
    return text.encode(name, "backslashreplace").decode(name)


def how_long(seconds: float) -> str:
    """Return a duration in words, for example `0.12 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 9.995:  # noqa: PLR2004 (here and below: where rounding would add a digit)
        return f"{seconds:.2f} s"
    if seconds < 59.95:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def headed(word: str, text: str) -> str:
    """Return a line that begins with a word in a column of its own."""
    return f"{word:<{_WORD_WIDTH}}  {printable(text)}"
