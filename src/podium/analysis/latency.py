"""How long detection, decision and recovery took, in simulated time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import fsum, isfinite
from pathlib import Path
from typing import Any, Literal, Self, TypedDict

import msgspec

from podium.errors import UsageError

LatencyKind = Literal["fault_detection", "agent_decision", "recovery_action"]
"""What is measured. From the fault to its detection, from there to the decision, from there to its effect."""

CSV_COLUMNS = ("timestamp", "metric_type", "satellite_id", "duration_ms", "scenario_time_s")


class LatencyStatistics(TypedDict):
    """Statistics of one kind of latency: the number of values, and the rest in [ms]."""

    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    min_ms: float


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """Return the value at position `int(fraction * n)`, not interpolated, in the unit of the values.

    Args:
        ordered: At least one value, ascending.
        fraction: 0 up to, but not including, 1.
    """
    return ordered[int(fraction * len(ordered))]


def latency_statistics(values_ms: Iterable[float]) -> LatencyStatistics:
    """Return count, mean, percentiles and extremes.

    Args:
        values_ms: At least one latency [ms], in any order.

    Raises:
        UsageError: There is no value.
    """
    ordered = sorted(values_ms)
    if not ordered:
        raise UsageError("no latency was measured, so there are no statistics")
    return {
        "count": len(ordered),
        "mean_ms": fsum(ordered) / len(ordered),
        "p50_ms": ordered[len(ordered) // 2],
        "p95_ms": percentile(ordered, 0.95),
        "p99_ms": percentile(ordered, 0.99),
        "max_ms": ordered[-1],
        "min_ms": ordered[0],
    }


class LatencyCollector:
    """Collects latencies by kind and satellite, in the order recorded.

    Args:
        now: Wall time of a recording, as ISO text; only `export_csv` shows it.
    """

    def __init__(self, now: Callable[[], str] | None = None) -> None:
        self._now = now or _local_time
        self._measured: list[_Recorded] = []

    @classmethod
    def from_result(cls, result: Mapping[str, Any], now: Callable[[], str] | None = None) -> Self:
        """Return a collector filled from the `latency` of a scenario result.

        Args:
            result: A `ScenarioResult` as plain JSON; without `latency` the collector is empty.
            now: As for the class.

        Raises:
            UsageError: `latency` is not of the form a scenario result has, or a value makes no sense.
        """
        try:
            latency = msgspec.convert(result.get("latency", {}), dict[LatencyKind, list[_Measurement]])
        except msgspec.ValidationError as error:
            raise UsageError(f"this is not the `latency` of a scenario result: {error}") from error
        collector = cls(now)
        for kind, measurements in latency.items():
            for measurement in measurements:
                collector._record(kind, measurement.node, measurement.time_s, measurement.ms)
        return collector

    def record_fault_detection(self, sat_id: str, scenario_time_s: float, duration_ms: float) -> None:
        """Record the time from a fault to its detection.

        Args:
            sat_id: The satellite.
            scenario_time_s: Simulated time of the detection [s].
            duration_ms: The latency [ms].

        Raises:
            UsageError: A number is not finite, or the latency is negative.
        """
        self._record("fault_detection", sat_id, scenario_time_s, duration_ms)

    def record_agent_decision(self, sat_id: str, scenario_time_s: float, duration_ms: float) -> None:
        """Record the time from detection to decision; arguments and errors as for `record_fault_detection`."""
        self._record("agent_decision", sat_id, scenario_time_s, duration_ms)

    def record_recovery_action(self, sat_id: str, scenario_time_s: float, duration_ms: float) -> None:
        """Record the time from decision to effect; arguments and errors as for `record_fault_detection`."""
        self._record("recovery_action", sat_id, scenario_time_s, duration_ms)

    def get_stats(self) -> dict[str, LatencyStatistics]:
        """Return the statistics of each kind that was measured; empty if nothing was."""
        return _by_kind(self._measured)

    def get_stats_by_satellite(self) -> dict[str, dict[str, LatencyStatistics]]:
        """Return satellite to kind to statistics; empty if nothing was measured."""
        by_satellite: dict[str, list[_Recorded]] = {}
        for measured in self._measured:
            by_satellite.setdefault(measured.satellite, []).append(measured)
        return {satellite: _by_kind(measured) for satellite, measured in by_satellite.items()}

    def get_summary(self) -> dict[str, Any]:
        """Return everything as one JSON object."""
        if not self._measured:
            return {"total_measurements": 0, "metrics": {}}
        stats = self.get_stats()
        return {
            "total_measurements": len(self),
            "measurement_types": list(stats),
            "stats": stats,
            "stats_by_satellite": self.get_stats_by_satellite(),
        }

    def export_csv(self, path: Path | str) -> None:
        """Write one row per measurement, in the order recorded, under the header `CSV_COLUMNS`.

        Raises:
            OSError: The file cannot be written.
        """
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(CSV_COLUMNS)
            for m in self._measured:
                writer.writerow((m.timestamp, m.kind, m.satellite, m.duration_ms, m.scenario_time_s))

    def reset(self) -> None:
        """Forget everything recorded."""
        self._measured.clear()

    def __len__(self) -> int:
        return len(self._measured)

    def _record(self, kind: LatencyKind, satellite: str, scenario_time_s: float, duration_ms: float) -> None:
        if not isfinite(scenario_time_s):
            raise UsageError(f"scenario time must be finite, not {scenario_time_s}")
        if not (isfinite(duration_ms) and duration_ms >= 0):
            raise UsageError(f"latency must be finite and at least 0 ms, not {duration_ms}")
        self._measured.append(_Recorded(self._now(), kind, satellite, scenario_time_s, duration_ms))


class _Measurement(msgspec.Struct, frozen=True):
    """One entry of the `latency` of a scenario result."""

    node: str
    time_s: float
    ms: float


class _Recorded(msgspec.Struct, frozen=True):
    timestamp: str
    kind: LatencyKind
    satellite: str
    scenario_time_s: float
    duration_ms: float


def _by_kind(measured: Iterable[_Recorded]) -> dict[str, LatencyStatistics]:
    values: dict[str, list[float]] = {}
    for one in measured:
        values.setdefault(one.kind, []).append(one.duration_ms)
    return {kind: latency_statistics(values_ms) for kind, values_ms in values.items()}


def _local_time() -> str:
    return datetime.now(UTC).astimezone().isoformat()
