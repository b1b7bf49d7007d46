from collections import deque
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from podium.errors import SimulationError
from podium.sim import kernel as module
from podium.sim.kernel import Kernel, describe
from podium.sim.streams import Stream

SECOND = 1_000_000_000


class Sorted:
    """A kernel as plain as can be: a list, of which the least is taken each time."""

    def __init__(self):
        self.now = 0
        self.waiting = []
        self.scheduled = 0

    def at(self, time, action, *arguments, priority=0):
        self.scheduled += 1
        event = (time, priority, self.scheduled, action, arguments)
        self.waiting.append(event)
        return event

    def cancel(self, event):
        if event not in self.waiting:
            return False
        self.waiting.remove(event)
        return True

    def run(self, until):
        while self.waiting:
            event = min(self.waiting, key=lambda event: event[:3])
            if event[0] > until:
                break
            self.waiting.remove(event)
            self.now = event[0]
            event[3](*event[4])
        self.now = until

    @property
    def pending(self):
        return len(self.waiting)


def play(kernel, script, stops):
    """Let every event do the next part of the script: schedule others, cancel others; return all that was seen."""
    seen = []
    handles = []
    parts = iter(script)

    def execute(number):
        seen.append((kernel.now, number))
        act()

    def act():
        for verb, first, second in next(parts, ()):
            if verb == "schedule":
                handles.append(kernel.at(kernel.now + first, execute, len(handles), priority=second))
            elif handles:
                seen.append(kernel.cancel(handles[first % len(handles)]))

    for stop in sorted(stops):
        act()
        kernel.run(stop)
        seen.append((kernel.now, kernel.pending))
    return seen


part = st.lists(
    st.tuples(st.sampled_from(["schedule", "schedule", "cancel"]), st.integers(0, 6), st.integers(-2, 2)), max_size=8
)


@given(
    st.lists(part, min_size=1, max_size=40),
    st.lists(st.integers(0, 30), min_size=1, max_size=5),
    st.sampled_from([0, 64]),
)
@example([[("schedule", 1, 0), ("schedule", 1, -1), ("schedule", 1, 0), ("cancel", 0, 0), ("cancel", 0, 0)]], [1], 0)
def test_events_are_executed_by_time_then_priority_then_order_of_scheduling(script, stops, compact_from):
    with mock.patch.object(module, "_COMPACT_FROM", compact_from):
        assert play(Kernel(), script, stops) == play(Sorted(), script, stops)


def test_an_event_scheduled_for_the_present_is_executed_in_the_present():
    kernel, seen = Kernel(), []
    kernel.at(5, lambda: kernel.at(5, seen.append, "now", priority=-9))
    kernel.at(5, seen.append, "later")
    kernel.run(5)
    assert seen == ["now", "later"]


def test_scheduling_in_the_past_is_refused_and_names_both_times():
    kernel = Kernel()
    kernel.run(2 * SECOND)
    with pytest.raises(SimulationError, match=r"scheduled at 1\.5 s, before the present 2 s") as caught:
        kernel.at(3 * SECOND // 2, print)
    assert caught.value.diagnostics[0].code == "S601"
    assert kernel.pending == 0


def test_a_negative_delay_is_refused():
    kernel = Kernel()
    with pytest.raises(SimulationError) as caught:
        kernel.after(-1, print)
    assert caught.value.diagnostics[0].code == "S601"


def test_running_into_the_past_is_refused_and_leaves_the_clock():
    kernel = Kernel()
    kernel.run(10)
    kernel.run(10)
    with pytest.raises(SimulationError, match="cannot run until") as caught:
        kernel.run(9)
    assert caught.value.diagnostics[0].code == "S601"
    assert kernel.now == 10


@pytest.mark.parametrize("period", [0, -1])
def test_a_period_below_one_is_refused(period):
    with pytest.raises(SimulationError, match="must be at least 1") as caught:
        Kernel().every(period, print)
    assert caught.value.diagnostics[0].code == "S601"


def test_a_recurrence_that_starts_in_the_past_is_refused():
    kernel = Kernel()
    kernel.run(2)
    with pytest.raises(SimulationError) as caught:
        kernel.every(5, print, start=1)
    assert caught.value.diagnostics[0].code == "S601"


class Node:
    id = "SAT7"

    def fail(self):
        raise ValueError("no power")


@pytest.mark.parametrize("schedule", ["at", "every"])
def test_an_exception_names_node_event_and_time_and_keeps_its_cause(schedule):
    kernel = Kernel()
    if schedule == "at":
        kernel.at(1_500_000_000, Node().fail)
    else:
        kernel.every(SECOND, Node().fail, start=1_500_000_000)
    with pytest.raises(SimulationError) as caught:
        kernel.run(9 * SECOND)
    assert caught.value.diagnostics[0].code == "S602"
    assert "node `SAT7`, event `Node.fail` at 1.5 s: ValueError: no power" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)
    assert kernel.now == 1_500_000_000
    assert kernel.executed == 1


def test_an_exception_without_node_names_the_event_and_one_without_text_its_type():
    def overheat():
        raise KeyError

    kernel = Kernel()
    kernel.at(0, overheat)
    with pytest.raises(SimulationError, match=r"event `.*overheat` at 0 s: KeyError: KeyError") as caught:
        kernel.run(1)
    assert "node `" not in str(caught.value)


def test_a_wrong_use_of_the_kernel_inside_an_event_names_that_event():
    kernel = Kernel()
    node = SimpleNamespace(id="GW")
    kernel.at(5, (lambda _self: kernel.at(4, print)).__get__(node))
    with pytest.raises(SimulationError, match="node `GW`") as caught:
        kernel.run(5)
    assert caught.value.diagnostics[0].code == "S602"
    assert caught.value.__cause__.diagnostics[0].code == "S601"


def test_an_error_that_already_names_its_event_is_passed_on_as_it_is():
    error = SimulationError("criterion", code="S610")

    def fail():
        raise error

    kernel = Kernel()
    kernel.at(0, fail)
    with pytest.raises(SimulationError) as caught:
        kernel.run(1)
    assert caught.value is error


def test_an_action_without_a_name_is_described_by_its_value():
    class Nameless:
        def __call__(self):
            pass

        def __repr__(self):
            return "<nameless>"

    assert describe(Nameless()) == "event `<nameless>`"


def test_cancelling_succeeds_once_and_not_after_execution():
    kernel, seen = Kernel(), []
    taken, kept = kernel.at(1, seen.append, 1), kernel.at(1, seen.append, 2)
    assert kernel.cancel(taken)
    assert not kernel.cancel(taken)
    assert kernel.pending == 1
    kernel.run(1)
    assert not kernel.cancel(kept)
    assert seen == [2]
    assert kernel.pending == 0


def test_an_event_cannot_cancel_itself_while_it_is_executed():
    kernel, answers = Kernel(), []
    own = kernel.at(1, lambda: answers.append(kernel.cancel(own)))
    kernel.run(1)
    assert answers == [False]
    assert kernel.pending == 0


def test_a_cancelled_event_lets_go_of_what_it_held():
    kernel = Kernel()
    event = kernel.at(1, print, "large")
    kernel.cancel(event)
    assert "large" not in str(event)


def test_cancelling_a_hundred_thousand_events_keeps_the_heap_small_and_the_work_constant():
    kernel = Kernel()
    work = 0
    longest = 0
    real = module.heapify

    def counting(heap):
        nonlocal work
        work += len(heap) + kernel._cancelled
        real(heap)

    for time in range(1000):
        kernel.at(10**9 + time, print)
    with mock.patch.object(module, "heapify", counting):
        for time in range(100_000):
            kernel.cancel(kernel.at(time, print))
            longest = max(longest, len(kernel._heap))
    assert longest <= 2 * 1000 + 2
    assert kernel.pending == 1000
    assert work <= 3 * 100_000


def test_cancelling_many_events_that_are_all_pending_costs_constant_work_each():
    kernel = Kernel()
    events = [kernel.at(time, print) for time in range(50_000)]
    with mock.patch.object(module, "heapify", mock.Mock(wraps=module.heapify)) as heapify:
        assert all(kernel.cancel(event) for event in events)
    assert heapify.call_count <= 17
    assert kernel.pending == 0
    assert len(kernel._heap) <= 64


def test_the_order_is_kept_when_most_events_are_cancelled():
    kernel, stream, seen = Kernel(), Stream(1, "times"), []
    times = [round(stream.uniform(0, 10_000)) for _ in range(2000)]
    events = [kernel.at(time, seen.append, (time, number)) for number, time in enumerate(times)]
    for number in range(2000):
        if number % 5:
            kernel.cancel(events[number])
    assert len(kernel._heap) < 1000
    kernel.run(10_000)
    assert seen == sorted((times[number], number) for number in range(0, 2000, 5))


def test_a_recurrence_is_executed_at_its_start_and_after_every_period():
    kernel, times = Kernel(), []
    kernel.every(3, lambda: times.append(kernel.now), start=2)
    kernel.run(11)
    assert times == [2, 5, 8, 11]
    assert kernel.now == 11
    assert kernel.executed == 4


def test_a_recurrence_keeps_its_priority():
    kernel, seen = Kernel(), []
    kernel.every(1, lambda: seen.append("last"), priority=1)
    kernel.every(1, lambda: seen.append("first"), priority=-1)
    kernel.every(1, lambda: seen.append("middle"))
    kernel.at(1, seen.append, "earlier")
    kernel.run(1)
    assert seen == ["first", "middle", "last", "first", "earlier", "middle", "last"]


def test_a_recurrence_can_cancel_itself_and_be_cancelled_again():
    kernel, times = Kernel(), []

    def once():
        times.append(kernel.now)
        if len(times) == 2:
            recurrence.cancel()

    recurrence = kernel.every(4, once)
    kernel.run(100)
    recurrence.cancel()
    assert times == [0, 4]
    assert kernel.pending == 0


def test_a_recurrence_can_be_cancelled_before_its_start():
    kernel, seen = Kernel(), []
    kernel.every(1, lambda: seen.append(1), start=5).cancel()
    kernel.run(10)
    assert seen == []


def test_a_run_stops_exactly_at_its_end_and_goes_on_from_there():
    kernel, seen = Kernel(), []
    for time in (9, 10, 11):
        kernel.at(time, seen.append, time)
    kernel.run(10)
    assert (kernel.now, seen, kernel.pending) == (10, [9, 10], 1)
    kernel.run(20)
    assert (kernel.now, seen, kernel.pending) == (20, [9, 10, 11], 0)


def test_cancelled_events_do_not_count_as_executed():
    kernel = Kernel()
    events = [kernel.at(time, int) for time in range(10)]
    for event in events[::2]:
        kernel.cancel(event)
    kernel.run(100)
    assert kernel.executed == 5


def test_a_time_beyond_what_a_float_can_hold_is_kept_exactly():
    kernel, times = Kernel(), []
    for time in (2**60 + 1, 2**60):
        kernel.at(time, lambda: times.append(kernel.now))
    kernel.run(2**61 + 1)
    assert times == [2**60, 2**60 + 1]
    assert kernel.now == 2**61 + 1


def test_the_kernel_has_fewer_than_three_hundred_lines():
    assert len(Path(module.__file__).read_text(encoding="utf-8").splitlines()) < 300


class Queue:
    """One server with Poisson arrivals; times in units of the mean service time of one second."""

    def __init__(self, rho, service, services, seed):
        self.kernel = Kernel()
        self.rho, self.service, self.services = rho, service, services
        self.arrivals = Stream(seed, "arrivals")
        self.durations = Stream(seed, "services")
        self.customers = deque()
        self.area = self.last = self.stay = self.wait = self.started = self.served = 0
        self.kernel.at(0, self.arrive)
        while self.served < services:
            self.kernel.run(self.kernel.now + 1000 * SECOND)

    def count(self):
        now = self.kernel.now
        self.area += len(self.customers) * (now - self.last)
        self.last = now

    def arrive(self):
        self.count()
        self.customers.append(self.kernel.now)
        if len(self.customers) == 1:
            self.start()
        self.kernel.after(round(self.arrivals.exponential(self.rho) * SECOND), self.arrive)

    def start(self):
        self.started += 1
        self.wait += self.kernel.now - self.customers[0]
        self.kernel.after(round(self.service(self.durations) * SECOND), self.leave)

    def leave(self):
        self.count()
        self.served += 1
        self.stay += self.kernel.now - self.customers.popleft()
        if self.customers:
            self.start()


def test_a_queue_with_exponential_service_has_the_length_and_delay_of_theory():
    """49,000 services give 5 % at 95 %: at rho = 0.5, L = 1 and W = 2."""
    queue = Queue(0.5, lambda stream: stream.exponential(1.0), 50_000, seed=1)
    assert queue.area / queue.last == pytest.approx(1.0, rel=0.05)
    assert queue.stay / queue.served / SECOND == pytest.approx(2.0, rel=0.05)


def test_a_queue_with_constant_service_has_the_waiting_time_of_theory():
    """At rho = 0.5, Wq = 0.5."""
    queue = Queue(0.5, lambda _stream: 1.0, 50_000, seed=1)
    assert queue.wait / queue.started / SECOND == pytest.approx(0.5, rel=0.05)
    assert queue.stay / queue.served / SECOND == pytest.approx(1.5, rel=0.05)
