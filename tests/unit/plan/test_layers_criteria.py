"""When layers and categories count as passed, and what a failure ends."""

import msgspec
import pytest
from tests.unit.plan.layers_planning import DOCUMENTED, native, planned, step

from podium.model.expressions import Cel
from podium.model.layers_loading import load_layers
from podium.plan.suites import CommandSuite, Criteria, EarlyEnd, PytestSuite, Verdict

LAYERS = load_layers(DOCUMENTED / "test_layers.yaml")


def suite(made, name, kind=PytestSuite):
    return msgspec.convert(step(made, name).work.payload, kind)


def test_success_is_strict_unless_it_is_said():
    text = native(
        "  a:\n    success: {min_pass_rate: 0.9, critical: [login], allow_partial: true}\n"
        "    categories: [{name: c, shell: x}]\n"
        "  b: {categories: [{name: d, shell: x}]}\n"
    )
    made = planned(text)
    criteria = msgspec.convert(step(made, "a").work.payload["criteria"], Criteria)
    assert (criteria.min_pass_rate, criteria.critical, criteria.allow_partial) == (0.9, ("login",), True)
    assert criteria.max_failures > 10**6
    assert step(made, "b").work.payload["criteria"] is None


def test_a_layer_knows_the_criteria_of_its_categories():
    made = planned(
        native("  a: {categories: [{name: c, shards: 2, success: {max_failures: 5}, shell: x}, {name: d, shell: x}]}\n")
    )
    own = step(made, "a").work.payload["own"]
    assert own.keys() == {"c/1", "c/2"}
    assert {msgspec.convert(criteria, Criteria) for criteria in own.values()} == {Criteria(0.0, 5)}


def test_a_layer_knows_what_flaky_tests_count_as():
    text = native("  a: {categories: [{name: c, shell: x}]}\n")
    assert "flaky" not in step(planned(text), "a").work.payload
    strict = planned(text + "defaults: {flaky: failed}\n")
    assert step(strict, "a").work.payload["flaky"] == suite(strict, "a/c", CommandSuite).flaky == "failed"


def test_what_is_critical_for_a_layer_is_so_in_its_categories():
    made = planned(
        native(
            "  a:\n    success: {max_failures: 9, critical: ['${x}', login]}\n    categories:\n"
            "      - {name: c, success: {max_failures: 1, critical: [pay, login]}, shell: x}\n"
            "      - {name: d, shell: x}\n"
        )
    )
    assert suite(made, "a/c", CommandSuite).criteria == Criteria(0.0, 1, ("pay", "login", "${x}"))
    assert suite(made, "a/d", CommandSuite).criteria == Criteria(critical=("${x}", "login"))
    scope = {"steps": {"a/c": {"output": {"counts": {"passed": 1}, "uncritical": ["pay"]}, "outcome": "passed"}}}
    scope["steps"]["a/d"] = {"output": None, "outcome": "skipped"}
    verdict = msgspec.convert(Cel().render(step(made, "a").work.payload, scope), Verdict)
    assert verdict.criteria.critical == ("${x}", "login")
    assert verdict.own == {"c": Criteria(0.0, 1, ("pay", "login"))}
    assert verdict.uncritical == {"c": ("pay",), "d": None}
    assert verdict.counts == {"c": {"passed": 1}, "d": None}


def test_critical_tests_of_documented_files_are_known_to_the_suites():
    payload = step(planned(LAYERS), "core_integration/database").work.payload
    assert msgspec.convert(payload["criteria"], Criteria) == Criteria(critical=("critical",))


def test_documented_criteria_decide_as_documented():
    payload = step(planned(LAYERS), "core_integration").work.payload["criteria"]
    assert msgspec.convert(payload, Criteria) == Criteria(0.95, 5, ("critical",))


# What a failure ends


FAIL = native(
    "  a: {fail_fast: true, categories: [{name: c, shell: x}]}\n  b: {categories: [{name: d, shell: x}]}\n",
    "defaults: {fail_fast: disabled, max_failures: 3, early_end: {consecutive: 2, rate: 0.5}}\n",
)


@pytest.mark.parametrize(
    ("asked", "group", "max_failures", "early_end"),
    [
        ("", "pending", 3, EarlyEnd(consecutive=2, rate=0.5)),
        ("immediate", "running", 1, EarlyEnd()),
        ("first_failure", "run", 1, EarlyEnd()),
        ("category_failure", "pending", 3, EarlyEnd()),
        ("dependency_aware", "", 3, EarlyEnd()),
        ("disabled", "", 3, EarlyEnd()),
        ("critical", "pending", 3, EarlyEnd(critical=("critical",))),
        ("critical_failure", "pending", 3, EarlyEnd(critical=("critical",))),
        ("threshold_based", "", 3, EarlyEnd(consecutive=2, rate=0.5, sample=10)),
        ("smart_adaptive", "", 3, EarlyEnd(consecutive=2, rate=0.5, sample=10, critical=("critical",))),
    ],
)
def test_what_a_failure_ends(asked, group, max_failures, early_end):
    made = planned(FAIL, fail_fast=asked)
    got = suite(made, "a/c", CommandSuite)
    assert made.plan.groups["a"].fail_fast == group
    assert (got.max_failures, got.early_end) == (max_failures, early_end)


@pytest.mark.parametrize("asked", ["critical", "critical_failure", "category_failure", "immediate", "smart_adaptive"])
def test_only_critical_failures_hold_others_up_if_these_are_what_matters(asked):
    group = planned(FAIL, fail_fast=asked).plan.groups["a"]
    assert bool(group.fail_fast_if) == (asked in ("critical", "critical_failure"))


def test_all_tests_that_are_named_critical_anywhere_are_critical_failures():
    text = native(
        "  a: {fail_fast: critical, success: {critical: [pay]}, categories:"
        " [{name: c, success: {critical: [login]}, shell: x}, {name: d, shell: x}]}\n"
    )
    made = planned(text)
    assert suite(made, "a/c", CommandSuite).early_end == EarlyEnd(critical=("pay", "login"))
    assert suite(made, "a/d", CommandSuite).early_end == EarlyEnd(critical=("pay",))
    rule = "defaults: {early_end: {critical: [smoke], consecutive: 3}}\n"
    assert suite(planned(text + rule), "a/d", CommandSuite).early_end == EarlyEnd(3, critical=("smoke", "pay"))


def test_the_defaults_say_what_a_layer_does_not():
    assert planned(FAIL).plan.groups["b"].fail_fast == ""
