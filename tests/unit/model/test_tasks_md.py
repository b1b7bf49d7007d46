import os
import re
import stat
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from podium.errors import DocumentError, EnvironmentProblemError, ExitCode, NothingSelectedError
from podium.model.tasks_md import Task, load_tasks, parse_tasks, tick
from podium.model.yaml_loader import MAX_BYTES

SAMPLE = """\
# Tasks

Format:

```markdown
- [ ] Task ID. Description
<!-- agent: self -->
- [ ] 9. not a task
<!-- depends: 8 -->
```

## Phase 1

- [ ] 1. Write the parser
<!-- agent: self -->
- [ ] 2. Write the documentation
<!-- agent: self -->

## Phase 2

- [ ] 3. Write the planner
<!-- agent: self -->
<!-- depends: 1 -->
- [ ] 4. Write the tests
<!-- agent: self -->
<!-- depends: 1 -->
"""
TASK_LINE = re.compile(r"^\s*[-*]\s*\[\s*([ xX])\s*\]\s*(\d+(?:\.\d+)?)\.?\s*(.+)$")

words = st.text("abcXYZ äöü✓.,:[]()#*-_$`{}'\"<!>123", min_size=1, max_size=20).map(str.strip)
descriptions = words.filter(lambda text: text and not text[0].isdigit() and text[0] != "." and "<!--" not in text)
ids = st.builds(str, st.integers(0, 30)) | st.builds("{}.{}".format, st.integers(0, 9), st.integers(0, 9))
names = st.none() | st.text("abcdef-/.0123456789", min_size=1, max_size=10).filter(lambda text: text != "self")


@st.composite
def checklists(draw):
    """Tasks that may depend on those before them, in any order."""
    tasks = []
    for id_ in draw(st.lists(ids, min_size=1, max_size=6, unique=True)):
        known = [task.id for task in tasks]
        depends = tuple(draw(st.lists(st.sampled_from(known), unique=True, max_size=3))) if known else ()
        tasks.append(Task(id_, draw(descriptions), draw(st.booleans()), draw(names), draw(names), depends))
    return draw(st.permutations(tasks))


def rendered(tasks):
    """Return a checklist as a person writes it."""
    lines = []
    for task in tasks:
        lines.append(f"- [{'x' if task.done else ' '}] {task.id}. {task.description}")
        lines.append(f"  <!-- agent: {task.agent or 'self'} -->")
        lines += [f"  <!-- model: {task.model} -->"] if task.model else []
        lines += [f"  <!-- depends: {', '.join(task.depends)} -->"] if task.depends else []
    return "\n".join(lines) + "\n"


def tasks_of(text):
    return parse_tasks(text, "t.md").tasks


def outcome_of(text):
    try:
        return tasks_of(text), None
    except (DocumentError, NothingSelectedError) as error:
        return (), error


def warnings_of(text):
    warnings = parse_tasks(text, "t.md").warnings
    assert all(warning.severity == "warning" for warning in warnings)
    return places(warnings)


def errors_of(text):
    with pytest.raises(DocumentError) as caught:
        parse_tasks(text, "t.md")
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value.diagnostics


def places(findings):
    for finding in findings:
        assert finding.message[0] == finding.message[0].lower()
        assert not finding.message.endswith(".")
        assert finding.hint
        assert finding.span.path == "t.md"
    return [(finding.code, finding.span.line, finding.span.column) for finding in findings]


def written(tmp_path, data):
    path = tmp_path / "TASKS.md"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_the_sample():
    checklist = parse_tasks(SAMPLE, "t.md")
    assert checklist.warnings == ()
    assert checklist.tasks == (
        Task("1", "Write the parser"),
        Task("2", "Write the documentation"),
        Task("3", "Write the planner", depends=("1",)),
        Task("4", "Write the tests", depends=("1",)),
    )
    assert [task.span.line for task in checklist.tasks] == [14, 16, 21, 24]
    first = checklist.tasks[0].span
    assert (first.column, first.length, first.text) == (7, 1, "- [ ] 1. Write the parser")


@given(checklists())
def test_what_is_written_is_read(tasks):
    assert tasks_of(rendered(tasks)) == tuple(tasks)


@pytest.mark.parametrize(
    ("line", "task"),
    [
        ("- [ ] 1. Build it", Task("1", "Build it")),
        ("* [x] 2.1 Test it  ", Task("2.1", "Test it", done=True)),
        ("\t-[ X ]10Ship it", Task("10", "Ship it", done=True)),
        ("  -  [  ]  3.  3 times", Task("3", "3 times")),
        ("- [ ] 1. a <b> `c` <!-- d -->", Task("1", "a <b> `c`")),
    ],
)
def test_forms_of_a_task(line, task):
    assert tasks_of(line) == (task,)


@pytest.mark.parametrize(
    "line", ["1. [ ] 1. a", "+ [ ] 1. a", "- [] 1. a", "- [\t] 1. a", "- [y] 1. a", "- 1. a", "[ ] 1. a", "- [ 1. a"]
)
def test_what_is_no_task(line):
    assert tasks_of(f"{line}\n- [ ] 7. b") == (Task("7", "b"),)
    assert warnings_of(f"{line}\n- [ ] 7. b") == []


@given(st.from_regex(r"\A\s{0,2}[-*]\s?\[[ xX\t]{0,3}\]\s{0,2}[0-9.]{0,5}[ a1.]{0,4}\Z"))
def test_the_format_is_the_expression_of_the_documentation(line):
    """Where the expression takes the end of the number for a description, the task has none, which is an error."""
    line = re.sub("[\r\n]", " ", line)
    match = TASK_LINE.match(line)
    tasks, error = outcome_of(line)
    if isinstance(error, DocumentError):
        assert [finding.code for finding in error.diagnostics] == ["D154"]
        assert not match or not match[3].strip(" .0123456789")
    elif error:
        assert not match
    else:
        assert tasks == (Task(match[2], match[3].strip(), match[1] in "xX"),)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("```", "```"),
        ("~~~ text", "~~~~"),
        ("    ````md", "`````  "),
        ("- ```", "  ```"),
        ("1. ~~~", "   ~~~"),
        ("```\n~~~", "```"),
        ("````\n```", "````"),
        ("```\n``` x", "```"),
        ("```\n<!--", "```"),
    ],
)
def test_nothing_in_a_code_fence_counts(opening, closing):
    inside = "- [ ] 1. a\n- [ ] no number\n<!-- agent: x -->\n<!-- what: x -->"
    text = f"- [ ] 7. b\n{opening}\n{inside}\n{closing}\n- [ ] 8. c"
    assert tasks_of(text) == (Task("7", "b"), Task("8", "c"))
    assert warnings_of(text) == []


@pytest.mark.parametrize("line", ["```code``` is here", "``", "`` ` ``", "a ```"])
def test_inline_code_opens_no_fence(line):
    assert tasks_of(f"{line}\n- [ ] 1. a") == (Task("1", "a"),)


def test_nothing_in_a_comment_is_a_task_or_a_fence():
    text = "- [ ] 1. a\n<!--\n- [ ] 2. b\n- [ ] no number\n```\n-->\n- [ ] 3. c"
    assert tasks_of(text) == (Task("1", "a"), Task("3", "c"))
    assert warnings_of(text) == []


@pytest.mark.parametrize(
    "comments",
    [
        "<!-- agent: x --><!-- model: y --> <!-- depends: 1, 2.1 -->",
        "\n  <!--agent:x-->\n\ntext\n<!--  model :  y  -->\n<!-- depends: 1 2.1 -->",
        "<!-- agent: x\n     model: y\n     depends: 1,\n       2.1 -->",
        "<!--\nAgent: x\nMODEL: y\ndepends: 1\n2.1\n-->",
        "<!-- depends: 1 -->\n<!-- model: y -->\n<!-- depends: 2.1,1 -->\n<!-- agent: x -->",
        "<!-- a remark, see https://example.org --> a <!-- agent: x --> b <!-- model: y -->\n<!-- depends: 1\t,2.1 -->",
        "<!-- http://a.b -->\n`<!-- agent: z -->` <!-- agent: x -->\n<!-- model: y -->\n<!-- depends: 1,,2.1 -->",
        "<!-- depends: 1,\n2.1\na remark\n3 -->\n<!-- agent: x\na remark -->\n<!-- model: y -->",
    ],
)
def test_comments_say_more_about_the_task_before(comments):
    text = f"<!-- agent: nobody -->\n<!-- nothing: x -->\n- [ ] 1. a\n- [ ] 2.1. b\n- [ ] 3. c\n{comments}\n- [ ] 4. d"
    third = Task("3", "c", agent="x", model="y", depends=("1", "2.1"))
    assert tasks_of(text) == (Task("1", "a"), Task("2.1", "b"), third, Task("4", "d"))
    assert warnings_of(text) == []


@pytest.mark.parametrize("name", ["self", ""])
def test_self_is_nobody_in_particular(name):
    assert tasks_of(f"- [ ] 1. a\n<!-- agent: {name} -->")[0].agent is None


def test_all_errors_come_at_once_in_order():
    text = """\
- [ ] 1. a
  <!-- depends: 2 -->
- [ ] 2. b
  <!-- depends: 1, 21, 2 -->
- [ ] 3.
- [ ] 2. c
- [ ] 2.1 d
  <!-- agent: x -->
  <!-- agent: y -->
"""
    findings = errors_of(text)
    assert places(findings) == [
        ("D153", 2, 17),
        ("D151", 4, 20),
        ("D152", 4, 24),
        ("D154", 5, 7),
        ("D150", 6, 7),
        ("D102", 9, 8),
    ]
    by_code = {finding.code: finding for finding in findings}
    assert by_code["D153"].message.endswith(": 1 -> 2 -> 1")
    assert by_code["D151"].hint == "did you mean `2.1`?"
    assert "line 3" in by_code["D150"].hint
    assert by_code["D151"].render() == (
        "error[D151]: task 2 depends on unknown task `21`\n"
        "  --> t.md:4:20\n"
        "   |\n"
        "  4|   <!-- depends: 1, 21, 2 -->\n"
        "   |                    ^^\n"
        "hint: did you mean `2.1`?"
    )


@pytest.mark.parametrize("end", ["", " ", ".", ". ", ".\t "])
@pytest.mark.parametrize("number", ["1", "12", "1.2", "10.25"])
def test_a_task_without_description(number, end):
    (finding,) = errors_of(f"- [ ] {number}{end}")
    assert finding.message == f"task {number} has no description"


def checklist_of(graph):
    return "\n".join(f"- [ ] {id_}. a\n<!-- depends: {' '.join(needs)} -->" for id_, needs in graph.items())


@pytest.mark.parametrize(
    ("graph", "cycles"),
    [
        ({"1": "2", "2": "1"}, ["1 -> 2 -> 1"]),
        ({"1": "3", "2": "", "3": "24", "4": "3", "5": "6", "6": "7", "7": "5"}, ["3 -> 4 -> 3", "5 -> 6 -> 7 -> 5"]),
        ({"9": "8", "8": "7", "7": "9"}, ["9 -> 8 -> 7 -> 9"]),
        ({"1": "2", "2": "34", "3": "2", "4": "1"}, ["2 -> 3 -> 2"]),
    ],
)
def test_cycles_are_shown(graph, cycles):
    findings = errors_of(checklist_of(graph))
    assert [finding.message.rpartition(": ")[2] for finding in findings] == cycles


@given(st.dictionaries(st.sampled_from("123456"), st.sets(st.sampled_from("123456")), min_size=1))
def test_a_cycle_is_found_exactly_if_there_is_one(graph):
    graph = {id_: sorted(need for need in needs if need in graph and need != id_) for id_, needs in graph.items()}
    left = dict(graph)
    while free := [id_ for id_ in left if not set(left[id_]) & left.keys()]:
        left = {id_: needs for id_, needs in left.items() if id_ not in free}
    if not left:
        assert len(tasks_of(checklist_of(graph))) == len(graph)
        return
    for finding in errors_of(checklist_of(graph)):
        *cycle, last = finding.message.rpartition(": ")[2].split(" -> ")
        assert cycle[0] == last
        assert all(need in graph[id_] for id_, need in zip(cycle, [*cycle[1:], last], strict=True))


def test_warnings():
    text = """\
- [ ] 1. a
  <!-- agnet: x -->
- [x] no number
- [ ]
- [x](https://example.org) is a link
```
- [ ] not counted
```
<!-- owner: me -->
~~~
- [ ] 2. b
"""
    assert warnings_of(text) == [("D158", 2, 8), ("D156", 3, 3), ("D158", 9, 6), ("D155", 10, 1)]
    warnings = parse_tasks(text, "t.md").warnings
    assert warnings[0].hint == "did you mean `agent`?"
    assert warnings[1].message.startswith("2 checklist lines have")
    assert warnings[3].hint == "close it with a line `~~~`"


def test_a_comment_that_is_not_closed_is_a_warning():
    assert warnings_of("- [ ] 1. a\n  <!-- depends: \n- [ ] 2. b") == [("D155", 2, 3)]


@pytest.mark.parametrize("text", ["", "# Tasks\n\n1. a\n", "- [ ] a\n- [x] b\n", "```\n- [ ] 1. a\n"])
def test_a_file_without_tasks(text):
    with pytest.raises(NothingSelectedError) as caught:
        parse_tasks(text, "t.md")
    assert caught.value.exit_code == 4
    assert caught.value.diagnostics[0].hint


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_mark(tmp_path, end, mark):
    text = mark + "- [ ] 1. a\n<!-- agent: x -->\n- [ ] 2. b\n<!-- depends: 1 -->".replace("\n", end)
    tasks = load_tasks(written(tmp_path, text)).tasks
    assert tasks == (Task("1", "a", agent="x"), Task("2", "b", depends=("1",)))
    assert [(task.span.line, task.span.column) for task in tasks] == [(1, 7), (3, 7)]


def test_files_that_cannot_be_read(tmp_path):
    def refused(path):
        with pytest.raises(DocumentError) as caught:
            load_tasks(path)
        (finding,) = caught.value.diagnostics
        return finding.code, finding.span and (finding.span.line, finding.span.column)

    assert refused(tmp_path / "none.md") == ("D110", None)
    assert refused(tmp_path) == ("D110", None)
    assert refused(written(tmp_path, b"\xef\xbb\xbf- [ ] 1. \xc3\xa4\r\nab\xffc\n")) == ("D109", (2, 3))
    assert refused(written(tmp_path, b"\xef\xbb\xbf\xff")) == ("D109", (1, 1))
    assert refused(written(tmp_path, b"x" * (MAX_BYTES + 1))) == ("D105", (1, 1))


@pytest.mark.parametrize(
    "text",
    [
        "- [" + " " * MAX_BYTES,
        " " * MAX_BYTES + "- [",
        "- [ ] " + " " * MAX_BYTES,
        "- [ ] " + "1" * MAX_BYTES,
        "- " * (MAX_BYTES // 2),
        "`" * MAX_BYTES,
        "` " * (MAX_BYTES // 2),
        "- [ ] 1. a\n" + "<!--" * (MAX_BYTES // 4),
        "- [ ] 1. a\n" + "<!-- -->" * (MAX_BYTES // 8),
        "- [ ] 1. a\n<!-- a" + "-" * MAX_BYTES,
        "- [ ] 1. a\n<!-- depends: " + "1 " * (MAX_BYTES // 2),
        "\n".join(f"- [ ] {i}. a\n<!-- depends: {i ^ 1} -->" for i in range(30_000)),
        "\n".join(f"- [ ] {i}. a\n<!-- depends: {i + 1} -->" for i in range(30_000)),
    ],
    ids=range(13),
)
def test_no_file_takes_long(text):
    began = time.monotonic()
    outcome_of(text)
    assert time.monotonic() - began < 10


others = st.sampled_from(
    ["", "text  ", "```\n- [ ] 1. fenced\n```", "<!-- a\n- [ ] 1. b\n-->", "- [ ] unnumbered", "ä\x85é\u2028"]
)


@st.composite
def files(draw):
    """A file as it may lie there, its tasks, and some of their ids."""
    tasks = draw(checklists())
    lines = "\n".join([*draw(st.lists(others)), rendered(tasks).rstrip("\n")]) + "   \n"
    text = draw(st.sampled_from(["", "\ufeff"])) + lines.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"])))
    return text, tasks, draw(st.sets(st.sampled_from([task.id for task in tasks])))


@given(files())
@example(
    (
        "\ufeff```\r\n- [ ] 1. a\r\n```\r\n- [ ] 1. a \r\n- [x] 2. b",
        [Task("1", "a"), Task("2", "b", done=True)],
        {"1", "2"},
    )
)
def test_tick_changes_only_the_boxes(tmp_path_factory, file):
    text, tasks, chosen = file
    path = written(tmp_path_factory.mktemp("tick"), text)
    before = path.read_bytes()
    tick(path, {task.id: task.description for task in tasks if task.id in chosen})
    after = path.read_bytes()
    assert len(after) == len(before)
    differing = [i for i in range(len(after)) if after[i] != before[i]]
    assert {(before[i], after[i]) for i in differing} <= {(ord(" "), ord("x"))}
    assert len(differing) == sum(not task.done for task in tasks if task.id in chosen)
    assert {task.id for task in load_tasks(path).tasks if task.done} == {
        task.id for task in tasks if task.done or task.id in chosen
    }


@pytest.mark.parametrize("box", ["[ ]", "[  ]", "[\t ]", "[ \t]", "[X]", "[ x ]"])
def test_tick_takes_every_form_of_a_box(tmp_path, box):
    path = written(tmp_path, f"  * {box}1. a")
    tick(path, {"1": "a"})
    assert load_tasks(path).tasks[0].done
    assert len(path.read_text()) == len(f"  * {box}1. a")


def test_tick_twice_is_tick_once(tmp_path):
    path = written(tmp_path, SAMPLE)
    tick(path, {"1": "Write the parser", "3": "Write the planner"})
    once, status = path.read_bytes(), path.stat()
    assert once.decode() == SAMPLE.replace("[ ] 1.", "[x] 1.").replace("[ ] 3.", "[x] 3.")
    tick(path, {"1": "Write the parser"})
    tick(path, {})
    assert path.read_bytes() == once
    assert path.stat().st_ino == status.st_ino


def test_tick_keeps_permissions_and_links_and_leaves_nothing_behind(tmp_path):
    path = written(tmp_path, "- [ ] 1. a\n")
    path.chmod(0o640)
    (tmp_path / "there").mkdir()
    link = tmp_path / "there" / "link.md"
    link.symlink_to(path)
    tick(link, {"1": "a"})
    assert link.is_symlink()
    assert path.read_text() == "- [x] 1. a\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["TASKS.md", "link.md", "there"]


def test_tick_refuses_a_file_that_has_changed(tmp_path):
    text = "- [ ] 1. a\n- [ ] 2. other\n- [ ] 4. d\n- [ ] 4. d\n```\n- [ ] 3. c\n```\n"
    path = written(tmp_path, text)
    with pytest.raises(DocumentError) as caught:
        tick(path, {"1": "a", "2": "b", "3": "c", "4": "d"})
    assert [(finding.code, finding.span and finding.span.line) for finding in caught.value.diagnostics] == [
        ("D157", 2),
        ("D157", None),
        ("D157", 4),
    ]
    assert path.read_text() == text


def test_tick_does_not_mind_other_changes(tmp_path):
    path = written(tmp_path, "- [ ] 5.\n- [ ] 2. b\n<!-- depends: 77 -->\n- [ ] 1. a\n- [ ] 1. new")
    tick(path, {"1": "a"})
    assert path.read_text() == "- [ ] 5.\n- [ ] 2. b\n<!-- depends: 77 -->\n- [x] 1. a\n- [ ] 1. new"


def test_tick_says_that_the_file_cannot_be_written(tmp_path, monkeypatch):
    path = written(tmp_path, "- [ ] 1. a\n")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentProblemError, match="No space left") as caught:
        tick(path, {"1": "a"})
    assert caught.value.diagnostics[0].code == "E502"
    assert [p.name for p in tmp_path.iterdir()] == ["TASKS.md"]
    assert path.read_text() == "- [ ] 1. a\n"


def test_comments_may_stand_on_the_line_of_the_task():
    (one, two) = parse_tasks(
        "- [ ] 1. first\n- [ ] 2. write `<!--` <!-- depends: 1 --> <!-- agent: ann -->\n", "t.md"
    ).tasks
    assert (two.description, two.depends, two.agent) == ("write `<!--`", ("1",), "ann")
    assert one.description == "first"
