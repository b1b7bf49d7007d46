"""`podium run` and `podium plan`, as a newcomer uses and misuses them."""

import json
import subprocess
import time
from xml.etree import ElementTree as ET

import pytest

BROKEN = "kind: scenario\nname: [unclosed\n"
BIG = """\
kind: scenario
name: big
duration: 10s
nodes:
  S: {type: sensor, count: 9999, to: G, period: 10ms}
  G: {type: gateway}
criteria:
  - at_end: G.received > 0
"""


@pytest.fixture
def two(podium):
    podium.write("scenarios/one.yaml")
    podium.write("scenarios/two.yaml", duration="20s")
    return podium


def runs_in_store(podium):
    """Return how many runs there are, without making a store to find out."""
    return len(podium.runs()) if (podium.folder / ".podium").exists() else 0


# What is run


def test_a_folder_is_searched_recursively_and_equal_names_stay_apart(podium):
    for name in ("a/case.yaml", "b/case.yml", "b/deep/er/case.yaml", ".hidden/case.yaml", "b/.hidden.yaml", "b/no.txt"):
        podium.write(f"scenarios/{name}")
    ended = podium("run", "scenarios", "--format", "json")
    assert ended.outcomes == dict.fromkeys(("a/case.yaml", "b/case.yml", "b/deep/er/case.yaml"), "passed")


def test_a_file_named_twice_runs_once(two):
    ended = two("run", "scenarios", "scenarios/one.yaml", "./scenarios/../scenarios", "--format", "json")
    assert sorted(ended.outcomes) == ["one.yaml", "two.yaml"]


def test_a_single_file_runs_whatever_its_suffix(podium):
    podium.write("case.txt")
    assert podium("run", "case.txt", "--format", "json").outcomes == {"case.txt": "passed"}


def test_an_invalid_file_is_an_errored_case_while_the_others_run(two):
    broken = two.write("scenarios/broken.yaml", BROKEN)
    before = broken.read_bytes()
    ended = two("run", "scenarios", "--format", "json", code=1)
    assert ended.outcomes == {"broken.yaml": "errored", "one.yaml": "passed", "two.yaml": "passed"}
    assert "error[D101]" in ended.cases["broken.yaml"]["failure"]["message"]
    assert "error[D101]" in ended.errors
    assert "broken.yaml:" in ended.errors
    assert broken.read_bytes() == before
    shown = two("show", "latest", "broken.yaml")
    assert "error[D101]" in shown.output


def test_strict_stops_before_anything_is_stored(two):
    two.write("scenarios/broken.yaml", BROKEN)
    message = two.refused("run", "scenarios", "--strict", error="D101")
    assert "broken.yaml" in message
    assert runs_in_store(two) == 0


def test_strict_takes_warnings_for_errors(podium, examples):
    podium.write("s/a.yaml", (examples / "02-documented-format/nominal.yaml").read_text() + "author: me\n")
    podium("run", "s", "--dry-run")
    ended = podium("run", "s", "--strict", code=2)
    assert "warning[D133]: key `author` is ignored" in ended.errors
    assert runs_in_store(podium) == 0


@pytest.mark.parametrize("other", [("--set", "seed=3"), ("--sweep", "seed=3,4")])
def test_a_seed_given_twice_is_refused(two, other):
    assert "the seed is given twice" in two.refused("run", "scenarios", "--seed", "1", *other, error="U400")


def test_all_errors_of_all_files_are_told_at_once(podium):
    podium.write("s/a.yaml", "kind: scenario\nname: a\nduration: 5\nnodse: {}\n")
    podium.write("s/b.yaml", BROKEN)
    message = podium.refused("run", "s", "--strict", error="D124")
    assert all(code in message for code in ("D101", "D121", "D124")), message


@pytest.mark.parametrize("command", [("plan",), ("run", "--dry-run")])
def test_a_plan_names_the_cases_and_stores_nothing(two, command):
    ended = two(*command, "scenarios", "--seeds", "1..2")
    assert [line.split()[0] for line in ended.output.splitlines()] == [
        "CASE",
        "one.yaml[seed=1]",
        "one.yaml[seed=2]",
        "two.yaml[seed=1]",
        "two.yaml[seed=2]",
        "4",
    ]
    names = [step["name"] for step in two(*command, "scenarios", "--format", "json").json["steps"]]
    assert names == ["one.yaml", "two.yaml"]
    assert runs_in_store(two) == 0


@pytest.mark.parametrize("command", [("plan",), ("run", "--dry-run")])
def test_a_plan_with_an_invalid_file_exits_2_and_says_why(two, command):
    two.write("scenarios/broken.yaml", BROKEN)
    ended = two(*command, "scenarios", code=2)
    assert "broken.yaml" in ended.output
    assert "error[D101]" in ended.errors


# Values, sweeps, seeds


def test_values_are_set_and_swept_and_stand_in_the_names(two):
    ended = two("run", "scenarios/one.yaml", "--set", "duration=3s", "--sweep", "seed=1,2", "--format", "json")
    assert sorted(ended.outcomes) == ["one.yaml[seed=1]", "one.yaml[seed=2]"]
    assert {case["output"]["simulated_s"] for case in ended.cases.values()} == {3.0}
    assert {name: case["output"]["seed"] for name, case in ended.cases.items()} == {
        "one.yaml[seed=1]": 1,
        "one.yaml[seed=2]": 2,
    }


def test_every_combination_of_two_sweeps_is_a_case(two):
    ended = two("plan", "scenarios/one.yaml", "--sweep", "seed=1,2", "--sweep", "duration=1s,2s", "--format", "json")
    assert [step["name"] for step in ended.json["steps"]] == [
        f"one.yaml[seed={seed},duration={duration}]" for seed in (1, 2) for duration in ("1s", "2s")
    ]


def test_seeds_run_every_case_once_with_each(two):
    ended = two("run", "scenarios/one.yaml", "--seeds", "3..5", "--format", "json")
    assert {case["output"]["seed"]: name for name, case in ended.cases.items()} == {
        seed: f"one.yaml[seed={seed}]" for seed in (3, 4, 5)
    }
    assert len(set(ended.fingerprints.values())) == 3


def test_one_seed_gives_each_case_its_own_whatever_runs_at_once(two):
    seeds = []
    for parallel in (1, 2):
        ended = two("run", "scenarios", "--seed", 7, "--parallel", parallel, "--format", "json")
        seeds.append({name: case["output"]["seed"] for name, case in ended.cases.items()})
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0].values())) == 2
    other = two("run", "scenarios", "--seed", 8, "--format", "json")
    assert not {case["output"]["seed"] for case in other.cases.values()} & set(seeds[0].values())


def test_neither_parallelism_nor_speed_changes_what_happens(two):
    found = [
        two("run", "scenarios", *options, "--format", "json").fingerprints
        for options in (("--parallel", 1), ("--parallel", 2), ("--speed", 200, "-p", 2), ("--speed", "max"))
    ]
    assert found[1:] == found[:1] * 3
    assert len(set(found[0].values())) == 2


# What is printed and written


def test_text_is_a_line_per_case_and_a_summary(two):
    two.write("scenarios/worse.yaml", received=100_000)
    lines = two("run", "scenarios", code=1).output.splitlines()
    assert lines[0].startswith("scenarios: 3 cases, ")
    assert any(line.startswith("passed     one.yaml") for line in lines)
    assert any(line.startswith("failed     worse.yaml") for line in lines)
    assert any("B.received > 100000  ended with " in line for line in lines)
    assert any(line.startswith("scenarios failed: 2 passed, 1 failed in ") for line in lines)
    assert "next: podium show " in "\n".join(lines)


def test_jsonl_is_the_record_of_the_run(two):
    ended = two("run", "scenarios", "--format", "jsonl")
    kinds = [event["kind"] for event in ended.events]
    assert kinds[0] == "run_started"
    assert kinds[-1] == "run_finished"
    assert kinds.count("step_finished") == 2
    assert two("replay", "--format", "jsonl").output == ended.output


def test_json_is_one_object_about_the_run(two):
    ended = two("run", "scenarios", "--format", "json")
    assert ended.json["outcome"] == "passed"
    assert ended.json["counts"] == {"passed": 2}
    assert ended.json["run"] == two.runs()[0]["id"]


def test_junit_and_campaign_json_are_written(two):
    two.write("scenarios/worse.yaml", received=100_000)
    ended = two("run", "scenarios", "--junit", "out/junit.xml", "--campaign-json", "campaigns", code=1)
    suite = ET.parse(two.folder / "out/junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    (file,) = (two.folder / "campaigns").iterdir()
    assert f"wrote campaigns/{file.name}" in ended.errors
    document = json.loads(file.read_text())
    assert list(document) == [
        "campaign_id",
        "timestamp",
        "total_scenarios",
        "passed",
        "failed",
        "pass_rate",
        "parallel_limit",
        "speed_multiplier",
        "results",
    ]
    assert (document["total_scenarios"], document["passed"], document["failed"]) == (3, 2, 1)
    assert file.name == f"campaign_{document['campaign_id']}.json"
    assert document["results"]["one.yaml"]["scenario_path"] == "scenarios/one.yaml"


def test_files_that_cannot_be_written_are_refused_before_the_run(two):
    (two.folder / "file").write_text("")
    for option in ("--junit=file/x.xml", "--junit=scenarios", "--campaign-json=file", "--campaign-json=file/x"):
        assert "cannot be written" in two.refused("run", "scenarios", option, code=5, error="E502")
    assert two.runs() == []


def test_a_reader_that_goes_away_changes_nothing(two):
    two.write("scenarios/worse.yaml", received=100_000)
    for format_ in ("text", "json", "jsonl"):
        process = two.start("run", "scenarios", "--format", format_)
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        assert process.wait(30) == 1
        assert errors == ""
    assert [run["outcome"] for run in two.runs()] == ["failed"] * 3


def test_a_full_or_closed_standard_output_is_told_without_a_traceback(two):
    for redirection, code in ((">/dev/full", 5), (">&-", 0), (">&- 2>&- <&-", 0)):
        shell = f'"$0" run scenarios {redirection}'
        command = ["sh", "-c", shell, two.command]
        ended = subprocess.run(
            command, check=False, cwd=two.folder, env=two.environment, capture_output=True, text=True, timeout=30
        )
        assert ended.returncode == code, ended.stderr
        assert "Traceback" not in ended.stderr
        assert ("error[E502]: standard output cannot be written" in ended.stderr) == (code == 5)
    assert [run["outcome"] for run in two.runs()] == ["passed"] * 3


# What does not pass


def test_a_timeout_ends_a_case_and_leaves_no_process(podium, nothing_left):
    podium.write("long.yaml", duration="1h")
    began = time.monotonic()
    ended = podium("run", "long.yaml", "--speed", 1, "--timeout", "1s", "--format", "json", code=1)
    assert time.monotonic() - began < 15
    assert ended.outcomes == {"long.yaml": "timed_out"}
    assert nothing_left(ended.pid)


def test_a_deadline_ends_the_whole_run(podium, nothing_left):
    for n in range(3):
        podium.write(f"s/case_{n}.yaml", duration="1h")
    ended = podium("run", "s", "--speed", 1, "-p", 1, "--deadline", "1s", "--format", "json", code=1)
    assert ended.json["outcome"] == "timed_out"
    assert set(ended.outcomes.values()) == {"cancelled"}
    assert nothing_left(ended.pid)


def test_a_case_that_needs_too_much_memory_harms_no_other(podium):
    podium.write("scenarios/big.yaml", BIG)
    podium.write("scenarios/small.yaml")
    ended = podium("run", "scenarios", "--memory", "160MiB", "-p", 2, "--format", "json", code=1)
    assert ended.outcomes == {"big.yaml": "errored", "small.yaml": "passed"}
    assert "160 MiB of memory" in ended.cases["big.yaml"]["failure"]["message"]


def test_without_criteria_nothing_was_checked_so_nothing_passes(podium):
    podium.write("case.yaml", received=None)
    ended = podium("run", "case.yaml", "--format", "json", code=1)
    assert ended.outcomes == {"case.yaml": "errored"}
    assert "no criteria" in ended.cases["case.yaml"]["failure"]["message"]


# Several runs


def test_runs_begun_in_the_same_second_are_both_kept(two):
    processes = [two.start("run", "scenarios", "--campaign-json", "campaigns") for _ in range(3)]
    for process in processes:
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 0, output + errors
    assert [run["outcome"] for run in two.runs()] == ["passed"] * 3
    assert len(list((two.folder / "campaigns").iterdir())) == 3


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["rnu", "scenarios"], "U400", "did you mean `run`?"),
        (["run"], "U400", "`PATHS` is missing"),
        (["run", "scenarios", "--seeed", "1"], "U400", "did you mean `--seed`?"),
        (["run", "scenarios", "--nonsense"], "U400", "`podium run --help`"),
        (["run", "nope"], "U430", "no file or folder `nope`"),
        (["run", "scenarios", "--set", "duration"], "U420", "key=value"),
        (["run", "scenarios", "--set", "duration.x=1"], "U421", "duration.x"),
        (["run", "scenarios", "--sweep", "seed"], "U422", "key=a,b,c"),
        (["run", "scenarios", "--sweep", "seed=1", "--sweep", "seed=2"], "U422", "--sweep seed=1,2"),
        (["run", "scenarios", "--seeds", "5..1"], "U423", "A..B"),
        (["run", "scenarios", "--seeds", ""], "U423", "A..B"),
        (["run", "scenarios", "--seeds", "-3"], "U423", "0 or more"),
        (["run", "scenarios", "--seeds", "1..99999999999999999999"], "U423", "more than 100,000"),
        (["run", "scenarios", "--seed", "1", "--seeds", "1..2"], "U400", "exclude"),
        (["run", "scenarios", "--seed", "-1"], "U400", "`--seed`"),
        (["run", "scenarios", "--speed", "nan"], "U400", "no speed"),
        (["run", "scenarios", "--speed", "fast"], "U400", "such as 100, or max"),
        (["run", "scenarios", "--timeout", "3kg"], "U400", "unknown unit 'kg'"),
        (["run", "scenarios", "--timeout", "0s"], "U400", "leaves no time"),
        (["run", "scenarios", "--deadline", "soon"], "U400", "`--deadline`"),
        (["run", "scenarios", "--parallel", "0"], "U400", "or auto"),
        (["run", "scenarios", "--attempts", "0"], "U400", "`--attempts`"),
        (["run", "scenarios", "--memory", "3"], "U400", "no unit"),
        (["run", "scenarios", "--format", "xml"], "U400", "'jsonl'"),
    ],
)
def test_a_mistake_is_told_and_stores_nothing(two, arguments, error, words):
    message = two.refused(*arguments, error=error)
    assert words in message
    assert runs_in_store(two) == 0


@pytest.mark.parametrize(
    ("assignment", "error"), [("duration=5", "D124"), ("duration=5 parsec", "D124"), ("nodse=1", "D121")]
)
def test_a_value_that_makes_the_documents_invalid_is_told_in_full(two, assignment, error):
    assert "hint: " in two.refused("run", "scenarios/one.yaml", "--set", assignment, error=error)
    assert runs_in_store(two) == 0


def test_a_folder_without_scenarios_exits_4(podium):
    (podium.folder / "empty").mkdir()
    assert "podium init" in podium.refused("run", "empty", code=4, error="U404")


def test_a_store_that_is_none_exits_5(two):
    (two.folder / "text").write_text("just text")
    assert "--store" in two.refused("run", "scenarios", "--store", "text", code=5, error="E514")
    assert "PODIUM_STORE" in two.refused("run", "scenarios", "--store", "text/x.db", code=5, error="E501")
    assert (two.folder / "text").read_text() == "just text"
    assert "text" in two.refused("run", "scenarios", code=5, error="E514", PODIUM_STORE="text")
