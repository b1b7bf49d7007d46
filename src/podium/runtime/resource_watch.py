"""Keeps what a suite has started within the limits it declares.

Use, in the thread of a running event loop:

    watch = ResourceWatch(suite.limits, on_exceeded, run=attempt.run)    # on_exceeded(failure): kill the group
    group = ProcessGroup(argv, env=env | watch.env)
    watch.start()                                        # after the first process is started
    ...
    watch.release()                                      # before a process is asked to end: it must be able to
    watch.stop()                                         # when the attempt is over, in any case

Without limits all of that does nothing. What is used between two looks is not seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable

from podium.events import Failure
from podium.plan.suites import Limits
from podium.runtime.process_usage import USAGE_VARIABLE, MarkedProcesses, ProcessUsage
from podium.runtime.resource_share import ShareMember, mebibytes, share_of
from podium.runtime.throttle import Throttle

_BETWEEN_LOOKS = 0.25
_BETWEEN_LOOKS_AT_CPU = 0.1


class ResourceWatch:
    """Looks at what processes use a few times a second, and tells when it is too much.

    Memory and the number of processes: `on_exceeded` is called once. Processors: the processes are held and let go by
    turns (SIGSTOP, SIGCONT), so that they use their share.

    What suites may use together that run at the same time is looked at by the watch of each of them.

    Args:
        limits: What they may use together.
        on_exceeded: Called in the event loop with a failure of type `MemoryLimit` or `ProcessLimit`.
        run: Run id; suites of other runs have no limits in common with this one.
    """

    def __init__(self, limits: Limits, on_exceeded: Callable[[Failure], None], *, run: str = "") -> None:
        self._limits = limits
        self._on_exceeded = on_exceeded
        mark = uuid.uuid4().hex
        self.env: dict[str, str] = {USAGE_VARIABLE: mark} if _any(limits) else {}
        """Variables by which the processes are found."""
        self._processes = MarkedProcesses(mark)
        processors, shared = os.cpu_count() or 1, limits.shared
        self._throttle = None if limits.cpu is None else Throttle(limits.cpu, processors)
        self._share = None if shared is None else share_of(run, shared, processors)
        is_held = limits.cpu is not None or (shared is not None and shared.cpu is not None)
        self._interval = _BETWEEN_LOOKS_AT_CPU if is_held else _BETWEEN_LOOKS
        self._told = False
        self._held: list[ProcessUsage] = []
        self._released = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch, if there are limits; the first process has been started."""
        if not self.env:
            return
        loop = asyncio.get_running_loop()

        def tell(failure: Failure) -> None:
            if not self._over.is_set() and not self._told:
                self._told = True
                self._on_exceeded(failure)

        def tell_from_thread(failure: Failure) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, failure)

        self._thread = threading.Thread(target=self._watch, args=(tell_from_thread,), name="resources", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Let all processes go, and hold none any more."""
        with self._lock:
            self._released = True
            self._let_go()

    def stop(self) -> None:
        """Watch no longer; `on_exceeded` will not be called after this."""
        self._over.set()
        self.release()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, tell: Callable[[Failure], None]) -> None:
        member = ShareMember(self._processes, tell)
        if self._share is not None:
            self._share.join(member)
        try:
            self._look_until_over(tell, member)
        finally:
            self.release()  # nothing must stay held that nobody watches
            if self._share is not None:
                self._share.leave(member)

    def _look_until_over(self, tell: Callable[[Failure], None], member: ShareMember) -> None:
        while not self._over.wait(self._interval):
            processes = self._processes.look()
            failure = self._exceeded(processes)
            if failure is not None:
                tell(failure)
                return
            if self._share is not None:
                self._share.look(member, processes)
            if self._throttle is not None or self._share is not None:
                self._hold_or_let_go(processes, may_run=self._may_run(processes))

    def _may_run(self, processes: list[ProcessUsage]) -> bool:
        used = sum(process.cpu for process in processes)
        alone = self._throttle is None or self._throttle.may_run(time.monotonic(), used)
        together = self._share is None or self._share.may_run()
        return alone and together

    def _exceeded(self, processes: list[ProcessUsage]) -> Failure | None:
        living = sum(not process.ended for process in processes)
        if self._limits.processes is not None and living > self._limits.processes:
            return Failure("ProcessLimit", f"had {living} processes at once, more than {self._limits.processes}")
        most = self._limits.memory
        if most is None:
            return None
        memory = self._processes.memory(processes, most)
        if memory <= most:
            return None
        return Failure("MemoryLimit", f"used {mebibytes(memory, above=most)} of memory, more than {mebibytes(most)}")

    def _hold_or_let_go(self, processes: list[ProcessUsage], *, may_run: bool) -> None:
        with self._lock:
            if may_run or self._released:
                self._let_go()
                return
            held = {(process.pid, process.started) for process in self._held}
            for process in processes:
                if process.stopped or process.ended or (process.pid, process.started) in held:
                    continue
                if _signal(process, signal.SIGSTOP):
                    self._held.append(process)

    def _let_go(self) -> None:
        for process in self._held:
            _signal(process, signal.SIGCONT)
        self._held.clear()


def _signal(process: ProcessUsage, number: signal.Signals) -> bool:
    try:
        os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _any(limits: Limits) -> bool:
    return any(limit is not None for limit in (limits.memory, limits.cpu, limits.processes, limits.shared))
