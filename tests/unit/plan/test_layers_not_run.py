"""Categories that are not run: for want of a language model, or because nobody asked for them."""

import pytest
from tests.unit.plan.layers_planning import native, needs, planned, step

from podium.errors import NothingSelectedError, PlanError
from podium.executors.invalid import refuse

NEEDY = native(
    "  a:\n    fail_fast: immediate\n    services: [web]\n    categories:\n"
    "      - {name: c, priority: 1, shards: 2, shell: x, llm: {mode: real, fallback_to_mock: false}}\n"
    "      - {name: e, shell: x, needs: [c]}\n"
    "  b: {llm: {mode: real, fallback_to_mock: false}, services: [db], categories: [{name: d, shell: x}]}\n",
    "services: {web: {command: [w], health: {command: [h]}}, db: {command: [w], health: {command: [h]}}}\n",
)


def test_only_categories_without_their_language_model_are_refused():
    made = planned(NEEDY, environ={})
    assert [warning.code for warning in made.warnings] == ["P237", "P237"]
    assert "so it is not run" in made.warnings[0].message
    kinds = {step.name: step.work.kind for step in made.plan.steps}
    assert kinds == {
        "service/web": "service",
        "a/c/1": "invalid",
        "a/c/2": "invalid",
        "a/e": "suite",
        "a": "verdict",
        "b/d": "invalid",
        "b": "verdict",
    }
    refused = step(made, "a/c/1")
    assert (refused.group, refused.allow_failure, refused.needs) == ("", True, ())
    finished = refuse(refused.work.payload)
    assert (finished.outcome, finished.failure.type) == ("errored", "NoLanguageModel")
    assert finished.failure.message.startswith("`a/c` needs a real language model, and none of TEST_LLM_API_KEY")
    assert {name: until for name, until in needs(made, "a/e").items() if name.startswith("a/")} == {
        "a/c/1": "only_passed",
        "a/c/2": "only_passed",
    }


@pytest.mark.parametrize(
    "asked",
    [{"layers": ("b",)}, {"categories": ("c",)}, {"categories": ("c", "d")}, {"layers": ("a",), "tags": ("t",)}],
)
def test_if_nothing_else_was_asked_for_the_lack_of_a_language_model_is_an_error(asked):
    text = NEEDY.replace("{name: c,", "{name: c, tags: [t],")
    with pytest.raises(PlanError) as caught:
        planned(text, environ={}, **asked)
    assert {error.code for error in caught.value.diagnostics} == {"P237"}
    assert {error.severity for error in caught.value.diagnostics} == {"error"}


def test_a_category_that_was_only_added_is_no_reason_to_run_for_one_without_its_language_model():
    text = native(
        "  a:\n    categories:\n      - {name: unit, shell: x}\n"
        "      - {name: asks, shell: x, needs: [unit], llm: {mode: real, fallback_to_mock: false}}\n"
    )
    with pytest.raises(PlanError) as caught:
        planned(text, environ={}, categories=("asks",))
    assert [error.code for error in caught.value.diagnostics] == ["P237"]
    assert len(planned(text, environ={}, categories=("asks", "unit")).warnings) == 1


REQUESTED = native(
    "  a: {categories: [{name: c, shell: x}]}\n"
    "  b: {on_request: true, categories: [{name: c, shell: x}, {name: d, tags: [t], needs: [e], shell: x}]}\n"
    "  e: {categories: [{name: e, shell: x}]}\n",
    "modes: {both: [a, b]}\n",
)


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ({}, {"a/c", "e/e"}),
        ({"tags": ("t",)}, None),
        ({"layers": ("a",)}, {"a/c"}),
        ({"layers": ("b",)}, {"b/c", "b/d", "e/e"}),
        ({"mode": "both"}, {"a/c", "b/c", "b/d", "e/e"}),
        ({"categories": ("d",)}, {"b/d", "e/e"}),
        ({"categories": ("c",)}, {"a/c", "b/c"}),
    ],
)
def test_a_layer_on_request_runs_only_if_it_or_a_category_of_it_is_named(asked, there):
    if there is None:
        with pytest.raises(NothingSelectedError):
            planned(REQUESTED, **asked)
        return
    assert {one.name for one in planned(REQUESTED, **asked).plan.steps if one.group} == there
