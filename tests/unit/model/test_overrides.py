import contextlib
import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import DocumentError, PodiumError, UsageError
from podium.model.loading import load_scenario
from podium.model.overrides import overridden, parse_assignment

EXAMPLES = Path(__file__).parents[3] / "examples"
NATIVE = EXAMPLES / "01-campaign" / "thermal_cascade.yaml"
DIALECT = EXAMPLES / "02-documented-format" / "cascade_fail.yaml"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("recovery=none", ("recovery", "none")),
        ("a.b = 3 s ", ("a.b", "3 s")),
        ("a=b=c", ("a", "b=c")),
        ("a=", ("a", "")),
    ],
)
def test_an_assignment_is_split_at_its_first_equals_sign(text, found):
    assert parse_assignment(text) == found


@pytest.mark.parametrize("text", ["recovery", "", "=3", " = 3"])
def test_what_has_no_key_or_no_equals_sign_is_no_assignment(text):
    with pytest.raises(UsageError, match="is no assignment") as caught:
        parse_assignment(text)
    (error,) = caught.value.diagnostics
    assert (error.code, error.hint) == ("U420", "write key=value, such as recovery=none")


@pytest.mark.parametrize(
    ("document", "path", "text", "expected"),
    [
        ({"a": 1}, "a", "2", {"a": 2}),
        ({"a": 1}, "b", "2", {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, "a.b", "x", {"a": {"b": "x", "c": 2}}),
        ({}, "a.b.c", "true", {"a": {"b": {"c": True}}}),
        ({"a": [1, 2]}, "a.1", "3", {"a": [1, 3]}),
        ({"a": [{"b": 1}]}, "a.0.b", "2", {"a": [{"b": 2}]}),
        ({"a": [{}]}, "a.0.b.c", "2", {"a": [{"b": {"c": 2}}]}),
        ({"a": {"0": 1}}, "a.0", "2", {"a": {"0": 2}}),
        ({"a": 1}, "a", "[1, {b: 2}]", {"a": [1, {"b": 2}]}),
        ({"a": 1}, "a", "5 min", {"a": "5 min"}),
        ({"a": 1}, "a", "", {"a": ""}),
        ({"a": 1}, "a", "null", {"a": None}),
        ({"a": {"b": 1}}, "a", "2", {"a": 2}),
    ],
)
def test_a_path_leads_through_mappings_and_lists(document, path, text, expected):
    before = copy.deepcopy(document)
    assert overridden(document, {path: text}) == expected
    assert document == before


def test_later_assignments_see_earlier_ones():
    assert overridden({}, {"a": "[1, 2]", "a.0": "3"}) == {"a": [3, 2]}


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"a": [1]}, "a.1", "`a.1`: `1` is no position in a list of 1"),
        ({"a": [1]}, "a.-1", "`a.-1`: `-1` is no position in a list of 1"),
        ({"a": [1]}, "a.x", "`a.x`: `x` is no position in a list of 1"),
        ({"a": [1]}, "a.\u00b2", "`a.\u00b2`: `\u00b2` is no position in a list of 1"),
        ({"a": [1]}, f"a.{'9' * 5000}", None),
        ({"a": []}, "a.0", "`a.0`: `0` is no position in a list of 0"),
        ({"a": [1]}, "a.3.b", "`a.3.b`: `3` is no position in a list of 1"),
        ({"a": 1}, "a.b", "`a.b`: there is nothing below a single value at `b`"),
        ({"a": None}, "a.b", "`a.b`: there is nothing below a single value at `b`"),
        ({"a": "text"}, "a.0.c", "`a.0.c`: there is nothing below a single value at `0`"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(document, path, message):
    before = copy.deepcopy(document)
    with pytest.raises(UsageError) as caught:
        overridden(document, {path: "1"})
    (error,) = caught.value.diagnostics
    assert error.code == "U421"
    assert message in {error.message, None}
    assert document == before


def test_a_very_long_path_is_no_problem():
    result = overridden({}, {"a." * 5000 + "b": "1"})
    for _ in range(5000):
        result = result["a"]
    assert result == {"b": 1}


def test_a_value_that_is_no_yaml_is_refused():
    with pytest.raises(UsageError) as caught:
        overridden({}, {"a": "[1"})
    assert caught.value.diagnostics[0].code == "U420"
    with pytest.raises(UsageError):
        parse_assignment("a=[1")


@pytest.mark.parametrize("path", [NATIVE, DIALECT], ids=["native", "dialect"])
@pytest.mark.parametrize(
    ("key", "value", "read", "expected"),
    [
        ("seed", "3", lambda s: s.seed, 3),
        ("recovery", "none", lambda s: {node.recovery.policy for node in s.nodes}, {"none"}),
        ("step", "500 ms", lambda s: s.step_ns, 500_000_000),
        ("name", "other", lambda s: s.name, "other"),
        ("faults.0.severity", "1", lambda s: s.faults[0].severity, 1.0),
        ("nodes.SAT2.initial_soc", "50 %", lambda s: s.nodes[1].settings["initial_soc"], 0.5),
        ("nodes.SAT2.recovery.policy", "none", lambda s: [node.recovery.policy for node in s.nodes][1], "none"),
        ("network.default.loss", "1 %", lambda s: s.network.default.loss.loss_good, 0.01),
        ("environment.beta", "60 deg", lambda s: s.environment["beta"], 60),
    ],
)
def test_native_keys_are_set_in_documents_of_any_format(path, key, value, read, expected):
    assert read(load_scenario(path, {key: value}).scenario) == expected


@pytest.mark.parametrize(
    ("key", "value", "read", "expected"),
    [
        ("duration_s", "900", lambda s: s.duration_ns, 900 * 10**9),
        ("success_criteria.max_temperature_c", "10", lambda s: s.criteria[2].threshold.value, 10.0),
        ("fault_sequence.0.severity", "0.2", lambda s: s.faults[0].severity, 0.2),
        ("fault_sequence", "[]", lambda s: s.faults, ()),
        ("satellites.0.initial_position_km", "[5, 0, 400]", lambda s: s.nodes[0].position_km, (5, 0, 400)),
    ],
)
def test_keys_of_the_documented_format_are_set_in_it(key, value, read, expected):
    assert read(load_scenario(DIALECT, {key: value}).scenario) == expected


def test_keys_of_both_kinds_are_set_together():
    values = {"duration_s": "900", "recovery": "none", "seed": "3", "success_criteria.max_temperature_c": "10"}
    loaded = load_scenario(DIALECT, values)
    assert (loaded.scenario.duration_ns, loaded.scenario.seed, loaded.has_seed) == (900 * 10**9, 3, True)


def test_what_was_set_is_checked_like_what_was_written():
    with pytest.raises(DocumentError, match=r"^Fault at 60s with duration 600s exceeds test duration 600s$"):
        load_scenario(DIALECT, {"duration_s": "600"})
    with pytest.raises(DocumentError, match="unknown key `recvery`"):
        load_scenario(DIALECT, {"recvery": "none"})
    with pytest.raises(DocumentError, match="600 has no unit"):
        load_scenario(NATIVE, {"duration": "600"})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab01"), inner, max_size=3),
    max_leaves=8,
)
paths = st.lists(st.sampled_from(["a", "b", "0", "1", "", "x"]), min_size=1, max_size=4).map(".".join)


def value_at(value, path):
    for part in path.split("."):
        value = value[int(part) if isinstance(value, list) else part]
    return value


@given(st.dictionaries(st.sampled_from("ab01"), values), paths, st.integers())
def test_the_value_stands_at_its_path_and_the_document_stays_as_it_is(document, path, value):
    before = copy.deepcopy(document)
    result = None
    with contextlib.suppress(UsageError):
        result = overridden(document, {path: str(value)})
    assert result is None or value_at(result, path) == value
    assert document == before


@given(paths | st.text(max_size=20), st.text(max_size=20))
def test_any_assignment_gives_a_document_or_an_error_for_people(path, text):
    with contextlib.suppress(PodiumError):
        assert isinstance(overridden({"a": [{"b": 1}], "b": {"a": "x"}}, {path: text}), dict)
