"""`podium test`: what criteria of categories and layers make of real suites, and what a critical failure ends."""

import pytest

pytestmark = pytest.mark.once

TWO_FAIL = "echo 1..4; echo ok 1 - a; echo ok 2 - pay; echo not ok 3 - c; echo not ok 4 - login; exit 1"
PASSES = "echo 1..1; echo ok 1 - other"


def layers(podium, *categories, **layer):
    """Write a document with one layer; a category is its name, its line, and what else it says."""
    more = "".join(f"    {key}: {value}\n" for key, value in layer.items())
    listed = "".join(
        f"      - {{name: {name}, {said}shell: '{line}', report: {{format: tap}}}}\n" for name, line, said in categories
    )
    podium.folder.joinpath("layers.yaml").write_text(
        f"kind: layers\nname: mine\nlayers:\n  lay:\n{more}    categories:\n{listed}"
    )


def test_a_layer_without_criteria_passes_with_a_category_that_may_have_failures(podium):
    layers(podium, ("c", TWO_FAIL, "success: {max_failures: 5}, "), ("d", PASSES, ""))
    ended = podium("test", "--format", "json")
    assert ended.outcomes == {"lay/c": "passed", "lay/d": "passed", "lay": "passed"}
    assert ended.json["outcome"] == "passed"


def test_a_layer_without_criteria_fails_with_a_category_that_has_more_failures_than_it_may(podium):
    layers(podium, ("c", TWO_FAIL, "success: {max_failures: 1}, "), ("d", PASSES, ""))
    ended = podium("test", code=1)
    assert "Criteria: c: 2 failed of 4; the most that may fail is 1\n" in ended.output


def test_a_layer_with_criteria_judges_all_tests_whatever_its_categories_allow(podium):
    layers(podium, ("c", TWO_FAIL, "success: {max_failures: 5}, "), success="{max_failures: 1}")
    ended = podium("test", "--format", "json", code=1)
    assert ended.outcomes == {"lay/c": "passed", "lay": "failed"}


def test_a_critical_test_of_a_layer_has_to_pass_whatever_it_allows(podium):
    layers(podium, ("c", TWO_FAIL, "success: {max_failures: 5}, "), success="{max_failures: 5, critical: [login]}")
    assert "critical tests did not pass: 1 in c" in podium("test", code=1).output
    layers(podium, ("c", TWO_FAIL, "success: {max_failures: 5}, "), success="{max_failures: 5, critical: [pay]}")
    assert "note:" not in podium("test").output


def test_a_word_that_makes_no_test_critical_is_told(podium):
    layers(podium, ("c", TWO_FAIL, "success: {max_failures: 5, critical: [zork, pay]}, "))
    ended = podium("test")
    assert ended.output.count("critical: zork") == 1
    assert "note: no test of c that was found fits `critical: zork`, so it demands nothing\n" in ended.output


def test_pytest_knows_critical_tests_by_markers_and_says_which_words_fit_none(podium):
    podium.folder.joinpath("test_it.py").write_text(
        "import pytest\n\n@pytest.mark.smoke\ndef test_a():\n    pass\n\n\ndef test_b():\n    assert 0\n"
    )
    podium.folder.joinpath("pytest.ini").write_text("[pytest]\nmarkers = smoke: first\n")
    document = (
        "kind: layers\nlayers:\n  lay:\n    success: {max_failures: 1, critical: [smoke, zork]}\n"
        "    categories: [{name: c, success: {max_failures: 1}, pytest: {paths: [test_it.py]}}]\n"
    )
    podium.folder.joinpath("layers.yaml").write_text(document)
    ended = podium("test")
    assert "note: no test that was found fits `critical: zork`, so it demands nothing\n" in ended.output
    assert "critical: smoke" not in ended.output


@pytest.mark.parametrize(
    ("mode", "line", "outcome"),
    [
        ("critical_failure", TWO_FAIL, "passed"),
        ("critical_failure", TWO_FAIL.replace("login", "critical"), "skipped"),
        ("category_failure", TWO_FAIL, "skipped"),
    ],
)
def test_only_a_critical_failure_holds_up_other_categories_if_these_are_what_matters(podium, mode, line, outcome):
    layers(podium, ("c", line, ""), ("d", PASSES, ""), mode="sequential")
    ended = podium("test", "--format", "json", "--fail-fast-mode", mode, code=1)
    assert ended.outcomes == {"lay/c": "failed", "lay/d": outcome, "lay": "failed"}


def test_a_category_whose_need_failed_says_so_in_words_and_once(podium):
    layers(podium, ("c", TWO_FAIL, ""), ("d", PASSES, "needs: [c], "))
    ended = podium("test", code=1)
    assert "skipped    lay/d  `lay/c` failed\n" in ended.output
    assert ended.output.count("d was not run") == 1
    assert "outcome ==" not in ended.output
