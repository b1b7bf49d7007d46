import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import DocumentError, NothingSelectedError, PlanError
from podium.model.context import Entry, context_text, prompt_with_context
from podium.plan.graph import Need, Plan
from podium.plan.policy import Fallback, Group, Policy, Retry
from podium.plan.tasks import plan_tasks

POLICY = Policy(timeout=60.0, retry=Retry(attempts=2))
CHECKLIST = """\
- [x] 1. Build it
- [ ] 2.1. Test ${it}
  <!-- agent: tester -->
  <!-- model: small -->
- [ ] 3. Ship it
  <!-- agent: self -->
  <!-- depends: 2.1, 1 -->
- [ ] no number
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "TASKS.md"
    path.write_text(CHECKLIST)
    return path


def context_of(id_):
    return {
        "id": id_,
        "outcome": f'${{steps["{id_}"].outcome}}',
        "output": f'${{steps["{id_}"].output}}',
        "error": f'${{steps["{id_}"].error}}',
    }


def test_one_step_for_each_task_that_is_not_done(path):
    tasks = plan_tasks(path, policy=POLICY, tool="claude")
    assert tasks.done == ("1",)
    assert [warning.code for warning in tasks.warnings] == ["D156"]
    plan = tasks.plan
    assert (plan.name, plan.slots, plan.groups) == ("TASKS", 4, {"agents": Group(stagger=5.0)})
    test, ship = plan.steps
    assert (test.name, test.labels, test.group) == ("2.1", {"description": "Test ${it}"}, "agents")
    assert test.policy == ship.policy == POLICY
    assert test.work.kind == "agent"
    assert test.work.template
    assert test.work.payload == {"prompt": "Test $${it}", "agent": "tester", "tool": "claude", "model": "small"}
    assert test.needs == ()
    assert test.fallbacks == (
        Fallback("llm", msgspec.structs.replace(test.work, payload={**test.work.payload, "agent": None})),
    )
    assert ship.needs == (Need("2.1", until="done"),)
    assert ship.fallbacks == ()
    assert ship.work.payload == {
        "prompt": "Ship it",
        "agent": None,
        "tool": "claude",
        "context": [
            context_of("2.1"),
            {"id": "1", "outcome": "passed", "output": "done before", "error": None},
        ],
    }


def test_options(path):
    tasks = plan_tasks(path, policy=POLICY, slots=2, stagger=0.5, fallback=False, partial_context=False)
    assert (tasks.plan.slots, tasks.plan.groups["agents"].stagger) == (2, 0.5)
    assert all(step.fallbacks == () for step in tasks.plan.steps)
    assert tasks.plan.steps[1].needs == (Need("2.1", until="passed"),)
    assert tasks.plan.steps[0].work.payload["tool"] is None


def test_the_plan_can_be_stored(path):
    plan = plan_tasks(path, policy=POLICY).plan
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_nothing_is_left_if_all_is_done(path):
    path.write_text("- [x] 1. a\n- [X] 2. b\n<!-- depends: 1 -->\n")
    tasks = plan_tasks(path, policy=POLICY)
    assert tasks.plan.steps == ()
    assert tasks.done == ("1", "2")


def test_what_cannot_be_planned(path):
    with pytest.raises(PlanError, match="slots"):
        plan_tasks(path, policy=POLICY, slots=0)
    path.write_text("- [ ] 1. a\n<!-- depends: 1 -->\n")
    with pytest.raises(DocumentError, match="itself"):
        plan_tasks(path, policy=POLICY)
    path.write_text("")
    with pytest.raises(NothingSelectedError):
        plan_tasks(path, policy=POLICY)


def test_a_file_name_that_is_no_text_can_be_stored(tmp_path):
    path = tmp_path / "t\udcff.md"
    try:
        path.write_text("- [ ] 1. a\n")
    except OSError:
        pytest.skip("the file system takes only UTF-8")
    assert b"t\\\\xff" in msgspec.json.encode(plan_tasks(path, policy=POLICY).plan)


def test_context():
    assert context_text([]) == ""
    passed, failed = Entry("1", True, "built"), Entry("2.1", False, "no disk")
    assert context_text([passed]) == "\n\nPrevious context (1/1 dependencies):\n✓ [sg-1]: built"
    assert context_text([passed, failed]) == (
        "\n\nPrevious context (1/2 dependencies):\n✓ [sg-1]: built\n✗ [sg-2.1]: FAILED - no disk"
        "\n\nWARNING: 1/2 dependencies failed. Proceed with available context."
    )


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"outcome": "passed", "output": "a\nb", "error": None}, "✓ [sg-7]: a\nb"),
        ({"outcome": "passed", "output": None, "error": None}, "✓ [sg-7]: "),
        ({"outcome": "passed", "output": {"ä": [1]}, "error": None}, '✓ [sg-7]: {"ä": [1]}'),
        ({"outcome": "failed", "output": "x", "error": {"type": "E", "message": "m"}}, "✗ [sg-7]: FAILED - m"),
        ({"outcome": "errored", "output": None, "error": {"type": "E", "message": ""}}, "✗ [sg-7]: FAILED - E"),
        ({"outcome": "skipped", "output": None, "error": None}, "✗ [sg-7]: FAILED - skipped"),
    ],
)
def test_a_prompt_with_what_is_known_of_a_dependency(entry, line):
    prompt = prompt_with_context("do it", [{"id": "7", **entry}])
    assert prompt.splitlines()[:3] == ["do it", "", f"Previous context ({line.count('✓')}/1 dependencies):"]
    assert f"dependencies):\n{line}" in prompt
    assert prompt.endswith("Proceed with available context.") == line.startswith("✗")


def test_a_prompt_without_dependencies_stays_as_it_is():
    assert prompt_with_context("do it", []) == "do it"


@given(st.text("${}ab"))
def test_no_part_of_a_description_is_taken_for_an_expression(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "t.md"
    path.write_text(f"- [ ] 1. a{text}\n")
    (step,) = plan_tasks(path, policy=POLICY).plan.steps
    prompt = step.work.payload["prompt"]
    assert set(re.findall(r"\$\$\{|\$\{", prompt)) <= {"$${"}
    assert prompt.replace("$${", "${") == f"a{text}" == step.labels["description"]
    assert json.dumps(step.work.payload)
