"""The commands about what was run, and the small ones beside them."""

import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from xml.etree import ElementTree as ET

import jsonschema
import pytest

NONDETERMINISTIC = """\
import os
from podium.sim import streams

as_it_is = streams.Stream.__init__

def by_process(self, seed, *name):
    as_it_is(self, seed + os.getpid(), *name)

streams.Stream.__init__ = by_process
"""

CONSTANT = """\
kind: scenario
name: constant
duration: 1s
nodes:
  A: {type: sensor, to: B, period: 100ms}
  B: {type: gateway}
criteria:
  - at_end: B.received > 0
"""


@pytest.fixture(scope="module")
def mixed_folder(podium_in, tmp_path_factory):
    podium = podium_in(tmp_path_factory.mktemp("mixed"))
    podium.write("scenarios/good.yaml")
    podium.write("scenarios/sub/bad.yaml", received=100_000)
    podium.write("scenarios/broken.yaml", "kind: [")
    podium("run", "scenarios", code=1)
    return podium.folder


@pytest.fixture
def mixed(podium, mixed_folder):
    """Return a project with one run: one case passed, one failed, one is invalid."""
    shutil.copytree(mixed_folder, podium.folder, dirs_exist_ok=True)
    return podium


@pytest.fixture(scope="module")
def regressed(podium_in, tmp_path_factory, examples):
    """Return a project with a run, the same again, and one that got worse; and their ids. Only to be read."""
    podium = podium_in(tmp_path_factory.mktemp("regressed"))
    shutil.copy(examples / "01-campaign" / "thermal_cascade.yaml", podium.folder)
    for options, code in (((), 0), ((), 0), (("--set", "recovery=none"), 1)):
        podium("run", "thermal_cascade.yaml", *options, code=code)
    return podium, [run["id"] for run in reversed(podium.runs())]


# list, show, stats


def test_list_shows_runs_newest_first(mixed):
    mixed("run", "scenarios/good.yaml")
    lines = mixed("list").output.splitlines()
    assert lines[0].split() == ["RUN", "NAME", "OUTCOME", "COUNTS", "STARTED", "TOOK"]
    assert [line.split()[1:3] for line in lines[1:]] == [["good", "passed"], ["scenarios", "failed"]]
    assert all(count in lines[2] for count in ("1 passed", "1 failed", "1 errored"))
    assert [run["name"] for run in mixed("list", "--name", "good", "--format", "json").json] == ["good"]
    assert len(mixed("list", "-n", 1).output.splitlines()) == 2


def test_where_there_are_no_runs_stdout_stays_empty_and_stderr_says_so(mixed):
    for command in ("list", "stats"):
        ended = mixed(command, "--name", "other")
        assert (ended.output, "name `other`" in ended.errors) == ("", True)
        mixed.refused(command, "--store", "absent.db", code=5, error="E517")
    assert not (mixed.folder / "absent.db").exists()


def test_show_a_run_by_its_id_its_ends_and_as_the_latest(mixed):
    (run,) = mixed.runs()
    for name in ("latest", run["id"], run["id"][:13], run["id"][-8:], run["id"].upper()):
        lines = mixed("show", name).output.splitlines()
        assert lines[0] == f"run      {run['id']}"
    for case, outcome in (("good.yaml", "passed"), ("sub/bad.yaml", "failed"), ("broken.yaml", "errored")):
        assert any(line.startswith(outcome) and f" {case} " in f"{line} " for line in lines)
    shown = mixed("show", "--format", "json").json
    assert shown["run"]["id"] == run["id"]
    assert len(shown["cases"]) == 3


def test_show_a_case_with_its_criteria(mixed):
    output = mixed("show", "latest", "sub/bad.yaml").output
    assert "outcome      failed" in output
    assert "seed         5" in output
    step = mixed("show", "latest", "sub/bad.yaml", "--format", "json").json
    assert f"\nfingerprint  {step['output']['fingerprint']}\n" in output
    assert "at_end B.received > 100000" in output
    assert step["output"]["criteria"][0]["outcome"] == "failed"
    assert "error[D101]" in mixed("show", "latest", "broken.yaml").output


def test_show_a_case_with_its_timeline_and_latencies(regressed):
    podium, (first, *_) = regressed
    output = podium("show", first, "thermal_cascade.yaml").output
    assert "fault_began" in output
    (latency,) = [line for line in output.splitlines() if line.startswith("recovery_action")]
    assert re.fullmatch(r"recovery_action +\d+( +[\d.]+ s){3}", latency)


def test_show_a_case_with_the_units_of_its_criteria(regressed):
    podium, (first, *_) = regressed
    lines = podium("show", first, "thermal_cascade.yaml").output.splitlines()
    found = {line.partition("always ")[2].partition(" ")[0]: line for line in lines if "always SAT1" in line}
    assert re.search(r"  [\d.]+ degC  +[\d.]+ s  +[\d.]+ degC  ", found["SAT1.battery.temperature"])
    assert re.search(r"  0\.\d+  +[\d.]+ s  +0\.\d+  ", found["SAT1.battery.soc"])
    (within,) = [line for line in lines if "  within 10 min" in line]
    assert re.search(r"  [\d.]+ s  +[\d.]+ s  +[\d.]+ s  +[\d.]+ s$", within)
    (word,) = [line for line in lines if "  at_end SAT1.mode" in line]
    assert word.split()[5:] == ["nominal", "1200", "s", "-", "-"]


def test_show_a_case_with_what_became_of_its_packets(mixed):
    network = mixed("show", "latest", "good.yaml", "--format", "json").json["output"]["network"]
    (line,) = [x for x in mixed("show", "latest", "good.yaml").output.splitlines() if x.startswith("network")]
    assert line.startswith(f"network      {network['sent']} packets sent: {network['delivered']} delivered, ")
    assert f", {network['lost']} lost" in line
    assert "network" not in mixed("show", "latest", "broken.yaml").output


def test_show_a_case_that_an_earlier_version_stored(mixed):
    """Its verdicts have no unit of their own; the one of their condition is shown."""
    path = mixed.folder / ".podium" / "podium.db"
    with closing(sqlite3.connect(path)) as store, store:
        key, seq, event = store.execute(
            "SELECT run, seq, event FROM journal WHERE event LIKE '%attempt_finished%\"condition\":%100000%'"
        ).fetchone()
        verdict = json.loads(event)["output"]["criteria"][0]
        assert "unit" not in verdict
        older = event.replace(verdict["condition"], "B.latency.max > 100000 s")
        store.execute("UPDATE journal SET event = ? WHERE run = ? AND seq = ?", (older, key, seq))
    line = mixed("show", "latest", "sub/bad.yaml").output.partition("FIRST VIOLATED\n")[2].partition("\n")[0]
    assert re.search(r"  \d+ s  +10 s  +-\d+ s  ", line)


def test_stats_over_runs(mixed):
    mixed("run", "scenarios/good.yaml", "--set", "criteria.0.at_end=B.received > 100000", code=1)
    output = mixed("stats").output
    assert output.startswith("runs   2  ")
    found = mixed("stats", "--format", "json").json
    by_case = {case["name"]: case for case in found["by_case"]}
    assert (by_case["good.yaml"]["runs"], by_case["good.yaml"]["passed"]) == (2, 1)


def test_stats_list_cases_in_natural_order(podium):
    podium.write("a.yaml", duration="1s")
    podium("run", "a.yaml", "--seeds", "9..11")
    podium("run", "a.yaml", "--seeds", "1..2")
    lines = podium("stats").output.partition("CASE")[2].splitlines()[1:]
    assert [line.split()[0] for line in lines] == [f"a.yaml[seed={seed}]" for seed in (1, 2, 9, 10, 11)]


# compare


def test_compare_of_equal_runs_is_unchanged(regressed):
    podium, (first, second, _) = regressed
    ended = podium("compare", first, second)
    assert ended.output.splitlines()[1:] == ["0 regressions, 1 unchanged of 1 case"]
    assert not podium("compare", first, second, "--format", "json").json["has_regression"]


def test_compare_finds_a_regression_and_shows_margins(regressed):
    podium, (first, *_) = regressed
    output = podium("compare", first, code=1).output
    assert "regression  thermal_cascade.yaml  passed -> failed" in output
    (line,) = [line for line in output.splitlines() if "SAT2.battery.temperature" in line]
    assert "passed -> failed, margin " in line
    found = podium("compare", first, "latest", "--format", "json", code=1).json
    changes = {change["name"]: change for change in found["steps"][0]["criteria"]}
    worse = changes["always SAT2.battery.temperature < 65 degC"]
    assert worse["old_margin"] > 0 > worse["new_margin"]
    assert worse["regression"]


def test_compare_the_other_way_round_is_no_regression(regressed):
    podium, (first, _, third) = regressed
    lines = podium("compare", third, first).output.splitlines()
    assert lines[1] == "fixed       thermal_cascade.yaml  failed -> passed"
    assert lines[-1] == "0 regressions, 1 fixed of 1 case"


def test_a_case_that_passed_twice_with_another_margin_has_moved(podium):
    podium.write("s/a.yaml")
    podium.write("s/b.yaml", CONSTANT)
    podium("run", "s")
    podium("run", "s", "--set", "seed=8")
    lines = podium("compare").output.splitlines()
    assert lines[1] == "moved       a.yaml  passed -> passed"
    assert re.fullmatch(r"            at_end B.received > 0, margin \d+ -> \d+ \([+-]\d+\)", lines[2])
    assert lines[3:] == ["0 regressions, 1 moved, 1 unchanged of 2 cases"]
    found = podium("compare", "--format", "json").json
    assert {step["name"]: step["change"] for step in found["steps"]} == {"a.yaml": "moved", "b.yaml": "unchanged"}


def test_every_regression_is_counted_as_one_whatever_became_of_its_case(podium):
    for name in ("a", "b", "c"):
        podium.write(f"s/{name}.yaml", CONSTANT)
    podium("run", "s")
    (podium.folder / "s" / "c.yaml").rename(podium.folder / "s" / "new.yaml")
    podium.write("s/b.yaml", CONSTANT.replace("B.received > 0", "B.received > 1"))
    podium("run", "s")
    lines = podium("compare", code=1).output.splitlines()
    assert {line for line in lines[1:-1] if not line.startswith(" ")} == {
        "regression  b.yaml  passed -> passed",
        "regression  c.yaml  passed -> -",
        "added       new.yaml  - -> passed",
    }
    assert lines[-1] == "2 regressions, 1 added, 1 unchanged of 4 cases"


def test_previous_is_the_newest_run_of_the_same_name_before_the_other(regressed):
    podium, (first, second, third) = regressed
    heads = {
        ("compare",): (second, third, 1),
        ("compare", "previous"): (second, third, 1),
        ("compare", "previous", "latest"): (second, third, 1),
        ("compare", "previous", second): (first, second, 0),
    }
    for arguments, (before, after, code) in heads.items():
        head = podium(*arguments, code=code).output.splitlines()[0]
        assert head == f"{before[-8:]} thermal_cascade -> {after[-8:]} thermal_cascade"
    assert f"before {first}" in podium.refused("compare", "previous", first, error="U411")
    assert "BASELINE" in podium.refused("compare", "latest", "previous", error="U400")


def test_there_is_no_previous_run_if_all_others_have_another_name(mixed):
    mixed("run", "scenarios/good.yaml")
    message = mixed.refused("compare", error="U411")
    assert "no run of the name `good` before " in message
    mixed("clean", "--older-than", "0s")
    mixed.refused("compare", error="U411")


def test_a_run_is_not_compared_with_itself(regressed):
    podium, (*_, third) = regressed
    assert "with itself" in podium.refused("compare", "latest", error="U400")
    assert "with itself" in podium.refused("compare", third, "latest", error="U400")


# rerun, resume


def test_rerun_runs_only_what_did_not_pass_exactly_as_planned(mixed):
    mixed.write("scenarios/sub/bad.yaml")  # would pass now, and is not read again
    ended = mixed("rerun", "--format", "json", code=1)
    assert ended.outcomes == {"broken.yaml": "errored", "sub/bad.yaml": "failed"}
    new, old = mixed.runs()
    assert new["parent"] == old["id"]
    assert f"reruns   {old['id']}" in mixed("show").output


def test_a_rerun_in_which_all_the_rest_passes_exits_0_and_then_nothing_is_left(podium):
    podium.write("s/fast.yaml", duration="1s")
    podium.write("s/slow.yaml", duration="20s")
    with podium.start("run", "s", "--speed", "20", "-p", "2", "--format", "jsonl") as process:
        for line in process.stdout:
            if json.loads(line)["kind"] == "step_finished":
                break
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 130
    ended = podium("rerun", "--format", "json")
    assert ended.outcomes == {"slow.yaml": "passed"}
    podium.refused("rerun", code=4, error="U404")


def test_a_rerun_of_a_run_in_which_all_passed_exits_4(podium):
    podium.write("a.yaml")
    podium("run", "a.yaml")
    podium.refused("rerun", code=4, error="U404")


def test_a_finished_run_is_not_resumed(mixed):
    message = mixed.refused("resume", "latest", error="U413")
    assert "podium rerun" in message


def test_a_run_in_which_all_passed_is_not_resumed_and_there_is_nothing_to_rerun(podium):
    podium.write("a.yaml", duration="1s")
    podium("run", "a.yaml")
    message = podium.refused("resume", "latest", error="U413")
    assert "podium show" in message
    assert "rerun" not in message


def test_without_a_name_the_newest_run_that_can_be_resumed_goes_on(podium):
    for name, end in (("crashed", "kill"), ("cancelled", "terminate")):
        podium.write(f"{name}.yaml", duration="20s")
        with podium.start("run", f"{name}.yaml", "--speed", "20", "--format", "jsonl") as process:
            process.stdout.readline()
            getattr(process, end)()
            process.communicate(timeout=20)
    podium.write("passed.yaml", duration="1s")
    podium("run", "passed.yaml")
    ids = {run["name"]: run["id"] for run in podium.runs()}
    for name in ("cancelled", "crashed"):
        ended = podium("resume", "--format", "json").json
        assert (ended["run"], ended["outcome"]) == (ids[name], "passed")
    podium.refused("resume", code=4, error="U404")


def test_if_no_run_can_be_resumed_resume_exits_4(mixed):
    assert "no run to resume" in mixed.refused("resume", code=4, error="U404")
    mixed("clean", "--older-than", "0s")
    mixed.refused("resume", code=4, error="U404")


def test_a_run_that_is_running_is_not_the_one_to_resume(podium):
    podium.write("long.yaml", duration="1h")
    with podium.start("run", "long.yaml", "--speed", "1", "--format", "jsonl") as process:
        process.stdout.readline()
        message = podium.refused("resume", code=4, error="U404")
        assert f"run {podium.runs()[0]['id']} is still running" in message
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 130


# replay, export


def test_replay_shows_what_was_journalled(mixed):
    live = mixed("run", "scenarios", "--format", "jsonl", code=1).output
    assert mixed("replay", "--format", "jsonl").output == live
    assert mixed("replay", "--format", "json").json["counts"] == {"passed": 1, "failed": 1, "errored": 1}
    lines = mixed("replay").output.splitlines()
    assert any(line.startswith("failed     sub/bad.yaml") for line in lines)
    assert len(mixed.runs()) == 2


def test_replay_in_text_is_what_the_run_printed(mixed):
    live = mixed("run", "scenarios", code=1).output
    assert mixed("replay").output == live


def test_export_writes_campaign_json_twice_without_overwriting(mixed):
    paths = [mixed.folder / mixed("export", "--campaign-json", "out").output.strip() for _ in range(2)]
    assert paths[0] != paths[1]
    first, second = (json.loads(path.read_text()) for path in paths)
    assert first == second
    assert len(first) == 9
    assert not first["results"]["sub/bad.yaml"]["success"]
    assert first["results"]["sub/bad.yaml"]["scenario_path"] == "scenarios/sub/bad.yaml"


def test_export_writes_junit_and_logs(mixed):
    ended = mixed("export", "--junit", "new/junit.xml", "--logs", "logs")
    written = ended.output.splitlines()
    assert written[0] == "new/junit.xml"
    suite = ET.parse(mixed.folder / "new/junit.xml").getroot()[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors")] == ["3", "1", "1"]
    assert sorted(written[1:]) == ["logs/good.yaml.log.jsonl", "logs/sub/bad.yaml.log.jsonl"]
    lines = (mixed.folder / "logs/good.yaml.log.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) >= 10


def test_export_of_nothing_and_to_nowhere_is_refused(mixed):
    (mixed.folder / "file").write_text("")
    assert "--junit FILE" in mixed.refused("export", error="U431")
    mixed.refused("export", "--junit", "file/x.xml", code=5, error="E502")
    mixed.refused("export", "--logs", "file", code=5, error="E502")
    ended = mixed("export", "--campaign-json", "file", code=5)
    assert ended.errors.startswith("error[E50")


def test_rerun_of_chosen_cases_leaves_the_others_outstanding(podium):
    podium.write("scenarios/long.yaml", duration="1 h")
    podium.write("scenarios/short.yaml", duration="10 s")
    asked = ("--speed", "1000", "--parallel", "1", "--deadline", "1.5s", "--format", "json")
    outcomes = podium("run", "scenarios", *asked, code=1).outcomes
    assert outcomes["short.yaml"] == "cancelled", "it never began, as the longest goes first"
    run = podium.runs()[0]["id"]
    podium.refused("rerun", run, "other.yaml", error="U414")
    ended = podium("rerun", run, "short.yaml", "--format", "json", code=6)
    assert ended.outcomes == {"short.yaml": "passed"}


# clean


def test_clean_deletes_only_what_is_old(mixed):
    assert "deleted 0 runs" in mixed("clean", "--older-than", "1d").output
    assert len(mixed.runs()) == 1
    assert "deleted 1 run," in mixed("clean", "--older-than", "0s").output
    assert mixed.runs() == []
    assert "U411" in mixed.refused("show", error="U411")


def test_clean_needs_an_age_with_its_unit(mixed):
    assert "`--older-than` is missing" in mixed.refused("clean", error="U400")
    assert "no unit" in mixed.refused("clean", "--older-than", "30", error="U400")
    assert len(mixed.runs()) == 1


def test_clean_leaves_a_run_that_is_running(podium):
    podium.write("long.yaml", duration="1h")
    with podium.start("run", "long.yaml", "--speed", "1", "--format", "jsonl") as process:
        process.stdout.readline()
        podium("clean", "--older-than", "0s")
        assert [run["outcome"] for run in podium.runs()] == [None]
        assert " running " in podium("list").output
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert [run["outcome"] for run in podium.runs()] == ["cancelled"]


# verify


def test_verify_finds_a_scenario_the_same_twice(podium, examples):
    ended = podium("verify", examples / "01-campaign" / "thermal_cascade.yaml", "--set", "duration=12min")
    assert ended.output.startswith("the same twice: ")
    assert not (podium.folder / ".podium").exists()


def test_verify_takes_another_seed(podium):
    podium.write("a.yaml")
    found = [podium("verify", "a.yaml", *seed, "--format", "json").json for seed in ((), ("--seed", "6"))]
    assert found[0]["fingerprints"] != found[1]["fingerprints"]
    assert [one["difference"] for one in found] == [None, None]


def test_verify_names_the_first_difference(podium):
    podium.write("site/sitecustomize.py", NONDETERMINISTIC)
    podium.write("a.yaml")
    found = podium("verify", "a.yaml", "--format", "json", code=1, PYTHONPATH="site").json
    index, first, second = (found["difference"][key] for key in ("index", "first", "second"))
    assert first != second
    assert index < found["entries"]
    output = podium("verify", "a.yaml", code=1, PYTHONPATH="site").output
    assert output.startswith("the runs differ from entry ")
    assert "  first:  at " in output
    assert "  second: at " in output


def test_verify_of_no_scenario_is_refused(podium):
    podium.write("broken.yaml", "kind: [")
    podium.refused("verify", "broken.yaml", error="D101")
    podium.refused("verify", "nope.yaml", error="D110")
    podium.refused("verify", ".", error="D110")
    podium.write("a.yaml")
    podium.refused("verify", "a.yaml", "--set", "duration=5", error="D124")


# explain, schema, doctor, init, completion


def test_explain_tells_what_a_code_means(podium):
    listed = podium("explain").output
    codes = [line.split()[0] for line in listed.splitlines()]
    assert {"D101", "U400", "U411", "E501", "X900"} <= set(codes)
    assert podium("explain", "u411").output.startswith("U411: ")
    message = podium.refused("explain", "U999", error="U432")
    assert "hint: " in message


@pytest.mark.parametrize("name", ["scenario", "campaign-scenario"])
def test_schema_prints_a_json_schema(podium, name):
    schema = podium("schema", name).json
    jsonschema.validators.validator_for(schema).check_schema(schema)
    assert schema["type"] == "object" or "$ref" in schema or "$defs" in schema


def test_schema_of_an_unknown_document_is_refused(podium):
    assert "'scenario'" in podium.refused("schema", "nonsense", error="U400")


def test_doctor_checks_machine_and_store(mixed):
    lines = mixed("doctor").output.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    assert "1 runs, integrity ok" in lines[-1] or "1 run, integrity ok" in lines[-1]
    (mixed.folder / "text").write_text("text")
    found = {row["check"]: row["state"] for row in mixed("doctor", "--store", "text", "--format", "json", code=5).json}
    assert found["store"] == "problem"
    assert found["workers"] == "ok"


def test_init_writes_a_scenario_that_passes_and_never_overwrites(podium):
    assert "next: podium run scenarios" in podium("init").output
    file = podium.folder / "scenarios" / "first_scenario.yaml"
    assert podium("run", "scenarios", "--format", "json").outcomes == {"first_scenario.yaml": "passed"}
    file.write_text("mine")
    podium.refused("init", error="U433")
    assert file.read_text() == "mine"
    podium("init", "other/place")
    (podium.folder / "file").write_text("")
    podium.refused("init", "file/below", code=5, error="E502")


def test_completion_of_bash_is_a_script_that_bash_takes(podium):
    script = podium("completion", "bash").output
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    completed = podium(_PODIUM_COMPLETE="bash_complete", COMP_WORDS="podium re", COMP_CWORD="1").output
    assert {line.split(",")[1] for line in completed.splitlines()} == {"resume", "rerun", "replay"}
    assert "bash" in podium.refused("completion", "csh", error="U400")


# What every command has in common


@pytest.mark.parametrize("command", ["show", "rerun", "export", "compare"])
def test_an_unknown_run_is_told(mixed, command):
    options = ["--junit", "x.xml"] if command == "export" else []
    message = mixed.refused(command, "nope", *options, error="U411")
    assert "`podium list` shows" in message


def test_an_unknown_case_is_told_with_the_one_that_may_be_meant(mixed):
    assert "did you mean `good.yaml`?" in mixed.refused("show", "latest", "god.yaml", error="U414")


@pytest.mark.parametrize("command", ["list", "clean", "rerun"])
def test_a_store_that_is_none_is_told(podium, command):
    (podium.folder / "text").write_text("just text")
    options = ["--older-than", "1d"] if command == "clean" else []
    podium.refused(command, *options, "--store", "text", code=5, error="E514")
    podium.refused(command, *options, "--store", "text/below.db", code=5, error="E517")
    scenario = podium.write("scenarios/a.yaml")
    podium.refused("run", scenario, "--store", "text/below.db", code=5, error="E501")
    assert (podium.folder / "text").read_text() == "just text"


@pytest.mark.parametrize("arguments", [("list",), ("show",), ("replay", "--format", "jsonl"), ("schema",), ("--help",)])
def test_a_reader_that_goes_away_is_no_error(mixed, arguments):
    process = mixed.start(*arguments)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(20), errors) == (0, "")
