import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.analysis.latency import LatencyCollector, latency_statistics
from podium.errors import UsageError


def filled():
    collector = LatencyCollector(now=lambda: "2026-01-02T03:04:05+00:00")
    collector.record_fault_detection("SAT1", 60.5, 500.0)
    collector.record_agent_decision("SAT1", 62.5, 2000.0)
    collector.record_fault_detection("SAT2", 61.0, 700.0)
    collector.record_recovery_action("SAT2", 66.0, 3000.0)
    return collector


def test_five_values_have_their_mean_middle_and_extremes():
    statistics = latency_statistics([90, 50, 70, 60, 80])
    assert statistics == {
        "count": 5,
        "mean_ms": 70,
        "p50_ms": 70,
        "p95_ms": 90,
        "p99_ms": 90,
        "max_ms": 90,
        "min_ms": 50,
    }


def test_a_hundred_values_have_the_percentiles_at_their_positions():
    statistics = latency_statistics(range(100))
    assert (statistics["p50_ms"], statistics["p95_ms"], statistics["p99_ms"]) == (50, 95, 99)


def test_no_values_have_no_statistics():
    with pytest.raises(UsageError, match="no latency was measured"):
        latency_statistics([])


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_percentiles_are_values_that_were_measured_in_ascending_order(values):
    statistics = latency_statistics(values)
    marks = [statistics[key] for key in ("min_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")]
    assert marks == sorted(marks)
    assert set(marks) <= set(values)


def test_statistics_are_by_kind():
    stats = filled().get_stats()
    assert {kind: (one["count"], one["mean_ms"]) for kind, one in stats.items()} == {
        "fault_detection": (2, 600),
        "agent_decision": (1, 2000),
        "recovery_action": (1, 3000),
    }


def test_statistics_by_satellite_do_not_mix_satellites():
    stats = filled().get_stats_by_satellite()
    assert {satellite: {kind: one["mean_ms"] for kind, one in kinds.items()} for satellite, kinds in stats.items()} == {
        "SAT1": {"fault_detection": 500, "agent_decision": 2000},
        "SAT2": {"fault_detection": 700, "recovery_action": 3000},
    }


def test_a_slower_run_shows_in_the_means():
    fast, slow = LatencyCollector(), LatencyCollector()
    for number in range(5):
        fast.record_fault_detection("SAT1", number, 50)
        slow.record_fault_detection("SAT1", number, 120)
    difference = fast.get_stats()["fault_detection"]["mean_ms"] - slow.get_stats()["fault_detection"]["mean_ms"]
    assert difference == -70


def test_an_empty_collector_has_nothing_to_tell():
    collector = LatencyCollector()
    assert len(collector) == 0
    assert collector.get_stats() == {}
    assert collector.get_stats_by_satellite() == {}
    assert collector.get_summary() == {"total_measurements": 0, "metrics": {}}


def test_the_summary_holds_everything_as_json():
    collector = filled()
    summary = collector.get_summary()
    assert json.loads(json.dumps(summary)) == {
        "total_measurements": 4,
        "measurement_types": ["fault_detection", "agent_decision", "recovery_action"],
        "stats": collector.get_stats(),
        "stats_by_satellite": collector.get_stats_by_satellite(),
    }


def test_reset_forgets_everything():
    collector = filled()
    assert len(collector) == 4
    collector.reset()
    assert len(collector) == 0
    assert collector.get_stats() == {}


def test_the_csv_file_has_one_row_per_measurement_in_the_order_recorded(tmp_path):
    filled().export_csv(tmp_path / "latency.csv")
    with (tmp_path / "latency.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["timestamp", "metric_type", "satellite_id", "duration_ms", "scenario_time_s"]
    assert rows == [
        ["2026-01-02T03:04:05+00:00", "fault_detection", "SAT1", "500.0", "60.5"],
        ["2026-01-02T03:04:05+00:00", "agent_decision", "SAT1", "2000.0", "62.5"],
        ["2026-01-02T03:04:05+00:00", "fault_detection", "SAT2", "700.0", "61.0"],
        ["2026-01-02T03:04:05+00:00", "recovery_action", "SAT2", "3000.0", "66.0"],
    ]


def test_a_collector_fills_itself_from_a_scenario_result():
    result = {
        "latency": {
            "fault_detection": [
                {"node": "SAT1", "fault": "thermal_runaway", "time_s": 61, "ms": 1000},
                {"node": "SAT2", "fault": "comms_dropout", "time_s": 90.5, "ms": 500.5},
            ],
            "agent_decision": [{"node": "SAT1", "fault": "thermal_runaway", "time_s": 63, "ms": 2000}],
        }
    }
    collector = LatencyCollector.from_result(result)
    stats = collector.get_stats_by_satellite()
    assert len(collector) == 3
    assert stats["SAT1"]["agent_decision"]["mean_ms"] == 2000
    assert stats["SAT2"]["fault_detection"]["max_ms"] == 500.5


def test_a_result_without_latency_gives_an_empty_collector():
    assert len(LatencyCollector.from_result({"scenario": "nominal"})) == 0


@pytest.mark.parametrize(
    "latency",
    [
        {"guesswork": []},
        {"fault_detection": [{"node": "SAT1", "time_s": 1}]},
        {"fault_detection": [{"node": "SAT1", "time_s": 1, "ms": "fast"}]},
        {"fault_detection": [{"node": "SAT1", "time_s": 1, "ms": -1}]},
        [],
    ],
)
def test_a_malformed_result_is_refused(latency):
    with pytest.raises(UsageError):
        LatencyCollector.from_result({"latency": latency})


@pytest.mark.parametrize(
    ("time_s", "ms"), [(0, -0.1), (0, float("nan")), (0, float("inf")), (float("nan"), 1), (float("inf"), 1)]
)
def test_a_number_that_makes_no_sense_is_refused_and_not_recorded(time_s, ms):
    collector = LatencyCollector()
    with pytest.raises(UsageError):
        collector.record_fault_detection("SAT1", time_s, ms)
    assert len(collector) == 0
