"""The paragraph behind every error code."""

from __future__ import annotations

import re
from importlib import resources

_SECTION = re.compile(r"^## ([A-Z]\d{3}) (.+)$", re.MULTILINE)


def explanations() -> dict[str, tuple[str, str]]:
    """Return code to title and paragraph, from `explanations.md`."""
    text = (resources.files("podium.cli") / "explanations.md").read_text(encoding="utf-8")
    parts = _SECTION.split(text)[1:]
    return {parts[i]: (parts[i + 1], parts[i + 2].strip()) for i in range(0, len(parts), 3)}
