"""A circuit breaker for agents in the memory of one process, for callers who keep one of their own.

The circuits that all runs of a store share are the engine's; this one obeys the same rules (`podium.engine.breaker`)
and adds what people ask of it: health, velocity, kinds of failures, and patience with agents made up on the spot.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from podium.engine.breaker import admit, give_back, record, state_of
from podium.plan.policy import Breaker
from podium.protocols import Circuit

PERMANENT_TYPES = frozenset(("auth_error", "forbidden", "invalid_model", "invalid_request", "not_found"))
"""Types of failures that trying again cannot help; one of them opens a circuit."""

_FAST_FAIL_WINDOW = 10.0
_TYPES_KEPT = 10
_SHORTEST_SPAN = 1.0
_ADHOC = re.compile(r"(?<![a-z0-9])(?:ad[-_]?hoc|generated|dynamic|inferred)(?![a-z0-9])")
_PART_OF_A_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_adhoc(agent_id: str) -> bool:
    """Return whether a name says that the agent was made up on the spot.

    It does if one of its words is `adhoc`, `ad-hoc`, `generated`, `dynamic` or `inferred`; words end at anything that
    is no letter and no digit, and before a capital. `regenerated-data` and `dynamics` are other words.
    """
    return _ADHOC.search(_PART_OF_A_WORD.sub("_", agent_id).lower()) is not None


@dataclass
class _Agent:
    circuit: Circuit = field(default_factory=Circuit)
    failures: int = 0
    last: float | None = None
    times: list[float] = field(default_factory=list[float])
    types: deque[str] = field(default_factory=lambda: deque[str](maxlen=_TYPES_KEPT))


class CircuitBreaker:
    """Tells which agents keep failing and are better left alone for a while. May be used from any thread.

    A circuit goes through these states:

        closed       everybody may
        open         nobody may, until the reset time is over
        half_open    one may probe; success closes the circuit, failure opens it again

    Where what is documented contradicts itself, this holds: rate limits are no fault of the agent, so they are never
    counted and open nothing (and are tried again by the engine, after a wait). A permanent failure opens the circuit
    at once, not at the second. An ad-hoc agent has its own threshold and fails fast only if that is asked for.

    Args:
        failure_threshold: So many failures within the window open a circuit.
        reset_timeout: How long it stays open [s].
        failure_window: How long a failure counts [s].
        fast_fail_threshold: So many failures open it early if the last two are close together.
        adhoc_failure_threshold: The threshold of ad-hoc agents.
        adhoc_fast_fail_window: What is close together for ad-hoc agents; for others 10 s [s].
        clock: Tells the time [s since the Unix epoch].
    """

    def __init__(  # noqa: PLR0917 (documented)
        self,
        failure_threshold: int = 2,
        reset_timeout: float = 120.0,
        failure_window: float = 300.0,
        fast_fail_threshold: int = 2,
        adhoc_failure_threshold: int = 4,
        adhoc_fast_fail_window: float = 30.0,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.failure_threshold = failure_threshold
        self.reset_timeout = reset_timeout
        self.failure_window = failure_window
        self.fast_fail_threshold = fast_fail_threshold
        self.adhoc_failure_threshold = adhoc_failure_threshold
        self.adhoc_fast_fail_window = adhoc_fast_fail_window
        self._clock = clock
        self._agents: dict[str, _Agent] = {}
        self._marked: set[str] = set()
        self._lock = threading.RLock()

    def mark_as_adhoc(self, agent_id: str) -> None:
        """Treat an agent as ad-hoc, whatever its name."""
        with self._lock:
            self._marked.add(agent_id)

    def is_adhoc(self, agent_id: str) -> bool:
        """Return whether an agent counts as ad-hoc, by its name or because it was marked."""
        return agent_id in self._marked or is_adhoc(agent_id)

    def record_failure(self, agent_id: str, fast_fail: bool | None = None, failure_type: str | None = None) -> None:  # noqa: FBT001 (documented)
        """Take in a failure.

        Args:
            agent_id: Who failed.
            fast_fail: Whether two failures close together may open the circuit before the threshold; by default yes,
                for ad-hoc agents no. A failure of another type than `inference` never does, nor does `inference` of
                an ad-hoc agent.
            failure_type: `rate_limit` is ignored, a permanent type opens the circuit; the others count.
        """
        with self._lock:
            agent = self._agent(agent_id)
            if failure_type == "rate_limit":
                agent.circuit = give_back(agent.circuit)
                return
            now = self._clock()
            agent.failures += 1
            agent.last = now
            agent.times = [*self._recent(agent, now), now]
            if failure_type is not None:
                agent.types.append(failure_type)
            opens = failure_type in PERMANENT_TYPES or self._fails_fast(agent_id, agent, fast_fail, failure_type)
            error = "permanent" if opens else "unknown"
            agent.circuit = record(agent.circuit, self._breaker(agent_id), _us(now), error=error)

    def record_success(self, agent_id: str) -> None:
        """Take in a success: the circuit is closed and what was before is forgotten."""
        with self._lock:
            agent = self._agent(agent_id)
            agent.circuit = Circuit()
            agent.failures = 0
            agent.times = []

    def should_skip(self, agent_id: str) -> tuple[bool, str]:
        """Return whether to leave an agent alone, and why; whoever is not told so probes it if the circuit is open."""
        with self._lock:
            agent = self._agent(agent_id)
            was = state_of(agent.circuit)
            agent.circuit, wait = admit(agent.circuit, self._breaker(agent_id), _us(self._clock()))
            if wait is None:
                return False, ""
            if was == "half_open":
                return True, "Circuit half-open: test in progress"
            return True, circuit_open(agent.failures, wait)

    def is_open(self, agent_id: str) -> bool:
        """Return whether to leave an agent alone; see `should_skip`."""
        return self.should_skip(agent_id)[0]

    def reset(self, agent_id: str) -> None:
        """Forget all about an agent."""
        with self._lock:
            self._agents.pop(agent_id, None)

    def reset_all(self) -> None:
        """Forget all about every agent."""
        with self._lock:
            self._agents.clear()

    def get_failure_types(self, agent_id: str) -> list[str]:
        """Return the types of the last ten failures that had one."""
        with self._lock:
            return list(self._agent(agent_id).types)

    def get_failure_velocity(self, agent_id: str) -> float:
        """Return how fast an agent fails of late [1/min]; 0 for a single failure."""
        with self._lock:
            now = self._clock()
            recent = self._recent(self._agent(agent_id), now)
            return 60.0 * len(recent) / max(now - recent[0], _SHORTEST_SPAN) if len(recent) > 1 else 0.0

    def get_health_status(self, agent_id: str) -> dict[str, Any]:
        """Return what is known of an agent, as a JSON object; asking changes nothing."""
        with self._lock:
            agent, now = self._agent(agent_id), self._clock()
            recent = len(self._recent(agent, now))
            _, wait = admit(agent.circuit, self._breaker(agent_id), _us(now))
            return {
                "agent_id": agent_id,
                "state": state_of(agent.circuit),
                "failure_count": agent.failures,
                "recent_failures": recent,
                "failure_velocity": self.get_failure_velocity(agent_id),
                "last_failure_time": agent.last or 0.0,
                "time_since_last_failure": None if agent.last is None else now - agent.last,
                "risk_level": self._risk(agent_id, agent, recent),
                "can_execute": wait is None,
            }

    def get_status(self) -> dict[str, dict[str, Any]]:
        """Return the health of every agent known."""
        with self._lock:
            return {agent_id: self.get_health_status(agent_id) for agent_id in self._agents}

    def _agent(self, agent_id: str) -> _Agent:
        return self._agents.setdefault(agent_id, _Agent())

    def _breaker(self, agent_id: str) -> Breaker:
        return Breaker(agent_id, self._threshold(agent_id), self.failure_window, self.reset_timeout)

    def _threshold(self, agent_id: str) -> int:
        return self.adhoc_failure_threshold if self.is_adhoc(agent_id) else self.failure_threshold

    def _recent(self, agent: _Agent, now: float) -> list[float]:
        return [at for at in agent.times if at > now - self.failure_window]

    def _fails_fast(self, agent_id: str, agent: _Agent, asked: bool | None, failure_type: str | None) -> bool:  # noqa: FBT001
        adhoc = self.is_adhoc(agent_id)
        wanted = not adhoc if asked is None else asked
        kind = failure_type is None or (failure_type == "inference" and not adhoc)
        if not wanted or not kind or len(agent.times) < max(2, self.fast_fail_threshold):
            return False
        window = self.adhoc_fast_fail_window if adhoc else _FAST_FAIL_WINDOW
        return agent.times[-1] - agent.times[-2] < window

    def _risk(self, agent_id: str, agent: _Agent, recent: int) -> str:
        state = state_of(agent.circuit)
        if state != "closed":
            return "critical" if state == "open" else "high"
        return "medium" if recent and recent >= self._threshold(agent_id) - 1 else "low"


def circuit_open(failures: int, wait: float) -> str:
    """Return what is said of a circuit that is open."""
    return f"Circuit open: {failures} failures, retry in {wait:.0f}s"


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
