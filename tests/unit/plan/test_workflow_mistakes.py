"""Every mistake in a workflow that is found before the run: its code, its place, what to do about it."""

import pytest

from podium.errors import DocumentError
from podium.model.expressions import Cel
from podium.plan.workflow import plan_workflow_text

HEAD = "kind: workflow\nname: w\n"


def planned(body, **inputs):
    return plan_workflow_text(HEAD + body, inputs=inputs, expressions=Cel(), path="w.yaml")


def all_wrong(body, **inputs):
    with pytest.raises(DocumentError) as caught:
        planned(body, **inputs)
    for error in caught.value.diagnostics:
        assert error.span.text == (HEAD + body).splitlines()[error.span.line - 1]
        assert error.hint
    return caught.value.diagnostics


def wrong(body, **inputs):
    """Return the one error of a document as `CODE LINE:COLUMN MESSAGE`; lines begin with those of the body."""
    (error,) = all_wrong(body, **inputs)
    return f"{error.code} {error.span.line - 2}:{error.span.column} {error.message}"


STEP = "steps:\n  - {name: a, value: 1}\n"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("steps: []\n", "D145 1:8 the workflow has no steps"),
        ("steps: [{name: a}]\n", "D140 1:9 the step has nothing to do"),
        ("steps: [{name: a, shell: x, value: 1}]\n", "D140 1:29 there is one kind of work to a step, and this one"),
        ("steps: [{name: a, wait: {}}]\n", "D140 1:25 a step waits for exactly one of"),
        ("steps: [{name: a, wait: {for: 1 s, signal: x}}]\n", "D140 1:25 a step waits for exactly one of"),
        ("steps: [{name: a/b, shell: x}]\n", "D141 1:16 `a/b` is no name of a step"),
        ("steps: [{name: 'a[0]', shell: x}]\n", "D141 1:16 `a[0]` is no name of a step"),
        ("steps: [{name: '', shell: x}]\n", "D141 1:16 `` is no name of a step"),
        ("steps: [{name: a, value: 1, env: {}}]\n", "D142 1:29 key `env` has no meaning for `value`"),
        ("steps: [{name: a, value: 1, with: {}}]\n", "D142 1:29 key `with` has no meaning for `value`"),
        ("steps: [{name: a, value: 1, then: []}]\n", "D142 1:29 key `then` has no meaning for `value`"),
        ("steps: [{name: a, value: 1, at_once: 2}]\n", "D142 1:29 `at_once` has no meaning without `for_each`"),
        ("steps: [{name: a, value: 1, for_each: 3}]\n", "D142 1:39 `for_each` takes a list, or an expression of one"),
        ("steps: [{name: a, agent: {prompt: x, model: y}}]\n", "D142 1:38 key `model` has no meaning without"),
        ("steps: [{name: a, agent: {prompt: x, endpoint: y}}]\n", "D142 1:38 `endpoint` needs a `model`"),
        (
            "steps: [{name: a, http: {url: x, json: 1, body: x}}]\n",
            "D142 1:43 a request has `json` or `body`, not both",
        ),
        ("steps: [{name: a, parallel: [{name: b, value: 1}], retry: 3}]\n", "D142 1:52 key `retry` has no meaning"),
        ("steps: [{name: a, python: shop.buy}]\n", "D143 1:27 `shop.buy` names no function"),
        ("steps: [{name: a, shell: x, compensate: undo}]\n", "D143 1:41 `undo` names no function"),
        ("steps: [{name: a, parallel: []}]\n", "D145 1:29 `parallel` has no steps"),
        ("steps: [{name: a, if: 'true'}]\n", "D145 1:9 there is neither `then` nor `else`"),
        ("steps: [{name: a, if: 'true', then: []}]\n", "D145 1:37 `then` has no steps"),
        ("inputs: {n: {type: integer, default: x}}\n" + STEP, "D146 1:38 default of input `n` must be of type integer"),
        ("steps: [{name: a, shell: x, timeout: {attempt: 9 s, extend_to: 1 s}}]\n", "D147 1:64 `extend_to` is 1 s"),
        ("steps: [{name: a, shell: x, retry: {rules: [{attempts: 5}]}}]\n", "D147 1:56 the rule allows 5 attempts"),
        ("steps: [{name: a, shell: x, retry: {rules: [{pattern: '('}]}}]\n", "D148 1:55 `(` is no regular expression"),
        ("steps: [{name: a, shell: x, stop_on: ['[']}]\n", "D148 1:39 `[` is no regular expression"),
        (STEP + "  - {name: a, value: 2}\n", "P201 3:12 two steps have the name `a`"),
        ("steps: [{name: a, needs: [b], value: 1}]\n", "P202 1:27 needs unknown step `b`"),
        ("steps: [{name: a, needs: [a], value: 1}]\n", "P203 1:26 the steps need each other in a circle: a -> a"),
        (
            "steps: [{name: a, needs: [b], value: 1}, {name: b, needs: [{step: a}], value: 1}]\n",
            "P203 1:26 the steps need each other in a circle: a -> b -> a",
        ),
        ("steps: [{name: g, parallel: [{name: a, needs: [g], value: 1}]}]\n", "P203 1:47 the steps need each other"),
        ("steps: [{name: a, value: 1, resources: {gpu: 1}}]\n", "P205 1:46 takes 1 of `gpu`, but there is none"),
        (
            "capacities: {gpu: 1}\nsteps: [{name: a, value: 1, resources: {gpu: 2}}]\n",
            "P205 2:46 takes 2 of `gpu`, but",
        ),
        ("steps: [{name: a, value: 1, group: llm}]\n", "P207 1:36 unknown group `llm`"),
        (STEP + "  - {name: b, needs: [t], value: 2}\nteardown: [{name: t, value: 1}]\n", "P208 3:23 needs `t`, which"),
        ("inputs: {n: integer}\n" + STEP, "P210 1:10 input `n` is missing"),
        (
            "steps: [{name: a, value: 1, when: inputs.n = 3}]\ninputs: {n: {default: 1}}\n",
            "P213 1:35 `inputs.n = 3` is",
        ),
        ("steps: [{name: a, value: '${1 +}'}]\n", "P213 1:26 `1 +` is no expression"),
        ("steps: [{name: a, shell: 'echo ${HOME}'}]\n", "P213 1:26 `HOME` is no expression"),
        ("steps: [{name: a, command: [x, '${open']}]\n", "P213 1:32 `${open` has no closing brace"),
        ("outputs: {x: '${1 +}'}\n" + STEP, "P213 1:14 `1 +` is no expression"),
        ("outputs: {x: '${steps.b.output}'}\n" + STEP, "P214 1:14 the expression refers to unknown step `b`"),
        ("steps: [{name: a, value: ['${steps.b.output}']}]\n", "P214 1:27 the expression refers to unknown step `b`"),
        (
            STEP + "  - {name: b, value: '${steps.a.output}'}\n",
            "P215 3:22 the expression refers to step `a`, which need",
        ),
        ("steps: [{name: a, value: '${steps.a.output}'}]\n", "P215 1:26 the expression refers to step `a`, which need"),
        (STEP + "  - {name: b, value: 1, when: steps.a.output > 0}\n", "P215 3:31 the expression refers to step `a`"),
        (
            STEP + "  - {name: b, if: steps.a.output > 0, then: [{name: c, value: 1}]}\n",
            "P215 3:19 the expression refers",
        ),
        (STEP + "  - {name: b, value: 1, for_each: steps.a.output}\n", "P215 3:35 the expression refers to step `a`"),
        (
            STEP + "  - {name: b, when: steps.c.output > 0, parallel: [{name: c, value: 1}]}\n",
            "P215 3:21 the expression refers to step `c`",
        ),
        ("inputs: {n: {default: 1}}\nsteps: [{name: a, value: '${inputs.m}'}]\n", "P216 2:26 the expression refers to"),
        ("steps: [{name: a, value: '${inputs[\"m\"]}'}]\n", "P216 1:26 the expression refers to unknown input `m`"),
        ("steps: [{name: a, value: '${item}'}]\n", "P217 1:26 `item` has a value only in the work of a step"),
        ("steps: [{name: a, value: 1, for_each: [1], when: index > 0}]\n", "P217 1:50 `index` has a value only in"),
        ("policy: pateint\n" + STEP, "P218 1:9 unknown policy preset `pateint`"),
        ("steps: [{name: a, value: 1, policy: {preset: x}}]\n", "P218 1:46 unknown policy preset `x`"),
        ("steps: [{name: a, value: 1, trigger: done}]\n", "P219 1:29 `trigger: done` asks what the needs came to"),
        ("steps: [{name: a, value: 1, compensate: a:b}]\n", "P220 1:29 `value` has no effect that could be undone"),
        ("steps: [{name: a, wait: 1 s, compensate: a:b}]\n", "P220 1:30 `wait` has no effect that could be undone"),
        (
            "steps: [{name: a, parallel: [{name: b, value: 1}], compensate: a:b}]\n",
            "P220 1:52 `parallel` has nothing to undo itself",
        ),
        (
            "steps: [{name: a, parallel: [{name: b, value: 1}], for_each: [1]}]\n",
            "P221 1:52 `for_each` cannot repeat `parallel`",
        ),
        ("outputs: {x: 'n ${1}'}\n" + STEP, "P223 1:14 output `x` is not one `${…}`"),
        ("outputs: {x: '${1}${2}'}\n" + STEP, "P223 1:14 output `x` is not one `${…}`"),
        ("outputs: {x: a}\n" + STEP, "P223 1:14 output `x` is not one `${…}`"),
    ],
)
def test_each_mistake_has_a_code_a_place_and_a_hint(body, found):
    assert wrong(body).startswith(found)


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("string", 3, "P212 1:13 input `x` must be of type string, not a whole number, 3"),
        ("integer", "3", "P212 1:13 input `x` must be of type integer, not text, '3'"),
        ("integer", True, "P212 1:13 input `x` must be of type integer, not a boolean, True"),
        ("integer", 3.0, "P212 1:13 input `x` must be of type integer, not a number, 3.0"),
        ("number", float("nan"), "P212 1:13 input `x` must be of type number, not a number, nan"),
        ("boolean", 1, "P212 1:13 input `x` must be of type boolean, not a whole number, 1"),
        ("list", {}, "P212 1:13 input `x` must be of type list, not a mapping"),
        ("mapping", [], "P212 1:13 input `x` must be of type mapping, not a list"),
        ("string", None, "P212 1:13 input `x` must be of type string, not null"),
    ],
)
def test_an_input_has_the_type_that_is_declared(kind, value, found):
    assert wrong(f"inputs: {{x: {kind}}}\n" + STEP, x=value) == found


@pytest.mark.parametrize(
    ("kind", "value"),
    [("number", 3), ("number", 3.5), ("any", None), ("list", [1]), ("mapping", {"a": 1}), ("string", "${x}")],
)
def test_an_input_of_the_right_type_is_taken_as_it_is(kind, value):
    assert planned(f"inputs: {{x: {kind}}}\n" + STEP, x=value).plan.inputs == {"x": value}


def test_null_is_a_default_of_every_type():
    assert planned("inputs: {x: {type: string, default: null}}\n" + STEP).plan.inputs == {"x": None}


def test_an_input_that_is_not_declared_is_answered_with_the_nearest_one():
    (error,) = all_wrong("inputs: {amount: {default: 1}}\n" + STEP, amont=3)
    assert (error.code, error.message, error.hint) == (
        "P211",
        "the workflow `w` has no input `amont`",
        "did you mean `amount`?",
    )


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("steps: [{name: reserve, value: 1}, {name: b, needs: [resrve], value: 1}]\n", "did you mean `reserve`?"),
        (STEP + "  - {name: b, value: '${steps.a.output}'}\n", "add it to the step's needs: needs: [a]"),
        ("policy: pateint\n" + STEP, "did you mean `patient`?"),
        ("steps: [{name: a, shell: 'echo ${HOME}'}]\n", "write $HOME for a variable of the shell, or $${HOME}"),
        ("steps: [{name: a, value: 1, env: {}}]\n", "it goes with `command` and `shell`"),
    ],
)
def test_a_hint_says_what_to_write_instead(body, hint):
    assert all_wrong(body)[0].hint == hint


@pytest.mark.parametrize(
    "body",
    [
        "steps: [{name: a, value: '${[1].map(item, item + 1)}'}]\n",
        "steps: [{name: a, value: 'see inputs.txt, the item, index'}]\n",
        "steps: [{name: a, value: \"${'inputs.x'}\"}]\n",
        "steps: [{name: a, shell: 'echo $${HOME}'}]\n",
        "steps: [{name: a, value: '${index}', for_each: [1]}]\n",
        "steps: [{name: a, shell: x, for_each: [1], fallback: [{value: '${item}'}]}]\n",
        "steps: [{name: a, shell: x, retry: {rules: [{when: 'error.type == \"X\"'}]}}]\n",
        STEP + "  - {name: b, needs: [a], value: 1}\n  - {name: c, needs: [b], value: '${steps.a.output}'}\n",
        STEP + "teardown: [{name: t, shell: 'echo ${steps.a.outcome}'}]\n",
        STEP
        + "  - {name: b, if: 'true', then: [{name: t, value: 1}]}\n  - {name: c, needs: [b], value: '${steps.t}'}\n",
    ],
)
def test_what_only_looks_wrong_is_right(body):
    assert planned(body).plan.steps


def test_all_mistakes_are_reported_at_once_from_top_to_bottom():
    found = all_wrong(
        "inputs: {sku: string}\noutputs: {x: a}\npolicy: x\nsteps:\n"
        "  - {name: a b, shell: x}\n  - {name: b, needs: [c], shell: '${1 +} ${inputs.y} ${item}', group: g}\n"
        "  - {name: d, needs: [e], value: 1}\n  - {name: e, needs: [d], value: 1}\n"
        "  - {name: f, needs: [h], value: 1}\n  - {name: h, needs: [f], value: 1}\n",
        nothing=1,
    )
    assert [(error.code, error.span.line - 2) for error in found] == [
        ("P211", 1),
        ("P210", 1),
        ("P223", 2),
        ("P218", 3),
        ("D141", 5),
        ("P202", 6),
        ("P213", 6),
        ("P216", 6),
        ("P217", 6),
        ("P207", 6),
        ("P203", 7),
        ("P203", 9),
    ]


def test_an_error_is_rendered_with_its_line():
    (error,) = all_wrong("steps:\n  - {name: a, value: 1}\n  - {name: b, value: '${steps.a.output}'}\n")
    assert error.render() == (
        "error[P215]: the expression refers to step `a`, which need not be done by then\n"
        " --> w.yaml:5:22\n   |\n  5|   - {name: b, value: '${steps.a.output}'}\n"
        "   |                      ^^^^^^^^^^^^^^^^^^^\n"
        "hint: add it to the step's needs: needs: [a]"
    ).replace(" -->", "  -->")


def test_there_may_not_be_far_too_many_steps(monkeypatch):
    monkeypatch.setattr("podium.plan.workflow_lowering.MOST_STEPS", 2)
    body = STEP + "  - {name: b, value: 1}\n"
    assert planned(body).plan.steps
    assert wrong(body + "  - {name: c, value: 1}\n") == "D144 4:5 there are more than 2 steps"
