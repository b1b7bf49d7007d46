import pytest

from podium.errors import DocumentError
from podium.model.loading import load_mapped
from podium.model.yaml_loader import load_yaml

RIGHT = """\
name: probe
description: A probe.
duration_s: 600
satellites:
  - id: SAT1
    initial_position_km: [0, 0, 420]
    neighbors: [SAT2]
  - id: SAT2
    initial_position_km: [1.2, 0, 420]
fault_sequence:
  - type: thermal_runaway
    satellite: SAT1
    start_time_s: 60
    severity: 0.7
    duration_s: 120
success_criteria:
  max_nadir_error_deg: 8.0
  min_battery_soc: 0.4
  max_temperature_c: 65.0
  max_packet_loss: 0.15
"""
NATIVE = """\
kind: scenario
name: probe
description: A probe.
duration: 10 min
nodes:
  SAT1: {type: satellite, position: [0 km, 0 km, 420 km], neighbours: [SAT2]}
  SAT2: {type: satellite, position: [1200 m, 0 km, 420 km]}
faults:
  - {type: thermal_runaway, node: SAT1, at: 1 min, for: 2 min, severity: 0.7}
criteria:
  - {always: "*.attitude.nadir_error <= 8 deg", name: max_nadir_error_deg}
  - {always: "*.battery.soc >= 40 %", name: min_battery_soc}
  - {always: "*.battery.temperature <= 65 degC", name: max_temperature_c}
  - {always: "*.comms.packet_loss <= 15 %", name: max_packet_loss}
"""
FAULT = RIGHT[RIGHT.index("  - type:") : RIGHT.index("success_criteria:")]
MIDDLE = RIGHT[RIGHT.index("satellites:") : RIGHT.index("success_criteria:")]
CRITERIA = RIGHT[RIGHT.index("success_criteria:") :]


def load(text):
    return load_mapped(load_yaml(text, "f.yaml"), {})


def changed(*pairs):
    text = RIGHT
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    return text


def wrong(*pairs):
    """Return the one error that a change makes, as `CODE LINE:COLUMN MESSAGE`."""
    text = changed(*pairs)
    with pytest.raises(DocumentError) as caught:
        load(text)
    (error,) = (finding for finding in caught.value.diagnostics if finding.severity == "error")
    assert error.span.text == text.splitlines()[error.span.line - 1]
    return f"{error.code} {error.span.line}:{error.span.column} {error.message}"


def warnings(*pairs):
    found = load(changed(*pairs)).warnings
    assert all(warning.severity == "warning" for warning in found)
    return [f"{w.code} {w.span.line}:{w.span.column} {w.message}" for w in found]


def test_it_means_the_same_as_the_native_document():
    assert load(RIGHT).scenario == load(NATIVE).scenario
    assert load(RIGHT).warnings == ()


@pytest.mark.parametrize("kind", ["", "kind: scenario\n"])
def test_it_needs_no_kind_but_may_have_one(kind):
    loaded = load(kind + RIGHT)
    assert loaded.scenario == load(NATIVE).scenario
    assert loaded.warnings == ()


def test_limits_are_named_by_their_keys_and_belong_to_what_is_allowed():
    criteria = load(RIGHT).scenario.criteria
    assert [(c.kind, c.name, c.threshold.signal, c.threshold.op, c.threshold.value) for c in criteria] == [
        ("always", "max_nadir_error_deg", "*.attitude.nadir_error", "<=", 8.0),
        ("always", "min_battery_soc", "*.battery.soc", ">=", 0.4),
        ("always", "max_temperature_c", "*.battery.temperature", "<=", 65.0),
        ("always", "max_packet_loss", "*.comms.packet_loss", "<=", 0.15),
    ]


@pytest.mark.parametrize("criteria", ["", "success_criteria: {}\n"])
def test_limits_have_defaults(criteria):
    scenario = load(changed(CRITERIA, criteria)).scenario
    assert [criterion.threshold.value for criterion in scenario.criteria] == [5.0, 0.3, 50.0, 0.1]


def test_everything_else_has_defaults():
    scenario = load("name: ''\ndescription: ''\nsatellites: [{id: A}]\n").scenario
    assert scenario.name == "unnamed"
    assert scenario.duration_ns == 1800 * 10**9
    assert scenario.faults == ()
    assert scenario.nodes[0].position_km == (0, 0, 420)
    assert scenario.nodes[0].neighbours == ()


def test_a_fault_has_a_default_severity_and_duration():
    (fault,) = load(changed("    severity: 0.7\n    duration_s: 120\n", "")).scenario.faults
    assert (fault.severity, fault.duration_ns) == (0.5, 300 * 10**9)


def test_it_says_nothing_about_recovery_seed_and_step():
    loaded = load(RIGHT)
    assert not loaded.has_seed
    assert loaded.scenario.step_ns == 100_000_000
    assert {node.recovery.policy for node in loaded.scenario.nodes} == {"safe_mode"}


def test_faults_are_sorted_by_start_time_and_keep_their_order_at_the_same_time():
    faults = [("attitude_desync", 90), ("comms_dropout", 60), ("power_brownout", 90), ("thermal_runaway", 0)]
    text = "".join(f"  - {{type: {type_}, satellite: SAT1, start_time_s: {start}}}\n" for type_, start in faults)
    assert [fault.type for fault in load(changed(FAULT, text)).scenario.faults] == [
        "thermal_runaway",
        "comms_dropout",
        "attitude_desync",
        "power_brownout",
    ]


@pytest.mark.parametrize(("start", "duration"), [(100 / 3, 200 / 3), (0.1, 599.9), (30.0000000005, 569.9999999995)])
def test_times_are_rounded_to_the_nanosecond(start, duration):
    text = changed("start_time_s: 60", f"start_time_s: {start!r}", "duration_s: 120", f"duration_s: {duration!r}")
    (fault,) = load(text).scenario.faults
    assert abs(fault.start_ns - start * 1e9) <= 1
    assert abs(fault.duration_ns - duration * 1e9) <= 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  - id: SAT2", f"  - id: {'x' * 16}"),
        ("  - id: SAT2", "  - id: x"),
        ("severity: 0.7", "severity: 0.1"),
        ("severity: 0.7", "severity: 1.0"),
        ("    duration_s: 120", "    duration_s: 10"),
        ("    duration_s: 120", "    duration_s: 540"),
        ("start_time_s: 60", "start_time_s: 0"),
        ("duration_s: 600", "duration_s: 86400"),
        (f"duration_s: 600\n{MIDDLE}", "duration_s: 60\nsatellites: [{id: A}]\n"),
        ("max_nadir_error_deg: 8.0", "max_nadir_error_deg: 0"),
        ("max_nadir_error_deg: 8.0", "max_nadir_error_deg: 180"),
        ("min_battery_soc: 0.4", "min_battery_soc: 0"),
        ("min_battery_soc: 0.4", "min_battery_soc: 1"),
        ("max_temperature_c: 65.0", "max_temperature_c: 0"),
        ("max_temperature_c: 65.0", "max_temperature_c: 100"),
        ("max_packet_loss: 0.15", "max_packet_loss: 0"),
        ("max_packet_loss: 0.15", "max_packet_loss: 1"),
    ],
)
def test_limits_belong_to_the_range(old, new):
    text = changed(old, new)
    assert all(warning.code == "D134" for warning in load(text).warnings)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("id: SAT2", "id: ''", "D123 8:9 satellites.1.id: must have at least 1 character, not empty text"),
        ("id: SAT2", f"id: {'x' * 17}", f"D123 8:9 satellites.1.id: must have at most 16 characters, not `{'x' * 17}`"),
        ("[0, 0, 420]", "[0, 420]", "D123 6:26 Position must be [x, y, z]"),
        ("[0, 0, 420]", "[0, 0, 420, 1]", "D123 6:26 Position must be [x, y, z]"),
        (
            "[0, 0, 420]",
            "[0, .nan, 420]",
            "D123 6:30 satellites.0.initial_position_km.1: must be a finite number, not nan",
        ),
        ("severity: 0.7", "severity: 0.09", "D123 14:15 fault_sequence.0.severity: must be at least 0.1, not 0.09"),
        ("severity: 0.7", "severity: 1.01", "D123 14:15 fault_sequence.0.severity: must be at most 1, not 1.01"),
        (
            "    duration_s: 120",
            "    duration_s: 9.9",
            "D123 15:17 fault_sequence.0.duration_s: must be at least 10, not 9.9",
        ),
        ("_s: 60\n", "_s: -1\n", "D123 13:19 fault_sequence.0.start_time_s: must be at least 0, not -1"),
        ("duration_s: 600", "duration_s: 59", "D123 3:13 duration_s: must be at least 60, not 59"),
        ("duration_s: 600", "duration_s: 86401", "D123 3:13 duration_s: must be at most 86400, not 86401"),
        ("duration_s: 600", "duration_s: 600.5", "D123 3:13 duration_s: must be a whole number, not 600.5"),
        ("_deg: 8.0", "_deg: -1", "D123 17:24 success_criteria.max_nadir_error_deg: must be at least 0, not -1"),
        ("_deg: 8.0", "_deg: 181", "D123 17:24 success_criteria.max_nadir_error_deg: must be at most 180, not 181"),
        ("soc: 0.4", "soc: -0.1", "D123 18:20 success_criteria.min_battery_soc: must be at least 0, not -0.1"),
        ("soc: 0.4", "soc: 1.1", "D123 18:20 success_criteria.min_battery_soc: must be at most 1, not 1.1"),
        ("_c: 65.0", "_c: -1", "D123 19:22 success_criteria.max_temperature_c: must be at least 0, not -1"),
        ("_c: 65.0", "_c: 101", "D123 19:22 success_criteria.max_temperature_c: must be at most 100, not 101"),
        ("loss: 0.15", "loss: -1", "D123 20:20 success_criteria.max_packet_loss: must be at least 0, not -1"),
        ("loss: 0.15", "loss: 1.5", "D123 20:20 success_criteria.max_packet_loss: must be at most 1, not 1.5"),
        ("name: probe\n", "", "D122 1:1 key `name` is missing"),
        ("description: A probe.\n", "", "D122 1:1 key `description` is missing"),
        ("  - id: SAT2\n   ", "  -", "D122 8:5 key `id` is missing in `satellites.1`"),
        ("    satellite: SAT1\n", "", "D122 11:5 key `satellite` is missing in `fault_sequence.0`"),
        ("    start_time_s: 60\n", "", "D122 11:5 key `start_time_s` is missing in `fault_sequence.0`"),
        ("thermal_runaway", "meteor", "D123 11:11 fault_sequence.0.type: unknown type `meteor`"),
        ("satellite: SAT1", "satellite: SAT9", "D125 12:16 Fault targets unknown satellite: SAT9"),
        (
            "start_time_s: 60",
            "start_time_s: 480.5",
            "D128 13:19 Fault at 480.5s with duration 120s exceeds test duration 600s",
        ),
        ("id: SAT2", "id: SAT1", "D130 8:9 two satellites have the id `SAT1`"),
        (
            "id: SAT2",
            "id: SAT.2",
            "D123 8:9 satellite id `SAT.2` may have letters, digits, - and _, and not - at its beginning",
        ),
    ],
)
def test_what_is_out_of_bounds_is_refused_where_it_stands(old, new, found):
    assert wrong(old, new) == found


@pytest.mark.parametrize(("count", "refused"), [(0, True), (1, False), (10, False), (11, True), (15, True)])
def test_there_are_one_to_ten_satellites(count, refused):
    satellites = "\n" + "".join(f"  - id: S{number}\n" for number in range(count)) if count else " []\n"
    text = f"name: n\ndescription: d\nsatellites:{satellites}"
    if not refused:
        assert len(load(text).scenario.nodes) == count
        return
    with pytest.raises(DocumentError) as caught:
        load(text)
    limit = "at most 10 entries" if count else "at least 1 entry"
    assert [error.message for error in caught.value.diagnostics] == [f"satellites: must have {limit}, not {count}"]


@pytest.mark.parametrize(
    ("neighbours", "found"),
    [
        ("[SAT9]", ["D134 7:17 Satellite SAT1 references unknown neighbor SAT9"]),
        ("[SAT2, SAT1]", ["D134 7:23 Satellite SAT1 cannot be its own neighbor"]),
        (
            "[SAT9, SAT1]",
            [
                "D134 7:17 Satellite SAT1 references unknown neighbor SAT9",
                "D134 7:23 Satellite SAT1 cannot be its own neighbor",
            ],
        ),
    ],
)
def test_wrong_neighbours_are_warnings_and_left_out(neighbours, found):
    assert warnings("[SAT2]", neighbours) == found
    (one, _) = load(changed("[SAT2]", neighbours)).scenario.nodes
    assert set(one.neighbours) <= {"SAT2"}


@pytest.mark.parametrize(
    ("old", "new", "found", "hint"),
    [
        ("duration_s: 600", "duration_s: 600\nseverity: 1", "D133 4:1 key `severity` is ignored", None),
        ("    neighbors", "    neighbours", "D133 7:5 key `neighbours` is ignored", "did you mean `neighbors`?"),
        ("    severity", "    severty", "D133 14:5 key `severty` is ignored", "did you mean `severity`?"),
    ],
)
def test_an_unknown_key_is_a_warning(old, new, found, hint):
    assert warnings(old, new) == [found]
    (warning,) = load(changed(old, new)).warnings
    assert warning.hint == hint or (hint is None and warning.hint.startswith(("keys here:", "did you mean")))


def test_an_unknown_success_criterion_is_an_error_since_nobody_would_check_it():
    with pytest.raises(DocumentError) as caught:
        load(changed("  max_packet_loss", "  max_packet_los"))
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.severity) == ("D121", "error")
    assert (finding.span.line, finding.span.column) == (20, 3)
    assert finding.hint == "did you mean `max_packet_loss`?"


def test_errors_and_warnings_are_reported_all_at_once_and_from_top_to_bottom():
    text = changed("[SAT2]", "[SAT9]", "satellite: SAT1", "satellite: SAT8", "_loss: 0.15", "_loss: 0.15\n  max_x: 1")
    with pytest.raises(DocumentError) as caught:
        load(text)
    assert [(finding.code, finding.severity) for finding in caught.value.diagnostics] == [
        ("D134", "warning"),
        ("D125", "error"),
        ("D121", "error"),
    ]
