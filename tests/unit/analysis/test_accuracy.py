import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.analysis.accuracy import AccuracyCollector
from podium.errors import UsageError

FAULTS = ("power_brownout", "comms_dropout", "thermal_runaway", "attitude_desync")


def classified(*outcomes, fault="power_brownout", satellite="SAT1"):
    collector = AccuracyCollector()
    for number, correct in enumerate(outcomes):
        collector.record_agent_classification(satellite, 10.0 * number, fault, 0.9, correct)
    return collector


@pytest.mark.parametrize(
    ("outcomes", "accuracy"),
    [
        ([True, True], 1.0),
        ([True, False], 0.5),
        ([False, False], 0.0),
        ([True] * 6 + [False] * 4, 0.6),
    ],
)
def test_accuracy_is_the_part_that_is_correct(outcomes, accuracy):
    stats = classified(*outcomes).get_accuracy_stats()
    assert stats["overall_accuracy"] == accuracy
    assert stats["total_classifications"] == len(outcomes)
    assert stats["correct_classifications"] == sum(outcomes)


def test_eight_of_ten_predictions_true_is_a_precision_of_four_fifths():
    stats = classified(*[True] * 8, False, False).get_accuracy_stats()
    power = stats["by_fault_type"]["power_brownout"]
    assert power["precision"] == pytest.approx(0.8)
    assert power["recall"] == 1.0
    assert power["f1"] == pytest.approx(8 / 9)
    assert (power["true_positives"], power["false_positives"], power["false_negatives"]) == (8, 2, 0)
    assert (power["total_predictions"], power["correct_predictions"]) == (10, 8)


def test_a_perfect_record_has_an_f1_of_one():
    stats = classified(*[True] * 5, fault="thermal_runaway").get_accuracy_stats()
    assert stats["by_fault_type"]["thermal_runaway"]["f1"] == 1.0


def test_a_fault_taken_for_another_is_missed_as_itself_and_false_as_the_other():
    collector = AccuracyCollector()
    collector.record_ground_truth("SAT1", 60.0, "thermal_runaway")
    collector.record_agent_classification("SAT1", 60.9, "power_brownout", 0.6, False)
    by_fault = collector.get_accuracy_stats()["by_fault_type"]
    assert by_fault["thermal_runaway"]["false_negatives"] == 1
    assert by_fault["thermal_runaway"]["recall"] == 0.0
    assert by_fault["power_brownout"]["false_positives"] == 1
    assert collector.get_confusion_matrix() == {"power_brownout": {"thermal_runaway": 1}}


def test_a_fault_that_nobody_classified_is_a_false_negative():
    collector = classified(True, fault="thermal_runaway")
    collector.record_ground_truth("SAT1", 0.5, "thermal_runaway")
    collector.record_ground_truth("SAT1", 500.0, "thermal_runaway")
    thermal = collector.get_accuracy_stats()["by_fault_type"]["thermal_runaway"]
    assert (thermal["true_positives"], thermal["false_negatives"], thermal["recall"]) == (1, 1, 0.5)


@pytest.mark.parametrize(
    ("satellite", "time_s", "actual"),
    [
        ("SAT1", 60.0, "comms_dropout"),
        ("SAT1", 60.99, "comms_dropout"),
        ("SAT1", 59.01, "comms_dropout"),
        ("SAT1", 61.0, "unknown"),
        ("SAT1", 59.0, "unknown"),
        ("SAT2", 60.0, "unknown"),
    ],
)
def test_a_truth_belongs_to_a_classification_of_its_satellite_less_than_a_second_away(satellite, time_s, actual):
    collector = AccuracyCollector()
    collector.record_ground_truth("SAT1", 60.0, "comms_dropout")
    collector.record_agent_classification(satellite, time_s, "power_brownout", 0.5, False)
    assert collector.get_confusion_matrix() == {"power_brownout": {actual: 1}}
    assert "unknown" not in collector.get_accuracy_stats()["by_fault_type"]


def test_of_several_truths_the_closest_that_contradicts_counts():
    collector = AccuracyCollector()
    collector.record_ground_truth("SAT1", 60.9, "attitude_desync")
    collector.record_ground_truth("SAT1", 60.3, "comms_dropout")
    collector.record_ground_truth("SAT1", 60.0, "power_brownout")
    collector.record_agent_classification("SAT1", 60.0, "power_brownout", 0.5, False)
    assert collector.get_confusion_matrix() == {"power_brownout": {"comms_dropout": 1}}


def test_no_fault_is_nominal_and_no_fault_type():
    collector = AccuracyCollector()
    collector.record_ground_truth("SAT1", 10.0, None)
    collector.record_agent_classification("SAT1", 10.0, None, 0.9, True)
    collector.record_agent_classification("SAT1", 10.5, "comms_dropout", 0.4, False)
    assert collector.get_confusion_matrix() == {"nominal": {"nominal": 1}, "comms_dropout": {"nominal": 1}}
    assert list(collector.get_accuracy_stats()["by_fault_type"]) == ["comms_dropout"]


def test_satellites_do_not_share_their_accuracy():
    collector = classified(True, True, True, False, satellite="SAT1")
    collector.record_agent_classification("SAT2", 5.0, "comms_dropout", 0.3, False)
    stats = collector.get_stats_by_satellite()
    assert stats["SAT1"] == {"total": 4, "correct": 3, "accuracy": 0.75, "avg_confidence": pytest.approx(0.9)}
    assert stats["SAT2"] == {"total": 1, "correct": 0, "accuracy": 0.0, "avg_confidence": pytest.approx(0.3)}


def test_confidence_has_mean_and_standard_deviation_of_the_population():
    collector = AccuracyCollector()
    for number, confidence in enumerate((0.2, 0.4, 0.4, 0.6)):
        collector.record_agent_classification("SAT1", number, "power_brownout", confidence, True)
    stats = collector.get_accuracy_stats()
    assert stats["confidence_mean"] == pytest.approx(0.4)
    assert stats["confidence_std"] == pytest.approx(0.02**0.5)
    assert stats["by_fault_type"]["power_brownout"]["avg_confidence"] == pytest.approx(0.4)


def test_an_empty_collector_has_nothing_to_tell():
    collector = AccuracyCollector()
    collector.record_ground_truth("SAT1", 10.0, None)
    assert len(collector) == 0
    assert collector.get_accuracy_stats()["overall_accuracy"] == 0.0
    assert collector.get_accuracy_stats()["by_fault_type"] == {}
    assert collector.get_stats_by_satellite() == {}
    assert collector.get_confusion_matrix() == {}
    assert collector.get_summary() == {"total_classifications": 0, "metrics": {}}


def test_the_summary_holds_everything_as_json():
    collector = classified(True, False)
    assert json.loads(json.dumps(collector.get_summary())) == {
        "total_classifications": 2,
        "stats": collector.get_accuracy_stats(),
        "stats_by_satellite": collector.get_stats_by_satellite(),
        "confusion_matrix": {"power_brownout": {"power_brownout": 1, "unknown": 1}},
    }


def test_reset_forgets_classifications_and_truths():
    collector = classified(True)
    collector.record_ground_truth("SAT1", 99.0, "comms_dropout")
    collector.reset()
    assert len(collector) == 0
    assert collector.get_accuracy_stats()["by_fault_type"] == {}


def test_the_csv_file_has_one_row_per_classification_in_the_order_recorded(tmp_path):
    collector = AccuracyCollector()
    collector.record_ground_truth("SAT2", 20.0, None)
    collector.record_agent_classification("SAT2", 20.0, "comms_dropout", 0.4, False)
    collector.record_agent_classification("SAT1", 10.0, "power_brownout", 0.9, True)
    collector.export_csv(str(tmp_path / "accuracy.csv"))
    with (tmp_path / "accuracy.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [
        "scenario_time_s",
        "satellite_id",
        "predicted_fault",
        "actual_fault",
        "confidence",
        "is_correct",
    ]
    assert rows == [
        ["20.0", "SAT2", "comms_dropout", "nominal", "0.4", "False"],
        ["10.0", "SAT1", "power_brownout", "power_brownout", "0.9", "True"],
    ]


def test_a_collector_fills_itself_from_a_scenario_result():
    result = {
        "classifications": [
            {"node": "SAT1", "time_s": 61, "predicted": "thermal_runaway", "actual": "thermal_runaway"},
            {"node": "SAT2", "time_s": 61, "predicted": "power_brownout", "actual": None, "confidence": 0.4},
            {"node": "SAT2", "time_s": 61, "predicted": "thermal_runaway", "actual": "comms_dropout", "confidence": 1},
        ]
    }
    collector = AccuracyCollector.from_result(result)
    assert len(collector) == 3
    assert collector.get_accuracy_stats()["overall_accuracy"] == pytest.approx(1 / 3)
    assert collector.get_confusion_matrix() == {
        "thermal_runaway": {"thermal_runaway": 1, "comms_dropout": 1},
        "power_brownout": {"nominal": 1},
    }


def test_a_result_without_classifications_gives_an_empty_collector():
    assert len(AccuracyCollector.from_result({"scenario": "nominal"})) == 0


@pytest.mark.parametrize(
    "entry",
    [
        {"time_s": 1},
        {"node": "SAT1"},
        {"node": "SAT1", "time_s": 1, "predicted": 7},
        {"node": "SAT1", "time_s": 1, "confidence": 2},
    ],
)
def test_a_malformed_result_is_refused(entry):
    with pytest.raises(UsageError):
        AccuracyCollector.from_result({"classifications": [entry]})


@pytest.mark.parametrize(
    ("time_s", "confidence"), [(0, -0.1), (0, 1.1), (0, float("nan")), (float("nan"), 1), (float("inf"), 1)]
)
def test_a_number_that_makes_no_sense_is_refused_and_not_recorded(time_s, confidence):
    collector = AccuracyCollector()
    with pytest.raises(UsageError):
        collector.record_agent_classification("SAT1", time_s, "comms_dropout", confidence, True)
    with pytest.raises(UsageError):
        collector.record_ground_truth("SAT1", time_s, "comms_dropout", confidence)
    assert len(collector) == 0


fault = st.none() | st.sampled_from(FAULTS)
entries = st.lists(
    st.tuples(st.sampled_from(["SAT1", "SAT2"]), st.floats(0, 1000), fault, fault, st.floats(0, 1)), max_size=30
)


@given(entries)
def test_the_counts_of_a_result_agree_with_its_confusion_matrix(entries):
    keys = ("node", "time_s", "predicted", "actual", "confidence")
    collector = AccuracyCollector.from_result({"classifications": [dict(zip(keys, e, strict=True)) for e in entries]})
    matrix = collector.get_confusion_matrix()
    stats = collector.get_accuracy_stats()
    assert sum(sum(row.values()) for row in matrix.values()) == len(entries)
    assert stats["correct_classifications"] == sum(row.get(name, 0) for name, row in matrix.items())
    for name, one in stats["by_fault_type"].items():
        assert one["true_positives"] == matrix.get(name, {}).get(name, 0)
        assert one["total_predictions"] == sum(matrix.get(name, {}).values())
        column = sum(row.get(name, 0) for row in matrix.values())
        assert one["true_positives"] + one["false_negatives"] == column
        assert min(one["precision"], one["recall"]) - 1e-12 <= one["f1"] <= max(one["precision"], one["recall"]) + 1e-12
