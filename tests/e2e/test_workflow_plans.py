"""Workflows with the real command: what is shown and refused before anything runs."""

import pytest
from tests.e2e.workflow_runs import two_at_a_time

DIAMOND = """\
kind: workflow
name: diamond
steps:
  - {name: d, needs: [b, c], when: steps.b.output > 1, value: 1}
  - {name: b, needs: [a], shell: echo 2, output: json, compensate: {shell: "true"}}
  - {name: c, needs: [a], for_each: [1, 2], value: "${item}"}
  - {name: a, command: ["true"]}
teardown: [{name: z, value: 1}]
"""


def test_a_plan_shows_the_steps_in_waves_and_stores_nothing(podium):
    podium.write("diamond.yaml", DIAMOND)
    output = podium("plan", "diamond.yaml").output
    rows = [line.split() for line in output.splitlines()]
    assert [(row[0], row[1]) for row in rows[1:-1]] == [("1", "a"), ("2", "b"), ("2", "c"), ("3", "d"), ("4", "z")]
    assert "undone on failure" in " ".join(rows[2])
    assert " ".join(rows[-1]) == "5 steps in 4 waves, 4 at once"
    assert podium("run", "--dry-run", "diamond.yaml").output == output
    plan = podium("plan", "diamond.yaml", "--parallel", 2, "--format", "json").json
    assert plan["waves"] == [["a"], ["b", "c"], ["d"], ["z"]]
    assert plan["slots"] == 2
    assert not (podium.folder / ".podium").exists()


def test_an_option_that_means_nothing_for_what_is_run_is_refused(podium):
    podium.write("w.yaml", "kind: workflow\nname: w\nsteps: [{name: a, value: 1}]\n")
    podium.write("list.md", "- [ ] 1. do it\n")
    podium.write("scenario.yaml")

    def check(command, file, option):
        message = podium.refused(command, file, option, error="U400")
        assert f"{option.partition('=')[0]} means nothing for a " in message

    cases = [
        ("run", "w.yaml", "--speed=5"),
        ("plan", "w.yaml", "--seeds=1..2"),
        ("run", "w.yaml", "--set=a=1"),
        ("plan", "w.yaml", "--tick"),
        ("run", "scenario.yaml", "--input=a=1"),
        ("plan", "scenario.yaml", "--tool=cat"),
        ("run", "list.md", "--input=a=1"),
        ("run", "list.md", "--timeout=3s"),
    ]
    two_at_a_time(check, cases)
    assert not (podium.folder / ".podium").exists()


def test_a_workflow_is_run_alone(podium):
    podium.write("w.yaml", "kind: workflow\nname: w\nsteps: [{name: a, value: 1}]\n")
    podium.write("scenario.yaml")
    assert "`w.yaml` is a workflow" in podium.refused("run", "scenario.yaml", "w.yaml", error="U400")


SHAPE = """\
  - {name: a, value: 1, retires: 3}
  - {name: b, needs: 4, value: 1}
  - {nam: c, value: 1}
  - {name: d, timeout: 5, shell: ls}
"""


MEANING = """\
  - {name: a, value: 1}
  - {name: b, needs: [c], value: 1}
  - {name: b, value: "${steps.a.output}"}
  - {name: d, value: "${steps.a.output + }"}
  - {name: e, value: "${inputs.n}"}
  - {name: f}
"""


@pytest.mark.parametrize(
    ("command", "steps", "places"),
    [("run", SHAPE, ("4:25", "5:", "6:6", "7:")), ("plan", MEANING, ("5:23", "6:12", "6:22", "7:22", "8:22", "9:5"))],
)
def test_all_mistakes_of_a_document_are_told_at_once_with_their_places(podium, command, steps, places):
    podium.write("bad.yaml", f"kind: workflow\nname: bad\nsteps:\n{steps}")
    ended = podium(command, "bad.yaml", code=2)
    for place in places:
        assert f"bad.yaml:{place}" in ended.errors, ended.errors
    assert ended.output == ""
    assert not (podium.folder / ".podium").exists()


@pytest.mark.parametrize("begin", ["{", "{\n  ", "\ufeff{"])
def test_a_document_in_braces_is_a_workflow_too(podium, begin):
    podium.write("w.yaml", begin + '"kind": "workflow", "name": "w", "steps": [{"name": "a", "value": 1}]}')
    assert podium("plan", "w.yaml", "--format", "json").json["work"] == "workflow"
