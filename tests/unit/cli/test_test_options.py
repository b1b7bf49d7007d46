"""Options of `podium test` that do not go together, or could not do anything: each is refused with a hint."""

import json

import pytest

from podium.cli.root import run

LAYERS = """\
kind: layers
name: mine
layers:
  fast:
    categories:
      - {name: unit, pytest: {paths: [unit]}}
      - {name: api, needs: [unit], shell: "true"}
  core:
    services: [web]
    categories:
      - {name: model, services: [db], shell: "true"}
  slow:
    background: true
    categories:
      - {name: e2e, shell: "true"}
services:
  web: {running: true, health: "localhost:1"}
  db: {running: true, health: "localhost:2"}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "layers.yaml").write_text(LAYERS)
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_unit.py").write_text("def test_one():\n    pass\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *arguments):
    """Return the message of a command that is refused, which always has a hint."""
    assert run(["test", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("error[") == 1
    assert "\nhint: " in said.err
    return said.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("-x --fail-fast-mode disabled", "--fast-fail and --fail-fast-mode disabled contradict each other"),
        ("-x --fail-fast-mode category_failure", "contradict each other"),
        ("--format json --progress-mode simple", "--format json and --progress-mode simple contradict each other"),
        ("--format json --progress-mode json", "--progress-mode json is --format jsonl"),
        ("--format jsonl --progress-mode rich", "contradict each other"),
        ("--format text --progress-mode json", "contradict each other"),
        ("--format jsonl --no-progress-streaming", "contradict each other"),
        ("--progress-mode simple --no-progress-streaming", "contradict each other"),
        ("-v --format json", "--verbose has no effect with --format json"),
        ("-v --progress-mode rich", "--verbose has no effect with --progress-mode rich"),
        ("-v --no-progress-streaming", "--verbose has no effect with --no-progress-streaming"),
        ("unit --config layers.yaml", "--config has no effect with PATHS"),
        ("unit --use-layers", "--use-layers has no effect with PATHS"),
        ("unit --max-parallel-layers 2", "--max-parallel-layers has no effect with PATHS"),
        ("unit --category unit", "--categories has no effect with PATHS"),
        ("--show-layers --list-categories", "has no effect with"),
        ("--show-layers --env staging", "--env has no effect with --show-layers"),
        ("--list-categories -k x", "--pattern has no effect with --list-categories"),
        ("--show-category-stats -x", "--fast-fail has no effect with --show-category-stats"),
        ("--background-status --layers fast", "--layers has no effect with --orchestration-status"),
        ("--background-results 0 --junit x", "--junit has no effect with --background-results"),
        ("--kill-background abcd --format json", "--format has no effect with --kill-background"),
        ("--progress-mode websocket", "--progress-mode websocket is not taken"),
        ("--progress-mode log", "--progress-mode log is not taken"),
        ("--dry-run --background-timeout 3", "--background-timeout means nothing: nothing is queued"),
        ("--dry-run --background-retries 0", "--background-retries means nothing"),
        ("--dry-run --background-priority 1", "--background-priority means nothing"),
        ("--dry-run --background-e2e --resume-from unit", "--resume-from means nothing: everything is queued"),
        ("--queue-e2e --junit x.xml", "--junit means nothing: everything is queued, and nothing runs here"),
        ("--background-e2e --format json", "--format means nothing"),
        ("--dry-run --layers core --python python3", "--python means nothing: none of these categories"),
        ("--dry-run --layers core --no-fork", "--no-fork means nothing"),
        ("--dry-run --layers core --only-changed", "--only-changed means nothing"),
        ("--dry-run --resume-from e2e", "`e2e` is in the background, and no layer in the background runs here"),
        ("--dry-run --resume-from slow", "`podium test --layers slow --resume-from slow` runs it here"),
        ("--dry-run --layers fast --resume-from model", "nothing can begin with `model`"),
        ("-p 0", "`--parallel`: `0` is no number from 1"),
        ("--timeout 0", "`0` leaves no time"),
        ("--deadline 0.0", "`0.0` leaves no time"),
        ("--budget 0s", "`0s` leaves no time"),
        ("--timeout 3", "'3' has no unit"),
    ],
)
def test_what_could_not_do_anything_is_refused(project, capsys, arguments, text):
    assert text in refused(capsys, *arguments.split())


def test_no_time_at_all_is_no_question_of_units(project, capsys):
    assert "leave the option out for no limit" in refused(capsys, "--timeout", "0")
    assert "0 s" not in refused(capsys, "--timeout", "0")


@pytest.mark.parametrize(
    "arguments",
    [
        "-x --fail-fast-mode first_failure",
        "--format text --progress-mode simple",
        "--format jsonl --progress-mode json",
        "--background-e2e --layers fast --junit x.xml --background-timeout 3 --background-priority 0",
        "--queue-e2e --background-retries 2",
        "--mode hybrid --background-timeout 3",
        "--layers slow --resume-from e2e",
        "--resume-from model",
        "--layers core fast --no-fork",
        "--since HEAD",
        "-v --format text",
    ],
)
def test_what_goes_together_is_taken(project, capsys, arguments):
    if "hybrid" in arguments:
        (project / "layers.yaml").write_text(LAYERS + "modes: {hybrid: [fast, slow]}\n")
    assert run(["test", "--dry-run", *arguments.split()]) == 0
    said = capsys.readouterr()
    assert "layers from layers.yaml" in said.out or '"plan"' in said.out
    assert "no effect" not in said.err


def test_a_revision_alone_asks_for_what_changed_since_then(project, capsys):
    assert run(["test", "--dry-run", "--since", "HEAD", "--format", "json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    suite = next(step for step in planned["plan"]["steps"] if step["name"] == "fast/unit")
    assert suite["work"]["payload"]["selection"] == {"changed": True, "since": "HEAD"}


def test_so_many_layers_at_once_is_said_to_have_no_effect_where_they_follow_each_other(project, capsys):
    (project / "layers.yaml").write_text(LAYERS + "execution: {mode: sequential}\n")
    assert run(["test", "--dry-run", "--max-parallel-layers", "2"]) == 0
    assert "--max-parallel-layers has no effect: layers follow each other" in capsys.readouterr().err


def test_categories_are_listed_with_the_services_of_their_layer(project, capsys):
    assert run(["test", "--list-categories"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("model")]
    assert "web, db" in line


def test_phases_of_categories_are_shown_where_categories_were_asked_for(project, capsys):
    assert run(["plan", "--categories", "api", "model"]) == 0
    assert "phases: model + unit > api\n2 phases, " in capsys.readouterr().out
    assert run(["plan", "--layers", "fast"]) == 0
    assert "phases: fast\n1 phase, " in capsys.readouterr().out


def test_phases_of_categories_of_one_name_are_told_apart_by_their_layers(project, capsys):
    (project / "layers.yaml").write_text(LAYERS.replace("name: model", "name: unit"))
    assert run(["plan", "--categories", "unit"]) == 0
    assert "phases: core/unit + fast/unit\n1 phase, " in capsys.readouterr().out


def test_layers_that_are_planned_are_named_once(project, capsys):
    assert run(["plan", "layers.yaml", "--config", "layers.yaml"]) == 2
    assert "--config has no effect with layers.yaml" in capsys.readouterr().err
