"""A conductor in this process: many runs on one loop, queued fairly, told things, moved, stopped and taken up again."""

import asyncio
from collections import Counter

import pytest

from podium.errors import PlanError, UsageError
from podium.events import AttemptStarted, CancelRequested, Failure, SignalReceived
from podium.messages import Cancel, Signal
from podium.plan.graph import Need, Plan, Step
from podium.plan.policy import Policy, Retry
from podium.protocols import Finished, Work
from podium.server.conductor import Conductor
from podium.session import Session


class Recorder:
    """An executor whose attempts last until they are let go."""

    def __init__(self, log, worker):
        self.log = log
        self.worker = worker
        self.held = {}
        self.closed = False

    def start(self, attempt, report):
        assert not self.closed
        self.log.append(self)
        if attempt.work.payload == "raise":
            raise RuntimeError("no")
        self.held[attempt.token] = attempt, report
        if attempt.work.payload != "hold":
            asyncio.get_running_loop().call_later(0.01, self.let_go, attempt.token)

    def let_go(self, token):
        if token in self.held:
            attempt, report = self.held.pop(token)
            failed = attempt.work.payload == "fail"
            report(token, Finished("failed", failure=Failure("Told", "to")) if failed else Finished("passed"))

    def stop(self, token, *, force):
        if token in self.held:
            _, report = self.held.pop(token)
            report(token, Finished("cancelled"))

    async def close(self):
        assert not self.held or self.closed is False
        self.closed = True


class Stage:
    """A store in a folder, and the conductors that work on it."""

    def __init__(self, folder):
        self.session = Session.open(folder / "runs.db")
        self.session.is_running = lambda row: False  # what an earlier conductor left, in this same process
        self.executors = []
        self.started = []

    def conductor(self, **options):
        def make():
            executor = Recorder(self.started, len(self.executors))
            self.executors.append(executor)
            return {"act": executor}

        return Conductor(self.session, executors=make, **options)

    def let_all_go(self):
        for executor in self.executors:
            for token in tuple(executor.held):
                executor.let_go(token)

    def events(self, run, kind):
        return [record.event for record in self.session.store.read(run) if isinstance(record.event, kind)]

    def begun(self):
        """Return the names of the runs in the order in which their first attempts began."""
        first = {}
        for row in self.session.store.runs():
            for event in self.events(row.id, AttemptStarted):
                first.setdefault(row.id, (event.at_us, row.name))
        return [name for _, name in sorted(first.values())]

    def outcome(self, run):
        return self.session.store.run(run).outcome


@pytest.fixture
def stage(tmp_path):
    made = Stage(tmp_path)
    yield made
    made.session.close()


def plan(name="plan", *payloads, slots=4):
    steps = [
        Step(f"s{n}", Work("act", payload), needs=(Need(f"s{n - 1}"),) if n else ())
        for n, payload in enumerate(payloads or ("go",))
    ]
    return Plan.of(name, steps, work="workflow", slots=slots)


def waiting(name="waits", signal="go"):
    return Plan.of(name, [Step("w", Work("wait", {"signal": signal})), *plan(name).steps], work="workflow")


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (nobody announces it)
            await asyncio.sleep(0.005)


def conducted(conductor, body, *, patience=5.0):
    async def main():
        await conductor.start()
        try:
            return await body()
        finally:
            await conductor.stop(patience)

    return asyncio.run(main())


def test_many_plans_run_at_once_and_all_end(stage):
    conductor = stage.conductor()

    async def body():
        runs = [conductor.submit(plan(f"p{n}", "go", "fail" if n % 5 == 0 else "go")) for n in range(50)]
        await until(lambda: not conductor.running and not conductor.queued)
        return runs

    runs = conducted(conductor, body)
    assert Counter(map(stage.outcome, runs)) == {"passed": 40, "failed": 10}
    assert all(executor.closed for executor in stage.executors)


def test_never_more_runs_are_under_way_than_allowed(stage):
    conductor = stage.conductor(limit=3)
    seen = []

    async def body():
        for n in range(12):
            conductor.submit(plan(f"p{n % 2}"))
        while conductor.running or conductor.queued:
            seen.append((conductor.running, conductor.queued))
            await asyncio.sleep(0.001)

    conducted(conductor, body)
    assert max(running for running, _ in seen) == 3
    assert max(queued for _, queued in seen) == 9


def test_names_take_turns_so_that_a_flood_holds_nobody_up(stage):
    conductor = stage.conductor(limit=1)

    async def body():
        for _ in range(6):
            conductor.submit(plan("flood"))
        for name in ("one", "two", "one"):
            conductor.submit(plan(name))
        await until(lambda: not conductor.running and not conductor.queued)

    conducted(conductor, body)
    assert stage.begun() == ["flood", "flood", "one", "two", "flood", "one", "flood", "flood", "flood"]


def test_steps_of_all_runs_share_the_slots(stage):
    conductor = stage.conductor(slots=2)

    async def body():
        runs = [conductor.submit(plan("p", "hold")) for _ in range(4)]
        await until(lambda: len(stage.started) == 2)
        await asyncio.sleep(0.05)
        assert len(stage.started) == 2
        stage.let_all_go()
        await until(lambda: len(stage.started) == 4)
        stage.let_all_go()
        await until(lambda: all(stage.outcome(run) for run in runs))

    conducted(conductor, body)


def test_an_executor_that_raises_fails_its_run_and_no_other(stage):
    conductor = stage.conductor()

    async def body():
        runs = [conductor.submit(plan("bad", "raise")), conductor.submit(plan("good"))]
        await until(lambda: all(stage.outcome(run) for run in runs))
        return [stage.outcome(run) for run in runs]

    assert conducted(conductor, body) == ["errored", "passed"]


def test_a_plan_nothing_here_can_carry_out_is_refused_and_leaves_no_run(stage):
    conductor = stage.conductor()

    async def body():
        with pytest.raises(PlanError) as caught:
            conductor.submit(Plan.of("p", [Step("a", Work("magic", None))], work="workflow"))
        assert caught.value.diagnostics[0].code == "P206"

    conducted(conductor, body)
    assert stage.session.store.runs() == []


# Told things


def test_what_is_told_is_heard_once_whether_the_run_is_under_way_or_queued(stage):
    conductor = stage.conductor(limit=1)

    async def body():
        runs = [conductor.submit(waiting("a")), conductor.submit(waiting("b"))]
        assert [conductor.state_of(stage.session.store.run(run)) for run in runs] == ["running", "queued"]
        for run in reversed(runs):
            conductor.tell(run, Signal("go", 1, "me"))
        await until(lambda: all(stage.outcome(run) for run in runs))
        await asyncio.sleep(0.25)
        return runs

    runs = conducted(conductor, body)
    assert [len(stage.events(run, SignalReceived)) for run in runs] == [1, 1]
    assert [stage.outcome(run) for run in runs] == ["passed", "passed"]


def test_what_was_heard_before_a_restart_is_not_heard_again(stage):
    first = stage.conductor()

    async def begin():
        run = first.submit(waiting(signal="late"))
        for name in ("early", "early"):
            first.tell(run, Signal(name, 1, "me"))
        await until(lambda: len(stage.events(run, SignalReceived)) == 2)
        return run

    run = conducted(first, begin)
    assert stage.outcome(run) is None
    stage.session.store.send(run, Signal("between", 2, "me"))
    second = stage.conductor()

    async def go_on():
        second.tell(run, Signal("late", 3, "me"))
        await until(lambda: stage.outcome(run))
        await asyncio.sleep(0.25)

    conducted(second, go_on)
    assert [event.name for event in stage.events(run, SignalReceived)] == ["early", "early", "between", "late"]
    assert stage.outcome(run) == "passed"


def test_a_queued_run_that_is_cancelled_begins_no_step(stage):
    conductor = stage.conductor(limit=1)

    async def body():
        first, second = conductor.submit(plan("a", "hold")), conductor.submit(plan("a"))
        conductor.tell(second, Cancel("me", "no need"))
        await until(lambda: stage.outcome(second))
        assert stage.outcome(first) is None
        stage.let_all_go()
        return second

    run = conducted(conductor, body)
    assert stage.outcome(run) == "cancelled"
    assert stage.events(run, AttemptStarted) == []
    assert len(stage.events(run, CancelRequested)) == 1


def test_nobody_tells_a_finished_or_unknown_run_anything(stage):
    conductor = stage.conductor()

    async def body():
        run = conductor.submit(plan())
        await until(lambda: stage.outcome(run))
        for name, code in ((run, "U415"), ("nope", "U411")):
            with pytest.raises(UsageError) as caught:
                conductor.tell(name, Cancel("me", ""))
            assert caught.value.diagnostics[0].code == code

    conducted(conductor, body)


def test_a_queued_run_that_somebody_else_has_taken_up_is_left_to_them(stage):
    conductor = stage.conductor(limit=1)

    async def body():
        first, taken = conductor.submit(plan("a", "hold")), conductor.submit(plan("a"))
        await until(lambda: stage.started)
        stage.session.is_running = lambda row: row.id == taken
        stage.let_all_go()
        await until(lambda: stage.outcome(first) and not conductor.queued)
        return taken

    taken = conducted(conductor, body)
    assert len(list(stage.session.store.read(taken))) == 1


# Workers


def test_runs_go_to_the_least_loaded_worker_and_stay_there(stage):
    conductor = stage.conductor(workers={"a": 2, "b": 2})

    async def body():
        for _ in range(4):
            conductor.submit(plan("p", "go", "go", "go"))
        await until(lambda: not conductor.running)

    conducted(conductor, body)
    assert Counter(executor.worker for executor in stage.started) == {0: 6, 1: 6}


def test_a_worker_that_leaves_ends_what_it_has_begun_and_its_runs_go_on_elsewhere(stage):
    conductor = stage.conductor(workers={"a": 2})

    async def body():
        run = conductor.submit(plan("p", "hold", "go"))
        await until(lambda: stage.started)
        with pytest.raises(UsageError, match="only worker"):
            await conductor.remove_worker("a")
        conductor.add_worker("b", 2)
        leaving = asyncio.create_task(conductor.remove_worker("a"))
        await asyncio.sleep(0.05)
        assert not leaving.done()
        assert not stage.executors[0].closed
        stage.let_all_go()
        assert await leaving == [run]
        await until(lambda: stage.outcome(run))
        assert stage.executors[0].closed
        return run

    run = conducted(conductor, body)
    assert stage.outcome(run) == "passed"
    assert [executor.worker for executor in stage.started] == [0, 1]


def test_a_worker_that_comes_takes_what_is_queued_up_to_its_capacity(stage):
    conductor = stage.conductor(workers={"a": 1})

    async def body():
        for _ in range(4):
            conductor.submit(plan("p", "hold"))
        await until(lambda: len(stage.started) == 1)
        assert conductor.queued == 3
        conductor.add_worker("b", 2)
        await until(lambda: len(stage.started) == 3)
        assert conductor.queued == 1
        while conductor.running or conductor.queued:
            stage.let_all_go()
            await asyncio.sleep(0.01)

    conducted(conductor, body)


# Stopped


def test_a_conductor_that_stops_waits_for_attempts_but_begins_nothing_and_takes_nothing(stage):
    conductor = stage.conductor(limit=1)

    async def body():
        runs = [conductor.submit(plan("p", "hold", "go")), conductor.submit(plan("p"))]
        await until(lambda: stage.started)
        stopping = asyncio.create_task(conductor.stop(5.0))
        await asyncio.sleep(0.05)
        assert not stopping.done()
        with pytest.raises(UsageError) as caught:
            conductor.submit(plan())
        assert caught.value.diagnostics[0].code == "U416"
        stage.let_all_go()
        await stopping
        return runs

    runs = conducted(conductor, body)
    assert [stage.outcome(run) for run in runs] == [None, None]
    assert [len(stage.events(run, AttemptStarted)) for run in runs] == [1, 0]

    again = stage.conductor()
    conducted(again, lambda: until(lambda: all(stage.outcome(run) for run in runs)))
    assert [stage.outcome(run) for run in runs] == ["passed", "passed"]
    assert [len(stage.events(run, AttemptStarted)) for run in runs] == [2, 1]


def test_what_is_not_over_when_the_patience_is_is_begun_again_by_the_next(stage):
    conductor = stage.conductor()

    async def body():
        run = conductor.submit(plan("p", "hold"))
        await until(lambda: stage.started)
        return run

    run = conducted(conductor, body, patience=0.05)
    again = stage.conductor()

    async def go_on():
        await until(lambda: len(stage.started) == 2)
        stage.let_all_go()
        await until(lambda: stage.outcome(run))

    conducted(again, go_on)
    assert stage.outcome(run) == "passed"
    assert [event.number for event in stage.events(run, AttemptStarted)] == [1, 2]


def test_a_retry_that_was_due_later_is_still_made_after_a_restart(stage):
    policy = Policy(retry=Retry(attempts=2, initial=0.3, maximum=0.3))
    step = Step("s", Work("act", "fail"), policy=policy)
    conductor = stage.conductor()

    async def body():
        run = conductor.submit(Plan.of("p", [step], work="workflow"))
        await until(lambda: stage.started and not stage.executors[0].held)
        return run

    run = conducted(conductor, body)
    assert stage.outcome(run) is None
    conducted(stage.conductor(), lambda: until(lambda: stage.outcome(run)))
    assert stage.outcome(run) == "failed"
    assert len(stage.events(run, AttemptStarted)) == 2
