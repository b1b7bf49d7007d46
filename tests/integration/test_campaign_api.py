"""The documented Python interface of campaigns: real files, real processes, real results."""

import ast
import asyncio
import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from podium.api.campaigns import (
    AccuracyCollector,
    LatencyCollector,
    MetricsStorage,
    ResultStorage,
    ScenarioOrchestrator,
    execute_all_scenarios,
    execute_campaign,
)
from podium.session import Session

EXAMPLES = Path(__file__).parents[2] / "examples" / "02-documented-format"
KEYS = {
    "campaign_id",
    "timestamp",
    "total_scenarios",
    "passed",
    "failed",
    "pass_rate",
    "parallel_limit",
    "speed_multiplier",
    "results",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copytree(EXAMPLES, tmp_path / "scenarios")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(awaitable):
    return asyncio.run(awaitable)


def test_discovery_returns_the_valid_scenarios_by_name_and_names_the_invalid_ones(project, capsys):
    (project / "scenarios" / "broken.yaml").write_text("name: x\nduration_s: 5\n")
    found = run(ScenarioOrchestrator().discover_scenarios())
    assert [path.name for path, _ in found] == ["cascade_fail.yaml", "nominal.yaml"]
    assert [scenario.duration_ns for _, scenario in found] == [1_200_000_000_000, 900_000_000_000]
    assert "[WARN] Invalid scenario broken.yaml" in capsys.readouterr().out


def test_a_folder_that_does_not_exist_has_no_scenarios(project):
    orchestrator = ScenarioOrchestrator("nowhere")
    assert run(orchestrator.discover_scenarios()) == []
    assert run(orchestrator.run_all_scenarios()) == {"total_scenarios": 0, "results": {}}


def test_a_campaign_of_nothing_is_empty_and_says_so(project, capsys):
    assert run(execute_campaign([])) == {}
    assert "[WARN] No scenarios to execute" in capsys.readouterr().out


def test_results_have_the_documented_keys_and_one_log_entry_per_simulated_second(project):
    results = run(execute_campaign(["scenarios/nominal.yaml", "scenarios/cascade_fail.yaml"], parallel=2, speed=None))
    assert set(results) == {"nominal.yaml", "cascade_fail.yaml"}
    cascade = results["cascade_fail.yaml"]
    assert {
        "success",
        "final_criteria",
        "execution_time_s",
        "simulated_time_s",
        "final_telemetry",
        "execution_log",
        "latency_stats",
        "latency_summary",
        "accuracy_stats",
        "accuracy_summary",
        "scenario_name",
        "scenario_path",
        "execution_timestamp",
    } <= set(cascade)
    assert cascade["success"] is True
    assert cascade["simulated_time_s"] == 1200
    log = cascade["execution_log"]
    assert [entry["time_s"] for entry in log] == list(range(1, 1201))
    assert set(log[0]["status"]) == {
        "time_s",
        "satellite_count",
        "active_faults",
        "criteria_pass",
        "telemetry_collected",
    }
    assert log[58]["status"]["active_faults"] == []
    assert log[60]["status"]["active_faults"] == ["thermal_runaway@SAT1"]
    assert set(cascade["final_criteria"]["per_sat"]["SAT1"]["criteria"]) == {
        "nadir_ok",
        "battery_ok",
        "temp_ok",
        "comms_ok",
    }
    assert cascade["latency_stats"]["fault_detection"]["count"] >= 1
    assert cascade["accuracy_stats"]["total_classifications"] >= 1
    assert results["nominal.yaml"]["simulated_time_s"] == 900
    json.dumps(results, allow_nan=False)


def test_serial_and_parallel_campaigns_give_the_same_results(project):
    paths = ["scenarios/nominal.yaml", "scenarios/cascade_fail.yaml"]
    serial = run(execute_campaign(paths, parallel=1, speed=None))
    parallel = run(execute_campaign(paths, parallel=2, speed=None))
    assert {name: result["fingerprint"] for name, result in serial.items()} == {
        name: result["fingerprint"] for name, result in parallel.items()
    }


def test_a_missing_and_an_invalid_file_are_failures_with_an_error(project):
    Path("bad.yaml").write_text("name: [unclosed\n")
    results = run(execute_campaign(["missing.yaml", "bad.yaml", "scenarios/nominal.yaml"], speed=None))
    by_name = {Path(name).name: result for name, result in results.items()}
    assert by_name["missing.yaml"]["success"] is False
    assert "not found" in by_name["missing.yaml"]["error"]
    assert by_name["bad.yaml"]["success"] is False
    assert "D101" in by_name["bad.yaml"]["error"]
    assert by_name["nominal.yaml"]["success"] is True


def test_two_files_of_one_name_do_not_overwrite_each_other(project):
    shutil.copytree("scenarios", "others")
    results = run(execute_campaign(["scenarios/nominal.yaml", "others/nominal.yaml"], speed=None))
    assert set(results) == {"scenarios/nominal.yaml", "others/nominal.yaml"}


def test_the_whole_suite_gives_the_nine_keys_and_a_file_that_can_be_found_again(project):
    summary = run(execute_all_scenarios(parallel=3, speed=None))
    assert set(summary) == KEYS
    assert summary["passed"] + summary["failed"] == summary["total_scenarios"] == 2
    assert summary["pass_rate"] == summary["passed"] / summary["total_scenarios"] == 1.0
    assert (summary["parallel_limit"], summary["speed_multiplier"]) == (3, 0.0)
    orchestrator = ScenarioOrchestrator()
    assert [campaign["campaign_id"] for campaign in orchestrator.get_recent_campaigns()] == [summary["campaign_id"]]
    assert orchestrator.get_campaign_summary(summary["campaign_id"]) == summary
    assert orchestrator.get_campaign_summary("nonexistent") is None


def test_two_campaigns_of_one_second_are_both_kept_newest_first(project):
    first = run(execute_all_scenarios(speed=None))
    second = run(execute_all_scenarios(speed=None))
    recent = ScenarioOrchestrator().get_recent_campaigns()
    assert [campaign["campaign_id"] for campaign in recent] == [second["campaign_id"], first["campaign_id"]]
    assert ResultStorage().get_result_statistics() == {
        "total_campaigns": 2,
        "total_scenarios": 4,
        "total_passed": 4,
        "avg_pass_rate": 1.0,
    }


def test_a_campaign_is_also_a_run_in_the_store(project):
    run(execute_campaign(["scenarios/nominal.yaml"], speed=None))
    with Session.open() as session:
        (row,) = session.store.runs()
    assert (row.work, row.outcome) == ("campaign", "passed")


def test_result_storage_keeps_every_result_and_tells_scenarios_apart(tmp_path):
    storage = ResultStorage(tmp_path / "results")
    assert storage.get_result_statistics() == {
        "total_campaigns": 0,
        "total_scenarios": 0,
        "total_passed": 0,
        "avg_pass_rate": 0.0,
    }
    paths = {storage.save_scenario_result("nominal", {"success": True, "n": n}) for n in range(3)}
    storage.save_scenario_result("nominal_long", {"success": True})
    assert len(paths) == 3
    assert [result["n"] for result in storage.get_scenario_results("nominal", limit=2)] == [2, 1]
    assert len(storage.get_scenario_results("nominal_long")) == 1


def test_clearing_deletes_only_what_is_old_and_only_results(tmp_path):
    storage = ResultStorage(tmp_path)
    old = storage.save_scenario_result("a", {})
    new = storage.save_scenario_result("b", {})
    other = tmp_path / "package.json"
    other.write_text("{}")
    for path in (old, other):
        os.utime(path, (time.time() - 31 * 86400,) * 2)
    assert storage.clear_results(older_than_days=30) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([new.name, "package.json"])


def test_metrics_of_two_runs_are_compared(tmp_path):
    for name, values in (("before", [50, 50]), ("after", [120, 120])):
        collector = LatencyCollector()
        for value in values:
            collector.record_fault_detection("SAT1", 10.0, value)
        written = MetricsStorage(name, tmp_path).save_latency_stats(collector)
        assert all(path.is_file() for path in written.values())
    compared = MetricsStorage("before", tmp_path).compare_runs("after")
    assert (compared["run1"], compared["run2"]) == ("before", "after")
    assert compared["metrics"]["fault_detection"]["diff_ms"] == -70
    assert MetricsStorage("before", tmp_path).compare_runs("none") == {
        "error": "Could not load metrics for run none",
        "metrics": {},
    }
    assert MetricsStorage("none", tmp_path).get_run_metrics() is None
    assert set(MetricsStorage.get_recent_runs(tmp_path)) == {"before", "after"}


DOCUMENTED = {
    "execution flow": """
orchestrator = ScenarioOrchestrator()
discovered = await orchestrator.discover_scenarios()  # Auto-find YAML files
summary = await orchestrator.run_all_scenarios(       # Run in parallel
    parallel=3,                                       # Max 3 concurrent
    speed=100.0                                       # 100x playback
)
assert summary["passed"] == 2 and len(discovered) == 2
""",
    "single campaign": """
import asyncio
from astraguard.hil.scenarios.orchestrator import execute_campaign

results = asyncio.run(execute_campaign(
    ["scenario1.yaml", "scenario2.yaml"],
    parallel=3,
    speed=100.0
))
assert all(result["success"] for result in results.values()) and len(results) == 2
""",
    "full suite": """
import asyncio
from astraguard.hil.scenarios.orchestrator import execute_all_scenarios

summary = asyncio.run(execute_all_scenarios(parallel=3, speed=100.0))
print(f"Pass Rate: {summary['pass_rate']:.0%}")
assert summary["pass_rate"] == 1.0
""",
    "result retrieval": """
from astraguard.hil.results.storage import ResultStorage

storage = ResultStorage()
campaigns = storage.get_recent_campaigns(limit=5)
stats = storage.get_result_statistics()
print(f"Average Pass Rate: {stats['avg_pass_rate']:.0%}")
assert len(campaigns) == 1 and stats["avg_pass_rate"] == 1.0
""",
}


@pytest.mark.parametrize("name", ["single campaign", "full suite", "result retrieval", "execution flow"])
def test_the_documented_code_runs_with_the_import_path_changed(project, name):
    """Two minutes of simulated time instead of twenty, as the code asks for 100 times real time."""
    for number, path in enumerate(sorted((project / "scenarios").iterdir()), 1):
        text = re.sub(r"duration_s: \d{3,4}\n(?=sat)", "duration_s: 120\n", path.read_text())
        text = text.replace("start_time_s: 60", "start_time_s: 20").replace("duration_s: 600", "duration_s: 60")
        path.write_text(text)
        shutil.copy(path, project / f"scenario{number}.yaml")
    if name == "result retrieval":
        run(execute_all_scenarios(speed=None))
    code = re.sub(r"from astraguard\.[\w.]+ import", "from podium.api.campaigns import", DOCUMENTED[name])
    compiled = compile(code, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(compiled, {"ScenarioOrchestrator": ScenarioOrchestrator})
    if outcome is not None:
        run(outcome)


def test_collectors_can_be_filled_from_a_result(project):
    with Session.open() as session:
        run(execute_campaign(["scenarios/cascade_fail.yaml"], speed=None))
        (step,) = session.store.steps(session.store.run("latest").id)
    assert LatencyCollector.from_result(step.output).get_stats()["agent_decision"]["mean_ms"] == 2000
    assert AccuracyCollector.from_result(step.output).get_accuracy_stats()["overall_accuracy"] > 0
