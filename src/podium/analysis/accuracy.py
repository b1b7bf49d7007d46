"""How often nodes took faults for what they were.

A classification and a ground truth match if they are of the same satellite and less than one second apart. No
fault is `nominal`, both as a prediction and as a truth; what cannot be known from what was recorded is `unknown`.
"""

from __future__ import annotations

import csv
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import fsum, isfinite, sqrt
from pathlib import Path
from typing import Any, Self, TypedDict, TypeVar

import msgspec

from podium.errors import UsageError

NOMINAL = "nominal"
UNKNOWN = "unknown"
MATCH_S = 1.0
"""Classification and truth belong together if they are closer than this [s]."""

CSV_COLUMNS = (
    "scenario_time_s",
    "satellite_id",
    "predicted_fault",
    "actual_fault",
    "confidence",
    "is_correct",
)


class FaultAccuracy(TypedDict):
    """How well one type of fault was recognised; ratios are 0..1, and 0 where nothing was counted."""

    precision: float
    recall: float
    f1: float
    true_positives: int
    false_positives: int
    false_negatives: int
    total_predictions: int
    correct_predictions: int
    avg_confidence: float


class AccuracyStatistics(TypedDict):
    """How well all faults were recognised; ratios and confidences are 0..1, and 0 where nothing was counted."""

    total_classifications: int
    correct_classifications: int
    overall_accuracy: float
    by_fault_type: dict[str, FaultAccuracy]
    confidence_mean: float
    confidence_std: float


class SatelliteAccuracy(TypedDict):
    """How well one satellite recognised faults; accuracy and confidence are 0..1."""

    total: int
    correct: int
    accuracy: float
    avg_confidence: float


class AccuracyCollector:
    """Collects what was predicted and what was true, in the order recorded."""

    def __init__(self) -> None:
        self._truths: list[_Truth] = []
        self._classified: list[_Classified] = []

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Self:
        """Return a collector filled from the `classifications` of a scenario result.

        Each entry carries its own truth, so faults that no node noticed are not in it.

        Args:
            result: A `ScenarioResult` as plain JSON; without `classifications` the collector is empty.

        Raises:
            UsageError: `classifications` is not of the form a scenario result has, or a value makes no sense.
        """
        try:
            entries = msgspec.convert(result.get("classifications", []), list[_Entry])
        except msgspec.ValidationError as error:
            raise UsageError(f"these are not the `classifications` of a scenario result: {error}") from error
        collector = cls()
        for entry in entries:
            predicted, actual = entry.predicted or NOMINAL, entry.actual or NOMINAL
            _check(entry.time_s, entry.confidence)
            collector._classified.append(
                _Classified(entry.node, entry.time_s, predicted, entry.confidence, predicted == actual, actual)
            )
        return collector

    def record_ground_truth(
        self, sat_id: str, scenario_time_s: float, fault_type: str | None, confidence: float = 1.0
    ) -> None:
        """Record what was really the matter.

        Args:
            sat_id: The satellite.
            scenario_time_s: Simulated time [s].
            fault_type: The fault, or None if there was none.
            confidence: How sure that is, 0..1.

        Raises:
            UsageError: The time is not finite, or the confidence not in 0..1.
        """
        _check(scenario_time_s, confidence)
        self._truths.append(_Truth(sat_id, scenario_time_s, fault_type or NOMINAL))

    def record_agent_classification(
        self,
        sat_id: str,
        scenario_time_s: float,
        predicted_fault: str | None,
        confidence: float,
        is_correct: bool,  # noqa: FBT001  (the documented order of arguments)
    ) -> None:
        """Record what a satellite took the matter for.

        Args:
            sat_id: The satellite.
            scenario_time_s: Simulated time [s].
            predicted_fault: The fault it saw, or None if it saw none.
            confidence: How sure it was, 0..1.
            is_correct: Whether it was right.

        Raises:
            UsageError: The time is not finite, or the confidence not in 0..1.
        """
        _check(scenario_time_s, confidence)
        predicted = predicted_fault or NOMINAL
        actual = predicted if is_correct else None
        self._classified.append(_Classified(sat_id, scenario_time_s, predicted, confidence, is_correct, actual))

    def get_accuracy_stats(self) -> AccuracyStatistics:
        """Return the accuracy over all satellites.

        A false negative is a wrong classification whose truth was the fault, or a ground truth of the fault that no
        classification matches.
        """
        confidences = [c.confidence for c in self._classified]
        mean = _ratio(fsum(confidences), len(confidences))
        correct = sum(c.correct for c in self._classified)
        return {
            "total_classifications": len(self),
            "correct_classifications": correct,
            "overall_accuracy": _ratio(correct, len(self)),
            "by_fault_type": self._by_fault(),
            "confidence_mean": mean,
            "confidence_std": sqrt(_ratio(fsum((c - mean) ** 2 for c in confidences), len(confidences))),
        }

    def get_stats_by_satellite(self) -> dict[str, SatelliteAccuracy]:
        """Return the accuracy of each satellite that classified anything."""
        by_satellite: dict[str, list[_Classified]] = {}
        for one in self._classified:
            by_satellite.setdefault(one.satellite, []).append(one)
        return {satellite: _of_satellite(classified) for satellite, classified in by_satellite.items()}

    def get_confusion_matrix(self) -> dict[str, dict[str, int]]:
        """Return predicted to actual to how often; actual is `unknown` for a wrong one without ground truth."""
        matrix: dict[str, dict[str, int]] = {}
        for one, actual in self._actuals():
            row = matrix.setdefault(one.predicted, {})
            row[actual] = row.get(actual, 0) + 1
        return matrix

    def get_summary(self) -> dict[str, Any]:
        """Return everything as one JSON object."""
        if not self._classified:
            return {"total_classifications": 0, "metrics": {}}
        return {
            "total_classifications": len(self),
            "stats": self.get_accuracy_stats(),
            "stats_by_satellite": self.get_stats_by_satellite(),
            "confusion_matrix": self.get_confusion_matrix(),
        }

    def export_csv(self, path: Path | str) -> None:
        """Write one row per classification, in the order recorded, under the header `CSV_COLUMNS`.

        Raises:
            OSError: The file cannot be written.
        """
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(CSV_COLUMNS)
            for one, actual in self._actuals():
                writer.writerow((one.time_s, one.satellite, one.predicted, actual, one.confidence, one.correct))

    def reset(self) -> None:
        """Forget everything recorded."""
        self._truths.clear()
        self._classified.clear()

    def __len__(self) -> int:
        """Return the number of classifications; ground truth does not count."""
        return len(self._classified)

    def _actuals(self) -> list[tuple[_Classified, str]]:
        truths = _timelines(self._truths)
        return [(one, one.actual or _actual(one, truths.get(one.satellite, []))) for one in self._classified]

    def _by_fault(self) -> dict[str, FaultAccuracy]:
        predictions: dict[str, list[_Classified]] = {}
        missed: dict[str, int] = {}
        for one, actual in self._actuals():
            predictions.setdefault(one.predicted, []).append(one)
            if not one.correct:
                missed[actual] = missed.get(actual, 0) + 1
        classified = _timelines(self._classified)
        for truth in self._truths:
            if not _matching(classified.get(truth.satellite, []), truth.time_s):
                missed[truth.fault] = missed.get(truth.fault, 0) + 1
        faults = sorted({*predictions, *missed} - {NOMINAL, UNKNOWN})
        return {fault: _of_fault(predictions.get(fault, []), missed.get(fault, 0)) for fault in faults}


class _Entry(msgspec.Struct, frozen=True):
    """One entry of the `classifications` of a scenario result."""

    node: str
    time_s: float
    predicted: str | None = None
    actual: str | None = None
    confidence: float = 1.0


class _Timed(msgspec.Struct, frozen=True):
    satellite: str
    time_s: float


class _Truth(_Timed, frozen=True):
    fault: str


class _Classified(_Timed, frozen=True):
    predicted: str
    confidence: float
    correct: bool
    actual: str | None


_T = TypeVar("_T", bound=_Timed)


def _check(time_s: float, confidence: float) -> None:
    if not isfinite(time_s):
        raise UsageError(f"scenario time must be finite, not {time_s}")
    if not 0 <= confidence <= 1:
        raise UsageError(f"confidence must be between 0 and 1, not {confidence}")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _timelines(records: Iterable[_T]) -> dict[str, list[_T]]:
    """Return satellite to its records, ascending by time."""
    timelines: dict[str, list[_T]] = {}
    for record in sorted(records, key=_time):
        timelines.setdefault(record.satellite, []).append(record)
    return timelines


def _matching(timeline: Sequence[_T], time_s: float) -> Sequence[_T]:
    """Return the records less than `MATCH_S` away."""
    return timeline[
        bisect_right(timeline, time_s - MATCH_S, key=_time) : bisect_left(timeline, time_s + MATCH_S, key=_time)
    ]


def _time(record: _Timed) -> float:
    return record.time_s


def _actual(wrong: _Classified, truths: Sequence[_Truth]) -> str:
    """Return what was really the matter: the closest of the truths that contradict the classification."""
    contradicting = [truth for truth in _matching(truths, wrong.time_s) if truth.fault != wrong.predicted]
    closest = min(contradicting, key=lambda truth: abs(truth.time_s - wrong.time_s), default=None)
    return closest.fault if closest else UNKNOWN


def _of_fault(predictions: Sequence[_Classified], missed: int) -> FaultAccuracy:
    hits = sum(one.correct for one in predictions)
    precision, recall = _ratio(hits, len(predictions)), _ratio(hits, hits + missed)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * precision * recall, precision + recall),
        "true_positives": hits,
        "false_positives": len(predictions) - hits,
        "false_negatives": missed,
        "total_predictions": len(predictions),
        "correct_predictions": hits,
        "avg_confidence": _ratio(fsum(one.confidence for one in predictions), len(predictions)),
    }


def _of_satellite(classified: Sequence[_Classified]) -> SatelliteAccuracy:
    correct = sum(one.correct for one in classified)
    return {
        "total": len(classified),
        "correct": correct,
        "accuracy": _ratio(correct, len(classified)),
        "avg_confidence": _ratio(fsum(one.confidence for one in classified), len(classified)),
    }
