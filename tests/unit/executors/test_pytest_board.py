import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.executors.pytest_host import board


@pytest.fixture
def make():
    made = []

    def make(chunks, slots=2):
        made.append(board.Board(chunks, slots))
        for slot in range(slots):
            made[-1].assign(slot, 0, 0)
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_worker_takes_a_chunk_position_by_position_then_the_next(make):
    shared = make([(3, 5), (0, 2)], slots=1)
    assert [shared.first(0), *(shared.claim(0)[0] for _ in range(4))] == [3, 4, 0, 1, None]


def test_an_idle_worker_takes_the_second_half_of_what_takes_long(make, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(board.time, "monotonic", lambda: now[0])
    shared = make([(0, 10)])
    assert shared.first(0) == 0
    shared.begin(0, 0)
    now[0] += 1.0
    assert shared.first(1) == 5
    taken = []
    position = 0
    while position is not None:
        taken.append(position)
        shared.begin(0, position)
        position, _ = shared.claim(0)
        if position == 4:
            shared.stop()
    assert taken == [0, 1, 2, 3, 4]


def test_what_a_dead_worker_had_before_it_is_left(make):
    shared = make([(0, 10)])
    assert shared.first(0) == 0
    shared.begin(0, 0)
    assert shared.running(0)[0] == 0
    assert shared.left_by(0) == (1, 10)
    shared.assign(0, 1, 10)
    assert shared.running(0) is None
    assert shared.first(0) == 1
    shared.begin(0, 1)
    assert shared.claim(0)[0] == 2
    assert shared.left_by(0) == (2, 10), "the next was claimed and not begun"
    assert shared.left_by(0) == (0, 0)


def test_nothing_is_taken_after_a_stop(make):
    shared = make([(0, 2), (2, 4)])
    assert shared.first(0) == 0
    shared.stop()
    assert shared.stopped
    assert shared.claim(0) == (None, 0.0)
    assert shared.first(1) is None


@given(st.lists(st.integers(1, 6), max_size=8), st.randoms(use_true_random=False))
def test_every_position_is_run_once_whoever_asks(sizes, random):
    chunks, start = [], 0
    for size in sizes:
        chunks.append((start, start + size))
        start += size
    shared = board.Board(chunks, 3)
    before, board._WORTH_STEALING = board._WORTH_STEALING, -1.0
    try:
        at = {}
        ran = []
        for slot in range(3):
            shared.assign(slot, 0, 0)
            at[slot] = shared.first(slot)
        while any(position is not None for position in at.values()):
            slot = random.choice([slot for slot, position in at.items() if position is not None])
            ran.append(at[slot])
            shared.begin(slot, at[slot])
            at[slot] = shared.claim(slot)[0]
            shared.finish(slot)
        assert sorted(ran) == list(range(start))
    finally:
        board._WORTH_STEALING = before
        shared.close()
