"""Workflows with the real command: passed, undone, interrupted, answered, killed, resumed, run again."""

import json
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

SAGA = """\
kind: workflow
name: saga
order: sequence
steps:
  - {{name: one, shell: "echo one >> log", compensate: {{shell: "echo undo-one >> log"}}}}
  - {{name: two, shell: "echo two >> log", compensate: {{shell: "echo undo-two >> log"}}}}
  - {{name: three, shell: "{three}", compensate: {{shell: "echo undo-three >> log"}}}}
  - {{name: four, shell: "echo four >> log"}}
teardown: [{{name: end, shell: "echo end >> log"}}]
"""
FAILS = "echo three >> log; exit 3"
HANGS = "sleep 61 & echo $! >> pids; echo three >> log; sleep 62 & echo $! >> pids; wait"
ANY = None
DONE, UNDONE = ["one", "two", "three"], ["undo-two", "undo-one"]


def lines(podium, name="log"):
    path = podium.folder / name
    return path.read_text().splitlines() if path.exists() else []


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def events(podium, kind, run="latest"):
    return [event for event in podium("replay", run, "--format", "jsonl").events if event["kind"] == kind]


def is_dead(pid):
    try:
        return psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def two_at_a_time(function, cases):
    """Call a function with each of some cases, two side by side."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(lambda case: function(*case), cases))


class Begun:
    """A run in the background."""

    def __init__(self, process):
        self.process = process

    def end(self, code):
        output, errors = self.process.communicate(timeout=30)
        assert code in (ANY, self.process.returncode), (self.process.returncode, output, errors)
        assert "Traceback" not in output + errors
        return json.loads(output)

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def begin(podium):
    """Return a function that begins a run in the background; what is left of it at the end is killed."""
    begun = []

    def start(*arguments, **environment):
        begun.append(Begun(podium.start(*arguments, "--format", "json", **environment)))
        return begun[-1]

    yield start
    for run in begun:
        run.kill()


@pytest.fixture
def hanging(podium, begin):
    """A saga that hangs in its third step, with two grandchildren."""
    podium.write("saga.yaml", SAGA.format(three=HANGS))
    begun = begin("run", "saga.yaml")
    until(lambda: len(lines(podium, "pids")) == 2)
    return begun


# Passed and undone


def test_a_workflow_takes_inputs_and_gives_outputs(podium):
    podium.write(
        "sum.yaml",
        """\
kind: workflow
name: sum
inputs: {numbers: list, factor: {type: integer, default: 2}, title: string}
outputs: {total: "${steps.total.output}", title: "${inputs.title}"}
steps:
  - {name: add, value: "${inputs.numbers[0] + inputs.numbers[1]}"}
  - {name: total, needs: [add], command: [expr, "${steps.add.output}", "*", "${inputs.factor}"], output: json}
""",
    )
    ended = podium("run", "sum.yaml", "-i", "numbers=[3, 4]", "-i", "title=a=b", "--input", "factor=5", "--format=json")
    assert ended.json["outcome"] == "passed"
    assert {name: case["output"] for name, case in ended.cases.items()} == {"add": 7, "total": 35}
    assert podium("show", "--format", "json").json["run"]["output"] == {"total": 35, "title": "a=b"}
    assert 'output   {"total":35,"title":"a=b"}' in podium("show").output


def test_wrong_inputs_are_refused_and_nothing_is_stored(podium):
    podium.write("w.yaml", "kind: workflow\nname: w\ninputs: {n: integer}\nsteps: [{name: a, value: 1}]\n")

    def check(words, *inputs):
        assert words in podium("run", "w.yaml", *(f"--input={text}" for text in inputs), code=2).errors

    cases = [
        ("`n`",),
        ("integer", "n=three"),
        ("`m`", "n=1", "m=2"),
        ("given twice", "n=1", "n=2"),
        ("NAME=VALUE", "n"),
        ("--input n", "n=[1"),
    ]
    two_at_a_time(check, cases)
    assert not (podium.folder / ".podium").exists()


def test_a_failing_saga_is_undone_from_the_last_step_to_the_first_then_torn_down(podium):
    podium.write("saga.yaml", SAGA.format(three=FAILS))
    ended = podium("run", "saga.yaml", "--format", "json", code=1)
    assert ended.json["outcome"] == "compensated"
    assert lines(podium) == [*DONE, *UNDONE, "end"]
    assert ended.outcomes["three"] == "failed"
    assert ended.outcomes["four"] == "skipped"
    assert ended.outcomes["end"] == "passed"
    assert "three: it failed" in podium("why", "latest", "three").output
    assert "exited with code 3" in podium("why", "latest", "three").output


def test_what_cannot_be_undone_is_told_and_the_rest_is_undone(podium):
    podium.write("saga.yaml", SAGA.format(three=FAILS).replace("echo undo-two >> log", "exit 9"))
    ended = podium("run", "saga.yaml", "--format", "json", code=1)
    assert ended.json["outcome"] == "compensation_failed"
    assert lines(podium) == [*DONE, "undo-one", "end"]


def test_the_examples_run_in_a_folder_of_their_own(podium, examples):
    shutil.copytree(examples / "04-workflows", podium.folder / "copy", ignore=shutil.ignore_patterns("__pycache__"))

    def check(name, *files):
        ended = podium("run", f"copy/{name}.yaml", "--input", f"folder=work/{name}", "--format", "json")
        assert ended.json["outcome"] == "passed"
        assert {path.name for path in (podium.folder / "work" / name).rglob("*.*")} == set(files)

    cases = [
        ("voice_transcription", "recording.wav", "answer.wav", "result.json"),
        ("user_registration", "ada.eml", "session-ada.json", "ada.json"),
        ("data_pipeline", "measurements.csv", "warehouse.db"),
        ("order_saga", "pay-o1.json", "o1.json"),
    ]
    two_at_a_time(check, cases)


# Ended by people


def check_nothing_runs(podium, run, nothing_left):
    assert nothing_left(run.process.pid)
    assert all(is_dead(pid) for pid in lines(podium, "pids"))


def test_ctrl_c_undoes_and_tears_down(podium, hanging, nothing_left):
    hanging.process.send_signal(signal.SIGINT)
    assert hanging.end(ANY)["outcome"] == "compensated"
    assert lines(podium) == [*DONE, *UNDONE, "end"]
    (request,) = events(podium, "cancel_requested")
    assert (request["who"], request["why"]) == ("user", "interrupted by SIGINT")
    check_nothing_runs(podium, hanging, nothing_left)


def test_after_ctrl_c_the_exit_code_is_130_also_if_something_was_undone(hanging):
    hanging.process.send_signal(signal.SIGINT)
    hanging.end(130)


def test_cancel_from_elsewhere_undoes_and_says_who_and_why(podium, hanging, nothing_left):
    assert podium("cancel", "--why", "it is late").errors == ""
    assert hanging.end(1)["outcome"] == "compensated"
    assert lines(podium) == [*DONE, *UNDONE, "end"]
    (request,) = events(podium, "cancel_requested")
    assert request["why"] == "it is late"
    assert "@" in request["who"]
    assert "it is late" in podium("show").output
    check_nothing_runs(podium, hanging, nothing_left)
    assert "finished: compensated" in podium.refused("cancel", error="U415")


def test_cancel_without_compensation_leaves_what_was_done_and_the_run_can_go_on(podium, hanging, nothing_left):
    podium("cancel", "latest", "--no-compensate")
    ended = hanging.end(1)
    assert ended["outcome"] == "cancelled"
    assert lines(podium) == [*DONE, "end"]
    (request,) = events(podium, "cancel_requested")
    assert (request["why"], request["compensate"]) == ("cancelled by hand", False)
    assert "cancelled by hand" in podium("show", "latest", "four").output
    check_nothing_runs(podium, hanging, nothing_left)


def test_kill_ends_at_once_without_undoing_or_tearing_down(podium, hanging, nothing_left):
    podium("kill", "--why", "enough")
    assert hanging.end(1)["outcome"] == "cancelled"
    assert lines(podium) == DONE
    (request,) = events(podium, "cancel_requested")
    assert (request["why"], request["force"], request["compensate"]) == ("enough", True, False)
    (stopping,) = events(podium, "attempt_stopping")
    assert stopping["force"]
    assert "enough" in podium("show").output
    check_nothing_runs(podium, hanging, nothing_left)


def test_a_second_ctrl_c_kills_what_will_not_stop_and_still_undoes(podium, begin, nothing_left):
    stubborn = "trap '' TERM INT; echo $$ >> pids; echo three >> log; while :; do sleep 0.2; done"
    podium.write("saga.yaml", SAGA.format(three=stubborn).replace("name: three,", "name: three, grace: 60 s,"))
    run = begin("run", "saga.yaml")
    until(lambda: lines(podium, "pids"))
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    run.process.send_signal(signal.SIGINT)
    assert run.end(ANY)["outcome"] == "compensated"
    assert lines(podium) == [*DONE, *UNDONE, "end"]
    check_nothing_runs(podium, run, nothing_left)


# Signals, approvals, why

WAITS = """\
kind: workflow
name: waits
outputs: {paid: "${steps.paid.output}", who: "${steps.ok.output.comment}"}
steps:
  - {name: paid, wait: {signal: paid}}
  - {name: ok, needs: [paid], wait: {approval: Ship it?}}
  - {name: ship, needs: [ok], shell: "echo shipped >> log"}
"""


@pytest.fixture
def waiting(podium, begin):
    podium.write("waits.yaml", WAITS)
    begun = begin("run", "waits.yaml")
    until(lambda: (podium.folder / ".podium").exists() and "waits for the signal" in why(podium, "paid"))
    return begun


def why(podium, step):
    process = podium.start("why", "latest", step)
    output, _ = process.communicate(timeout=20)
    return output


def output_of(podium):
    return podium("show", "--format", "json").json["run"]["output"]


def test_a_signal_and_an_approval_let_a_run_go_on(podium, waiting):
    assert "it needs `paid`, which is not done" in why(podium, "ok")
    podium("signal", "latest", "paid", "--payload", '{"amount": 3}')
    until(lambda: "it waits for an approval: Ship it?" in why(podium, "ok"))
    podium("approve", "latest", "ok", "--comment", "go")
    assert waiting.end(0)["outcome"] == "passed"
    assert output_of(podium) == {"paid": {"amount": 3}, "who": "go"}
    assert lines(podium) == ["shipped"]
    assert "it passed" in why(podium, "ok")


def test_an_answer_may_come_before_the_step_waits_for_it(podium, waiting):
    podium("approve", "latest", "ok", "--comment", "early")
    until(lambda: len(events(podium, "signal_received")) == 1)
    podium("signal", "latest", "paid")
    assert waiting.end(0)["outcome"] == "passed"
    assert output_of(podium) == {"paid": None, "who": "early"}


def test_a_rejection_fails_the_step_and_says_who_and_why(podium, waiting):
    podium("signal", "latest", "paid", "--payload", "1")
    podium("approve", "latest", "ok", "--reject", "--comment", "too dear")
    ended = waiting.end(1)
    assert ended["outcome"] == "failed"
    (case,) = [case for case in ended["cases"] if case["name"] == "ok"]
    assert case["failure"]["type"] == "Rejected"
    assert case["failure"]["message"].startswith("rejected by ")
    assert case["failure"]["message"].endswith(": too dear")
    assert "too dear" in why(podium, "ok")
    assert lines(podium) == []


def test_what_is_told_to_an_interrupted_run_is_heard_when_it_goes_on(podium, waiting, nothing_left):
    waiting.kill()
    assert "podium resume" in podium("signal", "latest", "paid", "--payload", "7").errors
    assert "podium resume" in podium("approve", "latest", "ok", "--comment", "later").errors
    assert podium("resume", "--format", "json").json["outcome"] == "passed"
    assert output_of(podium) == {"paid": 7, "who": "later"}
    assert lines(podium) == ["shipped"]
    assert nothing_left(waiting.process.pid)


def test_a_cancelled_run_that_goes_on_begins_nothing_but_undoing(podium, hanging, nothing_left):
    until(lambda: lines(podium) == DONE)
    hanging.kill()
    podium("cancel", "latest", "--why", "given up")
    assert podium("resume", "--format", "json", code=1).json["outcome"] == "compensated"
    check_nothing_runs(podium, hanging, nothing_left)
    started = [event["step"] for event in events(podium, "attempt_started")]
    assert started == [*DONE, "two~undo", "one~undo", "end"]


def test_a_payload_that_is_no_json_and_an_unknown_run_are_refused(podium):
    podium.write("w.yaml", "kind: workflow\nname: w\nsteps: [{name: a, value: 1}]\n")
    podium("run", "w.yaml")
    assert "need quotes" in podium.refused("signal", "latest", "paid", "--payload", "yes", error="U400")
    assert "finished: passed" in podium.refused("signal", "latest", "paid", error="U415")
    podium.refused("approve", "nope", "a", error="U411")
    assert "did you mean" not in podium.refused("why", "latest", "zzz", error="U414")


def test_why_of_a_step_that_runs_and_of_one_that_waits_to_be_tried_again(podium, begin):
    podium.write(
        "w.yaml",
        """\
kind: workflow
name: w
slots: 1
steps:
  - {name: again, shell: "echo no >&2; exit 1", retry: {attempts: 2, initial: 60 s, maximum: 60 s}}
  - {name: runs, needs: [{step: first}], shell: "echo . >> log; sleep 60"}
  - {name: first, value: 1}
  - {name: ready, needs: [first], value: 1}
""",
    )
    run = begin("run", "w.yaml")
    until(lambda: lines(podium))
    assert "attempt 1 is under way" in why(podium, "runs")
    assert "exited with code 1" in why(podium, "again")
    assert podium("why", "latest", "runs", "--format", "json").json["reasons"] == ["attempt 1 is under way"]
    podium("kill")
    run.end(1)


# kill -9, resumed

COUNT = 8
GUARDED = "echo {0} >> calls; sleep 0.01; grep -qsx {1} log || echo {1} >> log; sleep 0.01"


def guarded(podium, *, fails):
    """Write a saga whose effects, forwards and backwards, are guarded by the idempotency key."""

    def effect(what):
        return GUARDED.format(what, f'"$PODIUM_IDEMPOTENCY_KEY {what}"')

    steps = [
        {"name": f"s{n}", "shell": effect(n), "compensate": {"shell": effect(f"undo-{n}"), "on": "attempted"}}
        for n in range(COUNT)
    ]
    if fails:
        steps[-1]["shell"] += "; exit 1"
    parts = {"name": "guarded", "order": "sequence", "steps": steps, "teardown": [{"name": "e", "shell": effect("e")}]}
    podium.write("guarded.yaml", json.dumps({"kind": "workflow", **parts}))


def kill_after(podium, arguments, *, more, pause):
    """Run a command, kill it a moment after some more steps were called, and return its exit code."""
    enough = len(lines(podium, "calls")) + more
    process = podium.start(*arguments)
    until(lambda: len(lines(podium, "calls")) >= enough or process.poll() is not None)
    time.sleep(pause)
    process.kill()
    process.communicate(timeout=20)
    return process


@pytest.mark.parametrize(("fails", "kills"), [(False, 3), (True, 6)])
def test_killed_at_any_moment_and_resumed_every_effect_is_there_exactly_once(podium, fails, kills, nothing_left):
    guarded(podium, fails=fails)
    draw = random.Random(kills)
    arguments, killed = ("run", "guarded.yaml"), 0
    while killed < kills:
        process = kill_after(podium, arguments, more=draw.randint(1, 3), pause=draw.uniform(0, 0.03))
        assert nothing_left(process.pid)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == fails
            break
        killed += 1
        arguments = ("resume", "latest")
    else:
        podium("resume", "latest", code=int(fails))
    assert killed > 1
    effects = [str(n) for n in range(COUNT)]
    effects += [f"undo-{n}" for n in reversed(range(COUNT))] if fails else []
    assert [line.split()[1] for line in lines(podium)] == [*effects, "e"]
    assert len(lines(podium, "calls")) <= len(lines(podium)) + killed, "what had passed was not done again"
    assert podium.runs()[0]["outcome"] == ("compensated" if fails else "passed")


# Run again


def test_a_rerun_of_a_failed_workflow_does_only_what_did_not_pass_and_knows_the_outputs_of_the_rest(podium):
    podium.write(
        "w.yaml",
        """\
kind: workflow
name: w
steps:
  - {name: a, shell: "echo a >> log; echo 7", output: json}
  - {name: b, needs: [a], shell: "echo b${steps.a.output} >> log; test -e there"}
  - {name: c, needs: [b], shell: "echo c >> log"}
""",
    )
    podium("run", "w.yaml", code=1)
    podium.write("there", "")
    assert podium("rerun", "--format", "json").json["outcome"] == "passed"
    assert lines(podium) == ["a", "b7", "b7", "c"]
    parent, child = sorted(podium.runs(), key=lambda run: run["id"])
    assert child["parent"] == parent["id"]
    podium.refused("rerun", code=4, error="U404")


def test_a_rerun_of_an_undone_workflow_does_everything_again(podium):
    podium.write("saga.yaml", SAGA.format(three="echo three >> log; test -e there"))
    podium("run", "saga.yaml", code=1)
    podium.write("there", "")
    assert podium("rerun", "--format", "json").json["outcome"] == "passed"
    assert lines(podium) == [*DONE, *UNDONE, "end", *DONE, "four", "end"]


# Plans

DIAMOND = """\
kind: workflow
name: diamond
steps:
  - {name: d, needs: [b, c], when: steps.b.output > 1, value: 1}
  - {name: b, needs: [a], shell: echo 2, output: json, compensate: {shell: "true"}}
  - {name: c, needs: [a], for_each: [1, 2], value: "${item}"}
  - {name: a, command: ["true"]}
teardown: [{name: z, value: 1}]
"""


def test_a_plan_shows_the_steps_in_waves_and_stores_nothing(podium):
    podium.write("diamond.yaml", DIAMOND)
    output = podium("plan", "diamond.yaml").output
    rows = [line.split() for line in output.splitlines()]
    assert [(row[0], row[1]) for row in rows[1:-1]] == [("1", "a"), ("2", "b"), ("2", "c"), ("3", "d"), ("4", "z")]
    assert "undone on failure" in " ".join(rows[2])
    assert " ".join(rows[-1]) == "5 steps in 4 waves, 4 at once"
    assert podium("run", "--dry-run", "diamond.yaml").output == output
    plan = podium("plan", "diamond.yaml", "--parallel", 2, "--format", "json").json
    assert plan["waves"] == [["a"], ["b", "c"], ["d"], ["z"]]
    assert plan["slots"] == 2
    assert not (podium.folder / ".podium").exists()


# Mistakes


def test_an_option_that_means_nothing_for_what_is_run_is_refused(podium):
    podium.write("w.yaml", "kind: workflow\nname: w\nsteps: [{name: a, value: 1}]\n")
    podium.write("list.md", "- [ ] 1. do it\n")
    podium.write("scenario.yaml")

    def check(command, file, option):
        message = podium.refused(command, file, option, error="U400")
        assert f"{option.partition('=')[0]} means nothing for a " in message

    cases = [
        ("run", "w.yaml", "--speed=5"),
        ("plan", "w.yaml", "--seeds=1..2"),
        ("run", "w.yaml", "--set=a=1"),
        ("plan", "w.yaml", "--tick"),
        ("run", "scenario.yaml", "--input=a=1"),
        ("plan", "scenario.yaml", "--tool=cat"),
        ("run", "list.md", "--input=a=1"),
        ("run", "list.md", "--timeout=3s"),
    ]
    two_at_a_time(check, cases)
    assert not (podium.folder / ".podium").exists()


def test_a_workflow_is_run_alone(podium):
    podium.write("w.yaml", "kind: workflow\nname: w\nsteps: [{name: a, value: 1}]\n")
    podium.write("scenario.yaml")
    assert "`w.yaml` is a workflow" in podium.refused("run", "scenario.yaml", "w.yaml", error="U400")


SHAPE = """\
  - {name: a, value: 1, retires: 3}
  - {name: b, needs: 4, value: 1}
  - {nam: c, value: 1}
  - {name: d, timeout: 5, shell: ls}
"""
MEANING = """\
  - {name: a, value: 1}
  - {name: b, needs: [c], value: 1}
  - {name: b, value: "${steps.a.output}"}
  - {name: d, value: "${steps.a.output + }"}
  - {name: e, value: "${inputs.n}"}
  - {name: f}
"""


@pytest.mark.parametrize(
    ("command", "steps", "places"),
    [("run", SHAPE, ("4:25", "5:", "6:6", "7:")), ("plan", MEANING, ("5:23", "6:12", "6:22", "7:22", "8:22", "9:5"))],
)
def test_all_mistakes_of_a_document_are_told_at_once_with_their_places(podium, command, steps, places):
    podium.write("bad.yaml", f"kind: workflow\nname: bad\nsteps:\n{steps}")
    ended = podium(command, "bad.yaml", code=2)
    for place in places:
        assert f"bad.yaml:{place}" in ended.errors, ended.errors
    assert ended.output == ""
    assert not (podium.folder / ".podium").exists()


@pytest.mark.parametrize("begin", ["{", "{\n  ", "\ufeff{"])
def test_a_document_in_braces_is_a_workflow_too(podium, begin):
    podium.write("w.yaml", begin + '"kind": "workflow", "name": "w", "steps": [{"name": "a", "value": 1}]}')
    assert podium("plan", "w.yaml", "--format", "json").json["work"] == "workflow"


# When tools fail, and lists


def test_a_fallback_is_taken_when_the_first_tool_fails(podium):
    podium.write(
        "w.yaml",
        """\
kind: workflow
name: w
outputs: {by: "${steps.a.output}"}
steps:
  - name: a
    command: [no-such-tool]
    fallback:
      - {name: second, shell: "echo second >> log; exit 1", retry: 2}
      - {name: third, shell: "echo third"}
""",
    )
    ended = podium("run", "w.yaml", "--format", "json")
    assert ended.cases["a"]["output"] == "third"
    assert lines(podium) == ["second", "second"]
    assert [event["name"] for event in events(podium, "fallback_taken")] == ["second", "third"]
    assert "fallback `third` was taken" in why(podium, "a")


def test_a_circuit_opened_by_one_run_is_open_for_the_next(podium):
    podium.write(
        "w.yaml",
        """\
kind: workflow
name: w
inputs: {n: integer}
steps:
  - name: a
    shell: "echo ${inputs.n} >> log; exit 1"
    retry: {attempts: 2, initial: 10 ms}
    breaker: {target: shop, failures: 2, reset: 10 min}
""",
    )
    podium("run", "w.yaml", "-i", "n=1", code=1)
    ended = podium("run", "w.yaml", "-i", "n=2", "--format", "json", code=1)
    assert ended.outcomes == {"a": "errored"}
    assert lines(podium) == ["1", "1"]
    refused = events(podium, "attempt_refused")
    assert {event["target"] for event in refused} == {"shop"}
    assert "no attempt began" in why(podium, "a")


def test_each_item_of_what_a_command_printed_is_a_step(podium):
    podium.write(
        "w.yaml",
        """\
kind: workflow
name: w
outputs: {all: "${steps.each.output}"}
steps:
  - {name: list, command: [echo, '[{"n": 1}, {"n": 20}, {"n": 3}]'], output: json}
  - {name: each, needs: [list], for_each: "${steps.list.output}", command: [expr, "${item.n}", +, "${index}"]}
""",
    )
    ended = podium("run", "w.yaml", "--format", "json")
    assert ended.json["outcome"] == "passed"
    assert output_of(podium) == {"all": ["1", "21", "5"]}
    assert {name for name in ended.cases if name.startswith("each[")} == {"each[0]", "each[1]", "each[2]"}
