"""What suites use together that have limits in common, such as those of a layer that run at the same time.

There is one `ResourceShare` for a run and a name in this process: the watches of these suites find it by `share_of`.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence

from podium.events import Failure
from podium.plan.suites import SharedLimits
from podium.runtime.process_usage import MarkedProcesses, ProcessUsage
from podium.runtime.throttle import Throttle

_MIB = 1 << 20


class ShareMember:
    """A suite among those that share limits.

    Args:
        processes: Its processes.
        tell: Called, in any thread, with the failure that ends the suite.

    Attributes:
        seen: What its processes used at its last look.
        ending: It was told that it is too much.
    """

    def __init__(self, processes: MarkedProcesses, tell: Callable[[Failure], None]) -> None:
        self.processes = processes
        self.tell = tell
        self.seen: Sequence[ProcessUsage] = ()
        self.ending = False

    @property
    def living(self) -> int:
        """How many processes there are that have not ended."""
        return sum(not process.ended for process in self.seen)

    @property
    def cpu(self) -> float:
        """Processor time [s]."""
        return sum(process.cpu for process in self.seen)


class ResourceShare:
    """Adds up what its members use. May be used from several threads.

    When it is too much, the member that uses most is told, and nobody else until that one has left.

    Args:
        limits: What the members may use together.
        processors: How many processors there are.
    """

    def __init__(self, limits: SharedLimits, processors: int) -> None:
        self._limits = limits
        self._throttle = None if limits.cpu is None else Throttle(limits.cpu, processors)
        self._members: list[ShareMember] = []
        self._gone_cpu = 0.0
        self._lock = threading.Lock()

    def join(self, member: ShareMember) -> None:
        """Add a member."""
        with self._lock:
            self._members.append(member)

    def leave(self, member: ShareMember) -> None:
        """Take a member out, whose processes are dead or dying."""
        with self._lock:
            self._members.remove(member)
            self._gone_cpu += member.cpu

    def look(self, member: ShareMember, seen: Sequence[ProcessUsage]) -> None:
        """Take what a member uses, and tell a member if all of them together use too much."""
        with self._lock:
            member.seen = seen
            found = None if any(other.ending for other in self._members) else self._too_much()
            if found is not None:
                found[0].ending = True
        if found is not None:
            found[0].tell(found[1])

    def may_run(self) -> bool:
        """Return whether the processes of members may run until the next look."""
        if self._throttle is None:
            return True
        with self._lock:
            used = self._gone_cpu + sum(member.cpu for member in self._members)
            return self._throttle.may_run(time.monotonic(), used)

    def _too_much(self) -> tuple[ShareMember, Failure] | None:
        limits, members = self._limits, self._members
        living = sum(member.living for member in members)
        if limits.processes is not None and living > limits.processes:
            most = max(members, key=lambda member: member.living)
            limit = f"{limits.processes} processes at once"
            return most, self._failure("ProcessLimit", limit, f"had {living}", f"had {most.living}")
        if limits.memory is None or self._bound() <= limits.memory:
            return None
        used = {id(member): member.processes.memory(member.seen, 0) for member in members}
        total = sum(used.values())
        if total <= limits.memory:
            return None
        most = max(members, key=lambda member: used[id(member)])
        together = f"used {mebibytes(total, above=limits.memory)}"
        limit = f"{mebibytes(limits.memory)} of memory"
        return most, self._failure("MemoryLimit", limit, together, f"used {mebibytes(used[id(most)])}")

    def _bound(self) -> int:
        """Return what is at least as much as all members use: pages they share are counted for each [byte]."""
        return sum(process.resident for member in self._members for process in member.seen if not process.ended)

    def _failure(self, kind: str, limit: str, together: str, most: str) -> Failure:
        those = f"its suites together {together}, and this one most: it {most}"
        if len(self._members) == 1:
            those = f"this suite {together}"
        return Failure(kind, f"the limit of {self._limits.name} is {limit}: {those}")


_shares: weakref.WeakValueDictionary[tuple[str, SharedLimits], ResourceShare] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def share_of(run: str, limits: SharedLimits, processors: int) -> ResourceShare:
    """Return what the suites of a run share that have these limits in common; it lasts as long as one of them has it.

    Args:
        run: Run id.
        limits: The limits, with the name of what they belong to.
        processors: How many processors there are.
    """
    with _lock:
        share = _shares.get((run, limits))
        if share is None:
            share = _shares[run, limits] = ResourceShare(limits, processors)
        return share


def mebibytes(size: int, above: int = 0) -> str:
    """Return an amount of memory for a person, with as many digits as it takes to be seen to be more than another.

    Args:
        size: The amount [byte].
        above: The other one [byte].
    """
    digits = next(n for n in (0, 1, 2, 3, 6) if n == 6 or round(size / _MIB, n) > round(above / _MIB, n))  # noqa: PLR2004
    return f"{size / _MIB:.{digits}f} MiB"
