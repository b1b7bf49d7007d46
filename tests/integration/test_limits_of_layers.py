"""Suites that run at the same time and have limits in common: they are held to them together."""

import asyncio
import os
import sys
import threading

import pytest

from podium.executors.command_suite import CommandSuiteExecutor
from podium.executors.pytest_suite import PytestExecutor
from podium.protocols import Attempt, Finished, Tested, Work
from podium.runtime.process_usage import MarkedProcesses

pytestmark = [pytest.mark.once, pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")]

MIB = 1 << 20
HOLDS = """
import pathlib, sys, time
size, name = int(sys.argv[1]) << 20, sys.argv[2]
hog = bytearray(size)
for at in range(0, size, 4096):
    hog[at] = 1
pathlib.Path(f"{name}-is-there").touch()
while not pathlib.Path("enough").exists():
    time.sleep(0.01)
print("1..1", f"ok 1 - {name}", sep="\\n", flush=True)
"""
HOLDS_IN_A_TEST = """
import pathlib, time
def test_holds():
    hog = bytearray(150 << 20)
    for at in range(0, len(hog), 4096):
        hog[at] = 1
    time.sleep(1000)
"""
LAYER = {"name": "layer `a`", "memory": 200 * MIB}


class Suites:
    """Suites under way, and what became of them.

    Args:
        folder: The project.
    """

    def __init__(self, folder):
        self.folder = folder
        self.executors = {"suite": CommandSuiteExecutor(cwd=str(folder)), "pytest": PytestExecutor(cwd=str(folder))}
        self.ends = {}
        self.tests = {}
        self._names = {}
        self._changed = asyncio.Event()

    def start(self, name, kind="suite", run="run", **payload):
        token = len(self._names) + 1
        self._names[token] = name
        attempt = Attempt(run, f"a/{name}", 1, token, Work(kind, payload), "key")
        self.executors[kind].start(attempt, self._report)

    def holding(self, name, size, run="run", **limits):
        """Start a suite that holds so much memory [MiB] until it is enough."""
        argv = [sys.executable, "holds.py", str(size), name]
        self.start(name, run=run, argv=argv, report="tap", limits={"shared": LAYER, **limits})

    async def until_all_hold(self, *names):
        while not all((self.folder / f"{name}-is-there").exists() or name in self.ends for name in names):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # they tell nobody

    async def until_one_has_ended(self):
        await self.until(1)

    async def until(self, count):
        while len(self.ends) < count:
            self._changed.clear()
            await self._changed.wait()

    def _report(self, token, report):
        if isinstance(report, Finished):
            self.ends[self._names[token]] = report
            self._changed.set()
        elif isinstance(report, Tested):
            self.tests.setdefault(self._names[token], []).extend(result.id for result in report.results)


def with_suites(folder, body):
    """Run a coroutine with executors; return the suites."""
    (folder / "holds.py").write_text(HOLDS)
    (folder / "test_it.py").write_text(HOLDS_IN_A_TEST)

    async def main():
        suites = Suites(folder)
        try:
            async with asyncio.timeout(60):
                await body(suites)
        finally:
            for executor in suites.executors.values():
                await executor.close()
        return suites

    return asyncio.run(main())


def test_of_two_suites_that_use_too_much_together_the_larger_is_ended(tmp_path):
    async def body(suites):
        suites.holding("small", 60)
        suites.holding("large", 150)
        await suites.until_one_has_ended()
        assert list(suites.ends) == ["large"]
        (tmp_path / "enough").touch()
        await suites.until(2)

    suites = with_suites(tmp_path, body)
    large = suites.ends["large"]
    assert (large.outcome, large.failure.type) == ("errored", "MemoryLimit")
    beginning, _, rest = large.failure.message.partition(": its suites together used ")
    assert beginning == "the limit of layer `a` is 200 MiB of memory"
    together, _, own = rest.partition(", and this one most: it used ")
    assert 200 < float(together.removesuffix(" MiB")) < 300, "it may be seen while it still grows"
    assert 100 < float(own.removesuffix(" MiB")) < 200
    assert suites.ends["small"].outcome == "passed"
    assert suites.tests["small"] == ["small"]


def test_a_command_and_a_suite_of_pytest_share_the_limit_of_their_layer(tmp_path):
    async def body(suites):
        suites.holding("command", 60)
        await suites.until_all_hold("command")
        suites.start("tests", "pytest", python=sys.executable, limits={"shared": LAYER})
        await suites.until_one_has_ended()
        (tmp_path / "enough").touch()
        await suites.until(2)

    suites = with_suites(tmp_path, body)
    tests = suites.ends["tests"]
    assert (tests.outcome, tests.failure.type) == ("errored", "MemoryLimit")
    assert tests.failure.message.startswith("the limit of layer `a` is 200 MiB of memory: its suites together used ")
    assert suites.ends["command"].outcome == "passed"


def test_a_suite_alone_may_use_all_that_its_layer_may_and_no_more(tmp_path):
    async def body(suites):
        suites.holding("fits", 150)
        await suites.until_all_hold("fits")
        (tmp_path / "enough").touch()
        await suites.until(1)
        (tmp_path / "enough").unlink()
        suites.holding("large", 300)
        await suites.until(2)

    suites = with_suites(tmp_path, body)
    assert suites.ends["fits"].outcome == "passed"
    message = suites.ends["large"].failure.message
    assert message.startswith("the limit of layer `a` is 200 MiB of memory: this suite used ")


def test_suites_of_different_runs_have_nothing_in_common(tmp_path, monkeypatch):
    looks = threading.Semaphore(0)
    look = MarkedProcesses.look
    monkeypatch.setattr(MarkedProcesses, "look", lambda self: (looks.release(), look(self))[1])

    async def body(suites):
        suites.holding("one", 120, run="one")
        suites.holding("other", 120, run="other")
        await suites.until_all_hold("one", "other")
        while looks.acquire(blocking=False):
            pass
        for _ in range(6):
            await asyncio.to_thread(looks.acquire)
        (tmp_path / "enough").touch()
        await suites.until(2)

    suites = with_suites(tmp_path, body)
    assert {end.outcome for end in suites.ends.values()} == {"passed"}


def test_the_limit_of_a_category_is_its_own(tmp_path):
    async def body(suites):
        suites.holding("small", 30)
        suites.holding("large", 120, memory=100 * MIB)
        await suites.until_one_has_ended()
        (tmp_path / "enough").touch()
        await suites.until(2)

    suites = with_suites(tmp_path, body)
    assert suites.ends["large"].failure.message.endswith(" MiB of memory, more than 100 MiB")
    assert suites.ends["small"].outcome == "passed"


def test_of_suites_with_too_many_processes_together_the_one_with_most_is_ended(tmp_path):
    shared = {"name": "layer `a`", "processes": 6}

    async def body(suites):
        os.mkfifo(tmp_path / "enough")
        few = "echo 1..1; sleep 600 & read x < enough; kill $!; echo ok 1 - few"
        many = "for i in 1 2 3 4; do sleep 600 & done; wait"
        for name, line in (("few", few), ("many", many)):
            suites.start(name, shell=line, report="tap", limits={"shared": shared})
        await suites.until_one_has_ended()
        (tmp_path / "enough").write_text("enough\n")
        await suites.until(2)

    suites = with_suites(tmp_path, body)
    assert suites.ends["many"].failure.type == "ProcessLimit"
    said = "the limit of layer `a` is 6 processes at once: its suites together had 7, and this one most: it had 5"
    assert suites.ends["many"].failure.message == said
    assert suites.ends["few"].outcome == "passed"
