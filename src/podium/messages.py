"""What people and other processes tell a run; kept in the store until the run has taken it in."""

from __future__ import annotations

from typing import Any

import msgspec


class Cancel(msgspec.Struct, frozen=True, tag="cancel", tag_field="kind"):
    """The run is to end.

    Attributes:
        who: Who asks.
        why: In words.
        force: Kill what is under way.
        compensate: Undo what was done.
    """

    who: str
    why: str
    force: bool = False
    compensate: bool = True


class Signal(msgspec.Struct, frozen=True, tag="signal", tag_field="kind"):
    """Something steps may wait for.

    Attributes:
        name: Its name.
        payload: JSON value.
        who: Who sends it.
    """

    name: str
    payload: Any = None
    who: str = ""


class Message(msgspec.Struct, frozen=True):
    """A message in the store.

    Attributes:
        id: Its number, larger than that of every earlier message.
        content: What it says.
    """

    id: int
    content: Cancel | Signal
