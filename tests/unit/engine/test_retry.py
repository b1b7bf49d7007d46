from hypothesis import given
from hypothesis import strategies as st

from podium.engine.retry import retry_delay
from podium.plan.policy import Retry


def delays(retry, count=5):
    return [retry_delay(retry, seed=1, step="s", failures=n) for n in range(1, count + 1)]


def test_without_jitter_delays_double_up_to_the_maximum():
    assert delays(Retry(initial=1, maximum=8, exponent=2, jitter=0)) == [1, 2, 4, 8, 8]


def test_delays_differ_between_steps_and_seeds():
    retry = Retry(jitter=1)
    drawn = {retry_delay(retry, seed=seed, step=step, failures=1) for seed in range(3) for step in "abc"}
    assert len(drawn) == 9


def test_a_huge_number_of_failures_does_not_overflow():
    assert retry_delay(Retry(jitter=0, maximum=60), seed=0, step="s", failures=100_000) == 60


@given(st.floats(0, 1), st.floats(0.001, 100), st.integers(1, 50), st.integers(0, 2**63))
def test_the_delay_stays_between_its_bounds(jitter, initial, failures, seed):
    retry = Retry(initial=initial, maximum=60, jitter=jitter)
    ceiling = min(60, initial * 2 ** (failures - 1))
    delay = retry_delay(retry, seed=seed, step="s", failures=failures)
    assert ceiling * (1 - jitter) <= delay <= ceiling
