"""The native document of layers: what it says, and every mistake in it with its code, place and hint."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import DocumentError
from podium.model.layers_loading import load_layers, load_layers_text
from podium.model.layers_merging import merged

GOOD = """kind: layers
name: shop
layers:
  fast:
    budget: 2 min
    mode: sequential
    fail_fast: true
    categories:
      - {name: unit, priority: high, timeout: 60 s, parallel: auto, pytest: {paths: [tests]}}
    environments:
      staging: {budget: 3 min, success: {max_failures: 2}, limits: {cpu: 50 %}}
      dev: {categories: [{name: quick, shell: make quick}]}
    limits: {memory: 1 GB, cpu: 90 %}
services:
  redis: {running: true, health: "localhost:6379"}
environments:
  staging: {services: {redis: {health: "stage:6379"}}}
"""


def test_a_document_says_what_is_written():
    loaded = load_layers_text(GOOD)
    fast = loaded.document.layers["fast"]
    assert (fast.budget, fast.mode, fast.fail_fast) == (120_000_000_000, "sequential", True)
    assert (fast.categories[0].priority, fast.categories[0].parallel) == ("high", "auto")
    assert fast.limits.memory == 1e9
    assert loaded.environments == ("staging", "development")
    assert loaded.warnings == ()


def test_an_environment_changes_only_what_it_names():
    staging, _ = load_layers_text(GOOD).in_environment("staging")
    assert staging.layers["fast"].budget == 180_000_000_000
    assert staging.layers["fast"].limits.memory == 1e9
    assert staging.layers["fast"].limits.cpu == 0.5
    assert staging.services["redis"].health == "stage:6379"


@pytest.mark.parametrize("name", ["dev", "development"])
def test_an_environment_has_one_name_and_a_short_one(name):
    document, _ = load_layers_text(GOOD).in_environment(name)
    assert [category.name for category in document.layers["fast"].categories] == ["quick"]


def test_looking_at_an_environment_leaves_the_document_as_it_is():
    loaded = load_layers_text(GOOD)
    before = copy.deepcopy(loaded.placed.value)
    for environment in ("staging", "dev", "production"):
        loaded.in_environment(environment)
    assert loaded.placed.value == before
    assert loaded.in_environment("production")[0].layers["fast"].budget == 120_000_000_000


def test_what_is_different_stands_where_the_override_is():
    _, placed = load_layers_text(GOOD).in_environment("staging")
    assert placed.span("layers", "fast", "budget").line == 11
    assert placed.span("layers", "fast", "limits", "memory").line == 13
    assert placed.span("services", "redis", "health").line == 17


values = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(mappings, mappings)
def test_merging_changes_neither_side_and_keeps_what_is_not_named(base, override):
    before = copy.deepcopy((base, override))
    result = merged(base, override)
    assert (base, override) == before
    assert {key: result[key] for key in base.keys() - override.keys()} == {
        key: base[key] for key in base.keys() - override.keys()
    }
    for key, value in override.items():
        if not (isinstance(value, dict) and isinstance(base.get(key), dict)):
            assert result[key] == value
    assert merged(result, override) == result


HEAD = "kind: layers\n"
ONE = "layers: {a: {categories: [{name: c, shell: x}]}}\n"


def all_wrong(text):
    with pytest.raises(DocumentError) as caught:
        load_layers_text(text)
    for error in caught.value.diagnostics:
        assert error.span.text == text.splitlines()[error.span.line - 1]
        assert error.hint
    return [error for error in caught.value.diagnostics if error.severity == "error"]


def wrong(body):
    (error,) = all_wrong(HEAD + body)
    return f"{error.code} {error.span.line - 1}:{error.span.column} {error.message}"


CAT = "categories: [{name: c, shell: x}]"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("layers: {a: {categories: [{name: c, shell: x, pytest: {}}]}}\n", "D160 1:37 `c` has `pytest` and `shell`"),
        ("layers: {a: {categories: [{name: c, report: {}}]}}\n", "D160 1:37 key `report` has no meaning without a"),
        ("layers: {a: {categories: [{name: c, run: x, shards: 2}]}}\n", "D160 1:45 key `shards` has no meaning with"),
        ("layers: {a: {categories: [{name: c, pytest: {}, cwd: x}]}}\n", "D160 1:49 key `cwd` has no meaning with"),
        ("layers: {a: {categories: [{name: c, shell: x, filters: {}}]}}\n", "D160 1:47 key `filters` has no meaning"),
        (f"layers: {{a: {{needs: [b], {CAT}}}}}\n", "D166 1:22 unknown layer `b`"),
        (f"layers: {{a: {{conflicts: [b], {CAT}}}}}\n", "D166 1:26 unknown layer or category `b`"),
        ("layers: {a: {categories: [{name: c, shell: x, needs: [d]}]}}\n", "D166 1:55 unknown category `d`"),
        (f"{ONE}modes: {{m: [b]}}\n", "D166 2:13 unknown layer `b`"),
        (f"{ONE}modes: {{m: {{layers: [a, b]}}}}\n", "D166 2:25 unknown layer `b`"),
        (f"layers: {{a: {{services: [pg], {CAT}}}}}\n", "D167 1:25 unknown service `pg`"),
        (f"{ONE}environments: {{test: {{services: {{x: {{}}}}}}}}\n", "D167 2:34 unknown service `x`"),
        (
            "layers: {a: {categories: [{name: c, shell: x}, {name: c, shell: y}]}}\n",
            "D169 1:55 two categories of `a` have the name `c`",
        ),
        (f"layers: {{a: {{needs: [a], {CAT}}}}}\n", "D170 1:22 circular dependency detected in layers: a -> a"),
        (
            f"layers: {{a: {{needs: [b], {CAT}}}, b: {{needs: [a], categories: [{{name: d, shell: x}}]}}}}\n",
            "D170 1:22 circular dependency detected in layers: a -> b -> a",
        ),
        (
            "layers: {a: {categories: [{name: c, shell: x, needs: [c]}]}}\n",
            "D170 1:55 circular dependency detected in categories: c -> c",
        ),
        (
            f"layers: {{a: {{categories: [{{name: d, shell: x, needs: [c]}}]}}, b: {{needs: [a], {CAT}}}}}\n",
            "D170 1:55 a category of `a` needs `c` of `b`, and `b` needs `a`",
        ),
        (f"{ONE}services: {{s: {{}}}}\n", "D174 2:15 service `s` has exactly one of"),
        (f"{ONE}services: {{s: {{command: [x], image: y}}}}\n", "D174 2:30 service `s` has exactly one of"),
        (f"{ONE}services: {{s: {{running: true}}}}\n", "D174 2:16 nothing says where `s`"),
        (f"{ONE}services: {{s: {{running: true, health: x}}}}\n", "D174 2:39 `x` is no `host:port`"),
        (f"{ONE}services: {{s: {{command: [x], health: {{}}}}}}\n", "D174 2:38 the health of `s` is looked at in"),
        (
            f"{ONE}services: {{s: {{command: [x], health: {{container: true}}}}}}\n",
            "D174 2:39 `s` is no container",
        ),
        (
            f"{ONE}services: {{s: {{image: x, needs: [t]}}, t: {{image: y, needs: [s]}}}}\n",
            "D170 2:34 circular dependency detected in services: s -> t -> s",
        ),
        (f"{ONE}services: {{s: {{image: x, needs: [t]}}}}\n", "D167 2:34 unknown service `t`"),
        (f"layers: {{service: {{{CAT}}}}}\n", "D175 1:10 no layer may be called `service`"),
        (f"layers: {{a/b: {{{CAT}}}}}\n", "D175 1:10 `a/b` is no name of a layer"),
        ("layers: {a: {categories: [{name: c d, shell: x}]}}\n", "D175 1:34 `c d` is no name of a category"),
        (f"{ONE}services: {{s s: {{image: x}}}}\n", "D175 2:12 `s s` is no name of a service"),
        (f"{ONE}quarantine: [{{test: x, until: tomorrow}}]\n", "D179 2:31 `tomorrow` is no day"),
        (
            f"layers: {{a: {{{CAT}, environments: {{dev: {{}}, development: {{}}}}}}}}\n",
            "D180 1:73 `dev` and `development`",
        ),
        (f"{ONE}environments: {{prod: {{}}, production: {{}}}}\n", "D180 2:26 `prod` and `production`"),
        (f"layers: {{a: {{bugdet: 3 s, {CAT}}}}}\n", "D121 1:14 unknown key `bugdet`"),
        (f"layers: {{a: {{budget: 3, {CAT}}}}}\n", "D124 1:22 layers.a.budget: 3 has no unit"),
        (f"layers: {{a: {{limits: {{memory: 3 lb}}, {CAT}}}}}\n", "D124 1:31 layers.a.limits.memory: '3 lb'"),
        ("layers: {a: {categories: []}}\n", "D123 1:26 layers.a.categories: must have at least 1 entry"),
        (f"layers: {{a: {{fail_fast: soon, {CAT}}}}}\n", "D123 1:25 layers.a.fail_fast: unknown word `soon`"),
        (
            f"layers: {{a: {{environments: {{test: {{budget: 0 s}}}}, {CAT}}}}}\n",
            "D123 1:44 layers.a.environments.test.budget: must be above 0",
        ),
    ],
)
def test_a_mistake_is_found_at_its_place(body, found):
    assert wrong(body).startswith(found)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            (
                "layers: {a: {budget: 1 min, mode: sequential, categories: "
                "[{name: c, timeout: 40 s, shell: x}, {name: d, timeout: 30 s, shell: x}]}}\n"
            ),
            "D162 1:22 the timeouts of `a` come to 70 s, and its budget is 1 min",
        ),
        (
            "layers: {a: {budget: 1 min, categories: [{name: c, timeout: 61 s, shell: x}]}}\n",
            "D162 1:22 the timeouts of `a` come to 61 s, and its budget is 1 min",
        ),
        (
            "layers: {a: {parallel: 2, categories: [{name: c, parallel: 3, shell: x}]}}\n",
            "D163 1:60 `c` has 3 parallel instances, and `a` allows 2",
        ),
        (
            f"layers: {{a: {{parallel: 9, {CAT}}}}}\nexecution: {{parallel: 8}}\n",
            "D163 1:24 `a` allows 9 parallel instances, and `execution` allows 8",
        ),
        (
            f"layers: {{a: {{limits: {{memory: 2 GiB}}, {CAT}}}}}\nexecution: {{memory: 1 GiB}}\n",
            "D164 2:21 the memory of all layers comes to 2048 MiB, and `execution` allows 1024 MiB",
        ),
        (
            "layers: {a: {categories: [{name: c, min_memory: 2 GiB, shell: x}]}}\nexecution: {memory: 1 GiB}\n",
            "D164 1:49 `c` needs 2048 MiB of memory, and `execution` allows 1024 MiB",
        ),
        (
            "layers: {a: {categories: [{name: c, min_memory: 512 KiB, shell: x}]}}\nexecution: {memory: 1 B}\n",
            "D164 1:49 `c` needs 512 KiB of memory, and `execution` allows 1 B",
        ),
        (f"layers: {{a: {{conflicts: [a], {CAT}}}}}\n", "D165 1:26 `a` conflicts with itself"),
        (f"layers: {{a: {{conflicts: [c], {CAT}}}}}\n", "D165 1:26 `a` conflicts with its own category `c`"),
        (
            "layers: {a: {categories: [{name: c, conflicts: [c], shell: x}]}}\n",
            "D165 1:49 category `c` conflicts with itself",
        ),
        (
            f"layers: {{a: {{{CAT}}}, b: {{needs: [a], conflicts: [a], categories: [{{name: d, shell: x}}]}}}}\n",
            "D165 1:78 `b` conflicts with `a`, and one of them needs the other",
        ),
        (f"layers: {{a: {{{CAT}}}, b: {{{CAT}}}}}\n", "D168 1:74 category `c` is in `a`, too"),
        (
            f"layers: {{a: {{order: 2, {CAT}}}, b: {{order: 1, needs: [a], categories: [{{name: d, shell: x}}]}}}}\n",
            "D173 1:82 `b` is number 1 and needs `a`, which is number 2",
        ),
        (
            f"layers: {{a: {{background: true, {CAT}}}, b: {{needs: [a], categories: [{{name: d, shell: x}}]}}}}\n",
            "D173 1:80 `b` needs `a`, which runs in the background",
        ),
        (
            f"layers: {{a: {{services: [redis], {CAT}}}}}\n",
            "D176 1:25 service `redis` is not defined here, and is taken to be running at localhost:6379",
        ),
    ],
)
def test_what_may_be_wrong_is_a_warning_at_its_place(body, found):
    (warning,) = load_layers_text(HEAD + body).warnings
    assert warning.severity == "warning"
    assert warning.hint
    assert f"{warning.code} {warning.span.line - 1}:{warning.span.column} {warning.message}".startswith(found)


def test_a_mistake_that_only_an_environment_makes_is_found_in_the_override():
    body = "layers: {a: {categories: [{name: c, timeout: 50 s, shell: x}], environments: {test: {budget: 40 s}}}}\n"
    (warning,) = load_layers_text(HEAD + body).warnings
    assert (warning.code, warning.span.line, warning.span.column) == ("D162", 2, 94)


def test_all_mistakes_are_told_at_once_from_top_to_bottom():
    body = (
        "layers:\n  a:\n    needs: [x]\n    services: [y]\n"
        "    categories:\n      - {name: c, shell: x, pytest: {}, needs: [z]}\nmodes: {m: [w]}\n"
    )
    errors = all_wrong(HEAD + body)
    assert [error.code for error in errors] == ["D166", "D167", "D160", "D166", "D166"]
    assert [error.span.line for error in errors] == [4, 5, 7, 7, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "the document is not a mapping"),
        ("kind: scenario\n", "the kind `scenario` is no layers"),
        ("layers: {a: {budget: 3 s, categories: []}}\n", "key `kind` is missing"),
        ("name: x\n", "key `kind` is missing"),
    ],
)
def test_what_is_no_document_of_layers_is_told(text, message):
    with pytest.raises(DocumentError, match=message) as caught:
        load_layers_text(text)
    (error,) = caught.value.diagnostics
    assert error.code == "D120"
    assert error.hint
    assert error.span


def test_a_native_document_stands_alone(tmp_path):
    native, other = tmp_path / "layers.yaml", tmp_path / "execution.yaml"
    native.write_text(HEAD + ONE)
    other.write_text("timeout_minutes: 3\nuse_real_llm: true\n")
    with pytest.raises(DocumentError, match="says everything itself") as caught:
        load_layers(native, other)
    assert caught.value.diagnostics[0].code == "D178"
    with pytest.raises(DocumentError, match="is a second file of layers"):
        load_layers(native, native)


def test_settings_without_layers_and_empty_folders_are_told(tmp_path):
    with pytest.raises(DocumentError, match="has no files of layers"):
        load_layers(tmp_path)
    (tmp_path / "execution.yaml").write_text("timeout_minutes: 3\n")
    with pytest.raises(DocumentError, match="there are no layers"):
        load_layers(tmp_path)
    with pytest.raises(DocumentError, match="there is no file of layers"):
        load_layers()
