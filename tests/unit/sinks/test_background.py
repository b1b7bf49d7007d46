import threading
import time

import pytest

from podium.sinks.background import Background


class Slow:
    """Takes records only when it is let to."""

    def __init__(self):
        self.may = threading.Event()
        self.taken = []
        self.closed = False

    def emit(self, run, records):
        self.may.wait(10)
        self.taken.extend(records)

    def close(self):
        self.closed = True


class Broken:
    def emit(self, run, records):
        raise ValueError("no room")

    def close(self):
        raise AssertionError("not reached")


def test_a_sink_that_takes_its_time_holds_up_nobody_and_loses_nothing():
    slow = Slow()
    sink = Background(slow)
    for number in range(100):
        sink.emit("run", [number])
    assert slow.taken == []
    slow.may.set()
    sink.close()
    assert (slow.taken, slow.closed) == (list(range(100)), True)
    sink.close()


def test_what_a_sink_raises_is_raised_where_the_next_batch_is_given():
    sink = Background(Broken())
    sink.emit("run", [1])
    deadline = time.monotonic() + 10
    while sink._thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.001)
    with pytest.raises(ValueError, match="no room"):
        sink.emit("run", [2])
    with pytest.raises(ValueError, match="no room"):
        sink.close()
