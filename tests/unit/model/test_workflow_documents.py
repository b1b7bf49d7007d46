"""What a workflow document may say, key by key; mistakes in a document that is right but for them."""

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel

from podium.errors import DocumentError
from podium.model import workflow
from podium.model.schema import document_schema
from podium.model.workflow import KINDS, WorkflowDocument
from podium.model.workflow_loading import workflow_document
from podium.model.yaml_loader import load_yaml, load_yaml_file

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "04-workflows").glob("*.yaml"))
SCHEMA = jsonschema.Draft202012Validator(document_schema("workflow"))
MODELS = [
    model
    for model in vars(workflow).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == workflow.__name__
]

RIGHT = """\
kind: workflow
name: order
inputs:
  sku: string
  amount: {type: number, default: 10}
groups: {llm: {stagger: 2 s}}
steps:
  - name: reserve
    shell: make
    timeout: {attempt: 60 s}
    retry: {attempts: 3}
"""


def load(text):
    return workflow_document(load_yaml(text, "w.yaml"))


def all_wrong(text):
    with pytest.raises(DocumentError) as caught:
        load(text)
    return caught.value.diagnostics


def wrong(old, new):
    """Return the one error that a change makes, as `CODE LINE:COLUMN MESSAGE`, and its hint."""
    assert old in RIGHT
    text = RIGHT.replace(old, new, 1)
    (error,) = all_wrong(text)
    assert error.span.path == "w.yaml"
    assert error.span.text == text.splitlines()[error.span.line - 1]
    return f"{error.code} {error.span.line}:{error.span.column} {error.message}", error.hint


def test_the_document_without_a_mistake_loads():
    document = load(RIGHT)
    assert (document.name, document.slots, document.order) == ("order", 4, "graph")
    assert document.steps[0].timeout.attempt == 60_000_000_000
    assert document.groups["llm"].stagger == 2_000_000_000


@pytest.mark.parametrize(
    ("old", "new", "place", "key", "suggestion"),
    [
        ("groups:", "slotz: 3\ngroups:", "6:1", "slotz", "slots"),
        ("default: 10", "defualt: 10", "5:26", "defualt", "default"),
        ("stagger", "stager", "6:16", "stager", "stagger"),
        ("shell: make", "shell: make\n    tiemout: 5 s", "10:5", "tiemout", "timeout"),
        ("attempt: 60 s", "silense: 60 s", "10:15", "silense", "silence"),
        ("attempts: 3", "budgett: 3 s", "11:13", "budgett", "budget"),
        ("attempts: 3", "rules: [{eror: timeout}]", "11:22", "eror", "errors"),
        ("shell: make", "http: {url: u, methd: GET}", "9:20", "methd", "method"),
        ("shell: make", "agent: {prompt: u, modell: x}", "9:24", "modell", "model"),
        ("shell: make", "wait: {singal: x}", "9:12", "singal", "signal"),
        ("shell: make", "parallel: [{name: a, shel: x}]", "9:26", "shel", "shell"),
        ("shell: make", "shell: make\n    compensate: {shel: x}", "10:18", "shel", "shell"),
        ("shell: make", "shell: make\n    fallback: [{shel: x}]", "10:17", "shel", "shell"),
        ("shell: make", "shell: make\n    breaker: {target: x, windw: 3 s}", "10:26", "windw", "window"),
        ("shell: make", "shell: make\n    policy: {presett: x}", "10:14", "presett", "preset"),
        ("shell: make", "shell: make\n    needs: [{step: x, untl: done}]", "10:23", "untl", "until"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(old, new, place, key, suggestion):
    assert wrong(old, new) == (f"D121 {place} unknown key `{key}`", f"did you mean `{suggestion}`?")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("name: order\n", "", "D122 1:1 key `name` is missing"),
        ("name: reserve\n    ", "", "D122 8:5 key `name` is missing in `steps.0`"),
        ("shell: make", "http: {method: GET}", "D122 9:5 key `url` is missing in `steps.0.http`"),
        ("shell: make", "agent: {tool: x}", "D122 9:5 key `prompt` is missing in `steps.0.agent`"),
        ("attempt: 60 s", "attempt: 60", "D124 10:24 steps.0.timeout.attempt: 60 has no unit"),
        ("timeout: {attempt: 60 s}", "timeout: 60", "D124 10:14 steps.0.timeout: 60 has no unit"),
        ("stagger: 2 s", "stagger: 2 m", "D124 6:25 groups.llm.stagger: '2 m' has the unknown unit 'm'"),
        ("retry: {attempts: 3}", "retry: 0", "D123 11:12 steps.0.retry: must be at least 1, not 0"),
        ("attempts: 3", "attempts: 0", "D123 11:23 steps.0.retry.attempts: must be at least 1, not 0"),
        ("retry: {attempts: 3}", "retry: often", "D123 11:12 steps.0.retry: must be a whole number, not `often`"),
        ("attempts: 3", "jitter: 2", "D123 11:21 steps.0.retry.jitter: must be at most 1, not 2"),
        ("groups:", "slots: 0\ngroups:", "D123 6:8 slots: must be at least 1, not 0"),
        ("groups:", "deadline: 0 s\ngroups:", "D123 6:11 deadline: must be above 0, not `0 s`"),
        ("groups:", "capacities: {gpu: -1}\ngroups:", "D123 6:19 capacities.gpu: must be above 0, not -1"),
        ("groups:", "order: random\ngroups:", "D123 6:8 order: unknown word `random`"),
        ("sku: string", "sku: text", "D123 4:8 inputs.sku: unknown word `text`"),
        ("type: number", "type: text", "D123 5:18 inputs.amount.type: unknown type `text`"),
        ("shell: make", "command: [sleep, 5]", "D123 9:22 steps.0.command.1: must be text, not 5"),
        ("shell: make", "command: make", "D123 9:14 steps.0.command: must be a list, not `make`"),
        ("shell: make", "command: []", "D123 9:14 steps.0.command: must have at least 1 entry, not 0"),
        (
            "shell: make",
            "wait: {signal: ''}",
            "D123 9:20 steps.0.wait.signal: must have at least 1 character, not empty text",
        ),
        ("attempts: 3", "outcomes: passed", "D123 11:23 steps.0.retry.outcomes: unknown word `passed`"),
        ("shell: make", "shell: make\n    when: true", "D123 10:11 steps.0.when: must be text, not true"),
        ("shell: make", "shell: make\n    trigger: some", "D123 10:14 steps.0.trigger: unknown word `some`"),
        ("shell: make", "shell: make\n    needs: reserve", "D123 10:12 steps.0.needs: must be a list, not `reserve`"),
        ("steps:", "setup: {}\nsteps:", "D123 7:8 setup: must be a list, not a mapping"),
    ],
)
def test_a_value_that_is_not_allowed_is_shown_with_its_place(old, new, found):
    assert wrong(old, new)[0] == found


@pytest.mark.parametrize(
    ("text", "found", "hint"),
    [
        ("- 1\n", "the document is not a mapping", "start with: kind: workflow"),
        ("name: x\n", "key `kind` is missing", "start with: kind: workflow"),
        ("kind: workflw\n", "the kind `workflw` is no workflow", "did you mean `workflow`?"),
        ("kind: scenario\n", "the kind `scenario` is no workflow", "kinds here: workflow"),
    ],
)
def test_what_is_no_workflow_is_refused(text, found, hint):
    (error,) = all_wrong(text)
    assert (error.code, error.message, error.hint) == ("D120", found, hint)


def test_all_mistakes_are_reported_at_once_from_top_to_bottom():
    text = (
        RIGHT.replace("sku: string", "sku: text").replace("2 s", "2").replace("make", "3").replace("60 s", "1 parsec")
    )
    found = [(error.code, error.span.line) for error in all_wrong(text)]
    assert found == [("D123", 4), ("D124", 6), ("D123", 9), ("D124", 10)]


def test_steps_may_be_nested_as_deep_as_a_file_may_be():
    def nested(levels):
        return "kind: workflow\nname: x\nsteps: " + "[{name: a, parallel: " * levels + "[]" + "}]" * levels

    assert load(nested(31)).steps
    assert all_wrong(nested(32))[0].code == "D106"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_has_a_description_and_an_example(model):
    assert (model.__doc__ or "").strip().endswith(".")
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert field.examples, name


@pytest.mark.parametrize(
    ("model", "name"),
    [(m, n) for m in MODELS for n in m.model_fields],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_example_of_a_key_fits_the_schema_of_the_key(model, name):
    schema = model.model_json_schema(by_alias=True)
    definition = schema["$defs"][model.__name__] if "properties" not in schema else schema
    key = model.model_fields[name].alias or name
    validator = jsonschema.Draft202012Validator({"$defs": schema.get("$defs", {}), **definition["properties"][key]})
    for example in model.model_fields[name].examples:
        validator.validate(example)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_fits_the_schema_and_loads(path):
    mapped = load_yaml_file(path)
    SCHEMA.validate(mapped.value)
    assert workflow_document(mapped).name == path.stem


def test_there_are_four_examples():
    assert {path.stem for path in EXAMPLES} == {
        "voice_transcription",
        "user_registration",
        "data_pipeline",
        "order_saga",
    }


@pytest.mark.parametrize(
    "step",
    [
        {"name": "a"},
        {"name": "a", "shell": "x", "value": 1},
        {"name": "a b", "shell": "x"},
        {"name": "a", "shell": "x", "timeout": 5},
        {"name": "a", "shell": "x", "colour": "red"},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_the_plan_refuses(step):
    document = {"kind": "workflow", "name": "x", "steps": [step]}
    assert not SCHEMA.is_valid(document)


def test_the_kinds_are_keys_of_a_step():
    fields = workflow.StepDocument.model_fields
    assert set(KINDS) <= {field.alias or name for name, field in fields.items()}


def test_a_document_can_be_made_in_python():
    document = WorkflowDocument.model_validate(
        {"kind": "workflow", "name": "x", "steps": [{"name": "a", "value": None}]}
    )
    assert "value" in document.steps[0].model_fields_set
