"""What was found in a project, run by the real programs."""

import os
import shutil
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from podium.plan.discovery import derive

MARKERS = '[tool.pytest.ini_options]\nmarkers = ["smoke: quick", "e2e"]\n'


def run(argv, folder):
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


def needed(program):
    if shutil.which(program) is None:
        if os.environ.get("PODIUM_REQUIRE_ALL"):
            pytest.fail(f"PODIUM_REQUIRE_ALL is set, and there is no {program}")
        pytest.skip(f"there is no {program}")


def test_markers_put_every_test_in_one_category(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "pyproject.toml").write_text(MARKERS)
    lines = ["import pytest"]
    for number, marks in enumerate(["", "smoke", "e2e", "smoke e2e"]):
        lines += [f"@pytest.mark.{mark}" for mark in marks.split()] + [f"def test_{number}(): pass"]
    (tmp_path / "tests/test_a.py").write_text("\n".join(lines))
    ran = []
    for category in derive(tmp_path):
        argv = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
        ended = run([*argv, "-m", category.suite.markers, *category.suite.paths], tmp_path)
        assert ended.returncode == 0, ended.stdout
        ran += [line for line in ended.stdout.splitlines() if "::" in line]
    assert sorted(ran) == [f"tests/test_a.py::test_{number}" for number in range(4)]


CHOSEN = "import pytest\n@pytest.mark.{}\ndef test_marked(): pass\n@pytest.mark.{}\ndef test_other(): pass\n"
COLLECTOR = """\
import pytest


def pytest_collect_file(parent, file_path):
    return Cases.from_parent(parent, path=file_path) if file_path.suffix == ".case" else None


class Cases(pytest.File):
    def collect(self):
        return [Case.from_parent(self, name=line) for line in self.path.read_text().split()]


class Case(pytest.Item):
    def runtest(self): pass
"""
CHOOSING = '[pytest]\naddopts = -m "not network"\nmarkers =\n    slow\n    network\n'


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (
            {"pytest.ini": CHOOSING, "tests/test_a.py": CHOSEN.format("slow", "network")},
            ["tests/test_a.py::test_marked"],
        ),
        (
            {
                "pytest.ini": CHOOSING,
                "tests/unit/test_a.py": CHOSEN.format("slow", "network"),
                "tests/e2e/test_b.py": CHOSEN.format("network", "slow"),
            },
            ["tests/e2e/test_b.py::test_other", "tests/unit/test_a.py::test_marked"],
        ),
        ({"docs/test_doc.txt": ">>> 1 + 1\n2\n"}, ["docs/test_doc.txt::test_doc.txt"]),
        ({"conftest.py": COLLECTOR, "cases/some.case": "one two"}, ["cases/some.case::one", "cases/some.case::two"]),
    ],
    ids=["markers", "folders and markers", "doctests", "collector"],
)
def test_the_tests_of_all_categories_are_those_that_pytest_finds_alone(tmp_path, files, names):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def collected(*arguments):
        argv = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *arguments]
        return [line for line in run(argv, tmp_path).stdout.splitlines() if "::" in line]

    found = [category.suite for category in derive(tmp_path)]
    ran = [test for one in found for test in collected(*(["-m", one.markers] if one.markers else []), *one.paths)]
    assert sorted(ran) == sorted(collected()) == names


def test_ctest_writes_its_results_where_the_category_says(tmp_path):
    needed("cmake")
    needed("ctest")
    lines = ["cmake_minimum_required(VERSION 3.21)", "project(shop NONE)", "enable_testing()"]
    lines += [
        "add_test(NAME good COMMAND ${CMAKE_COMMAND} -E true)",
        "add_test(NAME bad COMMAND ${CMAKE_COMMAND} -E false)",
    ]
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lines))
    assert run(["cmake", "-S", ".", "-B", "build"], tmp_path).returncode == 0
    (category,) = derive(tmp_path)
    ended = run(category.suite.argv, tmp_path)
    assert ended.returncode in category.suite.exit_codes
    cases = ET.parse(tmp_path / category.suite.report_path).iter("testcase")
    assert {case.get("name"): case.find("failure") is not None for case in cases} == {"good": False, "bad": True}


def test_a_script_of_npm_is_run_with_the_arguments_that_make_it_report(tmp_path):
    """A runner stands in for jest: it prints the arguments it was given as JSON, and nothing else is printed."""
    needed("npm")
    program = tmp_path / "node_modules/.bin/jest"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf \'["%s"]\' "$*"\n')
    program.chmod(0o755)
    (tmp_path / "package.json").write_text('{"name": "shop", "scripts": {"test": "jest --ci"}}')
    (category,) = derive(tmp_path)
    ended = run(category.suite.argv, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, '["--ci --json"]'), ended.stderr
