import asyncio
import time

import pytest

from podium.api import recovery
from podium.api.workflows import ErrorRecovery
from podium.errors import UsageError
from podium.session import Session


def compensated(recovery, failed, completed):
    return asyncio.run(recovery.compensate(failed, completed))


def with_handlers(log, *names, **raising):
    found = ErrorRecovery()
    for name in names:

        async def undo(name=name):
            await asyncio.sleep(0)
            log.append(name)
            if name in raising:
                raise raising[name]

        found.register_compensation(name, undo)
    return found


def test_completed_steps_are_undone_in_reverse_order():
    log = []
    assert compensated(with_handlers(log, "A", "B", "C"), "D", ["A", "B", "C"]) is True
    assert log == ["C", "B", "A"]


def test_only_what_was_completed_is_undone():
    log = []
    found = with_handlers(log, "A", "B", "C")
    assert compensated(found, "C", ["A", "B"]) is True
    assert log == ["B", "A"]
    assert found.report == [
        {"step": "B", "outcome": "undone", "error": None},
        {"step": "A", "outcome": "undone", "error": None},
    ]


def test_a_handler_that_raises_makes_it_false_and_the_others_are_tried():
    log = []
    found = with_handlers(log, "A", "B", "C", B=OSError("closed"))
    assert compensated(found, "D", ["A", "B", "C"]) is False
    assert log == ["C", "B", "A"]
    assert [entry["outcome"] for entry in found.report] == ["undone", "failed", "undone"]
    assert found.report[1]["error"] == "OSError: closed"


def test_steps_without_a_handler_are_skipped():
    log = []
    found = with_handlers(log, "A")
    assert compensated(found, "D", ["A", "B"]) is True
    assert [entry["outcome"] for entry in found.report] == ["no handler", "undone"]
    assert compensated(found, "D", []) is True
    assert compensated(found, "D", ["B"]) is True
    assert log == ["A"]


def test_handlers_run_in_the_loop_of_the_caller_and_plain_functions_too():
    async def main():
        found, event, log = ErrorRecovery(), asyncio.Event(), []

        async def wait():
            asyncio.get_running_loop().call_later(0.01, event.set)
            await event.wait()
            log.append("coroutine")

        found.register_compensation("A", wait)
        found.register_compensation("B", lambda: log.append("function"))
        found.register_compensation("C", lambda: wait())  # noqa: PLW0108 (a function that returns a coroutine)
        return await found.compensate("D", ["A", "B", "C"]), log

    assert asyncio.run(main()) == (True, ["coroutine", "function", "coroutine"])


def test_cancelling_does_not_stop_what_is_being_undone():
    log = []

    async def main():
        found, begun = ErrorRecovery(), asyncio.Event()

        async def slow():
            begun.set()
            await asyncio.sleep(0.1)
            log.append("undone")

        found.register_compensation("A", slow)
        task = asyncio.create_task(found.compensate("B", ["A"]))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert log == ["undone"]


def test_compensations_can_be_kept_as_runs(tmp_path):
    log, path = [], tmp_path / "podium.db"
    found = ErrorRecovery(store=path)
    found.register_compensation("A", lambda: log.append("A"))
    assert compensated(found, "B", ["A"]) is True
    with Session.open(path) as session:
        assert [row.outcome for row in session.store.runs()] == ["compensated"]


def test_three_retries_then_no_more_and_a_reset_allows_again():
    async def main():
        found = ErrorRecovery(base_delay=0.0)
        tries = [await found.retry_step("api_call") for _ in range(4)]
        other = await found.retry_step("other", max_attempts=1)
        found.reset_attempts("api_call")
        return tries, other, await found.retry_step("api_call")

    assert asyncio.run(main()) == ([True, True, True, False], True, True)


def test_delays_double_up_to_the_longest():
    found = ErrorRecovery()
    assert [found.delay("a", attempt) for attempt in (1, 2, 3, 4, 7, 5000)] == [1, 2, 4, 8, 60, 60]
    assert [ErrorRecovery(1, 5).delay("a", attempt) for attempt in (3, 4)] == [4, 5]


def test_the_delay_is_waited(monkeypatch):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr(recovery.asyncio, "sleep", sleep)
    found = ErrorRecovery()
    for _ in range(4):
        asyncio.run(found.retry_step("a"))
    assert waits == [1, 2, 4]


def test_no_time_passes_when_there_is_no_attempt_left():
    began = time.monotonic()
    assert asyncio.run(ErrorRecovery().retry_step("a", max_attempts=0)) is False
    assert time.monotonic() - began < 0.5


def test_wrong_arguments():
    with pytest.raises(UsageError, match="waits"):
        ErrorRecovery(base_delay=-1)
    with pytest.raises(UsageError, match="waits"):
        ErrorRecovery(base_delay=10, max_delay=1)
    with pytest.raises(UsageError, match="cannot be called"):
        ErrorRecovery().register_compensation("A", "text")
