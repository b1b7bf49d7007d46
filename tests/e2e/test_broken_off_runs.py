"""A run that was broken off is nothing later runs compare with: its other tests might have come to anything."""

import pytest

pytestmark = pytest.mark.once

CODE = "VALUE = 1\n"
TESTING = "import code_of\n\n\ndef test_value():\n    assert code_of.VALUE == 1\n"


@pytest.fixture
def project(podium):
    """A project whose tests pass, and were all run."""
    (podium.folder / "conftest.py").write_text("")
    (podium.folder / "code_of.py").write_text(CODE)
    (podium.folder / "test_code.py").write_text(TESTING)
    (podium.folder / "test_first.py").write_text("def test_first():\n    pass\n")
    podium("test")
    return podium


def test_a_run_that_could_not_collect_a_file_is_not_full(project):
    (project.folder / "code_of.py").write_text("VALUE = 1 + 1\n")
    (project.folder / "test_first.py").write_text("def test_first(:\n")
    project("test", code=1)
    (project.folder / "test_first.py").write_text("def test_first():\n    pass\n")
    assert "test_code.py::test_value" in project("test", "--only-changed", code=1).output


def test_a_run_that_pytest_xdist_ended_at_its_first_failure_is_not_full(project):
    (project.folder / "pytest.ini").write_text("[pytest]\naddopts = -x\n")
    project("test")
    (project.folder / "code_of.py").write_text("VALUE = 1 + 1\n")
    (project.folder / "test_code.py").write_text(
        "import time\n" + TESTING.replace("    assert", "    time.sleep(9)\n    assert")
    )
    (project.folder / "test_first.py").write_text("def test_first():\n    assert 0\n")
    project("test", "--no-fork", "--parallel", "2", code=1)
    (project.folder / "test_code.py").write_text(TESTING)
    (project.folder / "test_first.py").write_text("def test_first():\n    pass\n")
    assert "test_code.py::test_value" in project("test", "--only-changed", code=1).output
