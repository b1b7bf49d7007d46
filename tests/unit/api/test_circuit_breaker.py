"""The breaker for callers who keep one of their own, under a clock that the test moves."""

import threading

import pytest

from podium.api.circuit_breaker import CircuitBreaker, is_adhoc


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(clock=clock)


def fail(breaker, agent, times, clock=None, every=0.0, **how):
    for _ in range(times):
        breaker.record_failure(agent, **how)
        if clock is not None:
            clock.now += every


def state(breaker, agent):
    return breaker.get_health_status(agent)["state"]


def test_an_agent_nobody_knows_may_be_asked(breaker):
    assert breaker.should_skip("a") == (False, "")


def test_two_failures_open_the_circuit_and_say_for_how_long(breaker, clock):
    fail(breaker, "a", 1)
    assert not breaker.is_open("a")
    fail(breaker, "a", 1)
    assert breaker.should_skip("a") == (True, "Circuit open: 2 failures, retry in 120s")
    clock.now += 50
    assert breaker.should_skip("a") == (True, "Circuit open: 2 failures, retry in 70s")


def test_agents_are_independent(breaker):
    fail(breaker, "a", 2)
    assert breaker.is_open("a")
    assert not breaker.is_open("b")


def test_failures_that_are_old_do_not_count(breaker, clock):
    fail(breaker, "a", 1)
    clock.now += 301
    fail(breaker, "a", 1)
    assert state(breaker, "a") == "closed"
    assert breaker.get_health_status("a")["recent_failures"] == 1


def test_a_success_closes_and_forgets(breaker):
    fail(breaker, "a", 1)
    breaker.record_success("a")
    fail(breaker, "a", 1)
    assert state(breaker, "a") == "closed"
    fail(breaker, "a", 1)
    breaker.record_success("a")
    assert (state(breaker, "a"), breaker.get_health_status("a")["recent_failures"]) == ("closed", 0)


def test_after_the_reset_time_one_may_probe(breaker, clock):
    fail(breaker, "a", 2)
    clock.now += 119.9
    assert breaker.is_open("a")
    clock.now += 0.2
    assert breaker.should_skip("a") == (False, "")
    for _ in range(3):
        clock.now += 10
        assert breaker.should_skip("a") == (True, "Circuit half-open: test in progress")
    assert breaker.get_health_status("a")["risk_level"] == "high"
    breaker.record_success("a")
    assert not breaker.is_open("a")


def test_a_probe_that_fails_opens_again_for_the_whole_time(breaker, clock):
    fail(breaker, "a", 2)
    clock.now += 121
    assert not breaker.is_open("a")
    fail(breaker, "a", 1)
    clock.now += 119
    assert breaker.is_open("a")


def test_a_probe_that_meets_a_rate_limit_says_nothing(breaker, clock):
    fail(breaker, "a", 2)
    clock.now += 121
    assert not breaker.is_open("a")
    fail(breaker, "a", 1, failure_type="rate_limit")
    assert not breaker.is_open("a")


def test_rate_limits_never_open_and_are_not_counted(breaker):
    fail(breaker, "a", 50, failure_type="rate_limit")
    fail(breaker, "a", 1, failure_type="timeout")
    health = breaker.get_health_status("a")
    assert (health["state"], health["failure_count"], health["recent_failures"]) == ("closed", 1, 1)


@pytest.mark.parametrize("kind", ["auth_error", "forbidden", "invalid_model", "invalid_request", "not_found"])
@pytest.mark.parametrize("agent", ["a", "adhoc-a"])
def test_a_permanent_failure_opens_at_once(breaker, agent, kind):
    fail(breaker, agent, 1, failure_type=kind)
    assert breaker.is_open(agent)


@pytest.mark.parametrize("how", [{}, {"fast_fail": False}, {"failure_type": "inference"}])
def test_an_adhoc_agent_has_four_tries(breaker, how):
    fail(breaker, "adhoc-agent", 3, **how)
    assert not breaker.is_open("adhoc-agent")
    fail(breaker, "adhoc-agent", 1, **how)
    assert breaker.is_open("adhoc-agent")


@pytest.mark.parametrize(
    ("apart", "opens"),
    [(29, True), (31, False)],
)
def test_an_adhoc_agent_fails_fast_only_if_asked_to(breaker, clock, apart, opens):
    fail(breaker, "adhoc-agent", 1, clock, apart, fast_fail=True)
    fail(breaker, "adhoc-agent", 1, fast_fail=True)
    assert breaker.is_open("adhoc-agent") is opens


def test_inference_failures_of_adhoc_agents_do_not_fail_fast(breaker):
    fail(breaker, "adhoc-agent", 3, fast_fail=True, failure_type="inference")
    assert not breaker.is_open("adhoc-agent")


@pytest.mark.parametrize(
    ("how", "apart", "opens"),
    [
        ({}, 9, True),
        ({}, 11, False),
        ({"fast_fail": False}, 0, False),
        ({"failure_type": "inference"}, 0, True),
        ({"failure_type": "timeout"}, 0, False),
    ],
)
def test_failing_fast_comes_before_the_threshold(clock, how, apart, opens):
    breaker = CircuitBreaker(failure_threshold=5, clock=clock)
    fail(breaker, "a", 2, clock, apart, **how)
    assert breaker.is_open("a") is opens


@pytest.mark.parametrize(
    "name",
    ["adhoc", "ad-hoc", "AdHoc-1", "my_generated_agent", "dynamic.agent", "INFERRED", "x-ad_hoc-7", "dynamicAgent"],
)
def test_names_of_adhoc_agents(breaker, name):
    assert is_adhoc(name)
    assert breaker.is_adhoc(name)


@pytest.mark.parametrize(
    "name", ["regenerated-data", "code-reviewer", "llm", "dynamics", "uninferred", "roadhocker", ""]
)
def test_names_of_other_agents(breaker, name):
    assert not is_adhoc(name)
    assert not breaker.is_adhoc(name)


def test_an_agent_can_be_marked(breaker):
    breaker.mark_as_adhoc("plain")
    fail(breaker, "plain", 3)
    assert not breaker.is_open("plain")


def test_the_last_ten_types_are_kept(breaker):
    for number in range(12):
        breaker.record_failure("a", failure_type=f"t{number}")
    breaker.record_failure("a")
    assert breaker.get_failure_types("a") == [f"t{number}" for number in range(2, 12)]


def test_velocity(breaker, clock):
    assert breaker.get_failure_velocity("a") == 0.0
    fail(breaker, "a", 1)
    assert breaker.get_failure_velocity("a") == 0.0
    fail(breaker, "a", 4)
    assert breaker.get_failure_velocity("a") == 300.0
    clock.now += 60
    assert breaker.get_failure_velocity("a") == 5.0
    clock.now += 300
    assert breaker.get_failure_velocity("a") == 0.0


def test_health_and_risk(breaker, clock):
    levels = [breaker.get_health_status("a")["risk_level"]]
    for _ in range(2):
        fail(breaker, "a", 1)
        levels.append(breaker.get_health_status("a")["risk_level"])
    assert levels == ["low", "medium", "critical"]
    clock.now += 3
    assert breaker.get_health_status("a") == {
        "agent_id": "a",
        "state": "open",
        "failure_count": 2,
        "recent_failures": 2,
        "failure_velocity": 40.0,
        "last_failure_time": 1_000_000.0,
        "time_since_last_failure": 3.0,
        "risk_level": "critical",
        "can_execute": False,
    }
    assert breaker.get_health_status("b")["time_since_last_failure"] is None


def test_asking_for_health_takes_no_probe(breaker, clock):
    fail(breaker, "a", 2)
    clock.now += 121
    assert [breaker.get_health_status("a")["can_execute"] for _ in range(2)] == [True, True]
    assert not breaker.is_open("a")


def test_status_and_reset(breaker):
    fail(breaker, "a", 2)
    fail(breaker, "b", 2)
    assert set(breaker.get_status()) == {"a", "b"}
    breaker.reset("a")
    fail(breaker, "a", 1)
    assert (breaker.is_open("a"), breaker.is_open("b")) == (False, True)
    breaker.reset_all()
    assert breaker.get_status() == {}


def test_failures_from_many_threads_are_all_counted(clock):
    breaker = CircuitBreaker(failure_threshold=10_000, fast_fail_threshold=10_000, clock=clock)
    threads = [threading.Thread(target=fail, args=(breaker, "a", 200)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert breaker.get_health_status("a")["recent_failures"] == 1000
