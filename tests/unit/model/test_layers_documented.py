"""The documented files of test layers: read as they stand, told of with file, line and column, never rewritten."""

import shutil
from pathlib import Path

import pytest

from podium.errors import DocumentError
from podium.model.layers_loading import load_layers, load_layers_text

FILES = Path(__file__).parent / "documented"


def told(loaded):
    return [f"{w.code} {Path(w.span.path).name}:{w.span.line}:{w.span.column} {w.message}" for w in loaded.warnings]


def test_every_rule_that_the_layers_break_is_told_at_its_place():
    assert told(load_layers(FILES / "test_layers.yaml")) == [
        "D162 test_layers.yaml:13:27 the timeouts of `fast_feedback` come to 3 min, and its budget is 2 min",
        "D163 test_layers.yaml:27:33 `unit` has 4 parallel instances, and `fast_feedback` allows 2",
        (
            "D176 test_layers.yaml:66:60 service `websocket_server` is not defined here, and is taken to be running at "
            "localhost:8000"
        ),
        (
            "D171 test_layers.yaml:107:62 key `requires_frontend_build` has no effect: Podium does not know how the "
            "frontend is built"
        ),
        "D165 test_layers.yaml:109:17 `performance` is a category, and conflicts of layers name layers",
        "D165 test_layers.yaml:109:32 `cypress` is a category, and conflicts of layers name layers",
        "D162 test_layers.yaml:124:27 the timeouts of `e2e_background` come to 90 min, and its budget is 1 h",
        "D165 test_layers.yaml:133:17 `e2e_background` conflicts with `fast_feedback`, and one of them needs the other",
        (
            "D165 test_layers.yaml:133:34 `e2e_background` conflicts with `core_integration`, and one of them needs "
            "the other"
        ),
        "D162 test_layers.yaml:140:31 the timeouts of `e2e_background` come to 90 min, and its budget is 30 min",
        "D164 test_layers.yaml:148:24 the memory of all layers comes to 7680 MiB, and `execution` allows 6144 MiB",
        (
            "D171 test_layers.yaml:160:5 key `execution_config.background_execution.monitoring_interval_seconds` has "
            "no effect: the ends of layers are told at once"
        ),
    ]


def test_every_warning_says_what_to_do_and_shows_the_line():
    for warning in load_layers(FILES).warnings:
        assert warning.hint
        assert warning.span.text == Path(warning.span.path).read_text().splitlines()[warning.span.line - 1]


def test_reading_leaves_the_files_as_they_are(tmp_path):
    for file in FILES.glob("*.yaml"):
        shutil.copy(file, tmp_path)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    for environment in ("test", "staging"):
        load_layers(tmp_path).in_environment(environment)
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()} == before


def test_a_file_that_is_no_yaml_is_an_error_and_stays_as_it_is(tmp_path):
    file = tmp_path / "test_layers.yaml"
    file.write_text("layers:\n  fast: {max_duration_minutes: 2\n    categories: [\n")
    before = file.read_bytes()
    with pytest.raises(DocumentError) as caught:
        load_layers(file)
    assert caught.value.exit_code == 2
    assert caught.value.diagnostics[0].code == "D101"
    assert file.read_bytes() == before


def test_layers_mean_what_the_format_says():
    document = load_layers(FILES / "test_layers.yaml").document
    fast, core, service = (
        document.layers[name] for name in ("fast_feedback", "core_integration", "service_integration")
    )
    assert (fast.title, fast.budget, fast.mode, fast.order) == ("Fast feedback", 120 * 10**9, "sequential", 1)
    assert (fast.fail_fast, core.fail_fast, service.fail_fast) == ("immediate", "category", "layer")
    assert (fast.limits.memory, fast.limits.cpu, fast.parallel) == (512 * 2**20, 0.5, 2)
    assert fast.categories[0].filters.exclude == ["*slow*", "tests/old/*"]
    assert (core.needs, core.services) == (["fast_feedback"], ["postgresql", "redis", "backend_service"])
    assert core.categories[0].services == ["postgresql"]
    assert core.categories[0].real_services is True
    assert service.categories[0].llm.mode == "real"
    assert service.categories[0].exclusive
    assert service.categories[2].programs == ["node"]
    assert (service.llm.mode, service.llm.fallback_to_mock) == ("real", False)


def test_success_criteria_have_the_documented_defaults_only_where_they_are_said():
    layers = load_layers(FILES / "test_layers.yaml").document.layers
    core, last = layers["core_integration"].success, layers["e2e_background"].success
    assert (core.min_pass_rate, core.max_failures, core.critical, core.allow_partial) == (0.95, 5, ["critical"], False)
    assert (last.min_pass_rate, last.max_failures, last.critical) == (0.85, 10, [])
    bare = load_layers_text("layers: {a: {max_duration_minutes: 1, categories: [{name: c}]}}\n")
    assert bare.document.layers["a"].success is None


def test_overrides_are_merged_deeply():
    loaded = load_layers(FILES / "test_layers.yaml")
    staging = loaded.in_environment("staging")[0].layers["fast_feedback"].llm
    assert (staging.mode, staging.timeout, staging.fallback_to_mock) == ("real", 30 * 10**9, True)
    production = loaded.in_environment("prod")[0].layers
    assert production["fast_feedback"].fail_fast is False
    assert production["core_integration"].budget == 15 * 60 * 10**9
    assert not loaded.in_environment("test")[0].layers["e2e_background"].background


def test_services_are_running_already_and_looked_at_where_the_file_says():
    services = load_layers(FILES / "test_layers.yaml").document.services
    assert (services["redis"].running, services["redis"].health) == (True, "localhost:6379")
    assert services["redis"].exports == {"REDIS_HOST": "localhost", "REDIS_PORT": "6379"}
    assert services["backend_service"].exports["BACKEND_SERVICE_URL"] == "http://localhost:8000"
    assert services["backend_service"].needs == ["postgresql", "redis"]


def test_execution_is_translated():
    execution = load_layers(FILES / "test_layers.yaml").document.execution
    assert (execution.mode, execution.budget) == ("waterfall_with_background", 90 * 60 * 10**9)
    assert (execution.parallel, execution.delay, execution.max_background) == (8, 5 * 10**9, 1)
    assert (execution.memory, execution.cpu) == (6144 * 2**20, 0.9)


CATEGORY = "    categories: [{name: c}]\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"layers:\n  a:\n    max_duration_minutes: 200\n{CATEGORY}", "D161 3:27 layers.a.max_duration_minutes: 200"),
        (f"layers:\n  a:\n    max_duration_minutes: 0.5\n{CATEGORY}", "D161 3:27 layers.a.max_duration_minutes: 0.5"),
        (f"metadata: {{}}\nlayers:\n  a:\n    name: x\n{CATEGORY}", "D161 4:11 layers.a.name: 1 characters"),
        (f"metadata: {{}}\nlayers:\n  a:\n    priority: 7\n{CATEGORY}", "D161 4:15 layers.a.priority: 7 is outside"),
        (f"layers:\n  a:\n    execution_order: 11\n{CATEGORY}", "D161 3:22 layers.a.execution_order: 11"),
        (
            f"layers:\n  a:\n    resource_limits: {{max_memory_mb: 64}}\n{CATEGORY}",
            "D161 3:38 layers.a.resource_limits.max_memory_mb: 64 MB is outside of the documented 128 to 8192",
        ),
        (
            "metadata: {}\nlayers:\n  a:\n    categories: [{name: c, timeout_seconds: 10}]\n",
            "D161 4:45 layers.a.categories.0.timeout_seconds: 10 s is outside of the documented 30 to 3600",
        ),
        (
            f"layers:\n  a:\n    dependencies: []\n    colour: red\n{CATEGORY}",
            "D171 4:5 key `colour` is not known and has no effect",
        ),
        (
            f"layers:\n  a:\n{CATEGORY}monitoring: {{progress_tracking: {{}}}}\n",
            "D171 4:14 key `monitoring.progress_tracking` has no effect: progress is always written",
        ),
        (
            f"layers:\n  a:\n    conflicts: [z]\n    dependencies: []\n{CATEGORY}",
            "D166 3:17 unknown layer or category `z`",
        ),
        (f"layers:\n  a:\n    required_services: [z]\n{CATEGORY}", "D167 3:25 unknown service `z`, which is not"),
        (
            f"layers:\n  a:\n{CATEGORY}execution_config: {{resource_conflict_resolution: round_robin}}\n",
            "D171 4:50 `resource_conflict_resolution: round_robin` has no effect",
        ),
        (
            f"layers:\n  a:\n{CATEGORY}execution_config: {{fail_fast_strategy: {{b: layer}}}}\n",
            "D166 4:41 unknown layer `b`",
        ),
        (
            f"layers:\n  a:\n    fail_fast: true\n{CATEGORY}execution_config: {{fail_fast_strategy: {{a: layer}}}}\n",
            "D177 5:44 `a` says `fail_fast: true`, and its strategy is `layer`",
        ),
        (
            (
                f"layers:\n  a:\n    background_execution: false\n{CATEGORY}"
                "execution_config: {background_execution: {background_layers: [a]}}\n"
            ),
            "D177 5:63 `a` says `background_execution: false`, and is listed as a background layer",
        ),
        (
            f"layers:\n  a:\n{CATEGORY}  b:\n    categories: [{{name: c}}]\nmetadata: {{}}\n",
            "D168 5:25 category `c` is in `a`, too",
        ),
        (
            (
                f"layers:\n  a:\n    execution_order: 2\n{CATEGORY}  b:\n    execution_order: 1\n"
                "    dependencies: [a]\n    categories: [{name: d}]\n"
            ),
            "D173 7:20 `b` is number 1 and needs `a`, which is number 2",
        ),
    ],
)
def test_what_breaks_a_rule_is_a_warning_at_its_place(text, found):
    (warning,) = load_layers_text(text).warnings
    assert f"{warning.code} {warning.span.line}:{warning.span.column} {warning.message}".startswith(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"layers:\n  a:\n    max_duration_minutes: 0\n{CATEGORY}", "D123 3:27 layers.a.max_duration_minutes: must be"),
        (f"layers:\n  a:\n    max_duration_minutes: soon\n{CATEGORY}", "D123 3:27 layers.a.max_duration_minutes: must"),
        (f"layers:\n  a:\n    execution_mode: wild\n{CATEGORY}", "D123 3:21 layers.a.execution_mode: unknown word"),
        ("layers:\n  a:\n    max_duration_minutes: 1\n    categories: []\n", "D123 4:17 layers.a.categories: must"),
        ("layers:\n  a:\n    max_duration_minutes: 1\n", "D122 2:3 key `categories` is missing"),
        (f"layers:\n  a:\n    dependencies: [z]\n{CATEGORY}", "D166 3:20 unknown layer `z`"),
        (
            f"layers:\n  a:\n    dependencies: [a]\n{CATEGORY}",
            "D170 3:20 circular dependency detected in layers: a -> a",
        ),
        (
            f"layers:\n  a:\n{CATEGORY}service_dependencies: {{s: {{health_check_endpoint: here}}}}\n",
            "D174 4:51 `here` is no `host:port`",
        ),
        (
            f"layers:\n  a:\n{CATEGORY}service_dependencies: {{s: {{depends_on: [s], health_check_endpoint: x:1}}}}\n",
            "D170 4:41 circular dependency detected in services: s -> s",
        ),
        (
            f"layers:\n  a:\n    environment_overrides: {{dev: {{}}, development: {{}}}}\n{CATEGORY}",
            "D180 3:38 `development` and `development` are one environment",
        ),
    ],
)
def test_what_makes_no_sense_is_an_error_at_its_place(text, found):
    with pytest.raises(DocumentError) as caught:
        load_layers_text(text)
    (error,) = (finding for finding in caught.value.diagnostics if finding.severity == "error")
    assert error.hint
    assert f"{error.code} {error.span.line}:{error.span.column} {error.message}".startswith(found)


# Categories


def test_categories_alone_are_one_layer():
    document = load_layers(FILES / "categories.yaml").document
    (layer,) = document.layers.values()
    by_name = {category.name: category for category in layer.categories}
    assert list(by_name)[:3] == ["smoke", "unit", "integration"]
    e2e = by_name["e2e"]
    assert (e2e.priority, e2e.timeout, e2e.expected) == ("low", 1800 * 10**9, 1800 * 10**9)
    assert (e2e.needs, e2e.conflicts) == (["integration", "api", "frontend"], ["performance"])
    assert e2e.exclusive
    assert e2e.real_services is True
    assert by_name["database"].tags == ["persistence", "database_dependent"]
    assert by_name["integration"].tags == ["integration", "network_intensive"]
    assert by_name["cypress"].services == ["frontend_service", "postgresql"]
    assert by_name["agent"].llm.mode == "real"


@pytest.mark.parametrize(
    "text",
    [
        "category_system:\n  categories: {a: {dependencies: [b]}, b: {}}\n",
        "category_system: {a: {dependencies: [b]}, b: {}}\n",
        "categories: {a: {dependencies: [b]}, b: {}}\n",
    ],
)
def test_categories_may_stand_in_three_places(text):
    (layer,) = load_layers_text(text).document.layers.values()
    assert [(category.name, category.needs) for category in layer.categories] == [("a", ["b"]), ("b", [])]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("categories: {a: {dependencies: [b]}}\n", "D166 1:33 category `a` needs unknown category `b`"),
        ("categories: {a: {dependencies: [b]}, b: {dependencies: [a]}}\n", "D170 1:33 circular dependency detected in"),
        ("categories: {a: {priority: URGENT}}\n", "D123 1:28 categories.a.priority"),
        ("categories: {a: {timeout_seconds: -1}}\n", "D123 1:35 categories.a.timeout_seconds: must be above 0"),
    ],
)
def test_a_mistake_in_categories_is_found_at_its_place(text, found):
    with pytest.raises(DocumentError) as caught:
        load_layers_text(text)
    error = caught.value.diagnostics[0]
    assert error.hint
    assert f"{error.code} {error.span.line}:{error.span.column} {error.message}".startswith(found)


def test_categories_beside_layers_say_what_the_layers_do_not():
    loaded = load_layers(FILES / "test_layers.yaml", FILES / "categories.yaml")
    categories = {c.name: c for layer in loaded.document.layers.values() for c in layer.categories}
    assert categories["integration"].needs == ["unit", "database"]
    assert categories["unit"].timeout == 120 * 10**9
    assert categories["unit"].expected == 300 * 10**9
    assert categories["e2e"].exclusive


BESIDE = """
categories:
  listed: {dependencies: [loose]}
  loose: {timeout_seconds: 90, dependencies: [kept, listed, bare], requires_database: true, conflicts: [staged]}
  bare: {}
  kept: {}
  staged: {}
"""


@pytest.mark.parametrize(("name", "layer"), [("a", "categories"), ("categories", "categories_")])
def test_categories_that_no_layer_lists_run_only_on_request(tmp_path, name, layer):
    overrides = "{staging: {categories: [{name: staged}]}}"
    kept = "kept: {categories: [{name: kept}]}"
    listed = f"{kept}, {name}: {{categories: [{{name: listed}}], environment_overrides: {overrides}}}"
    (tmp_path / "test_layers.yaml").write_text(f"layers: {{{listed}}}\nmetadata: {{}}\n")
    (tmp_path / "categories.yaml").write_text(BESIDE)
    loaded = load_layers(tmp_path)
    assert {key: found.on_request for key, found in loaded.document.layers.items()} == {
        "kept": False,
        name: False,
        layer: True,
    }
    category, bare = loaded.document.layers[layer].categories
    assert (category.name, category.timeout, bare.name) == ("loose", 90 * 10**9, "bare")
    assert (category.needs, category.conflicts) == (["kept", "bare"], [])  # the others are not in every environment
    assert category.services == ["postgresql"]
    assert loaded.document.layers[name].categories[0].needs == []
    told = [(found.message, found.span.line) for found in loaded.warnings if found.code == "D171"]
    assert told == [("category `loose` is in no layer", 4), ("category `bare` is in no layer", 5)]


def test_the_files_of_a_folder_belong_together():
    assert load_layers(FILES).document == load_layers(*sorted(FILES.glob("*.yaml"))).document


# Settings


def test_settings_become_defaults_unless_the_layers_say_it():
    alone = load_layers(FILES / "categories.yaml", FILES / "execution.yaml").document
    assert (alone.execution.parallel, alone.execution.budget) == (6, 3600 * 10**9)
    assert alone.defaults.fail_fast == "layer"
    end = alone.defaults.early_end
    assert (end.consecutive, end.rate, end.sample, end.critical) == (5, 0.3, 10, ["critical"])
    both = load_layers(FILES).document
    assert (both.execution.parallel, both.execution.budget) == (8, 90 * 60 * 10**9)


def test_every_key_of_the_settings_does_something_or_is_told():
    warned = told(load_layers(FILES / "categories.yaml", FILES / "execution.yaml"))
    keys = [w.split("`")[1] for w in warned if "execution.yaml" in w]
    assert keys == [
        "auto_save_interval_seconds",
        "evaluation_window_minutes",
        "report_formats",
        "splitting_strategy",
        "target_window_duration_minutes",
    ]


@pytest.mark.parametrize(
    ("settings", "word", "rule"),
    [
        ("disabled", "disabled", None),
        ("first_failure", "immediate", None),
        ("category_failure", "category", None),
        ("dependency_aware", "layer", None),
        ("critical_failure", "critical", (0, None, 10, ["critical"])),
        ("threshold_based", "layer", (5, 0.3, 10, [])),
        ("smart_adaptive", "layer", (5, 0.3, 10, ["critical"])),
    ],
)
def test_ways_to_fail_fast_are_translated(tmp_path, settings, word, rule):
    (tmp_path / "categories.yaml").write_text("categories: {a: {}}\n")
    (tmp_path / "execution.yaml").write_text(f"fail_fast_mode: {settings}\n")
    defaults = load_layers(tmp_path).document.defaults
    end = defaults.early_end
    assert defaults.fail_fast == word
    assert (None if end is None else (end.consecutive, end.rate, end.sample, end.critical)) == rule


def test_a_threshold_that_the_mode_does_not_use_is_told(tmp_path):
    (tmp_path / "categories.yaml").write_text("categories: {a: {}}\n")
    (tmp_path / "execution.yaml").write_text("consecutive_failures: 3\nfail_fast_mode: disabled\n")
    assert told(load_layers(tmp_path)) == [
        "D171 execution.yaml:1:1 key `consecutive_failures` has no effect with `fail_fast_mode: disabled`"
    ]
