"""One loop that runs plans and writes down everything that happens.

`state` folds events into the state of a run; `dispatcher` decides what happens next, writes it down, and only then
does it. Nothing else changes a run.
"""

from podium.engine.clock import LoopClock
from podium.engine.dispatcher import Dispatcher, RunSummary, Suspended

__all__ = ["Dispatcher", "LoopClock", "RunSummary", "Suspended"]
