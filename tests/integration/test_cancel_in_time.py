"""A cancelled step and all that it started are dead within the grace and one second more."""

import sys
import threading
import time

import psutil
import pytest

from podium.events import AttemptFinished, CancelRequested, RunFinished
from podium.plan.graph import Plan, Step
from podium.plan.policy import Policy
from podium.protocols import Work
from podium.runtime.interrupts import Interrupts
from podium.session import Session

GRACE = 0.5
SPAWNING = """\
import os, signal, subprocess, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", sleeper])
far = subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True)
Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid} {far.pid}")
time.sleep(60)
"""


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pids_in(path):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        text = path.read_text() if path.exists() else ""
        if len(text.split()) == 3:
            return [int(pid) for pid in text.split()]
        time.sleep(0.02)
    raise AssertionError("the step did not start")


def step_of(kind, told):
    if kind == "command":
        work = Work("command", {"argv": [sys.executable, "-c", SPAWNING, str(told)]})
    else:
        code = f"import sys; sys.argv = ['x', {str(told)!r}]\n{SPAWNING}"
        work = Work("python", {"callable": "timeit:timeit", "args": {"stmt": code, "number": 1}})
    return Step("stubborn", work, policy=Policy(grace=GRACE))


@pytest.mark.parametrize("kind", ["command", "python"])
def test_a_step_that_ignores_being_asked_is_dead_in_time_with_all_it_started(kind, tmp_path):
    told = tmp_path / "pids"
    interrupts = Interrupts()
    pids = []

    def cancel():
        pids.extend(pids_in(told))
        interrupts.request("SIGINT")

    with Session.open(tmp_path / "podium.db") as session:
        thread = threading.Thread(target=cancel)
        thread.start()
        summary = session.run(Plan.of("p", [step_of(kind, told)], work="workflow"), interrupts=interrupts)
        thread.join()
        assert [pid for pid in pids if is_alive(pid)] == []
        assert summary.outcome == "cancelled"
        events = [record.event for record in session.store.read(summary.run)]
    (asked,) = [event for event in events if isinstance(event, CancelRequested)]
    (ended,) = [event for event in events if isinstance(event, AttemptFinished)]
    assert isinstance(events[-1], RunFinished)
    assert GRACE <= (ended.at_us - asked.at_us) / 1e6 <= GRACE + 1.0
