"""`kill -9` at any moment: nothing that was journalled is lost, no process is left, and `resume` does the rest."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

SCENARIO = """\
kind: scenario
name: case_{n}
duration: {duration}
seed: {n}
nodes:
  A: {{type: sensor, to: B, period: 100ms}}
  B: {{type: gateway}}
criteria:
  - at_end: B.received > 0
"""


@pytest.fixture
def project(tmp_path):
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    for n in range(8):
        (scenarios / f"case_{n}.yaml").write_text(SCENARIO.format(n=n, duration="20s"))
    return tmp_path


def environment():
    return {**os.environ, "NO_COLOR": "1", "PYTHONHASHSEED": "0"}


def podium(project, *arguments):
    command = [sys.executable, "-m", "podium", *arguments]
    return subprocess.run(
        command, cwd=project, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


def start(project, *arguments):
    command = [sys.executable, "-m", "podium", *arguments]
    return subprocess.Popen(
        command, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def events(project, run="latest"):
    shown = podium(project, "replay", run, "--format", "jsonl")
    assert shown.returncode == 0, shown.stderr
    return [json.loads(line) for line in shown.stdout.splitlines()]


def owned_by(pid):
    """Return living processes that carry the label of a dead owner."""
    found = []
    for process in psutil.process_iter():
        try:
            owner = process.environ().get("PODIUM_OWNER", "")
            if owner.startswith(f"{pid}:") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def nothing_left(pid):
    deadline = time.monotonic() + 15
    while (left := owned_by(pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left


def started_attempts(records):
    return [record["step"] for record in records if record["kind"] == "attempt_started"]


def passed(records):
    return [record["step"] for record in records if record["kind"] == "step_finished" and record["outcome"] == "passed"]


@pytest.mark.parametrize("moment", range(4))
def test_killed_at_any_moment_a_run_resumes_and_runs_nothing_that_passed_again(project, moment):
    process = start(project, "run", "scenarios", "--parallel", "2", "--speed", "40", "--format", "jsonl")
    seen = 0
    enough = random.Random(moment).randint(1, 25)
    with process:
        for line in process.stdout:
            seen += bool(json.loads(line))
            if seen >= enough:
                break
        process.send_signal(signal.SIGKILL)
    assert nothing_left(process.pid)
    before = events(project)
    assert len(before) >= seen, "what was shown was journalled"
    done = passed(before)

    resumed = podium(project, "resume", "latest", "--format", "json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["outcome"] == "passed"
    after = events(project)
    assert after[: len(before)] == before
    again = started_attempts(after[len(before) :])
    assert not set(done) & set(again)
    assert sorted(passed(after)) == sorted({f"case_{n}.yaml" for n in range(8)} & set(passed(after)))
    assert len(passed(after)) == 8


def test_a_run_in_progress_is_not_resumed_by_a_second_process(project):
    process = start(project, "run", "scenarios", "--parallel", "1", "--speed", "10", "--format", "jsonl")
    with process:
        process.stdout.readline()
        second = podium(project, "resume", "latest")
        process.send_signal(signal.SIGKILL)
    assert second.returncode == 2
    assert "still running" in second.stderr
    assert nothing_left(process.pid)


def test_ctrl_c_ends_the_run_as_interrupted_and_says_how_to_go_on(project):
    process = start(project, "run", "scenarios", "--parallel", "2", "--speed", "10")
    deadline = time.monotonic() + 20
    while len(owned_by(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "podium resume" in output + errors
    assert "Traceback" not in output + errors
    assert nothing_left(process.pid)
    finished = events(project)[-1]
    assert (finished["kind"], finished["outcome"]) == ("run_finished", "cancelled")

    resumed = podium(project, "resume", "latest", "--format", "json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["counts"] == {"passed": 8}


def test_a_resumed_run_has_the_same_results_as_an_undisturbed_one(project):
    whole = podium(project, "run", "scenarios", "--parallel", "2", "--format", "json")
    assert whole.returncode == 0, whole.stderr
    process = start(project, "run", "scenarios", "--parallel", "2", "--speed", "40", "--format", "jsonl")
    with process:
        for _ in range(8):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    podium(project, "resume", "latest")
    compared = podium(project, "compare", json.loads(whole.stdout)["run"], "latest", "--format", "json")
    assert compared.returncode == 0, compared.stdout
    fingerprints = [
        {record["step"]: record["output"]["fingerprint"] for record in records if record["kind"] == "attempt_finished"}
        for records in (events(project, json.loads(whole.stdout)["run"]), events(project))
    ]
    assert fingerprints[0] == fingerprints[1]
    assert len(fingerprints[0]) == 8
