"""Each kind of mistake in a native document, found in a document that is right but for that mistake."""

import pytest

from podium.errors import DocumentError
from podium.model.loading import load_mapped
from podium.model.scenario import Loss
from podium.model.yaml_loader import load_yaml

RIGHT = """\
kind: scenario
name: probe
duration: 10 min
nodes:
  SAT1: {type: satellite, neighbours: [SAT2]}
  SAT2: {type: satellite}
  HUB: {type: gateway}
  METER: {type: sensor, to: HUB}
network:
  links:
    - {from: SAT1, to: SAT2, loss: 2 %}
faults:
  - {type: thermal_runaway, node: SAT1, at: 60 s, for: 2 min}
criteria:
  - always: SAT1.battery.soc > 40 %
"""
CONDITION = "SAT1.battery.soc > 40 %"
NODE = "SAT2: {type: satellite"
RULE = "nodes:", "recovery: {rules: [{fault: thermal_runaway, when: battery.soc < 10 %}]}\nnodes:"


def load(text):
    return load_mapped(load_yaml(text, "f.yaml"), {})


def changed(*pairs):
    text = RIGHT
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text
        text = text.replace(old, new, 1)
    return text


def all_wrong(text):
    with pytest.raises(DocumentError) as caught:
        load(text)
    return caught.value.diagnostics


def wrong(*pairs):
    """Return the one error that a change makes, as `CODE LINE:COLUMN MESSAGE`, and its hint."""
    text = changed(*pairs)
    (error,) = all_wrong(text)
    assert error.severity == "error"
    assert error.span.path == "f.yaml"
    assert error.span.text == text.splitlines()[error.span.line - 1]
    return f"{error.code} {error.span.line}:{error.span.column} {error.message}", error.hint


def test_the_document_without_a_mistake_loads_without_a_warning():
    loaded = load(RIGHT)
    assert loaded.warnings == ()
    assert loaded.scenario.faults[0].start_ns == 60_000_000_000
    assert not loaded.has_seed


@pytest.mark.parametrize(
    ("old", "new", "place", "key", "suggestion"),
    [
        ("nodes:", "sead: 3\nnodes:", "4:1", "sead", "seed"),
        (NODE, NODE + ", initial_sock: 3 %", "6:27", "initial_sock", "initial_soc"),
        ("at: 60 s,", "at: 60 s, severty: 0.5,", "13:51", "severty", "severity"),
        ("loss: 2 %", "latncy: 2 ms", "11:30", "latncy", "latency"),
        ("  links:", "  default: {latncy: 2 ms}\n  links:", "10:13", "latncy", "latency"),
        ("loss: 2 %", "loss: {gilbert_elliott: {p: 1 %, r: 2 %, god: 1 %}}", "11:71", "god", "good"),
        (RULE[0], RULE[1].replace("}]}", ", four: 2 s}]}"), "4:71", "four", "for"),
        (NODE, NODE + ", recovery: {rules: [], polcy: none}", "6:49", "polcy", "policy"),
        ("nodes:", "environment: {bta: 1 deg}\nnodes:", "4:15", "bta", "beta"),
        (CONDITION, f"{CONDITION}\n    untl: 20 s", "16:5", "untl", "until"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(old, new, place, key, suggestion):
    assert wrong(old, new) == (f"D121 {place} unknown key `{key}`", f"did you mean `{suggestion}`?")


def test_an_unknown_key_that_resembles_nothing_is_answered_with_the_possible_ones():
    found = wrong("HUB: {type: gateway", "HUB: {type: gateway, colour: red")
    assert found == ("D121 7:24 unknown key `colour`", "keys here: count, type")


def test_a_long_unknown_key_is_shortened():
    message, _ = wrong("nodes:", f"{'x' * 500}: 1\nnodes:")
    assert len(message) < 80


def test_a_key_of_another_node_type_is_unknown():
    found = wrong("HUB: {type: gateway", "HUB: {type: gateway, to: SAT1")
    assert found[0] == "D121 7:24 unknown key `to`"


@pytest.mark.parametrize("name", ["type", "position", "neighbours", "satellite", "gateway", "count"])
def test_a_node_may_be_named_like_a_key(name):
    error = wrong("HUB: {type: gateway}", f"HUB: {{type: gateway}}\n  {name}: {{type: gateway, cont: 3}}")
    assert error[1] == "did you mean `count`?"
    assert f" 8:{len(name) + 21} " in error[0]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("name: probe\n", "", ("D122 1:1 key `name` is missing", "name: what a person calls it")),
        ("duration: 10 min\n", "", ("D122 1:1 key `duration` is missing", "duration: simulated time")),
        (", to: HUB", "", ("D122 8:3 key `to` is missing in `nodes.METER`", "to: node that takes the packets")),
        ("at: 60 s, ", "", ("D122 13:5 key `at` is missing in `faults.0`", "at: when it begins")),
        (
            "{type: gateway}",
            "{}",
            ("D122 7:3 key `type` is missing in `nodes.HUB`", "type: satellite, sensor or gateway"),
        ),
        ("{type: gateway}", "{tpye: gateway}", ("D122 7:3 key `type` is missing in `nodes.HUB`", "rename `tpye`")),
        (
            "loss: 2 %",
            "loss: {gilbert_elliott: {p: 1 %}}",
            (
                "D122 11:37 key `r` is missing in `network.links.0.loss.gilbert_elliott`",
                "r: probability per packet of bad to good",
            ),
        ),
        (
            RULE[0],
            RULE[1].replace("when: battery.soc < 10 %", ""),
            (
                "D122 4:20 key `when` is missing in `recovery.rules.0`",
                "when: condition on the node's own signals: `battery.temperature > 50 degC`",
            ),
        ),
    ],
)
def test_a_missing_key_is_named_with_what_it_means(old, new, found):
    assert wrong(old, new) == found


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("nodes:", "nods:", "nodes"),
        ("to: HUB", "too: HUB", "to"),
        ("node: SAT1", "nod: SAT1", "node"),
        ("loss: 2 %", "loss: {gilbert_eliott: {p: 1 %, r: 2 %}}", "gilbert_elliott"),
    ],
)
def test_a_misspelled_key_that_is_required_is_one_mistake(old, new, key):
    message, hint = wrong(old, new)
    assert message.startswith("D121")
    assert hint == f"did you mean `{key}`?"


@pytest.mark.parametrize(
    ("first_line", "found"),
    [
        ("", ("D120 1:1 key `kind` is missing", "start with: kind: scenario")),
        ("kind: scenrio\n", ("D120 1:7 unknown kind `scenrio`", "did you mean `scenario`?")),
        ("kind: 3\n", ("D120 1:7 unknown kind `3`", "known kinds: scenario")),
        ("kind: [a]\n", ("D120 1:7 unknown kind `['a']`", "known kinds: scenario")),
        ("kind: [a]\nduration_s: 3\n", ("D120 1:7 unknown kind `['a']`", "known kinds: scenario")),
    ],
)
def test_the_kind_decides_what_the_document_is(first_line, found):
    assert wrong("kind: scenario\n", first_line) == found


@pytest.mark.parametrize("text", ["[1, 2]", "hello", "3"])
def test_a_document_is_a_mapping(text):
    (error,) = all_wrong(text)
    assert (error.code, error.message) == ("D120", "the document is not a mapping")
    assert (error.span.line, error.span.column, error.hint) == (1, 1, "start with: kind: scenario")


@pytest.mark.parametrize(
    ("type_", "found"),
    [
        ("gatway", ("D123 7:15 nodes.HUB.type: unknown type `gatway`", "did you mean `gateway`?")),
        ("rover", ("D123 7:15 nodes.HUB.type: unknown type `rover`", "possible: satellite, sensor, gateway")),
        ("null", ("D123 7:15 nodes.HUB.type: must be a word, not null", "possible: satellite, sensor, gateway")),
        ("[a]", ("D123 7:15 nodes.HUB.type: must be a word, not a list", "possible: satellite, sensor, gateway")),
    ],
)
def test_an_unknown_node_type_is_answered_with_the_possible_ones(type_, found):
    assert wrong("type: gateway", f"type: {type_}") == found


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (
            "thermal_runaway",
            "thermal_runway",
            ("D123 13:12 faults.0.type: unknown type `thermal_runway`", "thermal_runaway"),
        ),
        ("nodes:", "recovery: sfe_mode\nnodes:", ("D123 4:11 recovery: unknown word `sfe_mode`", "safe_mode")),
        (
            RULE[0],
            RULE[1].replace("thermal_runaway", "thermal"),
            ("D123 4:28 recovery.rules.0.fault: unknown word `thermal`", "thermal_runaway"),
        ),
    ],
)
def test_an_unknown_word_is_answered_with_the_nearest_one(old, new, found):
    assert wrong(old, new) == (found[0], f"did you mean `{found[1]}`?")


@pytest.mark.parametrize("value", ["[1]", "null", "3"])
def test_a_recovery_that_is_neither_word_nor_mapping_is_one_mistake(value):
    message, hint = wrong("nodes:", f"recovery: {value}\nnodes:")
    assert "recovery: must be a word, not" in message
    assert hint == "possible: none, safe_mode"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("10 min", "600", ("D124 3:11 duration: 600 has no unit", "write 600 s")),
        ("60 s", "60", ("D124 13:45 faults.0.at: 60 has no unit", "write 60 s")),
        (
            "10 min",
            "10 mins",
            (
                "D124 3:11 duration: '10 mins' has the unknown unit 'mins'",
                "did you mean min? duration takes s, d, h, min, ms, us, ns",
            ),
        ),
        (
            "10 min",
            "10 degC",
            ("D124 3:11 duration: '10 degC' has the unknown unit 'degC'", "duration takes s, d, h, min, ms, us, ns"),
        ),
        ("10 min", "-3 s", ("D124 3:11 duration: '-3 s' is negative, a duration is at least 0 s", None)),
        ("10 min", "[1]", ("D124 3:11 duration: [1] is not a quantity", "write a number and a unit, such as 20 min")),
        (
            NODE,
            NODE + ", initial_temperature: warm",
            (
                "D124 6:48 nodes.SAT2.initial_temperature: 'warm' is not a quantity",
                "write a number and a unit, such as 20 degC",
            ),
        ),
        ("to: HUB", "to: HUB, size: 64", ("D124 8:40 nodes.METER.size: 64 has no unit", "write 64 B")),
        (
            "to: HUB",
            "to: HUB, size: 3 bit",
            (
                "D124 8:40 nodes.METER.size: '3 bit' has the unknown unit 'bit'",
                "data size takes B, kB, KiB, MB, MiB, GB, GiB",
            ),
        ),
        ("loss: 2 %", "loss: [1]", ("D124 11:36 network.links.0.loss: [1] is not a quantity", "write a number")),
        ("loss: 2 %", "loss: few", ("D124 11:36 network.links.0.loss: 'few' is not a quantity", "write a number")),
        (
            "nodes:",
            "environment: {beta: 20}\nnodes:",
            ("D124 4:21 environment.beta: 20 has no unit", "write 20 deg"),
        ),
    ],
)
def test_a_quantity_has_a_unit_of_its_dimension(old, new, found):
    assert wrong(old, new) == found


HINT_POSITION = "write three lengths: [0 km, 0 km, 420 km]"


@pytest.mark.parametrize(
    ("position", "found"),
    [
        ("[1 km, 2 km]", ("D124 6:37 nodes.SAT2.position: a position has 3 lengths, not 2", HINT_POSITION)),
        ("[1 km, 2 km, 3 km, 4 km]", ("D124 6:37 nodes.SAT2.position: a position has 3 lengths, not 4", HINT_POSITION)),
        ("here", ("D124 6:37 nodes.SAT2.position: 'here' is no position", HINT_POSITION)),
        ("'[1, 2] km'", ("D124 6:37 nodes.SAT2.position: '[1, 2] km' is no position", HINT_POSITION)),
        (
            "'[1, x, 3] km'",
            ("D124 6:37 nodes.SAT2.position: 'x km' is not a quantity", "write a number and a unit, such as 20 km"),
        ),
        ("{x: 1 km}", ("D124 6:37 nodes.SAT2.position: this is no position", HINT_POSITION)),
        ("[1 km, 2, 3 km]", ("D124 6:44 nodes.SAT2.position.1: 2 has no unit", "write 2 km")),
        ("[0 km, 0 km, 2e6 km]", ("D123 6:50 nodes.SAT2.position.2: must be at most 1e+06, not `2e6 km`", None)),
    ],
)
def test_a_position_is_three_lengths(position, found):
    assert wrong(NODE, f"{NODE}, position: {position}") == found


@pytest.mark.parametrize("position", ["[1 km, 2000 m, 420 km]", "'[1, 2, 420] km'", "'[1000,2000, 420e3]m'"])
def test_a_position_may_be_written_with_one_unit_or_three(position):
    scenario = load(changed(NODE, f"{NODE}, position: {position}")).scenario
    assert scenario.nodes[1].position_km == (1, 2, 420)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("for: 2 min", "for: 2 min, severity: 1.5", "D123 13:73 faults.0.severity: must be at most 1, not 1.5"),
        ("for: 2 min", "for: 2 min, severity: 0.05", "D123 13:73 faults.0.severity: must be at least 0.1, not 0.05"),
        ("for: 2 min", "for: 2 min, severity: .nan", "D123 13:73 faults.0.severity: must be a finite number, not nan"),
        ("for: 2 min", "for: 2 min, severity: high", "D123 13:73 faults.0.severity: must be a number, not `high`"),
        ("for: 2 min", "for: 2 min, severity: true", "D123 13:73 faults.0.severity: must be a number, not true"),
        ("for: 2 min", "for: 0 s", "D123 13:56 faults.0.for: must be above 0, not `0 s`"),
        ("2 %", "200 %", "D123 11:36 network.links.0.loss: must be at most 1, not `200 %`"),
        ("2 %", "-0.1", "D123 11:36 network.links.0.loss: must be at least 0, not -0.1"),
        ("loss: 2 %", "bandwidth: 0 bit/s", "D123 11:41 network.links.0.bandwidth: must be above 0, not `0 bit/s`"),
        (NODE, NODE + ", initial_soc: 140 %", "D123 6:40 nodes.SAT2.initial_soc: must be at most 1, not `140 %`"),
        (
            NODE,
            NODE + ", initial_temperature: 90 degC",
            "D123 6:48 nodes.SAT2.initial_temperature: must be at most 60, not `90 degC`",
        ),
        ("10 min", "0 s", "D123 3:11 duration: must be above 0, not `0 s`"),
        ("to: HUB", "to: HUB, count: 0", "D123 8:41 nodes.METER.count: must be at least 1, not 0"),
        ("to: HUB", "to: HUB, count: 10001", "D123 8:41 nodes.METER.count: must be at most 10000, not 10001"),
        ("to: HUB", "to: HUB, count: 1.5", "D123 8:41 nodes.METER.count: must be a whole number, not 1.5"),
        ("to: HUB", "to: HUB, count: '3'", "D123 8:41 nodes.METER.count: must be a whole number, not `3`"),
        ("to: HUB", "to: HUB, size: 0 B", "D123 8:40 nodes.METER.size: must be at least 1, not `0 B`"),
        (
            "nodes:",
            "environment: {beta: 91 deg}\nnodes:",
            "D123 4:21 environment.beta: must be at most 90, not `91 deg`",
        ),
        (
            "nodes:",
            "environment: {beta: -2 rad}\nnodes:",
            "D123 4:21 environment.beta: must be at least -90, not `-2 rad`",
        ),
        ("nodes:", "seed: -1\nnodes:", "D123 4:7 seed: must be at least 0, not -1"),
        ("nodes:", "seed: true\nnodes:", "D123 4:7 seed: must be a whole number, not true"),
        (
            "nodes:",
            "seed: 9223372036854775808\nnodes:",
            "D123 4:7 seed: must be below 9223372036854775808, not 9223372036854775808",
        ),
    ],
)
def test_a_value_out_of_range_is_shown_as_written_with_its_limit(old, new, found):
    assert wrong(old, new) == (found, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("for: 2 min", "for: 2 min, severity: 0.1"),
        ("for: 2 min", "for: 2 min, severity: 1"),
        ("2 %", "0"),
        ("2 %", "100 %"),
        ("to: HUB", "to: HUB, count: 1"),
        ("nodes:", "environment: {beta: 90 deg, phase: -360 deg}\nnodes:"),
        ("nodes:", f"seed: {2**63 - 1}\nnodes:"),
        ("at: 60 s, for: 2 min", "at: 0 s, for: 10 min"),
    ],
)
def test_limits_belong_to_the_range(old, new):
    assert load(changed(old, new)).warnings == ()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("HUB: {type: gateway}", "HUB: gateway", "D123 7:8 nodes.HUB: must be a mapping, not `gateway`"),
        ("HUB: {type: gateway}", "HUB:", "D123 7:7 nodes.HUB: must be a mapping, not null"),
        ("name: probe", "name: [a]", "D123 2:7 name: must be text, not a list"),
        ("name: probe", "name: ''", "D123 2:7 name: must have at least 1 character, not empty text"),
        ("name: probe", "name: 17", "D123 2:7 name: must be text, not 17"),
        ("faults:\n  -", "faults:\n   ", "D123 13:5 faults: must be a list, not a mapping"),
        ("[SAT2]", "SAT2", "D123 5:39 nodes.SAT1.neighbours: must be a list, not `SAT2`"),
        (f"always: {CONDITION}", "always: 3", "D123 15:13 criteria.0.always: must be text, not 3"),
        (
            "  links:",
            "  partitions: [{groups: [SAT1], at: 3 s, for: 2 s}]\n  links:",
            "D123 10:26 network.partitions.0.groups.0: must be a list, not `SAT1`",
        ),
    ],
)
def test_a_value_of_the_wrong_shape_is_told_the_right_one(old, new, found):
    assert wrong(old, new) == (found, None)


def test_a_scenario_has_at_least_one_node():
    (error,) = all_wrong("kind: scenario\nname: x\nduration: 1 s\nnodes: {}\n")
    assert error.message == "nodes: must have at least 1 entry, not 0"


@pytest.mark.parametrize("name", ["HU B", "-x", "a.b", "", "*"])
def test_a_node_name_fits_into_conditions(name):
    message, hint = wrong("HUB: {", f"OTHER: {{type: gateway}}\n  '{name}': {{type: gateway}}\n  HUB: {{")
    assert message.startswith("D123 8:3 ")
    assert message.endswith(" is no name")
    assert hint.startswith("use letters, digits, - and _")


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


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("at: 60 s", "at: 9 min", "D128 13:57 the fault ends at 11 min, after the scenario, which lasts 10 min"),
        ("60 s, for: 2 min", "9 min", "D128 13:45 the fault ends at 14 min, after the scenario, which lasts 10 min"),
    ],
)
def test_a_fault_ends_before_the_scenario(old, new, found):
    assert wrong(old, new) == (found, "make it shorter; without `for` it lasts 5 min")


def test_a_fault_acts_on_a_node_that_is_there():
    assert wrong("node: SAT1", "node: SAT3") == ("D125 13:35 unknown node `SAT3`", "did you mean `SAT2`?")


@pytest.mark.parametrize(("node", "what"), [("METER", "sensor"), ("HUB", "gateway")])
def test_a_fault_acts_on_satellites_only(node, what):
    message, hint = wrong("node: SAT1", f"node: {node}")
    assert message == f"D131 13:35 thermal_runaway acts on satellites, and `{node}` is a {what}"
    assert hint == "use a partition or loss in `network` for other nodes"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("[SAT2]", "[SAT2, SAT1]", "D129 5:46 `SAT1` cannot be its own neighbour"),
        ("to: HUB", "to: METER", "D129 8:29 `METER` cannot send to itself"),
        ("to: SAT2,", "to: SAT1,", "D129 11:24 a link from `SAT1` to itself"),
    ],
)
def test_a_node_is_no_partner_of_its_own(old, new, found):
    assert wrong(old, new)[0] == found


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("[SAT2]", "[SAT2, SAT3]", "5:46"),
        ("to: HUB", "to: SAT3", "8:29"),
        ("from: SAT1", "from: SAT3", "11:14"),
        ("to: SAT2", "to: SAT3", "11:24"),
        ("  links:", "  partitions: [{groups: [[SAT1], [SAT2, SAT3]], at: 3 s, for: 2 s}]\n  links:", "10:41"),
    ],
)
def test_a_reference_to_a_node_that_is_not_there_is_answered_with_the_nearest(old, new, place):
    assert wrong(old, new) == (f"D125 {place} unknown node `SAT3`", "did you mean `SAT2`?")


def test_count_makes_numbered_nodes():
    scenario = load(changed("to: HUB", "to: HUB, count: 3")).scenario
    assert [node.id for node in scenario.nodes][3:] == ["METER1", "METER2", "METER3"]


def test_a_mistake_in_a_counted_node_is_reported_once():
    assert wrong("to: HUB", "to: HUBB, count: 30") == ("D125 8:29 unknown node `HUBB`", "did you mean `HUB`?")


@pytest.mark.parametrize("count", [2, 9000])
def test_names_made_by_count_that_clash_are_reported_once_per_entry(count):
    text = changed("METER: {type: sensor", f"METER1: {{type: gateway}}\n  METER: {{type: sensor, count: {count}")
    (error,) = all_wrong(text)
    assert (error.code, error.message) == ("D130", "two nodes have the name `METER1`")
    assert (error.span.line, error.span.column) == (9, 3)


def test_too_many_nodes_are_refused_before_they_are_made():
    hubs = "".join(f"  N{i}x: {{type: gateway, count: 10000}}\n" for i in range(2000))
    errors = all_wrong(RIGHT.replace("  HUB:", hubs + "  HUB:"))
    assert [error.code for error in errors] == ["D136"]
    assert errors[0].message == "20000004 nodes are more than 10000"
    assert (errors[0].span.line, errors[0].span.column) == (4, 1)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("10 min", "10 d\nstep: 1 ms", "D136 4:7 864000000 steps are more than 50000000"),
        ("10 min", "1000 d", "D136 3:11 864000000 steps are more than 50000000"),
    ],
)
def test_too_many_steps_are_refused_where_they_are_written(old, new, found):
    assert wrong(old, new) == (found, "use a longer step or a shorter duration")


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("11 min", "D138 4:7 a step of 11 min is longer than the scenario"),
        ("3 s", "D138 4:7 a step of 3 s is too long for satellites, at most 2 s"),
    ],
)
def test_a_step_too_long_to_be_believed_is_refused(step, found):
    assert wrong("10 min", f"10 min\nstep: {step}")[0] == found


def test_sensors_alone_may_have_longer_steps():
    text = changed("10 min", "10 min\nstep: 1 min").replace("{type: satellite}", "{type: gateway}")
    text = text[: text.index("  SAT1")] + text[text.index("  HUB") : text.index("network")]
    assert load(text + "criteria: [{always: HUB.missing < 3}]\n").scenario.step_ns == 60_000_000_000


def test_a_link_has_the_default_of_the_network_for_what_it_does_not_say():
    scenario = load(changed("  links:", "  default: {latency: 7 ms, loss: 5 %}\n  links:")).scenario
    (link,) = scenario.network.links
    assert (link.model.latency_ns, link.model.loss) == (7_000_000, Loss(loss_good=0.02))
    assert scenario.network.default.loss == Loss(loss_good=0.05)


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


def test_faults_are_in_the_order_of_their_start():
    text = changed("  - {type: thermal", "  - {type: comms_dropout, node: SAT2, at: 61 s}\n  - {type: thermal")
    assert [fault.node for fault in load(text).scenario.faults] == ["SAT1", "SAT2"]


def test_references_are_reported_all_at_once_and_from_top_to_bottom():
    text = changed("[SAT2]", "[SAT3]", "to: HUB", "to: HUBB", "node: SAT1", "node: METER", CONDITION, "SAT1.mode")
    assert [(error.code, error.span.line) for error in all_wrong(text)] == [
        ("D125", 5),
        ("D125", 8),
        ("D131", 13),
        ("D127", 15),
    ]


FOUR = """\
kind: scenario
name: broken
duration: 1200
nodes:
  SAT1: {type: satelite}
faults:
  - {type: thermal_runaway, node: SAT1, at: 60 s, severity: 1.5}
citeria: []
"""

FOUR_RENDERED = """\
error[D124]: duration: 1200 has no unit
  --> f.yaml:3:11
   |
  3| duration: 1200
   |           ^^^^
hint: write 1200 s

error[D123]: nodes.SAT1.type: unknown type `satelite`
  --> f.yaml:5:16
   |
  5|   SAT1: {type: satelite}
   |                ^^^^^^^^
hint: did you mean `satellite`?

error[D123]: faults.0.severity: must be at most 1, not 1.5
  --> f.yaml:7:61
   |
  7|   - {type: thermal_runaway, node: SAT1, at: 60 s, severity: 1.5}
   |                                                             ^^^

error[D121]: unknown key `citeria`
  --> f.yaml:8:1
   |
  8| citeria: []
   | ^^^^^^^
hint: did you mean `criteria`?"""


def test_a_file_with_four_errors_is_rendered_with_all_of_them():
    with pytest.raises(DocumentError) as caught:
        load(FOUR)
    assert caught.value.render() == FOUR_RENDERED
