"""Kinds of services, by the key that says what one is, and which other keys mean something to which."""

from __future__ import annotations

FORMS = ("command", "image", "compose", "running")
"""Keys of a service that say what it is."""

KEYS = {
    "args": ("image",),
    "mounts": ("image",),
    "stop_signal": ("command",),
    "memory": ("command", "image"),
}
"""Key of a service to the forms it goes with; all others go with each."""


def foreign_to(form: str) -> frozenset[str]:
    """Return the keys that mean nothing to a service of a form: other forms, and what goes with these alone."""
    return frozenset(
        {other for other in FORMS if other != form} | {key for key, forms in KEYS.items() if form not in forms}
    )
