"""Workflows carried out: the examples, and what becomes of groups, branches and nested workflows in a run."""

from pathlib import Path

import pytest

from podium.events import StepFinished
from podium.model.expressions import Cel
from podium.plan.workflow import plan_workflow
from podium.session import Session

EXAMPLES = Path(__file__).parents[2] / "examples" / "04-workflows"


class Ran:
    """One run of a workflow."""

    def __init__(self, file, store, **inputs):
        plan = plan_workflow(file, inputs=inputs, expressions=Cel()).plan
        with Session.open(store) as session:
            self.summary = session.run(plan)
            events = [record.event for record in session.store.read(self.summary.run)]
        finished = [event for event in events if isinstance(event, StepFinished)]
        self.outcomes = {event.step: event.outcome for event in finished}
        self.order = [event.step for event in finished]


def example(name, folder, **inputs):
    work = folder / "work"
    ran = Ran(EXAMPLES / f"{name}.yaml", folder / "runs.db", folder=str(work), **inputs)
    files = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
    return ran, files


@pytest.mark.parametrize(
    ("name", "output", "files"),
    [
        ("voice_transcription", "a tone of 439 Hz", ["answer.wav", "recording.wav", "result.json"]),
        ("user_registration", "session-ada", ["outbox/ada.eml", "sessions/session-ada.json", "users/ada.json"]),
        ("data_pipeline", 2, ["measurements.csv", "warehouse.db"]),
        ("order_saga", "pay-o1", ["payments/pay-o1.json", "reservations/o1.json", "shipments/o1.json"]),
    ],
)
def test_an_example_passes_and_leaves_its_files(name, output, files, tmp_path):
    ran, left = example(name, tmp_path)
    assert ran.summary.outcome == "passed"
    assert next(iter(ran.summary.output.values())) == output
    assert left == files


def test_an_order_that_cannot_be_shipped_is_undone_from_the_last_step_to_the_first(tmp_path):
    ran, left = example("order_saga", tmp_path, fail="ship_order")
    assert ran.summary.outcome == "compensated"
    assert ran.order[-3:] == ["ship_order~undo", "charge_payment~undo", "reserve_inventory~undo"]
    assert left == []


def test_a_registration_without_a_session_leaves_no_user(tmp_path):
    ran, left = example("user_registration", tmp_path, fail="create_session")
    assert ran.summary.outcome == "compensated"
    assert left == ["outbox/ada.eml"]


CHILD = """\
kind: workflow
name: child
inputs: {n: integer}
outputs: {double: "${steps.twice.output}"}
steps: [{name: twice, value: "${inputs.n * 2}"}]
teardown: [{name: over, value: 1}]
"""
PARENT = """\
kind: workflow
name: parent
inputs: {n: integer}
outputs: {branch: "${steps.d.output}", each: "${steps.e.output}", p: "${steps.p.output}", g: "${steps.g.output}"}
setup: [{name: s, value: 1}]
steps:
  - name: g
    parallel: [{name: a, value: "${inputs.n}"}, {name: b, when: inputs.n > 5, value: 2}]
  - name: d
    needs: [g]
    if: steps.g.output.a > 1
    then: [{name: t1, value: 1}, {name: t2, value: "${steps.t1.output}"}]
    else: [{name: e1, value: 1}]
  - {name: e, needs: [d], for_each: ["${inputs.n}", 7], value: "${item + index}"}
  - {name: p, when: inputs.n > 1, workflow: child.yaml, with: {n: "${inputs.n}"}}
  - {name: z, needs: [p], value: 1}
teardown: [{name: end, command: ["true", "${inputs.n}"]}]
"""


def parent(folder, **inputs):
    (folder / "child.yaml").write_text(CHILD, encoding="utf-8")
    (folder / "parent.yaml").write_text(PARENT, encoding="utf-8")
    return Ran(folder / "parent.yaml", folder / "runs.db", **inputs)


def test_groups_branches_items_and_nested_workflows_run(tmp_path):
    ran = parent(tmp_path, n=3)
    assert ran.summary.outcome == "passed"
    assert ran.summary.output == {"branch": True, "each": [3, 8], "p": {"double": 6}, "g": {"a": 3, "b": None}}
    assert {name for name, outcome in ran.outcomes.items() if outcome != "passed"} == {"b", "e1"}
    assert ran.outcomes["p/over"] == ran.outcomes["end"] == "passed"


def test_what_is_left_out_takes_all_of_its_steps_with_it_and_nothing_else(tmp_path):
    ran = parent(tmp_path, n=1)
    assert ran.summary.outcome == "passed"
    assert ran.summary.output["branch"] is False
    skipped = {"b", "t1", "t2", "p", "p/inputs", "p/twice", "p/over"}
    assert {name for name, outcome in ran.outcomes.items() if outcome != "passed"} == skipped
