"""Python steps in real worker processes: what is called, and what its end comes to."""

import asyncio
import sys
from pathlib import Path

import pytest

from podium.executors.workers import WorkerPool
from podium.protocols import Attempt, Finished, Lost, Progressed, Work

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")

HERE = "tests.integration.python_targets"


class Steps:
    """A pool that calls Python functions, and what was reported."""

    def __init__(self, pool):
        self.pool = pool
        self.reports = []
        self.changed = asyncio.Event()
        self.token = 0

    def _report(self, token, report):
        self.reports.append(report)
        self.changed.set()

    def start(self, target, args=None, **payload):
        self.token += 1
        self.reports.clear()
        work = Work("python", {"callable": target, "args": args or {}} | payload)
        self.pool.start(Attempt("run-1", "step-1", 3, self.token, work, "run-1:step-1"), self._report)

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def end(self):
        await self.until(lambda: self.reports and isinstance(self.reports[-1], Finished | Lost))
        return self.reports[-1]

    async def call(self, target, **args):
        self.start(target if ":" in target else f"{HERE}:{target}", args)
        return await self.end()


def with_steps(body, **options):
    async def main():
        pool = WorkerPool({"python": "podium.executors.python:call"}, import_from=[str(Path.cwd())], **options)
        try:
            return await body(Steps(pool))
        finally:
            await pool.close()

    return asyncio.run(main())


def call(target, **args):
    return with_steps(lambda steps: steps.call(target, **args))


def calls(*targets):
    async def body(steps):
        return [await steps.call(target, **args) for target, args in targets]

    return with_steps(body)


def kind(finished):
    return finished.outcome, finished.failure and finished.failure.type


def test_functions_coroutines_and_attributes_are_called():
    results = calls(
        ("add", {"a": 1, "b": 2}),
        ("slow_add", {"a": 1, "b": 3}),
        ("Box.add", {"a": 4}),
        ("math:fsum", {}),
        ("os.path:basename", {"p": "/a/b"}),
    )
    assert [result.output for result in results[:3]] == [3, 4, 5]
    assert kind(results[3]) == ("errored", "BadArguments")
    assert results[4] == Finished("passed", output="b")


def test_values_of_many_types_become_json():
    assert call("values").output == {
        "point": {"x": 1, "y": 2.5},
        "named": {"name": "n", "when": "2026-01-02T03:04:05Z"},
        "tuple": [1, 2],
        "set": [3],
        "path": "/a/b",
        "1": None,
    }


def test_what_is_no_json_is_errored_and_its_type_named():
    results = calls(("no_json", {}), ("too_large_number", {}), ("too_deep", {}))
    assert [kind(result) for result in results] == [("errored", "NoJson")] * 3
    assert f"{HERE}.Box" in results[0].failure.message


def test_an_assertion_is_failed_and_says_what_was_asserted():
    told, terse = calls(("asserts", {"total": 2}), ("asserts_tersely", {}))
    assert kind(told) == kind(terse) == ("failed", "AssertionError")
    assert told.failure.message == "total is 2"
    assert terse.failure.message.startswith("assert total == 3")


@pytest.mark.parametrize(("target", "message"), [("raises", "went wrong"), ("raises_later", "went wrong later")])
def test_an_exception_is_errored_with_a_traceback_that_begins_in_the_function(target, message):
    finished = call(target)
    assert kind(finished) == ("errored", "ValueError")
    assert finished.failure.message == f"what {message}"
    assert finished.failure.details.startswith("Traceback (most recent call last):\n")
    assert finished.failure.details.splitlines()[1].split('"')[1] == str(
        Path.cwd() / "tests/integration/python_targets.py"
    )
    assert "podium/executors" not in finished.failure.details
    assert "asyncio" not in finished.failure.details


def test_how_long_to_wait_is_taken_from_the_exception():
    finished = call("throttled")
    assert (kind(finished), finished.failure.retry_after) == (("errored", "ThrottledError"), 7.0)


def test_not_even_the_strangest_exception_ends_the_worker():
    async def body(steps):
        deep = await steps.call("raises_what_is_no_exception")
        cancelled = await steps.call("cancels_itself")
        first = await steps.call("os:getpid")
        second = await steps.call("os:getpid")
        return deep, cancelled, first, second

    deep, cancelled, first, second = with_steps(body)
    assert kind(deep) == ("errored", "Deep")
    assert kind(cancelled) == ("errored", "CancelledError")
    assert first == second


@pytest.mark.parametrize(
    ("target", "args", "type_", "message"),
    [
        ("no_such_module:f", {}, "NotFound", "there is no module no_such_module"),
        ("os.nope:f", {}, "NotFound", "there is no module os.nope"),
        ("os:nope.path", {}, "NotFound", "module os has no nope.path"),
        ("os:", {}, "NotFound", "'os:' is not of the form module:name"),
        (".os:f", {}, "NotFound", "'.os:f' is not of the form module:name"),
        (f"{HERE}:answer", {}, "NotCallable", "of type int"),
        (f"{HERE}:add", {}, "BadArguments", "missing a required argument: 'a'"),
        (f"{HERE}:add", {"a": 1, "c": 2}, "BadArguments", "unexpected keyword argument 'c'"),
        (f"{HERE}:positional", {"a": 1}, "BadArguments", "positional"),
    ],
)
def test_what_cannot_be_called_is_errored_before_the_call(target, args, type_, message):
    finished = call(target, **args)
    assert kind(finished) == ("errored", type_)
    assert message in finished.failure.message


def test_a_module_that_needs_a_missing_one_says_so(tmp_path):
    (tmp_path / "needs_other.py").write_text("import not_there_at_all\n")

    async def main():
        pool = WorkerPool({"python": "podium.executors.python:call"}, import_from=[str(tmp_path)])
        try:
            return await Steps(pool).call("needs_other:f")
        finally:
            await pool.close()

    finished = asyncio.run(main())
    assert kind(finished) == ("errored", "ModuleNotFoundError")
    assert finished.failure.details.splitlines()[1].split('"')[1] == str(tmp_path / "needs_other.py")


def test_an_unknown_field_of_the_payload_is_errored():
    async def body(steps):
        steps.start(f"{HERE}:add", {"a": 1}, argz={})
        return await steps.end()

    assert kind(with_steps(body)) == ("errored", "ValidationError")


def test_progress_is_given_to_who_wants_it():
    async def body(steps):
        finished = await steps.call("reports")
        told = steps.reports[:-1]
        await steps.call("reports_later")
        return finished, told, steps.reports[:-1], await steps.call("takes_own", progress=5, context=None)

    finished, told, later, own = with_steps(body)
    assert told == [Progressed(0.25, "a quarter"), Progressed(None, "no number"), Progressed(1.0)]
    assert kind(finished) == ("errored", "ValueError")
    assert later == [Progressed(0.5, "half way")]
    assert own.output == [5, True]


def test_the_context_tells_which_attempt_it_is():
    assert call("context_of").output == {"run": "run-1", "step": "step-1", "attempt": 3, "key": "run-1:step-1"}


def test_what_is_printed_is_an_artifact():
    passed, errored, silent = calls(("prints", {}), ("prints_and_raises", {}), ("add", {"a": 1}))
    assert passed.artifacts == {"output": "Grüße\n\\ud800\n".encode()}
    assert passed.output == 1
    assert (errored.artifacts, errored.failure.message) == ({"output": b"before\n"}, "ValueError")
    assert silent.artifacts == {}


def test_exiting_with_zero_passes_and_otherwise_is_errored():
    zero, none, three, text = calls(*(("exits", {"code": code}) for code in (0, None, 3, "no good")))
    assert kind(zero) == kind(none) == ("passed", None)
    assert (kind(three), three.failure.exit_code) == (("errored", "SystemExit"), 3)
    assert (text.failure.message, text.failure.exit_code) == ("no good", 1)


def test_memory_beyond_the_limit_is_told_with_the_limit():
    finished = with_steps(lambda steps: steps.call("allocates", size=4 << 30), memory_bytes=1 << 30)
    assert kind(finished) == ("errored", "MemoryError")
    assert "1024 MiB" in finished.failure.message


def test_asked_to_stop_a_function_is_interrupted():
    async def body(steps):
        steps.start(f"{HERE}:hangs")
        await steps.until(lambda: steps.reports)
        steps.pool.stop(steps.token, force=False)
        return await steps.end()

    assert with_steps(body).outcome == "cancelled"


def test_asked_to_stop_a_coroutine_is_cancelled_whatever_its_tasks_do_and_can_clean_up(tmp_path):
    async def body(steps):
        steps.start(f"{HERE}:hangs_with_tasks", {"folder": str(tmp_path)})
        await steps.until(lambda: steps.reports)
        steps.pool.stop(steps.token, force=False)
        return await steps.end()

    assert with_steps(body).outcome == "cancelled"
    assert (tmp_path / "cleaned").exists()


def test_tasks_left_behind_by_a_coroutine_are_cancelled(tmp_path):
    assert call("leaves_a_task", folder=str(tmp_path)).output is False
    assert (tmp_path / "cancelled").exists()
