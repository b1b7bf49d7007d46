"""Functions called in the engine's own process."""

import asyncio
import sys
import threading

import pytest

from podium.executors.local import LocalExecutor
from podium.executors.results import raised, returned
from podium.protocols import Attempt, Finished, Progressed, Work


class Bench:
    """An executor and what it reported."""

    def __init__(self, executor):
        self.executor = executor
        self.reports = {}
        self.changed = asyncio.Event()
        self.token = 0

    def start(self, name, **args):
        return self.begin({"callable": name, "args": args})

    def begin(self, payload):
        self.token += 1
        self.reports[self.token] = []
        attempt = Attempt("run-1", "step-1", 2, self.token, Work("local", payload), "run-1:step-1")
        self.executor.start(attempt, self._report)
        return self.token

    def _report(self, token, report):
        assert threading.current_thread() is threading.main_thread()
        self.reports[token].append(report)
        self.changed.set()

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def end(self, token):
        await self.until(lambda: self.reports[token] and isinstance(self.reports[token][-1], Finished))
        return self.reports[token][-1]


def with_bench(body, threads=None, **callables):
    async def main():
        executor = LocalExecutor(callables, threads)
        try:
            return await body(Bench(executor))
        finally:
            await executor.close()

    return asyncio.run(main())


def call(function, **args):
    async def body(bench):
        return await bench.end(bench.start("f", **args))

    return with_bench(body, f=function)


def kind(finished):
    return finished.outcome, finished.failure and finished.failure.type


def test_a_function_runs_in_a_thread_and_a_coroutine_in_the_loop():
    async def here():
        return threading.current_thread() is threading.main_thread()

    class Callable:
        async def __call__(self):
            return await here()

    assert call(lambda: threading.current_thread() is threading.main_thread()).output is False
    assert call(here).output is True
    assert call(Callable()).output is True
    assert call(lambda **_: here()).output is True


def test_what_is_returned_is_as_it_would_come_from_a_worker():
    assert call(lambda a, b=2: (a, {b}), a=1).output == [1, [2]]
    assert kind(call(object)) == ("errored", "NoJson")


def test_an_attempt_cannot_change_the_arguments_of_the_next():
    payload = {"callable": "f", "args": {"items": [1]}}

    def grows(items):
        items.append(2)
        return items

    async def body(bench):
        return [(await bench.end(bench.begin(payload))).output for _ in range(2)]

    assert with_bench(body, f=grows) == [[1, 2], [1, 2]]


def asserts():
    raise AssertionError("no")


def stops_iterating():
    raise StopIteration


async def raises():
    raise ValueError("what went wrong")


async def cancels_itself():
    raise asyncio.CancelledError


async def exits():
    sys.exit(3)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (asserts, ("failed", "AssertionError")),
        (stops_iterating, ("errored", "RuntimeError")),
        (raises, ("errored", "ValueError")),
        (cancels_itself, ("errored", "CancelledError")),
        (exits, ("errored", "SystemExit")),
        (lambda: sys.exit(3), ("errored", "SystemExit")),
        (sys.exit, ("passed", None)),
        (lambda a: a, ("errored", "BadArguments")),
        (5, ("errored", "NotCallable")),
    ],
)
def test_what_a_function_raises_is_its_result(function, expected):
    assert kind(call(function)) == expected


def test_a_traceback_begins_in_the_function():
    for function in (asserts, raises):
        lines = call(function).failure.details.splitlines()
        assert f'"{__file__}"' in lines[1]


def test_an_unknown_name_and_a_bad_payload_are_errored():
    async def body(bench):
        unknown = await bench.end(bench.start("g"))
        return unknown, [await bench.end(bench.begin(payload)) for payload in (None, {}, {"callable": "f", "arg": 1})]

    unknown, bad = with_bench(body, f=asserts)
    assert (kind(unknown), "known: f" in unknown.failure.message) == (("errored", "NotFound"), True)
    assert [kind(finished) for finished in bad] == [("errored", "ValidationError")] * 3


def test_progress_comes_before_the_end_also_from_a_thread():
    def tells(context):
        context.progress(0.5, f"{context.run} {context.step} {context.attempt} {context.idempotency_key}")

    async def tells_later(progress):
        progress(0.25)

    async def body(bench):
        for name in ("tells", "tells_later"):
            await bench.end(bench.start(name))
        return bench.reports

    reports = with_bench(body, tells=tells, tells_later=tells_later)
    assert reports[1] == [Progressed(0.5, "run-1 step-1 2 run-1:step-1"), Finished("passed")]
    assert reports[2] == [Progressed(0.25), Finished("passed")]


def test_progress_after_the_end_is_not_reported():
    kept = []

    def keeps(progress):
        kept.append(progress)

    async def body(bench):
        token = bench.start("f")
        await bench.end(token)
        kept[0](1.0, "late")
        await asyncio.sleep(0.01)
        assert bench.reports[token] == [Finished("passed")]

    with_bench(body, f=keeps)


def test_a_coroutine_that_is_stopped_is_cancelled_after_it_has_cleaned_up():
    cleaned = []

    async def waits(progress):
        progress()
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def body(bench):
        token = bench.start("f")
        await bench.until(lambda: bench.reports[token])
        bench.executor.stop(token, force=False)
        return await bench.end(token)

    assert kind(with_bench(body, f=waits)) == ("cancelled", "Cancelled")
    assert cleaned == [True]


def test_a_thread_that_is_stopped_is_over_when_its_function_returns():
    go_on = threading.Event()

    def waits(progress):
        progress()
        return go_on.wait(20)

    async def body(bench):
        token = bench.start("f")
        await bench.until(lambda: bench.reports[token])
        bench.executor.stop(token, force=False)
        bench.executor.stop(token, force=True)
        await asyncio.sleep(0.05)
        assert bench.reports[token] == [Progressed()]
        go_on.set()
        return await bench.end(token)

    assert with_bench(body, f=waits) == Finished("passed", output=True)


def test_a_call_that_waits_for_a_thread_can_be_stopped():
    go_on, called = threading.Event(), []

    def waits(number, progress):
        called.append(number)
        progress()
        go_on.wait(20)

    async def body(bench):
        first, second = bench.start("f", number=1), bench.start("f", number=2)
        await bench.until(lambda: bench.reports[first])
        bench.executor.stop(second, force=False)
        stopped = await bench.end(second)
        go_on.set()
        return stopped, await bench.end(first)

    stopped, passed = with_bench(body, threads=1, f=waits)
    assert (stopped.outcome, passed.outcome, called) == ("cancelled", "passed", [1])


def test_closing_waits_for_threads_and_reports_nothing():
    go_on, ended = threading.Event(), []

    def waits(progress):
        progress()
        go_on.wait(20)
        ended.append(True)

    async def body(bench):
        token = bench.start("f")
        await bench.until(lambda: bench.reports[token])
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await bench.executor.close()
        assert ended == [True]
        assert bench.reports[token] == [Progressed()]

    with_bench(body, f=waits)


def test_exceptions_of_libraries_are_told_as_well_as_they_can_be():
    class OddError(Exception):
        retry_after = float("nan")

        def __str__(self):
            raise RuntimeError

    odd = raised(OddError())
    assert (odd.failure.type, odd.failure.message, odd.failure.retry_after) == ("OddError", "OddError", None)
    assert raised(ValueError("\ud800")).failure.message == "\\ud800"
    assert raised(AssertionError()).failure.message == "AssertionError"


def test_numbers_and_texts_of_libraries_are_plain_values():
    class Number(float):
        pass

    output = returned({"x": Number(1.5)}).output
    assert (output, type(output["x"])) == ({"x": 1.5}, float)
