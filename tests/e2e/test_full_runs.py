"""What a full run of `podium test` leaves for later ones, and what it says of the quarantine."""

import os

import pytest

pytestmark = pytest.mark.once

LAYERS = """\
kind: layers
layers:
  fast: {categories: [{name: unit, pytest: {paths: [unit]}}]}
  slow: {needs: [fast], categories: [{name: api, pytest: {paths: [api]}}]}
"""
PASSING = "def test_one():\n    assert True\n"


def write(podium, name, text):
    path = podium.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def project(podium):
    """A project with two layers, both of which pass."""
    write(podium, "layers.yaml", LAYERS)
    write(podium, "unit/test_unit.py", PASSING)
    write(podium, "api/test_api.py", PASSING)
    return podium


def total(ended):
    return ended.json["tests"]["total"]


def test_a_run_of_what_changed_that_had_to_run_everything_is_one_that_later_ones_compare_with(project):
    assert total(project("test", "--only-changed", "--format", "json")) == 2
    assert "none of the tests was selected" in project("test", "--only-changed", code=4).errors
    write(project, "unit/test_unit.py", PASSING + "\n")
    assert total(project("test", "--only-changed", "--format", "json")) == 1
    assert total(project("test", "--only-changed", "--format", "json")) == 1  # the one before was not full


def test_a_run_in_which_a_layer_was_held_up_is_not_full(project):
    write(project, "unit/test_unit.py", "def test_one():\n    assert False\n")
    project("test", "--only-changed", code=1)
    write(project, "unit/test_unit.py", PASSING)
    assert total(project("test", "--only-changed", "--format", "json")) == 2


SKIPPING = {
    "a test": "import os, pytest, code_of\n\n@pytest.mark.skipif('BASE' not in os.environ, reason='no base')\n",
    "a file": "import os, pytest, code_of\nif 'BASE' not in os.environ: pytest.skip('no', allow_module_level=True)\n",
}


@pytest.mark.parametrize("what", SKIPPING)
def test_what_the_last_full_run_skipped_is_run_though_nothing_changed_since(project, what):
    write(project, "conftest.py", "")
    write(project, "code_of.py", "x = 1\n")
    write(project, "unit/test_base.py", f"{SKIPPING[what]}def test_base():\n    assert code_of.x == 1\n")
    assert project("test", "--format", "json", BASE="1").json["tests"] == {"total": 3, "passed": 3}
    assert "none of the tests was selected" in project("test", "--only-changed", code=4, BASE="1").errors
    write(project, "code_of.py", "x = 2\n")
    assert "failed" not in project("test", "--format", "json").json["tests"]
    ended = project("test", "--only-changed", "--format", "json", code=1, BASE="1")
    assert ended.json["tests"] == {"total": 1, "failed": 1}


def test_a_file_whose_name_is_not_utf8_disturbs_no_run(project):
    file = project.folder / os.fsdecode(b"caf\xe9.txt")
    for text in ("1", "2"):
        try:
            file.write_text(text)
        except OSError:
            pytest.skip("the file system refuses the name")
        for paths in ((), (".",)):
            assert total(project("test", *paths, "--format", "json")) == 2
    assert "none of the tests was selected" in project("test", "--only-changed", code=4).errors
    file.unlink()
    assert "caf\\xe9.txt is neither" in project("test", "--only-changed").output


def test_what_a_run_saw_and_cannot_keep_is_a_warning_of_one_line_and_no_failure(project):
    (project.folder / ".podium" / "seen.json").mkdir(parents=True)  # a file cannot take its place
    ended = project("test", "--format", "json")
    assert total(ended) == 2
    (line,) = ended.errors.splitlines()
    assert line.startswith("warning[E502]: ")
    assert line.endswith("so --only-changed will have nothing to compare with")


QUARANTINE = """\
quarantine:
  - {test: "unit/test_unit.py::test_one", until: "2999-01-01"}
  - {test: "api/test_api.py::test_two", until: "2999-01-01"}
"""


def test_an_entry_of_the_quarantine_that_fits_no_test_of_any_layer_is_told_once(project):
    write(project, "layers.yaml", LAYERS + QUARANTINE)
    for more, code in (((), 0), (("--only-changed",), 4)):  # what is left out was found
        ended = project("test", *more, code=code)
        assert ended.errors.count("U456") == 1
        assert "quarantine of `api/test_api.py::test_two`: no test of that name was found" in ended.errors
        assert "layers.yaml:7:5" in ended.errors


@pytest.mark.parametrize("more", [("--layers", "fast"), ("-k", "test_one"), ("unit",)])
def test_nothing_is_said_of_entries_whose_tests_need_not_have_been_found(project, more):
    write(project, "layers.yaml", LAYERS + QUARANTINE)
    assert "U456" not in project("test", *more).errors


def test_nothing_is_said_of_entries_if_a_file_could_not_be_collected(project):
    write(project, "layers.yaml", LAYERS.replace("needs: [fast], ", "") + QUARANTINE)
    write(project, "api/test_api.py", "1 / 0\n")
    assert "U456" not in project("test", code=1).errors


def test_a_command_whose_tests_are_known_counts_too(project):
    command = """  other: {categories: [{name: c, shell: "echo 1..1; echo 'ok 1 - NAME'", report: {format: tap}}]}\n"""
    entry = 'quarantine: [{test: "works*", until: "2999-01-01"}]\n'
    write(project, "layers.yaml", LAYERS + command.replace("NAME", "works well") + entry)
    assert "U456" not in project("test").errors
    write(project, "layers.yaml", LAYERS + command.replace("NAME", "goes well") + entry)
    assert "U456" in project("test").errors


def test_a_layer_in_the_background_that_runs_along_is_shown(project):
    write(
        project, "layers.yaml", LAYERS.replace("slow: {", "slow: {background: true, ") + "modes: {all: [fast, slow]}\n"
    )
    lines = project("test", "--mode", "all", "--dry-run").output.splitlines()
    assert lines[-3] == "phases: fast"
    assert lines[-1] == "in the background of the same run, not counted: slow"


def test_what_failed_twice_is_still_failing_and_what_was_skipped_twice_is_not(project):
    write(project, "unit/test_unit.py", "def test_one():\n    assert False\n")
    project("test", code=1)
    project("test", code=1)
    lines = project("compare").output.splitlines()
    assert "still failing  fast/unit  failed -> failed" in lines
    assert "not passed  slow/api  skipped -> skipped" in lines
    assert "broken" not in "".join(lines)
    assert lines[-2] == "0 regressions, 2 still failing, 2 not passed of 4 cases"


def test_the_junit_file_of_layers_has_as_many_cases_as_there_are_tests(project):
    project("test", "--junit", "out.xml")
    assert (project.folder / "out.xml").read_text().count("<testcase ") == 2
