"""`kill -9` while the journal is written: what `append` returned for is there, whole, and in order."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from podium.events import AttemptFinished
from podium.protocols import content_digest
from podium.store import Store

WRITER = """
import random, sys
from pathlib import Path
from podium.events import AttemptFinished, AttemptStarted, RunResumed, RunStarted, StepFinished
from podium.protocols import content_digest
from podium.store import Store

path, run, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = random.Random(seed)
store = Store.open(path)
last = max((record.seq for record in store.read(run)), default=0)
if last:
    first = [RunResumed(at_us=last + 1, engine=str(seed))]
else:
    first = [RunStarted(at_us=1, run=run, work="plan", name="n", definition="0" * 32, steps=1, slots=1)]
batch, blobs = first, {}
while True:
    store.append(run, last + 1, batch, blobs)
    for seq in range(last + 1, last + 1 + len(batch)):
        print(seq, flush=True)
    last += len(batch)
    batch, blobs = [], {}
    steps = rng.choice([1, 1, 2, 5, 40])
    end = last + 3 * steps  # every event of a batch says where its batch ends
    for n in range(steps):
        seq = last + 1 + 3 * n
        name = f"step{seq}" if rng.random() < 0.9 else "again"
        data = f"log of {seq} ".encode() * rng.choice([1, 10, 2000])
        blobs[content_digest(data)] = data
        artifacts = {"log": content_digest(data)}
        batch += [
            AttemptStarted(at_us=end, step=name, number=1, token=seq),
            AttemptFinished(
                at_us=end, step=name, token=seq, outcome="passed", duration=0.1, output=seq, artifacts=artifacts
            ),
            StepFinished(at_us=end, step=name, outcome="passed"),
        ]
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("crash") / "podium.db"


def write_and_kill(path, run, seed):
    """Return what the writer printed before it was killed at a moment of the seed."""
    rng = random.Random(seed)
    command = [sys.executable, "-c", WRITER, str(path), run, str(seed)]
    printed = []
    enough = rng.randint(1, 1500)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            for line in writer.stdout:
                printed.append(line)
                if len(printed) >= enough:
                    break
            time.sleep(rng.random() * 0.01)
        finally:
            os.kill(writer.pid, signal.SIGKILL)
        printed += writer.stdout
    assert writer.returncode == -signal.SIGKILL
    return [int(line) for line in printed if line.endswith("\n")]


def rows(store):
    return [store._connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in ("run", "step")]


@pytest.mark.parametrize("seed", range(12))
def test_after_kill_9_every_event_that_was_confirmed_is_there(path, seed):
    """Rounds of one run continue where the round before was killed."""
    run = f"run{seed % 3}"
    printed = write_and_kill(path, run, seed)
    assert printed
    with closing(Store.open(path)) as store:
        records = list(store.read(run))
        assert [record.seq for record in records] == list(range(1, len(records) + 1)), "no gap"
        assert printed[-1] <= len(records), "what was confirmed is there"
        assert records[-1].event.at_us == len(records), "the last batch is there whole"
        for record in records:
            if isinstance(record.event, AttemptFinished):
                assert record.event.output == record.seq - 1 == record.event.token
                digest = record.event.artifacts["log"]
                assert content_digest(store.blob(digest)) == digest
        assert store._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert store._connection.execute("PRAGMA foreign_key_check").fetchall() == []
        written = rows(store)
        steps = {record.event.step for record in records if isinstance(record.event, AttemptFinished)}
        assert {row.name for row in store.steps(run)} == steps
        store.rebuild()
        assert rows(store) == written


def test_a_killed_writer_leaves_no_lock(path):
    write_and_kill(path, "locked", 99)
    with closing(Store.open(path)) as store:
        begin = time.monotonic()
        last = len(list(store.read("locked")))
        store.append("locked", last + 1, [record.event for record in store.read("locked", last - 1)])
        assert time.monotonic() - begin < 5
