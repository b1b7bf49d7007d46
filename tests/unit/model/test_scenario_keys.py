"""Keys, kinds, types and words that are unknown or missing in a native scenario."""

import pytest
from tests.unit.model.scenario_mistakes import CONDITION, NODE, RIGHT, RULE, all_wrong, load, wrong


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
