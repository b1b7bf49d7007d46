"""Values of a native scenario: units, ranges, shapes and names."""

import pytest
from tests.unit.model.scenario_mistakes import CONDITION, NODE, all_wrong, changed, load, wrong


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
