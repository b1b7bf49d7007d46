import sys

import pytest

from podium.executors.pytest_python import python_of


@pytest.fixture
def environment(tmp_path):
    def make(folder, *, has_pytest=True, system=False):
        folder = tmp_path / folder
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()
        (folder / "pyvenv.cfg").write_text(f"include-system-site-packages = {str(system).lower()}\n")
        if has_pytest:
            package = folder / "lib" / "python3.12" / "site-packages" / "pytest"
            package.mkdir(parents=True)
            (package / "__init__.py").touch()
        return str(folder / "bin" / "python")

    return make


def test_what_the_suite_says_is_taken(tmp_path, environment):
    environment(".venv")
    assert python_of("/opt/python", tmp_path, {}) == "/opt/python"
    assert python_of("my/python", tmp_path, {}) == str(tmp_path / "my/python")
    assert python_of("no-such-python", tmp_path, {"PATH": ""}) == "no-such-python"


def test_the_active_environment_comes_before_that_of_the_project(tmp_path, environment):
    active, own = environment("active"), environment(".venv")
    assert python_of("", tmp_path, {"VIRTUAL_ENV": str(tmp_path / "active")}) == active
    assert python_of("", tmp_path, {}) == own


def test_an_environment_without_pytest_is_passed_over(tmp_path, environment):
    environment("active", has_pytest=False)
    environment(".venv", has_pytest=False)
    assert python_of("", tmp_path, {"VIRTUAL_ENV": str(tmp_path / "active")}) == sys.executable
    assert python_of("", tmp_path, {}) == sys.executable
    second = environment("venv", has_pytest=False, system=True)
    assert python_of("", tmp_path, {}) == second


def test_a_folder_of_a_repository_uses_the_environment_of_the_repository(tmp_path, environment):
    own = environment("top/.venv")
    below = tmp_path / "top" / "a" / "b"
    below.mkdir(parents=True)
    assert python_of("", below, {}) == sys.executable
    (tmp_path / "top" / ".git").mkdir()
    assert python_of("", below, {}) == own
