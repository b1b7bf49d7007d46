"""What a failure ends: by the document, or by what was asked for on the command line."""

from __future__ import annotations

import msgspec

from podium.model import layers as d
from podium.model.fail_fast_modes import EARLY_END, FAIL_FAST
from podium.plan.layer_context import Context
from podium.plan.layer_order import fail_fast_of
from podium.plan.policy import FailFast as GroupFailFast
from podium.plan.suites import EarlyEnd

_GROUPS: dict[str, GroupFailFast] = {
    "immediate": "running",
    "category": "pending",
    "critical": "pending",
}
_CRITICAL = "critical"
_EVERYWHERE = "first_failure"
"""Asked for on the command line, it ends the run; in a document it is a rule of every layer."""


class FailFast(msgspec.Struct, frozen=True):
    """What a failure ends in a layer.

    Attributes:
        word: `immediate`, `category`, `critical`, `layer` or `disabled`.
        max_failures: A category ends after so many tests that did not pass; 0: no limit.
        early_end: When else a category ends early.
        everywhere: What ends, ends in all layers.
    """

    word: str
    max_failures: int
    early_end: EarlyEnd
    everywhere: bool

    @property
    def group(self) -> GroupFailFast:
        """What a category that does not pass does to the others of its layer, or of all."""
        return "run" if self.everywhere else _GROUPS.get(self.word, "")

    @property
    def condition(self) -> str:
        """Of which categories that do not pass that holds: an expression over their output, empty for all."""
        return "result != null && has(result.critical_failures)" if self.word == _CRITICAL else ""

    def early_end_of(self, *success: d.SuccessDocument | None) -> EarlyEnd:
        """Return when a category ends early.

        If critical tests are what matters, these are all that are named anywhere, else those called `critical`.

        Args:
            success: Criteria that hold for it: its layer's and its own.
        """
        if self.word != _CRITICAL:
            return self.early_end
        named = (word for criteria in success if criteria is not None for word in criteria.critical)
        words = tuple(dict.fromkeys((*self.early_end.critical, *named)))
        return msgspec.structs.replace(self.early_end, critical=words or (_CRITICAL,))


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
    everywhere = asked == _EVERYWHERE
    return FailFast(word, 1 if word == "immediate" else limit, end, everywhere)
