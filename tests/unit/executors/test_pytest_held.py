"""How far one process has come with its tests, as the one that sees after it knows."""

import contextlib
import os
from types import SimpleNamespace

import hypothesis.strategies as st
from hypothesis import given

from podium.executors.pytest_host.held import Held, Progress, order_of
from podium.executors.pytest_host.inprocess import InProcess


class Process(InProcess):
    """Runs tests of which it is known what comes of them, until it dies over one."""

    def __init__(self, count, goes_bad, tries):
        config = SimpleNamespace(getini=lambda name: [], option=SimpleNamespace(maxfail=0))
        session = SimpleNamespace(items=[None] * count, config=config, testsfailed=0)
        super().__init__(session, None, SimpleNamespace(waiting=lambda: None))
        self.goes_bad = goes_bad
        self.left = tries

    def tries(self, plan):
        """Return the tries until it died or ended: test, attempt, turn and whether it went bad."""
        self.made = []
        with contextlib.suppress(StopIteration):
            self.run(plan)
        return self.made

    def _all(self, order):
        for test in order:
            one = (test, self._attempt, self._turn)
            bad = one in self.goes_bad
            self.made.append((*one, bad))
            if bad:
                self._bad.append(test)
            self.left -= 1
            if self.left == 0:
                raise StopIteration


TESTS, ATTEMPTS, TURNS = 5, 3, 3
TRIES = st.tuples(st.integers(0, TESTS - 1), st.integers(1, ATTEMPTS), st.integers(1, TURNS))


@st.composite
def plans(draw):
    order = draw(st.none() | st.permutations(range(TESTS)).map(lambda order: order[: draw(st.integers(1, TESTS))]))
    middle = draw(st.integers(0, TESTS if order is None else len(order)))
    end = TESTS if order is None else len(order)
    chunks = [[middle, end], [0, middle]]
    repeat = draw(st.integers(1, TURNS))
    retries = draw(st.integers(0, ATTEMPTS - 1))
    return {"order": order, "chunks": chunks, "retries": retries, "repeat": repeat, "until_fail": draw(st.booleans())}


@given(plans(), st.sets(TRIES), st.lists(st.integers(1, 12), max_size=12))
def test_processes_that_die_over_tests_do_together_what_one_would_have_done(plan, goes_bad, deaths):
    whole = Process(TESTS, goes_bad, 0).tries(plan)
    progress = Progress(plan, TESTS)
    told, made = plan, []
    for tries in [*deaths, 0]:
        # The test over which a process dies goes bad: that is what this example says of it, too.
        some = Process(TESTS, goes_bad, tries).tries(told)
        made += some
        for test, attempt, turn, bad in some:
            progress.take(test, attempt, turn, bad=bad)
        if not some:
            break
        _, attempt, turn, _ = some[-1]
        rest = progress.rest(attempt, turn)
        if rest is None:
            break
        told = {**plan, "rest": [turn, attempt, *rest]}
    assert made == whole
    assert not whole or all(progress.has(*one[:3]) for one in whole[-1:])


@given(plans())
def test_nothing_follows_the_end(plan):
    progress = Progress(plan, TESTS)
    for turn in range(1, plan["repeat"] + 1):
        for test in progress.order:
            progress.take(test, 1, turn, bad=False)
            is_last = (turn, test) == (plan["repeat"], progress.order[-1])
            assert (progress.rest(1, turn) is None) == is_last


def test_one_process_ends_between_repetitions_if_it_is_told_to():
    process = Process(1, set(), 9)
    process._channel = SimpleNamespace(waiting=lambda: {"stop": "why"})
    plan = {"order": None, "chunks": [[0, 1]], "retries": 0, "repeat": 3, "until_fail": False}
    assert process.tries(plan) == [(0, 1, 1, False)]
    assert process.broken_off


def test_one_process_runs_tests_as_they_were_collected_not_in_chunks():
    assert order_of({"order": None, "chunks": [[2, 4], [0, 2]]}, 4) == [0, 1, 2, 3]
    assert order_of({"order": [7, 5, 3], "chunks": [[1, 3], [0, 1]]}, 9) == [7, 5, 3]


def test_what_is_held_is_seen_by_both_and_not_changed_by_what_was_forked():
    held = Held()
    assert held.test is None
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        held.begin(3, 2, 1)
        if os.fork() == 0:
            held.begin(9, 9, 9)
            held.end()
            os._exit(0)
        os.wait()
        os._exit(0)
    os.close(writing)
    os.close(reading)
    os.waitpid(pid, 0)
    assert held.test == (3, 2, 1)
    assert held.since > 0
    held.clear()
    assert held.test is None
    held.begin(4, 1, 1)
    assert held.test == (4, 1, 1)
    held.end()
    assert held.test is None
