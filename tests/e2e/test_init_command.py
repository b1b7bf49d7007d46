"""`podium init`: the document a person starts from."""

import pytest

from podium.model.layers_loading import load_layers

TEST = "def test_it():\n    assert True\n"


def test_in_a_project_with_tests_it_writes_the_layers_it_found_once(podium):
    podium.write("tests/unit/test_a.py", TEST)
    podium.write("tests/e2e/test_b.py", TEST)
    output = podium("init").output
    assert output.splitlines() == ["wrote layers.yaml", "next: podium test"]
    text = (podium.folder / "layers.yaml").read_text()
    assert "kind: layers" in text
    assert "- name: unit" in text
    assert "paths: [tests/e2e]" in text
    assert "layers.yaml exists already" in podium.refused("init", error="U433")
    assert (podium.folder / "layers.yaml").read_text() == text


def test_what_it_wrote_is_a_valid_document(podium):
    podium.write("tests/test_a.py", TEST)
    podium("init")
    loaded = load_layers(podium.folder / "layers.yaml")
    assert not loaded.warnings
    assert [category.name for category in loaded.document.layers["fast_feedback"].categories] == ["tests"]


def test_without_tests_it_writes_a_scenario(podium):
    podium.write("src/app.py", "")
    assert podium("init").output.splitlines() == ["wrote scenarios/first_scenario.yaml", "next: podium run scenarios"]


def test_with_a_folder_it_writes_a_scenario_there_whether_or_not_there_are_tests(podium):
    podium.write("tests/test_a.py", TEST)
    assert "wrote cases/first_scenario.yaml" in podium("init", "cases").output
    assert "wrote scenarios/first_scenario.yaml" in podium("init", "--kind", "scenario").output


def test_the_layers_of_another_folder_are_written_there(podium):
    podium.write("shop/tests/test_a.py", TEST)
    assert "wrote shop/layers.yaml" in podium("init", "--kind", "layers", "shop").output
    assert "paths: [tests]" in (podium.folder / "shop/layers.yaml").read_text()


@pytest.mark.parametrize("folder", [[], ["nowhere"]])
def test_layers_without_tests_are_refused_and_nothing_is_written(podium, folder):
    errors = podium.refused("init", "--kind", "layers", *folder, code=4, error="U455")
    assert "hint: podium init --kind scenario" in errors
    assert not (podium.folder / "layers.yaml").exists()
    assert not (podium.folder / "nowhere").exists()


def test_an_unknown_kind_is_refused_in_words(podium):
    podium.refused("init", "--kind", "workflow", error="U400")
