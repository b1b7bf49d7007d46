"""Workflows with the real command: signals, approvals, and why a step is where it is."""

import pytest
from tests.e2e.workflow_runs import events, lines, output_of, until, why

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
