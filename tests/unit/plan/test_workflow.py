"""From a workflow document to a plan: what becomes of each key."""

import json
from pathlib import Path

import msgspec
import pytest

from podium.errors import DocumentError, PlanError
from podium.model.expressions import Cel
from podium.plan.graph import Need, Plan
from podium.plan.policy import Backoff, Breaker, Compensation, Fallback, Group, Policy, Retry, RetryRule
from podium.plan.presets import PRESETS
from podium.plan.workflow import plan_workflow, plan_workflow_text
from podium.protocols import Work

HEAD = "kind: workflow\nname: w\n"
CEL = Cel()


def planned(body, slots=None, path="w.yaml", **inputs):
    return plan_workflow_text(HEAD + body, inputs=inputs, expressions=CEL, slots=slots, path=path)


def steps_of(body, **inputs):
    return {step.name: step for step in planned(body, **inputs).plan.steps}


def one(text, before=""):
    """Return the step that one entry of `steps` becomes."""
    return steps_of(f"{before}steps:\n  - {text}\n")["a"]


def needs(step):
    return [need.step for need in step.needs]


# Work


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("python: shop:buy", Work("python", {"callable": "shop:buy", "args": {}})),
        (
            "{python: shop:buy, with: {n: '${1 + 1}'}}",
            Work("python", {"callable": "shop:buy", "args": {"n": "${1 + 1}"}}, template=True),
        ),
        ("command: [ship, now]", Work("command", {"argv": ["ship", "now"]})),
        (
            "{shell: make all, env: {A: b}, cwd: /tmp, stdin: x, output: json, exit_codes: 3, stop_on: [fatal]}",
            Work(
                "command",
                {
                    "shell": "make all",
                    "env": {"A": "b"},
                    "cwd": "/tmp",
                    "stdin": "x",
                    "output": "json",
                    "exit_codes": [3],
                    "stop_on": ["fatal"],
                },
            ),
        ),
        ("http: http://x", Work("http", {"url": "http://x"})),
        (
            "http: {url: http://x, method: POST, json: null, expect: 201}",
            Work("http", {"url": "http://x", "method": "POST", "json": None, "expect": [201]}),
        ),
        (
            "agent: {prompt: Hi, agent: dev, tool: t, args: [-v]}",
            Work("agent", {"prompt": "Hi", "agent": "dev", "tool": "t", "args": ["-v"]}),
        ),
        (
            "agent: {prompt: Hi, endpoint: http://x, model: m, system: s}",
            Work("chat", {"prompt": "Hi", "endpoint": "http://x", "model": "m", "system": "s"}),
        ),
        ("wait: 5 s", Work("wait", {"seconds": 5.0})),
        ("wait: {for: 100 ms}", Work("wait", {"seconds": 0.1})),
        ("wait: {signal: paid}", Work("wait", {"signal": "paid"})),
        ("wait: {approval: Ship it?}", Work("wait", {"approval": "Ship it?"})),
        ("value: null", Work("value", {"value": None})),
        ("value: {a: [1, '${run.id}']}", Work("value", {"value": {"a": [1, "${run.id}"]}}, template=True)),
    ],
)
def test_each_kind_of_work_becomes_its_payload(text, work):
    text = text[1:-1] if text.startswith("{") else text
    assert one(f"{{name: a, {text}}}").work == work


def test_only_waiting_takes_no_slot():
    assert one("{name: a, wait: 5 s}").slots == 0
    assert one("{name: a, value: 1}").slots == 1


def test_an_argument_that_is_one_expression_becomes_text():
    work = one("{name: a, command: [sleep, '${inputs.n}'], stdin: '${[1]}'}", "inputs: {n: {default: 2}}\n").work
    assert CEL.render(work.payload, {"inputs": {"n": 2}}) == {"argv": ["sleep", "2"], "stdin": "[1]"}


def test_what_is_said_of_a_step_is_in_the_plan():
    step = one(
        "{name: a, shell: x, group: llm, resources: {gpu: 1}, allow_failure: true, expected: 3 s, labels: {team: b},"
        " breaker: shop, for_each: '${[1, 2]}', at_once: 4, when: '${true}'}",
        "groups: {llm: {stagger: 2 s, starts: 10, per: 1 min}}\ncapacities: {gpu: 2}\n",
    )
    assert (step.group, step.resources, step.allow_failure, step.expected) == ("llm", {"gpu": 1.0}, True, 3.0)
    assert (step.labels, step.breaker, step.when) == ({"team": "b"}, Breaker("shop"), "true")
    assert (step.for_each, step.at_once) == ("[1, 2]", 4)


def test_what_is_said_of_the_workflow_is_in_the_plan():
    plan = planned(
        "slots: 3\ndeadline: 10 min\nstrict_waves: true\ncapacities: {gpu: 2}\n"
        "groups: {llm: {starts: 10, per: 1 min}}\ninputs: {n: {type: number, default: 2}, s: string}\n"
        "outputs: {id: '${steps.a.output.id}'}\n"
        "steps: [{name: a, value: {id: 3}}]\n",
        s="x",
    ).plan
    assert (plan.name, plan.work, plan.slots, plan.deadline, plan.strict_waves) == ("w", "workflow", 3, 600.0, True)
    assert (plan.capacities, plan.groups) == ({"gpu": 2.0}, {"llm": Group(starts=10, per=60.0)})
    assert (plan.inputs, plan.outputs) == ({"n": 2, "s": "x"}, {"id": "steps.a.output.id"})
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_the_caller_may_give_other_slots():
    assert planned("steps: [{name: a, value: 1}]\n").plan.slots == 4
    assert planned("steps: [{name: a, value: 1}]\n", slots=9).plan.slots == 9
    with pytest.raises(PlanError, match="slots must be at least 1, not 0"):
        planned("steps: [{name: a, value: 1}]\n", slots=0)


# Policies


def test_the_presets_are_as_documented():
    rows = {name: (p.timeout, p.extend_to, p.silence_timeout, p.retry.attempts) for name, p in PRESETS.items()}
    assert rows == {
        "default": (60, 300, 30, 3),
        "production": (120, 600, None, 3),
        "fast_fail": (60, None, 15, 1),
        "patient": (120, 600, None, 2),
        "development": (1800, None, None, 1),
        "test": (30, None, 10, 1),
    }
    for policy in PRESETS.values():
        assert policy.retry.jitter == 0.1
        assert (policy.retry.rules[0].errors, policy.retry.rules[0].attempts) == (("permanent",), 1)
        assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy


def test_without_a_policy_there_are_no_limits_and_one_attempt():
    assert one("{name: a, shell: x}").policy == Policy()


@pytest.mark.parametrize(
    ("before", "text", "policy"),
    [
        ("policy: patient\n", "", PRESETS["patient"]),
        ("policy: patient\n", "policy: test", PRESETS["test"]),
        ("", "policy: {preset: test, grace: 1 s}", msgspec.structs.replace(PRESETS["test"], grace=1.0)),
        ("policy: patient\n", "policy: {cache: true}", msgspec.structs.replace(PRESETS["patient"], cache=True)),
        ("policy: {timeout: 3 s}\n", "grace: 1 s", Policy(timeout=3.0, grace=1.0)),
        ("policy: {losses: 1}\n", "cache: true", Policy(losses=1, cache=True)),
        ("policy: patient\n", "timeout: 5 s", msgspec.structs.replace(PRESETS["patient"], timeout=5.0, extend_to=None)),
        (
            "policy: patient\n",
            "timeout: {attempt: 1 h}",
            msgspec.structs.replace(PRESETS["patient"], timeout=3600.0, extend_to=None),
        ),
        (
            "",
            "timeout: {attempt: 1 s, extend_to: 5 s, active_within: 9 s, silence: 30 s, queue: 1 min, total: 10 min}",
            Policy(
                timeout=1.0,
                extend_to=5.0,
                active_within=9.0,
                silence_timeout=30.0,
                queue_timeout=60.0,
                total_timeout=600.0,
            ),
        ),
    ],
)
def test_limits_are_those_of_the_workflow_unless_the_step_has_others(before, text, policy):
    assert one(f"{{name: a, shell: x, {text}}}", before).policy == policy


@pytest.mark.parametrize(
    ("text", "retry"),
    [
        ("5", Retry(attempts=5)),
        ("true", Retry(attempts=3)),
        ("false", Retry(attempts=1)),
        ("{initial: 2 s}", Retry(attempts=3, initial=2.0)),
        (
            "{attempts: 4, maximum: 9 s, exponent: 3, jitter: 0, outcomes: errored, budget: 1 min}",
            Retry(attempts=4, maximum=9.0, exponent=3.0, jitter=0.0, outcomes=("errored",), budget=60.0),
        ),
        (
            "{attempts: 4, jitter: 0.5, rules: [{errors: rate_limit, attempts: 4, initial: 5 s, when: '${true}'}]}",
            Retry(
                attempts=4,
                jitter=0.5,
                rules=(RetryRule(attempts=4, initial=5.0, jitter=0.5, errors=("rate_limit",), when="true"),),
            ),
        ),
        (
            "{rules: [{errors: [a, b], outcomes: [failed], exit_codes: 75, pattern: busy}]}",
            Retry(
                attempts=3,
                rules=(RetryRule(errors=("a", "b"), outcomes=("failed",), exit_codes=(75,), pattern="busy"),),
            ),
        ),
    ],
)
def test_each_form_of_retry(text, retry):
    assert one(f"{{name: a, shell: x, retry: {text}}}").policy.retry == retry


def test_rules_of_a_step_come_before_those_of_the_preset():
    retry = one("{name: a, shell: x, retry: {rules: [{pattern: x}]}}", "policy: patient\n").policy.retry
    assert retry.attempts == 2
    assert [(rule.pattern, rule.errors) for rule in retry.rules] == [("x", ()), ("", ("permanent",))]
    assert retry.rules[0].initial == retry.initial == 2.0


def test_what_waits_has_only_limits_of_its_own():
    assert one("{name: a, wait: {approval: ok?}}", "policy: patient\n").policy == Policy()
    assert one("{name: a, wait: {approval: ok?}, timeout: 1 h}", "policy: patient\n").policy == Policy(timeout=3600.0)


def test_fallbacks_and_breakers():
    step = one(
        "{name: a, shell: x, breaker: {target: t, failures: 5, window: 1 min, reset: 30 s}, "
        "fallback: [{name: by hand, shell: y, retry: 2, breaker: u}, {value: 1}]}"
    )
    assert step.breaker == Breaker("t", 5, 60.0, 30.0)
    assert step.fallbacks == (
        Fallback("by hand", Work("command", {"shell": "y"}), Retry(attempts=2), Breaker("u")),
        Fallback("value", Work("value", {"value": 1})),
    )


def test_a_compensation_is_a_function_or_work_with_limits():
    short = one("{name: a, python: shop:buy, with: {n: 1}, compensate: shop:release}")
    assert short.compensation == Compensation(Work("python", {"callable": "shop:release", "args": {"n": 1}}))
    long = one(
        "{name: a, shell: x, compensate: {command: [undo, '${steps.a.output}'], timeout: 3 s, retry: 5, on: attempted}}"
    )
    policy = Policy(timeout=3.0, retry=Retry(attempts=5))
    assert (long.compensation.policy, long.compensation.on) == (policy, "attempted")
    assert long.compensation.work.template


# Order


def test_needs_and_triggers():
    steps = steps_of(
        "steps:\n  - {name: a, value: 1}\n  - {name: b, value: 1}\n"
        "  - {name: c, needs: [a, {step: b, until: done}], trigger: one_failed, value: 1}\n"
    )
    assert (steps["a"].needs, steps["b"].needs) == ((), ())
    assert steps["c"].needs == (Need("a"), Need("b", "done"))
    assert steps["c"].trigger == "one_failed"


def test_in_a_sequence_a_step_without_needs_needs_the_one_before():
    steps = steps_of(
        "order: sequence\nsteps:\n  - {name: a, value: 1}\n  - {name: b, value: 1}\n"
        "  - {name: c, needs: [], value: 1}\n  - {name: d, needs: [a], value: 1}\n  - {name: e, value: 1}\n"
    )
    assert {name: needs(step) for name, step in steps.items()} == {"a": [], "b": ["a"], "c": [], "d": ["a"], "e": ["d"]}


def test_setup_comes_first_and_teardown_needs_it():
    steps = steps_of(
        "setup: [{name: s1, value: 1}, {name: s2, value: 1}]\nteardown: [{name: t1, value: 1}, {name: t2, value: 1}]\n"
        "steps: [{name: a, value: 1}, {name: b, needs: [a], value: 1}]\n"
    )
    assert {name: needs(step) for name, step in steps.items()} == {
        "s1": [],
        "s2": ["s1"],
        "a": ["s2"],
        "b": ["a"],
        "t1": ["s1", "s2"],
        "t2": ["s1", "s2", "t1"],
    }
    assert {step.role for name, step in steps.items() if name[0] == "t"} == {"teardown"}
    assert steps["t2"].trigger == "done"
    assert {need.until for need in steps["t2"].needs} == {"done"}


def test_without_setup_teardown_needs_all_steps_also_those_inside_of_others():
    steps = steps_of("teardown: [{name: t, value: 1}]\nsteps: [{name: g, parallel: [{name: a, value: 1}]}]\n")
    assert needs(steps["t"]) == ["a", "g"]


def test_parallel_steps_run_side_by_side_after_what_their_group_needs():
    steps = steps_of(
        "order: sequence\nsteps:\n  - {name: a, value: 1}\n"
        "  - name: g\n    when: run.seed == 0\n    labels: {x: y}\n    parallel:\n"
        "      - {name: b, value: 1}\n      - {name: c, when: 'run.seed < 3', value: 1}\n"
        "      - {name: d, needs: [b], value: 1}\n"
        "  - {name: e, value: '${steps.g.output.b}'}\n"
    )
    assert {name: needs(step) for name, step in steps.items()} == {
        "a": [],
        "b": ["a"],
        "c": ["a"],
        "d": ["b"],
        "g": ["b", "c", "d"],
        "e": ["g"],
    }
    assert steps["b"].when == steps["d"].when == steps["g"].when == "run.seed == 0"
    assert steps["c"].when == "(run.seed == 0) && (run.seed < 3)"
    value = {name: f'${{steps["{name}"].output}}' for name in "bcd"}
    assert steps["g"].work == Work("value", {"value": value}, template=True)
    assert steps["g"].labels == {"x": "y"}


def test_a_step_of_a_group_that_needs_one_outside_also_needs_what_the_group_needs():
    steps = steps_of(
        "steps:\n  - {name: a, value: 1}\n  - {name: z, value: 1}\n"
        "  - {name: g, needs: [a], when: steps.a.output == 1, parallel: [{name: b, needs: [z], value: 1}]}\n"
    )
    assert needs(steps["b"]) == ["z", "a"]


def test_a_branch_becomes_a_test_and_two_sequences():
    steps = steps_of(
        "steps:\n  - {name: a, value: 1}\n  - name: d\n    needs: [a]\n    if: '${steps.a.output == 1}'\n"
        "    then: [{name: t1, value: 1}, {name: t2, value: 1}]\n    else: [{name: e1, when: 'true', value: 1}]\n"
    )
    assert {name: needs(step) for name, step in steps.items()} == {
        "a": [],
        "d.if": ["a"],
        "t1": ["d.if"],
        "t2": ["t1"],
        "e1": ["d.if"],
        "d": ["d.if", "t1", "t2", "e1"],
    }
    assert steps["d.if"].work.payload == {"value": "${(steps.a.output == 1) ? true : false}"}
    assert steps["t2"].when == 'steps["d.if"].output == true'
    assert steps["e1"].when == '(steps["d.if"].output == false) && (true)'
    assert steps["d"].work.payload == {"value": '${steps["d.if"].output}'}


@pytest.mark.parametrize("items", [[1, "x", {"a": None}], []])
def test_a_literal_list_is_an_expression(items):
    step = one(f"{{name: a, for_each: {json.dumps(items)}, value: '${{item}}'}}")
    assert CEL.evaluate(step.for_each, {}) == items


def test_a_list_that_is_long_or_has_expressions_is_the_output_of_a_step():
    for items in (["${run.id}"], ["x" * 100] * 50):
        steps = steps_of(f"steps: [{{name: a, for_each: {json.dumps(items)}, value: '${{item}}'}}]\n")
        assert steps["a.items"].work.payload == {"value": items}
        assert (steps["a"].for_each, needs(steps["a"])) == ('steps["a.items"].output', ["a.items"])


# Nested workflows

CHILD = """\
kind: workflow
name: pay
inputs: {amount: integer, currency: {default: EUR}}
outputs: {id: "${steps.charge.output.id}"}
groups: {bank: {stagger: 1 s}}
capacities: {line: 2}
setup: [{name: connect, value: 1}]
teardown: [{name: close, value: 1}]
steps:
  - {name: charge, value: {id: "${inputs.amount}"}, group: bank, resources: {line: 1}}
"""
PARENT = """\
kind: workflow
name: order
inputs: {n: integer}
outputs: {id: "${steps.p.output.id}"}
steps:
  - {name: a, value: 3}
  - {name: p, needs: [a], workflow: pay.yaml, with: {amount: "${steps.a.output + inputs.n}"}}
  - {name: z, needs: [p], value: "${steps.p.output.id}"}
"""


def nested(tmp_path, *, parent=PARENT, **children):
    for name, text in ({"pay": CHILD} | children).items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "main.yaml").write_text(parent, encoding="utf-8")
    return plan_workflow(tmp_path / "main.yaml", inputs={"n": 1}, expressions=CEL)


def nested_wrong(tmp_path, **more):
    with pytest.raises(DocumentError) as caught:
        nested(tmp_path, **more)
    return [
        f"{Path(e.span.path).name}:{e.span.line}:{e.span.column} {e.code} {e.message}" for e in caught.value.diagnostics
    ]


def test_the_steps_of_a_nested_workflow_have_names_of_their_own(tmp_path):
    workflow = nested(tmp_path)
    steps = {step.name: step for step in workflow.plan.steps}
    assert {name: needs(step) for name, step in steps.items()} == {
        "a": [],
        "p/inputs": ["a"],
        "p/connect": ["p/inputs"],
        "p/charge": ["p/connect"],
        "p/close": ["p/connect"],
        "p": ["p/inputs", "p/connect", "p/charge"],
        "z": ["p"],
    }
    assert {name: step.scope for name, step in steps.items() if step.scope} == {
        "p/connect": "p/",
        "p/charge": "p/",
        "p/close": "p/",
        "p": "p/",
    }
    value = {"amount": "${steps.a.output + inputs.n}", "currency": "EUR"}
    assert steps["p/inputs"].work == Work("value", {"value": value}, template=True)
    assert steps["p"].work.payload == {"value": {"id": "${steps.charge.output.id}"}}
    assert steps["p/close"].role == "teardown"
    assert workflow.plan.groups == {"bank": Group(stagger=1.0)}
    assert workflow.plan.capacities == {"line": 2.0}
    assert workflow.warnings == ()


def test_workflows_are_nested_in_nested_ones(tmp_path):
    middle = (
        'kind: workflow\nname: m\ninputs: {amount: integer}\noutputs: {id: "${steps.q.output.id}"}\nsteps:\n'
        '  - {name: q, workflow: pay.yaml, with: {amount: "${inputs.amount}"}}\n'
    )
    plan = nested(tmp_path, parent=PARENT.replace("pay.yaml", "middle.yaml"), middle=middle).plan
    steps = {step.name: step for step in plan.steps}
    assert steps["p/q/charge"].scope == "p/q/"
    assert (steps["p/q/inputs"].scope, needs(steps["p/q/inputs"])) == ("p/", ["p/inputs"])
    assert (steps["p/q"].scope, steps["p"].scope) == ("p/q/", "p/")


def test_what_may_be_left_out_leaves_out_the_nested_steps_too(tmp_path):
    parent = PARENT.replace("needs: [a], workflow", "needs: [a], when: inputs.n > 5, workflow")
    steps = {step.name: step for step in nested(tmp_path, parent=parent).plan.steps}
    assert steps["p/inputs"].when == "inputs.n > 5"
    assert {steps[name].when for name in ("p/connect", "p/charge", "p/close", "p")} == {"inputs != null"}


def test_what_is_wrong_in_a_nested_workflow_is_shown_there(tmp_path):
    child = CHILD.replace("inputs.amount", "inputs.amont").replace("charge.output", "chrge.output")
    assert nested_wrong(tmp_path, pay=child) == [
        "pay.yaml:4:15 P214 the expression refers to unknown step `chrge`",
        "pay.yaml:10:32 P216 the expression refers to unknown input `amont`",
    ]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("with: {amount: ", "with: {amont: ", "main.yaml:7:54 P211 the workflow `pay` has no input `amont`"),
        ("${steps.a.output + inputs.n}", "ten", "main.yaml:7:62 P212 input `amount` must be of type integer, not text"),
        (', with: {amount: "${steps.a.output + inputs.n}"}', "", "main.yaml:7:27 P210 input `amount` is missing"),
        ("pay.yaml", "pya.yaml", "main.yaml:7:37 D110 file"),
        ("pay.yaml", "main.yaml", "main.yaml:7:37 D144 the workflows are nested in a circle: main.yaml -> main.yaml"),
        (
            "needs: [a], workflow",
            "workflow",
            "main.yaml:7:50 P215 the expression refers to step `a`, which need not be",
        ),
        ("outputs", "groups: {bank: {starts: 1}}\noutputs", "pay.yaml:5:10 P222 `bank` is declared differently"),
        ("outputs", "capacities: {line: 1}\noutputs", "pay.yaml:6:14 P222 `line` is declared differently"),
        ("workflow: pay.yaml,", "timeout: 3 s, workflow: pay.yaml,", "main.yaml:7:27 D142 key `timeout` has no"),
    ],
)
def test_how_a_workflow_is_nested_is_checked(tmp_path, old, new, found):
    assert old in PARENT
    lines = nested_wrong(tmp_path, parent=PARENT.replace(old, new, 1))
    assert [line for line in lines if line.startswith(found)], lines


def test_a_circle_of_several_files_is_shown(tmp_path):
    middle = "kind: workflow\nname: m\nsteps: [{name: q, workflow: main.yaml}]\n"
    found = nested_wrong(tmp_path, parent=PARENT.replace("pay.yaml", "middle.yaml"), middle=middle)
    assert "middle.yaml:3:29 D144 the workflows are nested in a circle: main.yaml -> middle.yaml -> main.yaml" in found


def test_workflows_are_not_nested_without_end(tmp_path):
    last = "kind: workflow\nname: l\nsteps: [{name: a, value: 1}]\n"
    for depth in (16, 17):
        levels = {
            f"c{n}": f"kind: workflow\nname: c\nsteps: [{{name: q, workflow: c{n + 1}.yaml}}]\n"
            for n in range(1, depth)
        }
        parent = "kind: workflow\nname: w\ninputs: {n: integer}\nsteps: [{name: p, workflow: c1.yaml}]\n"
        children = levels | {f"c{depth}": last}
        if depth == 16:
            assert nested(tmp_path, parent=parent, **children).plan.steps
        else:
            assert nested_wrong(tmp_path, parent=parent, **children)[0].endswith("nested more than 16 deep")


def test_keys_of_a_run_are_ignored_with_a_warning_in_a_nested_workflow(tmp_path):
    (warning,) = nested(tmp_path, pay=CHILD + "deadline: 5 s\n").warnings
    assert (warning.code, warning.severity, warning.span.line) == ("D149", "warning", 11)


def test_a_backoff_of_a_rule_is_that_of_its_retry():
    rule = one("{name: a, shell: x, retry: {initial: 3 s, rules: [{errors: x}]}}").policy.retry.rules[0]
    assert (rule.initial, rule.maximum) == (3.0, Backoff().maximum)
