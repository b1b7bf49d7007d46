"""`podium test` with the real command, real suites and real services."""

import json
import shutil
import signal
import time

import psutil
import pytest

pytestmark = pytest.mark.once

PASSING = "def test_one():\n    assert True\n"
FAILING = "def test_two():\n    assert 1 == 2, 'as written'\n"
FLAKY = """\
import pathlib

def test_it():
    seen = pathlib.Path("seen")
    if not seen.exists():
        seen.touch()
        raise AssertionError("first")
"""
COUNTING = """\
import pathlib

def test_it():
    count = pathlib.Path("count")
    number = int(count.read_text()) + 1 if count.exists() else 1
    count.write_text(str(number))
    assert number < 4
"""
HANGING = """\
import pathlib, time

def note(name):
    with open(name, "a") as file:
        file.write("x")

def test_a():
    note("a")

def test_b():
    note("b")
    if not pathlib.Path("go").exists():
        time.sleep(60)
"""
LAYERS = """\
kind: layers
name: mine
layers:
  fast:
    fail_fast: {fail_fast}
    mode: sequential
    categories:
      - {{name: unit, priority: 1, pytest: {{paths: [unit]}}}}
      - {{name: api, priority: 2, pytest: {{paths: [api]}}}}
  slow:
    needs: [fast]
    categories:
      - {{name: e2e, shell: "echo 'ok 1 - works'; echo 1..1", report: {{format: tap}}}}
"""


@pytest.fixture
def project(podium):
    """A project with layers, all of which pass."""
    write(podium, "layers.yaml", LAYERS.format(fail_fast="category"))
    write(podium, "unit/test_unit.py", PASSING)
    write(podium, "api/test_api.py", PASSING)
    return podium


def write(podium, name, text):
    path = podium.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def outcomes(ended):
    return {case["name"]: case["outcome"] for case in ended.json["cases"]}


def test_the_example_passes_with_its_service(podium, examples):
    shutil.copytree(examples / "06-test-layers", podium.folder, dirs_exist_ok=True)
    ended = podium("test", "--format", "json")
    assert outcomes(ended) == {
        "fast_feedback/smoke": "passed",
        "fast_feedback/unit": "passed",
        "fast_feedback": "passed",
        "service/server": "passed",
        "core_integration/api": "passed",
        "core_integration": "passed",
    }
    assert ended.json["tests"] == {"total": 9, "passed": 9}
    assert not [p for p in psutil.process_iter() if str(podium.folder) in " ".join(_argv(p))]


def _argv(process):
    try:
        return [*process.cmdline(), process.cwd()] if "server.py" in process.cmdline() else []
    except psutil.Error:
        return []


def test_layers_follow_their_needs_and_any_runner_counts(project):
    ended = project("test", "--format", "json")
    assert set(outcomes(ended).values()) == {"passed"}
    assert ended.json["tests"]["total"] == 3


def test_a_failure_is_shown_with_its_assertion_and_holds_up_what_needs_its_layer(project):
    write(project, "unit/test_bad.py", FAILING)
    ended = project("test", code=1)
    assert "failed     fast/unit: unit/test_bad.py::test_two" in ended.output
    assert "AssertionError: as written" in ended.output
    assert "assert 1 == 2" in ended.output
    shown = project("show", "--format", "json")
    states = {case["name"]: case["outcome"] for case in shown.json["cases"]}
    assert states["fast/api"] == "skipped"
    assert states["slow/e2e"] == states["slow"] == "skipped"


def test_without_failing_fast_the_other_categories_run(project):
    write(project, "layers.yaml", LAYERS.format(fail_fast="disabled"))
    write(project, "unit/test_bad.py", FAILING)
    ended = project("test", "--format", "json", code=1)
    assert outcomes(ended)["fast/api"] == "passed"


def test_rerun_runs_only_tests_that_did_not_pass_and_then_everything_behind_them(project):
    write(project, "unit/test_bad.py", FAILING)
    project("test", code=1)
    write(project, "unit/test_bad.py", FAILING.replace("1 == 2", "2 == 2"))
    ended = project("rerun", "--format", "json")
    tests = {case["name"]: case.get("tests", {}).get("total") for case in ended.json["cases"]}
    assert tests["fast/unit"] == 1
    assert tests["fast/api"] == 1
    assert outcomes(ended)["slow"] == "passed"


def test_no_tests_at_all_is_no_pass(podium):
    ended = podium("test", code=4)
    assert "there are no tests in" in ended.errors


def test_a_category_without_tests_is_no_pass(project):
    (project.folder / "unit/test_unit.py").unlink()
    ended = project("test", "--category", "unit", code=4)
    assert "no tests were found" in ended.errors


def test_tests_that_were_found_and_not_run_are_no_pass_and_not_said_to_be_missing(podium):
    write(podium, "pytest.ini", "[pytest]\naddopts = --pdb\n")
    write(podium, "tests/test_one.py", FAILING)  # the debugger finds no terminal and ends the run
    ended = podium("test", code=4)
    assert "tests were found and none was run, so nothing can have passed" in ended.errors
    assert "errored: 2 steps errored in" in ended.output


def test_where_pytest_may_find_tests_it_is_asked_and_finding_none_is_no_pass(podium):
    write(podium, "pyproject.toml", "[tool.pytest.ini_options]\n")
    assert "no tests were found" in podium("test", code=4).errors
    write(podium, "test_doc.txt", ">>> 1 + 1\n2\n")
    assert podium("test", "--format", "json").json["tests"] == {"total": 1, "passed": 1}


def test_tests_that_the_options_of_pytest_leave_out_by_markers_are_not_run(podium):
    marked = "import pytest\n" + "".join(f"@pytest.mark.{mark}\ndef test_{mark}(): pass\n" for mark in ("slow", "net"))
    write(podium, "pytest.ini", "[pytest]\naddopts = -m 'not net'\nmarkers =\n    slow\n    net\n")
    write(podium, "tests/test_one.py", marked)
    assert podium("test", "--format", "json").json["tests"] == {"total": 1, "passed": 1}


def test_a_layer_that_was_found_and_left_out_is_named_with_the_commands_that_run_it(podium):
    write(podium, "tests/unit/test_one.py", PASSING)
    write(podium, "tests/e2e/test_all.py", PASSING)
    ended = podium("test")
    queue, here = "podium test --background-e2e", "podium test --layers e2e_background"
    assert ended.errors == f"not run: e2e_background (in the background); {queue} queues it, {here} runs it here\n"
    assert "not run" in podium("test", "--progress-mode", "silent").errors
    assert outcomes(podium(*here.split()[1:], "--format", "json"))["e2e_background/e2e"] == "passed"
    for options in (["--format", "json"], ["--progress-mode", "json"], ["--layers", "fast_feedback"], ["-k", "one"]):
        assert "not run" not in podium("test", *options).errors
    assert "queued" in podium(*queue.split()[1:]).errors
    deadline = time.monotonic() + 40
    while not (found := podium("status", "--format", "json").json["results"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [result["outcome"] for result in found] == ["passed"]
    podium("init")
    assert "not run" not in podium("test").errors


def test_without_a_file_the_tests_that_are_found_are_run(podium):
    write(podium, "tests/unit/test_unit.py", PASSING)
    write(podium, "tests/integration/test_more.py", PASSING)
    ended = podium("test", "--format", "json")
    assert outcomes(ended)["fast_feedback/unit"] == "passed"
    assert outcomes(ended)["core_integration/integration"] == "passed"


def test_paths_are_run_on_their_own(project):
    write(project, "unit/test_bad.py", FAILING)
    ended = project("test", "unit/test_unit.py::test_one", "api", "--format", "json")
    assert ended.json["tests"] == {"total": 2, "passed": 2}
    assert "there is no `nowhere`" in project("test", "nowhere", code=2).errors


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--layers", "fats"], "unknown layer `fats`"),
        (["--category", "units"], "unknown category `units`"),
        (["--mode", "nightli"], "unknown mode `nightli`"),
        (["--env", "produktion"], "unknown environment `produktion`"),
        (["--env", "prod"], "nothing runs in `production` unless it is allowed"),
        (["--window-size", "15"], "--window-size is not taken"),
        (["--master-orchestration"], "--master-orchestration is not taken"),
        (["--cypress-headed"], "none of these categories runs Cypress"),
    ],
)
def test_mistakes_say_what_there_is(project, arguments, text):
    ended = project("test", *arguments, code=2)
    assert text in ended.errors
    assert "hint: " in ended.errors


def test_several_words_are_taken_by_one_option(project):
    ended = project("test", "--categories", "unit", "api", "--format", "json")
    assert set(outcomes(ended)) == {"fast/unit", "fast/api", "fast"}


def test_a_file_with_mistakes_stays_as_it_is(project):
    text = "kind: layers\nlayers: {fast: {categories: [{name: unit\n"
    write(project, "layers.yaml", text)
    assert "layers.yaml:" in project("test", code=2).errors
    assert (project.folder / "layers.yaml").read_text() == text


def test_lists_and_plans(project):
    assert "fast" in project("test", "--show-layers").output
    assert project("test", "--list-categories").output.startswith("CATEGORIES")
    planned = project("plan", "--layers", "slow").output
    assert "phases: fast > slow" in planned
    assert project("test", "--validate", "--format", "json").json["phases"] == [["fast"], ["slow"]]
    project("test")
    assert "fast/unit" in project("test", "--show-category-stats").output


@pytest.mark.parametrize("options", [(), ("--use-layers",), ("--layers", "fast"), ("--layers", "slow")])
def test_a_plan_shows_the_layers_that_a_test_with_the_same_options_would_run(project, options):
    text = LAYERS.format(fail_fast="category").replace("needs: [fast]", "background: true")
    write(project, "layers.yaml", text)
    planned = project("plan", *options, "--format", "json").json
    tried = project("test", "--dry-run", *options, "--format", "json").json
    assert planned["plan"]["steps"] == tried["plan"]["steps"]
    assert planned["phases"] == tried["phases"]
    assert planned["phases"] == [["slow" if "slow" in options else "fast"]]


def test_a_flaky_test_passes_and_is_named(project):
    write(project, "unit/test_flaky.py", FLAKY)
    ended = project("test", "--category", "unit", "--retries", "1")
    assert "flaky      fast/unit: unit/test_flaky.py::test_it" in ended.output
    assert "(1 flaky)" in ended.output


def test_until_fail_repeats_until_a_test_fails(project):
    write(project, "unit/test_count.py", COUNTING)
    project("test", "unit/test_count.py", "--until-fail", "--parallel", "1", code=1)
    assert (project.folder / "count").read_text() == "4"


def test_a_run_that_was_killed_goes_on_with_the_tests_that_are_left(project):
    write(project, "unit/test_unit.py", HANGING)
    running = project.start("test", "--category", "unit", "--parallel", "1", "--format", "jsonl")
    for line in running.stdout:
        event = json.loads(line)
        if event.get("kind") == "tests_finished":
            break
    deadline = time.monotonic() + 30
    held = project.folder / "b"
    while not (held.exists() and held.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    write(project, "go", "")
    ended = project("resume", "--format", "json")
    assert ended.json["outcome"] == "passed"
    assert (project.folder / "a").read_text() == "x"
    assert (project.folder / "b").read_text() == "xx"


def test_background_layers_are_queued_and_run_beside(project):
    text = (project.folder / "layers.yaml").read_text().replace("  slow:\n", "  slow:\n    background: true\n")
    write(project, "layers.yaml", text.replace("    needs: [fast]\n", ""))
    ended = project("test", "--background-e2e", "--layers", "fast", "--format", "json")
    assert "queued" in ended.errors
    assert set(outcomes(ended)) == {"fast/unit", "fast/api", "fast"}
    deadline = time.monotonic() + 60
    while not (found := project("test", "--orchestration-status", "--format", "json").json["results"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [result["outcome"] for result in found] == ["passed"]


def test_only_what_changed_is_run_and_a_full_run_says_what_that_would_have_missed(podium):
    write(podium, "code_of.py", "x = 1\n")
    write(podium, "other.py", "")
    write(podium, "conftest.py", "")
    write(podium, "tests/test_code.py", "import code_of\n\ndef test_x():\n    assert code_of.x == 1\n")
    write(podium, "tests/test_other.py", "import other, os\n\ndef test_y():\n    assert not os.environ.get('BAD')\n")
    assert podium("test", "--only-changed", "--format", "json").json["tests"]["total"] == 2  # nothing to compare with
    podium("test")
    ended = podium("test", "--only-changed", code=4)
    assert ended.errors == "none of the tests was selected, since nothing that changed concerns them\n"
    assert "skipped: 2 steps skipped in" in ended.output
    write(podium, "code_of.py", "x = 2\n")
    ended = podium("test", "--only-changed", "--format", "json", code=1)
    assert ended.json["tests"] == {"total": 1, "failed": 1}
    write(podium, "code_of.py", "x = 1\n\n")
    ended = podium("test", code=1, BAD="1")
    assert "U452" in ended.errors
    assert "tests/test_other.py::test_y" in ended.errors


def test_a_budget_leaves_out_what_says_least_and_says_so(podium):
    text = "import time, pytest\n\n@pytest.mark.parametrize('n', range(4))\ndef test_it(n):\n    time.sleep(n / 10)\n"
    write(podium, "tests/test_slow.py", text)
    podium("test")
    ended = podium("test", "--budget", "150ms", "--parallel", "1")
    assert "left out" in ended.output


def test_a_service_needs_no_exports_and_one_that_dies_is_named(project):
    text = """\
kind: layers
layers:
  fast: {services: [web], categories: [{name: unit, pytest: {paths: [unit]}}]}
services:
  web: {command: [sh, -c, "COMMAND"], startup_timeout: 5 s, health: {command: ["true"]}}
"""
    write(project, "layers.yaml", text.replace("COMMAND", "sleep 60"))
    assert project("test", "--format", "json").json["tests"] == {"total": 1, "passed": 1}
    write(project, "unit/test_unit.py", "import time\n\ndef test_one():\n    time.sleep(60)\n")
    write(project, "layers.yaml", text.replace("COMMAND", "sleep 2; echo no more disk >&2; exit 3"))
    ended = project("test", code=1)
    assert "ServiceDied: service `web` died: exited with code 3" in ended.output
    assert "no more disk" in ended.output
    write(
        project,
        "layers.yaml",
        text.replace("COMMAND", "sleep 60").replace('["true"]', '["false"]').replace("5 s", "1 s"),
    )
    ended = project("test", code=1)
    assert "was not up within 1 s" in ended.output


def test_a_layer_without_its_language_model_is_no_pass_and_the_others_run(project):
    needy = "{mode: real, fallback_to_mock: false, keys: [NO_SUCH_KEY]}"
    text = LAYERS.format(fail_fast="category") + f"  asks: {{llm: {needy}, categories: [{{name: c, shell: exit 3}}]}}\n"
    write(project, "layers.yaml", text)
    ended = project("test", "--format", "json", code=1)
    states = outcomes(ended)
    assert states.pop("asks/c") == states.pop("asks") == "errored"
    assert set(states.values()) == {"passed"}
    assert "`asks/c` needs a real language model, and none of NO_SUCH_KEY is set" in project("show").output
    assert "error[P237]" in project("test", "--layers", "asks", code=2).errors


def test_a_category_of_no_layer_is_listed_and_run_by_its_name(podium):
    write(podium, "tests/unit/test_unit.py", PASSING)
    write(podium, "tests/loose/test_loose.py", PASSING)
    layers = "metadata: {}\nlayers: {fast: {max_duration_minutes: 2, categories: [{name: unit}]}}\n"
    write(podium, "config/test_layers.yaml", layers)
    write(podium, "config/categories.yaml", "categories: {unit: {}, loose: {}}\n")
    listed = podium("test", "--list-categories").output.splitlines()
    assert [line.split()[:2] for line in listed if line.startswith(("unit", "loose"))] == [
        ["unit", "fast"],
        ["loose", "-"],
    ]
    assert list(podium("test", "--show-layers", "--format", "json").json) == ["fast"]
    assert set(outcomes(podium("test", "--format", "json"))) == {"fast/unit", "fast"}
    alone = podium("test", "--category", "loose", "--format", "json")
    assert outcomes(alone) == {"categories/loose": "passed", "categories": "passed"}


def test_fast_fail_runs_no_further_test(podium):
    write(podium, "tests/test_bad.py", "import time\n\ndef test_a():\n    assert 0\n\ndef test_b():\n    assert 0\n")
    assert podium("test", "-x", "--format", "json", code=1).json["tests"]["failed"] == 1


def test_what_keeps_tests_from_running_has_exit_codes_of_its_own(podium):
    write(podium, "tests/test_one.py", PASSING)
    assert "CannotStart" in podium("test", "--python", "/nowhere", code=5).output
    write(podium, "pytest.ini", "[pytest]\naddopts = --nonsense\n")
    assert "--nonsense" in podium("test", code=2).output


def test_layers_in_a_folder_are_those_of_the_project_however_they_are_named(project):
    (project.folder / "config").mkdir()
    (project.folder / "layers.yaml").rename(project.folder / "config" / "mine.yaml")
    assert project("test", "--config", "config/mine.yaml", "--format", "json").json["tests"]["total"] == 3
