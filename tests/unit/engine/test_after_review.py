"""What a review found in the engine and what became of it, on virtual time unless the real clock is the matter."""

import asyncio
import socket
import time

import pytest

from podium.engine import LoopClock
from podium.engine.dispatcher import Dispatcher
from podium.engine.scheduler import Scheduler
from podium.events import (
    AttemptFinished,
    AttemptLost,
    AttemptScheduled,
    AttemptStarted,
    CancelRequested,
    StepFinished,
)
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Policy, Retry
from podium.protocols import Finished, Work
from podium.storable import DEEPEST, is_too_deep
from podium.testing.conducted import Conducted
from podium.testing.executors import Act, failing, hanging, passing
from podium.testing.journal import MemoryJournal

DAY_US = 86_400_000_000
EPOCH_US = 1_700_000_000_000_000


def step(name, *needs, kind="scripted", **more):
    return Step(name=name, work=Work(kind), needs=tuple(map(Need, needs)), **more)


def cancelling(why="Ctrl-C", *, force=False):
    return lambda dispatcher: dispatcher.cancel(who="user", why=why, force=force)


def test_amounts_that_are_no_binary_fractions_are_given_back_whole():
    parts = [step(str(amount), resources={"rig": amount}, expected=9) for amount in (0.1, 0.2, 0.4)]
    whole = step("whole", resources={"rig": 1.0})
    assert Conducted([*parts, whole], capacities={"rig": 1.0}).run().summary.counts == {"passed": 4}


def test_tenths_add_up_to_the_whole():
    steps = [step(f"s{n}", resources={"rig": 0.1}) for n in range(10)]
    run = Conducted(steps, capacities={"rig": 1.0}, slots=10).run()
    assert run.executor.peak == 10


RETRY = Policy(retry=Retry(attempts=2, initial=30.0, jitter=0.0))


def test_a_clock_set_back_a_day_before_a_resume_costs_at_most_the_scheduled_delay():
    script = {"a": [failing(), passing()]}
    first = Conducted([step("a", policy=RETRY)], script).run()
    again = Conducted(
        [step("a", policy=RETRY)], script, journal=first.until(AttemptScheduled), epoch_us=EPOCH_US - DAY_US
    ).resume()
    assert again.outcomes == {"a": "passed"}
    assert again.summary.duration == pytest.approx(31.0)


def test_a_clock_that_went_on_before_a_resume_leaves_only_what_is_left_of_the_delay():
    script = {"a": [failing(), passing()]}
    first = Conducted([step("a", policy=RETRY)], script).run()
    again = Conducted(
        [step("a", policy=RETRY)], script, journal=first.until(AttemptScheduled), epoch_us=EPOCH_US + 11_000_000
    ).resume()
    assert again.summary.duration == pytest.approx(21.0)


def test_what_was_reported_in_the_turn_of_a_cancel_counts_as_reported():
    script = {"fails": [failing(1.0)], "passes": [passing(1.0)], "runs": [hanging()]}
    steps = [step("fails"), step("passes"), step("runs")]
    run = Conducted(steps, script, at=[(1.0, cancelling())]).run()
    finished = {event.step: event.outcome for event in run.of(AttemptFinished)}
    assert finished == {"fails": "failed", "passes": "passed", "runs": "cancelled"}
    assert run.outcomes == finished
    assert run.executor.stopped == [("runs", False)]


def test_a_deadline_that_passes_after_a_cancel_leaves_the_run_cancelled():
    steps = [step("a", policy=Policy(grace=60.0))]
    run = Conducted(steps, {"a": [Act(None, stops_after=9.0)]}, at=[(4.0, cancelling())], deadline=5.0).run()
    assert run.summary.outcome == "cancelled"
    assert [event.who for event in run.of(CancelRequested)] == ["user"]


def test_a_cancel_after_the_deadline_leaves_the_run_timed_out():
    steps = [step("a", policy=Policy(grace=60.0))]
    run = Conducted(steps, {"a": [Act(None, stops_after=9.0)]}, at=[(6.0, cancelling())], deadline=5.0).run()
    assert run.summary.outcome == "timed_out"
    assert [event.who for event in run.of(CancelRequested)] == ["deadline", "user"]


@pytest.mark.parametrize("losses", [0, 1])
def test_the_death_of_the_engine_is_not_held_against_a_step_that_may_lose_no_worker(losses):
    steps = [step("a", policy=Policy(losses=losses))]
    cut = Conducted(steps).run().until(AttemptStarted)
    again = Conducted(steps, journal=cut).resume()
    assert [event.by for event in again.of(AttemptLost)] == ["engine"]
    assert again.outcomes == {"a": "passed"}


@pytest.mark.parametrize(
    "report",
    [
        Finished("passed", output={None: 1}),
        Finished("passed", output=object()),
        Finished("passed", output="\udc80"),
        Finished("passed", artifacts={"log": b"12345"}),
    ],
    ids=["null as key", "object", "surrogate", "large artifact"],
)
def test_a_report_that_cannot_be_stored_is_an_error_of_its_step_only(report, monkeypatch):
    monkeypatch.setattr("podium.engine.attempts.LARGEST_BLOB", 4)
    run = Conducted([step("a"), step("b")], {"a": [Act(1.0, report)]}).run()
    assert run.outcomes == {"a": "errored", "b": "passed"}


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(("depth", "outcome"), [(DEEPEST, "passed"), (DEEPEST + 1, "errored"), (100_000, "errored")])
def test_an_output_nested_too_deep_is_an_error_of_its_step(depth, outcome):
    acts = {"a": [Act(1.0, Finished("passed", output={"deep": nested(depth - 1)}))], "b": [passing(2.0)]}
    run = Conducted([step("a"), step("b")], acts).run()
    assert run.outcomes == {"a": outcome, "b": "passed"}


def test_an_output_that_shares_its_parts_is_measured_in_time():
    shared = []
    for _ in range(1000):
        shared = [shared, shared]
    assert is_too_deep(shared)
    assert not is_too_deep([[1]] * 1000)


def test_an_executor_that_cannot_stop_an_attempt_does_not_keep_others_from_being_stopped():
    run = Conducted(
        [step("a"), step("b")], {"a": [passing(3.0)], "b": [Act(9.0, stops_after=0.1)]}, at=[(1.0, cancelling())]
    )
    stop = run.executor.stop

    def stubborn(token, *, force):
        if run.executor.active[token].step == "a":
            raise OSError("no")
        stop(token, force=force)

    run.executor.stop = stubborn
    run.run()
    assert run.outcomes == {"a": "passed", "b": "cancelled"}
    assert run.summary.duration == pytest.approx(3.0)


def test_strict_waves_look_at_every_wave_a_bounded_number_of_times():
    class Counted(list):
        looked_at = 0

        def __getitem__(self, index):
            self.looked_at += 1
            return super().__getitem__(index)

        def __iter__(self):
            for item in super().__iter__():
                self.looked_at += 1
                yield item

    count = 400
    names = [f"s{n}" for n in range(count)]
    steps = [step(name, *names[n - 1 : n][:n]) for n, name in enumerate(names)]
    scheduler = Scheduler(Plan.of("chain", steps, strict_waves=True))
    waves = scheduler._open_waves = Counted(scheduler._open_waves)
    for index in range(count):
        scheduler.offer(index)
        assert list(scheduler.picks()) == [index]
        scheduler.release(index)
        scheduler.done(index)
    assert waves.looked_at < 10 * count


class Sockets:
    """An executor whose attempts end when a byte arrives, as with real workers; on the real clock."""

    def __init__(self):
        self.far = {}
        self._near = {}
        self._tokens = {}
        self._report = {}

    def start(self, attempt, report):
        near, far = socket.socketpair()
        self.far[attempt.step], self._near[attempt.step] = far, near
        self._tokens[attempt.step], self._report[attempt.step] = attempt.token, report
        asyncio.get_running_loop().add_reader(near, self._readable, attempt.step)
        self.begun(attempt.step)

    def begun(self, name):
        pass

    def _readable(self, name):
        asyncio.get_running_loop().remove_reader(self._near[name])
        self.stall(name)
        self._report[name](self._tokens[name], Finished("passed"))

    def stall(self, name):
        pass

    def stop(self, token, *, force):
        name = next(name for name, known in self._tokens.items() if known == token)
        self._report[name](token, Finished("cancelled"))

    async def close(self):
        for each in (*self.far.values(), *self._near.values()):
            each.close()


def conduct_for_real(executor, steps, **more):
    journal = MemoryJournal()

    async def main():
        executors = {"scripted": executor, **more}
        plan = Plan.of("test", steps, slots=4)
        dispatcher = Dispatcher("run", plan, journal=journal, executors=executors, clock=LoopClock())
        try:
            async with asyncio.timeout(10):
                await dispatcher.run()
        finally:
            await executor.close()

    asyncio.run(main())
    events = [record.event for record in journal.read("run")]
    return {event.step: event.outcome for event in events if isinstance(event, StepFinished)}


SHORT = Policy(timeout=0.1)


def test_a_result_that_waits_in_the_socket_counts_before_an_overdue_timeout_after_a_slow_start():
    class SlowStart(Sockets):
        def begun(self, name):
            self.far[name].send(b"x")
            if name == "slow":
                time.sleep(0.15)

    outcomes = conduct_for_real(SlowStart(), [step("quick", policy=SHORT), step("slow")])
    assert outcomes == {"quick": "passed", "slow": "passed"}


def test_a_result_that_waits_in_the_socket_counts_before_an_overdue_timeout_after_a_slow_callback():
    class SlowCallback(Sockets):
        def begun(self, name):
            if name == "slow":
                self.far[name].send(b"x")

        def stall(self, name):
            if name == "slow":
                time.sleep(0.15)
                self.far["quick"].send(b"x")

    outcomes = conduct_for_real(SlowCallback(), [step("quick", policy=SHORT), step("slow")])
    assert outcomes == {"quick": "passed", "slow": "passed"}


def test_a_result_that_waits_in_the_socket_counts_before_an_overdue_timeout_after_work_done_at_once():
    class Quick(Sockets):
        def begun(self, name):
            self.far[name].send(b"x")

    class AtOnce:
        def start(self, attempt, report):
            time.sleep(0.15)
            report(attempt.token, Finished("passed"))

    steps = [step("quick", policy=SHORT), step("at once", kind="inline")]
    assert conduct_for_real(Quick(), steps, inline=AtOnce()) == {"quick": "passed", "at once": "passed"}


def test_a_timeout_still_comes_when_nothing_is_reported():
    assert conduct_for_real(Sockets(), [step("silent", policy=SHORT)]) == {"silent": "timed_out"}
