import pytest

from podium.errors import PlanError
from podium.model.expressions import Cel
from podium.plan.graph import Need
from podium.plan.step_conditions import Before, translated, translated_in
from podium.plan.step_dictionaries import Conventions, plan_steps
from podium.protocols import ExpressionError

TAKES = {"act": ("input", "results"), "plain": (), "undo": ("results",)}


def look_up(target):
    if target.startswith("missing"):
        raise ValueError(f"{target} cannot be imported")
    return ("input",)


def made(*steps, actions=TAKES, **more):
    conventions = Conventions(actions, look_up, **more)
    return plan_steps("w", list(steps), conventions, expressions=Cel())


def planned(*steps, actions=(), **more):
    """Return the steps by name, by default without any action."""
    return {step.name: step for step in made(*steps, actions=dict(actions), **more).steps}


def needs(steps):
    return {name: [need.step for need in step.needs] for name, step in steps.items()}


def refused(*steps, actions=TAKES):
    with pytest.raises(PlanError) as caught:
        made(*steps, actions=actions)
    return caught.value


# Order


def test_each_step_needs_the_one_before_unless_it_says_otherwise():
    steps = planned(
        {"name": "a"}, {"name": "b"}, {"name": "c", "needs": "a"}, {"name": "d", "needs": []}, {"name": "e"}
    )
    assert needs(steps) == {"a": [], "b": ["a"], "c": ["a"], "d": [], "e": ["d"]}
    assert steps["b"].needs == (Need("a"),)


def test_parallel_steps_need_what_the_block_needs_and_the_block_needs_them():
    steps = planned({"name": "a"}, {"name": "p", "parallel": [{"name": "x"}, {"name": "y"}]}, {"name": "z"})
    assert needs(steps) == {"a": [], "x": ["a"], "y": ["a"], "p": ["a", "x", "y"], "z": ["p"]}
    assert steps["p"].work.payload == {"value": {"x": '${steps["x"].output}', "y": '${steps["y"].output}'}}


def test_parallel_in_parallel_with_needs_inside():
    inner = {"name": "q", "parallel": [{"name": "x"}, {"name": "y", "needs": ["x"]}]}
    steps = planned({"name": "a"}, {"name": "p", "parallel": [inner, {"name": "z"}]})
    assert needs(steps) == {
        "a": [],
        "x": ["a"],
        "y": ["a", "x"],
        "q": ["a", "x", "y"],
        "z": ["a"],
        "p": ["a", "q", "z"],
    }


def test_a_plan_has_room_for_its_widest_wave():
    assert made({"name": "p", "parallel": [{"name": f"x{n}", "output": 1} for n in range(5)]}).slots == 5
    assert made({"name": "a", "output": 1}).slots == 1


def test_named_branches_stay_in_their_place_in_the_order():
    branch = {"name": "if", "condition": "result == 1", "then": ["b", "c"], "else": "d"}
    steps = planned({"name": "a"}, branch, *({"name": name} for name in "bcde"))
    assert needs(steps) == {"a": [], "if": ["a"], "b": ["if"], "c": ["if", "b"], "d": ["if", "c"], "e": ["d"]}
    assert steps["if"].when == ""
    assert steps["if"].work.payload == {"value": '${(steps["a"].output == 1) ? true : false}'}
    assert steps["c"].when == 'steps["if"].output == true'
    assert steps["d"].when == 'steps["if"].output == false'
    assert steps["e"].when == ""


def test_a_branch_may_hold_steps_and_other_branches():
    inner = {"name": "if2", "condition": "input.x", "then": {"name": "b"}, "else": [{"name": "c"}, "z"]}
    steps = planned({"name": "if1", "condition": "input.y", "then": [inner, {"name": "d"}]}, {"name": "z"})
    assert needs(steps) == {"if1": [], "if2": ["if1"], "b": ["if2"], "c": ["b"], "d": ["c"], "z": ["if2", "d"]}
    assert steps["if2"].when == 'steps["if1"].output == true'
    assert steps["c"].when == '(steps["if1"].output == true) && (steps["if2"].output == false)'
    assert steps["z"].when == 'steps["if2"].output == false'


def test_a_step_chosen_twice_runs_if_one_of_them_chooses_it():
    branches = [{"name": f"if{n}", "condition": "true", "else": "handler"} for n in (1, 2)]
    handler = planned(*branches, {"name": "handler", "condition": "input.on"})["handler"]
    assert handler.when == '(steps["if1"].output == false || steps["if2"].output == false) && (inputs.on)'


def test_a_chosen_parallel_is_chosen_with_all_that_is_in_it():
    parallel = {"name": "p", "parallel": [{"name": "x"}, {"name": "q", "parallel": [{"name": "y"}]}]}
    steps = planned({"name": "if", "condition": "true", "then": "p"}, parallel)
    assert {steps[name].when for name in "pxqy"} == {'steps["if"].output == true'}


def test_a_condition_of_a_parallel_is_that_of_its_steps():
    steps = planned({"name": "a"}, {"name": "p", "condition": "result > 1", "parallel": [{"name": "x"}]})
    assert steps["p"].when == steps["x"].when == 'steps["a"].output > 1'


def test_none_is_as_if_the_key_were_not_there():
    (step,) = made({"name": "plain", "retry": None, "timeout": None, "compensation": None, "condition": None}).steps
    assert (step.policy.timeout, step.policy.retry.attempts, step.compensation) == (None, 1, None)


# Actions


def test_without_any_action_all_is_declared():
    steps = planned(
        {"name": "a", "action": "x", "compensation": "y", "retry": True},
        {"name": "b", "output": {"x": "${not an expression"}},
        {"name": "c", "fail": True},
    )
    assert [step.work.kind for step in steps.values()] == ["value", "value", "local"]
    assert [steps[name].work.payload for name in "ab"] == [
        {"value": "success"},
        {"value": {"x": "${not an expression"}},
    ]
    assert not steps["b"].work.template
    assert all(step.labels == {"declared": "yes"} and step.compensation is None for step in steps.values())


def test_actions_get_what_they_take():
    steps = planned(
        {"name": "a", "action": "plain"},
        {"name": "b", "action": "act"},
        {"name": "plain"},
        {"name": "d", "action": "shop:reserve", "input": {"x": "${result.y}"}},
        actions=TAKES,
    )
    assert steps["a"].work.payload == {"callable": "plain", "args": {}}
    assert steps["b"].work.payload["args"] == {"input": "${inputs}", "results": {"a": '${steps["a"].output}'}}
    assert steps["plain"].work.payload["callable"] == "plain"
    assert (steps["d"].work.kind, steps["d"].work.template) == ("python", True)
    assert steps["d"].work.payload["args"] == {"input": {"x": '${steps["plain"].output.y}'}}


def test_only_results_of_steps_that_come_before():
    steps = planned(
        {"name": "a", "output": 1},
        {"name": "b", "needs": [], "output": 1},
        {"name": "act", "needs": "b"},
        actions=TAKES,
    )
    assert list(steps["act"].work.payload["args"]["results"]) == ["b"]


def test_policies():
    given = {"name": "plain", "timeout": 5, "compensation": "undo"}
    for retry, attempts in ((True, 4), (False, 1), (2, 2)):
        (step,) = made(given | {"retry": retry}, attempts=4, delay=2.0).steps
        assert (step.policy.timeout, step.policy.retry.attempts) == (5, attempts)
        assert (step.policy.retry.initial, step.policy.retry.exponent, step.policy.retry.jitter) == (2.0, 2.0, 0.0)
        assert step.compensation.policy == step.policy
    assert step.compensation.work.payload == {
        "callable": "undo",
        "args": {"results": {"plain": '${steps["plain"].output}'}},
    }
    assert made(given, compensates=False).steps[0].compensation is None


# Errors


@pytest.mark.parametrize(
    ("step", "code", "said"),
    [
        ({"name": "plain", "tiemout": 5}, "D121", "did you mean `timeout`"),
        ({"nmae": "a"}, "D122", "step 1 has no name"),
        ("a", "D123", "must be a dictionary"),
        ({"name": "a b"}, "D141", "is no name"),
        ({"name": "plain", "timeout": 0}, "D123", "above 0 s"),
        ({"name": "plain", "timeout": True}, "D123", "must be a number, not True"),
        ({"name": "plain", "retry": 0}, "D123", "number of attempts"),
        ({"name": "plain", "retry": "3"}, "D123", "true or false or a number"),
        ({"name": "plain", "needs": [1]}, "D123", "names of steps"),
        ({"name": "plain", "condition": ""}, "D123", "is empty"),
        ({"name": "a", "parallel": []}, "D123", "is empty"),
        ({"name": "a", "output": object()}, "D123", "JSON"),
        ({"name": "a", "then": "b"}, "D122", "no `condition`"),
        ({"name": "a", "condition": "true", "then": [3]}, "D123", "names of steps, or steps"),
        ({"name": "a", "parallel": [{"name": "plain"}], "action": "plain"}, "D142", "no meaning with `parallel`"),
        ({"name": "a", "condition": "true", "then": "a", "action": "plain"}, "D142", "no meaning with `then`"),
        ({"name": "plain", "needs": "plane"}, "P202", "did you mean `plain`? known: plain"),
        ({"name": "a", "condition": "true", "then": "zzz"}, "P202", "`then` of step `a` names unknown step `zzz`"),
        ({"name": "a", "action": "actt"}, "D143", "did you mean `act`"),
        ({"name": "zzz"}, "D143", "has no action"),
        ({"name": "plain", "compensation": "zzz"}, "D143", "registered: act, plain, undo"),
        ({"name": "a", "action": "missing:f"}, "D143", "cannot be imported"),
        ({"name": "a", "action": "plain", "output": 1}, "D142", "has an action, and `output`"),
        ({"name": "plain", "condition": "result =="}, "P213", "is `result ==`: `inputs ==` is no expression"),
        ({"name": "plain", "condition": "results.zzz == 1"}, "P213", "known: plain"),
        ({"name": "plain", "condition": "steps.zzz.output"}, "P213", "no step `zzz`"),
        ({"name": "plain", "condition": "results.plain"}, "P213", "may come later"),
        ({"name": "act", "input": "${result"}, "P213", "no closing brace"),
        ({"name": "plain", "needs": "plain"}, "P203", "plain -> plain"),
    ],
)
def test_what_is_wrong_is_said(step, code, said):
    error = refused(step)
    assert [finding.code for finding in error.diagnostics] == [code]
    assert said in error.render()


def test_an_empty_list_and_two_of_a_name():
    assert refused().diagnostics[0].code == "D145"
    assert refused({"name": "plain"}, {"name": "plain"}).diagnostics[0].code == "P201"


def test_all_errors_are_reported_at_once():
    error = refused({"name": "a b"}, {"name": "plain", "x": 1, "timeout": -1})
    assert [finding.code for finding in error.diagnostics] == ["D141", "D121", "D123"]


def test_a_branch_to_a_step_before_it_is_a_circle():
    error = refused({"name": "plain"}, {"name": "if", "condition": "true", "then": "plain"})
    assert error.diagnostics[0].code == "P203"


# Expressions

CERTAIN = Before(("b",), certain=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("result == 1", 'steps["b"].output == 1'),
        ("result.x.result", 'steps["b"].output.x.result'),
        ("result['x'] + result.y", 'steps["b"].output[\'x\'] + steps["b"].output.y'),
        ("'result' + \"it's result\" + r'\\result'", "'result' + \"it's result\" + r'\\result'"),
        ("'''a ' result''' + result", "'''a ' result''' + steps[\"b\"].output"),
        ("x.result", "x.result"),
        ("inputs.result == resulting", "inputs.result == resulting"),
        ("results.a > results['b-c']", 'steps["a"].output > steps["b-c"].output'),
        ("results . a", 'steps["a"].output '),
        ("{'result': result}", "{'result': steps[\"b\"].output}"),
        ("input.n == 1 // result", "inputs.n == 1 // result"),
        ("result.all(x, x > input.n)", 'steps["b"].output.all(x, x > inputs.n)'),
        ("result.status()", 'steps["b"].output.status()'),
    ],
)
def test_only_names_are_translated(text, expected):
    assert translated(text, CERTAIN, ["a", "b", "b-c"]).split() == expected.split()


@pytest.mark.parametrize(
    "text", ["results", "results.zzz", "results[input.x]", "results.", "[1].all(result, result > 0)"]
)
def test_what_cannot_be_translated(text):
    with pytest.raises(ExpressionError):
        translated(text, CERTAIN, ["a"])


def step(output, outcome="passed"):
    return {"output": output, "outcome": outcome}


@pytest.mark.parametrize(
    ("before", "steps", "value"),
    [
        (Before(("b",), certain=True), {"b": step(2)}, 2),
        (Before(("b", "a"), certain=True), {"b": step(2), "a": step(1)}, 2),
        (Before(("b", "a"), certain=True), {"b": step(None, "skipped"), "a": step(1)}, 1),
        (Before(("b",)), {"b": step(None, "skipped")}, {"in": 1}),
        (Before(), {}, {"in": 1}),
    ],
)
def test_the_result_is_that_of_the_last_step_that_ran(before, steps, value):
    assert Cel().evaluate(translated("result", before, []), {"steps": steps, "inputs": {"in": 1}}) == value


@pytest.mark.parametrize(
    ("output", "status"),
    [({"status": "bad"}, "bad"), ({"x": 1}, "success"), ("bad", "success"), (None, "success"), ([1], "success")],
)
def test_the_status_of_a_result_without_one_is_that_of_the_step(output, status):
    for before in (CERTAIN, Before(("b", "a"), certain=True)):
        text = translated("result.status == 'success' ? 'success' : result.status", before, [])
        assert Cel().evaluate(text, {"steps": {"a": step(1), "b": step(output)}}) == status


def test_expressions_in_values():
    value = {"a": ["${x} and ${y + '}'}", 3, None], "b": "$${x}", "c": "plain }", "d": "${ {'k': 1}['k'] }"}
    assert translated_in(value, str.upper) == {
        "a": ["${X} and ${Y + '}'}", 3, None],
        "b": "$${x}",
        "c": "plain }",
        "d": "${ {'K': 1}['K'] }",
    }
