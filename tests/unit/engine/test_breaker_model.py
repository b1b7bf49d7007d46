"""The breaker against a model that remembers everything that ever happened and decides from that."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from podium.engine.breaker import admit, give_back, record, state_of
from podium.plan.policy import Breaker
from podium.protocols import Circuit

SECOND = 1_000_000
BREAKER = Breaker("t", failures=3, window=60.0, reset=30.0)
KINDS = st.sampled_from(["transient", "unknown", "timeout", "rate_limit", "permanent", None])


class Model(RuleBasedStateMachine):
    """Attempts begin when they may, and end in any order; time goes on."""

    def __init__(self):
        super().__init__()
        self.now = 1_700_000_000 * SECOND
        self.circuit = Circuit()
        self.failures = []
        self.opened = None
        self.probe = None
        self.under_way = 0

    @rule(seconds=st.integers(1, 45))
    def time_passes(self, seconds):
        self.now += seconds * SECOND

    @rule()
    def somebody_asks(self):
        self.circuit, wait = admit(self.circuit, BREAKER, self.now)
        may = self.opened is None or self.now - max(self.opened, self.probe or 0) >= 30 * SECOND
        assert (wait is None) is may
        if not may:
            assert 0 < wait <= 30
            return
        self.under_way += 1
        if self.opened is not None:
            self.probe = self.now

    @rule(kind=KINDS)
    def an_attempt_ends(self, kind):
        if not self.under_way:
            return
        self.under_way -= 1
        self.circuit = record(self.circuit, BREAKER, self.now, error=kind)
        if kind is None:
            self.failures, self.opened, self.probe = [], None, None
        elif self.opened is not None:
            self.opened, self.probe = self.now, None
        elif kind != "rate_limit":
            self.failures.append(self.now)
            recent = [at for at in self.failures if at > self.now - 60 * SECOND]
            if kind == "permanent" or len(recent) >= 3:
                self.opened = self.now

    @rule()
    def an_attempt_is_cancelled(self):
        if self.under_way:
            self.under_way -= 1
            self.circuit = give_back(self.circuit)
            self.probe = None

    @invariant()
    def its_state_is_that_of_the_model(self):
        expected = "closed" if self.opened is None else "half_open" if self.probe else "open"
        assert state_of(self.circuit) == expected
        assert len(self.circuit.failures_us) <= 3


TestBreaker = Model.TestCase
TestBreaker.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
