import contextlib
import json
import math

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from podium.errors import DocumentError
from podium.model import yaml_loader
from podium.model.yaml_loader import load_yaml, load_yaml_file

SAFE_LOADERS = sorted(
    {yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)}, key=lambda loader: loader.__name__
)
MISSION = """\
name: "leö"
nodes:
  SAT1:
    type: orbiter
    antennas: [S, {band: X, power: 5 W}]
  GS1: {}
"""

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
short_keys = st.text(st.sampled_from("ab"), min_size=1, max_size=2)
short_values = st.recursive(st.integers(), lambda inner: st.lists(inner) | st.dictionaries(short_keys, inner))


class QuotingDumper(yaml.SafeDumper):
    pass


QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@pytest.fixture(params=SAFE_LOADERS, ids=lambda loader: loader.__name__)
def each_parser(request, monkeypatch):
    monkeypatch.setattr(yaml_loader, "_LOADER", request.param)


def value_of(text):
    return load_yaml(text, "f.yaml").value


def findings(text):
    with pytest.raises(DocumentError) as caught:
        load_yaml(text, "f.yaml")
    for finding in caught.value.diagnostics:
        assert finding.message[0] == finding.message[0].lower()
        assert not finding.message.endswith(".")
        assert finding.hint
        assert finding.span.path == "f.yaml"
    return caught.value.diagnostics


def places(text):
    return [(d.code, d.span.line, d.span.column) for d in findings(text)]


def under(text, span):
    return text.splitlines()[span.line - 1][span.column - 1 : span.column - 1 + span.length]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:30", "1:30"),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("-12", -12),
        ("+3", 3),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("'1'", "1"),
        ('"true"', "true"),
        ("''", ""),
        ("|\n  12\n", "12\n"),
        ("! 12", "12"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
        ("!!float 1", 1.0),
        ("!!null ''", None),
        ("!!bool true", True),
        ("!!map {a: 1}", {"a": 1}),
        ("!!seq [1]", [1]),
        ("- 1\n-\n", [1, None]),
        ("1e", "1e"),
        ("1\u0661", "1\u0661"),
    ],
)
@pytest.mark.usefixtures("each_parser")
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    loaded = value_of(text)
    assert loaded == value
    assert type(loaded) is type(value)


def test_not_a_number_is_a_float():
    assert math.isnan(value_of(".nan"))


def test_words_of_yaml_1_1_are_text_as_keys_too():
    assert value_of("on: 1\nno: 2\n") == {"on": 1, "no": 2}


@pytest.mark.usefixtures("each_parser")
def test_spans_point_at_values_and_keys_from_column_one():
    mapped = load_yaml(MISSION, "f.yaml")
    span = mapped.span("nodes", "SAT1", "type")
    assert (span.path, span.line, span.column, span.length, span.text) == ("f.yaml", 4, 11, 7, "    type: orbiter")
    assert under(MISSION, mapped.span("nodes", "SAT1", "type", key=True)) == "type"
    assert under(MISSION, mapped.span("nodes", "SAT1", "antennas", 1, "power")) == "5 W"
    assert under(MISSION, mapped.span("nodes", "SAT1", "antennas", 0)) == "S"
    assert under(MISSION, mapped.span("name")) == '"leö"'
    assert under(MISSION, mapped.span("nodes", "SAT1", key=True)) == "SAT1"


def test_a_path_that_does_not_exist_falls_back_to_its_nearest_parent():
    mapped = load_yaml(MISSION, "f.yaml")
    assert mapped.span("nodes", "GS1", "type", "x") == mapped.span("nodes", "GS1")
    assert mapped.span("nodes", "GS1", "type", key=True) == mapped.span("nodes", "GS1", key=True)
    assert mapped.span("nodes", "SAT1", "antennas", 7) == mapped.span("nodes", "SAT1", "antennas")
    assert mapped.span("other") == mapped.span()
    assert mapped.span("other", key=True) == mapped.span()


def test_an_alias_stands_where_it_is_written_and_its_content_at_the_anchor():
    text = "base: &b {power: 5 W}\nsat: *b\n"
    mapped = load_yaml(text, "f.yaml")
    assert mapped.value == {"base": {"power": "5 W"}, "sat": {"power": "5 W"}}
    assert mapped.value["base"] is not mapped.value["sat"]
    assert under(text, mapped.span("sat")) == "*b"
    assert mapped.span("sat", "power") == mapped.span("base", "power")


def test_merged_keys_stand_where_they_are_written():
    text = "base: &b {power: 5 W, band: S}\nsat:\n  <<: *b\n  band: X\n"
    mapped = load_yaml(text, "f.yaml")
    assert mapped.value["sat"] == {"power": "5 W", "band": "X"}
    assert mapped.span("sat", "power") == mapped.span("base", "power")
    assert mapped.span("sat", "power", key=True) == mapped.span("base", "power", key=True)
    assert under(text, mapped.span("sat", "band")) == "X"
    assert mapped.value["base"] == {"power": "5 W", "band": "S"}


@pytest.mark.usefixtures("each_parser")
def test_two_angle_brackets_in_quotes_are_text():
    assert value_of("'<<': 3\na: {\"<<\": {b: 1}}\n") == {"<<": 3, "a": {"<<": {"b": 1}}}


@pytest.mark.parametrize("value", ["3", "text", "~", "[{a: 1}, 3]", "[[{a: 1}]]", "*n"])
@pytest.mark.usefixtures("each_parser")
def test_what_is_no_mapping_cannot_be_merged(value):
    text = f"n: &n 1\nbase:\n  <<: {value}\n"
    (finding,) = findings(text)
    assert (finding.code, finding.span.line, finding.span.column) == ("D103", 3, 3)
    assert finding.hint.startswith("write `<<: *name`")


def test_an_alias_without_an_anchor_that_is_to_be_merged_is_reported_once():
    assert places("a: {<<: *b}\n") == [("D101", 1, 9)]
    assert places("a: &a {<<: *a}\n") == [("D107", 1, 12)]


def test_two_merge_keys_in_one_mapping_are_refused_as_any_key_that_stands_twice():
    assert places("a: &a {b: 1}\nc:\n  <<: *a\n  <<: *a\n") == [("D102", 4, 3)]


def test_merged_values_count_as_aliases_do():
    lists = "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30))
    assert [finding.code for finding in findings("a0: &a0 {ha: 1}\n" + lists)] == ["D107"]
    half = "[" * 32 + "x" + "]" * 32
    assert places(f"a: &a {{b: {half}}}\nc: {'[' * 32}{{<<: *a}}{']' * 32}")[0][0] == "D106"


def test_lines_are_counted_with_every_kind_of_line_end():
    mapped = load_yaml("a: 1\r\nb: 2\rc: 3\n", "f.yaml")
    assert [(mapped.span(key).line, mapped.span(key).text) for key in "abc"] == [(1, "a: 1"), (2, "b: 2"), (3, "c: 3")]


@pytest.mark.usefixtures("each_parser")
def test_a_byte_order_mark_is_skipped():
    mapped = load_yaml("\ufeffa: 1", "f.yaml")
    assert mapped.value == {"a": 1}
    assert mapped.span("a", key=True).column == 1


@pytest.mark.usefixtures("each_parser")
def test_all_findings_are_reported_at_once():
    text = "a: 1\na: 2\n1: x\n? [x]\n: y\n~: z\ntrue: z\nb: !foo 1\nc: !!int x\nd: [*none]\ne: &e [*e]\n---\nx"
    assert places(text) == [
        ("D102", 2, 1),
        ("D103", 3, 1),
        ("D103", 4, 3),
        ("D103", 6, 1),
        ("D103", 7, 1),
        ("D108", 8, 4),
        ("D108", 9, 4),
        ("D101", 10, 5),
        ("D107", 11, 8),
        ("D104", 12, 1),
    ]


def test_a_duplicate_key_names_the_first_one():
    (finding,) = findings("x:\n  a: 1\n  b: 2\n  'a': 3\n")
    assert finding.message == "key 'a' stands twice in one mapping"
    assert "line 2" in finding.hint
    assert finding.span.text == "  'a': 3"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: b: c", 1, 5),
        ("a: 'x", 1, 6),
        ("a: @x", 1, 4),
        ("a: 1\n b: 2", 2, 3),
        ("a: {b: 1]", 1, 9),
        ("a: x\x07", 1, 5),
        ("a: 1\nb: \ud800", 2, 4),
        ("a: !x!y 1", 1, 4),
        ("%YAML 3.0\n---\na", 1, 1),
    ],
)
@pytest.mark.usefixtures("each_parser")
def test_bad_syntax_is_reported_where_it_stands(text, line, column):
    assert places(text) == [("D101", line, column)]


@pytest.mark.parametrize("escape", ["\\ud800", "\\U00110000", "\\UFFFFFFFF"])
@pytest.mark.usefixtures("each_parser")
def test_escapes_of_what_is_no_character_are_bad_syntax(escape):
    (finding,) = findings(f'a: 1\nb: "{escape}"')
    assert (finding.code, finding.span.line) == ("D101", 2)


def test_findings_before_a_syntax_error_are_kept():
    assert [code for code, *_ in places("a: 1\na: 2\nb: [")] == ["D102", "D101"]


@pytest.mark.parametrize("text", ["a:\n\tb: 1", "a:\n  b: 1\n\tc: 2", "- a\n\t- b"])
@pytest.mark.usefixtures("each_parser")
def test_a_tab_in_the_indentation_is_named(text):
    (finding,) = findings(text)
    assert finding.code == "D101"
    assert finding.message.startswith("tab in the indentation")
    assert finding.hint == "indent with spaces"


@pytest.mark.parametrize("text", ["", " \n", "# only a comment\n", "---\n", "\ufeff"])
@pytest.mark.usefixtures("each_parser")
def test_an_empty_file_is_refused(text):
    assert places(text) == [("D104", 1, 1)]


@pytest.mark.parametrize("tag", ["!!python/object:os.system", "!!set", "!!timestamp", "!mine", "!!map", "!<x:y>"])
@pytest.mark.parametrize("value", ["x", "[x]"])
def test_tags_beyond_the_core_schema_are_refused(tag, value):
    assert places(f"a: {tag} {value}") == [("D108", 1, 4)]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_nesting_ends_at_64_levels(opening, closing):
    assert load_yaml(opening * 64 + "x" + closing * 64, "f.yaml")
    assert places(opening * 65 + "x" + closing * 65) == [("D106", 1, 64 * len(opening) + 1)]
    assert findings(opening * 100_000)[0].message == "nested 65 levels deep, at most 64 are read"


def test_nesting_is_counted_through_aliases():
    half = "[" * 32 + "x" + "]" * 32
    assert load_yaml(f"a: &a {half}\nb: {'[' * 31}*a{']' * 31}", "f.yaml")
    assert places(f"a: &a {half}\nb: {'[' * 32}*a{']' * 32}") == [("D106", 2, 36)]


def test_a_billion_laughs_end_at_the_limit():
    text = "a0: &a0 [ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    (finding,) = findings(text)
    assert finding.code == "D107"
    assert "at most 100000" in finding.message


def test_aliases_below_the_limit_are_expanded():
    assert sum(map(len, value_of(f"- &a [{'1,' * 998}]\n" + "- *a\n" * 100))) == 998 * 101


@pytest.mark.usefixtures("each_parser")
def test_a_recursive_alias_is_refused():
    assert places("a: &a\n  b: {c: *a}\n") == [("D107", 2, 10)]


def test_a_number_of_endless_digits_is_refused():
    (finding,) = findings("a: " + "9" * 5000)
    assert (finding.code, finding.message) == ("D105", "number has 5000 characters, at most 1000 are read")


def test_messages_stay_short_when_values_are_long():
    assert all(len(finding.message) < 120 for finding in findings(f"{'x' * 900}: 1\n{'x' * 900}: 2\n"))


def test_a_file_is_read_with_its_path(tmp_path):
    path = tmp_path / "mission.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: le\xc3\xb6\n")
    mapped = load_yaml_file(path)
    assert mapped.value == {"name": "leö"}
    assert mapped.span("name").path == str(path)
    assert mapped.span("name").column == 7


def test_a_file_above_one_mebibyte_is_refused(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: 1\n#" + b"x" * (1024 * 1024 - 6))
    assert load_yaml_file(path).value == {"a": 1}
    path.write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(DocumentError, match="1048577 bytes, at most 1048576") as caught:
        load_yaml_file(path)
    assert caught.value.diagnostics[0].code == "D105"


def test_a_file_that_is_not_utf_8_is_refused_at_its_first_bad_byte(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("a: 1\nb: ö ü\n".encode("latin-1"))
    with pytest.raises(DocumentError, match="byte 0xf6 at offset 8 is not utf-8") as caught:
        load_yaml_file(path)
    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.span.line, finding.span.column) == ("D109", 2, 4)
    assert finding.span.text == "b: \ufffd \ufffd"


def test_a_missing_file_is_answered_with_a_near_name(tmp_path):
    (tmp_path / "mission.yaml").touch()
    with pytest.raises(DocumentError, match="no such file") as caught:
        load_yaml_file(tmp_path / "misson.yaml")
    (finding,) = caught.value.diagnostics
    assert finding.code == "D110"
    assert finding.hint == f"did you mean {str(tmp_path / 'mission.yaml')!r}?"


@pytest.mark.parametrize("name", ["", "none/there.yaml", "nul\0byte.yaml", "file/below.yaml", "x" * 5000])
def test_what_cannot_be_opened_is_a_finding_with_a_hint(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(DocumentError) as caught:
        load_yaml_file(tmp_path / name)
    (finding,) = caught.value.diagnostics
    assert finding.code == "D110"
    assert finding.hint


@given(plain_values)
def test_what_is_dumped_with_quoted_text_is_loaded_back(value):
    assert value_of(yaml.dump(value, Dumper=QuotingDumper)) == value
    assert value_of(yaml.dump(value, Dumper=QuotingDumper, allow_unicode=True, default_flow_style=True)) == value


@given(plain_values)
def test_what_is_dumped_with_everything_quoted_and_tagged_is_loaded_back(value):
    assert value_of(yaml.safe_dump(value, default_style='"')) == value


@given(st.lists(st.dictionaries(short_keys, short_values, max_size=5), min_size=1, max_size=4))
def test_a_mapping_that_merges_others_is_the_union_of_all(mappings):
    own, *others = mappings
    lines = [f"m{n}: &m{n} {json.dumps(other)}" for n, other in enumerate(others)]
    names = ", ".join(f"*m{n}" for n in range(len(others)))
    merged = ", ".join([f"<<: [{names}]", *(f"{json.dumps(key)}: {json.dumps(item)}" for key, item in own.items())])
    expected = {}
    for mapping in (*reversed(others), own):
        expected |= mapping
    found = value_of("\n".join([*lines, f"own: {{{merged}}}"]))
    assert found["own"] == expected
    assert list(found["own"]) == list(expected)
    assert [found[f"m{n}"] for n in range(len(others))] == others


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(), min_size=1))
def test_every_span_covers_what_was_written(value):
    text = yaml.dump(value, Dumper=QuotingDumper)
    mapped = load_yaml(text, "f.yaml")
    for key, number in value.items():
        assert under(text, mapped.span(key)) == str(number)
        assert under(text, mapped.span(key, key=True)) == f'"{key}"'


@given(
    st.text(st.characters()) | st.text(st.sampled_from("ab1:-?,[]{}#&*!|>'\"%@` \n\t~.\r\x85\u2028\ufeff\ud800\x00"))
)
@example("&a *a")
@example("? ? ?")
@example("!<")
@example('"\\ud800"')
@example('"\\U00110000"')
@example('"\\UFFFFFFFF"')
def test_any_text_is_loaded_or_ends_in_a_document_error(text):
    for loader in SAFE_LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_loader, "_LOADER", loader)
            with contextlib.suppress(DocumentError):
                load_yaml(text, "f.yaml")
