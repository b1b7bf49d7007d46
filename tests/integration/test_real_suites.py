"""Suites Podium did not write: public projects, each test with the outcome it has under pytest itself; and huge ones.

The public ones are fetched from the package index once and kept (`tests.real_suites`). They are tested on one Python of
a matrix only, that of `.venv`. `PODIUM_REAL_SUITES=all` adds those that take a minute or more.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.real_suites import PROJECTS, Project, UnavailableError, Workplace, plain_pytest, prepare
from tests.real_suites_podium import differences, podium, podium_command, run

ROOT = Path(__file__).resolve().parents[2]
ALL = os.environ.get("PODIUM_REAL_SUITES") == "all"


pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def place() -> Workplace:
    try:
        return prepare()
    except UnavailableError as error:
        if os.environ.get("PODIUM_REQUIRE_ALL"):
            raise
        pytest.skip(f"the public suites cannot be fetched: {error}")


@pytest.mark.parametrize(
    "project", [project for project in PROJECTS if project.small or ALL], ids=lambda project: project.name
)
def test_every_test_of_a_public_suite_comes_to_what_it_does_under_pytest(
    place: Workplace, project: Project, tmp_path: Path
):
    folder = place.copy(project, tmp_path)
    expected = plain_pytest(place, project, folder)
    assert len(expected.outcomes) >= project.tests * 0.9, "this is not the suite that was pinned"

    found = podium(place, project, folder, tmp_path / "runs.db")

    assert differences(expected.outcomes, found.outcomes) == []
    assert found.exit_code == expected.exit_code == 0


def test_comparing_two_runs_finds_what_is_missing_what_is_new_and_what_came_to_something_else():
    expected = {"a": "passed", "b": "passed", "c": "failed"}

    assert differences(expected, dict(expected)) == []
    assert differences(expected, {"a": "passed", "c": "errored", "d": "passed"}) == [
        "missing: b (passed)",
        "extra: d (passed)",
        "c: errored instead of failed",
    ]


def test_sixty_thousand_tests_are_all_accounted_for(tmp_path: Path):
    """One in a thousand fails, one in a thousand is skipped, and none is lost or counted twice."""
    tests = tmp_path / "project" / "tests"
    tests.mkdir(parents=True)
    text = (
        "import pytest\n\n"
        '@pytest.mark.parametrize("n", range(2000))\n'
        "def test_number(n):\n"
        "    if n % 1000 == 1:\n        pytest.skip()\n"
        "    assert n % 1000 != 500\n"
    )
    for number in range(30):
        (tests / f"test_{number:02}.py").write_text(text)
    words = {1: "skipped", 500: "failed"}
    expected = {
        f"tests/test_{file:02}.py::test_number[{n}]": words.get(n % 1000, "passed")
        for file in range(30)
        for n in range(2000)
    }

    store = tmp_path / "runs.db"
    command = podium_command(Path(sys.executable), store)
    ran = run(command, tmp_path / "project", dict(os.environ), store, limit=300)

    assert Counter(ran.outcomes.values()) == {"passed": 59_880, "skipped": 60, "failed": 60}
    assert differences(expected, ran.outcomes) == []
    assert ran.exit_code == 1
