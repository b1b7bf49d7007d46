"""Workflows with the real command: passed, undone, and run again; fallbacks, circuits and lists."""

import shutil

from tests.e2e.workflow_runs import DONE, FAILS, SAGA, UNDONE, events, lines, output_of, two_at_a_time, why


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
