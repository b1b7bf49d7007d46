import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from podium.analysis.campaign_json import campaign_document, write_campaign
from podium.errors import EnvironmentProblemError, UsageError
from podium.events import Failure
from podium.history import RunRow, StepRow

KEYS = [
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
NOON_US = 1_767_355_445_000_007  # 2026-01-02 12:04:05.000007 UTC
RUN_ID = "019b7e9a-1111-7222-8333-0123456789ab"


@pytest.fixture(autouse=True)
def in_a_zone_two_hours_east(monkeypatch):
    monkeypatch.setenv("TZ", "XXX-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def run(steps=2, *, run_id=RUN_ID, **options):
    return RunRow(
        id=run_id,
        work="campaign",
        name="c",
        parent=None,
        definition="d",
        steps=steps,
        slots=3,
        seed=0,
        options=options,
        engine="",
        started_us=NOON_US,
        finished_us=None,
        outcome="failed",
        counts={},
        duration=1.0,
    )


def step(name="nominal", outcome="passed", **more):
    return StepRow(run=RUN_ID, name=name, outcome=outcome, attempts=1, finished_us=NOON_US + 1_500_000, **more)


def document(name="20260102_140405_01234567"):
    return {"campaign_id": name, "results": {}}


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def test_the_document_has_exactly_the_nine_keys():
    found = campaign_document(run(speed=20), [step(), step("thermal", "failed")])
    assert list(found) == KEYS
    assert {key: found[key] for key in KEYS[:-1]} == {
        "campaign_id": "20260102_140405_01234567",
        "timestamp": "2026-01-02T14:04:05.000007+02:00",
        "total_scenarios": 2,
        "passed": 1,
        "failed": 1,
        "pass_rate": 0.5,
        "parallel_limit": 3,
        "speed_multiplier": 20.0,
    }
    assert list(found["results"]) == ["nominal", "thermal"]


def test_the_timestamp_has_microseconds_even_if_there_are_none():
    whole = msgspec.structs.replace(run(), started_us=0)
    timestamp = campaign_document(whole, [])["timestamp"]
    assert timestamp == "1970-01-01T02:00:00.000000+02:00"
    assert datetime.fromisoformat(timestamp).timestamp() == 0


@pytest.mark.parametrize("outcome", ["failed", "errored", "timed_out", "skipped", "cancelled"])
def test_everything_that_did_not_pass_failed(outcome):
    found = campaign_document(run(), [step(), step("other", outcome)])
    assert (found["passed"], found["failed"]) == (1, 1)
    assert found["results"]["other"]["success"] is False


def test_a_step_that_never_ended_counts_as_failed():
    found = campaign_document(run(4), [step()])
    assert (found["total_scenarios"], found["passed"], found["failed"], found["pass_rate"]) == (4, 1, 3, 0.25)


def test_a_campaign_of_nothing_has_a_pass_rate_of_zero():
    found = campaign_document(run(0), [])
    assert (found["total_scenarios"], found["pass_rate"], found["results"]) == (0, 0.0, {})


def test_a_result_is_the_output_and_what_the_campaign_adds():
    output = {"scenario": "Nominal", "criteria": ({"name": "hot", "margin": 2.5},), "success": "maybe"}
    result = campaign_document(run(), [step(output=output)], paths={"nominal": "s/nominal.yaml"})["results"]["nominal"]
    assert result == {
        "scenario": "Nominal",
        "criteria": [{"name": "hot", "margin": 2.5}],
        "success": True,
        "scenario_name": "nominal",
        "scenario_path": "s/nominal.yaml",
        "execution_timestamp": "2026-01-02T14:04:06.500007+02:00",
    }


def test_an_output_that_is_no_object_stands_under_output():
    assert campaign_document(run(), [step(output=[1, 2])])["results"]["nominal"]["output"] == [1, 2]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"failure": Failure("Timeout", "took too long")}, "took too long"),
        ({"reason": "`a` did not pass"}, "`a` did not pass"),
    ],
)
def test_a_result_tells_why_it_did_not_pass(more, error):
    assert campaign_document(run(), [step(outcome="errored", **more)])["results"]["nominal"]["error"] == error


@pytest.mark.parametrize(
    ("paths", "path"),
    [
        (["a/nominal.yaml", "b/thermal.yaml"], "a/nominal.yaml"),
        (["a/nominal.yaml", "b/nominal.yaml"], None),
        (["a"], None),
        ("nominal", None),
    ],
)
def test_the_path_is_the_only_one_given_whose_file_name_fits(paths, path):
    result = campaign_document(run(paths=paths), [step()])["results"]["nominal"]
    assert result["scenario_path"] == path


@pytest.mark.parametrize(("options", "speed"), [({"speed": "max"}, 0.0), ({}, 0.0), ({"speed": "2.5"}, 2.5)])
def test_as_fast_as_possible_is_a_speed_of_zero(options, speed):
    assert campaign_document(run(**options), [])["speed_multiplier"] == speed


@pytest.mark.parametrize("speed", ["fast", -1, None, float("nan"), float("inf")])
def test_a_speed_that_makes_no_sense_is_refused(speed):
    with pytest.raises(UsageError, match="speed"):
        campaign_document(run(speed=speed), [])


def test_a_run_id_that_is_no_uuid_is_refused():
    with pytest.raises(UsageError, match="UUID"):
        campaign_document(run(run_id="r1"), [])


@pytest.mark.parametrize("output", [{"a": float("nan")}, {"a": object()}])
def test_an_output_that_is_not_json_is_refused_with_its_step(output):
    with pytest.raises(UsageError, match="`nominal`"):
        campaign_document(run(), [step(output=output)])


def test_a_written_campaign_reads_back_the_same(tmp_path):
    written = campaign_document(run(speed=5), [step(output={"unit": "°C", "t": (1, 2)})])
    path = write_campaign(tmp_path / "new" / "results", written)
    assert path == tmp_path / "new" / "results" / "campaign_20260102_140405_01234567.json"
    assert json.loads(path.read_bytes()) == written
    assert '\n  "timestamp": ' in path.read_text()
    assert names_in(path.parent) == [path.name]


def test_a_name_that_is_taken_gets_a_number_and_replaces_nothing(tmp_path):
    names = [write_campaign(tmp_path, {**document(), "passed": number}).name for number in range(3)]
    stem = "campaign_20260102_140405_01234567"
    assert names == [f"{stem}.json", f"{stem}_2.json", f"{stem}_3.json"]
    assert [json.loads((tmp_path / name).read_text())["passed"] for name in names] == [0, 1, 2]


def no_hard_links(*_):
    raise PermissionError("no hard links here")


@pytest.mark.parametrize("links", [True, False])
def test_campaigns_written_at_once_do_not_lose_each_other(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_hard_links)
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda n: write_campaign(tmp_path, {**document(), "passed": n}), range(24)))
    assert len(set(paths)) == 24
    assert [json.loads(path.read_text())["passed"] for path in paths] == list(range(24))
    assert len(names_in(tmp_path)) == 24


@pytest.mark.parametrize("links", [True, False])
def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch, links):
    def fail(*_):
        raise OSError("disk full")

    if links:
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "hardlink_to", no_hard_links)
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(EnvironmentProblemError, match="disk full"):
        write_campaign(tmp_path, document())
    assert names_in(tmp_path) == []


def test_a_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblemError, match="cannot write"):
        write_campaign(tmp_path / "file", document())


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_a_document_that_is_not_json_is_refused_and_not_written(tmp_path, value):
    with pytest.raises(UsageError, match="not JSON"):
        write_campaign(tmp_path, {**document(), "passed": value})
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("name", ["../escape", "", ".hidden", None, "a/b", "a\n"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="campaign id"):
        write_campaign(tmp_path / "results", document(name))
    assert names_in(tmp_path) == []
