import contextlib
import math
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.model.expressions import MAX_DEPTH, MAX_LENGTH, Cel
from podium.protocols import ExpressionError, Expressions

STEPS = {"steps": {"a": {"output": {"n": 5, "l": [1, 2], "text": "x"}, "outcome": "passed"}}}

cel = Cel()


def refused(text, scope=None):
    started = time.monotonic()
    with pytest.raises(ExpressionError) as caught:
        cel.evaluate(text, scope or {})
    assert time.monotonic() - started < 5
    return str(caught.value)


def test_it_is_the_language_of_the_protocol():
    language: Expressions = cel
    assert language.evaluate("1 + 1", {}) == 2


def test_the_library_is_imported_with_the_first_expression():
    code = (
        "import sys; from podium.model.expressions import Cel; c = Cel(); c.render({'a': 'b'}, {});"
        "assert not any(m.startswith('cel_expr') for m in sys.modules); c.steps('steps.a');"
        "assert 'cel_expr_python.cel' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("steps.a.output.n > 3", True),
        ("steps.a.output.n > 3.5", True),
        ("steps.a.output.n > 5.0", False),
        ('steps["a"].outcome == "passed"', True),
        ("steps.a.output.l.size() + size('äö')", 4),
        ("steps.a.output.l[1]", 2),
        ("steps.a.output.l.map(x, x * 2)", [2, 4]),
        ("steps.a.output.l.filter(x, x > 1)", [2]),
        ("steps.a.output.l.all(x, steps.a.output.l.exists(y, x == y))", True),
        ("has(steps.a.output.n)", True),
        ("has(steps.a.output.n) ? 'yes' : 'no'", "yes"),
        ("has(steps.a.output.m) || has(steps.b)", False),
        ("2 in steps.a.output.l && !('m' in steps.a.output)", True),
        ("'abc'.matches('^a.c$')", True),
        ("'%s-%.2f'.format(['a', 1.5])", "a-1.50"),
        ("'a,b'.split(',').join(';').upperAscii().replace('A', 'x')", "x;B"),
        ("{'b': steps.a.output.l, 'a': null}", {"a": None, "b": [1, 2]}),
        ("5 / 2", 2),
        ("5.0 / 2.0", 2.5),
        ("duration('90s')", "90s"),
        ("[duration('-1500ms')]", ["-1.5s"]),
        ("timestamp('2020-01-01T00:00:00.5Z')", "2020-01-01T00:00:00.5Z"),
        ("timestamp('2020-01-01T00:00:00Z').getHours('Europe/Berlin')", 1),
        ("[1].map(steps, steps + 1)", [2]),
        ("18446744073709551615u", (1 << 64) - 1),
        ("'\\u0000'", "\0"),
        ("1 > 0 // a comment", True),
        ("true || item.x", True),
    ],
)
def test_values(text, value):
    result = cel.evaluate(text, STEPS)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("amount", [5, 5.0])
def test_whole_numbers_and_fractions_compare(amount):
    assert cel.evaluate("inputs.amount > 0 && inputs.amount == 5", {"inputs": {"amount": amount}}) is True


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("steps.a.output.m > 3", "`steps.a.output.m > 3` has no value: there is no key `m`"),
        ("steps.b.output", "there is no key `b`"),
        ("has(steps.b.output)", "there is no key `b`"),
        ("steps.a.output.l[7]", "there is no element 7 in a list of 2"),
        ("steps.a.output.n.x", "a key is asked of a value that is no mapping"),
        ("1 / 0", "division by zero"),
        ("1.0 / 0.0", "inf is no number in json"),
        ("item.x", "`item` is not known here"),
        ("steps.a.output.n > 'x'", "the types do not fit in `int64 > string`"),
        ("steps.a.output.n ? 1 : 2", "neither true nor false"),
        ("steps.a.output.n && true", "the types do not fit"),
        ("int('x')", "cannot convert string to int"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("b'a'", "no json"),
        ("[type(1)]", "no json"),
        ("{1: 2}", "the key 1 of a mapping is no text"),
        ("steps.a.output.map(k, k)", "the keys of a mapping have no order"),
        ("1 +", "`1 +` is no expression: mismatched input the end (line 1, column 4)"),
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("'a", "token recognition error"),
        ("'\ud800'", "lone surrogate"),
        ("true ? 1 : 'a'", "no matching overload"),
        ("stepz.a", "`stepz` is not known; did you mean `steps`?"),
        ("x", "`x` is not known; known: inputs, steps, run, item, index, error, result, outputs"),
        ("inputs.sze()", "there is no function `sze`; did you mean `size`?"),
        ("steps.a-b.output", 'write `["a-b"]` for a name with a dash'),
        ("google.protobuf.Int64Value{value: 3}", "`google.protobuf.Int64Value` is not known"),
    ],
)
def test_mistakes_are_told_in_one_sentence(text, reason):
    message = refused(text, STEPS)
    assert reason in message
    assert message.startswith("`")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("steps.x.output", {"x"}),
        ('steps["x-y"].outcome == "passed"', {"x-y"}),
        ("steps.`x-y`.outcome", {"x-y"}),
        ("has(steps.x.output.y) && has(steps.y)", {"x", "y"}),
        (".steps.x", {"x"}),
        ("steps . x [ 'y' ] . z // steps.c", {"x"}),
        ("'steps.x' + r\"steps.y\" + '''steps.z''' + \"\\\"steps.w\"", set()),
        ("inputs.steps.x", set()),
        ("[1].all(steps, steps > 0)", set()),
        ("[1].all(x, steps.y.n > x && [2].all(steps, steps > 0))", {"y"}),
        ("{'steps': 1}", set()),
        ("true", set()),
    ],
)
def test_steps_come_from_the_syntax(text, names):
    assert cel.steps(text) == names


@pytest.mark.parametrize(
    "text", ["steps[inputs.name]", "steps", "size(steps)", "'x' in steps", "steps[0]", "steps.all(s, true)"]
)
def test_a_step_must_be_named(text):
    with pytest.raises(ExpressionError, match="a step must be named"):
        cel.steps(text)
    refused(text, STEPS)


@pytest.mark.parametrize(
    ("payload", "rendered"),
    [
        ("${steps.a.output.n}", 5),
        ("${ steps.a.output.l }", [1, 2]),
        ("n=${steps.a.output.n}, l=${steps.a.output.l}, t=${steps.a.output.text}", "n=5, l=[1,2], t=x"),
        ("${true}${null}${1.5}${{'a': 1}} ", 'truenull1.5{"a":1} '),
        ('${ {"a": "}"} }', {"a": "}"}),
        ("${'}' + '{'}!", "}{!"),
        ("${r'\\d' + \"\\\"}\" + '''}'\"''' }", '\\d"}}\'"'),
        ("${size(b'}')}", 1),
        ("${1 // }\n}", 1),
        ("$${x} ${1} $$${2}", "${x} 1 $${2}"),
        ("$ {x} $x }", "$ {x} $x }"),
        ({"${k}": ["a", {"b": "${1}"}, 3, None]}, {"${k}": ["a", {"b": 1}, 3, None]}),
    ],
)
def test_payloads_are_rendered(payload, rendered):
    assert cel.render(payload, STEPS) == rendered


@pytest.mark.parametrize(
    "payload", ["${", "a ${1", "${'}", "${ {1: 2} ", "${1 // }", ["${"], "${" + " " * (MAX_LENGTH + 1) + "}"]
)
def test_an_expression_that_is_not_closed_is_an_error(payload):
    for read in (cel.steps_in, lambda payload: cel.render(payload, {})):
        with pytest.raises(ExpressionError, match="has no closing brace"):
            read(payload)


def test_an_empty_expression_in_a_payload_is_an_error():
    with pytest.raises(ExpressionError, match="it is empty"):
        cel.render("${}", {})


def test_steps_in_payloads():
    payload = {"a": "x ${steps.b.output} ${steps['c'].outcome}", "l": [["${steps.d}"], "$${steps.e}"], "${steps.f}": 1}
    assert cel.steps_in(payload) == {"b", "c", "d"}
    assert cel.steps_in("${steps.a}") == {"a"}
    assert cel.steps_in({"a": [1, None, "steps.x"]}) == frozenset()


def test_a_payload_nested_too_deep_is_an_error():
    payload = "${1}"
    for _ in range(3000):
        payload = [payload]
    with pytest.raises(ExpressionError, match="nested"):
        cel.render(payload, {})
    assert cel.steps_in(payload) == frozenset()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1 << 63, "does not fit 64 bits"),
        (math.nan, "nan is no number in json"),
        ([math.inf], "inf is no number in json"),
        (b"a", "of the type `bytes` is no json"),
        ({"a": object()}, "of the type `object` is no json"),
        ((1,), "of the type `tuple` is no json"),
        ({1: 2}, "the key 1 of a mapping is no text"),
        ("a\0b", "u+0000"),
        ({"a\0": 1}, "u+0000"),
        (["\ud800"], "lone surrogate"),
    ],
)
def test_values_that_are_no_json_are_refused_only_if_they_are_used(value, reason):
    scope = {"inputs": {"x": value, "y": 1}}
    assert reason in refused("inputs.x", scope)
    assert reason in refused("[inputs.x]", scope)
    assert cel.evaluate("inputs.y + 1", scope) == 2


def test_values_nested_too_deep_are_refused():
    value = []
    for _ in range(MAX_DEPTH):
        value = [value]
    assert "nested more than 100 deep" in refused("inputs", {"inputs": value})
    assert cel.evaluate("size(inputs[0])", {"inputs": value[0]}) == 1
    wrapped = "[1]" + ".map(a, " + "[" * 15 + "a" + "]" * 15 + ")"
    assert "nested more than 100 deep" in refused("[1]" + wrapped[3:] * 10)


def test_keys_keep_their_order_in_a_path_and_are_sorted_elsewhere():
    scope = {"inputs": {"x": dict.fromkeys("zebra", 1)}}
    assert list(cel.evaluate("inputs.x", scope)) == list("zebra")
    assert list(cel.evaluate("[inputs.x]", scope)[0]) == sorted("zebra")


def test_a_value_is_a_copy():
    scope = {"inputs": {"x": {"l": [1]}}}
    cel.evaluate("inputs.x", scope)["l"].append(2)
    assert scope == {"inputs": {"x": {"l": [1]}}}


BIG = {"inputs": list(range(9999))}
TEXT = {"inputs": "ab" * 500_000}


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("(" * 2000 + "1" + ")" * 2000, {}),
        ("[" * 2000 + "]" * 2000, {}),
        ("inputs" + ".a" * 1000, {"inputs": {}}),
        ("1" + " + 1" * 1000, {}),
        ("true ? 1 : " * 300 + "1", {}),
        ("[1].map(x, " * 30 + "1" + ")" * 30, {}),
        ("1" * (MAX_LENGTH + 1), {}),
        (";" * MAX_LENGTH, {}),
        ("[1].map(x, [1].map(x, [1].map(x, [1].map(x, x))))", {}),
        ("[inputs]" + ".map(a, a + a)" * 25, {"inputs": "ab"}),
        ("[[1]]" + ".map(a, [a, a])" * 25, {}),
        ("[inputs]" + ".map(a, '%s%s'.format([a, a]))" * 20, {"inputs": "ab"}),
        ("['a']" + ".map(a, [a, a, a, a].join(a))" * 20, {}),
        ("inputs" + ".replace('', 'aaaa')" * 25, {"inputs": "ab"}),
        ("inputs.map(x, x)", BIG),
        ("inputs.map(x, inputs)", BIG),
        ("inputs.all(x, inputs.all(y, inputs.all(z, true)))", BIG),
        ("inputs.all(x, true)", {"inputs": list(range(10_000))}),
        ("inputs.all(x, x.matches('a{1000}') || true)", {"inputs": ["a" * 1000] * 1000}),
        ("inputs.all(x, 'a'.matches(x) || true)", {"inputs": [r"(\pL{100}){10}"] * 5000}),
        ("inputs.matches('a[ab]{900}c')", TEXT),
        ("inputs.contains(inputs + 'c')", TEXT),
        ("[" + "inputs, " * 500 + "inputs]", BIG),
        ("timestamp('2020-01-01T00:00:00Z').getHours('/dev/stdin')", {}),
        ("timestamp('2020-01-01T00:00:00Z').getHours('file:/dev/stdin')", {}),
        ("timestamp('2020-01-01T00:00:00Z').getHours('../../x')", {}),
        ("timestamp('2020-01-01T00:00:00Z').getHours(inputs)", {"inputs": "UTC"}),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_hostile_expressions_are_refused_quickly(text, scope):
    assert "\n" not in refused(text, scope)


def test_large_values_are_fine_where_the_work_is_linear():
    rows = [{"ok": n % 2 == 0, "name": f"row {n}"} for n in range(3000)]
    assert len(cel.evaluate("inputs.filter(x, x.ok && x.name.contains('row'))", {"inputs": rows})) == 1500
    assert cel.evaluate("inputs.all(x, x < 9999)", BIG) is True
    assert cel.evaluate("inputs.matches('^[a-z]+$') && inputs.contains('ba')", TEXT) is True
    assert len(cel.evaluate("inputs + 'c'", TEXT)) == 1_000_001


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_json_survives_unchanged(value):
    scope = {"inputs": {"x": value}}
    assert repr(cel.render("${inputs.x}", scope)) == repr(value)
    (through,) = cel.render("${[inputs.x]}", scope)
    assert through == value
    assert type(through) is type(value)


@given(VALUES)
def test_a_payload_without_expressions_is_returned_as_it_is(value):
    if "${" not in repr(value):
        assert cel.render(value, {}) is value
        assert cel.steps_in(value) == frozenset()


@given(st.text("${}'\"\\/rb x1\n", max_size=20))
def test_any_text_is_rendered_or_refused(text):
    with contextlib.suppress(ExpressionError):
        cel.render(text, {})


ATOMS = st.sampled_from(["inputs.l", "inputs.s", "inputs.n", "'ab'", "[1, 2]", "a", "2", "true"])
GROWN = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{}.map(a, {})".format, inner, inner),
        st.builds("{}.filter(a, {} == {})".format, inner, inner, inner),
        st.builds("{}.split('')".format, inner),
        st.builds("{}.join({})".format, inner, inner),
        st.builds("{}.replace({}, {})".format, inner, inner, inner),
        st.builds("'%s%s'.format([{}, {}])".format, inner, inner),
    ),
    max_leaves=12,
)


@given(GROWN)
def test_expressions_end(text):
    scope = {"inputs": {"l": ["x", "y"] * 300, "s": "text" * 1000, "n": 3}}
    started = time.monotonic()
    with contextlib.suppress(ExpressionError):
        cel.evaluate(text, scope)
    assert time.monotonic() - started < 5
