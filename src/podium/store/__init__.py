"""The journal in SQLite, its read models, and retention."""

from podium.history import RunRow, StepRow
from podium.store.database import Durability
from podium.store.queue import Daemon, Task, task_of
from podium.store.run_ids import new_run_id
from podium.store.sqlite import Deleted, Store

__all__ = ["Daemon", "Deleted", "Durability", "RunRow", "StepRow", "Store", "Task", "new_run_id", "task_of"]
