"""Checklists with the real command and a small script as the agent."""

from itertools import pairwise

import pytest

AGENT = """\
#!/bin/sh
mkdir -p prompts
cat > "prompts/$PODIUM_STEP"
echo "begin $PODIUM_STEP $*" >> log
sleep 0.1
echo "end $PODIUM_STEP" >> log
head -n 1 "prompts/$PODIUM_STEP" | grep -q broken && { echo "it is broken" >&2; exit 1; }
echo "result of $PODIUM_STEP"
"""
TASKS = (
    b"\xef\xbb\xbf# Release  \r\n"
    b"Some *text*.\n"
    b"- [x] 1. Plan it\n"
    b"- [ ] 2. Build it \t\n"
    b"  <!-- agent: builder -->\n"
    b"  <!-- depends: 1 -->\n"
    b"* [ ] 3 Test the broken thing\r\n"
    b"  <!-- depends: 1, 2 -->\n"
    b"\n"
    b"- [  ] 4.1. Write about it\n  <!-- depends: 2, 3 -->\n"
    b"```\n- [ ] 9. not a task\n```\n"
    b"- [ ] 5. Last, without a newline"
)
FAST = ("--tool", "./agent", "--stagger", "0s", "--policy", "fast_fail", "--no-fallback")


@pytest.fixture
def checklist(podium):
    podium.write("agent", AGENT).chmod(0o755)
    (podium.folder / "tasks.md").write_bytes(TASKS)
    return podium


def log(podium):
    return (podium.folder / "log").read_text().splitlines()


def test_tasks_are_done_after_what_they_depend_on_and_done_ones_are_left_out(checklist):
    ended = checklist("run", "tasks.md", *FAST, "--format", "json", code=1)
    assert ended.outcomes == {"2": "passed", "3": "failed", "4.1": "passed", "5": "passed"}
    assert ended.cases["2"]["output"] == "result of 2"
    lines = log(checklist)
    places = [lines.index(line) for line in ("end 2", "begin 3 -p", "end 3", "begin 4.1 -p", "end 4.1")]
    assert places == sorted(places)
    assert "begin 2 -p --agent builder" in lines
    assert lines.index("begin 5 -p") < lines.index("end 2"), "it depends on nothing"


def test_the_prompt_says_what_the_dependencies_came_to(checklist):
    checklist("run", "tasks.md", *FAST, code=1)
    prompts = {path.name: path.read_text() for path in (checklist.folder / "prompts").iterdir()}
    assert prompts["5"] == "Last, without a newline"
    assert prompts["2"].splitlines()[2:] == [
        "Previous context (1/1 dependencies):",
        "✓ [sg-1]: done before",
    ]
    assert prompts["4.1"].splitlines() == [
        "Write about it",
        "",
        "Previous context (1/2 dependencies):",
        "✓ [sg-2]: result of 2",
        "✗ [sg-3]: FAILED - exited with code 1",
        "",
        "WARNING: 1/2 dependencies failed. Proceed with available context.",
    ]


def test_tick_ticks_what_passed_and_leaves_every_other_byte(checklist):
    path = checklist.folder / "tasks.md"
    path.chmod(0o640)
    ended = checklist("run", "tasks.md", *FAST, "--tick", code=1)
    assert "ticked 3 boxes in tasks.md" in ended.errors
    expected = TASKS.replace(b"[ ] 2.", b"[x] 2.").replace(b"[  ] 4.1", b"[ x] 4.1").replace(b"[ ] 5.", b"[x] 5.")
    assert path.read_bytes() == expected
    assert path.stat().st_mode & 0o777 == 0o640

    checklist.write("agent", AGENT.replace("broken &&", "none &&"))
    ended = checklist("run", "tasks.md", *FAST, "--tick", "--format", "json")
    assert ended.outcomes == {"3": "passed"}
    assert path.read_bytes() == expected.replace(b"[ ] 3 ", b"[x] 3 ")

    assert "all" in checklist.refused("run", "tasks.md", *FAST, code=4, error="U404")
    assert "all" in checklist.refused("plan", "tasks.md", code=4, error="U404")


@pytest.mark.parametrize("options", [(), ("--dry-run", "--tick")])
def test_without_tick_or_in_a_dry_run_the_file_stays_as_it_is(checklist, options):
    path = checklist.folder / "tasks.md"
    before = path.stat()
    checklist("run", "tasks.md", *FAST, *options, code=0 if options else 1)
    assert path.read_bytes() == TASKS
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_task_that_was_changed_meanwhile_is_not_ticked(checklist):
    checklist.write("tasks.md", "- [ ] 1. One\n- [ ] 2. Two\n")
    changing = AGENT + 'test "$PODIUM_STEP" = 1 && printf -- "- [ ] 1. One\\n- [ ] 2. Too\\n" > tasks.md; true\n'
    checklist.write("agent", changing)
    ended = checklist("run", "tasks.md", *FAST, "--tick", code=2)
    assert "error[" in ended.errors
    assert (checklist.folder / "tasks.md").read_text() == "- [ ] 1. One\n- [ ] 2. Too\n"


def test_an_agent_that_fails_is_replaced_by_none_unless_told_otherwise(checklist):
    checklist.write("tasks.md", "- [ ] 1. One\n  <!-- agent: nobody -->\n")
    checklist.write("agent", AGENT + 'test "$2" != --agent\n')
    ended = checklist("run", "tasks.md", *FAST[:-1], "--format", "json")
    assert ended.outcomes == {"1": "passed"}
    assert log(checklist) == ["begin 1 -p --agent nobody", "end 1", "begin 1 -p", "end 1"]
    checklist("run", "tasks.md", *FAST, code=1)


def test_starts_keep_their_distance_and_no_more_run_than_asked_for(checklist):
    checklist.write("tasks.md", "".join(f"- [ ] {n}. Task {n}\n" for n in range(1, 5)))
    options = ("--tool", "./agent", "--stagger", "200ms", "--format", "jsonl")
    events = checklist("run", "tasks.md", *options).events
    starts = [event["at_us"] / 1e6 for event in events if event["kind"] == "attempt_started"]
    assert all(later - earlier >= 0.19 for earlier, later in pairwise(starts))

    (checklist.folder / "log").unlink()
    checklist("run", "tasks.md", "--tool", "./agent", "--stagger", "0s", "-p", 1)
    assert [line.split()[0] for line in log(checklist)] == ["begin", "end"] * 4


def test_a_plan_shows_the_tasks_in_waves(checklist):
    plan = checklist("plan", "tasks.md", "--format", "json").json
    assert plan["waves"] == [["2", "5"], ["3"], ["4.1"]]
    assert not (checklist.folder / ".podium").exists()
    assert not (checklist.folder / "log").exists()


def test_the_tool_may_come_from_the_environment_and_has_to_be_there(checklist):
    checklist.write("tasks.md", "- [ ] 1. One\n")
    assert checklist("run", "tasks.md", "--format=json", PODIUM_AGENT_TOOL="./agent").cases["1"]["output"]
    ended = checklist("run", "tasks.md", "--tool", "no-such-tool", "--format", "json", code=1)
    assert "Tool 'no-such-tool' not found" in ended.cases["1"]["failure"]["message"]


def test_wrong_tasks_are_told_all_at_once_with_their_places(checklist):
    checklist.write(
        "tasks.md", "- [ ] 1. One\n  <!-- depends: 7 -->\n- [ ] 1. Again\n- [ ] 2. Two\n  <!-- depends: 2 -->\n"
    )
    ended = checklist("run", "tasks.md", *FAST, code=2)
    for place in ("tasks.md:2:", "tasks.md:3:", "tasks.md:5:"):
        assert place in ended.errors
    assert not (checklist.folder / ".podium").exists()
    assert "presets:" in checklist.refused("run", "tasks.md", "--policy", "hasty", error="U400")
