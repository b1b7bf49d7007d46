"""Runs of `podium test` as a person meets them: runs inside of runs, what `-x` ends, what a service wrote."""

import json

import pytest

pytestmark = pytest.mark.once

INSIDE = """\
kind: layers
name: mine
layers:
  fast:
    categories:
      - {name: model, run: scenarios}
"""
BESIDE = """\
kind: layers
name: mine
execution: {mode: parallel, parallel: 4}
layers:
  one:
    categories:
      - {name: bad, shell: "while ! test -e begun; do sleep 0.1; done; false", report: {format: exit_code}}
  two: {categories: [{name: long, shell: "touch begun; sleep 60", report: {format: exit_code}}]}
  three: {needs: [two], categories: [{name: after, shell: "touch after", report: {format: exit_code}}]}
"""
SERVED = """\
kind: layers
name: mine
layers:
  fast: {services: [web], categories: [{name: unit, shell: "true", report: {format: exit_code}}]}
services:
  web: {command: [sh, -c, "echo listening on 1; exec sleep 60"], health: {command: ["true"]}}
"""


def latest(podium):
    return podium("show", "--format", "json").json["run"]


def test_a_run_that_a_step_started_belongs_to_that_step_and_is_not_the_latest(podium):
    podium.write("layers.yaml", INSIDE)
    podium.write("scenarios/one.yaml", received=0)
    podium("test")
    assert latest(podium)["name"] == "mine"
    (outer,) = podium.runs()
    both = podium("list", "--all", "--format", "json").json
    inner = next(run for run in both if run["id"] != outer["id"])
    assert inner["options"]["within"] == {"run": outer["id"], "step": "fast/model"}
    assert "fast/model" in podium("list", "--all").output
    assert inner["id"] in podium("show", "latest", "fast/model").output
    assert f"part of  {outer['id']}  fast/model" in podium("show", inner["id"]).output
    assert "nothing to run again" in podium("rerun", code=4).errors
    podium("test")
    assert podium("compare").output.startswith(f"{outer['id'][-8:]} mine -> ")
    podium("rerun", inner["id"], code=4)


def test_a_run_of_another_store_is_the_latest_there_and_so_is_one_that_is_run_again(podium):
    podium.write("one.yaml", received=10**6)
    podium("run", "one.yaml", code=1, PODIUM_RUN="0190aa11", PODIUM_STEP="a")
    (first,) = podium.runs()
    assert "within" not in first["options"]
    podium("run", "one.yaml", code=1, PODIUM_RUN=first["id"], PODIUM_STEP="one.yaml")
    assert latest(podium)["id"] == first["id"]
    (inner,) = [run for run in podium("list", "--all", "--format", "json").json if run["id"] != first["id"]]
    podium("rerun", inner["id"], code=1)
    assert latest(podium)["parent"] == inner["id"]


def test_fast_fail_ends_what_is_under_way_in_other_layers_and_begins_nothing_new(podium):
    podium.write("layers.yaml", BESIDE)
    ended = podium("test", "-x", "--format", "json", code=1)
    assert ended.outcomes["one/bad"] == "failed"
    assert ended.outcomes["two/long"] == "cancelled"
    assert ended.outcomes["three/after"] == "skipped"
    assert latest(podium)["outcome"] == "failed"
    assert not (podium.folder / "after").exists()
    told = [event for event in podium("replay", "--format", "jsonl").events if event["kind"] == "attempt_stopping"]
    assert [(event["step"], event["reason"]) for event in told] == [("two/long", "fail_fast")]


def test_without_fast_fail_other_layers_go_on(podium):
    podium.write("layers.yaml", BESIDE.replace("sleep 60", "true"))
    ended = podium("test", "--format", "json", code=1)
    assert ended.outcomes["two/long"] == ended.outcomes["three/after"] == "passed"


def test_a_program_that_is_no_python_is_named_and_the_machine_lacks_something(podium):
    podium.write("tests/test_one.py", "def test_one():\n    pass\n")
    ended = podium("test", "--python", "/bin/ls", code=5)
    assert "CannotStart: /bin/ls is no Python that can run the tests: exited with code 2" in ended.output
    assert "Broken pipe" not in ended.output


def test_a_service_is_no_evidence_when_no_test_was_selected(podium):
    suite = SERVED.replace('shell: "true", report: {format: exit_code}', "pytest: {paths: [tests]}")
    podium.write("layers.yaml", suite)
    podium.write("tests/test_one.py", "def test_one():\n    pass\n")
    podium("test")
    ended = podium("test", "--only-changed", code=4)
    assert "none of the tests was selected" in ended.errors


def test_what_a_service_wrote_is_shown_though_it_passed(podium):
    podium.write("layers.yaml", SERVED)
    podium("test")
    shown = podium("show", "latest", "service/web").output
    assert "outcome      passed" in shown
    assert "log\n  listening on 1\n" in shown


def test_validate_finds_what_is_not_there_and_begins_no_run(podium):
    podium.write("layers.yaml", INSIDE)
    ended = podium("test", "--validate", code=2)
    assert "error[P245]: there is no `scenarios`" in ended.errors
    assert "layers.yaml:6:28" in ended.errors
    podium.write("scenarios/one.yaml")
    assert podium("test", "--validate", "--format", "json").json["phases"] == [["fast"]]
    assert podium.runs() == []


@pytest.mark.parametrize(("verb", "said"), [("cancel", "is asked to end"), ("kill", "is told to end at once")])
def test_who_ends_a_run_is_told_so(podium, verb, said):
    podium.write("layers.yaml", INSIDE.replace("run: scenarios", 'shell: "sleep 60"'))
    running = podium.start("test", "--format", "jsonl")
    started = json.loads(running.stdout.readline())
    assert podium(verb).output == f"run {started['run']} {said}: podium show {started['run']}\n"
    running.communicate(timeout=50)
    assert running.returncode == 1
