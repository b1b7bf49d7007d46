import copy
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.errors import PodiumError
from podium.model.loading import load_mapped, load_scenario
from podium.model.scenario import Scenario
from podium.model.schema import NAMES, document_schema, schema_text
from podium.model.yaml_loader import load_yaml_file

ROOT = Path(__file__).parents[3]
NATIVE = sorted((ROOT / "examples" / "01-campaign").glob("*.yaml"))
DIALECT = sorted((ROOT / "examples" / "02-documented-format").glob("*.yaml"))
EXAMPLES = [*NATIVE, *DIALECT]
every_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
SCHEMAS = {name: jsonschema.Draft202012Validator(document_schema(name)) for name in NAMES}
MAPPED = {path: load_yaml_file(path) for path in EXAMPLES}


def schema_of(path):
    return SCHEMAS["scenario" if path in NATIVE else "campaign-scenario"]


def test_there_are_examples_of_both_formats():
    assert len(NATIVE) >= 6
    assert len(DIALECT) >= 2


@every_example
def test_an_example_loads_without_a_warning(path):
    loaded = load_scenario(path)
    assert loaded.warnings == ()
    assert loaded.scenario.criteria


@every_example
def test_a_scenario_is_the_same_after_json(path):
    scenario = load_scenario(path).scenario
    assert msgspec.json.decode(msgspec.json.encode(scenario), type=Scenario) == scenario


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_schema_is_the_one_of_the_documents(name):
    assert (ROOT / "schemas" / f"{name}.json").read_text(encoding="utf-8") == schema_text(name)


def test_there_is_no_other_committed_schema():
    assert {path.stem for path in (ROOT / "schemas").glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_a_json_schema(name):
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text(name)))


@every_example
def test_an_example_fits_the_schema(path):
    schema_of(path).validate(MAPPED[path].value)


NATIVE_EXAMPLE = MAPPED[ROOT / "examples" / "01-campaign" / "thermal_cascade.yaml"].value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kind",), "scenrio"),
        (("duration",), 600),
        (("duration",), "600"),
        (("duration",), "10 mins"),
        (("duration",), "1..0 s"),
        (("duratoin",), "3 s"),
        (("seed",), -1),
        (("seed",), "three"),
        (("nodes",), {}),
        (("nodes",), []),
        (("nodes", "SAT1", "type"), "satelite"),
        (("nodes", "SAT1", "initial_sock"), "3 %"),
        (("nodes", "SAT1", "initial_soc"), 1.5),
        (("nodes", "SAT1", "position"), ["1 km", "2 km"]),
        (("nodes", "SAT1", "position"), ["1 km", "2 km", 3]),
        (("nodes", "SAT1", "position"), "[1, 2] km"),
        (("nodes", "METER"), {"type": "sensor", "to": "SAT1", "size": "3 byte"}),
        (("nodes", "METER"), {"type": "sensor"}),
        (("recovery",), "sfe_mode"),
        (("recovery",), {"rules": [{"fault": "thermal_runaway"}]}),
        (("network",), {"default": {"loss": {"gilbert_elliott": {"p": "1 %"}}}}),
        (("faults", 0, "severity"), 1.5),
        (("faults", 0, "type"), "meteor"),
        (("criteria", 0, "always"), 3),
    ],
)
def test_what_the_schema_refuses_is_refused_by_the_loader(path, value):
    document = changed(NATIVE_EXAMPLE, path, value)
    assert not SCHEMAS["scenario"].is_valid(document)
    with pytest.raises(PodiumError):
        load_mapped(MAPPED[EXAMPLES[0]].with_value(document), {})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("nodes", "SAT1", "position"), "[1, 2e0, .5] km"),
        (("nodes", "SAT1", "position"), ["1 km", " 2m ", "3.E2 cm"]),
        (("nodes", "SAT1", "initial_soc"), 0.5),
        (("nodes", "SAT1", "initial_soc"), "0.5"),
        (("nodes", "SAT1", "recovery"), None),
        (("network",), {"default": {"loss": {"gilbert_elliott": {"p": "1 %", "r": 0.1}}, "bandwidth": "1 kbit/s"}}),
        (("nodes", "METER"), {"type": "sensor", "to": "SAT1", "count": 3, "size": "1 KiB"}),
        (("duration",), "1.5E0 h"),
        (("seed",), 2**63 - 1),
        (("criteria", 0), {"within": "3 s", "holds": "SAT1.mode == safe", "from": "1 s", "until": "9 s"}),
    ],
)
def test_what_the_loader_takes_fits_the_schema(path, value):
    document = changed(NATIVE_EXAMPLE, path, value)
    load_mapped(MAPPED[EXAMPLES[0]].with_value(document), {})
    SCHEMAS["scenario"].validate(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("satellites",), []),
        (("satellites", 0, "id"), "x" * 17),
        (("satellites", 0, "id"), ""),
        (("duration_s",), 30),
        (("fault_sequence",), [{"type": "thermal_runaway", "satellite": "SAT1"}]),
        (("success_criteria", "min_battery_soc"), 1.5),
    ],
)
def test_the_schema_of_the_documented_format_refuses_what_the_loader_refuses(path, value):
    document = changed(MAPPED[DIALECT[0]].value, path, value)
    assert not SCHEMAS["campaign-scenario"].is_valid(document)
    with pytest.raises(PodiumError):
        load_mapped(MAPPED[DIALECT[0]].with_value(document), {})


def changed(document, path, value):
    """Return a copy with a value set, or taken away when it is `...`."""
    copied = copy.deepcopy(document)
    container = copied
    for part in path[:-1]:
        container = container[part]
    if value is ...:
        del container[path[-1]]
    else:
        container[path[-1]] = value
    return copied


def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def value_at(value, path):
    for part in path:
        value = value[part]
    return value


WORDS = [
    "", "SAT1", "SAT9", "none", "safe_mode", "satellite", "sensor", "gateway", "kind", "1 s", "-1 s", "1e200 d", "1 ns",
    "1e-200 s", "5 %", "3 km", "1e9999 km", "*.battery.soc > 1", "SAT1.mode == safe", "SAT1.mode", "[1, 2, 3] km",
    "long", "short", "type", "[key]", "\x00", "\ud800", "\u00b2", "nan", "inf s",
]  # fmt: skip
numbers = st.integers() | st.floats() | st.sampled_from([0, 1, 2**63, 10**400, -1, 1e308])
scalars = st.none() | st.booleans() | numbers | st.sampled_from(WORDS) | st.text(max_size=10)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=8), inner),
    max_leaves=6,
)


@st.composite
def mutants(draw):
    example = draw(st.sampled_from(range(len(EXAMPLES))))
    document = MAPPED[EXAMPLES[example]].value
    for _ in range(draw(st.integers(1, 3))):
        there = list(places(document))
        if not there:
            break
        path = draw(st.sampled_from(there))
        action = draw(st.sampled_from(["replace", "delete", "add", "rename", "swap"]))
        parent = value_at(document, path[:-1])
        if action == "replace":
            document = changed(document, path, draw(anything))
        elif action == "delete":
            document = changed(document, path, ...)
        elif action == "swap":
            document = changed(document, path, copy.deepcopy(value_at(document, draw(st.sampled_from(there)))))
        elif isinstance(parent, dict):
            key = draw(st.sampled_from([*WORDS, *{str(part) for place in there for part in place}]))
            value = parent[path[-1]] if action == "rename" else draw(anything)
            document = changed(document, path, ...) if action == "rename" else document
            document = changed(document, (*path[:-1], key), value)
    return example, document


@settings(max_examples=400, deadline=None)
@given(mutants())
def test_a_mutated_example_is_a_scenario_or_an_error_for_people(mutant):
    example, document = mutant
    try:
        scenario = load_mapped(MAPPED[EXAMPLES[example]].with_value(document), {}).scenario
    except PodiumError as error:
        found = error.diagnostics
    else:
        found = ()
        assert msgspec.json.decode(msgspec.json.encode(scenario), type=Scenario) == scenario
    assert all(d.code.startswith("D") and d.message and d.span and d.span.line >= 1 and d.render() for d in found)
