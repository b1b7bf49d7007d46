"""Attempts that are stayed with until they are over."""

import asyncio

import pytest

from podium.events import Failure
from podium.executors.attending import Attending
from podium.executors.command import CommandExecutor
from podium.executors.command_suite import CommandSuiteExecutor
from podium.executors.pytest_suite import PytestExecutor
from podium.executors.service import ServiceExecutor
from podium.protocols import Attempt, Finished, Progressed, Work


class Job:
    """An attempt that is over when it is released, or killed; being asked is not enough.

    Args:
        end: What it comes to, or raises.
        steps: How many turns of the event loop it takes to end once it may.
    """

    def __init__(self, end=None, steps=0):
        self.end = end if end is not None else Finished("passed")
        self.steps = steps
        self.began = asyncio.Event()
        self.released = asyncio.Event()
        self.stops = []
        self.is_over = False

    def stop(self, *, force):
        self.stops.append(force)
        if force:
            self.released.set()

    async def carry_out(self):
        self.began.set()
        await self.released.wait()
        for _ in range(self.steps):
            await asyncio.sleep(0)
        self.is_over = True
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


class Reports:
    """What was reported, in order."""

    def __init__(self):
        self.all = []
        self.came = asyncio.Event()

    def __call__(self, token, report):
        self.all.append((token, report))
        self.came.set()

    async def until(self, number):
        while len(self.all) < number:
            self.came.clear()
            await self.came.wait()


def carry(body):
    """Return what a coroutine function comes to that is given an `Attending` and what takes its reports."""

    async def main():
        async with asyncio.timeout(20):
            return await body(Attending("job"), Reports())

    return asyncio.run(main())


def test_an_end_is_reported_once_with_its_token():
    async def body(attending, reports):
        jobs = {1: Job(Finished("passed", "a")), 2: Job(Finished("failed", "b"))}
        for token, job in jobs.items():
            attending.begin(token, job, reports)
            await job.began.wait()
        assert reports.all == []
        for token in (2, 1):
            jobs[token].released.set()
            await reports.until(3 - token)
        await attending.close()
        return reports.all

    assert carry(body) == [(2, Finished("failed", "b")), (1, Finished("passed", "a"))]


def test_beginning_returns_before_anything_is_carried_out():
    async def body(attending, reports):
        job = Job()
        job.released.set()
        attending.begin(1, job, reports)
        assert (job.began.is_set(), reports.all) == (False, [])
        await reports.until(1)

    carry(body)


def test_an_exception_is_an_end():
    async def body(attending, reports):
        job = Job(KeyError("broken"))
        job.released.set()
        attending.begin(1, job, reports)
        await reports.until(1)
        return reports.all

    failure = Failure("KeyError", "could not look after the job: 'broken'")
    assert carry(body) == [(1, Finished("errored", failure=failure))]


def test_stopping_tells_the_attempt_with_that_token_and_no_other():
    async def body(attending, reports):
        jobs = [Job(), Job()]
        for token, job in enumerate(jobs):
            attending.begin(token, job, reports)
        attending.stop(1, force=False)
        attending.stop(7, force=True)
        assert [job.stops for job in jobs] == [[], [False]]
        attending.stop(1, force=True)
        await reports.until(1)
        assert [job.stops for job in jobs] == [[], [False, True]]
        await attending.close()
        return reports.all

    assert carry(body) == [(1, Finished("passed"))]


@pytest.mark.parametrize("end", [Finished("passed"), RuntimeError("broken")], ids=["returned", "raised"])
def test_an_attempt_that_is_over_is_left_alone_already_when_its_end_is_reported(end):
    async def body(attending, reports):
        job = Job(end)
        job.released.set()

        def take(token, report):
            attending.stop(token, force=True)
            reports(token, report)

        attending.begin(1, job, take)
        await reports.until(1)
        await attending.close()
        return job.stops

    assert carry(body) == []


def test_a_token_can_be_used_again_in_the_report_of_its_end():
    async def body(attending, reports):
        second = Job(Finished("passed", 2))

        def take(token, report):
            attending.begin(token, second, reports)
            reports(token, report)

        first = Job(Finished("passed", 1))
        first.released.set()
        attending.begin(1, first, take)
        await reports.until(1)
        attending.stop(1, force=True)
        await reports.until(2)
        assert (first.stops, second.stops) == ([], [True])
        return [report.output for _token, report in reports.all]

    assert carry(body) == [1, 2]


def test_closing_kills_all_waits_until_they_are_over_and_reports_nothing():
    async def body(attending, reports):
        jobs = [Job(), Job(steps=20), Job(RuntimeError("broken"), steps=5)]
        for token, job in enumerate(jobs):
            attending.begin(token, job, reports)
        await jobs[2].began.wait()
        attending.stop(0, force=False)
        await attending.close()
        assert [job.is_over for job in jobs] == [True, True, True]
        assert [job.stops for job in jobs] == [[False, True], [True], [True]]
        return reports.all

    assert carry(body) == []


def test_everybody_who_closes_waits():
    async def body(attending, reports):
        job = Job(steps=20)
        attending.begin(1, job, reports)

        async def close():
            await attending.close()
            return job.is_over

        assert await asyncio.gather(close(), close()) == [True, True]
        await attending.close()

    carry(body)


def test_closing_does_not_wait_for_what_was_cancelled_before_it_could_begin():
    async def body(attending, reports):
        before = asyncio.all_tasks()
        attending.begin(1, Job(), reports)
        (task,) = asyncio.all_tasks() - before
        task.cancel()
        await asyncio.wait([task])
        await attending.close()
        return reports.all

    assert carry(body) == []


def test_what_is_told_under_way_is_handed_on_until_the_executor_closes():
    async def body(attending, reports):
        class Talker(Job):
            def stop(self, *, force):
                tell(3, Progressed(message="told to end"))
                super().stop(force=force)

        tell = attending.unless_closing(reports)
        attending.begin(3, Talker(), reports)
        tell(3, Progressed(message="under way"))
        attending.stop(3, force=False)
        await attending.close()
        tell(3, Progressed(message="closed"))
        return [(token, report.message) for token, report in reports.all]

    assert carry(body) == [(3, "under way"), (3, "told to end")]


@pytest.mark.parametrize(
    ("executor", "kind", "payload"),
    [
        (CommandExecutor, "command", {"argv": ["true"]}),
        (CommandSuiteExecutor, "suite", {"argv": ["true"], "report": "exit_code"}),
        (PytestExecutor, "pytest", {}),
        (ServiceExecutor, "service", {"name": "web", "argv": ["true"]}),
    ],
    ids=["command", "suite", "pytest", "service"],
)
def test_executors_that_stay_with_attempts_refuse_them_once_they_are_closed(executor, kind, payload, tmp_path):
    async def main():
        closed, reports = executor(cwd=str(tmp_path)), Reports()
        await closed.close()
        closed.start(Attempt("run", "step", 1, 4, Work(kind, payload), "key"), reports)
        closed.stop(4, force=True)
        await closed.close()
        return reports.all

    ((token, finished),) = asyncio.run(main())
    assert (token, finished.outcome, finished.failure.type) == (4, "errored", "CannotStart")
    assert finished.failure.message.endswith("the executor is closed")
