"""A case of a campaign in the documented form of a scenario's result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from podium.analysis.accuracy import AccuracyCollector
from podium.analysis.latency import LatencyCollector
from podium.executors.simulation import LOG
from podium.store import StepRow, Store

_CRITERIA = {
    "attitude.nadir_error": "nadir_ok",
    "battery.soc": "battery_ok",
    "battery.temperature": "temp_ok",
    "comms.packet_loss": "comms_ok",
}


def scenario_result(store: Store, step: StepRow, path: str) -> dict[str, Any]:
    """Return the result of a case as plain JSON.

    Args:
        store: Where its log is kept.
        step: The case.
        path: Its scenario file.
    """
    result: dict[str, Any] = {"success": step.outcome == "passed", "outcome": step.outcome}
    if step.failure is not None:
        result["error"] = step.failure.message
    output: dict[str, Any] = step.output or {}
    if "criteria" in output:
        latency, accuracy = LatencyCollector.from_result(output), AccuracyCollector.from_result(output)
        log = store.blob(step.artifacts[LOG]).splitlines() if LOG in step.artifacts else []
        result |= {
            "final_criteria": _final_criteria(output["criteria"]),
            "simulated_time_s": output["simulated_s"],
            "final_telemetry": output["final_telemetry"],
            "execution_log": list(_execution_log(log, output.get("timeline", []))),
            "latency_stats": latency.get_stats(),
            "latency_summary": latency.get_summary(),
            "accuracy_stats": accuracy.get_accuracy_stats(),
            "accuracy_summary": accuracy.get_summary(),
            "seed": output["seed"],
            "fingerprint": output["fingerprint"],
        }
    finished = datetime.fromtimestamp(step.finished_us / 1e6, UTC).astimezone()
    return result | {
        "execution_time_s": step.duration,
        "scenario_name": step.name,
        "scenario_path": path,
        "execution_timestamp": finished.isoformat(timespec="microseconds"),
    }


def _final_criteria(verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    per_node: dict[str, dict[str, Any]] = {}
    for verdict in verdicts:
        node, _, signal = verdict["condition"].partition(" ")[0].partition(".")
        entry = per_node.setdefault(node, {"pass": True, "criteria": {}})
        passed = verdict["outcome"] == "passed"
        entry["criteria"][_CRITERIA.get(signal, verdict["name"])] = passed
        entry["pass"] = entry["pass"] and passed
    all_pass = bool(verdicts) and all(entry["pass"] for entry in per_node.values())
    return {"all_pass": all_pass, "per_sat": per_node}


def _execution_log(lines: list[bytes], timeline: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one entry per simulated second, from the first second on."""
    if not lines:
        return
    header: dict[str, Any] = msgspec.json.decode(lines[0])
    nodes = len(header["signals"])
    for line in lines[1:]:
        entry: dict[str, Any] = msgspec.json.decode(line)
        time = entry["time_s"]
        if time == 0:
            continue
        yield {
            "time_s": time,
            "status": {
                "time_s": time,
                "satellite_count": nodes,
                "active_faults": _active(timeline, time),
                "criteria_pass": all(entry["holds"]),
                "telemetry_collected": nodes,
            },
            "criteria": dict(zip(header["criteria"], entry["holds"], strict=True)),
        }


def _active(timeline: list[Mapping[str, Any]] | list[dict[str, Any]], time: float) -> list[str]:
    active: list[str] = []
    for event in timeline:
        if event["time_s"] > time:
            break
        name = f"{event.get('fault')}@{event['node']}"
        if event["event"] in {"fault_began", "fault_spread"}:
            active.append(name)
        elif event["event"] == "fault_ended":
            active.remove(name)
    return active
