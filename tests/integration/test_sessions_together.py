"""Several runs in one process, and a process to which things happen while it conducts one."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import psutil
import pytest

from podium.api.campaigns import execute_campaign
from podium.errors import EnvironmentProblemError, StoreError, UsageError
from podium.events import AttemptLost, RunResumed, RunStarted
from podium.plan.campaign import CampaignOptions, plan_campaign
from podium.protocols import content_digest
from podium.runtime import ownership
from podium.session import Session
from podium.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX")

EXAMPLES = Path(__file__).parents[2] / "examples" / "02-documented-format"
NOMINAL, CASCADE = EXAMPLES / "nominal.yaml", EXAMPLES / "cascade_fail.yaml"


def plan(*paths, **options):
    return plan_campaign(paths or [NOMINAL, CASCADE], CampaignOptions(**options)).plan


def lost_attempts(store):
    records = [record for row in store.runs() for record in store.read(row.id)]
    return [record.event for record in records if isinstance(record.event, AttemptLost)]


def test_a_session_that_ends_leaves_the_workers_of_another_one_alone(tmp_path):
    summaries = {}

    def run(name, **options):
        with Session.open(tmp_path / "podium.db") as session:
            summaries[name] = session.run(plan(NOMINAL, **options))

    threads = [
        threading.Thread(target=run, args=("long",), kwargs={"speed": 600.0}),
        threading.Thread(target=run, args=("short",)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {name: summary.outcome for name, summary in summaries.items()} == {"long": "passed", "short": "passed"}
    assert summaries["short"].duration < summaries["long"].duration
    with closing(Store.open(tmp_path / "podium.db")) as store:
        assert lost_attempts(store) == []


def test_campaigns_gathered_in_one_loop_all_pass_and_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def main():
        return await asyncio.gather(
            execute_campaign([NOMINAL], parallel=1, speed=None),
            execute_campaign([CASCADE, NOMINAL], parallel=2, speed=None),
            execute_campaign([NOMINAL], parallel=1, speed=900.0),
        )

    found = asyncio.run(main())
    assert [{name: result["success"] for name, result in each.items()} for each in found] == [
        {"nominal.yaml": True},
        {"nominal.yaml": True, "cascade_fail.yaml": True},
        {"nominal.yaml": True},
    ]
    with closing(Store.open(Store.locate())) as store:
        assert len(store.runs()) == 3
        assert lost_attempts(store) == []


def owned_by(pid):
    found = []
    for process in psutil.process_iter():
        try:
            owner = process.environ().get(ownership.VARIABLE, "")
            if owner.startswith(f"{pid}:") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def guards_of(pid):
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            if "podium.runtime.guard" in line and line[-1].startswith(f"{pid}:"):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def until(condition, patience=10.0):
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def python(code, *arguments, cwd):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


CAMPAIGNS = """
import asyncio, sys
from podium.api.campaigns import execute_campaign

async def main():
    await asyncio.gather(*(execute_campaign([path], parallel=1, speed=1.0) for path in sys.argv[1:]))
asyncio.run(main())
"""


@pytest.mark.parametrize("paths", [[NOMINAL], [NOMINAL, CASCADE]], ids=["one", "two at once"])
def test_an_interrupt_ends_campaigns_of_an_awaiting_program_soon_and_leaves_no_process(tmp_path, paths):
    with python(CAMPAIGNS, *paths, cwd=tmp_path) as process:
        try:
            until(lambda: len(owned_by(process.pid)) == len(paths))
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=15)
            took = time.monotonic() - begun
        finally:
            process.kill()
    assert took < 3.0
    assert "KeyboardInterrupt" in errors
    assert owned_by(process.pid) == guards_of(process.pid) == []
    with closing(Store.open(next(tmp_path.rglob("*.db")))) as store:
        assert [row.outcome for row in store.runs()] == ["cancelled"] * len(paths)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the start is a time of day")
def test_who_a_process_is_does_not_change_when_the_clock_is_set(monkeypatch):
    before = ownership.identity()
    label = ownership.label("run")
    create_time = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: create_time(process) + 3600.0)
    monkeypatch.setattr(psutil, "boot_time", lambda: 1.0)
    ownership._identity.cache_clear()
    assert ownership.identity() == before
    assert ownership.is_alive(before)
    assert ownership.is_alive(label)


def begun(store, engine):
    """Write a run that has begun, in an engine, and nothing more of it."""
    definition = msgspec.json.encode(plan(NOMINAL))
    digest = content_digest(definition)
    started = RunStarted(
        at_us=1, run="run1", work="campaign", name="n", definition=digest, steps=1, slots=1, engine=engine
    )
    store.append("run1", 1, [started], {digest: definition})


def dead_identity():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    return f"{process.pid}:0-0"


def test_a_run_of_a_host_of_another_name_is_continued_only_when_taken_over(tmp_path, monkeypatch):
    with Session.open(tmp_path / "podium.db") as session:
        begun(session.store, f"{socket.gethostname()}:{dead_identity()}")
        monkeypatch.setattr(socket, "gethostname", lambda: "renamed")
        with pytest.raises(UsageError) as refused:
            session.resume("run1")
        assert refused.value.diagnostics[0].code == "U412"
        assert "--take-over" in refused.value.diagnostics[0].hint
        assert session.resume("run1", take_over=True).outcome == "passed"


def test_the_command_takes_a_run_over(tmp_path):
    with closing(Store.open(tmp_path / "podium.db")) as store:
        begun(store, "elsewhere:1:0-0")
    command = [sys.executable, "-m", "podium", "resume", "run1", "--store", str(tmp_path / "podium.db")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=tmp_path)
    assert (refused.returncode, refused.stderr[:11]) == (2, "error[U412]"), refused
    taken = subprocess.run([*command, "--take-over"], capture_output=True, text=True, timeout=20, check=False)
    assert taken.returncode == 0, taken


SHORT = """
kind: scenario
name: short
duration: 1s
nodes:
  A: {type: sensor, to: B, period: 100ms}
  B: {type: gateway}
criteria:
  - at_end: B.received > 0
"""

DESCRIPTORS = """
import pathlib, resource, sys
soft, hard, path, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], pathlib.Path(sys.argv[4])
from podium.errors import EnvironmentProblemError
from podium.plan.campaign import CampaignOptions, plan_campaign
from podium.session import Session
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
with Session.open(store) as session:
    plan = plan_campaign([path], CampaignOptions(parallel=20, seeds=tuple(range(20))))
    try:
        summary = session.run(plan.plan)
    except EnvironmentProblemError as error:
        print(error.diagnostics[0].code, len(session.store.runs()))
    else:
        print(summary.outcome, summary.counts, resource.getrlimit(resource.RLIMIT_NOFILE)[0] > soft)
"""


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [(40, 1000, "passed {'passed': 20} True"), (40, 60, "E503 0")],
    ids=["is raised", "cannot be raised"],
)
def test_a_limit_of_open_files_too_low_for_the_workers(tmp_path, soft, hard, expected):
    scenario = tmp_path / "short.yaml"
    scenario.write_text(SHORT)
    with python(DESCRIPTORS, soft, hard, scenario, tmp_path / "podium.db", cwd=tmp_path) as process:
        output, errors = process.communicate(timeout=30)
    assert output.strip() == expected, errors


class Collect:
    """Keeps what it is shown."""

    def __init__(self):
        self.records = []
        self.closed = 0

    def emit(self, run, records):
        self.records.extend(records)

    def close(self):
        self.closed += 1


class BrokenOnEmit(Collect):
    def emit(self, run, records):
        raise ValueError("cannot show that")


class BrokenOnClose(Collect):
    def close(self):
        super().close()
        raise ValueError("cannot be closed")


class Telling(Collect):
    def close(self):
        raise EnvironmentProblemError("the disk is full", code="E502")


def test_sinks_that_raise_harm_neither_the_run_nor_the_other_sinks(tmp_path, caplog):
    sinks = [BrokenOnEmit(), BrokenOnClose(), Collect()]
    with Session.open(tmp_path / "podium.db") as session:
        summary = session.run(plan(NOMINAL), sinks=sinks)
        records = list(session.store.read(summary.run))
    assert summary.outcome == "passed"
    assert sinks[1].records == sinks[2].records == records
    assert [sink.closed for sink in sinks] == [1, 1, 1]
    assert "BrokenOnEmit raised" in caplog.text
    assert "BrokenOnClose raised while it was closed" in caplog.text


def test_sinks_that_raise_at_the_records_of_a_resumed_run_do_not_keep_it_from_going_on(tmp_path, caplog):
    sinks = [BrokenOnEmit(), BrokenOnClose(), Collect()]
    with Session.open(tmp_path / "podium.db") as session:
        begun(session.store, f"{socket.gethostname()}:{dead_identity()}")
        summary = session.resume("run1", sinks=sinks)
        records = list(session.store.read("run1"))
        again = [BrokenOnEmit(), BrokenOnClose(), Collect()]
        session.replay("run1", sinks=again)
    assert summary.outcome == "passed"
    for shown in (sinks, again):
        assert shown[1].records == shown[2].records == records
        assert shown[2].closed == 1


def continued_elsewhere(path, records):
    """Let this process continue the run, as another one would, behind some records."""
    engine = f"{socket.gethostname()}:{ownership.identity()}"
    with closing(Store.open(path)) as store:
        store.append("run1", records + 1, [RunResumed(at_us=2, engine=engine)])


def after_first(monkeypatch, store, method, then):
    """Do something right after a method of the store was called for the first time."""
    original, begun = getattr(store, method), []

    def called(*arguments, **options):
        found = original(*arguments, **options)
        found = list(found) if method == "read" else found
        if not begun:
            begun.append(True)
            then()
        return found

    monkeypatch.setattr(store, method, called)


@pytest.mark.parametrize("method", ["run", "read"])
def test_of_two_that_continue_a_run_at_once_the_later_one_shows_nothing_and_says_so(tmp_path, monkeypatch, method):
    sinks = [Collect()]
    with Session.open(tmp_path / "podium.db") as session:
        begun(session.store, f"{socket.gethostname()}:{dead_identity()}")
        after_first(monkeypatch, session.store, method, lambda: continued_elsewhere(tmp_path / "podium.db", 1))
        with pytest.raises(UsageError) as refused:
            session.resume("run1", sinks=sinks)
        assert len(list(session.store.read("run1"))) == 2
    assert refused.value.diagnostics[0].code == "U412"
    assert (sinks[0].records, sinks[0].closed) == ([], 0)


def test_of_two_that_take_a_run_over_at_once_the_later_one_shows_nothing(tmp_path, monkeypatch):
    sinks = [Collect()]
    with Session.open(tmp_path / "podium.db") as session:
        begun(session.store, "elsewhere:1:0-0")
        after_first(monkeypatch, session.store, "read", lambda: continued_elsewhere(tmp_path / "podium.db", 1))
        with pytest.raises(StoreError) as refused:
            session.resume("run1", sinks=sinks, take_over=True)
    assert refused.value.diagnostics[0].code == "E511"
    assert (sinks[0].records, sinks[0].closed) == ([], 0)


def test_what_a_sink_has_to_tell_is_told_after_all_others_are_closed(tmp_path):
    sinks = [Telling(), BrokenOnClose(), Collect()]
    with Session.open(tmp_path / "podium.db") as session:
        with pytest.raises(EnvironmentProblemError, match="the disk is full"):
            session.run(plan(NOMINAL), sinks=sinks)
        assert [row.outcome for row in session.store.runs()] == ["passed"]
    assert [sink.closed for sink in sinks[1:]] == [1, 1]


INTERRUPTED_AT_THE_END = """
import os, signal, sys
from podium.executors.workers import WorkerPool

number = getattr(signal, sys.argv.pop(1))
close = WorkerPool.close

async def interrupted(pool):
    os.kill(os.getpid(), number)
    await close(pool)
WorkerPool.close = interrupted
from podium.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_while_workers_are_closed_does_not_cost_the_files_of_the_run(tmp_path, name):
    shutil.copy(NOMINAL, tmp_path / "case.yaml")
    arguments = [name, "run", "case.yaml", "--junit", "junit.xml", "--format", "json"]
    with python(INTERRUPTED_AT_THE_END, *arguments, cwd=tmp_path) as process:
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert json.loads(output)["outcome"] == "passed"
    (suite,) = ET.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("errors")) == ("1", "0")
    assert owned_by(process.pid) == []
