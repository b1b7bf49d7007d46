"""Folders of results in the documented file formats, beside the store, for tools that read those files."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podium.analysis.latency import LatencyCollector
from podium.analysis.new_files import write_new

_DAY = 86400.0


class ResultStorage:
    """Scenario results and campaigns as JSON files of one folder.

    Args:
        results_dir: The folder; made when something is saved.
    """

    def __init__(self, results_dir: str | Path = Path(".podium") / "campaigns") -> None:
        self.results_dir = Path(results_dir)

    def save_scenario_result(self, scenario_name: str, result: Mapping[str, Any]) -> Path:
        """Write a result to `NAME_YYYYmmdd_HHMMSS.json` and return the path; nothing is ever overwritten.

        Raises:
            TypeError: The result is not plain JSON.
            OSError: The file cannot be written.
        """
        now = datetime.now(UTC).astimezone()
        document = {"scenario_name": scenario_name, "timestamp": now.isoformat(), **result}
        stem = f"{re.sub(r'[^A-Za-z0-9._-]+', '_', scenario_name)}_{now:%Y%m%d_%H%M%S}"
        text = json.dumps(document, indent=2, allow_nan=False)
        return write_new(self.results_dir, stem, text.encode())

    def get_scenario_results(self, scenario_name: str, limit: int = 10) -> list[dict[str, Any]]:
        """Return results of exactly this scenario, newest first."""
        found = (document for document in self._documents() if document.get("scenario_name") == scenario_name)
        return sorted(found, key=lambda document: str(document.get("timestamp")), reverse=True)[:limit]

    def get_recent_campaigns(self, limit: int = 10) -> list[dict[str, Any]]:
        """Return campaigns, newest first."""
        found = (document for document in self._documents() if "campaign_id" in document)
        return sorted(found, key=lambda document: str(document.get("timestamp")), reverse=True)[:limit]

    def get_campaign_summary(self, campaign_id: str) -> dict[str, Any] | None:
        """Return a campaign, None if there is none of this id."""
        return next((found for found in self._documents() if found.get("campaign_id") == campaign_id), None)

    def get_result_statistics(self) -> dict[str, Any]:
        """Return `total_campaigns`, `total_scenarios`, `total_passed` and `avg_pass_rate`, the mean over campaigns."""
        campaigns = [document for document in self._documents() if "campaign_id" in document]
        rates = [float(document["pass_rate"]) for document in campaigns]
        return {
            "total_campaigns": len(campaigns),
            "total_scenarios": sum(int(document["total_scenarios"]) for document in campaigns),
            "total_passed": sum(int(document["passed"]) for document in campaigns),
            "avg_pass_rate": sum(rates) / len(rates) if rates else 0.0,
        }

    def clear_results(self, older_than_days: float = 30) -> int:
        """Delete the result files that are older, and return how many."""
        oldest = time.time() - older_than_days * _DAY
        old = [path for path, _ in self._files() if path.stat().st_mtime < oldest]
        for path in old:
            path.unlink()
        return len(old)

    def _documents(self) -> Iterator[dict[str, Any]]:
        return (document for _, document in self._files())

    def _files(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the files this class writes; others in the folder, and damaged ones, are left alone."""
        for path in sorted(self.results_dir.glob("*.json")):
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(document, dict) and ("campaign_id" in document or "scenario_name" in document):
                yield path, document  # pyright: ignore[reportUnknownVariableType]


class MetricsStorage:
    """Latencies of one run as files in `RESULTS_DIR/RUN_ID/`.

    Args:
        run_id: Name of the run.
        results_dir: The folder.
    """

    def __init__(self, run_id: str, results_dir: str | Path = Path(".podium") / "metrics") -> None:
        self.run_id = run_id
        self.results_dir = Path(results_dir)
        self.metrics_dir = self.results_dir / run_id

    def save_latency_stats(self, collector: LatencyCollector) -> dict[str, Path]:
        """Write `latency_summary.json` and `latency_raw.csv`, and return their paths.

        Raises:
            OSError: A file cannot be written.
        """
        self.metrics_dir.mkdir(parents=True, exist_ok=True)
        summary, raw = self.metrics_dir / "latency_summary.json", self.metrics_dir / "latency_raw.csv"
        document = {"run_id": self.run_id, "timestamp": _now(), **collector.get_summary()}
        temporary = summary.with_suffix(".tmp")
        temporary.write_text(json.dumps(document, indent=2, allow_nan=False), encoding="utf-8")
        os.replace(temporary, summary)  # noqa: PTH105 (atomic)
        collector.export_csv(raw)
        return {"summary": summary, "raw": raw}

    def get_run_metrics(self) -> dict[str, Any] | None:
        """Return the summary, None if there is none."""
        return _read(self.metrics_dir / "latency_summary.json")

    def compare_runs(self, other_run_id: str) -> dict[str, Any]:
        """Return per kind of latency the means and 95th percentiles of both runs, and the difference of the means."""
        mine, theirs = self.get_run_metrics(), MetricsStorage(other_run_id, self.results_dir).get_run_metrics()
        for run, metrics in ((self.run_id, mine), (other_run_id, theirs)):
            if metrics is None:
                return {"error": f"Could not load metrics for run {run}", "metrics": {}}
        assert mine is not None
        assert theirs is not None
        ours: dict[str, Any] = mine.get("stats", {})
        others: dict[str, Any] = theirs.get("stats", {})
        metrics = {
            kind: {
                "this_mean_ms": ours[kind]["mean_ms"],
                "other_mean_ms": others[kind]["mean_ms"],
                "diff_ms": ours[kind]["mean_ms"] - others[kind]["mean_ms"],
                "this_p95_ms": ours[kind]["p95_ms"],
                "other_p95_ms": others[kind]["p95_ms"],
            }
            for kind in ours
            if kind in others
        }
        return {"run1": self.run_id, "run2": other_run_id, "timestamp": _now(), "metrics": metrics}

    @staticmethod
    def get_recent_runs(results_dir: str | Path = Path(".podium") / "metrics", limit: int = 10) -> list[str]:
        """Return the names of runs that have metrics, newest first."""
        files = sorted(
            Path(results_dir).glob("*/latency_summary.json"),
            key=lambda path: (path.stat().st_mtime, path),
            reverse=True,
        )
        return [path.parent.name for path in files[:limit]]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat()
