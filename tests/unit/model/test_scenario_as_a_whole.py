"""How the parts of a native scenario fit together: references, faults in time, numbers of nodes and steps."""

import pytest
from tests.unit.model.scenario_mistakes import CONDITION, RIGHT, all_wrong, changed, load, wrong

from podium.errors import DocumentError
from podium.model.scenario import Loss


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
