"""Conditions of a native scenario and the criteria and recovery rules that have them."""

import pytest
from tests.unit.model.scenario_mistakes import CONDITION, NODE, RULE, changed, load, wrong


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("SAT9.battery.soc > 40 %", ("D125 15:13 unknown node `SAT9`", "did you mean `SAT2`?")),
        ("moon.battery.soc > 40 %", ("D125 15:13 unknown node `moon`", "nodes: SAT1, SAT2, HUB, METER")),
        (
            "SAT1.battery.so > 40 %",
            ("D126 15:13 a satellite has no signal `battery.so`", "did you mean `battery.soc`?"),
        ),
        (
            "HUB.mode == safe",
            ("D126 15:13 a gateway has no signal `mode`", "signals: received, missing, latency.last, latency.max"),
        ),
        ("SAT1.battery.soc > 40 degC", ("D124 15:13 '40 degC' has the unknown unit 'degC'", "ratio takes %")),
        ("SAT1.battery.temperature < 50", ("D124 15:13 '50' has no unit", "write 50 degC")),
        (
            "HUB.latency.max < 2 km",
            ("D124 15:13 '2 km' has the unknown unit 'km'", "duration takes s, d, h, min, ms, us, ns"),
        ),
        (
            "HUB.received > 3 packets",
            ("D124 15:13 '3 packets' has the unit 'packets'", "write the number without a unit"),
        ),
        (
            "SAT1.battery.temperature < hot",
            ("D124 15:13 'hot' is not a quantity", "write a number and a unit, such as 20 degC"),
        ),
        (
            "SAT1.battery.soc",
            ("D127 15:13 `SAT1.battery.soc` is no condition", "write it like `SAT1.battery.temperature < 65 degC`"),
        ),
        (
            "SAT1.battery.soc = 3",
            ("D127 15:13 `SAT1.battery.soc = 3` is no condition", "write it like `SAT1.battery.temperature < 65 degC`"),
        ),
        ("''", ("D127 15:13 `` is no condition", "write it like `SAT1.battery.temperature < 65 degC`")),
        ("mode == safe", ("D127 15:13 `mode` names no node", "write NODE.signal or *.signal")),
        ("SAT1.mode == save", ("D127 15:13 the signal is never `save`", "did you mean `safe`?")),
        ("SAT1.mode == 3", ("D127 15:13 the signal is never `3`", "possible: nominal, safe")),
        (
            "SAT1.battery.soc > 3 % and HUB.missing == 0",
            (
                "D127 15:13 `SAT1.battery.soc > 3 % and HUB.missing == 0` is more than one comparison",
                "write one criterion for each",
            ),
        ),
        ("SAX*.battery.soc > 3 %", ("D125 15:13 unknown node `SAX*`", "nodes: SAT1, SAT2, HUB, METER")),
        ("SAT1.mode < safe", ("D127 15:13 words cannot be compared with `<`", "use == or !=")),
    ],
)
def test_a_condition_names_a_node_a_signal_and_a_value_of_its_dimension(condition, found):
    assert wrong(CONDITION, condition) == found


def test_a_signal_that_no_type_of_node_has_is_unknown_for_all_of_them():
    message, hint = wrong(CONDITION, "'*.recieved > 3'")
    assert message == "D126 15:13 a satellite or gateway or sensor has no signal `recieved`"
    assert hint == "did you mean `received`?"


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("SAT1.mode == safe", "safe"),
        ("SAT1.mode != 'nominal'", "nominal"),
        ("SAT1.battery.soc>=0.4", 0.4),
        ("SAT1.battery.soc >= 40 %", 0.4),
        ("SAT1.attitude.nadir_error < 60 arcmin", 1),
        ("HUB.latency.max < 80 ms", 0.08),
        ("'*.sent > 3'", 3),
    ],
)
def test_a_condition_has_its_value_in_the_unit_of_the_signal(condition, value):
    (criterion,) = load(changed(CONDITION, condition)).scenario.criteria
    assert criterion.threshold.value == value


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("battery.sok < 10 %", ("D126 4:51 a satellite has no signal `battery.sok`", "did you mean `battery.soc`?")),
        ("battery.soc < 3 V", ("D124 4:51 '3 V' has the unknown unit 'V'", "ratio takes %")),
        (
            "battery.soc",
            ("D127 4:51 `battery.soc` is no condition", "write it like `SAT1.battery.temperature < 65 degC`"),
        ),
        (
            "SAT1.battery.soc < 1 %",
            ("D126 4:51 a satellite has no signal `SAT1.battery.soc`", "did you mean `battery.soc`?"),
        ),
    ],
)
def test_a_recovery_rule_that_two_satellites_share_is_reported_once(rule, found):
    assert wrong(RULE[0], RULE[1].replace("battery.soc < 10 %", rule)) == found


def test_a_node_has_its_own_recovery():
    scenario = load(changed(NODE, NODE + ", recovery: none", *RULE)).scenario
    assert [node.recovery.policy for node in scenario.nodes[:2]] == ["safe_mode", "none"]
    assert scenario.nodes[0].recovery.rules[0].when.value == 0.1


ONE_OF = "a criterion has one of `always`, `eventually`, `at_end`, `within`, and this one has"
BELONG = "`within` and `holds` belong together"


@pytest.mark.parametrize(
    ("criterion", "found"),
    [
        (
            f"always: {CONDITION}\n    eventually: {CONDITION}",
            f"{ONE_OF} `always` and `eventually`",
        ),
        ("name: x", f"{ONE_OF} none"),
        ("within: 3 s", BELONG),
        (f"always: {CONDITION}\n    holds: {CONDITION}", BELONG),
        (f"at_end: {CONDITION}\n    from: 60 s", "`at_end` has no window"),
    ],
)
def test_a_criterion_is_of_one_kind(criterion, found):
    message, hint = wrong(f"always: {CONDITION}", criterion)
    assert message == f"D137 15:5 {found}"
    assert hint


@pytest.mark.parametrize(
    ("window", "found"),
    [
        ("from: 60 s\n    until: 30 s", "D137 17:12 the window ends at 30 s, before it begins at 1 min"),
        ("from: 11 min", "D137 16:11 the window begins at 11 min, after the scenario, which lasts 10 min"),
    ],
)
def test_a_window_is_a_part_of_the_scenario(window, found):
    assert wrong(CONDITION, f"{CONDITION}\n    {window}")[0] == found


@pytest.mark.parametrize("criteria", ["", "criteria: []\n"])
def test_no_criteria_are_a_warning(criteria):
    loaded = load(changed(f"criteria:\n  - always: {CONDITION}\n", criteria))
    (warning,) = loaded.warnings
    assert (warning.code, warning.severity) == ("D132", "warning")
    assert warning.message == "the scenario has no criteria, so its verdict will be `errored`"
    assert warning.hint == "say what must hold: criteria: [{always: ...}]"
    assert (warning.span.line, warning.span.column) == ((14, 11) if criteria else (1, 1))
    assert loaded.scenario.criteria == ()


def test_criteria_are_named_by_what_they_say_unless_they_have_a_name():
    text = changed(
        f"always: {CONDITION}",
        f"{{always: {CONDITION}}}\n  - {{within: 90 s, holds: {CONDITION}}}\n  - {{at_end: {CONDITION}, name: full}}",
    )
    names = [criterion.name for criterion in load(text).scenario.criteria]
    assert names == [f"always {CONDITION}", f"within 90 s {CONDITION}", "full"]
