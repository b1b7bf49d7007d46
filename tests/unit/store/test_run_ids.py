"""Ids of runs: ordered, unique, and telling when they were made."""

import subprocess
import sys
import threading
import time
import uuid

from podium.store import new_run_id
from podium.store.run_ids import RunIds


def test_run_ids_are_uuids_of_version_7_ordered_and_unique():
    ids = [new_run_id() for _ in range(20_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    for text in ids[::1000]:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (7, uuid.RFC_4122, text)


def test_a_run_id_says_when_it_was_made_and_is_random_for_the_rest():
    moment = 0x0190_1234_5678
    made = uuid.UUID(RunIds(lambda: moment, lambda count: b"\xff" * count).new())
    assert made.int >> 80 == moment
    assert made.int & ((1 << 62) - 1) == (1 << 62) - 1
    assert RunIds(lambda: moment).new() != RunIds(lambda: moment).new()


def test_run_ids_grow_when_the_clock_stands_still_or_goes_back():
    moments = iter([*[1000] * 9000, *[500] * 9000, *[1001] * 10, 2000])
    ids = RunIds(lambda: next(moments), lambda count: b"\x00" * count)
    made = [ids.new() for _ in range(18_011)]
    assert made == sorted(set(made))
    assert {uuid.UUID(text).version for text in made} == {7}
    assert uuid.UUID(made[-1]).int >> 80 == 2000


def test_run_ids_differ_although_threads_ask_at_the_same_moment():
    class Slow(int):
        """Gives other threads a chance while it is compared."""

        def __le__(self, other):
            result = int(self) <= int(other)
            time.sleep(0.001)
            return result

    ids = RunIds(lambda: Slow(1000), lambda count: b"\x00" * count)
    made = []
    threads = [threading.Thread(target=lambda: made.extend(ids.new() for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 40


def test_run_ids_made_by_threads_and_processes_are_unique():
    made = []

    def make():
        made.extend(new_run_id() for _ in range(2000))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    program = "from podium.store import new_run_id\nfor _ in range(2000): print(new_run_id())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for thread in threads:
        thread.join()
    made += other.stdout.split()
    assert len(set(made)) == 10_000
