"""What layers name and is not there, found without running anything."""

import os

import pytest

from podium.cli.named_things import what_is_missing
from podium.model.layers_loading import load_layers_text


@pytest.fixture
def project(tmp_path):
    for folder in ("unit", "backend/tests", "scenarios", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name, mode in (("compose.yaml", 0o644), ("bin/tool", 0o755), ("bin/data", 0o644), ("backend/run.sh", 0o755)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    return tmp_path


def category(text):
    return f"kind: layers\nlayers:\n  fast:\n    categories:\n      - {{name: c, {text}}}\n"


def service(text):
    return f"{category('shell: x')}services:\n  s: {{{text}}}\n"


def missing(text, project, environment="test", *, real_services=False):
    found = what_is_missing(load_layers_text(text), project, environment, real_services=real_services)
    assert {finding.code for finding in found} <= {"P245"}
    assert all(finding.hint for finding in found)
    return [f"{f.span.line}: {f.span.text[f.span.column - 1 :][: f.span.length]}: {f.message}" for f in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pytest: {paths: [unit, nowhere]}", "5: nowhere: there is no `nowhere`"),
        (
            "pytest: {paths: ['nowhere/test_x.py::test_y']}",
            "5: 'nowhere/test_x.py::test_y': there is no `nowhere/test_x.py`",
        ),
        ("pytest: {paths: [unit], cwd: backend}", "5: unit: there is no `unit`"),
        ("pytest: {cwd: nowhere, paths: [unit]}", "5: nowhere: there is no folder `nowhere`"),
        ("pytest: {cwd: compose.yaml}", "5: compose.yaml: `compose.yaml` is no folder"),
        ("pytest: {python: no-such-python}", "5: no-such-python: there is no program `no-such-python` on the path"),
        ("pytest: {python: bin/python}", "5: bin/python: there is no program `bin/python`"),
        ("command: [no-such-program, x]", "5: no-such-program: there is no program `no-such-program` on the path"),
        ("command: [./bin/other]", "5: ./bin/other: there is no program `./bin/other`"),
        ("command: [bin/data]", "5: bin/data: the program `bin/data` may not be executed"),
        ("command: [./run.sh]", "5: ./run.sh: there is no program `./run.sh`"),
        ("command: [sh, x], cwd: nowhere", "5: nowhere: there is no folder `nowhere`"),
        ("shell: x, cwd: nowhere", "5: nowhere: there is no folder `nowhere`"),
        ("run: nowhere.yaml", "5: nowhere.yaml: there is no `nowhere.yaml`"),
        (
            "shell: x, programs: [sh, no-such-program]",
            "5: no-such-program: there is no program `no-such-program` on the path",
        ),
    ],
)
def test_what_a_category_names_and_is_not_there_is_found_with_its_place(project, text, found):
    assert missing(category(text), project) == [found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("command: [no-such-program]", "7: no-such-program: there is no program `no-such-program` on the path"),
        ("command: [sh], cwd: nowhere", "7: nowhere: there is no folder `nowhere`"),
        ("compose: nowhere.yaml", "7: nowhere.yaml: there is no `nowhere.yaml`"),
        ("compose: {file: nowhere.yaml, service: s}", "7: nowhere.yaml: there is no `nowhere.yaml`"),
        ("image: i, mounts: {./nowhere: /x}", "7: ./nowhere: there is no `./nowhere`"),
        (
            "command: [sh], health: {command: [no-such-program]}",
            "7: no-such-program: there is no program `no-such-program` on the path",
        ),
    ],
)
def test_what_a_service_names_and_is_not_there_is_found_with_its_place(project, text, found):
    assert missing(service(text), project) == [found]


@pytest.mark.parametrize(
    "text",
    [
        category("pytest: {paths: [unit, 'unit::TestX::test_y'], python: bin/tool}"),
        category("pytest: {paths: [tests], cwd: backend, python: ../bin/tool}"),
        category("pytest: {paths: [a.module], args: [--pyargs]}"),
        category("command: [./run.sh], cwd: backend"),
        category("command: ['part-${shard}', x]"),
        category("command: [sh], programs: [sh]"),
        category("run: scenarios"),
        category("shell: no-such-program"),
        service("compose: compose.yaml"),
        service("image: i, mounts: {./scenarios: /x}"),
    ],
)
def test_what_is_there_and_what_only_a_run_can_tell_is_not_complained_about(project, text):
    assert missing(text, project) == []


def test_a_program_is_looked_for_on_the_path_the_category_says(project):
    assert missing(category(f"command: [tool], env: {{PATH: '{project / 'bin'}'}}"), project) == []


def test_what_mocks_stand_for_is_looked_at_only_with_real_services(project):
    text = service("command: [no-such-program], mocks: {URL: 'fake://'}")
    assert missing(text, project) == []
    assert len(missing(text, project, real_services=True)) == 1


def test_what_is_named_in_another_environment_is_looked_at_there(project):
    text = category("shell: x") + ("    environments: {staging: {categories: [{name: c, run: nowhere}]}}\n")
    assert missing(text, project) == []
    assert missing(text, project, "staging") == ["6: nowhere: there is no `nowhere`"]


def test_everything_is_found_at_once_in_the_order_of_the_file(project):
    text = category("pytest: {paths: [b, a], python: x}")
    assert [line.split()[-1 if "program" not in line else -4] for line in missing(text, project)] == [
        "`b`",
        "`a`",
        "`x`",
    ]


def test_nothing_is_run_or_written(project):
    before = sorted(os.walk(project))
    missing(category("command: [bin/tool]"), project)
    assert sorted(os.walk(project)) == before
