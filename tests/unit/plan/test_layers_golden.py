"""Golden plans: what every mode runs in every environment, and what categories make of their dependencies."""

import jsonschema
import pytest
import yaml
from tests.unit.plan.layers_planning import DOCUMENTED, KEY, native, new, planned

from podium.errors import NothingSelectedError, PlanError
from podium.model.layers_loading import load_layers
from podium.model.schema import document_schema

LAYERS = load_layers(DOCUMENTED / "test_layers.yaml")
CATEGORIES = load_layers(DOCUMENTED / "categories.yaml")
FAST, CORE, SERVICE, E2E = "fast_feedback", "core_integration", "service_integration", "e2e_background"
ENVIRONMENTS = ("", "test", "dev", "staging", "prod")
MINUTES = {
    FAST: {"": 2, "staging": 3, "prod": 5},
    CORE: {"": 10, "prod": 15},
    SERVICE: {"": 20, "dev": 25},
    E2E: {"": 60, "test": 30},
}
MODES = {
    "fast_feedback": [FAST],
    "commit": [FAST, CORE],
    "development": [FAST, CORE],
    "ci": [FAST, CORE, SERVICE],
    "nightly": [FAST, CORE, SERVICE, E2E],
    "weekend": [FAST, CORE, SERVICE, E2E],
    "background": [E2E],
    "hybrid": [FAST, CORE, SERVICE, E2E],
}


def minutes(layer, environment):
    return MINUTES[layer].get(environment, MINUTES[layer][""])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("mode", MODES)
def test_a_mode_runs_its_layers_in_order(mode, environment):
    made = planned(LAYERS, mode=mode, environment=environment, allow_production=True)
    layers = MODES[mode]
    in_background = [E2E] if len(layers) == 4 and environment != "test" else []
    foreground = [name for name in layers if name not in in_background]
    assert made.phases == tuple((name,) for name in foreground)
    assert made.background == tuple(in_background)
    assert made.estimated_s == 60 * sum(minutes(name, environment) for name in foreground)
    apart = mode == "hybrid" and bool(in_background)
    here = [step.name for step in made.plan.steps if step.work.kind == "verdict"]
    there = [step.name for step in made.background_plan.steps if step.work.kind == "verdict"] if apart else []
    assert here + there == layers
    assert (made.background_plan is not None) == apart
    assert made.background_wait_s == (300 if apart else None)
    for name, group in {**made.plan.groups, **(made.background_plan.groups if apart else {})}.items():
        assert group.budget == 60 * minutes(name, environment)


@pytest.mark.parametrize(
    ("mode", "deadline"), [("fast_feedback", 300), ("background", 7200), ("nightly", 5400), ("hybrid", 5400)]
)
def test_a_mode_has_the_time_that_is_documented(mode, deadline):
    assert planned(LAYERS, mode=mode).plan.deadline == deadline
    assert planned(LAYERS, mode=mode, deadline=60.0).plan.deadline == 60


def test_without_a_selection_every_layer_is_run():
    assert planned(LAYERS).phases == planned(LAYERS, mode="nightly").phases
    assert planned(LAYERS).background == (E2E,)


def test_layers_bring_what_they_need():
    made = planned(LAYERS, layers=(CORE,))
    assert made.phases == ((FAST,), (CORE,))
    assert made.estimated_s == 720


def test_background_layers_may_be_left_out_or_run_apart():
    without = planned(LAYERS, with_background=False)
    assert (without.phases, without.background) == (((FAST,), (CORE,), (SERVICE,)), ())
    apart = planned(LAYERS, background_apart=True)
    assert {step.group for step in apart.plan.steps if step.group} == {FAST, CORE, SERVICE}
    assert {step.group for step in apart.background_plan.steps if step.group} == {E2E}
    assert [line for line in new(apart, LAYERS) if line.startswith("P243")] == [
        "P243 `service_integration` conflicts with `performance`, and they are in plans that run apart",
        "P243 `service_integration` conflicts with `cypress`, and they are in plans that run apart",
        "P243 `e2e_background` runs apart and at once, though it needs `service_integration`",
        "P243 `e2e_background` conflicts with `fast_feedback`, and they are in plans that run apart",
        "P243 `e2e_background` conflicts with `core_integration`, and they are in plans that run apart",
    ]


def test_a_layer_to_begin_with_leaves_out_what_comes_before():
    assert planned(LAYERS, layers=(SERVICE,), start_at=CORE).phases == ((CORE,), (SERVICE,))
    from_unit = planned(LAYERS, mode="commit", start_at="unit")
    assert from_unit.category_phases[0] == (f"{FAST}/unit",)


def test_services_start_by_their_needs_and_then_by_how_long_they_take():
    assert planned(LAYERS).services == (
        *("redis", "postgresql", "websocket_server", "auth_service", "backend_service", "frontend_service"),
    )
    assert planned(LAYERS, mode="fast_feedback").services == ()


@pytest.mark.parametrize(
    ("asked", "phases", "estimated"),
    [
        (("unit", "integration", "api"), [["database", "unit"], ["api", "integration"]], 15),
        (
            ("e2e", "performance"),
            [["database", "unit", "frontend"], ["api", "integration"], ["e2e"], ["performance"]],
            75,
        ),
        (("smoke",), [["smoke"]], 1),
        (("cypress", "e2e"), [["database", "unit", "frontend"], ["api", "integration"], ["cypress"], ["e2e"]], 65),
    ],
)
def test_categories_bring_what_they_need_and_conflicts_are_kept_apart(asked, phases, estimated):
    made = planned(CATEGORIES, categories=asked)
    assert [[name.removeprefix("categories/") for name in phase] for phase in made.category_phases] == phases
    assert made.estimated_s == 60 * estimated
    assert made.by_category


def test_a_category_that_is_added_is_told():
    made = planned(CATEGORIES, categories=("unit", "integration", "api"))
    assert new(made, CATEGORIES) == ["P241 category `database` is added: `api` needs it"]


def test_a_category_of_layers_comes_without_the_layers_before():
    made = planned(LAYERS, categories=("api", "unit"))
    assert made.phases == ((FAST,), (CORE,))
    assert made.category_phases == ((f"{FAST}/unit",), (f"{CORE}/api",))
    assert planned(LAYERS, categories=("api",)).phases == ((CORE,),)


def test_categories_narrow_layers_that_were_asked_for():
    made = planned(LAYERS, layers=(FAST,), categories=("unit",))
    assert made.category_phases == ((f"{FAST}/unit",),)
    assert not made.by_category


TWO = "  a: {categories: [{name: x, shell: x, tags: [db]}]}\n  b: {categories: [{name: y, shell: x}]}\n"


def test_a_mode_of_the_document_comes_first():
    text = native(TWO, "modes: {nightly: [b], quick: {layers: [a], budget: 30 s}}\n")
    assert planned(text, mode="nightly").phases == (("b",),)
    assert planned(text, mode="quick").plan.deadline == 30


def test_tags_select_categories():
    assert planned(native(TWO), tags=("db",)).phases == (("a",),)


def test_a_mode_goes_without_layers_that_are_not_there():
    text = native("  fast_feedback: {categories: [{name: x, shell: x}]}\n")
    made = planned(text, mode="ci")
    assert made.phases == (("fast_feedback",),)
    assert [warning.code for warning in made.warnings] == ["P234"]


@pytest.mark.parametrize(
    ("selection", "code", "message", "hint"),
    [
        ({"layers": ("aa", "b")}, "P230", "unknown layer `aa`", "did you mean `a`? there are: a, b"),
        ({"layers": ("zzz",)}, "P230", "unknown layer `zzz`", "there are: a, b"),
        ({"categories": ("xx",)}, "P231", "unknown category `xx`", "did you mean `x`? there are: x, y"),
        ({"tags": ("web",)}, "P231", "unknown tag `web`", "there are: db"),
        ({"start_at": "zzz"}, "P230", "unknown layer or category `zzz`", "there are: a, b, x, y"),
        ({"environment": "stagin"}, "P232", "unknown environment `stagin`", "did you mean `staging`?"),
        ({"excluded_environments": ("x",)}, "P232", "unknown environment `x`", "environments: test, development"),
        ({"mode": "nightli"}, "P233", "unknown mode `nightli`", "did you mean `nightly`?"),
        (
            {"mode": "nightly"},
            "P234",
            (
                "mode `nightly` is for the layers fast_feedback, core_integration, service_integration, "
                "e2e_background, and this document has none of them"
            ),
            "add modes: {nightly: [LAYER]}; layers here: a, b",
        ),
        ({"environment": "prod"}, "P235", "nothing runs in `production` unless it is allowed", "add --allow-prod"),
        (
            {"environment": "test", "excluded_environments": ("test",)},
            "P236",
            "environment `test` is excluded",
            "name another",
        ),
        ({"parallel": 0}, "P242", "parallel must be at least 1, not 0", "give another"),
        ({"retries": -1}, "P242", "retries must be at least 0, not -1", "give another"),
        ({"test_timeout": 0.0}, "P242", "test timeout must be above 0, not 0", "give another"),
        ({"fail_fast": "catgory"}, "P242", "unknown way to fail fast `catgory`", "did you mean `category`?"),
    ],
)
def test_what_cannot_be_selected_is_an_error_that_says_what_there_is(selection, code, message, hint):
    with pytest.raises(PlanError) as caught:
        planned(native(TWO), **selection)
    (error,) = caught.value.diagnostics
    assert (error.code, error.message) == (code, message)
    assert error.hint.startswith(hint)
    assert caught.value.exit_code == 2


def test_one_unknown_name_among_known_ones_is_an_error_too():
    with pytest.raises(PlanError, match="unknown layer `nope`"):
        planned(LAYERS, layers=(FAST, "nope"))


def test_everything_unknown_is_told_at_once():
    with pytest.raises(PlanError) as caught:
        planned(native(TWO), layers=("q",), categories=("r",), mode="s")
    assert [error.code for error in caught.value.diagnostics] == ["P230", "P231", "P233"]


@pytest.mark.parametrize(
    "selection",
    [
        {"layers": ("a",), "categories": ("y",)},
        {"layers": ("a",), "mode": "only_b"},
        {"layers": ("b",), "tags": ("db",)},
    ],
)
def test_nothing_left_is_no_plan(selection):
    with pytest.raises(NothingSelectedError, match="no valid layers selected for execution") as caught:
        planned(native(TWO, "modes: {only_b: [b]}\n"), **selection)
    assert caught.value.exit_code == 4
    assert caught.value.diagnostics[0].code == "U404"


CHAIN = """\
  a: {categories: [{name: x, shell: x}]}
  b: {needs: [a], categories: [{name: y, shell: y}, {name: z, needs: [x], shell: z}]}
"""


def test_layers_and_categories_together_select_only_what_is_in_both():
    made = planned(native(CHAIN), layers=("b",), categories=("y",))
    assert made.category_phases == (("b/y",),)
    made = planned(native(CHAIN), layers=("b",), categories=("y", "x"))
    assert made.category_phases == (("b/y",),)
    (warning,) = made.warnings
    assert (warning.code, warning.message) == ("P240", "category `x` is in `a`, not in `b`, so it is not run")


def test_what_a_category_needs_is_added_though_its_layer_was_not_asked_for():
    made = planned(native(CHAIN), layers=("b",), categories=("z",))
    assert made.category_phases == (("a/x",), ("b/z",))
    assert [warning.code for warning in made.warnings] == ["P241"]


def test_a_category_that_only_a_needed_layer_has_is_an_error_that_says_what_there_is():
    with pytest.raises(NothingSelectedError) as caught:
        planned(native(CHAIN), layers=("b",), categories=("x",))
    (error,) = caught.value.diagnostics
    assert error.message == "no valid layers selected for execution: category `x` is in `a`, not in `b`"
    assert error.hint == "`b` has y, z"


def test_the_example_of_the_reference_fits_the_schema_and_is_planned():
    text = (DOCUMENTED.parents[3] / "docs" / "reference" / "layers-keys.md").read_text(encoding="utf-8")
    block = text[text.index("    kind: layers") :].split("\n\n")[0]
    example = "\n".join(line.removeprefix("    ") for line in block.splitlines())
    jsonschema.Draft202012Validator(document_schema("layers")).validate(yaml.safe_load(example))
    made = planned(example, mode="commit")
    assert made.phases == (("fast",),)
    assert planned(example).phases == (("fast",), ("integration",))
    assert made.warnings == ()


def test_production_runs_if_it_is_allowed():
    assert planned(LAYERS, environment="production", allow_production=True, environ=KEY).environment == "production"
