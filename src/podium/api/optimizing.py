"""Where workflows spend their time, and what could be done about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from podium.analysis.bottlenecks import Bottlenecks, bottlenecks, general_suggestions, longest_step
from podium.errors import UsageError
from podium.session import Session


class PerformanceOptimizer:
    """Keeps durations of workflows, and analyses runs.

    Args:
        store: File of the store, for `analyse`; by default the one of the working directory.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store
        self._durations_ms: dict[str, list[float]] = {}

    def record_execution(self, workflow_id: str, duration_ms: float) -> None:
        """Note how long an execution took.

        Args:
            workflow_id: The workflow.
            duration_ms: How long it took [ms].

        Raises:
            UsageError: It is no duration (U400).
        """
        if not (math.isfinite(duration_ms) and duration_ms >= 0):
            raise UsageError(f"a duration must be at least 0 ms, not {duration_ms}")
        self._durations_ms.setdefault(workflow_id, []).append(duration_ms)

    def get_avg_execution_time(self, workflow_id: str) -> float:
        """Return the mean of what was noted, 0 if nothing was [ms]."""
        return fmean(self._durations_ms.get(workflow_id, [0.0]))

    def identify_bottleneck(self, workflow_id: str, step_times: Mapping[str, float]) -> str | None:
        """Return the step that takes longest, None without steps.

        Args:
            workflow_id: The workflow.
            step_times: Step name to how long it took [ms].
        """
        del workflow_id  # documented; the times say it all
        return longest_step(step_times)

    def suggest_optimization(self, workflow_id: str, avg_time: float) -> list[str]:
        """Return what could be done about a workflow.

        Args:
            workflow_id: The workflow; how many of its executions were noted counts.
            avg_time: Its mean duration [ms].
        """
        return general_suggestions(avg_time, len(self._durations_ms.get(workflow_id, ())))

    def analyse(self, run: str) -> Bottlenecks:
        """Return where the time of a run went, beside earlier runs.

        Args:
            run: Its id, or `latest`.

        Raises:
            UsageError: There is no such run (U411).
        """
        with Session.open(self._store) as session:
            row = session.store.run(run)
            plan = session.plan_of(row.id)
            rows = (earlier for step in plan.steps for earlier in session.store.history(step.name))
            history = [earlier for earlier in rows if earlier.run != row.id]
            return bottlenecks(plan, session.store.read(row.id), history)
