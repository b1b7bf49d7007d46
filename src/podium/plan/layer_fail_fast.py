"""What a failure ends: by the document, or by what was asked for on the command line."""

from __future__ import annotations

from typing import Literal

import msgspec

from podium.model import layers as d
from podium.model.dialects.test_execution import EARLY_END, FAIL_FAST
from podium.plan.layer_context import Context
from podium.plan.layer_order import fail_fast_of
from podium.plan.suites import EarlyEnd

_GROUPS: dict[str, Literal["", "pending", "running"]] = {"immediate": "running", "category": "pending"}


class FailFast(msgspec.Struct, frozen=True):
    """What a failure ends in a layer.

    Attributes:
        word: `immediate`, `category`, `layer` or `disabled`.
        max_failures: A category ends after so many tests that did not pass; 0: no limit.
        early_end: When else a category ends early.
    """

    word: str
    max_failures: int
    early_end: EarlyEnd

    @property
    def group(self) -> Literal["", "pending", "running"]:
        """What a category that does not pass does to the others of its layer."""
        return _GROUPS.get(self.word, "")


def fail_fast(context: Context, layer: d.LayerDocument) -> FailFast:
    """Return what a failure ends in a layer."""
    asked, defaults = context.selection.fail_fast, context.document.defaults
    word = FAIL_FAST.get(asked, asked) or fail_fast_of(layer, defaults)
    limit = context.selection.max_failures
    limit = defaults.max_failures if limit is None else limit
    if asked in EARLY_END:
        own = (
            {}
            if defaults.early_end is None
            else {key: getattr(defaults.early_end, key) for key in defaults.early_end.model_fields_set}
        )
        rules = {key: own.get(key, value) for key, value in EARLY_END[asked].items()}
        early = d.EarlyEndDocument(**rules)
    else:
        early = d.EarlyEndDocument() if asked or defaults.early_end is None else defaults.early_end  # pyright: ignore[reportCallIssue]
    end = EarlyEnd(early.consecutive, early.rate, early.sample, tuple(early.critical))
    return FailFast(word, 1 if word == "immediate" else limit, end)
