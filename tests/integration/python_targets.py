"""Functions that Python steps call in tests."""

import asyncio
import dataclasses
import datetime as dt
import os
import sys
import time
from pathlib import Path

import msgspec

answer = 42


class Point(msgspec.Struct):
    x: int
    y: float


@dataclasses.dataclass
class Named:
    name: str
    when: dt.datetime


class ThrottledError(Exception):
    retry_after = 7


class Box:
    """Something with a function in it."""

    @staticmethod
    def add(a, b=1):
        return a + b


def add(a, b=1):
    return a + b


def positional(a, /):
    return a


async def slow_add(a, b):
    await asyncio.sleep(0.01)
    return a + b


def values():
    return {
        "point": Point(1, 2.5),
        "named": Named("n", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        "tuple": (1, 2),
        "set": {3},
        "path": Path("/a") / "b",
        1: None,
    }


def no_json():
    return {"box": [Box()]}


def too_large_number():
    return 1 << 70


def too_deep():
    value = []
    for _ in range(5000):
        value = [value]
    return value


def asserts(total):
    assert total == 3, f"total is {total}"


def asserts_tersely():
    total = 2
    assert total == 3


def raises():
    raise ValueError("what went wrong")


async def raises_later():
    await asyncio.sleep(0)
    raise ValueError("what went wrong later")


def throttled():
    raise ThrottledError("slow down")


def raises_what_is_no_exception():
    class Deep(BaseException):
        def __str__(self):
            raise RuntimeError

    raise Deep


async def cancels_itself():
    raise asyncio.CancelledError


def exits(code):
    sys.exit(code)


def prints():
    print("Grüße")
    sys.stdout.write("\ud800\n")
    return 1


def prints_and_raises():
    print("before")
    raise ValueError


def reports(progress):
    progress(0.25, "a quarter")
    progress(message="no number")
    progress(1)
    progress("much", "refused")


async def reports_later(*, progress):
    progress(0.5, "half way")


def context_of(context):
    context.progress(0.5, context.step)
    return {
        "run": context.run,
        "step": context.step,
        "attempt": context.attempt,
        "key": context.idempotency_key,
    }


def takes_own(progress, context=None):
    return [progress, context is None]


def allocates(size):
    return len(bytearray(size))


def hangs(progress):
    progress(0.0, str(os.getpid()))
    while True:
        time.sleep(0.05)


async def hangs_with_tasks(folder, progress):
    """Wait for a task whose end nobody would notice, and write down that there was time to clean up."""
    inner = asyncio.create_task(asyncio.sleep(600))
    try:
        progress(0.0, str(os.getpid()))
        await asyncio.gather(inner, return_exceptions=True)
        await asyncio.sleep(600)
    finally:
        (Path(folder) / "cleaned").write_text("yes")


async def leaves_a_task(folder):
    async def left():
        try:
            await asyncio.sleep(600)
        finally:
            (Path(folder) / "cancelled").write_text("yes")

    running = asyncio.create_task(left())
    await asyncio.sleep(0.01)
    return running.done()
