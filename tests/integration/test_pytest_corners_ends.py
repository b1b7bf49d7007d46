"""Suites of pytest: how tests and workers end, and what is told when nothing was meant."""

import subprocess
import sys

import pytest
from tests.integration.pytest_bench import run, write
from tests.integration.test_pytest_plugins import with_xdist

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")

HANGS = """
    import pytest, threading

    def wait(): threading.Event().wait()

    @pytest.fixture
    def slow(): wait()

    def test_hangs(): wait()

    def test_waits(slow): pass
    """


@pytest.mark.parametrize("fork", [True, False])
def test_only_frames_of_the_project_are_shown_of_a_test_that_hangs(tmp_path, fork):
    ran = run(tmp_path, {"test_it.py": HANGS}, timeout=0.5, fork=fork)
    assert ran.outcomes == {"test_hangs": "timed_out", "test_waits": "timed_out"}
    hangs, waits = ran.one("test_hangs").details, ran.one("test_waits").details
    assert "in wait" in hangs
    assert "in test_hangs" in hangs
    assert hangs.rstrip().endswith("in pytest_pyfunc_call")
    assert "in slow" in waits
    assert waits.rstrip().endswith("in call_fixture_func")
    assert "pluggy" not in hangs + waits


def test_what_tests_register_for_the_end_is_done_once_in_their_worker(tmp_path):
    text = """
        import atexit, os, pytest, tempfile, weakref
        from pathlib import Path

        HERE = Path(__file__).parent
        PARENT = os.getpid()

        def note(word): (HERE / f"{word} {os.getpid() == PARENT}").open("a").write("x")

        class Thing: pass

        atexit.register(note, "collected")
        early = Thing()
        weakref.finalize(early, note, "early")
        late = Thing()

        def test_registers():
            atexit.register(note, "registered")
            weakref.finalize(late, note, "late")
            atexit.register(print, "printed at the end")
        """
    ran = run(tmp_path, {"test_it.py": text}, workers=1)
    assert ran.counts == {"passed": 1}
    found = {file.name: file.read_text() for file in tmp_path.glob("* *")}
    assert found == {"collected True": "x", "early True": "x", "registered False": "x", "late False": "x"}
    assert "printed at the end" in ran.stdout


def test_what_fails_at_the_end_of_a_worker_changes_no_result(tmp_path):
    text = """
        import atexit
        def fail(): raise ValueError("too late")
        def test_registers(): atexit.register(fail)
        """
    ran = run(tmp_path, {"test_it.py": text}, workers=1)
    assert ran.kind == ("passed", None)
    assert "ValueError: too late" in ran.finished.artifacts["stderr"].decode()


def test_what_never_returns_at_the_end_of_a_worker_is_broken_off(tmp_path):
    conftest = """
        import sys
        sys.modules["_podium_pytest_host.worker"]._FAREWELL = 0.2
        """
    text = """
        import atexit, threading
        def test_registers(): atexit.register(threading.Event().wait)
        """
    ran = run(tmp_path, {"conftest.py": conftest, "test_it.py": text}, workers=1)
    assert ran.kind == ("passed", None)
    assert "what tests registered with `atexit` took too long" in ran.notes


@pytest.mark.parametrize("fork", [True, False])
def test_nothing_is_wrong_with_a_suite_of_which_a_person_meant_nothing(tmp_path, fork):
    text = "import pytest\n@pytest.mark.parametrize('n', range(12))\ndef test_it(n): pass"
    ran = run(tmp_path, {"test_it.py": text}, keyword="unit", narrowed="-k unit", fork=fork, args=("-p", "no:xdist"))
    assert ran.kind == ("skipped", "NothingSelected")
    assert ran.counts == {"left_out": 12}
    assert "-k unit: none of 12 tests selected" in ran.notes


def test_tests_that_a_person_did_not_mean_are_counted_as_left_out(tmp_path):
    text = "def test_unit(): pass\ndef test_other(): pass"
    ran = run(tmp_path, {"test_it.py": text}, keyword="unit", narrowed="-k unit")
    assert ran.kind == ("passed", None)
    assert ran.counts == {"passed": 1, "left_out": 1}


def test_a_suite_that_is_made_of_what_an_expression_selects_must_not_be_empty(tmp_path):
    ran = run(tmp_path, {"test_it.py": "def test_it(): pass"}, keyword="unit")
    assert ran.kind == ("errored", "NoTests")
    assert run(tmp_path, {"test_it.py": "def test_it(): pass\ndef test_unit(): pass"}, keyword="unit").counts == {
        "passed": 1
    }


def test_nothing_is_wrong_with_a_suite_of_whose_files_a_person_meant_none(tmp_path):
    ran = run(tmp_path, {"test_it.py": "raise ValueError"}, include=("other/*",), narrowed="-k other/*")
    assert ran.kind == ("skipped", "NothingSelected")
    assert ran.finished.failure.message == "no test is selected by `-k other/*`"
    assert run(tmp_path, {}, include=("other/*",)).kind == ("errored", "NoTests")


def test_nothing_is_wrong_when_xdist_finds_nothing_that_a_person_meant(tmp_path):
    with_xdist()
    ran = run(tmp_path, {"test_it.py": "def test_it(): pass"}, keyword="unit", narrowed="-k unit", fork=False)
    assert ran.output["runner"].endswith("pytest-xdist")
    assert ran.kind == ("skipped", "NothingSelected")


def test_files_that_cannot_be_collected_are_wrong_though_nothing_of_them_was_meant(tmp_path):
    files = {"test_it.py": "def test_it(): pass", "test_bad.py": "raise ValueError"}
    assert run(tmp_path, files, keyword="unit", narrowed="-k unit").kind[0] == "errored"


@pytest.mark.parametrize(
    ("pattern", "code", "outcomes"),
    [
        ("login", 0, {"one/unit": "passed", "one/api": "skipped", "one": "passed", "two/more": "passed"}),
        ("call", 0, {"one/unit": "skipped", "one/api": "passed", "one": "passed", "two/more": "skipped"}),
        ("unit/*", 0, {"one/unit": "passed", "one/api": "skipped", "one": "passed", "two/more": "passed"}),
        ("nothing", 4, dict.fromkeys(("one/unit", "one/api", "one", "two/more"), "skipped")),
    ],
)
def test_layers_go_on_after_categories_of_which_nothing_was_meant(tmp_path, pattern, code, outcomes):
    layers = """
        kind: layers
        layers:
          one:
            categories:
              - {name: unit, pytest: {paths: [unit]}}
              - {name: api, pytest: {paths: [api]}}
          two:
            needs: [one]
            categories:
              - {name: more, pytest: {paths: [unit]}}
        """
    files = {"unit/test_u.py": "def test_login(): pass", "api/test_a.py": "def test_call(): pass"}
    write(tmp_path, {"layers.yaml": layers, **files})
    command = [sys.executable, "-m", "podium", "test", "-k", pattern, "--config", "layers.yaml", "--store", "s.db"]
    done = subprocess.run(
        [*command, "--python", sys.executable], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    said = dict(line.split()[1::-1] for line in done.stdout.splitlines() if line.startswith(("passed ", "skipped ")))
    assert {name: said.get(name) for name in outcomes} == outcomes
