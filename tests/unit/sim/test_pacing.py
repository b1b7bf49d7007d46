import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.sim.kernel import Kernel
from podium.sim.pacing import Pacer
from podium.sim.streams import Stream

SECOND = 1_000_000_000
STEP = SECOND // 10


class Clock:
    """Wall time that passes only by sleeping and by what a slice is said to cost.

    `oversleep` is added to every sleep; `wakes` is the part of a sleep after which it ends early.
    """

    def __init__(self, costs=None, oversleep=0.0, wakes=1.0, start=1000.0):
        self.start = self.now = start
        self.costs = costs or {}
        self.oversleep, self.wakes = oversleep, wakes
        self.sleeps = []
        self.slices = []
        self.progress = []

    def monotonic(self):
        return self.now

    def sleep(self, duration):
        assert duration > 0
        self.sleeps.append(duration)
        self.now += (duration * self.wakes if duration > 1e-6 else duration) + self.oversleep

    def run(self, time):
        self.slices.append((time, self.now - self.start))
        self.now += self.costs.get(len(self.slices), 0.0)

    def drive(self, speed, until, step=STEP, run=None):
        pacer = Pacer(speed, monotonic=self.monotonic, sleep=self.sleep)
        return pacer.drive(run or self.run, until, step=step, progress=self.progress.append)


@pytest.mark.parametrize("wakes", [1.0, 0.5])
@pytest.mark.parametrize("speed", [0.5, 1.0, 3.7, 100.0, 1000.0])
def test_nothing_runs_before_its_deadline(speed, wakes):
    clock = Clock(wakes=wakes)
    clock.drive(speed, 20 * SECOND)
    for time, wall in clock.slices:
        assert wall >= time / SECOND / speed - 1e-9


@given(
    st.floats(0.1, 5000),
    st.integers(0, 10 * SECOND),
    st.integers(SECOND // 10, SECOND),
    st.dictionaries(st.integers(1, 100), st.floats(0, 2), max_size=5),
)
def test_times_grow_to_the_end_exactly_and_each_waits_for_its_deadline(speed, until, step, costs):
    clock = Clock(costs)
    clock.drive(speed, until, step)
    times = [time for time, _wall in clock.slices]
    assert times == sorted(times)
    assert times[-1] == until
    assert all(wall >= time / SECOND / speed - 1e-9 for time, wall in clock.slices)


def test_a_slice_is_a_whole_number_of_steps():
    clock = Clock()
    clock.drive(1000.0, 7 * SECOND, step=300_000_000)
    assert [time for time, _wall in clock.slices] == [1_800_000_000 * n for n in (1, 2, 3)] + [7 * SECOND]


def test_at_low_speed_a_slice_is_one_step():
    clock = Clock()
    clock.drive(1.0, SECOND)
    assert [time for time, _wall in clock.slices] == [STEP * n for n in range(1, 11)]
    assert clock.sleeps == pytest.approx([0.1] * 10)


def test_oversleeping_does_not_add_up():
    clock = Clock(oversleep=0.0005)
    pace = clock.drive(100.0, 100 * SECOND)
    assert len(clock.slices) == 500
    for time, wall in clock.slices:
        assert wall - time / SECOND / 100 == pytest.approx(0.0005, abs=1e-9)
    assert pace.speed == pytest.approx(100.0, rel=0.001)
    assert pace.lateness_p99_ms == pytest.approx(0.5)
    assert pace.lateness_max_ms == pytest.approx(0.5)


def test_a_slow_slice_is_caught_up():
    clock = Clock({10: 0.011})
    pace = clock.drive(100.0, 10 * SECOND)
    late = [round(1000 * (wall - time / SECOND / 100), 6) for time, wall in clock.slices]
    assert late == [0.0] * 10 + [9.0, 7.0, 5.0, 3.0, 1.0] + [0.0] * 35
    assert len(clock.sleeps) == 45
    assert pace.speed == pytest.approx(100.0)
    assert pace.lateness_max_ms == pytest.approx(11.0)


def test_slices_that_are_all_too_slow_lower_the_speed_and_are_reported_late():
    clock = Clock(dict.fromkeys(range(1, 51), 0.004))
    pace = clock.drive(100.0, 10 * SECOND)
    assert pace.speed == pytest.approx(10 / (0.002 + 50 * 0.004))
    assert pace.lateness_max_ms == pytest.approx(2 + 50 * 4 - 50 * 2)
    assert len(clock.sleeps) == 1


def test_the_reported_percentile_leaves_out_the_one_slice_in_a_hundred_that_was_latest():
    clock = Clock({50: 0.0019, 80: 0.0012})
    pace = clock.drive(100.0, 101 * 2 * STEP)
    assert len(clock.slices) == 101
    assert pace.lateness_p99_ms == pytest.approx(1.2)
    assert pace.lateness_max_ms == pytest.approx(1.9)


def test_as_fast_as_possible_never_sleeps_and_reports_the_speed_reached():
    clock = Clock({3: 0.5})
    pace = clock.drive(None, 60 * SECOND)
    assert clock.sleeps == []
    assert clock.slices[-1][0] == 60 * SECOND
    assert pace.speed == pytest.approx(120.0)
    assert (pace.lateness_p99_ms, pace.lateness_max_ms) == (0.0, 0.0)


def test_a_run_that_takes_no_wall_time_reports_no_speed():
    assert Clock().drive(None, SECOND).speed == 0.0


@pytest.mark.parametrize("speed", [None, 1.0])
def test_a_run_of_no_length_still_executes_what_happens_at_time_zero(speed):
    kernel, clock, seen = Kernel(), Clock(), []
    kernel.at(0, seen.append, 1)
    pace = clock.drive(speed, 0, run=kernel.run)
    assert seen == [1]
    assert pace.lateness_max_ms == 0.0


def history(speed, clock):
    """Run a program whose events draw, schedule and cancel; return all of it."""
    kernel, stream, seen = Kernel(), Stream(1, "program"), []
    spare = []

    def act(number):
        seen.append((kernel.now, number, stream.random()))
        spare.append(kernel.after(round(stream.uniform(0, 2) * SECOND), act, -number))
        if stream.random() < 0.7:
            kernel.cancel(spare.pop(0))
        kernel.after(round(stream.exponential(5.0) * SECOND), act, number + 1)

    kernel.every(STEP, lambda: seen.append((kernel.now, "step")), priority=1)
    kernel.at(0, act, 1)
    clock.drive(speed, 3 * SECOND + 7, run=kernel.run)
    return seen, kernel.now, kernel.executed, kernel.pending


@pytest.mark.parametrize("costs", [{}, {1: 3.0, 5: 0.5}])
def test_the_result_does_not_depend_on_the_speed(costs):
    expected = history(None, Clock())
    assert expected[1] == 3 * SECOND + 7
    assert len(expected[0]) > 60
    for speed in (1, 100, 1000, 0.3):
        assert history(speed, Clock(costs, oversleep=0.001)) == expected


@pytest.mark.parametrize("speed", [None, 1.0, 1000.0])
def test_progress_grows_and_ends_at_the_end(speed):
    clock = Clock()
    clock.drive(speed, 30 * SECOND)
    assert clock.progress == sorted(clock.progress)
    assert clock.progress[-1] == 30 * SECOND
    assert len(clock.progress) >= 2


def test_progress_is_reported_about_five_times_a_second():
    clock = Clock()
    clock.drive(100.0, 1000 * SECOND)
    assert 45 <= len(clock.progress) <= 53


def test_an_error_in_the_simulation_ends_the_run():
    def fail(_time):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Clock().drive(10.0, SECOND, run=fail)
